//! Values that are not of their type, each with what is wanted there, in the words of a configuration. All are found at
//! once; what the types refuse beyond that comes one at a time.

use std::net::SocketAddr;

use schemars::Schema;
use serde_json::Value as Json;
use toml::{Table, Value};

use super::judge::Objection;
use super::layer::join;
use super::unknown::resolve;

/// Of a value that is refused no more is shown than this many characters.
const SHOWN_CHARACTERS: usize = 60;

/// All values of a table that its schema does not allow, `path` being where the table stands.
pub(crate) fn wrong(table: &Table, schema: &Schema, path: &str) -> Vec<Objection> {
    let root = schema.as_value();
    let mut judge = Judge { root, found: Vec::new() };
    judge.table(table, root, path);
    judge.found
}

struct Judge<'a> {
    root: &'a Json,
    found: Vec<Objection>,
}

impl<'a> Judge<'a> {
    fn object(&mut self, path: &str, text: impl Into<String>, fix: impl Into<String>) {
        self.found.push(Objection { path: path.to_owned(), text: text.into(), fix: fix.into() });
    }

    fn table(&mut self, table: &Table, schema: &'a Json, path: &str) {
        let schema = resolve(schema, self.root);
        let required = schema.get("required").and_then(Json::as_array).into_iter().flatten();
        for key in required.filter_map(Json::as_str).filter(|key| !table.contains_key(*key)) {
            self.object(path, format!("`{key}` is missing"), format!("add a line `{key} = …`"));
        }
        let Some(properties) = schema.get("properties").and_then(Json::as_object) else { return };
        for (key, value) in table {
            if let Some(schema) = properties.get(key) {
                self.value(value, schema, &join(path, key));
            }
        }
    }

    fn value(&mut self, value: &Value, schema: &'a Json, path: &str) {
        let schema = resolve(schema, self.root);
        let words = words(schema);
        if !words.is_empty() {
            return self.word(value, &words, path);
        }
        match (kind(schema), value) {
            ("integer", _) => self.integer(value, schema, path),
            ("string", Value::String(text)) if is_address(schema) && text.parse::<SocketAddr>().is_err() => {
                let fix = "write an IP address and a port, as in \"127.0.0.1:5222\", \"[::1]:5222\" or \"[::]:5222\"";
                self.object(path, format!("{} is no address with a port", shown(value)), fix);
            }
            ("array", Value::Array(items)) => {
                let Some(of) = schema.get("items") else { return };
                for (n, item) in items.iter().enumerate() {
                    self.value(item, of, &format!("{path}[{n}]"));
                }
            }
            ("object", Value::Table(table)) => self.table(table, schema, path),
            ("boolean", Value::Boolean(_)) | ("string", Value::String(_)) => {}
            ("boolean", _) => {
                self.refuse(value, path, "neither true nor false", "write true or false, without quotes")
            }
            ("string", _) => self.refuse(value, path, "no text", "write it in quotes: \"…\""),
            ("array", _) => {
                self.refuse(value, path, "no list", "write it in brackets, with commas: [\"…\", \"…\"]")
            }
            ("object", _) => self.refuse(value, path, "no section", format!("begin it with [{path}]")),
            // a type without a sentence of ours: whoever reads the value says what it thinks of it
            _ => {}
        }
    }

    fn refuse(&mut self, value: &Value, path: &str, what: &str, fix: impl Into<String>) {
        self.object(path, format!("{} is {what}", shown(value)), fix);
    }

    fn word(&mut self, value: &Value, words: &[&str], path: &str) {
        if !value.as_str().is_some_and(|word| words.contains(&word)) {
            let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
            let fix = format!("write one of {}", words.join(", "));
            self.object(path, format!("{} is not known here", shown(value)), fix);
        }
    }

    fn integer(&mut self, value: &Value, schema: &Json, path: &str) {
        let (least, most) = range(schema);
        if value.as_integer().is_some_and(|number| (least..=most).contains(&number)) {
            return;
        }
        let what = match value {
            Value::Integer(_) => "is out of range",
            _ => "is no whole number",
        };
        let fix = format!("write a whole number from {least} to {most}, without quotes");
        self.object(path, format!("{} {what}", shown(value)), fix);
    }
}

/// What a schema asks for; of an optional value, what it is when it is there.
fn kind(schema: &Json) -> &str {
    match schema.get("type") {
        Some(Json::String(kind)) => kind,
        Some(Json::Array(kinds)) => {
            kinds.iter().filter_map(Json::as_str).find(|kind| *kind != "null").unwrap_or("")
        }
        _ => "",
    }
}

