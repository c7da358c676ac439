//! The life of a session: an identity proved, a resource bound, and its end in whatever way.

use std::sync::Arc;

use hearth_store::{Permit, StoreError};
use hearth_wire::{BareJid, Jid, Stanza, StanzaCondition, StanzaError, StreamCondition};

use crate::account::{Account, AccountState, Resource};
use crate::drain::DrainId;
use crate::ended::Ended;
use crate::error::Internal;
use crate::event::Event;
use crate::host::Host;
use crate::late::Late;
use crate::message;
use crate::offline;
use crate::outbox::End;
use crate::presence::{self, Farewell};
use crate::random;
use crate::sasl::{Identity, KeysMark};
use crate::server::{Conflict, Server, host_gone};
use crate::session::{Connected, Session};

/// What a client asks for when it binds.
#[derive(Debug)]
pub struct BindRequest {
    /// Who it has proved to be.
    pub identity: Identity,
    /// The keys that this was proved with; `None`: by other means.
    pub proved: Option<KeysMark>,
    /// The host it logged in to.
    pub host: Arc<Host>,
    /// The resource it wants; `None`: any.
    pub resource: Option<String>,
    /// How it is connected.
    pub connected: Connected,
    /// The default language of its stream.
    pub lang: Option<Box<str>>,
}

/// Binds a resource (RFC 6120 §7.6, §7.7).
///
/// # Errors
/// What the client is told: `conflict`, `resource-constraint`, `bad-request` for a resource that is none,
/// `not-authorized` when the account has gone meanwhile, or its password is another one.
pub async fn bind(server: &Arc<Server>, request: BindRequest) -> Result<Arc<Session>, StanzaError> {
    let account = owner(server, &request).await?;
    let settings = server.settings();
    let sessions_max = settings.limits.sessions_per_account_max as usize;
    let wanted = match &request.resource {
        Some(resource) => full(&account.jid, resource),
        None => made(&account.jid),
    };
    let bound = wanted.and_then(|wanted| {
        account.with(|state| {
            // each may have happened since the proof was checked
            if state.removed
                || state.disabled
                || request.proved.is_some_and(|mark| is_void(mark, &account, state))
            {
                return Err(StanzaError::new(StanzaCondition::NotAuthorized));
            }
            let (jid, replaced) = claim(state, &account.jid, wanted, settings.conflict)?;
            let is_full = replaced.is_none() && state.resources.len() >= sessions_max;
            if is_full || state.leaving.len() >= sessions_max {
                return Err(StanzaError::new(StanzaCondition::ResourceConstraint));
            }
            let session = Arc::new(Session::new(
                server.session_began(),
                jid,
                Arc::clone(&account),
                request.host,
                request.connected,
                request.lang,
            ));
            // under the same lock: nobody else may find the old one, and nobody both
            let replaced = replaced.and_then(|old| Departure::begin(server, state, &old));
            state.resources.push(Resource::new(Arc::clone(&session)));
            Ok((session, replaced))
        })
    });
    let (session, replaced) = bound.inspect_err(|_| {
        if account.id.is_none() {
            // a guest is nobody without a session
            server.accounts().forget(account.jid.as_str());
        }
    })?;
    if let Some(old) = replaced {
        let text = Some("another client took this resource".to_owned());
        let condition = Some(StreamCondition::Conflict);
        old.session.outbox.end(End { condition, text, why: Ended::Replaced });
        old.tell(server);
    }
    if server.host(session.host.domain.as_str()).is_none() {
        // taken out of the configuration meanwhile: whoever ended the sessions of that host may have missed this one
        session.outbox.end(host_gone());
    }
    server.metrics().logins.up();
    server.tell(&Event::SessionBound(&session));
    Ok(session)
}

/// Whether the keys of a proof are no longer those of the account: its password was changed, or it is another account of
/// this name. (Memory follows the store, so it may be behind a proof.)
fn is_void(mark: KeysMark, account: &Account, state: &AccountState) -> bool {
    account.id != Some(mark.account) || mark.generation < state.keys_generation
}

/// The account of an identity.
async fn owner(server: &Arc<Server>, request: &BindRequest) -> Result<Arc<Account>, StanzaError> {
    match &request.identity {
        Identity::Account(jid) => {
            let account = server.accounts().load(server.store(), jid).await?;
            account.ok_or(StanzaError::new(StanzaCondition::NotAuthorized))
        }
        Identity::Anonymous { .. } => {
            let local = random::id()?.to_lowercase();
            let jid = BareJid::from_parts(Some(&local), request.host.domain.domain())
                .map_err(|_| Internal::Damaged("a made-up address"))?;
            Ok(server.accounts().insert_guest(jid, server.now_ms()))
        }
    }
}

fn full(bare: &BareJid, resource: &str) -> Result<Jid, StanzaError> {
    bare.with_resource(resource).map_err(|_| StanzaError::new(StanzaCondition::BadRequest))
}

fn made(bare: &BareJid) -> Result<Jid, StanzaError> {
    full(bare, &random::id()?)
}

