//! Namespaces that the stream, stanza and roster RFCs define. Extensions bring their own.

/// Streams (RFC 6120 §4.8.1).
pub const STREAM: &str = "http://etherx.jabber.org/streams";
/// Content namespace between client and server (RFC 6120 §4.8.2).
pub const CLIENT: &str = "jabber:client";
/// Content namespace between servers (RFC 6120 §4.8.2).
pub const SERVER: &str = "jabber:server";
/// Content namespace between a component and its server; a stream's content may not hide as it (`building`).
pub(crate) const COMPONENT: &str = "jabber:component:accept";
/// STARTTLS (RFC 6120 §5.2).
pub const TLS: &str = "urn:ietf:params:xml:ns:xmpp-tls";
/// SASL (RFC 6120 §6.2).
pub const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
/// Resource binding (RFC 6120 §7.2).
pub const BIND: &str = "urn:ietf:params:xml:ns:xmpp-bind";
/// Session establishment (RFC 3921 §3; a no-op since RFC 6120).
pub const SESSION: &str = "urn:ietf:params:xml:ns:xmpp-session";
/// Defined conditions of stream errors (RFC 6120 §4.9.2).
pub const STREAM_ERROR: &str = "urn:ietf:params:xml:ns:xmpp-streams";
/// Defined conditions of stanza errors (RFC 6120 §8.3.2).
pub const STANZA_ERROR: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
/// Roster management (RFC 6121 §2).
pub const ROSTER: &str = "jabber:iq:roster";
/// The namespace that `xml:` is bound to for ever (XML names §3).
pub const XML: &str = "http://www.w3.org/XML/1998/namespace";
/// The namespace that `xmlns:` is bound to for ever (XML names §3).
pub const XMLNS: &str = "http://www.w3.org/2000/xmlns/";
