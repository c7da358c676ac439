//! Subscription stanzas on their way: the sender's roster first, then the recipient's, each committed before what
//! follows from it leaves (RFC 6121 §3).

use std::sync::Arc;

use hearth_store::{StoreError, WriteSql};
use hearth_wire::{BareJid, IqType, Jid, Kind, Payload, PresenceType, Stanza, StanzaCondition, StanzaError};
use tokio::sync::oneshot;

use crate::account::{Account, AccountState};
use crate::account_table;
use crate::error::Internal;
use crate::iq::BoxFuture;
use crate::limits::{PENDING_REQUEST_BYTES_MAX, PENDING_REQUESTS_MAX};
use crate::outbox::Item;
use crate::presence;
use crate::roster::{RosterChange, RosterItem};
use crate::roster_table;
use crate::router::{Flow, became};
use crate::server::Server;
use crate::session::Session;
use crate::subscription::{Change, Follow, Subscription};

/// A stanza that reaches an account, with its type.
type Arrived = (Arc<Stanza>, PresenceType);

/// Whether a presence type is one of the four of §3.
pub(crate) const fn is_subscription(kind: PresenceType) -> bool {
    matches!(
        kind,
        PresenceType::Subscribe
            | PresenceType::Subscribed
            | PresenceType::Unsubscribe
            | PresenceType::Unsubscribed
    )
}

/// A client sends a subscription stanza.
pub(crate) fn outbound(
    server: &Arc<Server>,
    session: &Arc<Session>,
    mut stanza: Stanza,
    kind: PresenceType,
    to: &Jid,
) -> Flow {
    // §3.1.2 and its like: both addresses are bare
    let contact = to.to_bare();
    stanza.from = Some(Jid::from(&session.account.jid));
    stanza.to = Some(Jid::from(&contact));
    if contact == session.account.jid {
        // one's own presence needs no subscription (§8.5.2, §4.2.2): nothing to change, nobody to ask
        became("taken note of");
        return Flow::Done;
    }
    if kind == PresenceType::Subscribe
        && let Err(error) = acceptable(server, &stanza, &contact)
    {
        server.refuse(session, &stanza, &error);
        return Flow::Done;
    }
    let (server, session) = (Arc::clone(server), Arc::clone(session));
    Flow::Block(Box::pin(async move {
        let account = Arc::clone(&session.account);
        match send(&server, &account, stanza.clone(), kind, contact).await {
            Ok(()) => became("taken note of"),
            Err(error) => server.refuse(&session, &stanza, &error),
        }
    }))
}

/// A request is kept whole until it is answered, and shown at every login (§3.1.3 rule 4): so it must be small. And it must
/// have a way to go, or it would be pending for ever.
fn acceptable(server: &Server, request: &Stanza, contact: &BareJid) -> Result<(), StanzaError> {
    if request.payload.as_str().len() > PENDING_REQUEST_BYTES_MAX {
        return Err(StanzaError::new(StanzaCondition::PolicyViolation).with_text("the request is too large"));
    }
    match server.hosts().get(contact.domain()) {
        Some(_) => Ok(()),
        None => Err(StanzaError::new(StanzaCondition::RemoteServerNotFound)),
    }
}

/// Carries a subscription stanza out of an account: state, routing, what follows.
fn send(
    server: &Arc<Server>,
    account: &Arc<Account>,
    stanza: Stanza,
    kind: PresenceType,
    contact: BareJid,
) -> BoxFuture<Result<(), StanzaError>> {
    let (server, account) = (Arc::clone(server), Arc::clone(account));
    // in a box, since an answer may be sent from inside
    Box::pin(async move {
        let decide = move |item: &RosterItem| item.subscription.outbound(kind);
        let Some(change) = change(&server, &account, &contact, None, decide).await? else { return Ok(()) };
        if change.follow == Follow::Unavailable {
            presence::show(&server, &account, &contact, false);
        }
        if change.pass {
            receive(&server, &account.jid, stanza, kind, contact.clone()).await?;
        }
        if change.follow == Follow::Current {
            presence::show(&server, &account, &contact, true);
        }
        Ok(())
    })
}

