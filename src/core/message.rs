//! Delivering to a local account: choose resources, keep what nobody can take, release what was kept in the order of
//! its rows. Everything here runs under the account's one lock, so nothing is passed over or given twice.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Poll;

use hearth_store::{Permit, log};
use hearth_wire::{ErrorType, Jid, Kind, PresenceType, Stanza, StanzaCondition, StanzaError, ns};

use crate::account::{Account, AccountState, Waiting};
use crate::delivery::{Candidate, Choice, choose};
use crate::limits::ACCOUNT_WAITING_MAX;
use crate::metrics::Counter;
use crate::offline;
use crate::outbox::Item;
use crate::pending::{Pending, RowState};
use crate::router::{Behind, busy};
use crate::server::Server;
use crate::session::Session;
use crate::stage::{Passage, Stage, Step};

/// What became of a stanza handed to an account.
#[derive(Debug)]
pub(crate) enum Delivery {
    /// Delivered, waiting in order, or ended by rule.
    Done,
    /// A row was declared.
    Behind(Arc<Pending>),
    /// The sender is to be told.
    Bounce(StanzaError),
    /// The store's queue is full: come again with a permit.
    NeedsRoom,
}

/// What the lock was left with.
enum Verdict {
    Delivered(usize),
    Wait,
    Keep,
    /// Those who were chosen do not read: as if nobody had been there.
    Nobody,
    Refuse(StanzaError),
    Drop(Counter),
}

/// Hands a stanza (no subscription, probe or iq for the server) to an account.
pub(crate) fn deliver(
    server: &Arc<Server>,
    account: &Arc<Account>,
    stanza: &Arc<Stanza>,
    sender: Option<&Arc<Session>>,
    permit: Option<Permit>,
) -> Delivery {
    account.with(|state| deliver_to(server, account, state, stanza, sender, permit))
}

/// The same, under the account's lock.
fn deliver_to(
    server: &Arc<Server>,
    account: &Arc<Account>,
    state: &mut AccountState,
    stanza: &Arc<Stanza>,
    sender: Option<&Arc<Session>>,
    permit: Option<Permit>,
) -> Delivery {
    if state.removed {
        return Delivery::Bounce(StanzaError::new(StanzaCondition::ServiceUnavailable));
    }
    if let (Kind::Presence(PresenceType::Unavailable), Some(from)) = (stanza.kind, &stanza.from) {
        state.forget_directed(from);
    }
    let stanza = match in_stages(server, account, state, stanza) {
        Ok(stanza) => stanza,
        Err(verdict) => return finish(server, verdict),
    };
    match judge(server, account, state, &stanza) {
        Verdict::Keep => keep(server, account, state, stanza, sender, permit),
        Verdict::Wait if state.log.waiting.len() >= ACCOUNT_WAITING_MAX => Delivery::Bounce(busy()),
        Verdict::Wait => {
            state.log.waiting.push_back(Waiting { stanza, row: None, late_ms: 0 });
            Delivery::Done
        }
        verdict => finish(server, verdict),
    }
}

fn finish(server: &Server, verdict: Verdict) -> Delivery {
    match verdict {
        Verdict::Refuse(error) => Delivery::Bounce(error),
        Verdict::Nobody => Delivery::Bounce(StanzaError::new(StanzaCondition::ServiceUnavailable)),
        Verdict::Drop(reason) => {
            reason.up();
            Delivery::Done
        }
        Verdict::Delivered(copies) => {
            server.metrics().stanzas_delivered.add(copies as u64);
            Delivery::Done
        }
        Verdict::Wait | Verdict::Keep => Delivery::Done,
    }
}

/// The recipient's side: guard, amend. Only a stanza that a hook may change is copied.
fn in_stages(
    server: &Server,
    account: &Account,
    state: &mut AccountState,
    stanza: &Arc<Stanza>,
) -> Result<Arc<Stanza>, Verdict> {
    let plan = server.plan();
    let Some(host) = server.host(account.jid.domain()) else { return Ok(Arc::clone(stanza)) };
    let mut changed = None;
    for stage in [Stage::InGuard, Stage::InAmend] {
        if !plan.has_hooks(stage, changed.as_ref().unwrap_or(stanza)) {
            continue;
        }
        let stanza = changed.get_or_insert_with(|| Stanza::clone(stanza));
        match plan.run(&mut Passage { stage, server, stanza, host, account: state, session: None }) {
            Step::Next | Step::Keep => {}
            Step::Refuse(error) => return Err(Verdict::Refuse(error)),
            Step::Drop(reason) => return Err(Verdict::Drop(reason)),
        }
    }
    Ok(changed.map_or_else(|| Arc::clone(stanza), Arc::new))
}