/// §7.7.2.2: the resource as it will be, and the session that has to give it up.
fn claim(
    state: &mut AccountState,
    bare: &BareJid,
    wanted: Jid,
    conflict: Conflict,
) -> Result<(Jid, Option<Arc<Session>>), StanzaError> {
    let holder =
        wanted.resource().and_then(|name| state.resource(name)).map(|held| Arc::clone(&held.session));
    match (holder, conflict) {
        (None, _) => Ok((wanted, None)),
        (Some(old), Conflict::Replace) => Ok((wanted, Some(old))),
        (Some(_), Conflict::Refuse) => Err(StanzaError::new(StanzaCondition::Conflict)),
        (Some(_), Conflict::Rename) => Ok((made(bare)?, None)),
    }
}

/// Ends a session, however it came to that. What it was given but did not write finds another way. Ending it again does
/// nothing.
pub fn end(server: &Arc<Server>, session: &Arc<Session>) {
    leave(server, session);
    settle(server, session);
}

/// A session takes nothing new: its contacts hear that it is unavailable. [`settle`] must follow as soon as it is known
/// what it has written: until then messages for its account wait. Leaving again does nothing.
pub fn leave(server: &Arc<Server>, session: &Arc<Session>) {
    let departure = session.account.with(|state| Departure::begin(server, state, session));
    if let Some(departure) = departure {
        departure.tell(server);
    }
}

/// A session that is no longer bound, of which nobody has been told yet.
struct Departure {
    session: Arc<Session>,
    presence: Arc<Stanza>,
    farewell: Farewell,
}

impl Departure {
    /// Takes a session out, under its account's lock; `None`: it is not bound.
    fn begin(server: &Server, state: &mut AccountState, session: &Arc<Session>) -> Option<Self> {
        state.resource_of(session.id)?;
        let presence = presence::gone(session);
        let farewell = presence::leave(server, state, session, &presence);
        state.resources.retain(|resource| resource.session.id != session.id);
        state.leaving.push(Arc::clone(session));
        Some(Self { session: Arc::clone(session), presence, farewell })
    }

    fn tell(self, server: &Arc<Server>) {
        self.farewell.say(server, &self.session, &self.presence);
        server.session_ended();
        server.tell(&Event::SessionEnded(&self.session));
    }
}

/// What a session that left was given but did not write finds another way. Settling it again does nothing.
pub fn settle(server: &Arc<Server>, session: &Arc<Session>) {
    // under one lock, so that nothing newer comes before what was not written
    let settled = session.account.with(|state| {
        let mut unwritten = session.outbox.seal()?;
        offline::hand_back(state, session, &mut unwritten);
        state.leaving.retain(|leaving| leaving.id != session.id);
        if !unwritten.is_empty() {
            state.late.get_or_insert_default().give_back(unwritten);
        }
        Some(reroute(server, &session.account, state, None))
    });
    let Some(rerouted) = settled else { return };
    session.end_flushed();
    offline::forget_soon(server, &session.account);
    if session.account.id.is_none() {
        server.accounts().forget(session.account.jid.as_str());
    }
    if rerouted.conclude(server) {
        session.outbox.settle();
    } else {
        let (work, session) = (Arc::clone(server), Arc::clone(session));
        server.spawn(async move { reroute_when_room(&work, &session).await });
    }
}

/// What came of looking for another way.
#[derive(Default)]
struct Rerouted {
    refused: Vec<(Arc<Stanza>, StanzaError)>,
    drain: Option<(Arc<Session>, DrainId)>,
    needs_room: bool,
}

/// Under the account's lock: as much as the store has room for, once it is known of all sessions what they wrote.
fn reroute(
    server: &Arc<Server>,
    account: &Arc<Account>,
    state: &mut AccountState,
    permit: Option<Permit>,
) -> Rerouted {
    if state.awaits_end() {
        return Rerouted::default();
    }
    let mut items = state.late.take().map(|late| late.into_items()).unwrap_or_default();
    // rows that were given back come first: what follows is kept or held behind them
    let drain = offline::begin_any(state);
    let refused = message::reroute(server, account, state, &mut items, permit);
    let needs_room = !items.is_empty();
    if needs_room {
        state.late = Some(Box::new(Late::rest(items)));
    }
    Rerouted { refused, drain, needs_room }
}

impl Rerouted {
    /// Outside of the lock; false if there is more to do as soon as the store has room.
    fn conclude(self, server: &Arc<Server>) -> bool {
        if let Some((taker, drain)) = self.drain {
            offline::start(server, &taker, drain);
        }
        server.bounce_all(&self.refused);
        !self.needs_room
    }
}

/// The store had no room for all of it: the rest follows as room comes.
async fn reroute_when_room(server: &Arc<Server>, session: &Arc<Session>) {
    let account = &session.account;
    loop {
        let permit = match server.store().reserve().await {
            Ok(permit) => permit,
            // a queue that is full is only slow
            Err(StoreError::Busy) => continue,
            Err(error) => {
                // there is no store any more
                let lost = account.with(|state| state.late.take()).map_or(0, |late| late.load().0);
                tracing::error!(%error, jid = %session.jid, lost, "what a client did not read could not be kept");
                break;
            }
        };
        let rerouted = account.with(|state| reroute(server, account, state, Some(permit)));
        if rerouted.conclude(server) {
            break;
        }
    }
    session.outbox.settle();
}
