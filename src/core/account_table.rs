//! The accounts in the store: plain functions over [`Sql`], tested without async.

use hearth_store::{Migrations, Row, Sql, SqlExt, StoreError, Value, WriteSql, log};

use crate::key_tally::Counted;
use crate::limits::OFFLINE_COUNTED_MAX;
use crate::roster::Roster;
use crate::roster_table;
use crate::sasl::{Credentials, KeysMark, Shape};

/// The core's own tables.
pub const MIGRATIONS: Migrations = Migrations {
    owner: "core",
    steps: &[
        "CREATE TABLE core_counter (name TEXT PRIMARY KEY, value BIGINT NOT NULL);
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
        );",
        "ALTER TABLE core_account ADD COLUMN shape TEXT NOT NULL DEFAULT '?';
        ALTER TABLE core_account ADD COLUMN keys_generation BIGINT NOT NULL DEFAULT 0;
        CREATE INDEX core_account_by_shape ON core_account (domain, disabled, shape);
        CREATE TABLE core_account_gone (account BIGINT PRIMARY KEY);",
    ],
};

/// The shape of an account that was made before shapes were kept.
const NO_SHAPE: &str = "?";

/// What an account is when it is loaded.
#[derive(Debug)]
pub struct AccountRow {
    /// Its number; never reused.
    pub id: i64,
    /// What it logs in with.
    pub login: LoginRow,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// Its contacts.
    pub roster: Roster,
    /// How many of its contacts could not be read, and are left out.
    pub damaged: u64,
    /// How many messages wait in its log, up to [`OFFLINE_COUNTED_MAX`].
    pub offline: u32,
    /// The newest row of its log; 0: none.
    pub newest: i64,
}

/// What an account logs in with.
#[derive(Clone)]
pub struct LoginRow {
    /// Its SCRAM keys, as text (`sasl::Credentials`).
    pub keys: String,
    /// Whether it may not log in.
    pub disabled: bool,
    /// Which keys of which account these are.
    pub mark: KeysMark,
}

impl LoginRow {
    /// The keys, to check a login with; `None` if what is stored is damaged.
    pub fn credentials(&self) -> Option<Credentials> {
        let mut credentials = Credentials::from_text(&self.keys, self.disabled).ok()?;
        credentials.mark = self.mark;
        Some(credentials)
    }
}

impl std::fmt::Debug for LoginRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // the keys are secret
        f.debug_struct("LoginRow").field("mark", &self.mark).finish_non_exhaustive()
    }
}

/// An account to be made.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// Prepared domain.
    pub domain: String,
    /// Prepared localpart.
    pub localpart: String,
    /// Its SCRAM keys.
    pub keys: Credentials,
    /// When, in milliseconds since 1970.
    pub created_ms: i64,
}

/// Loads an account with its roster; `None` if there is none.
///
/// # Errors
/// [`StoreError`].
pub fn load(sql: &mut dyn Sql, domain: &str, localpart: &str) -> Result<Option<AccountRow>, StoreError> {
    load_telling(sql, domain, localpart, |_| ())
}

/// The same, and tells what the account logs in with before it reads the rest, however long that is.
///
/// # Errors
/// [`StoreError`].
pub fn load_telling(
    sql: &mut dyn Sql,
    domain: &str,
    localpart: &str,
    tell: impl FnOnce(Option<&LoginRow>),
) -> Result<Option<AccountRow>, StoreError> {
    let found = sql.optional(
        "SELECT keys, disabled, id, keys_generation, created_ms, roster_version FROM core_account \
         WHERE domain = ?1 AND localpart = ?2",
        &[Value::Text(domain), Value::Text(localpart)],
        |row| Ok((login(row)?, row.int(4)?, row.int(5)?)),
    )?;
    tell(found.as_ref().map(|(login, ..)| login));
    let Some((login, created_ms, version)) = found else { return Ok(None) };
    let id = login.mark.account;
    let (items, damaged) = roster_table::items(sql, id)?;
    let roster = Roster::new(created_ms, version, items);
    let (offline, newest) = log::offline_count(sql, id, OFFLINE_COUNTED_MAX)?;
    Ok(Some(AccountRow { id, login, created_ms, roster, damaged, offline, newest }))
}

