//! The core's own module: what RFC 6121 itself asks of a server, joined by the same interface as every extension.

use std::sync::Arc;

use hearth_wire::{BareJid, IqType, Jid, Kind, Payload, Stanza, StanzaCondition, StanzaError, ns};

use crate::error::Internal;
use crate::iq::{Entity, IqCall, IqResult, Reply, Verb};
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::module::{Module, Registrar, SetupError};
use crate::outbox::Item;
use crate::roster::{Roster, RosterItem};
use crate::roster_table;
use crate::session::Session;
use crate::stream::feature::StreamFeature;
use crate::subscribe::{self, Edited};

/// Rosters and subscriptions (RFC 6121 §2, §3).
pub const MODULE: Module = Module { name: "im", xeps: &[], needs: &[], register };

const ROSTER_VERSIONING: &str = "urn:xmpp:features:rosterver";
const PRE_APPROVAL: &str = "urn:xmpp:features:pre-approval";

fn register(m: &mut Registrar<'_>) -> Result<(), SetupError> {
    m.stream_feature(StreamFeature::after_login("ver", ROSTER_VERSIONING).not_for_guests());
    m.stream_feature(StreamFeature::after_login("sub", PRE_APPROVAL).not_for_guests());
    m.feature(Entity::Server, ns::ROSTER);
    for on in [Entity::Server, Entity::Own] {
        m.iq(Verb::Set, on, (ns::BIND, "bind"), bind_again)?;
        m.iq(Verb::Set, on, (ns::SESSION, "session"), session)?;
    }
    m.iq(Verb::Get, Entity::Own, (ns::ROSTER, "query"), roster_get)?;
    m.iq(Verb::Set, Entity::Account, (ns::ROSTER, "query"), set_of_another)?;
    m.iq(Verb::Set, Entity::Own, (ns::ROSTER, "query"), roster_set)
}

fn bad_request(text: &str) -> StanzaError {
    StanzaError::new(StanzaCondition::BadRequest).with_text(text)
}

/// RFC 6120 §7.6.2.2, of a stream that is bound already: one stream, one resource.
async fn bind_again(_: IqCall) -> IqResult {
    Err(StanzaError::new(StanzaCondition::NotAllowed))
}

/// RFC 3921 §3: clients that still ask are told yes; nothing depends on it.
async fn session(_: IqCall) -> IqResult {
    Ok(Reply::empty())
}

/// §2.1.5: nobody but its owner.
async fn set_of_another(_: IqCall) -> IqResult {
    Err(StanzaError::new(StanzaCondition::Forbidden))
}

/// §2.1.3, §2.2, §2.6: the whole roster, or only what changed since the version the client has.
async fn roster_get(call: IqCall) -> IqResult {
    let query = call.element()?;
    if query.children().next().is_some() {
        return Err(bad_request("a roster get holds no items"));
    }
    let (account, session) = (call.account()?, call.session.as_ref().ok_or(Internal::Task)?);
    let (known, now) = account.with(|state| {
        let known = query.attr("ver").and_then(|ver| state.roster.known(ver));
        (known, state.roster.version())
    });
    let gone = match (known, account.id) {
        (Some(since), Some(id)) => {
            let read = call.server.store().read(move |sql| roster_table::gone_since(sql, id, since, now));
            read.await.map_err(Internal::from)?
        }
        _ => None,
    };
    account.with(|state| {
        if let Some(resource) = state.resource_of(session.id) {
            resource.interested = true;
        }
        // under the lock, so that no push of a later change comes before the result
        let (result, pushes) = match (known, gone) {
            (Some(since), Some(gone)) => (Payload::empty(), interim(&state.roster, since, gone)),
            _ => (state.roster.query(), Vec::new()),
        };
        let metrics = call.server.metrics();
        session.send(call.result(result), metrics);
        pushes.into_iter().for_each(|push| send_push(session, push, metrics));
        Ok(Reply::Sent)
    })
}

/// What changed since a version, in the order of versions (§2.6.3).
fn interim(roster: &Roster, since: i64, gone: Vec<(BareJid, i64)>) -> Vec<(i64, Payload)> {
    let changed = roster.items().iter().filter(|item| item.listed && item.version > since);
    let mut pushes: Vec<(i64, Payload)> =
        changed.map(|item| (item.version, roster.push(&item.jid, Some(item), item.version))).collect();
    let gone = gone.into_iter().filter(|(jid, _)| roster.get(jid.as_str()).is_none_or(|item| !item.listed));
    pushes.extend(gone.map(|(jid, version)| (version, roster.push(&jid, None, version))));
    pushes.sort_by_key(|(version, _)| *version);
    pushes
}

