//! An iq addressed to the server or to an account, on its way to the handler of its payload.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use hearth_wire::{Child, Element, IqType, Jid, Kind, Payload, Stanza, StanzaCondition, StanzaError, ns};

use crate::account::Account;
use crate::host::Host;
use crate::server::Server;
use crate::session::Session;

/// What an iq is addressed to, as far as its handler is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entity {
    /// The domain itself.
    Server,
    /// The sender's own account: no `to`, or the own bare address.
    Own,
    /// Somebody else's account (RFC 6121 §8.5.2.1.3: answered on its behalf).
    Account,
}

/// The two iq types that ask for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// `get`
    Get,
    /// `set`
    Set,
}

impl Verb {
    /// The verb of an iq type, if it asks.
    pub const fn of(kind: IqType) -> Option<Self> {
        match kind {
            IqType::Get => Some(Self::Get),
            IqType::Set => Some(Self::Set),
            IqType::Result | IqType::Error => None,
        }
    }
}

/// How a handler answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// With a result of this content: usually one element or nothing.
    Result(Payload),
    /// It has put its result into the session's queue itself, because others had to follow in a fixed order.
    Sent,
}

impl Reply {
    /// An empty result.
    pub fn empty() -> Self {
        Self::Result(Payload::empty())
    }
}

impl From<Payload> for Reply {
    fn from(payload: Payload) -> Self {
        Self::Result(payload)
    }
}

/// The answer, or a refusal.
pub type IqResult = Result<Reply, StanzaError>;

/// A future in a box, on any thread.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A handler as the plan keeps it.
pub type IqHandler = Arc<dyn Fn(IqCall) -> BoxFuture<IqResult> + Send + Sync>;

/// One request.
#[derive(Debug, Clone)]
pub struct IqCall {
    /// The server.
    pub server: Arc<Server>,
    /// The host that was asked.
    pub host: Arc<Host>,
    /// What was asked.
    pub on: Entity,
    /// Who asks.
    pub from: Jid,
    /// The account that was asked: the sender's own for [`Entity::Own`], the addressed one for [`Entity::Account`].
    pub account: Option<Arc<Account>>,
    /// The session that asks, if it is one of ours.
    pub session: Option<Arc<Session>>,
    /// The whole iq.
    pub stanza: Stanza,
    /// Its payload's index entry.
    pub child: Child,
}

impl IqCall {
    /// The payload as a tree.
    ///
    /// # Errors
    /// `bad-request` if it cannot be one.
    pub fn element(&self) -> Result<Element, StanzaError> {
        self.stanza
            .payload
            .element(self.child, ns::CLIENT)
            .ok_or(StanzaError::new(StanzaCondition::BadRequest))
    }

    /// The payload as a typed value.
    ///
    /// # Errors
    /// `bad-request` if it is malformed.
    pub fn payload<T: TryFrom<Element>>(&self) -> Result<T, StanzaError> {
        T::try_from(self.element()?).map_err(|_| StanzaError::new(StanzaCondition::BadRequest))
    }

    /// The stanza that answers this one.
    pub fn result(&self, payload: Payload) -> Stanza {
        let mut result = self.stanza.reply(Kind::Iq(IqType::Result), payload);
        if result.from.is_none() {
            result.from = self.session.as_ref().map(|session| Jid::from(&session.account.jid));
        }
        result
    }

    /// The account that was asked.
    ///
    /// # Errors
    /// `service-unavailable` if there is none (RFC 6121 §8.5.1).
    pub fn account(&self) -> Result<&Arc<Account>, StanzaError> {
        self.account.as_ref().ok_or(StanzaError::new(StanzaCondition::ServiceUnavailable))
    }
}