/// A subscription stanza reaches an account of ours. Unknown accounts and other domains take nothing in: who asks
/// learns nothing (§8.5.1).
async fn receive(
    server: &Arc<Server>,
    from: &BareJid,
    stanza: Stanza,
    kind: PresenceType,
    to: BareJid,
) -> Result<(), StanzaError> {
    if server.host(to.domain()).is_none() {
        return Err(StanzaError::new(StanzaCondition::RemoteServerNotFound));
    }
    if to.local().is_none() {
        if kind == PresenceType::Subscribe {
            // the server itself has no presence to share, and nobody who could be asked later
            let denial = PresenceType::Unsubscribed;
            let answer = Stanza { id: stanza.id, ..between(&to, from, denial) };
            Box::pin(receive(server, &to, answer, denial, from.clone())).await?;
        }
        return Ok(());
    }
    let Some(account) = server.accounts().load(server.store(), &to).await? else {
        server.metrics().dropped_presence.up();
        return Ok(());
    };
    if kind == PresenceType::Subscribe && is_flooded(&account, from) {
        server.metrics().dropped_presence.up();
        return Ok(());
    }
    let stanza = Arc::new(stanza);
    let decide = move |item: &RosterItem| item.subscription.inbound(kind);
    let Some(change) = change(server, &account, from, Some((Arc::clone(&stanza), kind)), decide).await?
    else {
        return Ok(());
    };
    if change.follow == Follow::Unavailable {
        presence::show(server, &account, from, false);
    }
    if let Some(reply) = change.reply {
        let answer = Stanza { id: stanza.id.clone(), ..between(&to, from, reply) };
        Box::pin(receive(server, &to, answer, reply, from.clone())).await?;
    }
    if change.follow == Follow::Current {
        presence::show(server, &account, from, true);
    }
    Ok(())
}

/// Whether an account has as many unanswered requests as it may keep, and this would be another one.
fn is_flooded(account: &Account, from: &BareJid) -> bool {
    account.with(|state| {
        let pending = state.roster.items().iter().filter(|item| item.subscription.pending_in).count();
        pending >= PENDING_REQUESTS_MAX && !state.roster.subscription(from.as_str()).pending_in
    })
}

/// Changes an account's state towards a contact; `arrived` is the stanza to deliver if the change says so, before the
/// push (§3.1.6, §3.2.3, §3.3.3). `None` for what changes nothing at all.
async fn change(
    server: &Arc<Server>,
    account: &Arc<Account>,
    contact: &BareJid,
    arrived: Option<Arrived>,
    decide: impl Fn(&RosterItem) -> Option<Change> + Send + Sync + 'static,
) -> Result<Option<Change>, StanzaError> {
    let current = account.with(|state| {
        if state.removed {
            return None;
        }
        let item = state.roster.get(contact.as_str()).cloned();
        let item = item.unwrap_or_else(|| RosterItem::new(contact.clone()));
        decide(&item).map(|change| (item.subscription == change.state, change))
    });
    // nothing to store: what is left is to pass it on
    match current {
        None => return Ok(None),
        Some((true, change)) => {
            if let (Some((stanza, kind)), true) = (&arrived, change.pass) {
                account.with(|state| hand(server, state, stanza, *kind));
            }
            return Ok(Some(change));
        }
        Some((false, _)) => {}
    }
    let keep_request = arrived.clone();
    let limit = i64::from(server.settings().limits.roster_items_max);
    alter(server, account, contact, arrived, limit, move |item| {
        let Some(change) = decide(&item) else {
            return Edited { item: Some(item), pass: false, answer: None };
        };
        let item = follow(item, &change, keep_request.as_ref());
        Edited { item: Some(item), pass: change.pass, answer: Some(change) }
    })
    .await
}

