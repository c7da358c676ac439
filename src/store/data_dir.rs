//! The data directory: made only on request and of its own, closed to others, and held by one process at a time.
//!
//! Nothing in it names the machine, so it can be moved to another one.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::{OpenError, Options};

/// The database within the data directory.
pub(crate) const DATABASE: &str = "hearth.db";
/// The lock beside it. A file of its own: SQLite's locks on the database come and go.
pub(crate) const LOCK: &str = "hearth.lock";

/// What a file system puts into an empty directory.
const OF_THE_DISK: &str = "lost+found";
/// All files of ours in the data directory begin like this.
const OURS: &str = "hearth.";
/// What a start leaves behind that ended before there was a database.
const OF_A_BEGINNING: [&str; 5] = [LOCK, DATABASE, "hearth.db-journal", "hearth.db-wal", "hearth.db-shm"];

/// The right to use a data directory. The system ends it with the process, however that ends.
pub(crate) struct Held {
    _lock: File,
    pub(crate) database: PathBuf,
}

/// Finds the database, or makes an empty one if that was asked for, and locks the directory.
pub(crate) fn hold(options: &Options) -> Result<Held, OpenError> {
    let dir = &options.dir;
    let database = dir.join(DATABASE);
    let exists = fs::metadata(&database).is_ok_and(|file| file.len() > 0);
    if !exists && !options.create {
        return Err(OpenError::WouldCreate { dir: dir.clone() });
    }
    if !exists && let Some(name) = in_the_way(dir)? {
        return Err(OpenError::NotEmpty { dir: dir.clone(), name });
    }
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(at(dir))?;
    if foreign(dir)?.is_none() {
        tighten(dir, 0o700)?;
    }
    let lock = lock(dir)?;
    private().create(true).append(true).open(&database).map_err(at(&database))?;
    tighten(&database, 0o600)?;
    if !exists {
        // A power cut must not take the names of what will be synced.
        sync_dir(dir)?;
        sync_dir(&dir.join(".."))?;
    }
    Ok(Held { _lock: lock, database })
}

/// What keeps a directory without a database from being made into a data directory: anything in it. Most likely the path
/// is wrong, or the database was moved away from its copies.
pub(crate) fn in_the_way(dir: &Path) -> Result<Option<String>, OpenError> {
    first_name(dir, |name| name != OF_THE_DISK && !OF_A_BEGINNING.contains(&name))
}

/// Something of others in a directory: whom it lets in is theirs to say then.
pub(crate) fn foreign(dir: &Path) -> Result<Option<String>, OpenError> {
    first_name(dir, |name| name != OF_THE_DISK && !name.starts_with(OURS))
}

/// The first name in the directory that counts; a directory that is not there holds nothing.
fn first_name(dir: &Path, counts: impl Fn(&str) -> bool) -> Result<Option<String>, OpenError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(at(dir)(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(at(dir))?.file_name().to_string_lossy().into_owned();
        if counts(&name) {
            names.push(name);
        }
    }
    Ok(names.into_iter().min())
}

fn lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join(LOCK);
    let mut file = private().create(true).read(true).write(true).open(&path).map_err(at(&path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            file.read_to_string(&mut holder).map_err(at(&path))?;
            return Err(OpenError::Locked { dir: dir.to_path_buf(), pid: holder.trim().parse().ok() });
        }
        Err(TryLockError::Error(why)) => return Err(OpenError::Io { path, why }),
    }
    file.set_len(0).map_err(at(&path))?;
    writeln!(file, "{}", std::process::id()).map_err(at(&path))?;
    Ok(file)
}

/// Files hold credentials and messages: nobody but the owner may look.
pub(crate) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

fn tighten(path: &Path, mode: u32) -> Result<(), OpenError> {
    let found = fs::metadata(path).map_err(at(path))?.permissions().mode() & 0o777;
    if found & !mode != 0 {
        tracing::warn!(path = %path.display(), "was open to other users of this machine; closed now");
        fs::set_permissions(path, Permissions::from_mode(mode)).map_err(at(path))?;
    }
    Ok(())
}

pub(crate) fn sync_dir(dir: &Path) -> Result<(), OpenError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(at(dir))
}

/// Names the file in an error.
pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_path_buf();
    |why| OpenError::Io { path, why }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    /// A directory that everybody may look into, with these files.
    fn directory(names: &[&str]) -> (tempfile::TempDir, Options) {
        let dir = tempfile::tempdir().unwrap();
        names.iter().for_each(|name| drop(File::create(dir.path().join(name)).unwrap()));
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        let options = Options { create: true, ..Options::new(dir.path()) };
        (dir, options)
    }

    #[test]
    fn what_belongs_to_others_is_not_taken_over() {
        for name in ["other", ".bashrc", "hearth.db.schema-7.snapshot"] {
            let (dir, options) = directory(&["lost+found", name]);
            let refused = hold(&options).err().unwrap();
            assert!(
                matches!(&refused, OpenError::NotEmpty { name: found, .. } if found == name),
                "{refused}"
            );
            assert_eq!(mode(dir.path()), 0o755, "{name}");
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing was made beside {name}");
        }
    }

    #[test]
    fn an_empty_directory_is_taken_and_closed() {
        for names in [&[][..], &["lost+found"], &["hearth.lock", "hearth.db"]] {
            let (dir, options) = directory(names);
            drop(hold(&options).unwrap());
            assert_eq!((mode(dir.path()), mode(&dir.path().join(DATABASE))), (0o700, 0o600), "{names:?}");
        }
    }

    #[test]
    fn a_directory_with_a_database_is_closed_if_it_is_ours_alone() {
        for (beside, closed) in [("hearth.db.schema-7.snapshot", 0o700), ("www", 0o755)] {
            let (dir, options) = directory(&[beside]);
            fs::write(dir.path().join(DATABASE), "not empty").unwrap();
            drop(hold(&options).unwrap());
            assert_eq!((mode(dir.path()), mode(&dir.path().join(DATABASE))), (closed, 0o600), "{beside}");
        }
    }
}
