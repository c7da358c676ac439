//! Presence: broadcast, probes, directed presence and its clean-up (RFC 6121 §4).

mod probe;

use std::sync::Arc;

use hearth_wire::{
    BareJid, ErrorType, Jid, Kind, Payload, PresenceType, Stanza, StanzaCondition, StanzaError,
};

pub(crate) use self::probe::probed;
use crate::account::{Account, AccountState, Resource};
use crate::event::Event;
use crate::limits::DIRECTED_PRESENCE_MAX;
use crate::message;
use crate::offline;
use crate::outbox::Item;
use crate::server::Server;
use crate::session::Session;

/// A contact that is to hear, to be asked, or both.
struct Contact {
    jid: BareJid,
    hears: bool,
    asked: bool,
}

/// A client says it is available, or how (RFC 6121 §4.2, §4.4).
pub(crate) fn available(server: &Arc<Server>, session: &Arc<Session>, stanza: Stanza) {
    let Some(priority) = priority(&stanza) else {
        server.refuse(session, &stanza, &StanzaError::new(StanzaCondition::BadRequest));
        return;
    };
    let presence = Arc::new(stanza);
    let (contacts, version, drain) = session.account.with(|state| {
        let Some(resource) = state.resource_of(session.id) else { return (Vec::new(), 0, None) };
        let initial = resource.presence.replace(Arc::clone(&presence)).is_none();
        resource.priority = priority;
        tell_own(server, state, &presence);
        if initial {
            introduce(server, state, session);
        }
        // under the same lock, so that no new message comes before those that wait
        let drain = match priority {
            0.. => offline::begin(state, session).map(|drain| (Arc::clone(session), drain)),
            _ => offline::stop(server, state, session),
        };
        (contacts(state, initial), state.roster.version(), drain)
    });
    for contact in &contacts {
        meet(server, session, contact, &presence);
    }
    // nearly always nothing has changed meanwhile, and nobody has to be looked at again
    let holds = session.account.with(|state| {
        let same_contacts = state.roster.version() == version;
        let now = state.resource_of(session.id).and_then(|resource| resource.presence.as_ref());
        same_contacts && now.is_some_and(|now| Arc::ptr_eq(now, &presence))
    });
    if !holds {
        let told = contacts.into_iter().filter(|contact| contact.hears).map(|contact| contact.jid);
        agree(server, &session.account, &session.jid, told.collect(), Some(&presence));
    }
    if let Some((taker, drain)) = drain {
        offline::start(server, &taker, drain);
    }
}

/// What contacts are told of a resource is told outside of its account's lock, and others may have told them something
/// else meanwhile: another task that ended the session, or the next session of that name. So whoever has `told` looks
/// again, and tells what holds now, until nothing has changed.
fn agree(
    server: &Arc<Server>,
    account: &Account,
    jid: &Jid,
    contacts: Vec<BareJid>,
    told: Option<&Arc<Stanza>>,
) {
    let mut heard: Vec<_> = contacts.into_iter().map(|contact| (contact, told.cloned())).collect();
    while !heard.is_empty() {
        account.with(|state| {
            let resource = jid.resource().and_then(|name| state.resource(name));
            let now = resource.and_then(|resource| resource.presence.as_ref());
            heard.retain_mut(|(contact, told)| {
                let now = now.filter(|_| state.roster.subscription(contact.as_str()).from);
                let is_stale = now.map(Arc::as_ptr) != told.as_ref().map(Arc::as_ptr);
                *told = now.cloned();
                is_stale
            });
        });
        for (contact, now) in &heard {
            let presence = now.as_ref().map_or_else(|| absent(jid), Arc::clone);
            tell(server, &presence, contact, &[]);
        }
    }
}

/// The priority (RFC 6121 §4.7.2.3); `None` if it is not one.
fn priority(stanza: &Stanza) -> Option<i8> {
    match stanza.payload.find_content("priority") {
        Some(child) => stanza.payload.text(child).trim().parse().ok(),
        None => Some(0),
    }
}

/// To all available resources of the account itself, the sending one included (§4.2.2, §4.4.2).
fn tell_own(server: &Server, state: &AccountState, presence: &Arc<Stanza>) {
    for resource in state.available() {
        let item = Item::to(Arc::clone(presence), resource.session.jid.clone());
        resource.session.give(item, server.metrics());
    }
}

/// A newly available resource learns of the account's other resources, and of requests that wait (§3.1.3 rule 4).
fn introduce(server: &Server, state: &AccountState, session: &Arc<Session>) {
    for other in state.available().filter(|other| other.session.id != session.id) {
        if let Some(presence) = &other.presence {
            session.give(Item::to(Arc::clone(presence), session.jid.clone()), server.metrics());
        }
    }
    let requests = state.roster.items().iter().filter(|item| item.subscription.pending_in);
    for request in requests.filter_map(|item| item.request.as_ref()) {
        session.give(Item::new(Arc::clone(request)), server.metrics());
    }
}

