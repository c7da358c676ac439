//! SQLite behind the `Sql` trait: how connections are opened and how its errors and types map to ours.
//!
//! WAL, so that readers and the writer do not wait for each other; `synchronous` by [`Durability`]; checkpoints
//! only when `checkpoint.rs` asks. <https://www.sqlite.org/wal.html>, <https://www.sqlite.org/pragma.html>

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use rusqlite::{CachedStatement, Connection, OpenFlags, ToSql, types::ToSqlOutput, types::ValueRef};

use crate::{Durability, Options, Row, Sql, StoreError, Value};

/// Only a foreign process (an administrator's `sqlite3`) can hold our locks; this long it is waited for.
const FOREIGN_LOCK_WAIT: Duration = Duration::from_secs(5);

/// Prepared statements kept per connection; the whole program has fewer.
const STATEMENTS_KEPT: usize = 256;

/// The database that connections are opened to.
#[derive(Clone, Debug)]
pub(crate) struct Engine {
    place: Place,
    durability: Durability,
    pages_max: Option<u32>,
}

#[derive(Clone, Debug)]
enum Place {
    File(PathBuf),
    /// A name in the process; the data lives as long as a connection to it.
    Memory(String),
}

impl Engine {
    pub(crate) fn file(path: PathBuf, options: &Options) -> Self {
        Self { place: Place::File(path), durability: options.durability, pages_max: options.pages_max }
    }

    pub(crate) fn memory() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("file:/hearth-{}?vfs=memdb", NEXT.fetch_add(1, Relaxed));
        Self { place: Place::Memory(name), durability: Durability::Crash, pages_max: None }
    }

    pub(crate) fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::File(path) => Some(path),
            Place::Memory(_) => None,
        }
    }

    /// The connection that writes. On an empty file it also decides the format.
    pub(crate) fn writer(&self) -> Result<Sqlite, StoreError> {
        let sqlite = self.open(Options::WRITER_CACHE_KIB)?;
        let connection = &sqlite.connection;
        connection.pragma_update(None, "page_size", Options::PAGE_BYTES)?;
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        if self.path().is_some() {
            connection.pragma_update(None, "journal_mode", "WAL")?;
        }
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        if let Some(pages_max) = self.pages_max {
            connection.pragma_update(None, "max_page_count", pages_max)?;
        }
        Ok(sqlite)
    }

    /// A connection that cannot write.
    pub(crate) fn reader(&self) -> Result<Sqlite, StoreError> {
        let sqlite = self.open(Options::READER_CACHE_KIB)?;
        sqlite.connection.pragma_update(None, "query_only", true)?;
        Ok(sqlite)
    }

    /// A connection for checkpoints. It never waits for readers: a later checkpoint will do.
    pub(crate) fn checkpointer(&self) -> Result<Connection, StoreError> {
        let sqlite = self.open(0)?;
        sqlite.connection.busy_timeout(Duration::ZERO)?;
        Ok(sqlite.connection)
    }

    fn open(&self, cache_kib: u32) -> Result<Sqlite, StoreError> {
        // Never CREATE: a file that has vanished must be an error, not an empty server.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = match &self.place {
            Place::File(path) => Connection::open_with_flags(path, flags)?,
            Place::Memory(uri) => Connection::open_with_flags(
                uri,
                flags | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_CREATE,
            )?,
        };
        connection.busy_timeout(FOREIGN_LOCK_WAIT)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
        let synchronous = match self.durability {
            Durability::Power => "FULL",
            Durability::Crash => "NORMAL",
        };
        connection.pragma_update(None, "synchronous", synchronous)?;
        connection.pragma_update(None, "cache_size", -i64::from(cache_kib))?;
        connection.pragma_update(None, "mmap_size", 0)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "trusted_schema", false)?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        Ok(Sqlite { connection, wrote: false })
    }
}

/// One connection.
pub(crate) struct Sqlite {
    pub(crate) connection: Connection,
    wrote: bool,
}

impl Sqlite {
    /// Whether a statement has changed something since this was asked last.
    pub(crate) fn take_wrote(&mut self) -> bool {
        std::mem::take(&mut self.wrote)
    }

    /// Whether a transaction is open. SQLite ends one by itself when the disk is full or fails.
    pub(crate) fn in_transaction(&self) -> bool {
        !self.connection.is_autocommit()
    }
}

impl Sql for Sqlite {
    fn run(&mut self, sql: &'static str, args: &[Value<'_>]) -> Result<u64, StoreError> {
        let mut statement = bound(&self.connection, sql, args)?;
        let changed = statement.raw_execute()?;
        // A statement that fails is undone by itself, so only success counts.
        self.wrote |= !statement.readonly();
        Ok(changed as u64)
    }

    fn each(
        &mut self,
        sql: &'static str,
        args: &[Value<'_>],
        visit: &mut dyn FnMut(&Row<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut statement = bound(&self.connection, sql, args)?;
        let writes = !statement.readonly();
        let mut rows = statement.raw_query();
        // SQLite makes all changes of a statement before it yields the first row of its RETURNING.
        let mut next = rows.next()?;
        self.wrote |= writes;
        while let Some(row) = next {
            visit(&Row(row))?;
            next = rows.next()?;
        }
        Ok(())
    }
}

fn bound<'c>(
    connection: &'c Connection,
    sql: &'static str,
    args: &[Value<'_>],
) -> Result<CachedStatement<'c>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    if statement.parameter_count() != args.len() {
        // SQLite would take the missing ones for NULL.
        return Err(StoreError::Query(format!("{} arguments for: {sql}", args.len())));
    }
    for (index, value) in args.iter().enumerate() {
        statement.raw_bind_parameter(index + 1, value)?;
    }
    Ok(statement)
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self {
            Value::Null => ValueRef::Null,
            Value::Int(number) => ValueRef::Integer(number),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}
