//! The accounts in the store: plain functions over [`Sql`], tested without async.

use hearth_store::{Migrations, Sql, SqlExt, StoreError, Value, WriteSql, log};

use crate::limits::OFFLINE_COUNTED_MAX;
use crate::roster::Roster;
use crate::roster_table;

/// The core's own tables.
pub const MIGRATIONS: Migrations = Migrations {
    owner: "core",
    steps: &["CREATE TABLE core_counter (name TEXT PRIMARY KEY, value BIGINT NOT NULL);
        INSERT INTO core_counter (name, value) VALUES ('account', 0);
        CREATE TABLE core_secret (name TEXT PRIMARY KEY, value BLOB NOT NULL);
        CREATE TABLE core_account (
            id BIGINT PRIMARY KEY,
            domain TEXT NOT NULL,
            localpart TEXT NOT NULL,
            keys TEXT NOT NULL,
            disabled SMALLINT NOT NULL,
            created_ms BIGINT NOT NULL,
            roster_version BIGINT NOT NULL,
            UNIQUE (domain, localpart)
        );
        CREATE TABLE core_roster_item (
            account BIGINT NOT NULL,
            jid TEXT NOT NULL,
            name TEXT,
            groups TEXT NOT NULL,
            subscription SMALLINT NOT NULL,
            listed SMALLINT NOT NULL,
            request TEXT,
            version BIGINT NOT NULL,
            PRIMARY KEY (account, jid)
        );
        CREATE TABLE core_roster_gone (
            account BIGINT NOT NULL,
            jid TEXT NOT NULL,
            version BIGINT NOT NULL,
            PRIMARY KEY (account, jid)
        );"],
};

/// What an account is when it is loaded.
#[derive(Debug)]
pub struct AccountRow {
    /// Its number; never reused.
    pub id: i64,
    /// Whether it may log in.
    pub disabled: bool,
    /// Its SCRAM keys, as text (`sasl::Credentials`).
    pub keys: String,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// Its contacts.
    pub roster: Roster,
    /// How many of its contacts could not be read, and are left out.
    pub damaged: u64,
    /// How many messages wait in its log, up to [`OFFLINE_COUNTED_MAX`].
    pub offline: u32,
}

/// An account to be made.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// Prepared domain.
    pub domain: String,
    /// Prepared localpart.
    pub localpart: String,
    /// Its SCRAM keys, as text.
    pub keys: String,
    /// When, in milliseconds since 1970.
    pub created_ms: i64,
}

/// Loads an account with its roster; `None` if there is none.
///
/// # Errors
/// [`StoreError`].
pub fn load(sql: &mut dyn Sql, domain: &str, localpart: &str) -> Result<Option<AccountRow>, StoreError> {
    let found = sql.optional(
        "SELECT id, disabled, keys, created_ms, roster_version FROM core_account WHERE domain = ?1 AND localpart = ?2",
        &[Value::Text(domain), Value::Text(localpart)],
        |row| Ok((row.int(0)?, row.flag(1)?, row.text(2)?.to_owned(), row.int(3)?, row.int(4)?)),
    )?;
    let Some((id, disabled, keys, created_ms, version)) = found else { return Ok(None) };
    let (items, damaged) = roster_table::items(sql, id)?;
    let roster = Roster::new(version, items);
    let offline = log::offline_count(sql, id, OFFLINE_COUNTED_MAX)?;
    Ok(Some(AccountRow { id, disabled, keys, created_ms, roster, damaged, offline }))
}

/// The SCRAM keys of an account as text, and whether it is disabled.
///
/// # Errors
/// [`StoreError`].
pub fn keys(sql: &mut dyn Sql, domain: &str, localpart: &str) -> Result<Option<(String, bool)>, StoreError> {
    sql.optional(
        "SELECT keys, disabled FROM core_account WHERE domain = ?1 AND localpart = ?2",
        &[Value::Text(domain), Value::Text(localpart)],
        |row| Ok((row.text(0)?.to_owned(), row.flag(1)?)),
    )
}

