//! Rosters in the store. Every change goes through [`change`]: the store's one writer is what puts the changes of an
//! account in order, and memory follows in the order of commits.

use std::sync::Arc;

use hearth_store::{Row, Sql, SqlExt, StoreError, Value, WriteSql};
use hearth_wire::{BareJid, framer, ns};

use crate::limits::ROSTER_GONE_MAX;
use crate::roster::{RosterChange, RosterItem};
use crate::subscription::Subscription;

/// All that is known of an account's contacts, and how many rows could not be read: those are left out, since the
/// rest of the roster is needed all the same.
///
/// # Errors
/// [`StoreError`].
pub fn items(sql: &mut dyn Sql, account: i64) -> Result<(Vec<RosterItem>, u64), StoreError> {
    let (mut items, mut damaged) = (Vec::new(), 0);
    sql.each(
        "SELECT jid, name, groups, subscription, listed, request, version FROM core_roster_item WHERE account = ?1",
        &[Value::Int(account)],
        &mut |row| {
            match sound(account, row) {
                Some(item) => items.push(item),
                None => damaged += 1,
            }
            Ok(())
        },
    )?;
    Ok((items, damaged))
}

/// What is known of one contact. Nothing, if its row cannot be read: the next change writes it anew.
///
/// # Errors
/// [`StoreError`].
pub fn item(sql: &mut dyn Sql, account: i64, jid: &BareJid) -> Result<Option<RosterItem>, StoreError> {
    let found = sql.optional(
        "SELECT jid, name, groups, subscription, listed, request, version FROM core_roster_item \
         WHERE account = ?1 AND jid = ?2",
        &[Value::Int(account), Value::Text(jid.as_str())],
        |row| Ok(sound(account, row)),
    )?;
    Ok(found.flatten())
}

/// The item, unless its row is not what we wrote; an operator must learn of that.
fn sound(account: i64, row: &Row<'_>) -> Option<RosterItem> {
    read(row).inspect_err(|error| tracing::error!(account, %error, "a contact in the store is damaged")).ok()
}

