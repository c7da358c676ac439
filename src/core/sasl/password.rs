//! A password, prepared by SASLprep (RFC 4013) as clients do, never printed, wiped when dropped.

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::prep::{Prohibited, Unassigned, saslprep};

/// Longest password, in bytes of UTF-8 as typed. RFC 4616 §2 allows no less than 255.
pub const PASSWORD_BYTES_MAX: usize = 1023;

/// A prepared password. It has no `Display`, and its `Debug` says nothing.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

/// Why a text cannot be a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Nothing is left of it after preparation (RFC 4616 §2).
    #[error("the password is empty")]
    Empty,
    /// Longer than [`PASSWORD_BYTES_MAX`].
    #[error("the password is longer than {PASSWORD_BYTES_MAX} bytes")]
    TooLong,
    /// Clients prepare it too, and would fail.
    #[error("the password has {0}")]
    Prohibited(#[from] Prohibited),
}

impl Password {
    /// A new password, to derive keys from.
    ///
    /// # Errors
    /// When it is empty, too long, or not allowed by SASLprep for stored strings.
    pub fn new(text: &str) -> Result<Self, PasswordError> {
        Self::prepare(text, Unassigned::Prohibited)
    }

    /// A password that a client presents, to compare: also what RFC 4013 §2.5 would not have us store.
    ///
    /// # Errors
    /// When it is empty, too long, or not allowed by SASLprep for query strings.
    pub fn presented(text: &str) -> Result<Self, PasswordError> {
        Self::prepare(text, Unassigned::Allowed)
    }

    fn prepare(text: &str, unassigned: Unassigned) -> Result<Self, PasswordError> {
        if text.len() > PASSWORD_BYTES_MAX {
            return Err(PasswordError::TooLong);
        }
        let prepared = saslprep(text, unassigned)?;
        if prepared.is_empty() { Err(PasswordError::Empty) } else { Ok(Self(prepared)) }
    }

    pub(super) fn prepared(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl PartialEq for Password {
    /// Takes the same time wherever two of one length differ.
    fn eq(&self, other: &Self) -> bool {
        self.prepared().ct_eq(other.prepared()).into()
    }
}

impl Eq for Password {}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_prepared_once_and_not_printed() {
        let password = Password::new("p\u{AD}e\u{2168}").unwrap();
        assert_eq!(password.prepared(), b"peIX");
        assert_eq!(format!("{password:?}"), "Password(..)");
    }

    #[test]
    fn what_cannot_be_a_password_says_why() {
        assert_eq!(Password::new("").unwrap_err(), PasswordError::Empty);
        assert_eq!(Password::new("\u{AD}").unwrap_err(), PasswordError::Empty);
        assert_eq!(Password::new("a\u{7}").unwrap_err(), PasswordError::Prohibited(Prohibited));
        assert_eq!(Password::new(&"a".repeat(PASSWORD_BYTES_MAX + 1)).unwrap_err(), PasswordError::TooLong);
        assert!(Password::new(&"a".repeat(PASSWORD_BYTES_MAX)).is_ok());
    }

    #[test]
    fn an_unassigned_code_point_may_be_presented_but_not_set() {
        assert!(Password::new("key \u{1F511}").is_err());
        assert!(Password::presented("key \u{1F511}").is_ok());
    }
}