/// Makes an account; `None` if the name is taken.
///
/// # Errors
/// [`StoreError`].
pub fn create(sql: &mut dyn WriteSql, account: &NewAccount) -> Result<Option<i64>, StoreError> {
    let id = next_id(sql)?;
    let made = sql.run(
        "INSERT INTO core_account (id, domain, localpart, keys, disabled, created_ms, roster_version) \
         VALUES (?1, ?2, ?3, ?4, 0, ?5, 0) ON CONFLICT (domain, localpart) DO NOTHING",
        &[
            Value::Int(id),
            Value::Text(&account.domain),
            Value::Text(&account.localpart),
            Value::Text(&account.keys),
            Value::Int(account.created_ms),
        ],
    )?;
    Ok((made == 1).then_some(id))
}

/// The number of an account must never come back: what a removed one left behind would come with it.
fn next_id(sql: &mut dyn WriteSql) -> Result<i64, StoreError> {
    sql.one("UPDATE core_counter SET value = value + 1 WHERE name = 'account' RETURNING value", &[], |row| {
        row.int(0)
    })
}

/// Sets the SCRAM keys; false if there is no such account.
///
/// # Errors
/// [`StoreError`].
pub fn set_keys(sql: &mut dyn WriteSql, id: i64, keys: &str) -> Result<bool, StoreError> {
    let args = [Value::Int(id), Value::Text(keys)];
    Ok(sql.run("UPDATE core_account SET keys = ?2 WHERE id = ?1", &args)? == 1)
}

/// Disables or enables an account; false if there is no such account.
///
/// # Errors
/// [`StoreError`].
pub fn set_disabled(sql: &mut dyn WriteSql, id: i64, disabled: bool) -> Result<bool, StoreError> {
    let args = [Value::Int(id), Value::Int(i64::from(disabled))];
    Ok(sql.run("UPDATE core_account SET disabled = ?2 WHERE id = ?1", &args)? == 1)
}

/// Removes an account with its roster; modules and the log are the caller's.
///
/// # Errors
/// [`StoreError`].
pub fn remove(sql: &mut dyn WriteSql, id: i64) -> Result<(), StoreError> {
    for statement in [
        "DELETE FROM core_roster_item WHERE account = ?1",
        "DELETE FROM core_roster_gone WHERE account = ?1",
        "DELETE FROM core_account WHERE id = ?1",
    ] {
        sql.run(statement, &[Value::Int(id)])?;
    }
    Ok(())
}

/// One line of [`list`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Localpart.
    pub localpart: String,
    /// Whether it may log in.
    pub disabled: bool,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
}

/// Accounts of a domain in the order of their names, from behind `after` on.
///
/// # Errors
/// [`StoreError`].
pub fn list(sql: &mut dyn Sql, domain: &str, after: &str, limit: u32) -> Result<Vec<Listed>, StoreError> {
    sql.list(
        "SELECT localpart, disabled, created_ms FROM core_account \
         WHERE domain = ?1 AND localpart > ?2 ORDER BY localpart LIMIT ?3",
        &[Value::Text(domain), Value::Text(after), Value::Int(i64::from(limit))],
        |row| {
            Ok(Listed { localpart: row.text(0)?.to_owned(), disabled: row.flag(1)?, created_ms: row.int(2)? })
        },
    )
}

/// How many accounts a domain has.
///
/// # Errors
/// [`StoreError`].
pub fn count(sql: &mut dyn Sql, domain: &str) -> Result<i64, StoreError> {
    sql.one("SELECT COUNT(*) FROM core_account WHERE domain = ?1", &[Value::Text(domain)], |row| row.int(0))
}

/// The secret with this name, made from `fresh` at the first call.
///
/// # Errors
/// [`StoreError`].
pub fn secret(sql: &mut dyn WriteSql, name: &str, fresh: &[u8; 32]) -> Result<Vec<u8>, StoreError> {
    sql.run(
        "INSERT INTO core_secret (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING",
        &[Value::Text(name), Value::Blob(fresh)],
    )?;
    let args = [Value::Text(name)];
    sql.one("SELECT value FROM core_secret WHERE name = ?1", &args, |row| Ok(row.blob(0)?.to_vec()))
}
