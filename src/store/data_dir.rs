//! The data directory: made only on request, closed to others, and held by one process at a time.
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
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(at(dir))?;
    tighten(dir, 0o700)?;
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