fn send_push(session: &Session, (version, payload): (i64, Payload), metrics: &Metrics) {
    let mut stanza = Stanza::new(Kind::Iq(IqType::Set), payload);
    stanza.id = Some(format!("push{version}").into());
    session.give(Item::to(Arc::new(stanza), session.jid.clone()), metrics);
}

/// What a client may say about a contact in a roster set (§2.1.2, §2.3.3).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wish {
    jid: BareJid,
    remove: bool,
    name: Option<Box<str>>,
    groups: Box<[Box<str>]>,
}

/// §2.3, §2.4, §2.5: add, change or remove one contact.
async fn roster_set(call: IqCall) -> IqResult {
    let limits = call.server.settings().limits.clone();
    let wish = read_wish(&call, &limits)?;
    let account = Arc::clone(call.account()?);
    if wish.jid == account.jid {
        return Err(
            StanzaError::new(StanzaCondition::NotAllowed).with_text("an account is no contact of its own")
        );
    }
    if wish.remove {
        remove(&call, &account, wish.jid).await?;
    } else {
        let contact = wish.jid.clone();
        let edit = move |item| Edited { item: Some(wish.apply_to(item)), pass: false, answer: () };
        subscribe::alter(&call.server, &account, &contact, None, i64::from(limits.roster_items_max), edit)
            .await?;
    }
    Ok(Reply::empty())
}

impl Wish {
    /// Name and groups are the client's to set; the rest is not (§2.3.2).
    fn apply_to(&self, mut item: RosterItem) -> RosterItem {
        item.name.clone_from(&self.name);
        item.groups.clone_from(&self.groups);
        item.listed = true;
        item
    }
}

fn read_wish(call: &IqCall, limits: &Limits) -> Result<Wish, StanzaError> {
    let query = call.element()?;
    let mut items = query.children();
    let (Some(item), None) = (items.next(), items.next()) else {
        return Err(bad_request("a roster set holds exactly one item"));
    };
    if !item.is("item", ns::ROSTER) {
        return Err(bad_request("a roster set holds an item"));
    }
    let jid = item.attr("jid").ok_or_else(|| bad_request("the item has no jid"))?;
    let jid = Jid::parse(jid).map_err(|_| StanzaError::new(StanzaCondition::JidMalformed))?;
    let too_long = |text: &str| text.len() > limits.roster_name_bytes_max as usize;
    let unacceptable = |text: &str| StanzaError::new(StanzaCondition::NotAcceptable).with_text(text);
    let name = item.attr("name").filter(|name| !name.is_empty());
    if name.is_some_and(too_long) {
        return Err(unacceptable("the name is too long"));
    }
    let mut groups: Vec<Box<str>> = Vec::new();
    for group in item.children().filter(|child| child.is("group", ns::ROSTER)) {
        let group = group.text();
        match group.as_str() {
            "" => return Err(unacceptable("a group has no name")),
            long if too_long(long) => return Err(unacceptable("the name of a group is too long")),
            twice if groups.iter().any(|known| **known == *twice) => {
                return Err(bad_request("a group is named twice"));
            }
            _ => groups.push(group.into()),
        }
    }
    if groups.len() > limits.roster_groups_max as usize {
        return Err(unacceptable("too many groups"));
    }
    let remove = item.attr("subscription") == Some("remove");
    Ok(Wish { jid: jid.to_bare(), remove, name: name.map(Into::into), groups: groups.into() })
}

/// §2.5: the contact goes, and with it the subscriptions both ways.
async fn remove(
    call: &IqCall,
    account: &Arc<crate::account::Account>,
    jid: BareJid,
) -> Result<(), StanzaError> {
    let edit = |item: RosterItem| {
        let was = (item.listed, item.subscription);
        // whoever is not in the roster cannot be removed from it: a mere request stays as it is
        Edited { item: if item.listed { None } else { Some(item) }, pass: false, answer: was }
    };
    let (listed, was) = subscribe::alter(&call.server, account, &jid, None, i64::MAX, edit).await?;
    if !listed {
        return Err(StanzaError::new(StanzaCondition::ItemNotFound));
    }
    subscribe::part(&call.server, account, &jid, was).await;
    Ok(())
}
