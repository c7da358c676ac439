//! An account in memory: its roster, its resources, and the stanzas that wait for a commit. One lock guards all of it;
//! what happens under it is synchronous and short.

use std::collections::VecDeque;
use std::sync::Arc;

use hearth_wire::{BareJid, Jid, Kind, Stanza};
use parking_lot::Mutex;

use crate::drain::Drain;
use crate::late::Late;
use crate::metrics::Metrics;
use crate::outbox::{Item, Rejected};
use crate::owed::Owed;
use crate::pending::Pending;
use crate::roster::Roster;
use crate::session::Session;
use crate::slot::Slots;

/// An account, shared by its sessions and by whoever sends to it.
#[derive(Debug)]
pub struct Account {
    /// Its number in the store; `None`: a guest, of whom nothing is stored (XEP-0175).
    pub id: Option<i64>,
    /// Its address.
    pub jid: BareJid,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    state: Mutex<AccountState>,
}

/// One bound resource, as its account sees it.
#[derive(Debug)]
pub struct Resource {
    /// The session.
    pub session: Arc<Session>,
    /// The last broadcast presence; `None`: connected, but not available.
    pub presence: Option<Arc<Stanza>>,
    /// The priority of that presence (RFC 6121 §4.7.2.3).
    pub priority: i8,
    /// It asked for the roster: it gets pushes (RFC 6121 §2.2).
    pub interested: bool,
    /// Whom it sent directed presence to and has not taken it back (RFC 6121 §4.6).
    pub directed: Vec<Jid>,
}

impl Resource {
    /// A session just bound.
    pub fn new(session: Arc<Session>) -> Self {
        Self { session, presence: None, priority: 0, interested: false, directed: Vec::new() }
    }

    /// Whether it sent initial presence.
    pub fn is_available(&self) -> bool {
        self.presence.is_some()
    }

    /// Whether it may be given messages to the bare address (RFC 6121 §8.5.2.1.1).
    pub fn takes_messages(&self) -> bool {
        self.is_available() && self.priority >= 0
    }

    /// Whether `other` had directed presence of it, at its own address or at its account's, that was not taken back (RFC
    /// 6121 §4.6.6, §8.5.3.1).
    pub fn has_directed_to(&self, other: &Jid) -> bool {
        self.directed.iter().any(|jid| jid == other || (jid.is_bare() && jid.as_str() == other.bare_str()))
    }
}

/// The part of the account's log that memory must know of.
#[derive(Debug, Default)]
pub struct LogState {
    /// Stanzas for the account in the order in which they will be released: those with a row not yet committed, and
    /// others behind them.
    pub waiting: VecDeque<Waiting>,
    /// Whether the store may hold messages that were not delivered.
    pub has_offline: bool,
    /// How many messages wait in the store or on their way there: an upper bound, true again whenever all were handed
    /// out.
    pub kept: u32,
    /// The rows that are on their way to clients.
    pub owed: Owed,
    /// The giving of what waited to a session, while it runs; until that has all, new messages queue up behind.
    pub drain: Option<Box<Drain>>,
    /// How many drains there were, to tell them apart.
    pub drains: u32,
    /// The newest row that was released: a newer one in the store still waits for its turn.
    pub newest: i64,
    /// Whether a task removes delivered rows from the store.
    pub forgetting: bool,
}

/// A stanza for the account, held until it may be released.
#[derive(Debug)]
pub struct Waiting {
    /// The stanza.
    pub stanza: Arc<Stanza>,
    /// Its row; `None`: it has none and only waits behind others.
    pub row: Option<Arc<Pending>>,
    /// Since when it is kept because nobody was there to take it, in milliseconds since 1970; 0: it was not late.
    pub late_ms: i64,
}

/// What the account's lock guards.
#[derive(Debug, Default)]
pub struct AccountState {
    /// The contacts.
    pub roster: Roster,
    /// The bound resources.
    pub resources: Vec<Resource>,
    /// Sessions that ended while it is not yet known what they have written: messages wait for that, so that none comes
    /// before an older one that has to find another way.
    pub leaving: Vec<Arc<Session>>,
    /// What waits for them.
    pub late: Option<Box<Late>>,
    /// The log.
    pub log: LogState,
    /// When the last available resource went away, in milliseconds since 1970; 0: not in the life of this process.
    pub away_ms: i64,
    /// Whether the account may not log in.
    pub disabled: bool,
    /// The generation of its keys ([`KeysMark`](crate::sasl::KeysMark)): logins with older ones are void.
    pub keys_generation: i64,
    /// Whether the account was removed: nothing may be bound or stored any more.
    pub removed: bool,
    /// What modules hung on it.
    pub slots: Slots,
}

