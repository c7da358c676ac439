//! Message, presence and iq: a typed head and a shared payload (RFC 6120 §8, RFC 6121 §4, §5).

use std::sync::Arc;

use crate::condition::{StanzaCondition, StanzaError};
use crate::jid::Jid;
use crate::payload::Payload;
use crate::text::{self, Place};
use crate::writer::XmlWriter;

macro_rules! types {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $wire:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// The value of the `type` attribute.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $wire,)* }
            }

            fn parse(name: &str) -> Option<Self> {
                match name { $($wire => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

types! {
    /// Types of a message (RFC 6121 §5.2.2).
    MessageType {
        /// One-to-one chat.
        Chat = "chat",
        /// An error came back.
        Error = "error",
        /// From or to a room.
        Groupchat = "groupchat",
        /// An alert that expects no answer.
        Headline = "headline",
        /// A single message; the default.
        Normal = "normal",
    }
}

types! {
    /// Types of a presence (RFC 6121 §4.7.1). `Available` is the one without a `type`.
    PresenceType {
        /// Available for communication: no `type` attribute.
        Available = "",
        /// An error came back.
        Error = "error",
        /// Asks for the current presence.
        Probe = "probe",
        /// Asks for a subscription.
        Subscribe = "subscribe",
        /// Approves a subscription.
        Subscribed = "subscribed",
        /// No longer available.
        Unavailable = "unavailable",
        /// Cancels one's own subscription.
        Unsubscribe = "unsubscribe",
        /// Cancels or denies the other's subscription.
        Unsubscribed = "unsubscribed",
    }
}

types! {
    /// Types of an iq (RFC 6120 §8.2.3).
    IqType {
        /// Asks.
        Get = "get",
        /// Changes.
        Set = "set",
        /// Answers.
        Result = "result",
        /// Refuses.
        Error = "error",
    }
}

/// Which stanza, and of which type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `<message/>`.
    Message(MessageType),
    /// `<presence/>`.
    Presence(PresenceType),
    /// `<iq/>`.
    Iq(IqType),
}

impl Kind {
    /// The element name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Message(_) => "message",
            Self::Presence(_) => "presence",
            Self::Iq(_) => "iq",
        }
    }

    /// The value of `type`, unless it is left out because it is the default.
    pub const fn type_name(self) -> Option<&'static str> {
        match self {
            Self::Message(MessageType::Normal) | Self::Presence(PresenceType::Available) => None,
            Self::Message(t) => Some(t.name()),
            Self::Presence(t) => Some(t.name()),
            Self::Iq(t) => Some(t.name()),
        }
    }

    /// Whether it is an error stanza: those are never answered (RFC 6120 §8.3.1).
    pub const fn is_error(self) -> bool {
        matches!(
            self,
            Self::Message(MessageType::Error) | Self::Presence(PresenceType::Error) | Self::Iq(IqType::Error)
        )
    }

    /// The same stanza as an error.
    pub const fn as_error(self) -> Self {
        match self {
            Self::Message(_) => Self::Message(MessageType::Error),
            Self::Presence(_) => Self::Presence(PresenceType::Error),
            Self::Iq(_) => Self::Iq(IqType::Error),
        }
    }
}

/// A stanza: typed head, shared content. Cloning shares the payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stanza {
    /// Which stanza.
    pub kind: Kind,
    /// `id`.
    pub id: Option<Box<str>>,
    /// `from`.
    pub from: Option<Jid>,
    /// `to`.
    pub to: Option<Jid>,
    /// `xml:lang`.
    pub lang: Option<Box<str>>,
    /// Attributes of other namespaces (RFC 6120 §8.4), in canonical form with a leading space.
    pub extended: Option<Box<str>>,
    /// The content.
    pub payload: Arc<Payload>,
}

/// What is wrong with a stanza that is good XML. Of several the first in this order counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flaw {
    /// `from` is not an address.
    From,
    /// `to` is not an address.
    To,
    /// `type` is not one that exists.
    Type,
    /// An iq without `id` (RFC 6120 §8.2.3 rule 1).
    NoId,
    /// An iq whose number of children does not fit its type (RFC 6120 §8.2.3).
    Content,
}

impl Flaw {
    /// What the sender is told. `From` ends the stream instead where it was given by a client.
    pub const fn condition(self) -> StanzaCondition {
        match self {
            Self::To | Self::From => StanzaCondition::JidMalformed,
            Self::Type | Self::NoId | Self::Content => StanzaCondition::BadRequest,
        }
    }
}

/// The three names.
#[derive(Debug, Clone, Copy)]
pub(crate) enum StanzaName {
    Message,
    Presence,
    Iq,
}

impl StanzaName {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name {
            "message" => Some(Self::Message),
            "presence" => Some(Self::Presence),
            "iq" => Some(Self::Iq),
            _ => None,
        }
    }
}

/// The attributes of a stanza.
#[derive(Debug)]
pub(crate) struct RawHead {
    name: StanzaName,
    pub(crate) id: Option<Box<str>>,
    pub(crate) lang: Option<Box<str>>,
    /// Attributes of other namespaces, in canonical form with a leading space.
    pub(crate) extended: String,
    /// The type, if a known one was given.
    kind: Option<Kind>,
    from: Option<Jid>,
    to: Option<Jid>,
    flaw: Option<Flaw>,
}

impl RawHead {
    pub(crate) fn new(name: StanzaName) -> Self {
        Self {
            name,
            id: None,
            lang: None,
            extended: String::new(),
            kind: None,
            from: None,
            to: None,
            flaw: None,
        }
    }

    pub(crate) fn set_to(&mut self, value: &str) {
        self.to = Jid::parse(value).ok();
        self.note(self.to.is_none().then_some(Flaw::To));
    }