/// The item after a change of its subscription; `arrived` is what brought it about.
fn follow(mut item: RosterItem, change: &Change, arrived: Option<&Arrived>) -> RosterItem {
    item.subscription = change.state;
    // §3.1.3: a request alone makes no item; §3.2, §3.3: an item stays when the subscription goes
    item.listed |= change.state.makes_item();
    item.request = match arrived {
        Some((stanza, PresenceType::Subscribe)) if change.state.pending_in => Some(Arc::clone(stanza)),
        _ if change.state.pending_in => item.request,
        _ => None,
    };
    item
}

/// What an edit of one contact comes to.
pub(crate) struct Edited<T> {
    /// The item afterwards; `None`: forget it.
    pub(crate) item: Option<RosterItem>,
    /// Whether the stanza that arrived is delivered.
    pub(crate) pass: bool,
    /// What the asker wants to know.
    pub(crate) answer: T,
}

/// Stores an edit of one contact, then, in the order of commits, takes it into memory, delivers what `arrived`, and
/// pushes.
pub(crate) async fn alter<T: Clone + Send + Sync + 'static>(
    server: &Arc<Server>,
    account: &Arc<Account>,
    contact: &BareJid,
    arrived: Option<Arrived>,
    items_max: i64,
    edit: impl Fn(RosterItem) -> Edited<T> + Send + Sync + 'static,
) -> Result<T, StanzaError> {
    let Some(id) = account.id else { return Err(StanzaError::new(StanzaCondition::NotAllowed)) };
    let permit = server.store().reserve().await.map_err(Internal::from)?;
    let (tell, told) = oneshot::channel();
    let jid = contact.clone();
    let job = move |sql: &mut dyn WriteSql| {
        let mut result = None;
        let mut was_listed = false;
        let change = roster_table::change(sql, id, &jid, |item| {
            was_listed = item.listed;
            let edited = edit(item);
            result = Some((edited.answer, edited.pass));
            edited.item
        })?;
        // only what makes it larger: whoever has too many, since the limit was lowered, can still edit and withdraw
        let grown = !was_listed && change.item.as_ref().is_some_and(|item| item.listed);
        if grown && roster_table::count(sql, id)? > items_max {
            return Err(StoreError::Refused(FULL));
        }
        Ok((change, result))
    };
    let (server, account) = (Arc::clone(server), Arc::clone(account));
    permit.submit_then(job, move |outcome| {
        let outcome = outcome.map(|(change, result)| {
            let (answer, pass) = result?;
            let arrived = arrived.as_ref().filter(|_| pass);
            account.with(|state| committed(&server, state, &change, arrived));
            Some(answer)
        });
        // the asker may have gone; the change stands all the same
        let _ = tell.send(outcome);
    });
    match told.await.map_err(|_| Internal::Task)? {
        Ok(Some(result)) => Ok(result),
        Ok(None) => Err(Internal::Task.into()),
        Err(StoreError::Refused(FULL)) => {
            Err(StanzaError::new(StanzaCondition::NotAllowed).with_text("the roster is full"))
        }
        Err(error) => Err(Internal::from(error).into()),
    }
}

const FULL: &str = "the roster is full";

/// Memory follows the store; then the account's clients do.
fn committed(server: &Server, state: &mut AccountState, change: &RosterChange, arrived: Option<&Arrived>) {
    state.roster.apply(change);
    if let Some((stanza, kind)) = arrived {
        hand(server, state, stanza, *kind);
    }
    if change.visible {
        push(server, state, change);
    }
}

/// A request goes to available resources (§3.1.3), the rest to interested ones (§3.1.6, §3.2.3, §3.3.3); an available
/// one that never asked for the roster hears it too, since presence is what it is interested in.
fn hand(server: &Server, state: &AccountState, stanza: &Arc<Stanza>, kind: PresenceType) {
    for resource in &state.resources {
        let interested = kind != PresenceType::Subscribe && resource.interested;
        if resource.is_available() || interested {
            resource.session.give(Item::new(Arc::clone(stanza)), server.metrics());
        }
    }
}

