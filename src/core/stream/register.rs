//! Iqs that are answered before authentication: in-band registration is the one use (XEP-0077 §3.1).

use std::net::IpAddr;
use std::sync::Arc;

use hearth_wire::{IqType, Kind, Stanza, StanzaCondition, StanzaError, ns};

use crate::host::Host;
use crate::iq::{BoxFuture, IqResult, Reply, Verb};
use crate::server::Server;

/// One such iq on its way to its handler.
#[derive(Debug, Clone)]
pub struct PreAuthCall {
    /// The server.
    pub server: Arc<Server>,
    /// The host the stream was opened to.
    pub host: Arc<Host>,
    /// Where the client connects from.
    pub peer: IpAddr,
    /// Whether TLS is on.
    pub secured: bool,
    /// Get or set.
    pub verb: Verb,
    /// The iq.
    pub stanza: Stanza,
}

impl PreAuthCall {
    /// The payload as a tree.
    ///
    /// # Errors
    /// `bad-request` if it cannot be one.
    pub fn element(&self) -> Result<hearth_wire::Element, StanzaError> {
        let payload = &self.stanza.payload;
        let child = payload.only_child().and_then(|child| payload.element(child, ns::CLIENT));
        child.ok_or(StanzaError::new(StanzaCondition::BadRequest))
    }
}

/// What answers such an iq.
pub type PreAuthHandler = Arc<dyn Fn(PreAuthCall) -> BoxFuture<IqResult> + Send + Sync>;

/// The handler of a payload before authentication.
#[derive(Clone)]
pub struct PreAuthEntry {
    /// Its namespace and name, for both verbs.
    pub payload: (&'static str, &'static str),
    /// What answers it.
    pub handle: PreAuthHandler,
}

impl std::fmt::Debug for PreAuthEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PreAuthEntry({})", self.describe())
    }
}

impl PreAuthEntry {
    pub(crate) fn describe(&self) -> String {
        format!("{{{}}}{}", self.payload.0, self.payload.1)
    }
}

/// The entry that answers an iq before authentication, if there is one.
pub(crate) fn find(server: &Server, stanza: &Stanza) -> Option<(PreAuthEntry, Verb)> {
    let Kind::Iq(kind) = stanza.kind else { return None };
    let child = stanza.payload.only_child()?;
    let (namespace, name) = (stanza.payload.namespace(child)?, stanza.payload.name(child));
    let entry = server.plan().pre_auth().iter().find(|entry| entry.payload == (namespace, name))?;
    Some((entry.clone(), Verb::of(kind)?))
}

/// Runs a handler and makes its answer a stanza.
pub async fn answer(entry: PreAuthEntry, call: PreAuthCall) -> Option<Stanza> {
    let stanza = call.stanza.clone();
    let host = hearth_wire::Jid::from(&call.host.domain);
    let mut reply = match (entry.handle)(call).await {
        Ok(Reply::Result(payload)) => stanza.reply(Kind::Iq(IqType::Result), payload),
        Ok(Reply::Sent) => return None,
        Err(error) => stanza.bounce(&error)?,
    };
    // nobody is authenticated: the client's own addresses mean nothing yet
    (reply.from, reply.to) = (Some(host), None);
    Some(reply)
}
