//! The hash functions of SCRAM and the three things SCRAM does with them: H, HMAC and Hi.
//!
//! RFC 5802 §2.2; SHA-256: RFC 7677; SHA-512 in the same way.

use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroize;

use super::Password;

/// A hash function of the SCRAM family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScramHash {
    /// RFC 5802; every client has it.
    Sha1,
    /// RFC 7677.
    Sha256,
    /// As RFC 7677, with SHA-512.
    Sha512,
}

impl ScramHash {
    /// All of them, strongest first.
    pub const ALL: [Self; 3] = [Self::Sha512, Self::Sha256, Self::Sha1];

    /// The mechanism without channel binding; also the scheme of RFC 5803.
    pub const fn scheme(self) -> &'static str {
        match self {
            Self::Sha1 => "SCRAM-SHA-1",
            Self::Sha256 => "SCRAM-SHA-256",
            Self::Sha512 => "SCRAM-SHA-512",
        }
    }

    /// The hashes in the order in which PLAIN prefers them: SHA-256's cost suits most machines.
    pub(super) const FOR_PLAIN: [Self; 3] = [Self::Sha256, Self::Sha512, Self::Sha1];

    /// Its place in [`ScramHash::ALL`].
    pub const fn index(self) -> usize {
        match self {
            Self::Sha512 => 0,
            Self::Sha256 => 1,
            Self::Sha1 => 2,
        }
    }

    /// Its name within the family.
    pub(super) const fn digits(self) -> &'static str {
        match self {
            Self::Sha1 => "1",
            Self::Sha256 => "256",
            Self::Sha512 => "512",
        }
    }

    /// Length of its output, in bytes.
    pub(super) const fn output_bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    /// H(data).
    pub(super) fn digest(self, data: &[u8]) -> HashValue {
        match self {
            Self::Sha1 => HashValue::copy(&Sha1::digest(data)),
            Self::Sha256 => HashValue::copy(&Sha256::digest(data)),
            Self::Sha512 => HashValue::copy(&Sha512::digest(data)),
        }
    }

    /// HMAC(key, the parts one after the other).
    pub(super) fn hmac(self, key: &[u8], parts: &[&[u8]]) -> HashValue {
        match self {
            Self::Sha1 => hmac::<Hmac<Sha1>>(key, parts),
            Self::Sha256 => hmac::<Hmac<Sha256>>(key, parts),
            Self::Sha512 => hmac::<Hmac<Sha512>>(key, parts),
        }
    }

    /// Hi(password, salt, iterations), which is SaltedPassword. Milliseconds of work: not on an async worker.
    pub(super) fn salted_password(self, password: &Password, salt: &[u8], iterations: u32) -> HashValue {
        let (password, mut out) = (password.prepared(), HashValue::zero(self));
        let bytes = &mut out.bytes[..self.output_bytes()];
        match self {
            Self::Sha1 => pbkdf2::pbkdf2_hmac::<Sha1>(password, salt, iterations, bytes),
            Self::Sha256 => pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, iterations, bytes),
            Self::Sha512 => pbkdf2::pbkdf2_hmac::<Sha512>(password, salt, iterations, bytes),
        }
        out
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104 §3)")]
fn hmac<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> HashValue {
    let mut mac = <M as Mac>::new_from_slice(key).expect("a key of any length");
    for part in parts {
        mac.update(part);
    }
    HashValue::copy(&mac.finalize().into_bytes())
}

/// The output of a hash function. Often a secret: it is not printed, compared in constant time, and wiped.
#[derive(Clone)]
pub(super) struct HashValue {
    bytes: [u8; 64],
    len: usize,
}

impl HashValue {
    /// A value read from elsewhere; `None` when it is not as long as this hash's output.
    pub(super) fn from_bytes(hash: ScramHash, bytes: &[u8]) -> Option<Self> {
        (bytes.len() == hash.output_bytes()).then(|| Self::copy(bytes))
    }

    /// All zero: room for a value that is computed next.
    pub(super) fn zero(hash: ScramHash) -> Self {
        Self { bytes: [0; 64], len: hash.output_bytes() }
    }

    /// `bytes` has at most 64 bytes: it comes from a function above or was measured.
    fn copy(bytes: &[u8]) -> Self {
        let mut value = Self { bytes: [0; 64], len: bytes.len() };
        value.bytes[..bytes.len()].copy_from_slice(bytes);
        value
    }

    /// The octets.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Exclusive-or with a value of the same hash.
    pub(super) fn xor(mut self, other: &Self) -> Self {
        self.bytes.iter_mut().zip(&other.bytes).for_each(|(a, b)| *a ^= b);
        self
    }
}

impl ConstantTimeEq for HashValue {
    /// Takes the same time wherever the values differ; a value of another hash is never equal.
    fn ct_eq(&self, other: &Self) -> Choice {
        self.as_bytes().ct_eq(other.as_bytes())
    }
}

impl std::fmt::Debug for HashValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashValue(..)")
    }
}

impl Drop for HashValue {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_different_hashes_are_never_equal() {
        let sha1 = ScramHash::Sha1.digest(b"a");
        assert!(bool::from(sha1.ct_eq(&sha1.clone())));
        assert!(!bool::from(sha1.ct_eq(&ScramHash::Sha256.digest(b"a"))));
        assert!(!bool::from(sha1.ct_eq(&ScramHash::Sha1.digest(b"b"))));
        assert!(HashValue::from_bytes(ScramHash::Sha256, &[0; 31]).is_none());
    }

    #[test]
    fn a_value_is_not_printed() {
        assert_eq!(format!("{:?}", ScramHash::Sha512.digest(b"a")), "HashValue(..)");
    }

    #[test]
    fn each_knows_its_place() {
        for (at, hash) in ScramHash::ALL.into_iter().enumerate() {
            assert_eq!(hash.index(), at);
            assert!(hash.scheme().ends_with(&format!("-{}", hash.digits())));
            assert!(ScramHash::FOR_PLAIN.contains(&hash));
        }
    }

    #[test]
    fn outputs_have_the_stated_length() {
        for hash in ScramHash::ALL {
            assert_eq!(hash.digest(b"").as_bytes().len(), hash.output_bytes());
            assert_eq!(hash.hmac(b"k", &[b"a", b"b"]).as_bytes(), hash.hmac(b"k", &[b"ab"]).as_bytes());
        }
    }
}
