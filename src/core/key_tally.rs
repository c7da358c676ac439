//! What the accounts of each host have for keys: which SCRAM hashes can be offered, and what names that are no account
//! have to look like.
//!
//! Accounts may come from elsewhere with keys for some hashes only ([`crate::admin`], import). A client takes the best
//! mechanism it is offered, and when that fails it shows its user a dialog about a wrong password. So a host offers a hash
//! when all of its enabled accounts have keys for it. Keys that are missing are made as soon as the server sees the
//! password: at a login by PLAIN, or when a new one is set.
//!
//! Kept in memory: read once at the start, then told of every commit that changes keys.

use std::collections::HashMap;
use std::sync::Arc;

use hearth_store::{Sql, SqlExt, StoreError};
use parking_lot::Mutex;

use crate::account_table;
use crate::sasl::{Policy, SHAPES_MAX, ScramHash, Shape, Share};

/// One account, as far as it is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// Its host.
    pub domain: String,
    /// What its keys look like.
    pub shape: Shape,
    /// Whether it may not log in.
    pub disabled: bool,
}

/// The accounts of all hosts, counted.
#[derive(Debug, Default)]
pub struct KeyTally {
    hosts: Mutex<HashMap<String, Host>>,
}

#[derive(Debug, Default)]
struct Host {
    /// Enabled accounts.
    enabled: u64,
    /// How many of them have keys for each hash.
    holding: [u64; ScramHash::ALL.len()],
    /// Accounts by shape, disabled ones included: they are to be hidden, too. At most [`SHAPES_MAX`].
    shapes: HashMap<Shape, u64>,
    /// The same, shared by the logins of the moment.
    shares: Arc<[Share]>,
}

/// A hash that a host does not offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Withheld {
    /// The hash.
    pub hash: ScramHash,
    /// Enabled accounts without keys for it.
    pub lacking: u64,
}

/// What is to be said about hashes that are withheld.
pub const WITHHELD_UNTIL: &str =
    "It will, as soon as those accounts have logged in by PLAIN, have got a new password, or are disabled";

/// What is withheld and why, as a line; `None`: nothing is.
pub fn describe(withheld: &[Withheld]) -> Option<String> {
    let each = withheld.iter().map(|Withheld { hash, lacking }| {
        format!("{} (enabled accounts without keys for it: {lacking})", hash.scheme())
    });
    Some(each.collect::<Vec<_>>().join(", ")).filter(|line| !line.is_empty())
}

impl KeyTally {
    /// Counts what is stored.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn load(sql: &mut dyn Sql) -> Result<Self, StoreError> {
        // the commonest first: there may be more shapes than are remembered
        let groups = sql.list(
            "SELECT domain, disabled, shape, COUNT(*) FROM core_account GROUP BY domain, disabled, shape \
             ORDER BY 4 DESC, 1, 2, 3",
            &[],
            |row| {
                let shape = account_table::shape(row.text(2)?);
                let counted = Counted { domain: row.text(0)?.to_owned(), shape, disabled: row.flag(1)? };
                Ok((counted, u64::try_from(row.int(3)?).unwrap_or(0)))
            },
        )?;
        let tally = Self::default();
        for (counted, accounts) in groups {
            tally.with(&counted.domain, |host| host.add(&counted, accounts));
        }
        Ok(tally)
    }

    /// An account was committed.
    pub fn add(&self, account: &Counted) {
        self.with(&account.domain, |host| host.add(account, 1));
    }

    /// An account was removed.
    pub fn remove(&self, account: &Counted) {
        self.with(&account.domain, |host| host.remove(account));
    }

    /// An account is no longer what it was.
    pub fn change(&self, before: &Counted, after: &Counted) {
        if before != after {
            self.remove(before);
            self.add(after);
        }
    }

    fn with(&self, domain: &str, count: impl FnOnce(&mut Host)) {
        let mut hosts = self.hosts.lock();
        let host = hosts.entry(domain.to_owned()).or_default();
        count(host);
        host.share();
    }

    /// The shapes of a host's accounts.
    pub fn shares(&self, domain: &str) -> Arc<[Share]> {
        self.hosts.lock().get(domain).map(|host| Arc::clone(&host.shares)).unwrap_or_default()
    }

    /// The hashes that some enabled account of a host lacks keys for.
    pub fn withheld(&self, domain: &str) -> Vec<Withheld> {
        self.hosts.lock().get(domain).map(Host::withheld).unwrap_or_default()
    }

    /// The hashes that all enabled accounts of a host have keys for; none where there is no account yet.
    pub fn held_by_all(&self, domain: &str) -> Vec<ScramHash> {
        let hosts = self.hosts.lock();
        let Some(host) = hosts.get(domain).filter(|host| host.enabled > 0) else { return Vec::new() };
        ScramHash::ALL.into_iter().filter(|hash| host.holding[hash.index()] == host.enabled).collect()
    }

    /// Leaves of a policy what all accounts of the host can use. Where that is no SCRAM at all, PLAIN serves everybody,
    /// and mends the accounts one by one; on a connection without PLAIN, what most can use has to do.
    pub fn narrow(&self, domain: &str, policy: &mut Policy, has_plain: bool) {
        let hosts = self.hosts.lock();
        let Some(host) = hosts.get(domain) else { return };
        let withheld = host.withheld();
        let offered = |hash: &ScramHash| withheld.iter().all(|withheld| withheld.hash != *hash);
        if has_plain || policy.scram.iter().any(offered) {
            policy.scram.retain(offered);
        } else if let Some(most) = policy.scram.iter().copied().max_by_key(|hash| host.holding[hash.index()])
        {
            policy.scram = vec![most];
        }
    }
}

