//! Migrations: each owner of tables brings its steps, and opening the store takes every owner to its last one.
//!
//! Forward only, each step in a transaction of its own, recorded in `store_schema` by the same transaction. A
//! released step is never edited; a new one is added. A database that is ahead of the program is refused: by a step, or
//! by an owner of tables that this program does not have, for which it would not write what belongs there.

use std::collections::{BTreeMap, BTreeSet};

use crate::sqlite::{Engine, Sqlite};
use crate::{OpenError, Sql, SqlExt, StoreError, snapshot};

/// The steps that lead to the tables of one owner. Its tables and indices begin with its name.
///
/// No constraint is DEFERRED: it would fail the commit, and so every job of the group, instead of the one at fault.
#[derive(Clone, Copy, Debug)]
pub struct Migrations {
    /// The owner: a module's name.
    pub owner: &'static str,
    /// Step 1 is the first. Each may hold several statements.
    pub steps: &'static [&'static str],
}

/// What the store itself keeps.
const STORE: Migrations = Migrations {
    owner: "store",
    steps: &["CREATE TABLE store_counter (name TEXT NOT NULL PRIMARY KEY, reserved BIGINT NOT NULL)"],
};

const BEGIN: &str =
    "CREATE TABLE IF NOT EXISTS store_schema (owner TEXT NOT NULL PRIMARY KEY, step BIGINT NOT NULL)";
const STEPS: &str = "SELECT owner, step FROM store_schema";
const RECORD: &str = "INSERT INTO store_schema (owner, step) VALUES (?1, ?2) \
                      ON CONFLICT (owner) DO UPDATE SET step = excluded.step";
const NAMES: &str = "SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'";

/// Brings the database to the last step of everybody, after a copy if it holds data.
pub(crate) fn migrate(engine: &Engine, sqlite: &mut Sqlite, modules: &[Migrations]) -> Result<(), OpenError> {
    let all = with_own(modules);
    check_owners(&all)?;
    sqlite.run(BEGIN, &[])?;
    let at = steps_done(sqlite)?;
    check_not_newer(&at, &all)?;
    let behind = |m: &&Migrations| at.get(m.owner).is_none_or(|done| *done < m.steps.len());
    if all.iter().any(|m| behind(&m)) && !at.is_empty() {
        snapshot::take(engine, sqlite, at.values().sum())?;
    }
    for module in all.iter().filter(behind) {
        for step in at.get(module.owner).copied().unwrap_or(0)..module.steps.len() {
            apply(sqlite, module, step)?;
        }
    }
    Ok(())
}

fn with_own(modules: &[Migrations]) -> Vec<Migrations> {
    let mut all = vec![STORE, crate::log::MIGRATIONS, crate::kv::MIGRATIONS];
    all.extend_from_slice(modules);
    all
}

/// The owners that a start would migrate. Changes nothing; an empty database is behind with everything.
pub(crate) fn behind(sqlite: &mut Sqlite, modules: &[Migrations]) -> Result<Vec<&'static str>, OpenError> {
    let all = with_own(modules);
    let at = if names(sqlite)?.contains("store_schema") { steps_done(sqlite)? } else { BTreeMap::new() };
    check_not_newer(&at, &all)?;
    let behind = all.iter().filter(|m| at.get(m.owner).is_none_or(|done| *done < m.steps.len()));
    Ok(behind.map(|m| m.owner).collect())
}

fn check_owners(all: &[Migrations]) -> Result<(), OpenError> {
    let mut seen = BTreeSet::new();
    match all.iter().find(|module| !seen.insert(module.owner)) {
        Some(module) => Err(OpenError::TwoOwners { owner: module.owner }),
        None => Ok(()),
    }
}

fn steps_done(sqlite: &mut Sqlite) -> Result<BTreeMap<String, usize>, StoreError> {
    let rows = sqlite.list(STEPS, &[], |row| Ok((row.text(0)?.to_owned(), row.int(1)?)))?;
    Ok(rows.into_iter().map(|(owner, step)| (owner, usize::try_from(step).unwrap_or(0))).collect())
}

fn check_not_newer(at: &BTreeMap<String, usize>, all: &[Migrations]) -> Result<(), OpenError> {
    for module in all {
        let known = module.steps.len();
        if let Some(&found) = at.get(module.owner).filter(|found| **found > known) {
            return Err(OpenError::NewerSchema { owner: module.owner.to_owned(), found, known });
        }
    }
    match at.keys().find(|owner| !all.iter().any(|module| module.owner == owner.as_str())) {
        Some(owner) => Err(OpenError::UnknownOwner { owner: owner.clone() }),
        None => Ok(()),
    }
}

/// Applies one step (counted from 0) and records it, or changes nothing.
fn apply(sqlite: &mut Sqlite, module: &Migrations, step: usize) -> Result<(), OpenError> {
    let before = names(sqlite)?;
    sqlite.run("BEGIN IMMEDIATE", &[])?;
    let applied = apply_within(sqlite, module, step, &before);
    let ended = applied.and_then(|()| Ok(sqlite.run("COMMIT", &[])?));
    if ended.is_err() && sqlite.in_transaction() {
        sqlite.run("ROLLBACK", &[])?;
    }
    ended?;
    tracing::info!(owner = module.owner, step = step + 1, "database migrated");
    Ok(())
}

fn apply_within(
    sqlite: &mut Sqlite,
    module: &Migrations,
    step: usize,
    before: &BTreeSet<String>,
) -> Result<(), OpenError> {
    let failed = |why| OpenError::Migration { owner: module.owner, step: step + 1, why };
    let statements = module.steps.get(step).copied().unwrap_or_default();
    sqlite.connection.execute_batch(statements).map_err(|error| failed(error.into()))?;
    if let Some(name) = names(sqlite)?.difference(before).find(|name| !owned(name, module.owner)) {
        return Err(OpenError::ForeignName { owner: module.owner, name: name.clone() });
    }
    let count =
        i64::try_from(step + 1).map_err(|_| failed(StoreError::Query("too many steps".to_owned())))?;
    sqlite.run(RECORD, &[module.owner.into(), count.into()]).map_err(failed)?;
    Ok(())
}

fn owned(name: &str, owner: &str) -> bool {
    name.strip_prefix(owner).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
}

fn names(sqlite: &mut Sqlite) -> Result<BTreeSet<String>, StoreError> {
    Ok(sqlite.list(NAMES, &[], |row| row.text(0).map(str::to_owned))?.into_iter().collect())
}