/// What an account logs in with; `None` if there is none.
///
/// # Errors
/// [`StoreError`].
pub fn login_row(sql: &mut dyn Sql, domain: &str, localpart: &str) -> Result<Option<LoginRow>, StoreError> {
    sql.optional(
        "SELECT keys, disabled, id, keys_generation FROM core_account WHERE domain = ?1 AND localpart = ?2",
        &[Value::Text(domain), Value::Text(localpart)],
        login,
    )
}

fn login(row: &Row<'_>) -> Result<LoginRow, StoreError> {
    let mark = KeysMark { account: row.int(2)?, generation: row.int(3)? };
    Ok(LoginRow { keys: row.text(0)?.to_owned(), disabled: row.flag(1)?, mark })
}

/// The number of an account; `None` if there is none.
///
/// # Errors
/// [`StoreError`].
pub fn id(sql: &mut dyn Sql, domain: &str, localpart: &str) -> Result<Option<i64>, StoreError> {
    let args = [Value::Text(domain), Value::Text(localpart)];
    sql.optional("SELECT id FROM core_account WHERE domain = ?1 AND localpart = ?2", &args, |row| row.int(0))
}

/// The shape of an account's keys as stored. A damaged one counts as the usual one, here as well as at the start.
pub(crate) fn shape(text: &str) -> Shape {
    text.parse().unwrap_or_else(|error| {
        tracing::error!(%error, "what is stored of an account's keys is damaged");
        Shape::OWN
    })
}

/// The account as it is counted ([`crate::key_tally`]).
fn counted(sql: &mut dyn Sql, id: i64) -> Result<Option<Counted>, StoreError> {
    sql.optional("SELECT domain, shape, disabled FROM core_account WHERE id = ?1", &[Value::Int(id)], |row| {
        Ok(Counted { domain: row.text(0)?.to_owned(), shape: shape(row.text(1)?), disabled: row.flag(2)? })
    })
}