fn contacts(state: &AccountState, initial: bool) -> Vec<Contact> {
    let items = state.roster.items().iter();
    items
        .map(|item| Contact {
            jid: item.jid.clone(),
            hears: item.subscription.from,
            asked: initial && item.subscription.to,
        })
        .filter(|contact| contact.hears || contact.asked)
        .collect()
}

/// Tells a contact and, at the beginning, learns of it: under one lock of the contact's account. A contact that is not
/// loaded has no resource, so nobody is told, and it is away (§4.3.2 rule 3); since when is not worth a query for each
/// contact at each login.
fn meet(server: &Arc<Server>, session: &Arc<Session>, contact: &Contact, presence: &Arc<Stanza>) {
    let loaded = || server.accounts().loaded(contact.jid.as_str());
    let account = loaded().or_else(|| {
        if !contact.asked || server.host(contact.jid.domain()).is_none() {
            return None;
        }
        let away = Item::to(absent(&Jid::from(&contact.jid)), session.jid.clone());
        session.give(away, server.metrics());
        // it may have come before that was said
        loaded()
    });
    let Some(account) = account else { return };
    account.with(|state| {
        if contact.hears {
            hear(server, state, presence, &contact.jid, &[]);
        }
        // both rosters are here and agree; the contact's word decides who may see it
        if contact.asked && state.roster.subscription(session.account.jid.as_str()).from {
            for resource in state.available() {
                if let Some(theirs) = &resource.presence {
                    session.give(Item::to(Arc::clone(theirs), session.jid.clone()), server.metrics());
                }
            }
            if state.available().next().is_none() {
                let away = Arc::new(away(server, &contact.jid, state));
                session.give(Item::to(away, session.jid.clone()), server.metrics());
            }
        }
    });
}

/// What is said of an account without available resources: since when, if that is known (§4.3.2 rule 3).
fn away(server: &Server, bare: &BareJid, state: &AccountState) -> Stanza {
    let bare = Jid::from(bare);
    let mut stanza = Stanza::new(Kind::Presence(PresenceType::Unavailable), Payload::empty());
    if state.away_ms > 0 {
        stanza.payload = offline::stamped(server.plan(), &bare, state.away_ms, &stanza.payload);
    }
    stanza.from = Some(bare);
    stanza
}

/// Tells one contact.
fn tell(server: &Server, presence: &Arc<Stanza>, contact: &BareJid, also: &[Jid]) {
    if let Some(account) = server.accounts().loaded(contact.as_str()) {
        account.with(|state| hear(server, state, presence, contact, also));
    }
}

/// To all available resources of an account, addressed to its bare address (RFC 6121 §4.4.3, §8.5.2.1.2), and to those
/// of `also` that are connected but not available: each hears it once.
fn hear(server: &Server, state: &mut AccountState, presence: &Arc<Stanza>, bare: &BareJid, also: &[Jid]) {
    if let (Kind::Presence(PresenceType::Unavailable), Some(from)) = (presence.kind, &presence.from) {
        state.forget_directed(from);
    }
    let to = Jid::from(bare);
    let hears = |resource: &Resource| resource.is_available() || also.contains(&resource.session.jid);
    let item = |resource: &Resource| {
        let to = if resource.is_available() { &to } else { &resource.session.jid };
        Item::to(Arc::clone(presence), to.clone())
    };
    let all = state.resources.iter().filter(|resource| hears(resource)).count();
    let told = state.queue(server.metrics(), hears, item);
    server.metrics().stanzas_delivered.add(told as u64);
    server.metrics().dropped_session.add((all - told) as u64);
}

/// A client says it is no longer available, but stays connected (RFC 6121 §4.5).
pub(crate) fn unavailable(server: &Arc<Server>, session: &Arc<Session>, stanza: Stanza) {
    let presence = Arc::new(stanza);
    let (farewell, drain) = session.account.with(|state| {
        let farewell = leave(server, state, session, &presence);
        let drain = offline::stop(server, state, session);
        // the resource that says so hears it too (§4.5.2)
        if farewell.was_available {
            session.give(Item::to(Arc::clone(&presence), session.jid.clone()), server.metrics());
        }
        (farewell, drain)
    });
    if let Some((taker, drain)) = drain {
        offline::start(server, &taker, drain);
    }
    farewell.say(server, session, &presence);
}

/// What the server says on behalf of a session that ended in whatever way (§4.5.2).
pub(crate) fn gone(session: &Session) -> Arc<Stanza> {
    absent(&session.jid)
}

