//! What can go wrong in the store, named by what the caller can do about it.
//!
//! `StoreError` is what a statement, a job or a commit can fail with while the server runs; `OpenError` is why the
//! server does not start, and its text names the fix, because an administrator reads it.

use std::path::PathBuf;

/// Why a read or a write did not happen. Nothing that failed with this is in the database.
///
/// Cheap to clone: a failing commit tells every job of its group.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The disk (or the page limit of a test) is full. Passes when there is room again.
    #[error("the disk of the database is full")]
    Full,
    /// The database cannot be used at the moment: I/O error, lost file, damaged page, lock held elsewhere.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// The queue is full and did not move within [`Options::reserve_wait_ms_max`](crate::Options).
    #[error("the database is too busy")]
    Busy,
    /// The store has been closed.
    #[error("the store is closed")]
    Closed,
    /// A constraint (UNIQUE, CHECK, NOT NULL, foreign key) refused the row.
    #[error("a constraint was violated: {0}")]
    Conflict(String),
    /// A row that must exist does not.
    #[error("no such row")]
    NoRow,
    /// A value is over the limit declared for it. Units: bytes.
    #[error("a value of {bytes} bytes is over its limit of {bytes_max}")]
    TooLarge {
        /// Size of the refused value.
        bytes: usize,
        /// The declared limit.
        bytes_max: usize,
    },
    /// One more entry would be over the limit declared for an account.
    #[error("more than {count_max} entries")]
    TooMany {
        /// The declared limit.
        count_max: u32,
    },
    /// The job itself said no after it had begun; what it wrote is rolled back.
    #[error("refused: {0}")]
    Refused(&'static str),
    /// A statement or its use is wrong: our mistake, never the peer's.
    #[error("statement failed: {0}")]
    Query(String),
    /// The job panicked; what it wrote is rolled back.
    #[error("a store job panicked")]
    Panicked,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Code;
        let rusqlite::Error::SqliteFailure(failure, _) = &error else {
            return Self::Query(error.to_string());
        };
        match failure.code {
            Code::DiskFull => Self::Full,
            Code::ConstraintViolation => Self::Conflict(error.to_string()),
            Code::SystemIoFailure
            | Code::CannotOpen
            | Code::DatabaseCorrupt
            | Code::NotADatabase
            | Code::ReadOnly
            | Code::PermissionDenied
            | Code::DatabaseBusy
            | Code::DatabaseLocked
            | Code::FileLockingProtocolFailed
            | Code::OutOfMemory
            | Code::NoLargeFileSupport
            | Code::OperationInterrupted
            | Code::OperationAborted => Self::Unavailable(error.to_string()),
            _ => Self::Query(error.to_string()),
        }
    }
}

/// Why the store could not be opened. The text names the fix.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no database and nobody asked for a new one: most likely the path is wrong.
    #[error(
        "there is no database in {}. If this is a new server, run `hearth init` or set `data.create = true`; \
         if it is not, `data.directory` points to the wrong place, and starting would begin with no accounts", dir.display()
    )]
    WouldCreate {
        /// The directory that was looked into.
        dir: PathBuf,
    },
    /// There is no database, and the directory is in other use: most likely the path is wrong.
    #[error(
        "there is no database in {}, and it holds `{name}`: a database is made only in an empty directory. If this is a \
         new server, let `data.directory` name a directory of its own; if it is not, `data.directory` points to the \
         wrong place", dir.display()
    )]
    NotEmpty {
        /// The directory.
        dir: PathBuf,
        /// Something in it.
        name: String,
    },
    /// Another process has this data directory open.
    #[error(
        "the data in {} is in use by {}. Stop that process, or give this one another `data.directory`",
        dir.display(),
        pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
    )]
    Locked {
        /// The directory.
        dir: PathBuf,
        /// The process that holds it, where it has said so.
        pid: Option<u32>,
    },
    /// The database was written by a newer version of the program.
    #[error(
        "the database is newer than this program: `{owner}` is at step {found}, and this version knows {known}. \
         Install the newer version again, or go back to the snapshot that was made before the upgrade (*.snapshot \
         beside the database)"
    )]
    NewerSchema {
        /// The owner of the tables.
        owner: String,
        /// The step that the database is at.
        found: usize,
        /// The last step that this program knows.
        known: usize,
    },
    /// The database has tables of a module that this program does not have: a newer version made them.
    #[error(
        "the database is newer than this program: it has tables of `{owner}`, which this version does not know and would \
         not keep up. Install the newer version again, or go back to the snapshot that was made before the upgrade \
         (*.snapshot beside the database)"
    )]
    UnknownOwner {
        /// The owner of the tables.
        owner: String,
    },
    /// Two modules claim one name of tables.
    #[error("two modules own the tables `{owner}`")]
    TwoOwners {
        /// The name.
        owner: &'static str,
    },
    /// A step made something that does not carry its owner's name.
    #[error("a migration of `{owner}` made `{name}`: tables and indices begin with their owner's name")]
    ForeignName {
        /// The owner.
        owner: &'static str,
        /// What it made.
        name: String,
    },
    /// A migration failed and was undone; the database is as it was before it.
    #[error("step {step} of `{owner}` failed and was undone: {why}")]
    Migration {
        /// The owner of the tables.
        owner: &'static str,
        /// The step, from 1.
        step: usize,
        /// What the database said.
        why: StoreError,
    },
    /// No room for the copy that is made before a migration. Nothing has been changed.
    #[error(
        "the upgrade copies the database to {} first, and there is no room for it: free {bytes} bytes and start again",
        path.display()
    )]
    NoRoom {
        /// Where the copy was to be.
        path: PathBuf,
        /// About how much it needs.
        bytes: u64,
    },
    /// A file or directory of the store could not be used.
    #[error("{}: {why}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        why: std::io::Error,
    },
    /// The database could not be opened or prepared.
    #[error("the database could not be opened: {0}")]
    Database(#[from] StoreError),
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error.into())
    }
}
