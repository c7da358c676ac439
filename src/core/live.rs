//! A module's settings as they are now: a reload changes all modules' together, or none.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use serde::de::DeserializeOwned;

use crate::module::SetupError;

/// The settings of one module. Clones see the same.
#[derive(Debug)]
pub struct Live<C>(Arc<ArcSwap<C>>);

impl<C> Live<C> {
    /// The settings now. Who works with them for a while keeps what it got.
    pub fn now(&self) -> Arc<C> {
        self.0.load_full()
    }
}

impl<C> Clone for Live<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// New settings of all modules, read and found good, but not in force yet.
#[must_use = "they take effect by `apply`"]
pub struct NewSettings(Vec<Change>);

impl NewSettings {
    /// Reads the settings of all modules.
    pub(crate) fn read(
        readers: &[Reader],
        sections: &BTreeMap<String, toml::Table>,
    ) -> Result<Self, SetupError> {
        readers.iter().map(|read| read(sections)).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn apply(self) {
        self.0.into_iter().for_each(|change| change());
    }
}

impl std::fmt::Debug for NewSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("NewSettings").field(&self.0.len()).finish()
    }
}

type Change = Box<dyn FnOnce() + Send>;

/// Reads the new settings of one module.
pub(crate) type Reader =
    Box<dyn Fn(&BTreeMap<String, toml::Table>) -> Result<Change, SetupError> + Send + Sync>;

/// What a module finds wrong with its settings beyond their types.
pub type Judge<C> = fn(&C) -> Result<(), Objection>;

/// A value that a module finds impossible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objection {
    /// Its key within the section, e.g. `contact.abuse[0]`.
    pub key: String,
    /// What is wrong with it.
    pub text: String,
    /// What to do.
    pub fix: String,
}

impl Objection {
    /// An objection to a key's value.
    pub fn new(key: impl Into<String>, text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { key: key.into(), text: text.into(), fix: fix.into() }
    }
}

/// The settings of a module at the start, and what reads them anew.
pub(crate) fn live<C>(
    module: &'static str,
    judge: Judge<C>,
    sections: &BTreeMap<String, toml::Table>,
) -> Result<(Live<C>, Reader), SetupError>
where
    C: DeserializeOwned + Default + Send + Sync + 'static,
{
    let live = Live(Arc::new(ArcSwap::from_pointee(read(module, judge, sections)?)));
    let shared = live.clone();
    let reader: Reader = Box::new(move |sections| {
        let (shared, new) = (shared.clone(), read(module, judge, sections)?);
        Ok(Box::new(move || shared.0.store(Arc::new(new))))
    });
    Ok((live, reader))
}

fn read<C: DeserializeOwned + Default>(
    module: &'static str,
    judge: Judge<C>,
    sections: &BTreeMap<String, toml::Table>,
) -> Result<C, SetupError> {
    let settings = match sections.get(module) {
        None => C::default(),
        Some(table) => {
            serde_path_to_error::deserialize(toml::Value::Table(table.clone())).map_err(|error| {
                let message = error.inner().message().to_owned();
                SetupError::Config { section: module.to_owned(), key: error.path().to_string(), message }
            })?
        }
    };
    judge(&settings).map_err(|objection| SetupError::Invalid { module, objection })?;
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Config {
        n: u32,
    }

    fn small(config: &Config) -> Result<(), Objection> {
        if config.n < 10 { Ok(()) } else { Err(Objection::new("n", "too many", "take fewer")) }
    }

    fn sections(toml: &str) -> BTreeMap<String, toml::Table> {
        toml::from_str(toml).unwrap()
    }

    #[test]
    fn all_modules_change_together_or_none() {
        let (a, read_a) = live("a", small, &sections("[a]\nn = 1")).unwrap();
        let (b, read_b) = live("b", small, &sections("")).unwrap();
        let readers = [read_a, read_b];
        for bad in ["[a]\nn = 2\n[b]\nn = 10", "[a]\nn = 2\n[b]\nm = 1", "[a]\nn = 2\n[b]\nn = 'x'"] {
            let refused = NewSettings::read(&readers, &sections(bad)).unwrap_err();
            assert!(refused.to_string().contains('b'), "{refused}");
            assert_eq!((a.now().n, b.now().n), (1, 0), "{bad}");
        }
        let kept = a.now();
        NewSettings::read(&readers, &sections("[b]\nn = 3")).unwrap().apply();
        assert_eq!((kept.n, a.now().n, b.now().n), (1, 0, 3), "a missing section is the default again");
    }
}
