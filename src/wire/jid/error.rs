//! Why a text is not an address. RFC 7622 §3, RFC 8264 §4.

use std::fmt;

/// The part of an address that a [`JidError`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// Before '@'.
    Local,
    /// Between '@' and '/'.
    Domain,
    /// After '/'.
    Resource,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Local => "local part",
            Self::Domain => "domain",
            Self::Resource => "resource",
        })
    }
}

/// The first rule that a text broke on its way to becoming an address. To a peer all of them are
/// `<jid-malformed/>` (RFC 6120 §8.3.3.8); the difference is for logs and people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JidError {
    /// A part is missing, or nothing was left of it after preparation.
    #[error("the {0} is empty")]
    Empty(Part),
    /// More than 1023 bytes after preparation, or a domain beyond DNS's limits.
    #[error("the {0} is too long")]
    TooLong(Part),
    /// A character that this part never allows.
    #[error("U+{code:04X} is not allowed in the {0}", code = u32::from(*.1))]
    ForbiddenCharacter(Part, char),
    /// A code point that our version of Unicode does not know.
    #[error("U+{code:04X} in the {0} is not assigned", code = u32::from(*.1))]
    UnassignedCharacter(Part, char),
    /// A character that is allowed beside certain others only (RFC 5892, appendix A).
    #[error("U+{code:04X} is not allowed at its place in the {0}", code = u32::from(*.1))]
    MisplacedCharacter(Part, char),
    /// A local part that reads both ways (RFC 5893 §2).
    #[error("the local part mixes left-to-right and right-to-left text")]
    MixedDirection,
    /// A resource that begins with a space (RFC 7622 §3.5, example 18).
    #[error("the resource begins with a space")]
    LeadingSpace,
    /// Not a host name: an empty label, a hyphen at an edge, bad punycode, or a character outside IDNA.
    #[error("the domain is not a valid host name")]
    MalformedDomain,
    /// Brackets around something other than an IPv6 address.
    #[error("the domain is not a valid IPv6 address")]
    MalformedIpLiteral,
    /// A part that each preparation changes again (RFC 8264 §7).
    #[error("the {0} has no stable prepared form")]
    Unstable(Part),
    /// A resource where a bare address is asked for.
    #[error("a bare address has no resource")]
    UnexpectedResource,
}
