//! Giving a newly available session what waited in the log: in the order of rows, each once, before anything newer.
//!
//! While it runs, new messages for the account get rows too: other sessions are given them at once, this one finds them
//! at its next look at the store. What has no row is held for it ([`Drain`]). The last look and the switch to live
//! delivery happen under the account's lock. (XEP-0160 §3; XEP-0203 for the stamps.)

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use hearth_store::{StoreError, log};
use hearth_wire::{Jid, Payload, Stanza, XmlWriter, framer};
use time::OffsetDateTime;
use time::format_description::FormatItem;
use time::macros::format_description;

use crate::account::{Account, AccountState};
use crate::drain::{Drain, DrainId};
use crate::error::Internal;
use crate::limits::{OFFLINE_PAGE_ROWS, SESSION_QUEUE_BYTES_MAX};
use crate::outbox::Item;
use crate::plan::Plan;
use crate::server::Server;
use crate::session::Session;

/// XEP-0082 §3.2, with milliseconds: a stamp keeps the order of the log.
const STAMP: &[FormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// What a drain has in a session's queue at a time: the rest is for what comes live.
const DRAIN_BYTES_MAX: usize = SESSION_QUEUE_BYTES_MAX / 4;

/// How long a store that cannot be read is left alone.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// The flag of a row whose message found nobody; one that only had to wait behind others is not late.
pub(crate) const LATE: i64 = 1;

/// The payload with a stamp that says who kept it, and since when; as it is where no module stamps.
pub(crate) fn stamped(plan: &Plan, keeper: &Jid, since_ms: i64, payload: &Arc<Payload>) -> Arc<Payload> {
    let Some(stamp) = plan.stamp() else { return Arc::clone(payload) };
    let mut writer = XmlWriter::with_capacity(payload.as_str().len() + 96);
    writer.payload(payload);
    stamp(&mut writer, keeper, since_ms);
    Arc::new(writer.into_payload())
}

/// A time as XEP-0082 writes it, in UTC.
pub fn stamp(unix_ms: i64) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_ms) * 1_000_000)
        .ok()
        .and_then(|at| at.format(STAMP).ok())
        // only a year beyond 9999 comes here
        .unwrap_or_else(|| "9999-12-31T23:59:59.999Z".to_owned())
}

/// Begins to give a session what waits, if there is anything, nobody is at it, and nothing older is still on its way
/// back. If so, new messages queue up behind from here on, and [`start`] must follow.
#[must_use]
pub(crate) fn begin(state: &mut AccountState, session: &Session) -> Option<DrainId> {
    let takes = state.resource_of(session.id).is_some_and(|resource| resource.takes_messages());
    if !takes || !state.log.has_offline || state.log.drain.is_some() || state.is_unsettled() {
        return None;
    }
    state.log.drains = state.log.drains.wrapping_add(1);
    let id = DrainId(state.log.drains);
    state.log.drain = Some(Box::new(Drain::new(id, session.id)));
    Some(id)
}

/// The same for whichever session may take what waits.
#[must_use]
pub(crate) fn begin_any(state: &mut AccountState) -> Option<(Arc<Session>, DrainId)> {
    if !state.log.has_offline || state.log.drain.is_some() {
        return None;
    }
    let taker = state.resources.iter().find(|resource| resource.takes_messages())?;
    let taker = Arc::clone(&taker.session);
    begin(state, &taker).map(|drain| (taker, drain))
}

/// Gives a session what waits.
pub(crate) fn start(server: &Arc<Server>, session: &Arc<Session>, drain: DrainId) {
    let (task, server, session) = (server.runtime().clone(), Arc::clone(server), Arc::clone(session));
    task.spawn(async move { run(&server, &session, drain).await });
}

/// A session does not want what waits any more, but stays: what is held for it alone is its own, the rest goes to another
/// one. [`start`] must follow for that.
#[must_use]
pub(crate) fn stop(
    server: &Arc<Server>,
    state: &mut AccountState,
    session: &Session,
) -> Option<(Arc<Session>, DrainId)> {
    let drain = state.log.drain.as_mut().filter(|drain| drain.session == session.id)?;
    if flush(server, drain, i64::MAX, session) {
        state.log.drain = None;
        state.log.owed.drained();
    }
    begin_any(state)
}

/// Queues what is held before a row. False if the session takes nothing any more: its end will find another way for it.
fn flush(server: &Server, drain: &mut Drain, row: i64, session: &Session) -> bool {
    drain.flush(row, &session.outbox).inspect_err(|why| server.metrics().rejected(*why)).is_ok()
}

