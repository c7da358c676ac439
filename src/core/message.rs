//! Delivering to a local account: choose resources, keep what nobody can take, release what was kept in the order of
//! its rows. Everything here runs under the account's one lock, so nothing is passed over or given twice.

mod kept;
mod queue;

use std::collections::VecDeque;
use std::sync::Arc;

use hearth_store::Permit;
use hearth_wire::{IqType, Jid, Kind, PresenceType, Stanza, StanzaCondition, StanzaError};

use self::kept::keep;
pub(crate) use self::kept::{release, settle};
pub(crate) use self::queue::ignored;
use self::queue::{count_unanswered, hand};
use crate::account::{Account, AccountState, Waiting};
use crate::delivery::{Candidate, Choice, choose};
use crate::limits::ACCOUNT_WAITING_MAX;
use crate::metrics::Counter;
use crate::outbox::Item;
use crate::pending::Pending;
use crate::router::{Behind, became, busy};
use crate::server::Server;
use crate::session::Session;
use crate::stage::{Passage, Stage, Step};

/// What became of a stanza handed to an account.
#[derive(Debug)]
pub(crate) enum Delivery {
    /// Delivered, waiting in order, or ended by rule: which of these, in a word for the log.
    Done(&'static str),
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
    /// It waits for a session's end.
    Held,
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
    account.with(|state| {
        let delivery = deliver_to(server, account, state, stanza, sender, permit);
        if let Some(sender) = sender
            && state.resources.iter().any(|resource| resource.session.outbox.is_crowded())
        {
            sender.yield_soon();
        }
        delivery
    })
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
        Verdict::Wait if state.log.waiting.len() >= ACCOUNT_WAITING_MAX => {
            count_unanswered(server, stanza.kind);
            Delivery::Bounce(busy())
        }
        Verdict::Wait => {
            state.log.waiting.push_back(Waiting { stanza, row: None, late_ms: 0 });
            Delivery::Done("queued")
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
            Delivery::Done("dropped")
        }
        Verdict::Delivered(copies) => {
            server.metrics().stanzas_delivered.add(copies as u64);
            Delivery::Done("delivered")
        }
        Verdict::Wait | Verdict::Keep | Verdict::Held => Delivery::Done("queued"),
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
    let mut changed = None;
    for stage in [Stage::InGuard, Stage::InAmend] {
        if !plan.has_hooks(stage, changed.as_ref().unwrap_or(stanza)) {
            continue;
        }
        let Some(host) = server.host(account.jid.domain()) else { break };
        let stanza = changed.get_or_insert_with(|| Stanza::clone(stanza));
        let host = &*host;
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
    if let Some(verdict) = hold(server, state, stanza, choice) {
        return verdict;
    }
    let queued = !state.log.waiting.is_empty() || state.log.drain.is_some();
    match choice {
        // another resource's messages have nothing to do with this one's: no row, which the log would give to others
        Choice::Addressed if queued && !is_drained_to(state, stanza) => match state.log.waiting.is_empty() {
            true => hand(server, account, state, stanza, choice),
            false => Verdict::Wait,
        },
        Choice::Addressed | Choice::NonNegative | Choice::Available if queued => {
            // behind what waits; what can be kept gets a row, so that it cannot overtake the offline messages
            match unclaimed(server, account, state, stanza) {
                Verdict::Keep => Verdict::Keep,
                _ if !state.log.waiting.is_empty() => Verdict::Wait,
                _ => hand(server, account, state, stanza, choice),
            }
        }
        Choice::Unclaimed => unclaimed(server, account, state, stanza),
        choice => match hand(server, account, state, stanza, choice) {
            Verdict::Nobody if matches!(stanza.kind, Kind::Message(_)) => {
                unclaimed(server, account, state, stanza)
            }
            verdict => verdict,
        },
    }
}

/// A message must not come before older ones of its sender that a session got and may not have written. As long as that is
/// not known, it waits.
fn hold(server: &Server, state: &mut AccountState, stanza: &Arc<Stanza>, choice: Choice) -> Option<Verdict> {
    if !matches!(stanza.kind, Kind::Message(_)) {
        return None;
    }
    let waits = match choice {
        Choice::NonNegative => state.awaits_log() || state.awaits_older(stanza),
        Choice::Unclaimed => state.awaits_older(stanza),
        // one of that name may have been replaced, or has just been told to end
        Choice::Addressed => {
            let name = stanza.to.as_ref().and_then(Jid::resource);
            let is_named = |session: &Session| name == Some(session.resource());
            let is_ending = |session: &Session| is_named(session) && session.outbox.is_ending();
            state.awaits_log()
                || state.late.is_some() && state.awaits_older(stanza)
                || state.leaving.iter().any(|session| is_named(session))
                || state.resources.iter().any(|resource| is_ending(&resource.session))
        }
        _ => false,
    };
    if !waits {
        return None;
    }
    let held = state.late.get_or_insert_default().push(Item::new(Arc::clone(stanza)));
    Some(match held {
        Ok(()) => Verdict::Held,
        Err(_) => {
            count_unanswered(server, stanza.kind);
            Verdict::Refuse(busy())
        }
    })
}

/// Whether the resource that `to` names is the one that is being given what waited.
fn is_drained_to(state: &AccountState, stanza: &Stanza) -> bool {
    let resource = stanza.to.as_ref().and_then(Jid::resource).and_then(|name| state.resource(name));
    let drained = state.log.drain.as_ref().map(|drain| drain.session);
    resource.is_some_and(|resource| drained == Some(resource.session.id))
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
    let host = &*host;
    match plan.run(&mut Passage { stage, server, stanza: &mut seen, host, account: state, session: None }) {
        Step::Keep => Verdict::Keep,
        Step::Refuse(error) => Verdict::Refuse(error),
        Step::Drop(reason) => Verdict::Drop(reason),
        Step::Next => nobody,
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
        Delivery::Done(outcome) => became(outcome),
        Delivery::Behind(row) => {
            became("stored");
            settle(server, &Behind { account: Arc::clone(account), row }, sender).await;
        }
        Delivery::Bounce(error) => server.refuse(sender, stanza, &error),
        Delivery::NeedsRoom => server.refuse(sender, stanza, &busy()),
    }
}

/// Delivers a stanza of the server's own at once, or drops it: it is neither kept nor answered.
pub(crate) fn hand_out(server: &Arc<Server>, account: &Arc<Account>, stanza: &Arc<Stanza>) {
    account.with(|state| {
        let choice = choice(state, stanza);
        let verdict = hand(server, account, state, stanza, choice);
        if matches!(verdict, Verdict::Nobody | Verdict::Refuse(_)) {
            ignored(server, stanza.kind).up();
        }
        finish(server, verdict);
    });
}

/// Finds another way for what a session was given but did not write before it ended, item by item. Stops where the store
/// has no room, and leaves the rest. Answers those for which there is no way.
pub(crate) fn reroute(
    server: &Arc<Server>,
    account: &Arc<Account>,
    state: &mut AccountState,
    items: &mut VecDeque<Item>,
    mut permit: Option<Permit>,
) -> Vec<(Arc<Stanza>, StanzaError)> {
    let mut refused = Vec::new();
    while let Some(item) = items.pop_front() {
        // copies of what the server tells many die with the session
        if item.to.is_some() {
            server.metrics().dropped_session.up();
            continue;
        }
        // what another session has, or may still write, is nothing to be rescued
        if !item.lost() {
            continue;
        }
        let error = match item.stanza.kind {
            Kind::Message(_) => match deliver_to(server, account, state, &item.stanza, None, permit.take()) {
                Delivery::Done(_) | Delivery::Behind(_) => continue,
                Delivery::Bounce(error) => error,
                Delivery::NeedsRoom => {
                    // it is ours alone again
                    items.push_front(Item::new(item.stanza));
                    break;
                }
            },
            Kind::Iq(IqType::Get | IqType::Set) => StanzaError::new(StanzaCondition::ServiceUnavailable),
            Kind::Iq(_) | Kind::Presence(_) => {
                server.metrics().dropped_session.up();
                continue;
            }
        };
        refused.push((item.stanza, error));
    }
    refused
}