/// A roster push to every interested resource (§2.1.6): one payload, one id.
fn push(server: &Server, state: &AccountState, change: &RosterChange) {
    let payload = state.roster.push(&change.jid, change.item.as_ref(), change.version);
    let mut stanza = Stanza::new(Kind::Iq(IqType::Set), payload);
    stanza.id = Some(format!("push{}", change.version).into());
    let stanza = Arc::new(stanza);
    for resource in state.resources.iter().filter(|resource| resource.interested) {
        let item = Item::to(Arc::clone(&stanza), resource.session.jid.clone());
        resource.session.give(item, server.metrics());
    }
}

/// The subscription stanzas that a removed contact is owed (§2.5.2).
fn owed(was: Subscription) -> impl Iterator<Item = PresenceType> {
    let owed = [
        (was.to || was.pending_out, PresenceType::Unsubscribe),
        (was.from || was.pending_in, PresenceType::Unsubscribed),
    ];
    owed.into_iter().filter(|(is_owed, _)| *is_owed).map(|(_, kind)| kind)
}

/// A stanza of an account's server on its behalf.
fn between(from: &BareJid, to: &BareJid, kind: PresenceType) -> Stanza {
    let mut stanza = Stanza::new(Kind::Presence(kind), Payload::empty());
    (stanza.from, stanza.to) = (Some(Jid::from(from)), Some(Jid::from(to)));
    stanza
}

/// Sends them on the account's behalf.
pub(crate) async fn part(server: &Arc<Server>, account: &Arc<Account>, contact: &BareJid, was: Subscription) {
    if was.from {
        presence::show(server, account, contact, false);
    }
    for kind in owed(was) {
        let stanza = between(&account.jid, contact, kind);
        if let Err(error) = receive(server, &account.jid, stanza, kind, contact.clone()).await {
            tracing::warn!(condition = error.condition.name(), "a contact could not be told of its removal");
        }
    }
}

/// What the removal of an account does to one of its contacts here.
#[derive(Debug)]
pub(crate) struct Parting {
    contact: BareJid,
    was: Subscription,
    /// Each stanza that the contact is owed, with what it changes.
    steps: Vec<(RosterChange, Option<Arrived>)>,
}

/// Parts an account that is being removed from all its contacts in the store, in one transaction with the removal:
/// afterwards nobody would know what they are owed. There are no contacts elsewhere yet; those will need their stanzas
/// kept, in this transaction too.
///
/// # Errors
/// [`StoreError`].
pub(crate) fn part_all(
    sql: &mut dyn WriteSql,
    id: i64,
    account: &BareJid,
) -> Result<Vec<Parting>, StoreError> {
    let mut partings = Vec::new();
    for item in roster_table::items(sql, id)?.0 {
        let Some(localpart) = item.jid.local().filter(|_| item.jid != *account) else { continue };
        let Some(contact) = account_table::id(sql, item.jid.domain(), localpart)? else { continue };
        let (was, mut steps) = (item.subscription, Vec::new());
        for kind in owed(was) {
            let arrived = (Arc::new(between(account, &item.jid, kind)), kind);
            let mut pass = false;
            let change = roster_table::change(sql, contact, account, |theirs| {
                let Some(change) = theirs.subscription.inbound(kind) else { return Some(theirs) };
                pass = change.pass;
                Some(follow(theirs, &change, Some(&arrived)))
            })?;
            steps.push((change, Some(arrived).filter(|_| pass)));
        }
        partings.push(Parting { contact: item.jid, was, steps });
    }
    Ok(partings)
}

impl Parting {
    /// Once it is committed: memory follows, and the contact's clients hear of it.
    pub(crate) fn tell(self, server: &Arc<Server>, account: &Arc<Account>) {
        if self.was.from {
            presence::show(server, account, &self.contact, false);
        }
        let Some(contact) = server.accounts().changed(self.contact.as_str()) else { return };
        contact.with(|state| {
            for (change, arrived) in &self.steps {
                committed(server, state, change, arrived.as_ref());
            }
        });
    }
}