/// Makes an account; `None` if the name is taken.
///
/// # Errors
/// [`StoreError`].
pub fn create(sql: &mut dyn WriteSql, account: &NewAccount) -> Result<Option<i64>, StoreError> {
    let id = next_id(sql)?;
    let made = sql.run(
        "INSERT INTO core_account (id, domain, localpart, keys, disabled, created_ms, roster_version, shape) \
         VALUES (?1, ?2, ?3, ?4, 0, ?5, 0, ?6) ON CONFLICT (domain, localpart) DO NOTHING",
        &[
            Value::Int(id),
            Value::Text(&account.domain),
            Value::Text(&account.localpart),
            Value::Text(&account.keys.to_text()),
            Value::Int(account.created_ms),
            Value::Text(&Shape::from(&account.keys).to_string()),
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

/// An account before and after a change.
#[derive(Debug, Clone)]
pub struct Changed {
    /// As it was counted.
    pub before: Counted,
    /// As it is counted now.
    pub after: Counted,
    /// The generation of its keys now.
    pub generation: i64,
}

/// Sets the SCRAM keys of a new password; `None` if there is no such account.
///
/// # Errors
/// [`StoreError`].
pub fn set_keys(sql: &mut dyn WriteSql, id: i64, keys: &Credentials) -> Result<Option<Changed>, StoreError> {
    write_keys(sql, id, keys, 1)
}

/// Adds keys for the hashes that are missing, of the password that `mark` belongs to; `None` if it is another one by
/// now, or the account has gone.
///
/// # Errors
/// [`StoreError`].
pub fn complete_keys(
    sql: &mut dyn WriteSql,
    mark: KeysMark,
    keys: &Credentials,
) -> Result<Option<Changed>, StoreError> {
    let args = [Value::Int(mark.account), Value::Int(mark.generation)];
    let stored = sql.optional(
        "SELECT keys, disabled, id, keys_generation FROM core_account WHERE id = ?1 AND keys_generation = ?2",
        &args,
        login,
    )?;
    let Some(mut stored) = stored.and_then(|row| row.credentials()) else { return Ok(None) };
    stored.complete(keys.clone());
    write_keys(sql, mark.account, &stored, 0)
}

fn write_keys(
    sql: &mut dyn WriteSql,
    id: i64,
    keys: &Credentials,
    newer_by: i64,
) -> Result<Option<Changed>, StoreError> {
    let Some(before) = counted(sql, id)? else { return Ok(None) };
    let shape = Shape::from(keys);
    let generation = sql.one(
        "UPDATE core_account SET keys = ?2, shape = ?3, keys_generation = keys_generation + ?4 WHERE id = ?1 \
         RETURNING keys_generation",
        &[
            Value::Int(id),
            Value::Text(&keys.to_text()),
            Value::Text(&shape.to_string()),
            Value::Int(newer_by),
        ],
        |row| row.int(0),
    )?;
    let after = Counted { shape, ..before.clone() };
    Ok(Some(Changed { before, after, generation }))
}

/// Disables or enables an account; `None` if there is no such account.
///
/// # Errors
/// [`StoreError`].
pub fn set_disabled(
    sql: &mut dyn WriteSql,
    id: i64,
    disabled: bool,
) -> Result<Option<(Counted, Counted)>, StoreError> {
    let Some(before) = counted(sql, id)? else { return Ok(None) };
    let args = [Value::Int(id), Value::Int(i64::from(disabled))];
    sql.run("UPDATE core_account SET disabled = ?2 WHERE id = ?1", &args)?;
    let after = Counted { disabled, ..before.clone() };
    Ok(Some((before, after)))
}

/// Removes an account with its roster, and remembers that its log has to go; what modules have is the caller's. `None`
/// if there is no such account.
///
/// # Errors
/// [`StoreError`].
pub fn remove(sql: &mut dyn WriteSql, id: i64) -> Result<Option<Counted>, StoreError> {
    let Some(counted) = counted(sql, id)? else { return Ok(None) };
    for statement in [
        "DELETE FROM core_roster_item WHERE account = ?1",
        "DELETE FROM core_roster_gone WHERE account = ?1",
        "DELETE FROM core_account WHERE id = ?1",
        "INSERT INTO core_account_gone (account) VALUES (?1)",
    ] {
        sql.run(statement, &[Value::Int(id)])?;
    }
    Ok(Some(counted))
}

/// Removed accounts whose log may not be empty yet.
///
/// # Errors
/// [`StoreError`].
pub fn gone(sql: &mut dyn Sql) -> Result<Vec<i64>, StoreError> {
    sql.list("SELECT account FROM core_account_gone", &[], |row| row.int(0))
}

/// Removes a part of the log of a removed account, and with the last part what is remembered of it; whether it was the
/// last.
///
/// # Errors
/// [`StoreError`].
pub fn forget_log(sql: &mut dyn WriteSql, id: i64, rows_max: u32) -> Result<bool, StoreError> {
    if log::forget_account(sql, id, rows_max)? > 0 {
        return Ok(false);
    }
    sql.run("DELETE FROM core_account_gone WHERE account = ?1", &[Value::Int(id)])?;
    Ok(true)
}

/// Notes the shape of keys of up to `rows_max` accounts that were made before shapes were kept; how many.
///
/// # Errors
/// [`StoreError`].
pub fn note_shapes(sql: &mut dyn WriteSql, rows_max: u32) -> Result<usize, StoreError> {
    let args = [Value::Text(NO_SHAPE), Value::Int(i64::from(rows_max))];
    let accounts = sql.list("SELECT id, keys FROM core_account WHERE shape = ?1 LIMIT ?2", &args, |row| {
        // nobody can log in with damaged keys; they must not keep others from it
        let keys = Credentials::from_text(row.text(1)?, false);
        Ok((row.int(0)?, keys.map_or(Shape::OWN, |keys| Shape::from(&keys))))
    })?;
    for (id, shape) in &accounts {
        let args = [Value::Int(*id), Value::Text(&shape.to_string())];
        sql.run("UPDATE core_account SET shape = ?2 WHERE id = ?1", &args)?;
    }
    Ok(accounts.len())
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