/// Delivers at once if that is the stanza's turn; otherwise says what is to be done with it.
fn judge(server: &Server, account: &Account, state: &mut AccountState, stanza: &Arc<Stanza>) -> Verdict {
    let choice = choice(state, stanza);
    let queued = !state.log.waiting.is_empty() || state.log.draining.is_some();
    match choice {
        // another resource's messages have nothing to do with this one's: no row, which the log would give to others
        Choice::Addressed if queued && !is_drained_to(state, stanza) => match state.log.waiting.is_empty() {
            true => hand(server, account, state, stanza, choice, 0),
            false => Verdict::Wait,
        },
        Choice::Addressed | Choice::NonNegative | Choice::Available if queued => {
            // behind what waits; what can be kept gets a row, so that it cannot overtake the offline messages
            match unclaimed(server, account, state, stanza) {
                Verdict::Keep => Verdict::Keep,
                _ if !state.log.waiting.is_empty() => Verdict::Wait,
                _ => hand(server, account, state, stanza, choice, 0),
            }
        }
        Choice::Unclaimed => unclaimed(server, account, state, stanza),
        choice => match hand(server, account, state, stanza, choice, 0) {
            Verdict::Nobody if matches!(stanza.kind, Kind::Message(_)) => {
                unclaimed(server, account, state, stanza)
            }
            verdict => verdict,
        },
    }
}

/// Whether the resource that `to` names is the one that is being given what waited.
fn is_drained_to(state: &AccountState, stanza: &Stanza) -> bool {
    let resource = stanza.to.as_ref().and_then(Jid::resource).and_then(|name| state.resource(name));
    resource.is_some_and(|resource| state.log.draining == Some(resource.session.id))
}

fn choice(state: &AccountState, stanza: &Stanza) -> Choice {
    let resource = stanza.to.as_ref().and_then(Jid::resource);
    let candidates = state.resources.iter().map(|r| Candidate {
        available: r.is_available(),
        priority: r.priority,
        addressed: resource == Some(r.session.resource()),
    });
    choose(stanza.kind, resource.is_some(), candidates)
}

/// Asks the modules whether they keep a message that nobody takes.
fn unclaimed(server: &Server, account: &Account, state: &mut AccountState, stanza: &Arc<Stanza>) -> Verdict {
    let nobody = Verdict::Refuse(StanzaError::new(StanzaCondition::ServiceUnavailable));
    let plan = server.plan();
    if account.id.is_none() || !plan.has_hooks(Stage::Unclaimed, stanza) {
        return nobody;
    }
    let Some(host) = server.host(account.jid.domain()) else { return nobody };
    // hooks get the stanza to look at; what they would change here is not kept
    let mut seen = Stanza::clone(stanza);
    let stage = Stage::Unclaimed;
    match plan.run(&mut Passage { stage, server, stanza: &mut seen, host, account: state, session: None }) {
        Step::Keep => Verdict::Keep,
        Step::Refuse(error) => Verdict::Refuse(error),
        Step::Drop(reason) => Verdict::Drop(reason),
        Step::Next => nobody,
    }
}

/// Puts the stanza into the queues of the chosen resources.
fn hand(
    server: &Server,
    account: &Account,
    state: &AccountState,
    stanza: &Arc<Stanza>,
    choice: Choice,
    row: i64,
) -> Verdict {
    let metrics = server.metrics();
    let resource = stanza.to.as_ref().and_then(Jid::resource);
    let chosen = |r: &&crate::account::Resource| match choice {
        Choice::Addressed => resource == Some(r.session.resource()),
        Choice::NonNegative => r.takes_messages(),
        _ => r.is_available(),
    };
    match choice {
        Choice::Addressed if must_hide(account, state, stanza) => {
            Verdict::Refuse(StanzaError::new(StanzaCondition::ServiceUnavailable))
        }
        Choice::Addressed | Choice::NonNegative | Choice::Available => {
            let sole = state.resources.iter().filter(chosen).count() == 1;
            let copies = state.resources.iter().filter(chosen).filter(|resource| {
                let item = Item { stanza: Arc::clone(stanza), to: None, row, sole };
                resource.session.outbox.push(item).inspect_err(|why| metrics.rejected(*why)).is_ok()
            });
            match copies.count() {
                0 if matches!(choice, Choice::Available) => Verdict::Drop(metrics.dropped_presence.clone()),
                0 => Verdict::Nobody,
                copies => Verdict::Delivered(copies),
            }
        }
        Choice::Bounce | Choice::Unclaimed | Choice::Server => {
            Verdict::Refuse(StanzaError::new(StanzaCondition::ServiceUnavailable))
        }
        Choice::Ignore => Verdict::Drop(ignored(server, stanza.kind)),
    }
}

/// RFC 6121 §8.5.3.1: an iq must not tell a stranger that a resource is there.
fn must_hide(account: &Account, state: &AccountState, stanza: &Stanza) -> bool {
    use hearth_wire::IqType::{Get, Set};
    if !matches!(stanza.kind, Kind::Iq(Get | Set)) {
        return false;
    }
    let (Some(from), Some(to)) = (&stanza.from, &stanza.to) else { return false };
    let directed = to.resource().and_then(|name| state.resource(name)).is_some_and(|resource| {
        resource.directed.iter().any(|jid| jid == from || (jid.is_bare() && jid.as_str() == from.bare_str()))
    });
    !directed && !state.shares_presence_with(account.jid.as_str(), from.bare_str())
}