    pub(crate) fn set_from(&mut self, value: &str) {
        self.from = Jid::parse(value).ok();
        self.note(self.from.is_none().then_some(Flaw::From));
    }

    pub(crate) fn set_type(&mut self, value: &str) {
        self.kind = match self.name {
            // RFC 6121 §5.2.2: an unknown type is handled as normal
            StanzaName::Message => {
                Some(Kind::Message(MessageType::parse(value).unwrap_or(MessageType::Normal)))
            }
            // available is the absence of a type, not the empty one
            StanzaName::Presence if value.is_empty() => None,
            StanzaName::Presence => PresenceType::parse(value).map(Kind::Presence),
            StanzaName::Iq => IqType::parse(value).map(Kind::Iq),
        };
        self.note(self.kind.is_none().then_some(Flaw::Type));
    }

    fn note(&mut self, flaw: Option<Flaw>) {
        self.flaw = self.flaw.into_iter().chain(flaw).min();
    }
}

impl Stanza {
    /// A stanza without addresses.
    pub fn new(kind: Kind, payload: Payload) -> Self {
        Self { kind, id: None, from: None, to: None, lang: None, extended: None, payload: Arc::new(payload) }
    }

    pub(crate) fn read(mut head: RawHead, payload: Payload) -> (Self, Option<Flaw>) {
        let kind = match (head.kind, head.name) {
            (Some(kind), _) => kind,
            (None, StanzaName::Message) => Kind::Message(MessageType::Normal),
            (None, StanzaName::Presence) => Kind::Presence(PresenceType::Available),
            (None, StanzaName::Iq) => {
                head.note(Some(Flaw::Type));
                Kind::Iq(IqType::Get)
            }
        };
        if let Kind::Iq(kind) = kind {
            head.note(iq_flaw(kind, head.id.as_deref(), payload.children().len()));
        }
        let RawHead { id, lang, extended, from, to, flaw, .. } = head;
        let extended = (!extended.is_empty()).then(|| extended.into_boxed_str());
        (Self { kind, id, from, to, lang, extended, payload: Arc::new(payload) }, flaw)
    }

    /// An iq that answers this one: addresses swapped, same id (RFC 6120 §8.2.3).
    pub fn reply(&self, kind: Kind, payload: Payload) -> Self {
        Self {
            kind,
            id: self.id.clone(),
            from: self.to.clone(),
            to: self.from.clone(),
            lang: None,
            extended: None,
            payload: Arc::new(payload),
        }
    }

    /// The error stanza that answers this one, with its content (RFC 6120 §8.3.1); `None` where an error must not be
    /// answered: to an error or an iq result.
    pub fn bounce(&self, error: &StanzaError) -> Option<Self> {
        if self.kind.is_error() || self.kind == Kind::Iq(IqType::Result) {
            return None;
        }
        let mut writer = XmlWriter::with_capacity(self.payload.as_str().len() + 160);
        // an iq error holds at most one child besides the error (§8.2.3): what was sent with more is not mirrored
        if !matches!(self.kind, Kind::Iq(_)) || self.payload.children().len() == 1 {
            writer.payload(&self.payload);
        }
        error.write(&mut writer);
        let mut bounced = self.reply(self.kind.as_error(), writer.into_payload());
        if matches!(self.kind, Kind::Iq(_)) {
            // an iq that came without an id is answered with an empty one: an iq has an id (§8.2.3)
            bounced.id.get_or_insert_default();
        }
        Some(bounced)
    }

    /// The type, if it is a message.
    pub const fn message_type(&self) -> Option<MessageType> {
        match self.kind {
            Kind::Message(kind) => Some(kind),
            _ => None,
        }
    }

    /// Writes the whole stanza, to `to` if given (for one of many recipients), as a child of a stream whose default
    /// namespace is the content namespace; with `xmlns` where it stands on its own (RFC 7395, archives).
    pub fn write(&self, out: &mut String, to: Option<&Jid>, xmlns: Option<&str>) {
        let name = self.kind.name();
        out.push('<');
        out.push_str(name);
        let mut attr = |key: &str, value: &str| {
            out.push(' ');
            out.push_str(key);
            out.push_str("='");
            text::escape(value, Place::Attribute, out);
            out.push('\'');
        };
        if let Some(xmlns) = xmlns {
            attr("xmlns", xmlns);
        }
        if let Some(from) = &self.from {
            attr("from", from.as_str());
        }
        if let Some(to) = to.or(self.to.as_ref()) {
            attr("to", to.as_str());
        }
        if let Some(id) = &self.id {
            attr("id", id);
        }
        if let Some(kind) = self.kind.type_name() {
            attr("type", kind);
        }
        if let Some(lang) = &self.lang {
            attr("xml:lang", lang);
        }
        out.push_str(self.extended.as_deref().unwrap_or_default());
        if self.payload.as_str().is_empty() {
            out.push_str("/>");
            return;
        }
        out.push('>');
        out.push_str(self.payload.as_str());
        out.push_str("</");
        out.push_str(name);
        out.push('>');
    }

    /// About how many bytes it takes in memory and on the wire (for bounded queues).
    pub fn weight_bytes(&self) -> usize {
        self.payload.as_str().len() + self.extended.as_deref().map_or(0, str::len) + 192
    }
}

fn iq_flaw(kind: IqType, id: Option<&str>, children: usize) -> Option<Flaw> {
    match kind {
        _ if id.is_none_or(str::is_empty) => Some(Flaw::NoId),
        IqType::Get | IqType::Set if children != 1 => Some(Flaw::Content),
        IqType::Result if children > 1 => Some(Flaw::Content),
        _ => None,
    }
}
