//! One SASL exchange as a step machine: bytes of the client in, what to do next out.
//!
//! RFC 4422, RFC 6120 §6.4. No socket, no clock, no randomness: the caller frames, looks accounts up, limits
//! attempts and time, and hands a nonce in. RFC 6120's and XEP-0388's elements drive the same machine.

use std::sync::Arc;

use hearth_wire::BareJid;

use super::anonymous::Anonymous;
use super::identity::{Identity, Realm};
use super::mechanism::{BindingType, Mechanism, Offer};
use super::plain::Plain;
use super::scram::{Scram, ServerNonce};
use super::{Credentials, Failure, KeysMark, MESSAGE_BYTES_MAX, Password};

/// What the caller does next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Send this challenge, then [`Exchange::step`] with the response.
    Challenge(Vec<u8>),
    /// Look the account up, then [`Exchange::credentials`] with what was found. Until then nothing the client
    /// sends may reach the exchange.
    Need(Lookup),
    /// The client is who it says. The exchange is over.
    Done(Success),
    /// It is not. The exchange is over; the client may begin another.
    Fail(Failure),
}

/// What an exchange must know to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// The account, on the realm's domain.
    pub account: BareJid,
}

/// The end of a successful exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Success {
    /// Who the client is.
    pub identity: Identity,
    /// Additional data to send with success (RFC 4422 §3.6).
    pub data: Option<Vec<u8>>,
    /// How the exchange was bound to its channel.
    pub binding: Option<BindingType>,
    /// The keys that the proof was checked against; `None`: no account's.
    pub mark: Option<KeysMark>,
    /// The password, when the mechanism revealed it and the account lacks keys for some hash: they can be made now.
    pub password: Option<Password>,
}

/// One exchange, begun by `<auth/>`.
pub struct Exchange {
    mechanism: Mechanism,
    /// `None` when the exchange is over.
    machine: Option<Box<dyn Machine + Send>>,
    /// Nothing came from the client yet.
    fresh: bool,
}

/// A mechanism's own part. A new mechanism is one of these and a line in [`Exchange::start`].
pub(super) trait Machine {
    /// A message of the client.
    fn step(&mut self, data: &[u8]) -> Step;

    /// The answer to [`Step::Need`]; `None` for an unknown account, which must cost the same work.
    fn credentials(&mut self, _credentials: Option<&Credentials>) -> Step {
        Step::Fail(Failure::OutOfOrder)
    }

    /// Will [`Machine::credentials`] take milliseconds?
    fn is_heavy(&self) -> bool {
        false
    }
}

impl Exchange {
    /// Begins an exchange of the mechanism with this name. `nonce` is SCRAM's.
    ///
    /// # Errors
    /// As [`Offer::choose`]: what was not offered on this connection cannot be used.
    pub fn start(
        realm: &Arc<Realm>,
        offer: &Arc<Offer>,
        name: &str,
        nonce: ServerNonce,
    ) -> Result<Self, Failure> {
        let mechanism = offer.choose(name)?;
        let scram = |hash, plus| Box::new(Scram::new(realm.clone(), offer.clone(), hash, plus, nonce));
        let machine: Box<dyn Machine + Send> = match mechanism {
            Mechanism::Plain => Box::new(Plain::new(realm.clone())),
            Mechanism::Anonymous => Box::new(Anonymous),
            Mechanism::Scram(hash) => scram(hash, false),
            Mechanism::ScramPlus(hash) => scram(hash, true),
        };
        Ok(Self { mechanism, machine: Some(machine), fresh: true })
    }

    /// The mechanism in use.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// The client's initial response, or its response to a challenge. `None`: `<auth/>` had none.
    pub fn step(&mut self, data: Option<&[u8]>) -> Step {
        let first = std::mem::replace(&mut self.fresh, false);
        if data.is_none() && first && self.mechanism.needs_client_first() {
            return Step::Challenge(Vec::new());
        }
        let data = data.unwrap_or_default();
        if data.len() > MESSAGE_BYTES_MAX {
            return self.end(Step::Fail(Failure::TooLong));
        }
        let step = self.machine.as_mut().map(|machine| machine.step(data));
        self.end(step.unwrap_or(Step::Fail(Failure::OutOfOrder)))
    }

    /// The account that [`Step::Need`] asked for, or `None` when there is none. Not for a failed look-up:
    /// that ends the stream with an error, since clients take a SASL failure for a wrong password.
    pub fn credentials(&mut self, credentials: Option<&Credentials>) -> Step {
        let step = self.machine.as_mut().map(|machine| machine.credentials(credentials));
        self.end(step.unwrap_or(Step::Fail(Failure::OutOfOrder)))
    }

    /// Will [`Exchange::credentials`] derive a key, which takes milliseconds? Then it belongs on a thread for
    /// such work.
    pub fn is_heavy(&self) -> bool {
        self.machine.as_ref().is_some_and(|machine| machine.is_heavy())
    }

    /// Drops the machine, and with it every secret, after the last step.
    fn end(&mut self, step: Step) -> Step {
        if matches!(step, Step::Done(_) | Step::Fail(_)) {
            self.machine = None;
        }
        step
    }
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchange").field("mechanism", &self.mechanism).finish_non_exhaustive()
    }
}