async fn run(server: &Arc<Server>, session: &Arc<Session>, drain: DrainId) {
    let Some(account) = session.account.id else { return };
    let (mut after, began_ms) = (0, server.now_ms());
    loop {
        // rows up to this one are in the store: what is read now shows them
        let newest = session.account.with(|state| state.log.newest);
        let page =
            server.store().read(move |sql| log::offline_page(sql, account, after, OFFLINE_PAGE_ROWS)).await;
        let page = match page {
            Ok(page) => page,
            // many read at once: it is only slow
            Err(StoreError::Busy) => continue,
            Err(error) => {
                tracing::error!(error = %Internal::from(error), "offline messages could not be read");
                give_up(server, session, drain);
                return try_again_later(server, session).await;
            }
        };
        let Ok(handed) = hand(server, session, drain, began_ms, &page.rows).await else { return };
        after = handed.reached.unwrap_or(after);
        if page.complete || handed.ahead {
            after = after.max(newest);
            match finish(server, session, drain, after) {
                Some(again) => after = again,
                None => return,
            }
        } else if let Some(last) = handed.last {
            written(session, last).await;
        }
    }
}

/// How far a page was handed out.
#[derive(Default)]
struct Handed {
    /// The last row dealt with.
    reached: Option<i64>,
    /// The last row that was queued.
    last: Option<i64>,
    /// The next row still waits for its turn among what is being committed.
    ahead: bool,
}

/// Queues a page, piece by piece as the client reads, so that a slow reader holds a piece and not the log.
///
/// # Errors
/// [`Ended`] if it does not take any more.
async fn hand(
    server: &Arc<Server>,
    session: &Arc<Session>,
    drain: DrainId,
    began_ms: i64,
    page: &[log::Stored],
) -> Result<Handed, Ended> {
    let keeper = Jid::from(&session.host.domain);
    let (mut handed, mut bytes) = (Handed::default(), 0);
    for stored in page {
        let item = item(server, &keeper, stored, began_ms);
        let weight = item.as_ref().map_or(0, |item| item.stanza.weight_bytes());
        match give(server, session, drain, stored.row, item) {
            Given::Taken => (bytes, handed.last) = (bytes + weight, Some(stored.row)),
            Given::Known => {}
            Given::Ahead => {
                handed.ahead = true;
                break;
            }
            Given::Refused => return Err(Ended),
        }
        handed.reached = Some(stored.row);
        if bytes > DRAIN_BYTES_MAX {
            written(session, stored.row).await;
            bytes = 0;
        }
    }
    Ok(handed)
}

/// The session takes nothing any more.
struct Ended;

/// What became of a row that was to be given.
enum Given {
    /// It is in the session's queue.
    Taken,
    /// It is on its way, or has arrived, already; or there is nothing that could be given.
    Known,
    /// It is in the store, but not its turn yet.
    Ahead,
    /// The session takes nothing any more.
    Refused,
}

/// A stored message as it goes to a client, with a stamp if it was kept from before the drain began.
fn item(server: &Server, keeper: &Jid, stored: &log::Stored, began_ms: i64) -> Option<Item> {
    let text = std::str::from_utf8(&stored.stanza).unwrap_or_default();
    let Some(stanza) = framer::read_stanza(text) else {
        tracing::error!(row = stored.row, "a stored message is damaged and was passed over");
        return None;
    };
    let is_late = stored.flags & LATE != 0 || stored.time_ms < began_ms;
    let payload = match is_late {
        true => stamped(server.plan(), keeper, stored.time_ms, &stanza.payload),
        false => Arc::clone(&stanza.payload),
    };
    Some(Item { row: stored.row, ..Item::new(Arc::new(Stanza { payload, ..stanza })) })
}

/// Queues one row, unless it is on its way already, and what was held before it.
fn give(server: &Server, session: &Session, id: DrainId, row: i64, item: Option<Item>) -> Given {
    session.account.with(|state| {
        let takes = state.resource_of(session.id).is_some_and(|resource| resource.takes_messages());
        let log = &mut state.log;
        let Some(drain) = log.drain.as_mut().filter(|drain| takes && drain.id == id) else {
            return Given::Refused;
        };
        if row > log.newest {
            return Given::Ahead;
        }
        if !flush(server, drain, row, session) {
            return Given::Refused;
        }
        let apart = drain.take_apart(row);
        let Some(item) = item.filter(|_| apart || !log.owed.has(row)) else { return Given::Known };
        if session.outbox.push(item).inspect_err(|why| server.metrics().rejected(*why)).is_err() {
            return Given::Refused;
        }
        log.owed.give(row);
        // others have it: it did not wait
        log.kept = log.kept.saturating_sub(u32::from(!apart));
        server.metrics().stanzas_delivered.up();
        Given::Taken
    })
}

