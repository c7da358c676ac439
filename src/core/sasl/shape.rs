//! What an account's keys look like from outside: which hashes it has, with which iteration count and what kind of salt.
//!
//! Whoever asks for a challenge sees this (RFC 5802 §5.1), so it must not tell an account from a name that is none.

use std::fmt;
use std::str::FromStr;

use super::ScramHash;
use super::credentials::{Credentials, ITERATIONS, SALT_BYTES, SALT_BYTES_MAX, ScramKeys};

/// A salt as it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum SaltKind {
    /// So many bytes.
    Bytes(u8),
    /// A random UUID as text (RFC 9562 §5.4), as Prosody makes them.
    Uuid,
}

/// The look of the keys for one hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct HashShape {
    pub(super) iterations: u32,
    pub(super) salt: SaltKind,
}

/// The look of an account's keys. As text: `512:10000:16 256:10000:16 1:4096:uuid`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shape([Option<HashShape>; ScramHash::ALL.len()]);

/// Not the text of a [`Shape`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the shape of SCRAM keys")]
pub struct NotAShape;

impl Shape {
    /// That of the accounts whose keys are made here.
    pub const OWN: Self = Self([Some(HashShape::OWN); ScramHash::ALL.len()]);

    /// Whether there are keys for a hash.
    pub fn has(&self, hash: ScramHash) -> bool {
        self.of(hash).is_some()
    }

    pub(super) fn of(&self, hash: ScramHash) -> Option<HashShape> {
        self.0.get(hash.index()).copied().flatten()
    }
}

impl From<&Credentials> for Shape {
    fn from(credentials: &Credentials) -> Self {
        Self(ScramHash::ALL.map(|hash| credentials.keys(hash).map(HashShape::from)))
    }
}

impl HashShape {
    /// That of keys made here.
    pub(super) const OWN: Self = Self { iterations: ITERATIONS, salt: SaltKind::Bytes(SALT_BYTES as u8) };
}

impl From<&ScramKeys> for HashShape {
    fn from(keys: &ScramKeys) -> Self {
        let bytes = u8::try_from(keys.salt().len()).unwrap_or(u8::MAX);
        let salt = if is_uuid(keys.salt()) { SaltKind::Uuid } else { SaltKind::Bytes(bytes) };
        Self { iterations: keys.iterations(), salt }
    }
}

/// `xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx` in small letters, where y is one of 8, 9, a, b.
fn is_uuid(salt: &[u8]) -> bool {
    let fits = |(at, byte): (usize, &u8)| match at {
        8 | 13 | 18 | 23 => *byte == b'-',
        14 => *byte == b'4',
        19 => matches!(byte, b'8' | b'9' | b'a' | b'b'),
        _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
    };
    salt.len() == 36 && salt.iter().enumerate().all(fits)
}

impl SaltKind {
    /// A salt of this kind, from random bytes: 64 at least.
    pub(super) fn make(self, random: &[u8]) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => random.iter().copied().take(usize::from(bytes)).collect(),
            Self::Uuid => {
                let hex = |byte: u8| b"0123456789abcdef"[usize::from(byte & 15)];
                let make = |(at, byte): (usize, &u8)| match at {
                    8 | 13 | 18 | 23 => b'-',
                    14 => b'4',
                    19 => b"89ab"[usize::from(byte & 3)],
                    _ => hex(*byte),
                };
                random.iter().enumerate().take(36).map(make).collect()
            }
        }
    }
}

impl fmt::Display for HashShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.salt {
            SaltKind::Bytes(bytes) => write!(f, "{}:{bytes}", self.iterations),
            SaltKind::Uuid => write!(f, "{}:uuid", self.iterations),
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut gap = "";
        for hash in ScramHash::ALL {
            if let Some(shape) = self.of(hash) {
                write!(f, "{gap}{}:{shape}", hash.digits())?;
                gap = " ";
            }
        }
        Ok(())
    }
}

impl FromStr for Shape {
    type Err = NotAShape;

    fn from_str(text: &str) -> Result<Self, NotAShape> {
        let mut shapes = [None; ScramHash::ALL.len()];
        for part in text.split(' ').filter(|part| !part.is_empty()) {
            let mut fields = part.split(':');
            let mut field = || fields.next().ok_or(NotAShape);
            let (digits, iterations, salt) = (field()?, field()?, field()?);
            let hash = ScramHash::ALL.into_iter().find(|hash| hash.digits() == digits).ok_or(NotAShape)?;
            let salt = match salt {
                "uuid" => SaltKind::Uuid,
                bytes => SaltKind::Bytes(bytes.parse().map_err(|_| NotAShape)?),
            };
            if matches!(salt, SaltKind::Bytes(bytes) if !(1..=SALT_BYTES_MAX).contains(&usize::from(bytes))) {
                return Err(NotAShape);
            }
            let iterations = iterations.parse().map_err(|_| NotAShape)?;
            shapes[hash.index()] = Some(HashShape { iterations, salt });
        }
        Ok(Self(shapes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "0b5e8f6c-3d5f-4c0a-9a41-6f1f2d3c4b5a";

    fn keys(hash: ScramHash, salt: &[u8]) -> ScramKeys {
        let key = vec![0; hash.output_bytes()];
        ScramKeys::new(hash, salt, 4096, &key, &key).unwrap()
    }

    #[test]
    fn shapes_are_written_and_read() {
        let credentials = Credentials::from_keys(vec![
            keys(ScramHash::Sha1, UUID.as_bytes()),
            keys(ScramHash::Sha512, &[1; 24]),
        ])
        .unwrap();
        let shape = Shape::from(&credentials);
        assert_eq!(shape.to_string(), "512:4096:24 1:4096:uuid");
        assert!(!shape.has(ScramHash::Sha256));
        for text in ["512:4096:24 1:4096:uuid", "512:10000:16 256:10000:16 1:10000:16", ""] {
            assert_eq!(text.parse::<Shape>().unwrap().to_string(), text);
        }
        assert_eq!(Shape::OWN.to_string().parse(), Ok(Shape::OWN));
        for wrong in ["1", "1:4096", "2:4096:16", "1:x:16", "1:4096:0", "1:4096:65", "1:4096:text"] {
            assert_eq!(wrong.parse::<Shape>(), Err(NotAShape), "{wrong}");
        }
    }

    #[test]
    fn a_made_salt_looks_like_its_kind() {
        let random: Vec<u8> = (0..64).map(|n: u8| n.wrapping_mul(37)).collect();
        assert!(is_uuid(UUID.as_bytes()));
        assert!(is_uuid(&SaltKind::Uuid.make(&random)));
        for other in [&UUID[1..], &UUID.replace("4c0a", "7c0a"), &UUID.replace('b', "B"), &"a".repeat(36)] {
            assert!(!is_uuid(other.as_bytes()), "{other}");
        }
        assert_eq!(SaltKind::Bytes(24).make(&random), random[..24]);
    }
}
