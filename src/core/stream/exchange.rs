//! What goes into the stream machine and what comes out: the whole of its contract with a transport.

use hearth_wire::{Flaw, Header, Jid, Misbehaved, Nonza, Payload, Stanza, StanzaError, StreamCondition};

use super::header::OpenHeader;
use super::register::PreAuthEntry;
use crate::ended::Ended;
use crate::iq::Verb;
use crate::outbox::End;
use crate::sasl::{ConnectionFacts, Credentials, Failure, Lookup, Success};

/// What can happen to a stream.
#[derive(Debug)]
pub enum Input {
    /// The client opened a stream.
    Header(Box<Header>),
    /// The client sent something that is not a stanza.
    Nonza(Box<Nonza>),
    /// The client sent a stanza.
    Stanza(Stanza, Option<Flaw>),
    /// The client closed its stream.
    Close,
    /// The client sent what XMPP's XML forbids.
    Misbehaved(Misbehaved),
    /// TLS is on.
    Secured(ConnectionFacts),
    /// The account that a look-up asked for; `None`: there is none.
    Credentials(Option<Credentials>),
    /// The resource that was asked for is bound.
    Bound(Jid),
    /// It is not.
    BindRefused(StanzaError),
    /// The answer to an iq before authentication, if there is one.
    Answered(Option<Stanza>),
    /// The client did not do in time what it had to.
    TimedOut,
    /// The server ends the stream.
    End(End),
}

/// What the driver has to do, in order.
#[derive(Debug)]
pub enum Output {
    /// Send our header.
    Header(OpenHeader),
    /// Send `<stream:features/>` with these children.
    Features(Payload),
    /// Send an element that is not a stanza.
    Nonza(Payload),
    /// Send a stanza.
    Stanza(Stanza),
    /// Send a stream error.
    Error {
        /// The condition.
        condition: StreamCondition,
        /// Text for people.
        text: Option<String>,
        /// The content of the condition's element (`see-other-host`).
        other_host: Option<String>,
        /// What the end of the connection is counted as.
        why: Ended,
    },
    /// Start TLS; everything the client sent behind `<starttls/>` is void. Answer: `Secured`.
    StartTls,
    /// A new document begins.
    Restart,
    /// Look an account up. Answer: `Credentials`.
    Lookup(Lookup),
    /// An attempt to log in failed: to be counted against the address.
    LoginFailed(Failure),
    /// The client is authenticated.
    LoggedIn(Box<Success>, &'static str),
    /// Answer an iq before authentication. Answer: `Answered`.
    PreAuth(PreAuthEntry, Verb, Stanza),
    /// Bind a resource. Answer: `Bound` or `BindRefused`.
    Bind(Option<String>),
    /// Route a stanza of the bound session.
    Live(Stanza, Option<Flaw>),
    /// Send our end tag.
    Close,
    /// Close the connection once everything is written.
    Hangup,
}
