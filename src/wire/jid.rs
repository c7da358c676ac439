//! XMPP addresses: `local@domain/resource`. RFC 7622, on RFC 8264 and 8265 (PRECIS) and UTS #46 (IDNA).
//!
//! An address is prepared once, where it enters, and from then on it is compared and hashed as bytes:
//! every [`Jid`] holds enforced text, and parsing that text again yields the same address. Nearly all
//! addresses on the wire are already in that form and in ASCII; they cost three table scans (`ascii`)
//! and the one allocation that holds them. The rest goes through `local`, `domain` and `resource`.
//!
//! Where we read the specifications with a choice of our own:
//! * Mapping comes before the check of characters (RFC 8264 §7), as RFC 7622 §4 asks for: what can be
//!   mapped is accepted.
//! * Emoji sequences are allowed in resources although PRECIS forbids the joiners they need (`emoji`).
//! * A resource does not begin with a space: RFC 7622 §3.5 lists that as no JID (example 18).
//! * DNS's own limits, 63 bytes a label and 253 a name, hold for domains (RFC 7622 §3.2).

use std::borrow::Cow;
use std::sync::Arc;

use memchr::memchr;

mod ascii;
mod bare;
mod bidi;
mod context;
mod domain;
mod emoji;
mod error;
mod local;
mod precis;
mod resource;
mod text;

#[cfg(test)]
mod tests;

pub use bare::BareJid;
pub use domain::prepare_domain;
pub use error::{JidError, Part};
pub use local::prepare_local;
pub use resource::prepare_resource;

/// Longest localpart, domainpart or resourcepart, in bytes of UTF-8 after preparation (RFC 7622 §3.1).
pub const PART_BYTES_MAX: usize = 1023;

/// Longest address: three parts and two separators (RFC 7622 §3.1).
pub const JID_BYTES_MAX: usize = 3 * PART_BYTES_MAX + 2;

/// Longest unprepared part that is looked at. Composition, width and case mapping shrink text to no less
/// than a quarter of its bytes, so anything longer cannot end below [`PART_BYTES_MAX`] by honest means.
const RAW_PART_BYTES_MAX: usize = 4 * PART_BYTES_MAX;

/// An address in prepared form: a domain, perhaps with a local part, perhaps with a resource.
///
/// Immutable, 24 bytes, and cheap to clone. Equality, order and hash are those of its text.
#[derive(Clone)]
pub struct Jid {
    /// The first `len` bytes are the address. What may follow belongs to another address that shares it.
    text: Arc<str>,
    /// Bytes before '@'; 0 when there is no local part.
    local_len: u16,
    /// Bytes before '/', or all of them.
    bare_len: u16,
    len: u16,
}

const _: () = assert!(size_of::<Jid>() <= 24 && size_of::<Option<Jid>>() <= 24);
const _: () = assert!(JID_BYTES_MAX <= u16::MAX as usize, "offsets are u16");

impl Jid {
    /// Prepares an address. The separators are found before anything is mapped: the first '/', then the
    /// first '@' before it (RFC 7622 §3.1, §3.2).
    ///
    /// # Errors
    /// The first rule that `text` breaks. In a stanza's `to` the answer is `<jid-malformed/>` (RFC 7622 §4).
    pub fn parse(text: &str) -> Result<Self, JidError> {
        let raw = Raw::split(text);
        if raw.is_canonical() {
            return Ok(Self {
                local_len: raw.local.map_or(0, str::len) as u16,
                bare_len: raw.bare_len as u16,
                len: text.len() as u16,
                text: Arc::from(text),
            });
        }
        Self::from_parts(raw.local, raw.domain, raw.resource)
    }

    /// Prepares each part and joins them.
    ///
    /// # Errors
    /// The first rule that a part breaks; a part that is given must not be empty.
    pub fn from_parts(local: Option<&str>, domain: &str, resource: Option<&str>) -> Result<Self, JidError> {
        let local = local.map(prepare_local).transpose()?;
        let domain = prepare_domain(domain)?;
        let resource = resource.map(prepare_resource).transpose()?;
        Ok(Self::join(local.as_deref(), &domain, resource.as_deref()))
    }

    /// The caller has prepared all three.
    fn join(local: Option<&str>, domain: &str, resource: Option<&str>) -> Self {
        let mut text = String::with_capacity(
            local.map_or(0, |local| local.len() + 1) + domain.len() + resource.map_or(0, |r| r.len() + 1),
        );
        if let Some(local) = local {
            text.push_str(local);
            text.push('@');
        }
        text.push_str(domain);
        let bare_len = text.len();
        if let Some(resource) = resource {
            text.push('/');
            text.push_str(resource);
        }
        Self {
            local_len: local.map_or(0, str::len) as u16,
            bare_len: bare_len as u16,
            len: text.len() as u16,
            text: Arc::from(text),
        }
    }

    /// The part before '@', if there is one.
    #[must_use]
    pub fn local(&self) -> Option<&str> {
        local_of(&self.text, self.local_len)
    }

    /// The domain: a name in lower-case U-labels, an IPv4 address, or an IPv6 address in brackets.
    #[must_use]
    pub fn domain(&self) -> &str {
        domain_of(&self.text, self.local_len, self.bare_len)
    }

    /// The part after '/', if there is one.
    #[must_use]
    pub fn resource(&self) -> Option<&str> {
        self.is_full().then(|| slice(&self.text, self.bare_len + 1, self.len))
    }

