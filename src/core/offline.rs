//! Giving a newly available session what waited in the log: in the order of rows, each once, before anything newer.
//!
//! While it runs, new messages for the account get rows too and are found by the next look at the store; the last look
//! and the switch to live delivery happen under the account's lock. (XEP-0160 §3; XEP-0203 for the stamps.)

use std::collections::VecDeque;
use std::sync::Arc;

use hearth_store::log;
use hearth_wire::{Jid, Payload, Stanza, XmlWriter, framer};
use time::OffsetDateTime;
use time::format_description::FormatItem;
use time::macros::format_description;

use crate::account::{Account, AccountState};
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

/// How long a drain waits before it looks for rows again that are being committed.
const COMMIT_PAUSE: std::time::Duration = std::time::Duration::from_millis(5);

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

/// Whether a session is to be given what waits, i.e. whether there is anything and nobody is at it. If so, new messages
/// queue up behind from here on, and [`start`] must follow.
#[must_use]
pub(crate) fn begin(state: &mut AccountState, session: &Session) -> bool {
    let bound = state.resource_of(session.id).is_some();
    let wanted = bound && state.log.has_offline && state.log.draining.is_none();
    if wanted {
        state.log.draining = Some(session.id);
    }
    wanted
}

/// Gives a session what waits.
pub(crate) fn start(server: &Arc<Server>, session: &Arc<Session>) {
    let (task, server, session) = (server.runtime().clone(), Arc::clone(server), Arc::clone(session));
    task.spawn(async move { run(&server, &session).await });
}

/// A session that may take what waits.
pub(crate) fn taker(state: &AccountState) -> Option<Arc<Session>> {
    state.resources.iter().find(|resource| resource.takes_messages()).map(|taker| Arc::clone(&taker.session))
}

async fn run(server: &Arc<Server>, session: &Arc<Session>) {
    let Some(account) = session.account.id else { return };
    let mut after = 0;
    loop {
        let page =
            server.store().read(move |sql| log::offline_page(sql, account, after, OFFLINE_PAGE_ROWS)).await;
        let page = match page {
            Ok(page) => page,
            Err(error) => {
                // what waits stays; the next session of the account will be given it
                tracing::error!(error = %Internal::from(error), "offline messages could not be read");
                session.account.with(|state| {
                    if state.log.draining.take_if(|id| *id == session.id).is_some() {
                        state.log.owed.drained();
                    }
                });
                return;
            }
        };
        after = page.rows.last().map_or(after, |stored| stored.row);
        let Ok(last) = hand(server, session, &page.rows).await else { return };
        if page.complete && is_done(session) {
            return;
        }
        if !page.complete {
            if let Some(last) = last {
                written(session, last).await;
            }
        } else {
            // rows are on their way into the store, or were given back by a session that ended: a commit takes about this
            // long, and what is on its way already is not given again
            tokio::time::sleep(COMMIT_PAUSE).await;
            after = 0;
        }
    }
}

/// Queues a page, piece by piece as the client reads, so that a slow reader holds a piece and not the log. Answers the
/// last row that it took.
///
/// # Errors
/// [`Ended`] if it does not take any more.
async fn hand(
    server: &Arc<Server>,
    session: &Arc<Session>,
    page: &[log::Stored],
) -> Result<Option<i64>, Ended> {
    let keeper = Jid::from(&session.host.domain);
    let (mut bytes, mut last) = (0, None);
    for stored in page {
        let Some(item) = item(server, &keeper, stored) else { continue };
        let weight = item.stanza.weight_bytes();
        match give(server, session, item) {
            Given::Taken => (bytes, last) = (bytes + weight, Some(stored.row)),
            Given::Known => continue,
            Given::Refused => return Err(Ended),
        }
        if bytes > DRAIN_BYTES_MAX {
            written(session, stored.row).await;
            bytes = 0;
        }
    }
    Ok(last)
}

/// The session takes nothing any more.
struct Ended;