impl Host {
    fn add(&mut self, account: &Counted, accounts: u64) {
        let is_known = self.shapes.len() < SHAPES_MAX || self.shapes.contains_key(&account.shape);
        if is_known {
            *self.shapes.entry(account.shape).or_default() += accounts;
        }
        if !account.disabled {
            self.enabled += accounts;
            for hash in ScramHash::ALL.into_iter().filter(|hash| account.shape.has(*hash)) {
                self.holding[hash.index()] += accounts;
            }
        }
    }

    fn remove(&mut self, account: &Counted) {
        if let Some(accounts) = self.shapes.get_mut(&account.shape) {
            *accounts = accounts.saturating_sub(1);
        }
        self.shapes.retain(|_, accounts| *accounts > 0);
        if !account.disabled {
            self.enabled = self.enabled.saturating_sub(1);
            for hash in ScramHash::ALL.into_iter().filter(|hash| account.shape.has(*hash)) {
                let holding = &mut self.holding[hash.index()];
                *holding = holding.saturating_sub(1);
            }
        }
    }

    fn share(&mut self) {
        self.shares = self.shapes.iter().map(|(&shape, &accounts)| Share { shape, accounts }).collect();
    }

    fn withheld(&self) -> Vec<Withheld> {
        let lacking = |hash: ScramHash| Withheld { hash, lacking: self.enabled - self.holding[hash.index()] };
        ScramHash::ALL.into_iter().map(lacking).filter(|withheld| withheld.lacking > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "a.example";
    const SHA_1: &str = "1:4096:16";
    const SHA_256: &str = "256:4096:16";

    fn account(shape: &str) -> Counted {
        Counted { domain: HOST.to_owned(), shape: shape.parse().unwrap(), disabled: false }
    }

    fn own() -> Counted {
        Counted { shape: Shape::OWN, ..account("") }
    }

    fn offered(tally: &KeyTally, has_plain: bool) -> Vec<&'static str> {
        let mut policy = Policy::default();
        tally.narrow(HOST, &mut policy, has_plain);
        policy.scram.into_iter().map(ScramHash::scheme).collect()
    }

    #[test]
    fn a_hash_is_offered_when_every_enabled_account_has_it() {
        let tally = KeyTally::default();
        let all = ["SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1"];
        assert_eq!(offered(&tally, true), all);
        tally.add(&own());
        tally.add(&Counted { domain: "b.example".to_owned(), ..account(SHA_1) });
        assert_eq!(offered(&tally, true), all, "hosts do not mix");
        tally.add(&account(SHA_1));
        assert_eq!(offered(&tally, true), ["SCRAM-SHA-1"]);
        assert_eq!(
            tally.withheld(HOST),
            [ScramHash::Sha512, ScramHash::Sha256].map(|hash| Withheld { hash, lacking: 1 })
        );
        let disabled = Counted { disabled: true, ..account(SHA_1) };
        tally.change(&account(SHA_1), &disabled);
        assert_eq!(offered(&tally, true), all);
        tally.change(&disabled, &account(SHA_1));
        tally.change(&account(SHA_1), &own());
        assert_eq!(offered(&tally, true), all);
        assert_eq!(*tally.shares(HOST), [Share { shape: Shape::OWN, accounts: 2 }]);
    }

    #[test]
    fn where_no_hash_suits_all_plain_or_the_most_usual_is_left() {
        let tally = KeyTally::default();
        for shape in [SHA_1, SHA_256, SHA_256] {
            tally.add(&account(shape));
        }
        assert!(offered(&tally, true).is_empty());
        assert_eq!(offered(&tally, false), ["SCRAM-SHA-256"]);
        tally.remove(&account(SHA_1));
        assert_eq!(offered(&tally, false), ["SCRAM-SHA-256"]);
        assert_eq!(tally.withheld(HOST).len(), 2);
    }

    #[test]
    fn shapes_are_bounded_and_hashes_are_counted_all_the_same() {
        let tally = KeyTally::default();
        let shape = |n: usize| account(&format!("1:{}:16", 4096 + n));
        (0..SHAPES_MAX + 5).for_each(|n| tally.add(&shape(n)));
        assert_eq!(tally.shares(HOST).len(), SHAPES_MAX);
        (0..SHAPES_MAX + 5).for_each(|n| tally.remove(&shape(n)));
        assert_eq!((tally.shares(HOST).len(), tally.withheld(HOST).len()), (0, 0));
    }
}
