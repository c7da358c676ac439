//! Documents per account: a declared kind, a name, bytes. Enough for whatever needs neither order nor search.

use crate::{Migrations, Sql, SqlExt, StoreError};

pub(crate) const MIGRATIONS: Migrations = Migrations {
    owner: "kv",
    steps: &["CREATE TABLE kv (
            account BIGINT NOT NULL,
            kind TEXT NOT NULL,
            name TEXT NOT NULL,
            value BLOB NOT NULL,
            PRIMARY KEY (account, kind, name)
        );"],
};

const GET: &str = "SELECT value FROM kv WHERE account = ?1 AND kind = ?2 AND name = ?3";
const UPDATE: &str = "UPDATE kv SET value = ?4 WHERE account = ?1 AND kind = ?2 AND name = ?3";
const INSERT: &str = "INSERT INTO kv (account, kind, name, value) VALUES (?1, ?2, ?3, ?4)";
const DELETE: &str = "DELETE FROM kv WHERE account = ?1 AND kind = ?2 AND name = ?3";
const COUNT: &str = "SELECT count(*) FROM kv WHERE account = ?1 AND kind = ?2";
const LIST: &str = "SELECT name, length(value) FROM kv WHERE account = ?1 AND kind = ?2 ORDER BY name";
const FORGET_ACCOUNT: &str = "DELETE FROM kv WHERE account = ?1";

/// All statements, for the test that none of them scans.
#[cfg(test)]
pub(crate) const ALL: &[&str] = &[GET, UPDATE, INSERT, DELETE, COUNT, LIST, FORGET_ACCOUNT];

/// A name may be this long.
pub const NAME_BYTES_MAX: usize = 1024;

/// A kind of documents, declared by the module that keeps them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Its name in the database. Never changed after a release.
    pub name: &'static str,
    /// A document may be this large.
    pub value_bytes_max: usize,
    /// An account may keep this many.
    pub count_max: u32,
}

/// A document, if there is one.
///
/// # Errors
/// See [`StoreError`].
pub fn get(sql: &mut dyn Sql, kind: &Kind, account: i64, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
    sql.optional(GET, &[account.into(), kind.name.into(), name.into()], |row| row.blob(0).map(<[u8]>::to_vec))
}

/// Keeps a document in the place of the one before it.
///
/// # Errors
/// [`StoreError::TooLarge`] and [`StoreError::TooMany`] by the limits of the kind.
pub fn set(sql: &mut dyn Sql, kind: &Kind, account: i64, name: &str, value: &[u8]) -> Result<(), StoreError> {
    within(name.len(), NAME_BYTES_MAX)?;
    within(value.len(), kind.value_bytes_max)?;
    let args = [account.into(), kind.name.into(), name.into(), value.into()];
    if sql.run(UPDATE, &args)? == 1 {
        return Ok(());
    }
    if count(sql, kind, account)? >= i64::from(kind.count_max) {
        return Err(StoreError::TooMany { count_max: kind.count_max });
    }
    sql.run(INSERT, &args)?;
    Ok(())
}

/// Removes a document and says whether there was one.
///
/// # Errors
/// See [`StoreError`].
pub fn delete(sql: &mut dyn Sql, kind: &Kind, account: i64, name: &str) -> Result<bool, StoreError> {
    Ok(sql.run(DELETE, &[account.into(), kind.name.into(), name.into()])? == 1)
}

/// The names of an account's documents of a kind and their sizes in bytes, by name. Bounded by the kind.
///
/// # Errors
/// See [`StoreError`].
pub fn list(sql: &mut dyn Sql, kind: &Kind, account: i64) -> Result<Vec<(String, usize)>, StoreError> {
    sql.list(LIST, &[account.into(), kind.name.into()], |row| {
        Ok((row.text(0)?.to_owned(), usize::try_from(row.int(1)?).unwrap_or(0)))
    })
}

/// Removes all documents of an account that is removed.
///
/// # Errors
/// See [`StoreError`].
pub fn forget_account(sql: &mut dyn Sql, account: i64) -> Result<(), StoreError> {
    sql.run(FORGET_ACCOUNT, &[account.into()])?;
    Ok(())
}

fn count(sql: &mut dyn Sql, kind: &Kind, account: i64) -> Result<i64, StoreError> {
    sql.one(COUNT, &[account.into(), kind.name.into()], |row| row.int(0))
}

fn within(bytes: usize, bytes_max: usize) -> Result<(), StoreError> {
    if bytes > bytes_max { Err(StoreError::TooLarge { bytes, bytes_max }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Store;

    const NOTES: Kind = Kind { name: "notes", value_bytes_max: 8, count_max: 2 };
    const OTHER: Kind = Kind { name: "other", ..NOTES };

    #[tokio::test]
    async fn a_document_is_kept_replaced_listed_and_removed() {
        let store = Store::in_memory(&[]).unwrap();
        let story = |sql: &mut dyn crate::WriteSql| {
            set(sql, &NOTES, 1, "b", b"one")?;
            set(sql, &NOTES, 1, "b", b"second")?;
            set(sql, &NOTES, 1, "a", b"")?;
            assert_eq!(get(sql, &NOTES, 1, "b")?, Some(b"second".to_vec()));
            assert_eq!(get(sql, &OTHER, 1, "b")?, None, "kinds are apart");
            assert_eq!(get(sql, &NOTES, 2, "b")?, None, "accounts are apart");
            assert_eq!(list(sql, &NOTES, 1)?, [("a".to_owned(), 0), ("b".to_owned(), 6)]);
            assert!(delete(sql, &NOTES, 1, "b")?);
            assert!(!delete(sql, &NOTES, 1, "b")?);
            forget_account(sql, 1)?;
            assert_eq!(list(sql, &NOTES, 1)?, []);
            Ok(())
        };
        store.write(story).await.unwrap();
    }

    #[tokio::test]
    async fn the_limits_of_a_kind_hold() {
        let store = Store::in_memory(&[]).unwrap();
        let story = |sql: &mut dyn crate::WriteSql| {
            let too_large = Err(StoreError::TooLarge { bytes: 9, bytes_max: 8 });
            assert_eq!(set(sql, &NOTES, 1, "a", b"123456789"), too_large);
            let name = "x".repeat(NAME_BYTES_MAX + 1);
            let too_long = Err(StoreError::TooLarge { bytes: 1025, bytes_max: 1024 });
            assert_eq!(set(sql, &NOTES, 1, &name, b""), too_long);
            set(sql, &NOTES, 1, "a", b"12345678")?;
            set(sql, &NOTES, 1, "b", b"")?;
            assert_eq!(set(sql, &NOTES, 1, "c", b""), Err(StoreError::TooMany { count_max: 2 }));
            set(sql, &NOTES, 1, "b", b"replaced")?;
            set(sql, &OTHER, 1, "c", b"")
        };
        store.write(story).await.unwrap();
    }
}
