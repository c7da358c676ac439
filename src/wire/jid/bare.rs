//! A bare address, the name of an account, a room or a service. RFC 7622 §3.1, RFC 6120 §1.4.

use std::sync::Arc;

use super::{Jid, JidError, domain_of, local_of, prepare_domain, prepare_local, slice};

/// An address without a resource: `local@domain` or a mere domain, in prepared form.
///
/// Immutable, 24 bytes, and cheap to clone. It hashes and compares as its text does, so a map keyed by it
/// answers to a `&str` such as [`Jid::bare_str`].
#[derive(Clone)]
pub struct BareJid {
    /// The first `len` bytes are the address; a resource may follow, when a full address shares the text.
    text: Arc<str>,
    local_len: u16,
    len: u16,
}

const _: () = assert!(size_of::<BareJid>() <= 24 && size_of::<Option<BareJid>>() <= 24);

impl BareJid {
    /// Prepares an address that must have no resource.
    ///
    /// # Errors
    /// As [`Jid::parse`]; and [`JidError::UnexpectedResource`].
    pub fn parse(text: &str) -> Result<Self, JidError> {
        Self::try_from(Jid::parse(text)?)
    }

    /// Prepares both parts and joins them.
    ///
    /// # Errors
    /// The first rule that a part breaks.
    pub fn from_parts(local: Option<&str>, domain: &str) -> Result<Self, JidError> {
        let local = local.map(prepare_local).transpose()?;
        Ok(Jid::join(local.as_deref(), &prepare_domain(domain)?, None).into_bare())
    }

    pub(super) fn from_shared(text: Arc<str>, local_len: u16, len: u16) -> Self {
        Self { text, local_len, len }
    }

    /// The part before '@', if there is one.
    #[must_use]
    pub fn local(&self) -> Option<&str> {
        local_of(&self.text, self.local_len)
    }

    /// The domain.
    #[must_use]
    pub fn domain(&self) -> &str {
        domain_of(&self.text, self.local_len, self.len)
    }

    /// The whole address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        slice(&self.text, 0, self.len)
    }

    /// Whether this is a mere domain.
    #[must_use]
    pub fn is_domain(&self) -> bool {
        self.local_len == 0
    }

    /// The domain as an address of its own.
    #[must_use]
    pub fn to_domain(&self) -> Self {
        if self.is_domain() { self.clone() } else { Jid::join(None, self.domain(), None).into_bare() }
    }

    /// The full address of `resource`, which is prepared.
    ///
    /// # Errors
    /// The first rule of resources that it breaks.
    pub fn with_resource(&self, resource: &str) -> Result<Jid, JidError> {
        Jid::from(self.clone()).with_resource(resource)
    }

    /// Whether `text` is this address in prepared form.
    #[must_use]
    pub fn eq_str(&self, text: &str) -> bool {
        self.as_str() == text
    }

    /// The same address holding no more memory than it needs. Worth it for a key that outlives the full
    /// address whose text it shares.
    #[must_use]
    pub fn compact(self) -> Self {
        if self.text.len() == usize::from(self.len) {
            return self;
        }
        Self { text: Arc::from(self.as_str()), ..self }
    }
}

impl From<BareJid> for Jid {
    fn from(bare: BareJid) -> Self {
        Self::from_bare(bare.text, bare.local_len, bare.len)
    }
}

impl From<&BareJid> for Jid {
    fn from(bare: &BareJid) -> Self {
        bare.clone().into()
    }
}

impl TryFrom<Jid> for BareJid {
    type Error = JidError;

    /// Refuses a full address; [`Jid::into_bare`] is for dropping the resource.
    fn try_from(jid: Jid) -> Result<Self, JidError> {
        if jid.is_full() { Err(JidError::UnexpectedResource) } else { Ok(jid.into_bare()) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn a_map_of_accounts_answers_to_text_and_to_any_spelling() {
        let full = Jid::parse("romeo@example.net/orchard").unwrap();
        let accounts = HashMap::from([(full.to_bare(), 1), (BareJid::parse("example.net").unwrap(), 2)]);
        assert_eq!(accounts.get("romeo@example.net"), Some(&1));
        assert_eq!(accounts.get(full.bare_str()), Some(&1));
        assert_eq!(accounts.get(&BareJid::parse("ROMEO@Example.net.").unwrap()), Some(&1));
        assert_eq!(accounts.get("example.net"), Some(&2));
        assert_eq!(accounts.get(full.as_str()), None);
    }

    #[test]
    fn a_resource_is_never_part_of_it() {
        assert_eq!(BareJid::parse("romeo@example.net/orchard"), Err(JidError::UnexpectedResource));
        let bare = Jid::parse("romeo@example.net/orchard").unwrap().into_bare();
        let again = Jid::from(&bare);
        assert_eq!((again.as_str(), again.resource(), again.is_bare()), ("romeo@example.net", None, true));
        assert_eq!(again, Jid::parse("romeo@example.net").unwrap());
        assert_eq!(bare.clone().compact(), bare);
        assert_eq!(bare.to_domain().as_str(), "example.net");
        assert_eq!(bare.with_resource("b").unwrap().as_str(), "romeo@example.net/b");
    }

    #[test]
    fn to_bare_shares_and_compact_does_not() {
        let full = Jid::parse("romeo@example.net/orchard").unwrap();
        let bare = full.to_bare();
        assert!(Arc::ptr_eq(&bare.text, &full.into_bare().text));
        assert_eq!(bare.compact().text.len(), "romeo@example.net".len());
    }
}