/// That a resource is not there, in the server's words.
fn absent(jid: &Jid) -> Arc<Stanza> {
    let mut stanza = Stanza::new(Kind::Presence(PresenceType::Unavailable), Payload::empty());
    stanza.from = Some(jid.clone());
    Arc::new(stanza)
}

/// Who is to hear that a resource has gone.
pub(crate) struct Farewell {
    was_available: bool,
    was_last: bool,
    contacts: Vec<Contact>,
    directed: Vec<Jid>,
}

/// Takes the resource's availability away.
pub(crate) fn leave(
    server: &Server,
    state: &mut AccountState,
    session: &Session,
    presence: &Arc<Stanza>,
) -> Farewell {
    let Some(resource) = state.resource_of(session.id) else {
        return Farewell {
            was_available: false,
            was_last: false,
            contacts: Vec::new(),
            directed: Vec::new(),
        };
    };
    let was_available = resource.presence.take().is_some();
    let directed = std::mem::take(&mut resource.directed);
    let was_last = was_available && state.available().next().is_none();
    if was_last {
        state.away_ms = server.now_ms();
    }
    let contacts = if was_available { contacts(state, false) } else { Vec::new() };
    if was_available {
        tell_own(server, state, presence);
    }
    Farewell { was_available, was_last, contacts, directed }
}

impl Farewell {
    /// Tells them: subscribers, and who had directed presence (§4.5.2, §4.6.3 rules 2 and 3).
    pub(crate) fn say(self, server: &Arc<Server>, session: &Arc<Session>, presence: &Arc<Stanza>) {
        for contact in &self.contacts {
            // a subscriber's resource that is not available hears no broadcast, but may have had directed presence
            tell(server, presence, &contact.jid, &self.directed);
        }
        for to in &self.directed {
            if !self.contacts.iter().any(|contact| contact.jid.as_str() == to.bare_str()) {
                send_to(server, presence, to);
            }
        }
        let told = self.contacts.into_iter().map(|contact| contact.jid).collect();
        agree(server, &session.account, &session.jid, told, None);
        if self.was_last {
            server.tell(&Event::AccountWentAway { account: &session.account, presence });
        }
    }
}

/// Sends a presence to one address, if it is local and loaded.
fn send_to(server: &Arc<Server>, presence: &Arc<Stanza>, to: &Jid) {
    let Some(account) = server.accounts().loaded(to.bare_str()) else {
        return server.metrics().dropped_presence.up();
    };
    let addressed = Stanza { to: Some(to.clone()), ..Stanza::clone(presence) };
    message::hand_out(server, &account, &Arc::new(addressed));
}

/// Remembers whom a session sent directed presence to (RFC 6121 §4.6.3).
///
/// # Errors
/// There are too many already. The presence must not be delivered then: nobody would take it back at the end.
pub(crate) fn note_directed(session: &Arc<Session>, to: &Jid, kind: PresenceType) -> Result<(), StanzaError> {
    session.account.with(|state| {
        let Some(resource) = state.resource_of(session.id) else { return Ok(()) };
        match kind {
            PresenceType::Unavailable => resource.directed.retain(|jid| jid != to),
            _ if resource.directed.contains(to) => {}
            _ if resource.directed.len() >= DIRECTED_PRESENCE_MAX => {
                return Err(StanzaError::new(StanzaCondition::ResourceConstraint)
                    .with_type(ErrorType::Wait)
                    .with_text("you have sent directed presence to too many; take some back"));
            }
            _ => resource.directed.push(to.clone()),
        }
        Ok(())
    })
}

/// Directed presence was delivered: if another task has ended the session meanwhile, its farewell may have come first.
pub(crate) fn was_directed(server: &Arc<Server>, session: &Session, to: &Jid) {
    if session.account.with(|state| state.resource_of(session.id).is_none()) {
        send_to(server, &gone(session), to);
    }
}

/// Sends the current presence of each available resource (or its absence) to one address, as a change of subscription
/// asks (RFC 6121 §3.1.5, §3.2.2, §3.3.3).
pub(crate) fn show(server: &Arc<Server>, account: &Arc<Account>, to: &BareJid, available: bool) {
    let shown: Vec<(Jid, Arc<Stanza>)> = account.with(|state| {
        let each = state.available().filter_map(|resource| {
            let presence = resource.presence.clone()?;
            Some((resource.session.jid.clone(), presence))
        });
        each.collect()
    });
    for (jid, presence) in shown {
        if available {
            tell(server, &presence, to, &[]);
            agree(server, account, &jid, vec![to.clone()], Some(&presence));
        } else {
            tell(server, &absent(&jid), to, &[]);
        }
    }
}