/// Why a row is not what we wrote.
#[derive(Debug, thiserror::Error)]
enum Damage {
    #[error("{0}")]
    Column(#[from] StoreError),
    #[error("the address: {0}")]
    Address(#[from] hearth_wire::JidError),
    #[error("the groups")]
    Groups(#[from] serde_json::Error),
    #[error("the subscription")]
    Subscription,
    #[error("the request")]
    Request,
}

fn read(row: &Row<'_>) -> Result<RosterItem, Damage> {
    let jid = BareJid::parse(row.text(0)?)?;
    let groups: Vec<Box<str>> = serde_json::from_str(row.text(2)?)?;
    let bits = u8::try_from(row.int(3)?).map_err(|_| Damage::Subscription)?;
    let request = row.optional_text(5)?.map(|text| framer::read_stanza(text).ok_or(Damage::Request));
    Ok(RosterItem {
        name: row.optional_text(1)?.map(Into::into),
        groups: groups.into(),
        subscription: Subscription::from_bits(bits),
        listed: row.flag(4)?,
        request: request.transpose()?.map(Arc::new),
        version: row.int(6)?,
        ..RosterItem::new(jid)
    })
}

/// How many contacts a roster shows.
///
/// # Errors
/// [`StoreError`].
pub fn count(sql: &mut dyn Sql, account: i64) -> Result<i64, StoreError> {
    let args = [Value::Int(account)];
    sql.one("SELECT COUNT(*) FROM core_roster_item WHERE account = ?1 AND listed = 1", &args, |row| {
        row.int(0)
    })
}

/// Changes what is known of one contact: `edit` gets the present item (or a blank one) and answers the new one, or
/// `None` to forget it.
///
/// # Errors
/// [`StoreError`].
pub fn change(
    sql: &mut dyn WriteSql,
    account: i64,
    jid: &BareJid,
    edit: impl FnOnce(RosterItem) -> Option<RosterItem>,
) -> Result<RosterChange, StoreError> {
    let old = item(sql, account, jid)?;
    let before = old.clone().unwrap_or_else(|| RosterItem::new(jid.clone()));
    let after = edit(before.clone()).filter(|item| item.listed || item.subscription.pending_in);
    let visible = match &after {
        Some(item) => !item.looks_like(&before),
        None => before.listed,
    };
    let version = if visible { next_version(sql, account)? } else { current_version(sql, account)? };
    let after =
        after.map(|item| RosterItem { version: if visible { version } else { item.version }, ..item });
    match &after {
        Some(item) => write(sql, account, item)?,
        None if old.is_some() => erase(sql, account, jid, visible.then_some(version))?,
        None => {}
    }
    Ok(RosterChange { item: after, jid: jid.clone().compact(), visible, version })
}

fn write(sql: &mut dyn WriteSql, account: i64, item: &RosterItem) -> Result<(), StoreError> {
    let groups = serde_json::to_string(&item.groups)
        .map_err(|_| StoreError::Refused("a roster group cannot be written"))?;
    let request = item.request.as_ref().map(|request| {
        let mut text = String::new();
        request.write(&mut text, None, Some(ns::CLIENT));
        text
    });
    sql.run(
        "INSERT INTO core_roster_item (account, jid, name, groups, subscription, listed, request, version) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (account, jid) DO UPDATE SET name = excluded.name, \
         groups = excluded.groups, subscription = excluded.subscription, listed = excluded.listed, \
         request = excluded.request, version = excluded.version",
        &[
            Value::Int(account),
            Value::Text(item.jid.as_str()),
            Value::from(item.name.as_deref()),
            Value::Text(&groups),
            Value::Int(i64::from(item.subscription.bits())),
            Value::Int(i64::from(item.listed)),
            Value::from(request.as_deref()),
            Value::Int(item.version),
        ],
    )?;
    let args = [Value::Int(account), Value::Text(item.jid.as_str())];
    sql.run("DELETE FROM core_roster_gone WHERE account = ?1 AND jid = ?2", &args)?;
    Ok(())
}

fn erase(
    sql: &mut dyn WriteSql,
    account: i64,
    jid: &BareJid,
    gone_at: Option<i64>,
) -> Result<(), StoreError> {
    let args = [Value::Int(account), Value::Text(jid.as_str())];
    sql.run("DELETE FROM core_roster_item WHERE account = ?1 AND jid = ?2", &args)?;
    let Some(version) = gone_at else { return Ok(()) };
    sql.run(
        "INSERT INTO core_roster_gone (account, jid, version) VALUES (?1, ?2, ?3) \
         ON CONFLICT (account, jid) DO UPDATE SET version = excluded.version",
        &[Value::Int(account), Value::Text(jid.as_str()), Value::Int(version)],
    )?;
    let args = [Value::Int(account), Value::Int(version - ROSTER_GONE_MAX)];
    sql.run("DELETE FROM core_roster_gone WHERE account = ?1 AND version <= ?2", &args)?;
    Ok(())
}

fn next_version(sql: &mut dyn WriteSql, account: i64) -> Result<i64, StoreError> {
    sql.one(
        "UPDATE core_account SET roster_version = roster_version + 1 WHERE id = ?1 RETURNING roster_version",
        &[Value::Int(account)],
        |row| row.int(0),
    )
}

fn current_version(sql: &mut dyn WriteSql, account: i64) -> Result<i64, StoreError> {
    let args = [Value::Int(account)];
    sql.one("SELECT roster_version FROM core_account WHERE id = ?1", &args, |row| row.int(0))
}

/// Contacts removed since a version, for interim pushes; `None` if the memory does not reach back that far.
///
/// # Errors
/// [`StoreError`].
pub fn gone_since(
    sql: &mut dyn Sql,
    account: i64,
    since: i64,
    now: i64,
) -> Result<Option<Vec<(BareJid, i64)>>, StoreError> {
    if since < now - ROSTER_GONE_MAX {
        return Ok(None);
    }
    sql.list(
        "SELECT jid, version FROM core_roster_gone WHERE account = ?1 AND version > ?2",
        &[Value::Int(account), Value::Int(since)],
        |row| Ok((BareJid::parse(row.text(0)?).ok(), row.int(1)?)),
    )
    .map(|rows| Some(rows.into_iter().filter_map(|(jid, version)| Some((jid?, version))).collect()))
}
