//! Keys for users that do not exist, so that nobody can ask which do.
//!
//! RFC 5802 §9, RFC 6120 §6.5.10. A name that is no account answers as an account of this host would: with the iteration
//! count and the kind of salt that accounts here have, in about the shares in which they have them. What it answers is
//! made from the name and the server's secret, so that it is the same tomorrow and nobody else can compute it.
//!
//! A host's accounts change, and the decoys with them: each name draws lots with all shapes, heavier ones have better
//! chances, and the best draw wins. So when a shape gains weight, some names go over to it and none moves between others;
//! and weights are powers of two, so that this happens only when the number of accounts with a shape passes one. A name
//! that goes over to another shape also gets another salt: just so looks an account whose password was changed.
//!
//! What an observer can still learn, with patience: a name that takes on a shape other than that of new passwords
//! ([`Shape::OWN`]) is no account (after an import that lifts a shape past a power of two, or when accounts are removed);
//! shapes beyond the [`SHAPES_MAX`] commonest of a host belong to accounts; of salts, only their length and the form of a
//! random UUID are imitated.

use std::sync::Arc;

use hearth_wire::BareJid;
use zeroize::Zeroizing;

use super::credentials::ScramKeys;
use super::hash::{HashValue, ScramHash};
use super::shape::{HashShape, Shape};

/// Shapes of one host that its decoys know: each costs two hashes at every login.
pub const SHAPES_MAX: usize = 32;

/// A shape that accounts of a host have, and how many do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// The shape.
    pub shape: Shape,
    /// Accounts that have it.
    pub accounts: u64,
}

/// Makes the keys of users that do not exist.
#[derive(Clone)]
pub struct Decoys {
    secret: Zeroizing<[u8; 32]>,
    shares: Arc<[Share]>,
}

impl Decoys {
    /// `secret`: random, kept with the data, so that the salts outlive a restart. `shares`: the shapes of the host's
    /// accounts; none stands for a host whose accounts are all made here.
    pub fn new(secret: [u8; 32], shares: Arc<[Share]>) -> Self {
        Self { secret: Zeroizing::new(secret), shares }
    }

    /// Keys that no password has, for a name that is no account or an account that lacks this hash.
    pub(super) fn keys(&self, hash: ScramHash, account: &BareJid) -> ScramKeys {
        let shape = self.draw(account, |shape| shape.has(hash)).and_then(|shape| shape.of(hash));
        self.make(hash, account, shape.unwrap_or(HashShape::OWN))
    }

    /// Keys to check PLAIN with, for a name that is no account: those which an account of its shape would be checked
    /// with, so that it takes as long.
    pub(super) fn keys_for_plain(&self, account: &BareJid) -> ScramKeys {
        let shape = self.draw(account, |_| true).unwrap_or(Shape::OWN);
        let of = |hash: ScramHash| shape.of(hash).map(|shape| (hash, shape));
        let (hash, shape) =
            ScramHash::FOR_PLAIN.into_iter().find_map(of).unwrap_or((ScramHash::Sha256, HashShape::OWN));
        self.make(hash, account, shape)
    }

