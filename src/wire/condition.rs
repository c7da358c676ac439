//! The defined conditions of stream errors (RFC 6120 §4.9.3) and stanza errors (RFC 6120 §8.3.3).

use crate::ns;
use crate::payload::Payload;
use crate::writer::XmlWriter;

macro_rules! conditions {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $wire:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// The element name on the wire.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $wire,)* }
            }

            /// The condition with this element name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($wire => Some(Self::$variant),)* _ => None }
            }

            /// Every condition, in the order of the RFC.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];
        }
    };
}

conditions! {
    /// Why a stream ends (RFC 6120 §4.9.3).
    StreamCondition {
        /// XML that cannot be processed.
        BadFormat = "bad-format",
        /// A prefix that is not supported, or none where one is needed.
        BadNamespacePrefix = "bad-namespace-prefix",
        /// Another stream took this one's place.
        Conflict = "conflict",
        /// The peer did not answer, or did not finish in time.
        ConnectionTimeout = "connection-timeout",
        /// The addressed host is no longer served.
        HostGone = "host-gone",
        /// The addressed host is not served here.
        HostUnknown = "host-unknown",
        /// `to` or `from` missing where it must be.
        ImproperAddressing = "improper-addressing",
        /// The server has a fault.
        InternalServerError = "internal-server-error",
        /// `from` is not the authenticated entity.
        InvalidFrom = "invalid-from",
        /// A stream or content namespace that is not supported.
        InvalidNamespace = "invalid-namespace",
        /// XML that is invalid although well-formed.
        InvalidXml = "invalid-xml",
        /// Data before authentication, or an action without a right to it.
        NotAuthorized = "not-authorized",
        /// XML that is not (namespace-)well-formed.
        NotWellFormed = "not-well-formed",
        /// A local policy was violated.
        PolicyViolation = "policy-violation",
        /// The way to the remote server failed.
        RemoteConnectionFailed = "remote-connection-failed",
        /// Features changed: negotiate again.
        Reset = "reset",
        /// The server lacks resources.
        ResourceConstraint = "resource-constraint",
        /// Comment, PI, DTD or entity reference.
        RestrictedXml = "restricted-xml",
        /// Go to another host.
        SeeOtherHost = "see-other-host",
        /// The server is shutting down.
        SystemShutdown = "system-shutdown",
        /// An application-specific condition.
        UndefinedCondition = "undefined-condition",
        /// An encoding other than UTF-8.
        UnsupportedEncoding = "unsupported-encoding",
        /// A mandatory feature that is not supported.
        UnsupportedFeature = "unsupported-feature",
        /// A first-level child that is not supported.
        UnsupportedStanzaType = "unsupported-stanza-type",
        /// A version of XMPP that is not supported.
        UnsupportedVersion = "unsupported-version",
    }
}

conditions! {
    /// Why a stanza was refused (RFC 6120 §8.3.3).
    StanzaCondition {
        /// Malformed or not understood.
        BadRequest = "bad-request",
        /// A name is already taken.
        Conflict = "conflict",
        /// Not implemented here.
        FeatureNotImplemented = "feature-not-implemented",
        /// Lacks the right.
        Forbidden = "forbidden",
        /// No longer at this address.
        Gone = "gone",
        /// A fault of the server.
        InternalServerError = "internal-server-error",
        /// No such item.
        ItemNotFound = "item-not-found",
        /// An address that is not valid.
        JidMalformed = "jid-malformed",
        /// Against a definition of what is acceptable.
        NotAcceptable = "not-acceptable",
        /// Not allowed to anyone.
        NotAllowed = "not-allowed",
        /// Credentials are needed first.
        NotAuthorized = "not-authorized",
        /// A local policy was violated.
        PolicyViolation = "policy-violation",
        /// The recipient is away for now.
        RecipientUnavailable = "recipient-unavailable",
        /// Ask elsewhere, usually for a time.
        Redirect = "redirect",
        /// Register first.
        RegistrationRequired = "registration-required",
        /// The remote server does not exist.
        RemoteServerNotFound = "remote-server-not-found",
        /// The remote server did not answer in time.
        RemoteServerTimeout = "remote-server-timeout",
        /// Out of resources.
        ResourceConstraint = "resource-constraint",
        /// The service is not provided here.
        ServiceUnavailable = "service-unavailable",
        /// Subscribe first.
        SubscriptionRequired = "subscription-required",
        /// An application-specific condition.
        UndefinedCondition = "undefined-condition",
        /// Not expected now.
        UnexpectedRequest = "unexpected-request",
    }
}