/// What became of a row that was to be given.
enum Given {
    /// It is in the session's queue.
    Taken,
    /// It is on its way, or has arrived, already.
    Known,
    /// The session takes nothing any more.
    Refused,
}

/// A stored message as it goes to a client.
fn item(server: &Server, keeper: &Jid, stored: &log::Stored) -> Option<Item> {
    let text = std::str::from_utf8(&stored.stanza).unwrap_or_default();
    let Some(stanza) = framer::read_stanza(text) else {
        tracing::error!(row = stored.row, "a stored message is damaged and was passed over");
        return None;
    };
    let payload = match stored.flags & LATE {
        0 => Arc::clone(&stanza.payload),
        _ => stamped(server.plan(), keeper, stored.time_ms, &stanza.payload),
    };
    Some(Item { row: stored.row, ..Item::new(Arc::new(Stanza { payload, ..stanza })) })
}

/// Queues one row, unless it is on its way already.
fn give(server: &Server, session: &Session, item: Item) -> Given {
    session.account.with(|state| {
        let row = item.row;
        match state.log.draining {
            Some(id) if id == session.id => {}
            _ => return Given::Refused,
        }
        if state.log.owed.has(row) {
            return Given::Known;
        }
        if session.outbox.push(item).inspect_err(|why| server.metrics().rejected(*why)).is_err() {
            return Given::Refused;
        }
        state.log.owed.give(row);
        state.log.kept = state.log.kept.saturating_sub(1);
        server.metrics().stanzas_delivered.up();
        Given::Taken
    })
}

/// Whether everything was given; then the account is live from here on.
fn is_done(session: &Session) -> bool {
    session.account.with(|state| {
        if state.log.draining != Some(session.id) {
            // it has ended meanwhile, and another one may be at it
            return true;
        }
        let again = std::mem::take(&mut state.log.drain_again) || !state.log.waiting.is_empty();
        if !again {
            state.log.draining = None;
            state.log.owed.drained();
            state.log.has_offline = false;
            state.log.kept = 0;
        }
        !again
    })
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
    let Some(account) = session.account.id else { return };
    let begin = session.account.with(|state| {
        rows.iter().for_each(|row| state.log.owed.write(*row));
        !std::mem::replace(&mut state.log.forgetting, true)
    });
    session.note_flushed(rows.last().copied().unwrap_or_default());
    if begin {
        let (server, owner) = (Arc::clone(server), Arc::clone(&session.account));
        server.runtime().clone().spawn(async move { forget(&server, &owner, account).await });
    }
}

/// Rows removed in one transaction: so that other commits need not wait long.
const FORGET_ROWS: usize = 1_000;

/// Removes delivered rows from the store, many at a time.
async fn forget(server: &Arc<Server>, owner: &Arc<Account>, account: i64) {
    loop {
        let rows = owner.with(|state| {
            let rows = state.log.owed.removable(FORGET_ROWS);
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
        owner.with(|state| state.log.owed.removed(&rows, state.log.draining.is_some()));
    }
}

/// A session ended: what it was given from the log and did not write, and what it was still to be given, waits again or
/// goes to another available one. Answers the session that [`start`] must follow for.
#[must_use]
pub(crate) fn hand_on(
    state: &mut AccountState,
    session: &Session,
    unwritten: &VecDeque<Item>,
) -> Option<Arc<Session>> {
    let rows = unwritten.iter().map(|item| item.row).filter(|row| *row != 0);
    let back = rows.filter(|row| state.log.owed.give_back(*row)).count();
    let was_draining = state.log.draining.take_if(|id| *id == session.id).is_some();
    if was_draining {
        state.log.owed.drained();
    }
    state.log.kept = state.log.kept.saturating_add(back as u32);
    state.log.has_offline |= was_draining || back > 0;
    // whoever is given the log now must look again for what came back
    state.log.drain_again |= back > 0;
    taker(state).filter(|next| begin(state, next))
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
