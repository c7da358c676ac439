//! Settings from the environment, for containers.
//!
//! - `HEARTH__section__key=value` sets `section.key`; the value is read as TOML where it is TOML (`true`, `5`,
//!   `["a", "b"]`), otherwise as text.
//! - `HEARTH_DATA_DIRECTORY=/data` and `HEARTH_HOSTS=a.example,b.example` for the two that every container needs.
//!
//! Others that begin with `HEARTH_` are left alone: container platforms make some for a service of that name. But one that
//! looks like a setting is told: it was probably meant to be one.

use toml::Value;

use super::layer::Layer;
use super::problem::Problem;
use super::unknown;

const PREFIX: &str = "HEARTH__";
/// What begins like ours and may be somebody else's.
const NEAR: &str = "HEARTH_";
/// The short names, behind [`NEAR`]. The command line knows the third.
const SHORT: [&str; 3] = ["DATA_DIRECTORY", "HOSTS", "CONFIG"];
/// What Kubernetes and Docker put into names: `HEARTH_SERVICE_HOST`, `HEARTH_PORT_5222_TCP`.
const OF_PLATFORMS: [&str; 2] = ["_SERVICE_", "_PORT"];

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

/// Variables that are not read and look as if they were meant to be. `settings` are the paths of all settings.
pub(crate) fn doubtful<'a>(names: impl Iterator<Item = &'a String>, settings: &[String]) -> Vec<Problem> {
    let mut names: Vec<&String> = names.collect();
    names.sort();
    let doubt = |name: &&String| {
        let meant = meant(name, settings)?;
        Some(Problem::new(None, format!("the variable {name} is not read"), format!("did you mean {meant}?")))
    };
    names.iter().filter_map(doubt).collect()
}

fn meant(name: &str, settings: &[String]) -> Option<String> {
    let rest = name.strip_prefix(NEAR)?;
    let is_read = rest.starts_with('_') || SHORT.contains(&rest);
    if is_read || OF_PLATFORMS.iter().any(|part| name.contains(part)) {
        return None;
    }
    let is_meant = |path: &&String| path.replace('.', "_").eq_ignore_ascii_case(rest);
    match settings.iter().find(is_meant) {
        Some(path) => Some(format!("{PREFIX}{}", path.replace('.', "__"))),
        None => unknown::nearest(rest, SHORT.into_iter()).map(|short| format!("{NEAR}{short}")),
    }
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
    fn what_looks_like_a_setting_is_told() {
        let settings = ["log.level", "admins", "xep.register.open"].map(str::to_owned);
        for (name, meant) in [
            ("HEARTH_DATA_DIR", Some("HEARTH_DATA_DIRECTORY")),
            ("HEARTH_HOST", Some("HEARTH_HOSTS")),
            ("HEARTH_HOSTNAME", Some("HEARTH_HOSTS")),
            ("HEARTH_CONFIG_FILE", Some("HEARTH_CONFIG")),
            ("HEARTH_LOG_LEVEL", Some("HEARTH__log__level")),
            ("HEARTH_ADMINS", Some("HEARTH__admins")),
            ("HEARTH_XEP_REGISTER_OPEN", Some("HEARTH__xep__register__open")),
            ("HEARTH_HOSTS", None),
            ("HEARTH_CONFIG", None),
            ("HEARTH__log__level", None),
            ("HEARTH_SERVICE_HOST", None),
            ("HEARTH_XMPP_SERVICE_HOST", None),
            ("HEARTH_PORT", None),
            ("HEARTH_PORT_5222_TCP_ADDR", None),
            ("HEARTH_NAME", None),
            ("HOSTS", None),
        ] {
            let told = doubtful([name.to_owned()].iter(), &settings);
            let told: Vec<String> = told.iter().map(ToString::to_string).collect();
            let expected =
                meant.map(|meant| format!("the variable {name} is not read (did you mean {meant}?)"));
            assert_eq!(told, Vec::from_iter(expected), "{name}");
        }
    }

    #[test]
    fn what_platforms_add_is_left_alone() {
        check(&[("HEARTH_SERVICE_PORT", "5222"), ("PATH", "/bin"), ("HEARTHSTONE", "1")], "");
    }
}