/// What the sender of a refused stanza can do (RFC 6120 §8.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorType {
    /// Authenticate, then retry.
    Auth,
    /// Do not retry.
    Cancel,
    /// It was only a warning.
    Continue,
    /// Change the data, then retry.
    Modify,
    /// Retry later.
    Wait,
}

impl ErrorType {
    /// The value of the `type` attribute.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Cancel => "cancel",
            Self::Continue => "continue",
            Self::Modify => "modify",
            Self::Wait => "wait",
        }
    }
}

impl StanzaCondition {
    /// The error type that the RFC associates with this condition (RFC 6120 §8.3.3).
    pub const fn default_type(self) -> ErrorType {
        match self {
            Self::BadRequest
            | Self::JidMalformed
            | Self::NotAcceptable
            | Self::PolicyViolation
            | Self::Redirect => ErrorType::Modify,
            Self::Forbidden
            | Self::NotAuthorized
            | Self::RegistrationRequired
            | Self::SubscriptionRequired => ErrorType::Auth,
            Self::RecipientUnavailable
            | Self::RemoteServerTimeout
            | Self::ResourceConstraint
            | Self::UnexpectedRequest => ErrorType::Wait,
            Self::Conflict
            | Self::FeatureNotImplemented
            | Self::Gone
            | Self::InternalServerError
            | Self::ItemNotFound
            | Self::NotAllowed
            | Self::RemoteServerNotFound
            | Self::ServiceUnavailable
            | Self::UndefinedCondition => ErrorType::Cancel,
        }
    }
}

/// One stanza's refusal: what the sender is told (RFC 6120 §8.3). Not a failure of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StanzaError {
    /// What the sender can do about it.
    pub kind: ErrorType,
    /// The defined condition.
    pub condition: StanzaCondition,
    /// A human-readable explanation in English, if it helps.
    pub text: Option<String>,
    /// An application-specific condition: canonical XML of one element. Boxed, because few have one and every result
    /// that may be an error has room for it.
    pub specific: Option<Box<Payload>>,
}

impl StanzaError {
    /// A refusal with the condition's usual type.
    pub fn new(condition: StanzaCondition) -> Self {
        Self { kind: condition.default_type(), condition, text: None, specific: None }
    }

    /// The same with another type.
    pub fn with_type(mut self, kind: ErrorType) -> Self {
        self.kind = kind;
        self
    }

    /// The same with an explanation.
    pub fn with_text(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// The same with an application-specific condition, an empty element.
    pub fn with_specific(mut self, name: &str, namespace: &str) -> Self {
        let mut writer = XmlWriter::new();
        writer.open(name, namespace).close();
        self.specific = Some(Box::new(writer.into_payload()));
        self
    }

    /// Writes the `<error/>` element.
    pub fn write(&self, writer: &mut XmlWriter) {
        writer.open_content("error").attr("type", self.kind.name());
        writer.open(self.condition.name(), ns::STANZA_ERROR).close();
        if let Some(text) = &self.text {
            writer.open("text", ns::STANZA_ERROR).attr("xml:lang", "en").text(text).close();
        }
        if let Some(specific) = &self.specific {
            writer.payload(specific);
        }
        writer.close();
    }
}

impl From<StanzaCondition> for StanzaError {
    fn from(condition: StanzaCondition) -> Self {
        Self::new(condition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_conditions() {
        for &condition in StreamCondition::ALL {
            assert_eq!(StreamCondition::from_name(condition.name()), Some(condition));
        }
        for &condition in StanzaCondition::ALL {
            assert_eq!(StanzaCondition::from_name(condition.name()), Some(condition));
        }
    }

    #[test]
    fn an_error_is_written_with_condition_text_and_specific() {
        let error = StanzaError::new(StanzaCondition::NotAllowed).with_text("no").with_specific("x", "urn:x");
        let mut writer = XmlWriter::new();
        error.write(&mut writer);
        assert_eq!(
            writer.as_str(),
            "<error type='cancel'><not-allowed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
             <text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' xml:lang='en'>no</text><x xmlns='urn:x'/></error>"
        );
    }
}
