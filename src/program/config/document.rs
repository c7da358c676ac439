//! The configuration as a file that explains itself: made from the types, their comments and their values.

use hearth_core::plan::ConfigSection;
use serde_json::Value as Json;
use toml::{Table, Value};

use super::unknown::resolve;
use super::{Config, NEED_RESTART};

/// Comments are wrapped at this many columns.
const COLUMNS: usize = 100;

const HEAD: &str = "\
# The configuration of Hearth, an XMPP server.
#
# What stands here are the defaults: a line that is left out means the same (but for data.create).
# Unknown settings are refused. Relative paths begin at the directory of this file. `hearth check`
# looks for mistakes; `hearth reload` or SIGHUP takes all of it anew, and the certificates, but for
# {sections}: they wait for a restart.
#
# Variables of the environment go over this file: HEARTH_DATA_DIRECTORY=/data,
# HEARTH_HOSTS=a.example,b.example, and for every other setting HEARTH__section__key=value, such as
# HEARTH__log__format=json or HEARTH__admins='[\"me@a.example\"]'. HEARTH_CONFIG=/etc/other.toml names
# the file itself.
";

/// The text of a configuration file with these values.
pub(crate) fn document(config: &Config, sections: &[ConfigSection]) -> String {
    let waiting = NEED_RESTART.map(|section| format!("[{section}]")).join(" and ");
    let mut writer = Writer { out: HEAD.replace("{sections}", &waiting) };
    let schema = schemars::schema_for!(Config);
    let values = Table::try_from(config).unwrap_or_default();
    writer.table("", &values, schema.as_value(), schema.as_value());
    let mut sections: Vec<&ConfigSection> = sections.iter().collect();
    sections.sort_by_key(|section| section.name);
    for section in sections {
        let schema = section.schema.as_value();
        let path = format!("xep.{}", section.name);
        writer.section(&path, &section.default, schema, schema, description(schema));
    }
    writer.out
}

struct Writer {
    out: String,
}

impl Writer {
    /// `[path]` with its comment and content.
    fn section(&mut self, path: &str, values: &Table, schema: &Json, root: &Json, comment: &str) {
        self.out.push('\n');
        self.comment(comment);
        self.out.push_str(&format!("[{path}]\n"));
        self.table(path, values, schema, root);
    }

    /// The content of a table: its own keys first, then the tables inside it.
    fn table(&mut self, path: &str, values: &Table, schema: &Json, root: &Json) {
        let Some(properties) = resolve(schema, root).get("properties").and_then(Json::as_object) else {
            return;
        };
        for (name, property) in properties {
            match values.get(name) {
                Some(Value::Table(_)) => {}
                Some(Value::Array(items)) if !items.is_empty() && items.iter().all(Value::is_table) => {}
                value => self.key(name, value, property, root),
            }
        }
        for (name, property) in properties {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            match values.get(name) {
                Some(Value::Table(inner)) => {
                    self.section(&path, inner, property, root, description(property))
                }
                Some(Value::Array(items)) if !items.is_empty() => self.tables(&path, items, property, root),
                _ => {}
            }
        }
    }

    /// `[[path]]` for each item; only the first is explained.
    fn tables(&mut self, path: &str, items: &[Value], property: &Json, root: &Json) {
        let Some(of) = resolve(property, root).get("items") else { return };
        for (n, item) in items.iter().enumerate() {
            let Value::Table(item) = item else { continue };
            self.out.push('\n');
            if n == 0 {
                self.comment(description(property));
            }
            self.out.push_str(&format!("[[{path}]]\n"));
            match n {
                0 => self.table(path, item, of, root),
                _ => self.different(item, of, root),
            }
        }
    }

    /// The keys of a further item that are not as they are when left out.
    fn different(&mut self, item: &Table, of: &Json, root: &Json) {
        let Some(properties) = resolve(of, root).get("properties").and_then(Json::as_object) else { return };
        for (name, property) in properties {
            let default = property.get("default").and_then(|default| Value::try_from(default).ok());
            if let Some(value) = item.get(name).filter(|value| default.as_ref() != Some(value)) {
                self.out.push_str(&format!("{name} = {value}\n"));
            }
        }
    }

    /// A key with its comment; one without a value is there as a comment.
    fn key(&mut self, name: &str, value: Option<&Value>, property: &Json, root: &Json) {
        self.out.push('\n');
        self.comment(description(property));
        let choices = resolve(property, root).get("oneOf").and_then(Json::as_array);
        for choice in choices.into_iter().flatten() {
            if let Some(word) = choice.get("const").and_then(Json::as_str) {
                self.comment(&format!("  {word}: {}", description(choice)));
            }
        }
        match value {
            Some(value) => self.out.push_str(&format!("{name} = {value}\n")),
            None => self.out.push_str(&format!("# {name} =\n")),
        }
    }

    fn comment(&mut self, text: &str) {
        for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()) {
            let indent = if paragraph.starts_with("  ") { "#  " } else { "#" };
            let mut line = indent.to_owned();
            for word in paragraph.split_whitespace() {
                if line.chars().count() + 1 + word.chars().count() > COLUMNS {
                    self.out.push_str(&format!("{line}\n"));
                    line = if indent == "#" { "#".to_owned() } else { "#     ".to_owned() };
                }
                line.push(' ');
                line.push_str(word);
            }
            self.out.push_str(&format!("{line}\n"));
        }
    }
}

fn description(schema: &Json) -> &str {
    schema.get("description").and_then(Json::as_str).unwrap_or_default()
}
