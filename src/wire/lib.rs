//! Bytes to stanzas and back: the framer, XMPP's XML, stanzas, addresses, conditions.
//!
//! Pure: no I/O, no clock, no async, and no extension is named here.
//! Sources: RFC 6120 (XML streams, stanzas), RFC 6121 (stanza types), RFC 7622 (addresses).

mod attribute;
mod building;
pub mod condition;
pub mod element;
pub mod framer;
pub mod jid;
pub mod misbehaved;
mod name;
pub mod ns;
pub mod payload;
mod scan;
mod scope;
pub mod stanza;
pub mod text;
mod tree;
pub mod writer;

pub use condition::{ErrorType, StanzaCondition, StanzaError, StreamCondition};
pub use element::Nonza;
pub use framer::{Frame, Framer, FramerLimits, Header};
pub use jid::{BareJid, Jid, JidError};
pub use minidom::Element;
pub use misbehaved::Misbehaved;
pub use payload::{Child, Payload};
pub use stanza::{Flaw, IqType, Kind, MessageType, PresenceType, Stanza};
pub use writer::XmlWriter;
