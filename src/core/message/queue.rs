//! Putting a stanza into the queues of the resources that were chosen for it (RFC 6121 §8.5).

use std::sync::Arc;

use hearth_wire::{IqType, Jid, Kind, MessageType, Stanza, StanzaCondition, StanzaError};

use super::{Verdict, hold};
use crate::account::{Account, AccountState, Resource};
use crate::delivery::Choice;
use crate::metrics::Counter;
use crate::outbox::{Copies, Item};
use crate::server::Server;

/// Puts the stanza into the queues of the chosen resources.
pub(super) fn hand(
    server: &Server,
    account: &Account,
    state: &mut AccountState,
    stanza: &Arc<Stanza>,
    choice: Choice,
) -> Verdict {
    match choice {
        Choice::Addressed if must_hide(account, state, stanza) => {
            Verdict::Refuse(StanzaError::new(StanzaCondition::ServiceUnavailable))
        }
        Choice::Addressed | Choice::NonNegative | Choice::Available => {
            match (queue(server, state, stanza, choice), stanza.kind) {
                // the only one has just been told to end, since it does not read
                (0, Kind::Message(_)) => hold(server, state, stanza, choice).unwrap_or(Verdict::Nobody),
                (0, Kind::Iq(IqType::Get | IqType::Set)) => Verdict::Nobody,
                (0, _) => Verdict::Drop(server.metrics().dropped_session.clone()),
                (copies, _) => Verdict::Delivered(copies),
            }
        }
        Choice::Bounce | Choice::Unclaimed | Choice::Server => {
            Verdict::Refuse(StanzaError::new(StanzaCondition::ServiceUnavailable))
        }
        Choice::Ignore => Verdict::Drop(ignored(server, stanza.kind)),
    }
}

/// Whether a resource is among those that were chosen.
pub(super) fn is_chosen(choice: Choice, stanza: &Stanza, resource: &Resource) -> bool {
    match choice {
        Choice::Addressed => stanza.to.as_ref().and_then(Jid::resource) == Some(resource.session.resource()),
        Choice::NonNegative => resource.takes_messages(),
        Choice::Available => resource.is_available(),
        Choice::Unclaimed | Choice::Bounce | Choice::Ignore | Choice::Server => false,
    }
}

/// Queues a stanza without a row. Answers how many took it.
fn queue(server: &Server, state: &mut AccountState, stanza: &Arc<Stanza>, choice: Choice) -> usize {
    let chosen = |resource: &Resource| is_chosen(choice, stanza, resource);
    let is_shared = matches!(stanza.kind, Kind::Message(_))
        && state.resources.iter().filter(|resource| chosen(resource)).nth(1).is_some();
    let copies = is_shared.then(Arc::<Copies>::default);
    let item = |_: &Resource| Item { copies: copies.clone(), ..Item::new(Arc::clone(stanza)) };
    let taken = state.queue(server.metrics(), chosen, item);
    if let Some(copies) = &copies {
        copies.begin(taken as u32);
    }
    taken
}

/// RFC 6121 §8.5.3.1: an iq must not tell a stranger that a resource is there.
fn must_hide(account: &Account, state: &AccountState, stanza: &Stanza) -> bool {
    if !matches!(stanza.kind, Kind::Iq(IqType::Get | IqType::Set)) {
        return false;
    }
    let (Some(from), Some(to)) = (&stanza.from, &stanza.to) else { return false };
    let resource = to.resource().and_then(|name| state.resource(name));
    let directed = resource.is_some_and(|resource| resource.has_directed_to(from));
    !directed && !state.shares_presence_with(account.jid.as_str(), from.bare_str())
}

/// Counts what nobody is told of when it is refused: presence, answers, errors.
pub(super) fn count_unanswered(server: &Server, kind: Kind) {
    let is_answered = match kind {
        Kind::Message(kind) => kind != MessageType::Error,
        Kind::Iq(kind) => matches!(kind, IqType::Get | IqType::Set),
        Kind::Presence(_) => false,
    };
    if !is_answered {
        ignored(server, kind).up();
    }
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