    /// The whole address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        slice(&self.text, 0, self.len)
    }

    /// The text before '/': a key for maps of [`BareJid`] that costs nothing.
    #[must_use]
    pub fn bare_str(&self) -> &str {
        slice(&self.text, 0, self.bare_len)
    }

    /// Whether there is a resource: `local@domain/resource` or `domain/resource`.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len > self.bare_len
    }

    /// Whether there is no resource: `local@domain` or a mere domain.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        !self.is_full()
    }

    /// Whether this is a mere domain.
    #[must_use]
    pub fn is_domain(&self) -> bool {
        self.local_len == 0 && self.is_bare()
    }

    /// The address without its resource. Shares this address's text: no allocation.
    #[must_use]
    pub fn to_bare(&self) -> BareJid {
        BareJid::from_shared(Arc::clone(&self.text), self.local_len, self.bare_len)
    }

    /// As [`to_bare`](Self::to_bare), of an address that is no longer needed.
    #[must_use]
    pub fn into_bare(self) -> BareJid {
        BareJid::from_shared(self.text, self.local_len, self.bare_len)
    }

    /// The domain as an address of its own.
    #[must_use]
    pub fn to_domain(&self) -> BareJid {
        if self.local_len == 0 { self.to_bare() } else { Self::join(None, self.domain(), None).into_bare() }
    }

    /// This address with `resource`, prepared, in place of its own.
    ///
    /// # Errors
    /// The first rule of resources that it breaks.
    pub fn with_resource(&self, resource: &str) -> Result<Self, JidError> {
        let resource = prepare_resource(resource)?;
        Ok(Self::join(self.local(), self.domain(), Some(&resource)))
    }

    /// Whether `text` is this address in prepared form. Another spelling of it is not equal: who must
    /// recognise those has to [`parse`](Self::parse) first.
    #[must_use]
    pub fn eq_str(&self, text: &str) -> bool {
        self.as_str() == text
    }

    /// Whether this address is `bare` or one of its resources.
    #[must_use]
    pub fn eq_bare(&self, bare: &BareJid) -> bool {
        self.bare_str() == bare.as_str()
    }

    /// A bare address that keeps the shared text of another.
    fn from_bare(text: Arc<str>, local_len: u16, bare_len: u16) -> Self {
        Self { text, local_len, bare_len, len: bare_len }
    }
}

/// A text cut at its separators, nothing checked yet.
struct Raw<'a> {
    local: Option<&'a str>,
    domain: &'a str,
    resource: Option<&'a str>,
    bare_len: usize,
}

impl<'a> Raw<'a> {
    fn split(text: &'a str) -> Self {
        let (bare, resource) = split_at_byte(text, b'/').map_or((text, None), |(a, b)| (a, Some(b)));
        let (local, domain) = split_at_byte(bare, b'@').map_or((None, bare), |(a, b)| (Some(a), b));
        Self { local, domain, resource, bare_len: bare.len() }
    }

    /// Whether preparation would change nothing, as far as a look at single bytes can tell.
    fn is_canonical(&self) -> bool {
        self.local.is_none_or(ascii::is_canonical_local)
            && ascii::is_canonical_domain(self.domain)
            && self.resource.is_none_or(ascii::is_canonical_resource)
    }
}

fn split_at_byte(text: &str, separator: u8) -> Option<(&str, &str)> {
    let at = memchr(separator, text.as_bytes())?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

fn local_of(text: &str, local_len: u16) -> Option<&str> {
    (local_len > 0).then(|| slice(text, 0, local_len))
}

fn domain_of(text: &str, local_len: u16, bare_len: u16) -> &str {
    slice(text, if local_len == 0 { 0 } else { local_len + 1 }, bare_len)
}

/// The offsets were made together with the text and lie beside ASCII separators: the range always exists.
fn slice(text: &str, from: u16, to: u16) -> &str {
    text.get(usize::from(from)..usize::from(to)).unwrap_or_default()
}

/// Refuses what is empty, or too long for any mapping to make it fit.
fn check_raw(part: Part, text: &str) -> Result<(), JidError> {
    match text.len() {
        0 => Err(JidError::Empty(part)),
        len if len > RAW_PART_BYTES_MAX => Err(JidError::TooLong(part)),
        _ => Ok(()),
    }
}

/// Refuses a prepared part that became empty or stayed too long (RFC 7622 §3.2, §3.3, §3.4).
fn check_length(part: Part, prepared: &str) -> Result<(), JidError> {
    match prepared.len() {
        0 => Err(JidError::Empty(part)),
        len if len > PART_BYTES_MAX => Err(JidError::TooLong(part)),
        _ => Ok(()),
    }
}

/// Applies `map` until it changes nothing more: once, and up to three times again (RFC 8264 §7).
/// `map` borrows only what it leaves as it is.
fn until_stable(part: Part, text: &str, map: fn(&str) -> Cow<'_, str>) -> Result<Cow<'_, str>, JidError> {
    let mut current = Cow::Borrowed(text);
    for _ in 0..4 {
        let next = match map(&current) {
            Cow::Borrowed(_) => return Ok(current),
            Cow::Owned(next) if next == *current => return Ok(current),
            Cow::Owned(next) => next,
        };
        current = Cow::Owned(next);
    }
    Err(JidError::Unstable(part))
}