/// Ends the drain if everything up to `after` was given and nothing came behind it; then the account is live from here
/// on. Answers the row behind which to look otherwise.
fn finish(server: &Arc<Server>, session: &Arc<Session>, id: DrainId, after: i64) -> Option<i64> {
    let again = session.account.with(|state| {
        let log = &mut state.log;
        let drain = log.drain.as_mut().filter(|drain| drain.id == id)?;
        if let Some(back) = drain.take_back() {
            return Some(back);
        }
        if log.newest > after {
            return Some(after);
        }
        if flush(server, drain, i64::MAX, session) {
            log.drain = None;
            log.owed.drained();
            log.has_offline = false;
            log.kept = log.waiting.iter().filter(|waiting| waiting.row.is_some()).count() as u32;
        }
        None
    });
    if again.is_none() {
        forget_soon(server, &session.account);
    }
    again
}

/// What waits stays; whoever is there then is given it.
async fn try_again_later(server: &Arc<Server>, session: &Arc<Session>) {
    tokio::time::sleep(READ_AGAIN_AFTER).await;
    if let Some((taker, drain)) = session.account.with(begin_any) {
        start(server, &taker, drain);
    }
}

/// The store cannot be read: the account goes on without what waits in it.
fn give_up(server: &Arc<Server>, session: &Arc<Session>, id: DrainId) {
    session.account.with(|state| {
        let Some(drain) = state.log.drain.as_mut().filter(|drain| drain.id == id) else { return };
        if flush(server, drain, i64::MAX, session) {
            state.log.drain = None;
            state.log.owed.drained();
        }
    });
    forget_soon(server, &session.account);
}

/// Waits until a row has left the session's write buffer. Also returns when the session ends.
async fn written(session: &Arc<Session>, row: i64) {
    let mut flushed = session.flushed();
    // a session that ends seals its outbox first and drops the teller then: whichever comes first is seen
    while !session.outbox.is_ending() && session.account.with(|state| state.log.owed.is_queued(row)) {
        if flushed.changed().await.is_err() {
            return;
        }
    }
}

/// A session has written these rows: they are delivered (a client without acknowledgements counts as having received what
/// has left our buffer).
pub fn delivered(server: &Arc<Server>, session: &Arc<Session>, rows: &[i64]) {
    forget_also(server, &session.account, rows);
    session.note_flushed(rows.last().copied().unwrap_or_default());
}

/// Sees to it that delivered rows are removed from the store.
pub(crate) fn forget_soon(server: &Arc<Server>, owner: &Arc<Account>) {
    forget_also(server, owner, &[]);
}

/// The same, with rows that have just been written: under one lock.
fn forget_also(server: &Arc<Server>, owner: &Arc<Account>, rows: &[i64]) {
    let Some(account) = owner.id else { return };
    let begin = owner.with(|state| {
        rows.iter().for_each(|row| state.log.owed.write(*row));
        let wanted = state.log.owed.has_written() && !state.log.forgetting;
        state.log.forgetting |= wanted;
        wanted
    });
    if begin {
        let (work, owner) = (Arc::clone(server), Arc::clone(owner));
        server.spawn(async move { forget(&work, &owner, account).await });
    }
}

/// Rows removed in one transaction: so that other commits need not wait long.
const FORGET_ROWS: usize = 1_000;

/// Removes delivered rows from the store, many at a time.
async fn forget(server: &Arc<Server>, owner: &Arc<Account>, account: i64) {
    loop {
        let rows = owner.with(|state| {
            let drain = state.log.drain.as_deref();
            let rows =
                state.log.owed.removable(FORGET_ROWS, |row| drain.is_some_and(|drain| drain.wants(row)));
            state.log.forgetting = !rows.is_empty();
            rows
        });
        if rows.is_empty() {
            return;
        }
        let rows = Arc::new(rows);
        let work = Arc::clone(&rows);
        if let Err(error) = server.store().write(move |sql| log::forget(sql, account, &work)).await {
            // they would be given again after a restart: a repeat, not a loss
            tracing::error!(%error, "delivered messages could not be removed");
            owner.with(|state| state.log.forgetting = false);
            return;
        }
        owner.with(|state| state.log.owed.removed(&rows, state.log.drain.is_some()));
    }
}

/// A session ended: rows that it was given and did not write wait in the log again, and what was held for it behind them
/// has to find another way, as the rest of `unwritten`.
pub(crate) fn hand_back(state: &mut AccountState, session: &Session, unwritten: &mut VecDeque<Item>) {
    let log = &mut state.log;
    let own = log.drain.take_if(|drain| drain.session == session.id);
    let mut back = 0;
    unwritten.retain(|item| {
        if item.row != 0 && log.owed.give_back(item.row) {
            back += 1;
            if let Some(drain) = &mut log.drain {
                drain.give_back(item.row);
            }
        }
        item.row == 0
    });
    log.kept = log.kept.saturating_add(back);
    log.has_offline |= own.is_some() || back > 0;
    if let Some(drain) = own {
        log.owed.drained();
        unwritten.extend(drain.into_held());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_utc_with_milliseconds() {
        assert_eq!(stamp(1_031_699_467_012), "2002-09-10T23:11:07.012Z");
        assert_eq!(stamp(i64::MAX), "9999-12-31T23:59:59.999Z");
    }
}
