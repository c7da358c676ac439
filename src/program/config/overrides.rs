//! Settings from the environment, for containers.
//!
//! - `HEARTH__section__key=value` sets `section.key`; the value is read as TOML where it is TOML (`true`, `5`,
//!   `["a", "b"]`), otherwise as text.
//! - `HEARTH_DATA_DIRECTORY=/data` and `HEARTH_HOSTS=a.example,b.example` for the two that every container needs.
//!
//! Others that begin with `HEARTH_` are left alone: container platforms make some for a service of that name.

use toml::Value;

use super::layer::Layer;

const PREFIX: &str = "HEARTH__";

/// The settings in these variables.
pub(crate) fn read(variables: impl Iterator<Item = (String, String)>) -> Layer {
    let mut variables: Vec<_> = variables.filter(|(name, _)| name.starts_with("HEARTH_")).collect();
    variables.sort();
    let mut layer = Layer::default();
    for (name, text) in &variables {
        match name.as_str() {
            "HEARTH_DATA_DIRECTORY" => layer.set(&["data", "directory"], text.clone().into(), name),
            "HEARTH_HOSTS" => layer.set(&["host"], hosts(text), name),
            name => {
                if let Some(path) = name.strip_prefix(PREFIX) {
                    layer.set(&path.split("__").collect::<Vec<_>>(), value(text), name);
                }
            }
        }
    }
    layer
}

fn hosts(list: &str) -> Value {
    let hosts = list.split(',').map(str::trim).filter(|host| !host.is_empty());
    let host = |domain: &str| Value::Table([("domain".to_owned(), domain.into())].into_iter().collect());
    Value::Array(hosts.map(host).collect())
}

fn value(text: &str) -> Value {
    let read = format!("value = {text}").parse::<toml::Table>();
    // several lines would be several keys: that is text
    let value = read.ok().filter(|table| table.len() == 1).and_then(|mut table| table.remove("value"));
    value.unwrap_or_else(|| text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(variables: &[(&str, &str)], toml: &str) {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        assert_eq!(read(variables).table, toml.parse().unwrap());
    }

    #[test]
    fn variables_set_keys() {
        check(&[("HEARTH_DATA_DIRECTORY", "/data")], "data.directory = '/data'");
        check(
            &[("HEARTH_HOSTS", "a.example, b.example")],
            "[[host]]\ndomain='a.example'\n[[host]]\ndomain='b.example'",
        );
        check(
            &[("HEARTH__limits__roster_items_max", "5"), ("HEARTH__log__level", "warn,hearth_net=debug")],
            "limits.roster_items_max = 5\nlog.level = 'warn,hearth_net=debug'",
        );
        check(&[("HEARTH__tls__development", "true")], "tls.development = true");
        check(&[("HEARTH__admins", "['a@b']")], "admins = ['a@b']");
        check(&[("HEARTH__xep__register__open", "true")], "xep.register.open = true");
        check(&[("HEARTH__log__level", "a\nb = 1")], "log.level = \"a\\nb = 1\"");
    }

    #[test]
    fn what_platforms_add_is_left_alone() {
        check(&[("HEARTH_SERVICE_PORT", "5222"), ("PATH", "/bin"), ("HEARTHSTONE", "1")], "");
    }
}