/// What a stanza that nobody can take is counted as.
pub(crate) fn ignored(server: &Server, kind: Kind) -> Counter {
    let metrics = server.metrics();
    match kind {
        kind if kind.is_error() => metrics.dropped_error.clone(),
        Kind::Message(_) => metrics.dropped_headline.clone(),
        Kind::Presence(_) => metrics.dropped_presence.clone(),
        Kind::Iq(_) => metrics.dropped_answer.clone(),
    }
}

/// Declares a row: the store's writer numbers and commits it, then it is released in order.
fn keep(
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
            // its connection releases, off this thread
            Some(sender) => sender.outbox.wake(),
            None => release(&self.server, &self.account),
        }
    }
}

/// Delivers with a permit that was waited for.
pub(crate) async fn deliver_when_room(
    server: &Arc<Server>,
    account: &Arc<Account>,
    stanza: &Arc<Stanza>,
    sender: &Arc<Session>,
) {
    let delivery = match server.store().reserve().await {
        Ok(permit) => deliver(server, account, stanza, Some(sender), Some(permit)),
        Err(_) => Delivery::Bounce(busy()),
    };
    match delivery {
        Delivery::Done => {}
        Delivery::Behind(row) => settle(server, &Behind { account: Arc::clone(account), row }, sender).await,
        Delivery::Bounce(error) => server.refuse(sender, stanza, &error),
        Delivery::NeedsRoom => server.refuse(sender, stanza, &busy()),
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
    let taker = account.with(|state| {
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
                0 => {
                    let choice = choice(state, &stanza);
                    match hand(server, account, state, &stanza, choice, 0) {
                        Verdict::Refuse(error) => refused.push((stanza, error)),
                        Verdict::Nobody => {
                            refused.push((stanza, StanzaError::new(StanzaCondition::ServiceUnavailable)));
                        }
                        verdict => drop(finish(server, verdict)),
                    }
                }
                row => release_row(server, account, state, &late(server, account, stanza, late_ms), row),
            }
        }
        offline::taker(state).filter(|taker| offline::begin(state, taker))
    });
    if let Some(taker) = taker {
        offline::start(server, &taker);
    }
    server.bounce_all(&refused);
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
fn release_row(server: &Server, account: &Account, state: &mut AccountState, stanza: &Arc<Stanza>, row: i64) {
    if state.log.draining.is_some() {
        state.log.drain_again = true;
        return;
    }
    let delivered = match choice(state, stanza) {
        choice @ (Choice::Addressed | Choice::NonNegative) => {
            hand(server, account, state, stanza, choice, row)
        }
        _ => Verdict::Wait,
    };
    match delivered {
        Verdict::Delivered(copies) => {
            (0..copies).for_each(|_| state.log.owed.give(row));
            state.log.kept = state.log.kept.saturating_sub(1);
            server.metrics().stanzas_delivered.add(copies as u64);
        }
        _ => state.log.has_offline = true,
    }
}

/// RFC 6120 §8.3.3.6: not stored, so not accepted; the sender may try again.
fn failed() -> StanzaError {
    StanzaError::new(StanzaCondition::InternalServerError).with_type(ErrorType::Wait)
}

/// Delivers a stanza of the server's own at once, or drops it: it is neither kept nor answered.
pub(crate) fn hand_out(server: &Arc<Server>, account: &Arc<Account>, stanza: &Arc<Stanza>) {
    account.with(|state| {
        let choice = choice(state, stanza);
        if let Delivery::Bounce(_) = finish(server, hand(server, account, state, stanza, choice, 0)) {
            ignored(server, stanza.kind).up();
        }
    });
}

/// Finds another way for what a session was given but did not write before it ended; answers what there is none for.
pub(crate) fn reroute(
    server: &Arc<Server>,
    account: &Arc<Account>,
    state: &mut AccountState,
    items: VecDeque<Item>,
) -> Vec<(Arc<Stanza>, StanzaError)> {
    let mut refused = Vec::new();
    for item in items {
        // what has a row is safe in the log; what others got too has arrived
        if item.row != 0 || (!item.sole && item.to.is_none()) {
            continue;
        }
        // copies, presence and answers die with the session
        if item.to.is_some() {
            server.metrics().dropped_session.up();
            continue;
        }
        let error = match item.stanza.kind {
            Kind::Message(_) => match deliver_to(server, account, state, &item.stanza, None, None) {
                Delivery::Done | Delivery::Behind(_) => continue,
                Delivery::Bounce(error) => error,
                Delivery::NeedsRoom => busy(),
            },
            Kind::Iq(hearth_wire::IqType::Get | hearth_wire::IqType::Set) => {
                StanzaError::new(StanzaCondition::ServiceUnavailable)
            }
            Kind::Iq(_) | Kind::Presence(_) => {
                server.metrics().dropped_session.up();
                continue;
            }
        };
        refused.push((item.stanza, error));
    }
    refused
}
