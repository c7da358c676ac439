//! XML as a client sees it: a small tree, and a strict reader of what the server sends.
//!
//! Read by `rxml`, which accepts only the XML of RFC 6120 §11; the server is built on another parser.

mod element;
mod reader;

pub(crate) use element::{Element, Node, escape};
pub(crate) use reader::{Header, Item, StreamReader, parse_fragment};

/// Content namespace of client streams, RFC 6120 §4.8.2.
pub(crate) const CLIENT: &str = "jabber:client";
/// Namespace of the stream element itself, RFC 6120 §4.8.1.
pub(crate) const STREAM: &str = "http://etherx.jabber.org/streams";
/// Namespace of the conditions in `<stream:error/>`, RFC 6120 §4.9.
pub(crate) const STREAM_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-streams";
/// Namespace of the conditions in stanza errors, RFC 6120 §8.3.
pub(crate) const STANZA_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
/// Namespace of SASL negotiation, RFC 6120 §6.
pub(crate) const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
/// Namespace of STARTTLS negotiation, RFC 6120 §5.
pub(crate) const TLS: &str = "urn:ietf:params:xml:ns:xmpp-tls";
/// Namespace of resource binding, RFC 6120 §7.
pub(crate) const BIND: &str = "urn:ietf:params:xml:ns:xmpp-bind";
/// Namespace of the prefix `xml`.
pub(crate) const XML: &str = "http://www.w3.org/XML/1998/namespace";
