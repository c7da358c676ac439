//! Asking for the presence of an account or a resource (RFC 6121 §4.3, §4.6.6).

use std::sync::Arc;

use hearth_wire::{Jid, Kind, Payload, PresenceType, Stanza};

use super::away;
use crate::account::{Account, AccountState};
use crate::server::Server;

/// A probe to a local account (RFC 6121 §4.3.2, §4.6.6).
pub(crate) fn probed(server: &Arc<Server>, account: &Arc<Account>, probe: &Stanza) {
    let (Some(from), Some(to)) = (&probe.from, &probe.to) else { return };
    let answers = account.with(|state| answers(server, account, state, probe.id.as_deref(), from, to));
    for answer in answers {
        server.send_local(answer);
    }
}

fn answers(
    server: &Server,
    account: &Account,
    state: &AccountState,
    id: Option<&str>,
    from: &Jid,
    to: &Jid,
) -> Vec<Stanza> {
    let bare = Jid::from(&account.jid);
    let subscribed = state.shares_presence_with(account.jid.as_str(), from.bare_str());
    let named = to.resource().map(|name| state.resource(name));
    let plain = |kind: PresenceType, sender: Jid| {
        let mut stanza = Stanza::new(Kind::Presence(kind), Payload::empty());
        (stanza.from, stanza.to, stanza.id) = (Some(sender), Some(from.clone()), id.map(Into::into));
        stanza
    };
    match (subscribed, named) {
        // mere availability of that one resource, nothing of its details
        (true, Some(Some(resource))) if resource.is_available() => {
            vec![plain(PresenceType::Available, resource.session.jid.clone())]
        }
        // §4.6.6: who was told of a resource may hear of it again, and of no other
        (_, Some(Some(resource))) if resource.has_directed_to(from) => {
            vec![plain(PresenceType::Available, resource.session.jid.clone())]
        }
        (false, None) if state.resources.iter().any(|resource| resource.has_directed_to(from)) => {
            let told = state.resources.iter().filter(|resource| resource.has_directed_to(from));
            told.map(|resource| plain(PresenceType::Available, resource.session.jid.clone())).collect()
        }
        (false, _) => vec![plain(PresenceType::Unsubscribed, bare)],
        (true, Some(_)) => vec![plain(PresenceType::Unavailable, to.clone())],
        (true, None) if state.available().next().is_none() => {
            let to = Some(from.clone());
            vec![Stanza { to, id: id.map(Into::into), ..away(server, &account.jid, state) }]
        }
        (true, None) => {
            let full = state.available().filter_map(|resource| resource.presence.as_deref().cloned());
            full.map(|presence| Stanza { to: Some(from.clone()), ..presence }).collect()
        }
    }
}
