//! Messages with a row in the account's log: declared, committed, and released in the order of their rows together with
//! what waits behind them.

use std::sync::Arc;
use std::task::Poll;

use hearth_store::{Permit, log};
use hearth_wire::{ErrorType, Jid, Stanza, StanzaCondition, StanzaError, ns};

use super::queue::{hand, is_chosen};
use super::{Delivery, choice, finish, hold};
use crate::account::{Account, AccountState, Resource, Waiting};
use crate::delivery::Choice;
use crate::offline;
use crate::outbox::Item;
use crate::pending::{Pending, RowState};
use crate::router::Behind;
use crate::server::Server;
use crate::session::Session;

/// Declares a row: the store's writer numbers and commits it, then it is released in order.
pub(super) fn keep(
    server: &Arc<Server>,
    account: &Arc<Account>,
    state: &mut AccountState,
    stanza: Arc<Stanza>,
    sender: Option<&Arc<Session>>,
    permit: Option<Permit>,
) -> Delivery {
    let Some(id) = account.id else {
        return Delivery::Bounce(StanzaError::new(StanzaCondition::ServiceUnavailable));
    };
    let permit = match permit.map_or_else(|| server.store().try_reserve(), Ok) {
        Ok(permit) => permit,
        Err(_) => return Delivery::NeedsRoom,
    };
    let row = Arc::new(Pending::default());
    state.log.kept = state.log.kept.saturating_add(1);
    let time_ms = server.now_ms();
    // what only waits behind others is not late and needs no stamp
    let is_late = !matches!(choice(state, &stanza), Choice::Addressed | Choice::NonNegative);
    let late_ms = if is_late { time_ms } else { 0 };
    let flags = if is_late { offline::LATE } else { 0 };
    state.log.waiting.push_back(Waiting {
        stanza: Arc::clone(&stanza),
        row: Some(Arc::clone(&row)),
        late_ms,
    });
    let mut text = String::with_capacity(stanza.weight_bytes());
    stanza.write(&mut text, None, Some(ns::CLIENT));
    let peer = stanza.from.as_ref().map_or_else(String::new, |from| from.bare_str().to_owned());
    let job = move |sql: &mut dyn hearth_store::WriteSql| {
        let entry = log::Entry { account: id, time_ms, flags, peer: &peer, stanza: text.as_bytes() };
        log::append(sql, &entry)
    };
    let settled = Settled {
        row: Arc::clone(&row),
        server: Arc::clone(server),
        account: Arc::clone(account),
        sender: sender.cloned(),
    };
    permit.submit_then(job, move |result| settled.note(result));
    Delivery::Behind(row)
}

/// Runs on the store's thread once the row's fate is known.
struct Settled {
    row: Arc<Pending>,
    server: Arc<Server>,
    account: Arc<Account>,
    sender: Option<Arc<Session>>,
}

impl Settled {
    fn note(self, result: Result<i64, hearth_store::StoreError>) {
        match result {
            Ok(row) => {
                self.row.commit(row);
                self.server.metrics().messages_stored.up();
            }
            Err(error) => {
                tracing::error!(%error, "a message could not be stored");
                self.row.fail();
            }
        }
        match self.sender {
            // its connection releases, off this thread, and waits for that
            Some(sender) if !sender.outbox.is_settled() => sender.outbox.wake(),
            Some(sender) => {
                release(&self.server, &self.account);
                sender.outbox.wake();
            }
            None => release(&self.server, &self.account),
        }
    }
}

/// Waits until a row is settled and releases it.
pub(crate) async fn settle(server: &Arc<Server>, behind: &Behind, sender: &Arc<Session>) {
    std::future::poll_fn(|cx| {
        // the writer wakes the sender's connection, whose task this is part of
        sender.outbox.register(cx.waker());
        if behind.is_settled() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    behind.release(server);
}

/// Releases what is ready, in the order of the account's log.
pub(crate) fn release(server: &Arc<Server>, account: &Arc<Account>) {
    let mut refused = Vec::new();
    let drain = account.with(|state| {
        while let Some(front) = state.log.waiting.front() {
            let row = match front.row.as_ref().map(|row| row.state()) {
                Some(RowState::Waiting) => break,
                Some(RowState::Committed(row)) => row,
                Some(RowState::Failed) => -1,
                None => 0,
            };
            let Some(Waiting { stanza, late_ms, .. }) = state.log.waiting.pop_front() else { break };
            match row {
                -1 => {
                    state.log.kept = state.log.kept.saturating_sub(1);
                    refused.push((stanza, failed()));
                }
                0 => refused.extend(release_rowless(server, account, state, stanza)),
                row => release_row(server, state, &late(server, account, stanza, late_ms), row),
            }
        }
        offline::begin_any(state)
    });
    if let Some((taker, drain)) = drain {
        offline::start(server, &taker, drain);
    }
    server.bounce_all(&refused);
}

/// What only waited behind others. Answers the error that its sender is to be told.
fn release_rowless(
    server: &Server,
    account: &Account,
    state: &mut AccountState,
    stanza: Arc<Stanza>,
) -> Option<(Arc<Stanza>, StanzaError)> {
    let choice = choice(state, &stanza);
    let held = hold(server, state, &stanza, choice);
    match finish(server, held.unwrap_or_else(|| hand(server, account, state, &stanza, choice))) {
        Delivery::Bounce(error) => Some((stanza, error)),
        _ => None,
    }
}

/// With a stamp if it was kept because nobody was there: somebody may have come between then and its commit.
fn late(server: &Server, account: &Account, stanza: Arc<Stanza>, late_ms: i64) -> Arc<Stanza> {
    if late_ms == 0 {
        return stanza;
    }
    let keeper = Jid::from(account.jid.to_domain());
    let payload = offline::stamped(server.plan(), &keeper, late_ms, &stanza.payload);
    Arc::new(Stanza { payload, ..Stanza::clone(&stanza) })
}

/// A committed message: to who is there now, or it stays in the log.
fn release_row(server: &Server, state: &mut AccountState, stanza: &Arc<Stanza>, row: i64) {
    state.log.newest = state.log.newest.max(row);
    let choice = match choice(state, stanza) {
        // older ones may have to find another way first
        _ if state.awaits_log() || state.awaits_older(stanza) => Choice::Unclaimed,
        choice @ (Choice::Addressed | Choice::NonNegative) => choice,
        _ => Choice::Unclaimed,
    };
    let drained = state.log.drain.as_ref().map(|drain| drain.session);
    let is_drained = |resource: &Resource| drained == Some(resource.session.id);
    let chosen = |resource: &Resource| is_chosen(choice, stanza, resource);
    let others = state.queue(
        server.metrics(),
        |resource| !is_drained(resource) && chosen(resource),
        |_| Item { row, ..Item::new(Arc::clone(stanza)) },
    );
    (0..others).for_each(|_| state.log.owed.give(row));
    server.metrics().stanzas_delivered.add(others as u64);
    if others > 0 {
        state.log.kept = state.log.kept.saturating_sub(1);
    } else {
        state.log.has_offline = true;
    }
    // who is being given the log finds the row there
    let is_wanted = state.resources.iter().any(|resource| is_drained(resource) && chosen(resource));
    if let Some(drain) = &mut state.log.drain {
        drain.came(row, is_wanted && others > 0);
    }
}

/// RFC 6120 §8.3.3.6: not stored, so not accepted; the sender may try again.
fn failed() -> StanzaError {
    StanzaError::new(StanzaCondition::InternalServerError).with_type(ErrorType::Wait)
}
