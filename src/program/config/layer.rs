//! One source of settings, a file or the environment, which remembers where each of its keys stands.

use std::collections::HashMap;

use toml::Table;
use toml::de::{DeTable, DeValue};

use super::problem::Problem;

/// Settings with their places.
#[derive(Debug, Default)]
pub(crate) struct Layer {
    pub(crate) table: Table,
    /// Where a key stands, by its path (`listen[0].address`).
    places: HashMap<String, String>,
}

impl Layer {
    /// The settings of a file.
    ///
    /// # Errors
    /// [`Problem`] if it is not TOML.
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self, Problem> {
        let broken = |error: toml::de::Error| {
            let at = error.span().map_or(0, |span| span.start);
            let place = format!("{name}:{}", line(text, at));
            Problem::new(Some(place), error.message(), "see https://toml.io for how such a file is written")
        };
        let table: Table = text.parse().map_err(broken)?;
        let spans = DeTable::parse(text).map_err(broken)?;
        let mut layer = Self { table, places: HashMap::new() };
        layer.note(name, text, "", spans.get_ref());
        Ok(layer)
    }

    fn note(&mut self, name: &str, text: &str, path: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            let path = join(path, key.get_ref());
            self.places.insert(path.clone(), format!("{name}:{}", line(text, key.span().start)));
            match value.get_ref() {
                DeValue::Table(table) => self.note(name, text, &path, table),
                DeValue::Array(items) => {
                    for (n, item) in items.iter().enumerate() {
                        let path = format!("{path}[{n}]");
                        self.places.insert(path.clone(), format!("{name}:{}", line(text, item.span().start)));
                        if let DeValue::Table(table) = item.get_ref() {
                            self.note(name, text, &path, table);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// Sets one key, which stands at `place`.
    pub(crate) fn set(&mut self, path: &[&str], value: toml::Value, place: &str) {
        let Some((last, parents)) = path.split_last() else { return };
        let mut table = &mut self.table;
        for parent in parents {
            let entry = table.entry(*parent).or_insert_with(|| Table::new().into());
            if !entry.is_table() {
                *entry = Table::new().into();
            }
            let toml::Value::Table(inner) = entry else { return };
            table = inner;
        }
        table.insert((*last).to_owned(), value);
        self.places.insert(path.join("."), place.to_owned());
    }

    /// Where a key stands in this layer.
    pub(crate) fn place(&self, path: &str) -> Option<&String> {
        self.places.get(path)
    }
}

/// A key below a path.
pub(crate) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// Puts `above` over `below`: tables key by key, everything else as a whole.
pub(crate) fn merge(below: &mut Table, above: Table) {
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            (Some(toml::Value::Table(below)), toml::Value::Table(above)) => merge(below, above),
            (_, value) => {
                below.insert(key, value);
            }
        }
    }
}

/// Where a key stands: in the last layer that has it, or else where what holds it stands.
pub(crate) fn place(layers: &[Layer], path: &str) -> Option<String> {
    let mut path = path;
    loop {
        if let Some(place) = layers.iter().rev().find_map(|layer| layer.place(path)) {
            return Some(place.clone());
        }
        let at = path.rfind(['.', '['])?;
        path = path.get(..at)?;
    }
}

fn line(text: &str, at: usize) -> usize {
    text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_knows_its_line() {
        let text = "a = 1\n[b]\nc = [1,\n 2]\n[[d]]\ne = 1\n[[d]]\ne = 2\nf.g = 1\n";
        let layers = [Layer::parse("x.toml", text).unwrap()];
        for (path, line) in [("a", 1), ("b", 2), ("b.c", 3), ("b.c[1]", 4), ("d[1].e", 8), ("d[1].f.g", 9)] {
            assert_eq!(place(&layers, path).unwrap(), format!("x.toml:{line}"), "{path}");
        }
        assert_eq!(place(&layers, "b.missing").unwrap(), "x.toml:2", "what holds it");
        assert_eq!(place(&layers, "missing"), None);
    }

    #[test]
    fn what_is_no_toml_says_where() {
        let problem = Layer::parse("x.toml", "a = 1\nb == 2\n").unwrap_err();
        assert_eq!(problem.place.as_deref(), Some("x.toml:2"));
    }

    #[test]
    fn tables_are_merged_and_lists_replaced() {
        let mut below: Table = "a = [1]\n[t]\nx = 1\ny = 2".parse().unwrap();
        merge(&mut below, "a = [2, 3]\n[t]\ny = 3".parse().unwrap());
        assert_eq!(below, "a = [2, 3]\n[t]\nx = 1\ny = 3".parse().unwrap());
    }
}
