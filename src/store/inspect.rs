//! Looking at a data directory without changing it: for `hearth check`, which may run beside the server.

use std::fs::{self, File, TryLockError};
use std::path::Path;

use crate::data_dir::{self, DATABASE, LOCK, at};
use crate::migrate;
use crate::sqlite::Engine;
use crate::{Migrations, OpenError, Options, Sql, StoreError};

/// What a data directory holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Inspection {
    /// Whether there is a database.
    pub exists: bool,
    /// Whether a process has it open, and which, where it has said so.
    pub held_by: Option<Option<u32>>,
    /// Owners whose tables the next start will upgrade.
    pub behind: Vec<&'static str>,
    /// Something of others beside the database. A start does not close such a directory to other users.
    pub foreign: Option<String>,
}

/// Looks at the database in `options.dir`.
///
/// # Errors
/// What would keep a start from opening it: an unreadable file, a damaged or a newer database, or files in the place
/// where a new one is wanted.
pub fn inspect(options: &Options, modules: &[Migrations]) -> Result<Inspection, OpenError> {
    let database = options.dir.join(DATABASE);
    match fs::metadata(&database) {
        Ok(file) if file.len() > 0 => {}
        Ok(_) => return without_database(options),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return without_database(options),
        Err(error) => return Err(at(&database)(error)),
    }
    let held_by = holder(&options.dir.join(LOCK))?;
    let mut reader = Engine::file(database, options).reader()?;
    let behind = migrate::behind(&mut reader, modules)?;
    Ok(Inspection { exists: true, held_by, behind, foreign: data_dir::foreign(&options.dir)? })
}

fn without_database(options: &Options) -> Result<Inspection, OpenError> {
    match data_dir::in_the_way(&options.dir)? {
        Some(name) if options.create => Err(OpenError::NotEmpty { dir: options.dir.clone(), name }),
        _ => Ok(Inspection::default()),
    }
}

/// Reads from the database in `options.dir`, which is there and not behind ([`inspect`]), without opening it as a server
/// would.
///
/// # Errors
/// The file cannot be read, or the error of `work`.
pub fn look<T>(
    options: &Options,
    work: impl FnOnce(&mut dyn Sql) -> Result<T, StoreError>,
) -> Result<T, OpenError> {
    let mut reader = Engine::file(options.dir.join(DATABASE), options).reader()?;
    Ok(work(&mut reader)?)
}

fn holder(lock: &Path) -> Result<Option<Option<u32>>, OpenError> {
    let file = match File::open(lock) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(at(lock)(error)),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => {
            let holder = fs::read_to_string(lock).map_err(at(lock))?;
            Ok(Some(holder.trim().parse().ok()))
        }
        Err(TryLockError::Error(error)) => Err(at(lock)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SqlExt as _, Store};

    const ONE: Migrations = Migrations { owner: "one", steps: &["CREATE TABLE one (x BIGINT)"] };
    const MORE: Migrations =
        Migrations { owner: "one", steps: &["CREATE TABLE one (x BIGINT)", "CREATE TABLE one_b (x BIGINT)"] };

    #[tokio::test]
    async fn what_is_there_is_told_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { create: true, ..Options::new(dir.path().join("data")) };
        assert_eq!(inspect(&options, &[ONE]).unwrap(), Inspection::default());
        assert!(!options.dir.exists());
        let store = Store::open(&options, &[ONE]).unwrap();
        let found = inspect(&options, &[ONE]).unwrap();
        assert_eq!((found.exists, found.held_by), (true, Some(Some(std::process::id()))));
        store.write(|sql| sql.run("INSERT INTO one (x) VALUES (7)", &[])).await.unwrap();
        let seen = look(&options, |sql| sql.one("SELECT x FROM one", &[], |row| row.int(0)));
        assert_eq!(seen.unwrap(), 7, "beside the one that has it open");
        store.close().await.unwrap();
        let found = inspect(&options, &[MORE]).unwrap();
        let expected = Inspection { exists: true, behind: vec!["one"], ..Inspection::default() };
        assert_eq!(found, expected);
        std::fs::write(options.dir.join("other"), "").unwrap();
        assert_eq!(inspect(&options, &[MORE]).unwrap().foreign.as_deref(), Some("other"));
        let elsewhere = Options { create: true, ..Options::new(dir.path()) };
        assert!(
            matches!(inspect(&elsewhere, &[ONE]), Err(OpenError::NotEmpty { name, .. }) if name == "data")
        );
        drop(Store::open(&options, &[MORE]).unwrap());
        assert!(matches!(inspect(&options, &[ONE]), Err(OpenError::NewerSchema { found: 2, known: 1, .. })));
        assert!(matches!(inspect(&options, &[]), Err(OpenError::UnknownOwner { owner }) if owner == "one"));
    }
}
