//! The named stages a stanza passes, and what a module may do in each.
//!
//! Order is by name: a stage's place here, then a module's place in the list, then `hook_after`. The resolved order is
//! the golden file `xep/plan.txt`.

use hearth_wire::{Kind, Stanza, StanzaError};

use crate::account::AccountState;
use crate::host::Host;
use crate::metrics::Counter;
use crate::server::Server;
use crate::session::Session;

/// Where on its way a stanza is. *Out* runs at the sender's side, *In* at the recipient's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// May refuse (blocking, rate limits).
    OutGuard,
    /// May change the stanza.
    OutAmend,
    /// May refuse.
    InGuard,
    /// May change the stanza.
    InAmend,
    /// Nobody was there to take a message: may keep it.
    Unclaimed,
}

impl Stage {
    /// All stages, in the order of a stanza's way.
    pub const ALL: [Self; 5] =
        [Self::OutGuard, Self::OutAmend, Self::InGuard, Self::InAmend, Self::Unclaimed];

    /// Whether a hook here may answer with `step`.
    pub(crate) const fn allows(self, step: &Step) -> bool {
        match step {
            Step::Next => true,
            Step::Refuse(_) | Step::Drop(_) => {
                matches!(self, Self::OutGuard | Self::InGuard | Self::Unclaimed)
            }
            Step::Keep => matches!(self, Self::Unclaimed),
        }
    }
}

/// What a hook wants to happen next.
#[derive(Debug)]
pub enum Step {
    /// The next hook, or the next stage.
    Next,
    /// The stanza is refused; its sender gets this error.
    Refuse(StanzaError),
    /// The stanza ends here by rule of an RFC or XEP, counted by reason; nobody is told.
    Drop(Counter),
    /// The stanza is written to the account's log, and goes on only when that is committed.
    Keep,
}

/// Which stanzas a hook wants to see: tested before it is called, and before anything is locked or copied for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interest {
    kinds: u8,
    /// A namespace one of the stanza's children must be of.
    namespace: Option<&'static str>,
}

impl Interest {
    /// Messages.
    pub const MESSAGE: Self = Self::kinds(1);
    /// Presence.
    pub const PRESENCE: Self = Self::kinds(2);
    /// Iq.
    pub const IQ: Self = Self::kinds(4);

    const fn kinds(kinds: u8) -> Self {
        Self { kinds, namespace: None }
    }

    /// These kinds and those of `other`.
    pub const fn and(self, other: Self) -> Self {
        Self { kinds: self.kinds | other.kinds, namespace: self.namespace }
    }

    /// Only those with a child of this namespace.
    pub const fn holding(self, namespace: &'static str) -> Self {
        Self { namespace: Some(namespace), ..self }
    }

    /// Whether this stanza is wanted.
    pub fn wants(self, stanza: &Stanza) -> bool {
        let bit = match stanza.kind {
            Kind::Message(_) => 1,
            Kind::Presence(_) => 2,
            Kind::Iq(_) => 4,
        };
        self.kinds & bit != 0
            && self.namespace.is_none_or(|namespace| stanza.payload.has_namespace(namespace))
    }
}

impl std::fmt::Display for Interest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = [(1, "message"), (2, "presence"), (4, "iq")];
        let wanted = names.iter().filter(|(bit, _)| self.kinds & bit != 0).map(|(_, name)| *name);
        f.write_str(&wanted.collect::<Vec<_>>().join("+"))?;
        self.namespace.map_or(Ok(()), |namespace| write!(f, " with {namespace}"))
    }
}

/// A stanza in a stage, with what a hook may look at there. The account is locked meanwhile: a hook reads memory, it
/// does not wait.
#[derive(Debug)]
pub struct Passage<'a> {
    /// The stage.
    pub stage: Stage,
    /// The server: its settings, clock and counters. No other account may be looked at from here.
    pub server: &'a Server,
    /// The stanza; to be changed in the *Amend* stages only.
    pub stanza: &'a mut Stanza,
    /// The host of the account whose side it is.
    pub host: &'a Host,
    /// The account whose side it is.
    pub account: &'a mut AccountState,
    /// The sending session, in the *Out* stages.
    pub session: Option<&'a Session>,
}

/// A module's code in a stage.
pub trait Hook: Send + Sync + 'static {
    /// Looks at one stanza. Must be quick: other stanzas of the account wait.
    fn pass(&self, passage: &mut Passage<'_>) -> Step;
}

impl<F: Fn(&mut Passage<'_>) -> Step + Send + Sync + 'static> Hook for F {
    fn pass(&self, passage: &mut Passage<'_>) -> Step {
        self(passage)
    }
}
