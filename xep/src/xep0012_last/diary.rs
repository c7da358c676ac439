//! When each account left and what it said, on its way to the store: the last word of each account waits in memory, one
//! task writes many at a time, and nobody waits for it.

use std::collections::HashMap;
use std::sync::Arc;

use hearth_core::account::Account;
use hearth_core::error::Internal;
use hearth_core::metrics::Counter;
use hearth_core::server::Server;
use hearth_store::{Sql, StoreError, WriteSql, kv};
use parking_lot::Mutex;

/// What is kept of a status, in bytes: a sentence, not a letter.
const STATUS_BYTES_MAX: usize = 1_023;
/// Partings that wait for the store. Beyond, some are lost: a time of logout is not worth more memory.
const WAITING_MAX: usize = 100_000;
/// Partings written in one transaction, so that other commits need not wait long.
const BATCH_MAX: usize = 500;

const KIND: kv::Kind = kv::Kind { name: "last", value_bytes_max: STATUS_BYTES_MAX + 24, count_max: 1 };
const NAME: &str = "away";

/// When an account left, in milliseconds since 1970, and its last words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parting {
    pub(super) at_ms: i64,
    pub(super) said: String,
}

/// What an account said at parting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// This, or with empty words: nothing.
    Words(String),
    /// What it said the last time still holds.
    NothingNew,
}

#[derive(Debug, Default)]
struct Waiting {
    partings: HashMap<i64, (i64, Said)>,
    /// Taken out of `partings`, not yet committed.
    writing: HashMap<i64, (i64, Said)>,
    has_writer: bool,
}

/// The partings.
#[derive(Debug)]
pub(super) struct Diary {
    waiting: Mutex<Waiting>,
    lost: Counter,
}

impl Diary {
    pub(super) fn new(lost: Counter) -> Self {
        Self { waiting: Mutex::default(), lost }
    }

    /// Notes that an account leaves now. Never waits.
    pub(super) fn note(self: &Arc<Self>, server: &Arc<Server>, account: &Account, said: Said) {
        let Some(id) = account.id.filter(|_| account.with(|state| !state.removed)) else { return };
        let at_ms = server.now_ms();
        let mut waiting = self.waiting.lock();
        if waiting.partings.len() >= WAITING_MAX && !waiting.partings.contains_key(&id) {
            self.lost.up();
            return;
        }
        let said = said.or_of(waiting.partings.get(&id).or_else(|| waiting.writing.get(&id)));
        waiting.partings.insert(id, (at_ms, said));
        if !std::mem::replace(&mut waiting.has_writer, true) {
            let (diary, work) = (Arc::clone(self), Arc::clone(server));
            server.spawn(async move { diary.write(&work).await });
        }
    }

    /// Writes until nothing waits.
    async fn write(&self, server: &Server) {
        while let Some(batch) = self.begin() {
            let count = batch.len() as u64;
            let work =
                move |sql: &mut dyn WriteSql| batch.iter().try_for_each(|(id, entry)| put(sql, *id, entry));
            if let Err(error) = server.store().write(work).await {
                tracing::warn!(%error, count, "times of logout could not be stored");
                self.lost.add(count);
            }
        }
    }

    /// Takes the next batch out; `None` when nothing is left, and then there is no writer any more.
    fn begin(&self) -> Option<HashMap<i64, (i64, Said)>> {
        let mut waiting = self.waiting.lock();
        let ids: Vec<i64> = waiting.partings.keys().take(BATCH_MAX).copied().collect();
        let batch: HashMap<_, _> = ids.iter().filter_map(|id| waiting.partings.remove_entry(id)).collect();
        waiting.has_writer = !batch.is_empty();
        waiting.writing.clone_from(&batch);
        (!batch.is_empty()).then_some(batch)
    }

