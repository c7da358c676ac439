//! What a peer can do wrong on the level of bytes and XML, and the stream error each earns.

use crate::condition::StreamCondition;

/// A breach of XMPP's XML (RFC 6120 §4, §11) or of a limit. The stream cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // each variant's message says what it is
pub enum Misbehaved {
    #[error("bytes that are not UTF-8")]
    NotUtf8,
    #[error("an encoding other than UTF-8")]
    Encoding,
    #[error("a character that XML 1.0 does not allow")]
    Character,
    #[error("a name that is not an XML name")]
    Name,
    #[error("a tag that is not well-formed")]
    Tag,
    #[error("an attribute given twice")]
    DuplicateAttribute,
    #[error("a prefix that is not bound to a namespace")]
    UnboundPrefix,
    #[error("a prefix on an element of the content namespace")]
    PrefixedContent,
    #[error("a namespace declaration that XML names forbids")]
    Declaration,
    #[error("an end tag without its start tag")]
    UnmatchedEnd,
    #[error("an XML declaration that is wrong or not at the start")]
    XmlDeclaration,
    #[error("a reference that is not one of the five predefined or a character")]
    EntityReference,
    #[error("a reference that is not well-formed")]
    Reference,
    #[error("a comment")]
    Comment,
    #[error("a processing instruction")]
    ProcessingInstruction,
    #[error("a document type declaration")]
    Doctype,
    #[error("text in front of the stream's first tag")]
    EarlyText,
    #[error("text between stanzas")]
    LooseText,
    #[error("an element or stream larger than {0} bytes")]
    TooManyBytes(u32),
    #[error(
        "an element larger than {0} bytes in the form that is passed on, with each namespace where it is used"
    )]
    TooManyBytesWritten(u32),
    #[error("an element with more than {0} elements")]
    TooManyElements(u32),
    #[error("elements nested deeper than {0}")]
    TooDeep(u32),
    #[error("an element with more than {0} attributes")]
    TooManyAttributes(u32),
    #[error("more than {0} namespace declarations in force")]
    TooManyDeclarations(u32),
    #[error("data after the end of the stream")]
    AfterClose,
    #[error("a second stream within the stream")]
    SecondStream,
}

impl From<Misbehaved> for StreamCondition {
    fn from(m: Misbehaved) -> Self {
        match m {
            Misbehaved::NotUtf8 | Misbehaved::Encoding => Self::UnsupportedEncoding,
            Misbehaved::Character
            | Misbehaved::Name
            | Misbehaved::Tag
            | Misbehaved::DuplicateAttribute
            | Misbehaved::UnboundPrefix
            | Misbehaved::Declaration
            | Misbehaved::UnmatchedEnd
            | Misbehaved::XmlDeclaration
            | Misbehaved::Reference
            | Misbehaved::EarlyText
            | Misbehaved::AfterClose => Self::NotWellFormed,
            Misbehaved::EntityReference
            | Misbehaved::Comment
            | Misbehaved::ProcessingInstruction
            | Misbehaved::Doctype => Self::RestrictedXml,
            // RFC 6120 §4.8.4, §4.9.3.24: what it would contain is of no interest
            Misbehaved::SecondStream => Self::UnsupportedStanzaType,
            // RFC 6120 §4.8.5: not to be accepted, let alone passed on
            Misbehaved::PrefixedContent => Self::BadNamespacePrefix,
            Misbehaved::LooseText => Self::BadFormat,
            Misbehaved::TooManyBytes(_)
            | Misbehaved::TooManyBytesWritten(_)
            | Misbehaved::TooManyElements(_)
            | Misbehaved::TooDeep(_)
            | Misbehaved::TooManyAttributes(_)
            | Misbehaved::TooManyDeclarations(_) => Self::PolicyViolation,
        }
    }
}