/// The words that are allowed, where only some are.
fn words(schema: &Json) -> Vec<&str> {
    let choices = schema.get("oneOf").and_then(Json::as_array).into_iter().flatten();
    choices.filter_map(|choice| choice.get("const").and_then(Json::as_str)).collect()
}

fn is_address(schema: &Json) -> bool {
    schema.get("format").and_then(Json::as_str) == Some("socket-address")
}

fn range(schema: &Json) -> (i64, i64) {
    let format = schema.get("format").and_then(Json::as_str);
    let most = match format {
        Some("uint8") => u8::MAX.into(),
        Some("uint16") => u16::MAX.into(),
        Some("uint32") => u32::MAX.into(),
        _ => i64::MAX,
    };
    let bound = |name| schema.get(name).and_then(Json::as_i64);
    (bound("minimum").unwrap_or(i64::MIN), bound("maximum").unwrap_or(most).min(most))
}

fn shown(value: &Value) -> String {
    let text = value.to_string().replace('\n', " ");
    match text.char_indices().nth(SHOWN_CHARACTERS) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::config::Config;
    use crate::program::modules::{self, Sections};

    #[track_caller]
    fn check(toml: &str, told: &[&str]) {
        let found = wrong(&toml.parse().unwrap(), &schemars::schema_for!(Config), "");
        assert!(found.iter().all(|objection| !objection.fix.is_empty()), "{found:?}");
        let found: Vec<String> =
            found.into_iter().map(|o| format!("{}: {} ({})", o.path, o.text, o.fix)).collect();
        assert_eq!(found, told, "{toml}");
    }

    #[test]
    fn each_type_has_its_words() {
        check(
            "admins = ['me@x']\nconflict = 'rename'\n[limits]\nlogin_s_max = 5\n[data]\ncreate = true",
            &[],
        );
        let numbers = "write a whole number from 0 to 4294967295, without quotes";
        check(
            "[limits]\nlogin_s_max = 'big'\nclose_s_max = -1\nstanza_s_max = 4294967296",
            &[
                &format!("limits.close_s_max: -1 is out of range ({numbers})"),
                &format!("limits.login_s_max: \"big\" is no whole number ({numbers})"),
                &format!("limits.stanza_s_max: 4294967296 is out of range ({numbers})"),
            ],
        );
        check(
            "conflict = 'fight'",
            &["conflict: \"fight\" is not known here (write one of \"replace\", \"refuse\", \"rename\")"],
        );
        check(
            "admins = 'me@x'\n[tls]\ndevelopment = 'yes'\n[admin]\nsocket = 5",
            &[
                "admin.socket: 5 is no text (write it in quotes: \"…\")",
                "admins: \"me@x\" is no list (write it in brackets, with commas: [\"…\", \"…\"])",
                "tls.development: \"yes\" is neither true nor false (write true or false, without quotes)",
            ],
        );
        let address =
            "write an IP address and a port, as in \"127.0.0.1:5222\", \"[::1]:5222\" or \"[::]:5222\"";
        check(
            "[[host]]\nanonymous = true\n[[listen]]\naddress = 'localhost:5222'\n[[listen]]\naddress = '127.0.0.1'",
            &[
                "host[0]: `domain` is missing (add a line `domain = …`)",
                &format!("listen[0].address: \"localhost:5222\" is no address with a port ({address})"),
                &format!("listen[1].address: \"127.0.0.1\" is no address with a port ({address})"),
            ],
        );
    }

    #[test]
    fn every_type_of_the_configuration_is_known() {
        fn walk(schema: &Json, root: &Json, path: &str) {
            let schema = resolve(schema, root);
            let known = ["integer", "string", "array", "object", "boolean"];
            assert!(known.contains(&kind(schema)) || !words(schema).is_empty(), "{path}: {schema}");
            for (key, inner) in schema.get("properties").and_then(Json::as_object).into_iter().flatten() {
                walk(inner, root, &join(path, key));
            }
            if let Some(of) = schema.get("items") {
                walk(of, root, &format!("{path}[]"));
            }
        }
        let own = schemars::schema_for!(Config);
        walk(own.as_value(), own.as_value(), "");
        for section in modules::plan(&Sections::new()).unwrap().config() {
            walk(section.schema.as_value(), section.schema.as_value(), section.name);
        }
    }

    #[test]
    fn a_long_value_is_not_repeated() {
        assert_eq!(shown(&Value::String("x".repeat(500))).chars().count(), SHOWN_CHARACTERS + 1);
    }
}