    /// When the account left last; `None` if it was never here.
    pub(super) async fn last(&self, server: &Server, account: &Account) -> Result<Option<Parting>, Internal> {
        let Some(id) = account.id else { return Ok(None) };
        let waits = {
            let waiting = self.waiting.lock();
            waiting.partings.get(&id).or_else(|| waiting.writing.get(&id)).cloned()
        };
        let stored = server.store().read(move |sql| get(sql, id)).await?;
        Ok(match waits {
            Some((at_ms, said)) => Some(Parting { at_ms, said: said.words(stored) }),
            None => stored,
        })
    }
}

impl Said {
    /// The words, those before included where there are no new ones.
    fn or_of(self, before: Option<&(i64, Self)>) -> Self {
        match (self, before) {
            (Self::NothingNew, Some((_, before))) => before.clone(),
            (said, _) => said,
        }
    }

    fn words(self, stored: Option<Parting>) -> String {
        match self {
            Self::Words(words) => words,
            Self::NothingNew => stored.map(|parting| parting.said).unwrap_or_default(),
        }
    }
}

fn get(sql: &mut dyn Sql, account: i64) -> Result<Option<Parting>, StoreError> {
    Ok(kv::get(sql, &KIND, account, NAME)?.and_then(|value| read(&value)))
}

fn put(sql: &mut dyn WriteSql, account: i64, (at_ms, said): &(i64, Said)) -> Result<(), StoreError> {
    let stored = if *said == Said::NothingNew { get(sql, account)? } else { None };
    let words = said.clone().words(stored);
    let value =
        format!("{at_ms}\n{}", words.get(..words.floor_char_boundary(STATUS_BYTES_MAX)).unwrap_or_default());
    kv::set(sql, &KIND, account, NAME, value.as_bytes())
}

/// Notes that an account was connected at a time, unless something newer is known. What it said the last time stays.
pub(super) fn was_here(sql: &mut dyn WriteSql, account: i64, at_ms: i64) -> Result<(), StoreError> {
    match get(sql, account)? {
        Some(newer) if newer.at_ms >= at_ms => Ok(()),
        _ => put(sql, account, &(at_ms, Said::NothingNew)),
    }
}

/// The time on the first line, then the words.
fn read(value: &[u8]) -> Option<Parting> {
    let (at_ms, said) = std::str::from_utf8(value).ok()?.split_once('\n')?;
    Some(Parting { at_ms: at_ms.parse().ok()?, said: said.to_owned() })
}

#[cfg(test)]
mod tests {
    use hearth_store::Store;

    use super::*;

    #[tokio::test]
    async fn words_are_kept_until_there_are_new_ones_and_cut_at_a_character() {
        let store = Store::in_memory(&[]).unwrap();
        let story = |sql: &mut dyn WriteSql| {
            let words = |words: &str| Said::Words(words.to_owned());
            assert_eq!(get(sql, 1)?, None);
            put(sql, 1, &(5, Said::NothingNew))?;
            assert_eq!(get(sql, 1)?, Some(Parting { at_ms: 5, said: String::new() }));
            put(sql, 1, &(6, words("gone\nfishing")))?;
            put(sql, 1, &(7, Said::NothingNew))?;
            assert_eq!(get(sql, 1)?, Some(Parting { at_ms: 7, said: "gone\nfishing".to_owned() }));
            put(sql, 1, &(8, words(&"ä".repeat(STATUS_BYTES_MAX))))?;
            assert_eq!(get(sql, 1)?.unwrap().said, "ä".repeat(STATUS_BYTES_MAX / 2));
            put(sql, 1, &(9, words("")))?;
            assert_eq!(get(sql, 1)?, Some(Parting { at_ms: 9, said: String::new() }));
            put(sql, 1, &(10, words("back soon")))?;
            was_here(sql, 1, 9)?;
            assert_eq!(get(sql, 1)?.unwrap().at_ms, 10, "a parting after the round began");
            was_here(sql, 1, 11)?;
            assert_eq!(get(sql, 1)?, Some(Parting { at_ms: 11, said: "back soon".to_owned() }));
            Ok(())
        };
        store.write(story).await.unwrap();
    }
}