impl Account {
    /// An account with what was loaded of it.
    pub fn new(id: Option<i64>, jid: BareJid, created_ms: i64, state: AccountState) -> Self {
        Self { id, jid: jid.compact(), created_ms, state: Mutex::new(state) }
    }

    /// Looks at the account under its lock. Never take another account's lock, and never wait, inside.
    pub fn with<R>(&self, look: impl FnOnce(&mut AccountState) -> R) -> R {
        look(&mut self.state.lock())
    }
}

impl AccountState {
    /// The resource with this name.
    pub fn resource(&self, name: &str) -> Option<&Resource> {
        self.resources.iter().find(|resource| resource.session.resource() == name)
    }

    /// The resource of this session.
    pub fn resource_of(&mut self, session: u64) -> Option<&mut Resource> {
        self.resources.iter_mut().find(|resource| resource.session.id == session)
    }

    /// The available resources.
    pub fn available(&self) -> impl Iterator<Item = &Resource> {
        self.resources.iter().filter(|resource| resource.is_available())
    }

    /// Whether memory knows something of the account that the store does not.
    pub(crate) fn is_needed(&self) -> bool {
        let log = &self.log;
        !self.resources.is_empty() || self.is_unsettled() || !log.waiting.is_empty() || log.owed.has_written()
    }

    /// Whether it is not known yet what some session has written that will not write any more, or whether what it did not
    /// write is still on its way elsewhere.
    pub(crate) fn is_unsettled(&self) -> bool {
        self.late.is_some() || self.awaits_end()
    }

    /// Whether some session has ended, or was told to, and has not yet said what it wrote.
    pub(crate) fn awaits_end(&self) -> bool {
        !self.leaving.is_empty() || self.resources.iter().any(|resource| resource.session.outbox.is_ending())
    }

    /// Whether older messages of this sender may have to find another way first: what nobody was given but sessions that
    /// are ending, or what waits for their ends already (RFC 6120 §10.1). What a session that stays has in its queue too is
    /// in order there, and other senders' messages have no order with these.
    pub(crate) fn awaits_older(&self, stanza: &Stanza) -> bool {
        let Some(from) = stanza.from.as_ref().filter(|_| self.is_unsettled()) else { return false };
        let is_senders = |item: &Item| {
            matches!(item.stanza.kind, Kind::Message(_))
                && item.stanza.from.as_ref().is_none_or(|other| other.bare_str() == from.bare_str())
        };
        if self.late.as_ref().is_some_and(|late| late.has(is_senders)) {
            return true;
        }
        let ending = || {
            let bound = self.resources.iter().map(|resource| &resource.session);
            self.leaving.iter().chain(bound.filter(|session| session.outbox.is_ending()))
        };
        let count = ending().count() as u32;
        let is_alone = |item: &Item| match item.row {
            0 => item.is_with(count),
            row => self.log.owed.is_with(row, count),
        };
        ending().any(|session| session.outbox.owes(|item| is_senders(item) && is_alone(item)))
    }

    /// Whether what waits in the log must be given first, and cannot yet.
    pub(crate) fn awaits_log(&self) -> bool {
        self.log.has_offline && self.log.drain.is_none() && self.is_unsettled()
    }

    /// Puts a stanza into the queues of some resources, for one that is being given the log behind what waits there.
    /// Answers how many took it.
    pub(crate) fn queue(
        &mut self,
        metrics: &Metrics,
        chosen: impl Fn(&Resource) -> bool,
        item: impl Fn(&Resource) -> Item,
    ) -> usize {
        let (resources, drain) = (&self.resources, &mut self.log.drain);
        let chosen = resources.iter().filter(|resource| chosen(resource));
        let taken = chosen.filter(|resource| {
            let (item, outbox) = (item(resource), &resource.session.outbox);
            let queued = match drain.as_mut().filter(|drain| drain.session == resource.session.id) {
                Some(_) if outbox.is_ending() => Err(Rejected::Closed),
                Some(drain) => drain.hold(item).then_some(()).ok_or_else(|| outbox.overflow()),
                None => outbox.push(item),
            };
            queued.inspect_err(|why| metrics.rejected(*why)).is_ok()
        });
        taken.count()
    }

    /// Somebody says to be unavailable: directed presence to it is over (RFC 6121 §4.6.1).
    pub fn forget_directed(&mut self, from: &Jid) {
        for resource in &mut self.resources {
            resource.directed.retain(|jid| jid != from && jid.as_str() != from.bare_str());
        }
    }

    /// Whether `other` may know that this account is there: by subscription, or because it is the account itself.
    pub fn shares_presence_with(&self, own: &str, other: &str) -> bool {
        own == other || self.roster.subscription(other).from
    }
}