    /// Rendezvous hashing: the shape whose weighted draw with this name is the best, among those that are wanted.
    fn draw(&self, account: &BareJid, wanted: impl Fn(&Shape) -> bool) -> Option<Shape> {
        let candidates = self.shares.iter().filter(|share| wanted(&share.shape));
        let drawn = candidates.map(|share| {
            let value = self.value(ScramHash::Sha256, "shape", account, &share.shape.to_string());
            let bits = value.as_bytes().iter().take(8).fold(0_u64, |n, byte| n << 8 | u64::from(*byte));
            // uniform in (0, 1]; -ln of it, divided by the weight, is the time of the first of `weight` events
            let uniform = ((bits >> 11) + 1) as f64 / (1_u64 << 53) as f64;
            let weight = share.accounts.max(1).checked_next_power_of_two().unwrap_or(u64::MAX);
            (share.shape, -uniform.ln() / weight as f64)
        });
        drawn.min_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(shape, _)| shape)
    }

    fn make(&self, hash: ScramHash, account: &BareJid, shape: HashShape) -> ScramKeys {
        let salt = self.value(ScramHash::Sha512, hash.scheme(), account, &shape.to_string());
        let key = |label| self.value(hash, label, account, "");
        let salt = shape.salt.make(salt.as_bytes());
        ScramKeys::decoy(hash, salt, shape.iterations, key("stored key"), key("server key"))
    }

    fn value(&self, hash: ScramHash, label: &str, account: &BareJid, of: &str) -> HashValue {
        let parts = ["decoy", label, account.as_str(), of].map(str::as_bytes);
        let [decoy, label, account, of] = parts;
        hash.hmac(self.secret.as_slice(), &[decoy, b"\0", label, b"\0", account, b"\0", of])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sasl::{ITERATIONS, SALT_BYTES};

    const OLD: &str = "1:4096:uuid";
    const NEW: &str = "512:10000:16 256:10000:16 1:10000:16";

    fn decoys(shares: &[(&str, u64)]) -> Decoys {
        let share = |&(shape, accounts): &(&str, u64)| Share { shape: shape.parse().unwrap(), accounts };
        Decoys::new([7; 32], shares.iter().map(share).collect())
    }

    fn account(name: &str) -> BareJid {
        BareJid::from_parts(Some(name), "example.org").unwrap()
    }

    fn looks(decoys: &Decoys, hash: ScramHash, name: &str) -> (Vec<u8>, u32) {
        let keys = decoys.keys(hash, &account(name));
        (keys.salt().to_vec(), keys.iterations())
    }

    #[test]
    fn a_name_keeps_its_salt_and_another_name_hash_or_secret_has_another() {
        let decoys = decoys(&[]);
        let first = looks(&decoys, ScramHash::Sha1, "nobody");
        assert_eq!((first.0.len(), first.1), (SALT_BYTES, ITERATIONS));
        assert_eq!(first, looks(&decoys, ScramHash::Sha1, "nobody"));
        assert_ne!(first, looks(&decoys, ScramHash::Sha1, "nobodx"));
        assert_ne!(first, looks(&decoys, ScramHash::Sha256, "nobody"));
        assert_ne!(first, looks(&Decoys::new([8; 32], Arc::default()), ScramHash::Sha1, "nobody"));
    }

    /// How many of the first thousand names have each iteration count, for SHA-1.
    fn census(decoys: &Decoys) -> (usize, usize) {
        let count = |n: &i32| looks(decoys, ScramHash::Sha1, &format!("user{n}")).1;
        let old = (0..1_000).filter(|n| count(n) == 4096).count();
        (old, 1_000 - old)
    }

    #[test]
    fn decoys_take_the_shapes_of_the_accounts_in_their_shares() {
        assert_eq!(census(&decoys(&[(OLD, 10)])), (1_000, 0));
        assert_eq!(census(&decoys(&[(NEW, 10)])), (0, 1_000));
        let (old, new) = census(&decoys(&[(OLD, 100), (NEW, 1_000)]));
        assert!((60..200).contains(&old), "{old} to {new}");
        for name in ["a", "b", "c", "d"] {
            let (salt, iterations) = looks(&decoys(&[(OLD, 1), (NEW, 1)]), ScramHash::Sha1, name);
            let shape = if iterations == 4096 { 36 } else { 16 };
            assert_eq!(salt.len(), shape);
            // a shape without this hash is none for it
            let (salt, iterations) = looks(&decoys(&[(OLD, 1), (NEW, 1)]), ScramHash::Sha256, name);
            assert_eq!((salt.len(), iterations), (16, 10_000));
        }
    }

    #[test]
    fn names_stay_with_their_shape_until_another_gains_weight() {
        let many: Vec<String> = (0..1_000).map(|n| format!("user{n}")).collect();
        let all = |shares: &[(&str, u64)]| {
            let decoys = decoys(shares);
            many.iter().map(|name| looks(&decoys, ScramHash::Sha1, name)).collect::<Vec<_>>()
        };
        let before = all(&[(OLD, 300), (NEW, 260)]);
        assert_eq!(before, all(&[(OLD, 512), (NEW, 511)]));
        let after = all(&[(OLD, 300), (NEW, 600)]);
        let mut moved = 0;
        for (before, after) in before.iter().zip(&after).filter(|(before, after)| before != after) {
            assert_eq!((before.1, after.1), (4096, 10_000), "to what grew, and with another salt");
            moved += 1;
        }
        assert!((50..300).contains(&moved), "{moved}");
    }

    #[test]
    fn plain_costs_what_it_costs_for_an_account_of_the_shape() {
        for (shape, hash, iterations) in [
            (OLD, ScramHash::Sha1, 4096),
            (NEW, ScramHash::Sha256, 10_000),
            ("512:5000:16 1:4096:16", ScramHash::Sha512, 5000),
        ] {
            let keys = decoys(&[(shape, 1)]).keys_for_plain(&account("nobody"));
            assert_eq!((keys.hash(), keys.iterations()), (hash, iterations));
        }
    }
}
