//! Keys for users that do not exist, so that nobody can ask which do.
//!
//! RFC 5802 §9, RFC 6120 §6.5.10. The same name always gets the same salt and iteration count, as an account
//! would, and nobody without the server's secret can compute them. What an outsider can still see is what
//! differs between accounts themselves: with accounts imported from elsewhere, hand their shapes in too.

use hearth_wire::BareJid;
use zeroize::Zeroizing;

use super::credentials::{ITERATIONS, ITERATIONS_MAX, ITERATIONS_MIN, SALT_BYTES, SALT_BYTES_MAX, ScramKeys};
use super::hash::{HashValue, ScramHash};

/// What accounts here look like from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Iteration count.
    pub iterations: u32,
    /// Length of the salt, in bytes.
    pub salt_bytes: usize,
}

/// Shape of the accounts that are made here.
const OWN: Shape = Shape { iterations: ITERATIONS, salt_bytes: SALT_BYTES };

/// Makes the keys of users that do not exist.
pub struct Decoys {
    secret: Zeroizing<[u8; 32]>,
    shapes: Vec<Shape>,
}

impl Decoys {
    /// `secret`: random, kept with the data, so that the salts outlive a restart. `shapes`: those that occur
    /// among the accounts, one entry per share of them; empty stands for accounts all made here.
    pub fn new(secret: [u8; 32], shapes: Vec<Shape>) -> Self {
        Self { secret: Zeroizing::new(secret), shapes }
    }

    /// Keys that no password has.
    pub(super) fn keys(&self, hash: ScramHash, account: &BareJid) -> ScramKeys {
        let value = |of: ScramHash, label: &str| -> HashValue {
            of.hmac(
                self.secret.as_slice(),
                &[b"decoy\0", label.as_bytes(), b"\0", account.as_str().as_bytes()],
            )
        };
        let shape = self.shape(&value(ScramHash::Sha256, "shape"));
        let salt = value(ScramHash::Sha512, hash.scheme());
        let salt = &salt.as_bytes()[..shape.salt_bytes.clamp(1, SALT_BYTES_MAX)];
        let iterations = shape.iterations.clamp(ITERATIONS_MIN, ITERATIONS_MAX);
        ScramKeys::decoy(hash, salt, iterations, value(hash, "stored key"), value(hash, "server key"))
    }

    /// The shape that this name has, the same for every hash.
    fn shape(&self, choice: &HashValue) -> Shape {
        let number = choice.as_bytes().iter().take(4).fold(0_usize, |n, b| n << 8 | usize::from(*b));
        let index = number.checked_rem(self.shapes.len()).unwrap_or(0);
        self.shapes.get(index).copied().unwrap_or(OWN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(decoys: &Decoys, hash: ScramHash, name: &str) -> (Vec<u8>, u32) {
        let account = BareJid::from_parts(Some(name), "example.org").unwrap();
        let keys = decoys.keys(hash, &account);
        (keys.salt().to_vec(), keys.iterations())
    }

    #[test]
    fn a_name_keeps_its_salt_and_another_name_hash_or_secret_has_another() {
        let decoys = Decoys::new([7; 32], Vec::new());
        let first = looks(&decoys, ScramHash::Sha1, "nobody");
        assert_eq!((first.0.len(), first.1), (SALT_BYTES, ITERATIONS));
        assert_eq!(first, looks(&decoys, ScramHash::Sha1, "nobody"));
        assert_ne!(first, looks(&decoys, ScramHash::Sha1, "nobodx"));
        assert_ne!(first, looks(&decoys, ScramHash::Sha256, "nobody"));
        assert_ne!(first, looks(&Decoys::new([8; 32], Vec::new()), ScramHash::Sha1, "nobody"));
    }

    #[test]
    fn decoys_take_the_shapes_of_the_accounts() {
        let shapes =
            [(4096, 36), (10_000, 16)].map(|(iterations, salt_bytes)| Shape { iterations, salt_bytes });
        let decoys = Decoys::new([7; 32], shapes.to_vec());
        let mut seen = [0; 2];
        for n in 0..64 {
            let name = format!("user{n}");
            let (salt, iterations) = looks(&decoys, ScramHash::Sha1, &name);
            let shape = Shape { iterations, salt_bytes: salt.len() };
            seen[shapes.iter().position(|s| *s == shape).unwrap()] += 1;
            assert_eq!(iterations, looks(&decoys, ScramHash::Sha512, &name).1);
        }
        assert!(seen.iter().all(|n| *n > 8), "{seen:?}");
    }
}
