//! Keys that mean nothing here, each with the key that was probably meant, and sections that are not written as such.

use schemars::Schema;
use serde_json::Value as Json;
use toml::{Table, Value};

use super::layer::join;

/// How alike two keys must be (0 to 1) for one to be suggested for the other.
const LIKENESS_MIN: f64 = 0.75;

/// A key that cannot be where it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// There is no such key at this path; perhaps another was meant.
    Key(String, Option<String>),
    /// At this path there is one section, not a value or several.
    Section(String),
    /// At this path there may be several sections, each written with two brackets.
    Sections(String),
}

/// All keys of a table that its schema does not know, `path` being where the table stands.
pub(crate) fn keys(table: &Table, schema: &Schema, path: &str) -> Vec<Unknown> {
    let mut found = Vec::new();
    let root = schema.as_value();
    walk(table, root, root, path, &mut found);
    found
}

fn walk(table: &Table, schema: &Json, root: &Json, path: &str, found: &mut Vec<Unknown>) {
    let Some(properties) = resolve(schema, root).get("properties").and_then(Json::as_object) else { return };
    for (key, value) in table {
        let path = join(path, key);
        match properties.get(key) {
            Some(inner) => inside(value, inner, root, &path, found),
            None => found.push(Unknown::Key(path, nearest(key, properties.keys().map(String::as_str)))),
        }
    }
}

fn inside(value: &Value, schema: &Json, root: &Json, path: &str, found: &mut Vec<Unknown>) {
    let schema = resolve(schema, root);
    let is_section = |schema: &Json| resolve(schema, root).get("properties").is_some();
    let of = schema.get("items");
    match (value, of) {
        (Value::Table(_), Some(of)) if is_section(of) => found.push(Unknown::Sections(path.to_owned())),
        (Value::Table(table), _) => walk(table, schema, root, path, found),
        (Value::Array(items), Some(of)) => {
            for (n, item) in items.iter().enumerate() {
                inside(item, of, root, &format!("{path}[{n}]"), found);
            }
        }
        // the types would take a list for a section's values in their order
        _ if is_section(schema) => found.push(Unknown::Section(path.to_owned())),
        _ => {}
    }
}

/// The paths of all settings of a schema, but those within lists.
pub(crate) fn paths(schema: &Schema, path: &str) -> Vec<String> {
    fn walk(schema: &Json, root: &Json, path: &str, found: &mut Vec<String>) {
        match resolve(schema, root).get("properties").and_then(Json::as_object) {
            Some(properties) => {
                properties.iter().for_each(|(key, inner)| walk(inner, root, &join(path, key), found))
            }
            None => found.push(path.to_owned()),
        }
    }
    let mut found = Vec::new();
    walk(schema.as_value(), schema.as_value(), path, &mut found);
    found
}

/// Follows a reference to where the type is described; an optional value is described by its first alternative.
pub(crate) fn resolve<'a>(schema: &'a Json, root: &'a Json) -> &'a Json {
    let schema = schema.get("anyOf").and_then(|any| any.get(0)).unwrap_or(schema);
    let target = schema.get("$ref").and_then(Json::as_str).and_then(|at| at.strip_prefix('#'));
    target.and_then(|at| root.pointer(at)).unwrap_or(schema)
}

/// The word most like the given one, if any is.
pub(crate) fn nearest<'a>(word: &str, among: impl Iterator<Item = &'a str>) -> Option<String> {
    let likeness = |other: &str| strsim::jaro_winkler(&word.to_lowercase(), &other.to_lowercase());
    let best = among.max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(best) >= LIKENESS_MIN).then(|| best.to_owned())
}
