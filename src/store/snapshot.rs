//! The copy that is made before a migration touches data: the way back from an upgrade that went wrong.
//!
//! To go back: stop the server, install the version that was there before, and put the snapshot in the place of
//! the database, removing the database's `-wal` and `-shm` files.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::data_dir::{at, private, sync_dir};
use crate::sqlite::{Engine, Sqlite};
use crate::{OpenError, StoreError};

/// Copies beyond these are removed, oldest first.
const KEPT: usize = 2;

/// Copies the database beside itself. `steps` is the sum of all steps it is at: its version.
pub(crate) fn take(engine: &Engine, sqlite: &Sqlite, steps: usize) -> Result<(), OpenError> {
    let Some(database) = engine.path() else { return Ok(()) };
    let target = beside(database, &format!(".schema-{steps}.snapshot"));
    let partial = beside(database, ".snapshot-partial");
    tracing::info!(snapshot = %target.display(), "copying the database before the upgrade");
    if let Err(error) = copy(sqlite, &partial) {
        // The failure to copy is what matters; a file that could not be removed is overwritten next time.
        drop(fs::remove_file(&partial));
        return Err(match error {
            OpenError::Database(StoreError::Full) => {
                OpenError::NoRoom { path: target, bytes: fs::metadata(database).map_or(0, |file| file.len()) }
            }
            error => error,
        });
    }
    fs::rename(&partial, &target).map_err(at(&target))?;
    let dir = database.parent().unwrap_or(Path::new("."));
    sync_dir(dir)?;
    remove_old(dir)
}

fn copy(sqlite: &Sqlite, partial: &Path) -> Result<(), OpenError> {
    // VACUUM INTO accepts an existing file only when it is empty; made by us, it is closed to others.
    let file = private().create(true).write(true).truncate(true).open(partial).map_err(at(partial))?;
    let name = partial.to_str().ok_or_else(|| {
        StoreError::Query(format!(
            "the path {} is not UTF-8, so it cannot be named in SQL",
            partial.display()
        ))
    })?;
    sqlite.connection.execute("VACUUM INTO ?1", [name])?;
    file.sync_all().map_err(at(partial))
}

fn remove_old(dir: &Path) -> Result<(), OpenError> {
    let mut all = list(dir)?;
    all.sort_by_key(|(made, _)| *made);
    for (_, path) in all.iter().rev().skip(KEPT) {
        fs::remove_file(path).map_err(at(path))?;
        tracing::info!(snapshot = %path.display(), "removed an old snapshot");
    }
    Ok(())
}

fn list(dir: &Path) -> Result<Vec<(SystemTime, PathBuf)>, OpenError> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).map_err(at(dir))? {
        let path = entry.map_err(at(dir))?.path();
        if path.extension().is_some_and(|extension| extension == "snapshot") {
            let made = fs::metadata(&path).and_then(|file| file.modified()).map_err(at(&path))?;
            all.push((made, path));
        }
    }
    Ok(all)
}

fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(database);
    name.push(suffix);
    PathBuf::from(name)
}
