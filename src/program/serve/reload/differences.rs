//! What is different in two configurations, in the words of the configuration. Values are not told: some may be secret.

use toml::{Table, Value};

use crate::program::config::Config;

/// Keys that count at the start only, and then only where there are no data yet.
const AT_THE_FIRST_START: [&str; 1] = ["data.create"];

/// Every key whose value differs; hosts by domain, listeners by address.
pub(super) fn between(old: &Config, new: &Config) -> Vec<String> {
    let (mut old_table, mut new_table) = (table(old), table(new));
    for lists in ["host", "listen"] {
        old_table.remove(lists);
        new_table.remove(lists);
    }
    let mut found = Vec::new();
    walk("", &old_table, &new_table, &mut found);
    named("host", &old.host, &new.host, |host| host.domain.clone(), &mut found);
    named("listen", &old.listen, &new.listen, |listen| listen.address.to_string(), &mut found);
    found
}

/// The keys of these sections whose values differ.
pub(super) fn of_sections(old: &Config, new: &Config, sections: &[&str]) -> Vec<String> {
    let only = |config| -> Table {
        table(config).into_iter().filter(|(name, _)| sections.contains(&name.as_str())).collect()
    };
    let mut found = Vec::new();
    walk("", &only(old), &only(new), &mut found);
    found
}

/// A configuration that was read from TOML can be written as such.
fn table(config: &Config) -> Table {
    Table::try_from(config).unwrap_or_default()
}

fn walk(path: &str, old: &Table, new: &Table, found: &mut Vec<String>) {
    let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
    keys.sort();
    keys.dedup();
    let empty = Table::new();
    for key in keys {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match (old.get(key), new.get(key)) {
            (Some(Value::Table(old)), Some(Value::Table(new))) => walk(&path, old, new, found),
            (Some(Value::Table(old)), None) => walk(&path, old, &empty, found),
            (None, Some(Value::Table(new))) => walk(&path, &empty, new, found),
            (old, new) if old != new && !AT_THE_FIRST_START.contains(&path.as_str()) => found.push(path),
            _ => {}
        }
    }
}

fn named<T: PartialEq>(
    what: &str,
    old: &[T],
    new: &[T],
    name: impl Fn(&T) -> String,
    found: &mut Vec<String>,
) {
    let find = |all: &[T], wanted: &T| all.iter().position(|one| name(one) == name(wanted));
    for one in new {
        match find(old, one).and_then(|n| old.get(n)) {
            None => found.push(format!("{what} {} (added)", name(one))),
            Some(before) if before != one => found.push(format!("{what} {}", name(one))),
            Some(_) => {}
        }
    }
    let gone = old.iter().filter(|one| find(new, one).is_none());
    found.extend(gone.map(|one| format!("{what} {} (removed)", name(one))));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(old: &str, new: &str, expected: &[&str]) {
        let config = |toml: &str| toml::from_str::<Config>(toml).unwrap();
        assert_eq!(between(&config(old), &config(new)), expected, "{old} -> {new}");
    }

    #[test]
    fn what_differs_is_named_as_it_is_written() {
        check("", "", &[]);
        check(
            "",
            "admins = ['me@x']\n[limits]\nroster_items_max = 1",
            &["admins", "limits.roster_items_max"],
        );
        check("", "[xep.register]\nopen = true", &["xep.register.open"]);
        check("[xep.disco.contact]\nabuse = ['a:b']", "", &["xep.disco.contact.abuse"]);
        check("", "admin.socket = '/run/x'\ndata.durability = 'crash'", &["admin.socket", "data.durability"]);
        check("", "data.create = true", &[]);
    }

    #[test]
    fn hosts_and_listeners_have_names() {
        let (a, b) = ("[[host]]\ndomain = 'a'\n", "[[host]]\ndomain = 'b'\n");
        check(a, &format!("{a}{b}"), &["host b (added)"]);
        check(a, b, &["host b (added)", "host a (removed)"]);
        check(a, &format!("{a}anonymous = true"), &["host a"]);
        let listen = |port: u16| format!("[[listen]]\naddress = '127.0.0.1:{port}'\n");
        check(&listen(1), &listen(2), &["listen 127.0.0.1:2 (added)", "listen 127.0.0.1:1 (removed)"]);
        check(&listen(1), &format!("{}starttls = 'off'", listen(1)), &["listen 127.0.0.1:1"]);
    }

    #[test]
    fn some_sections_alone_can_be_asked_about() {
        let (mut old, new) = (Config::default(), Config::default());
        old.data.durability = crate::program::config::Durability::Crash;
        old.log.level = "debug".to_owned();
        assert_eq!(of_sections(&old, &new, &["data", "admin"]), ["data.durability"]);
    }
}
