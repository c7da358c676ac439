//! The data directory, as the configuration names it.

use hearth_core::plan::Plan;
use hearth_store::{Inspection, OpenError, Options, Store, inspect};

use super::config::{Config, Durability};
use super::modules;

/// How the store is opened.
pub(crate) fn options(config: &Config) -> Options {
    let durability = match config.data.durability {
        Durability::Power => hearth_store::Durability::Power,
        Durability::Crash => hearth_store::Durability::Crash,
    };
    Options { create: config.data.create, durability, ..Options::new(config.data.directory.clone()) }
}

/// Whether the store could be opened, were it free. Opens nothing.
///
/// # Errors
/// [`OpenError`], whose text names the fix.
pub(crate) fn look(config: &Config, plan: &Plan) -> Result<(), OpenError> {
    let inspection = inspect(&options(config), &modules::migrations(plan))?;
    let dir = config.data.directory.clone();
    match inspection {
        Inspection { held_by: Some(pid), .. } => Err(OpenError::Locked { dir, pid }),
        Inspection { exists: false, .. } if !config.data.create => Err(OpenError::WouldCreate { dir }),
        _ => Ok(()),
    }
}

/// Opens the store with the tables of all modules.
///
/// # Errors
/// [`OpenError`], whose text names the fix.
pub(crate) fn open(config: &Config, plan: &Plan) -> Result<Store, OpenError> {
    Store::open(&options(config), &modules::migrations(plan))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::modules::Sections;

    #[tokio::test]
    async fn an_empty_data_directory_is_made_only_on_request() {
        let dir = tempfile::tempdir().unwrap();
        let plan = modules::plan(&Sections::new()).unwrap();
        let mut config = Config::default();
        config.data.directory = dir.path().join("data");
        let refused = open(&config, &plan).err().unwrap();
        assert!(matches!(refused, OpenError::WouldCreate { .. }), "{refused}");
        assert!(refused.to_string().contains("hearth init"), "{refused}");
        let refused = look(&config, &plan).unwrap_err();
        assert!(matches!(refused, OpenError::WouldCreate { .. }), "{refused}");
        assert!(!config.data.directory.exists());

        config.data.create = true;
        look(&config, &plan).unwrap();
        let store = open(&config, &plan).unwrap();
        for second in [open(&config, &plan).err(), look(&config, &plan).err()] {
            assert!(matches!(second, Some(OpenError::Locked { pid: Some(_), .. })), "{second:?}");
        }
        store.close().await.unwrap();

        config.data.create = false;
        open(&config, &plan).unwrap().close().await.unwrap();
    }
}
