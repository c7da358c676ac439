//! Who may connect, log in and be a guest, and how often: budgets per address, shared by all listeners.

mod buckets;

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hearth_core::ended::Ended;
use hearth_core::limits::{ADDRESSES_REMEMBERED_MAX, Limits};
use hearth_wire::BareJid;
use parking_lot::Mutex;
use tokio::time::Instant;

use self::buckets::{Buckets, Flow};

/// What one household shares: an IPv4 address, or an IPv6 /64 network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Prefix(u64);

impl Prefix {
    /// The prefix of an address; IPv4 mapped into IPv6 counts as IPv4.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self(u64::from(u32::from(v4))),
            // the upper half of a global IPv6 address is never below 2^32, so the two kinds cannot meet
            IpAddr::V6(v6) => Self((u128::from(v6) >> 64) as u64 | 1 << 63),
        }
    }
}

/// The time that the limit of connections in a time is about.
const MINUTE: Duration = Duration::from_secs(60);
/// The time that the limits of failed logins are about.
const FAILURE_WINDOW: Duration = Duration::from_secs(600);

/// The budgets.
#[derive(Debug, Default)]
pub struct Gate {
    ledger: Mutex<Ledger>,
    /// Account names are kept as keyed hashes: of one size, and nobody can make two of them meet.
    hasher: RandomState,
}

#[derive(Debug)]
struct Ledger {
    waiting: u32,
    waiting_of: HashMap<Prefix, u32>,
    guests_of: HashMap<Prefix, u32>,
    arrivals: Buckets<Prefix>,
    failures: Buckets<Prefix>,
    guesses: Buckets<Attempt>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            waiting: 0,
            waiting_of: HashMap::new(),
            guests_of: HashMap::new(),
            arrivals: Buckets::new(ADDRESSES_REMEMBERED_MAX),
            failures: Buckets::new(ADDRESSES_REMEMBERED_MAX),
            guesses: Buckets::new(ADDRESSES_REMEMBERED_MAX),
        }
    }
}

/// A place among those who have not logged in, or among the guests; given back when dropped.
#[derive(Debug)]
pub struct Place {
    gate: Arc<Gate>,
    prefix: Prefix,
    kind: PlaceKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PlaceKind {
    Waiting,
    Guest,
}

/// Somebody at an address tries to log in to an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Attempt {
    prefix: Prefix,
    account: u64,
}

impl Gate {
    /// A place for a connection that begins.
    ///
    /// # Errors
    /// What the end of the connection is counted as, if there is no room (RFC 6120 §13.12).
    pub fn admit(self: &Arc<Self>, peer: IpAddr, limits: &Limits, now: Instant) -> Result<Place, Ended> {
        let prefix = Prefix::of(peer);
        let mut ledger = self.ledger.lock();
        if !is_exempt(peer, limits) {
            if arrival_flow(limits).is_some_and(|flow| !ledger.arrivals.take(prefix, flow, now)) {
                return Err(Ended::RefusedRate);
            }
            let waiting = ledger.waiting_of.get(&prefix).copied().unwrap_or(0);
            if waiting >= limits.connections_before_login_per_address_max {
                return Err(Ended::RefusedAddress);
            }
        }
        if ledger.waiting >= limits.connections_before_login_max {
            return Err(Ended::RefusedAll);
        }
        ledger.waiting += 1;
        *ledger.waiting_of.entry(prefix).or_default() += 1;
        Ok(Place { gate: Arc::clone(self), prefix, kind: PlaceKind::Waiting })
    }

    /// A place for the session of a guest; `None` when there is no room.
    pub fn admit_guest(self: &Arc<Self>, peer: IpAddr, limits: &Limits) -> Option<Place> {
        let prefix = Prefix::of(peer);
        let mut ledger = self.ledger.lock();
        let guests = ledger.guests_of.get(&prefix).copied().unwrap_or(0);
        let max = limits.guests_per_address_max;
        if max > 0 && guests >= max && !is_exempt(peer, limits) {
            return None;
        }
        ledger.guests_of.insert(prefix, guests + 1);
        Some(Place { gate: Arc::clone(self), prefix, kind: PlaceKind::Guest })
    }

    /// Names an attempt to log in.
    pub fn attempt(&self, peer: IpAddr, account: &BareJid) -> Attempt {
        Attempt { prefix: Prefix::of(peer), account: self.hasher.hash_one(account.as_str()) }
    }

    /// Whether there were too few failures for this attempt to be refused: of this address at this account, and of this
    /// address at any. What others do elsewhere locks nobody out.
    pub fn may_log_in(&self, peer: IpAddr, attempt: Attempt, limits: &Limits, now: Instant) -> bool {
        let ledger = self.ledger.lock();
        let may_guess = guess_flow(limits).is_none_or(|flow| ledger.guesses.has(attempt, flow, now));
        let may_fail = failure_flow(limits).is_none_or(|flow| ledger.failures.has(attempt.prefix, flow, now));
        may_guess && (may_fail || is_exempt(peer, limits))
    }

    /// Whether it is the account that is locked, for this address alone.
    pub fn is_account_locked(&self, attempt: Attempt, limits: &Limits, now: Instant) -> bool {
        guess_flow(limits).is_some_and(|flow| !self.ledger.lock().guesses.has(attempt, flow, now))
    }

    /// A login from this address failed; `attempt` if it came as far as an account.
    pub fn login_failed(&self, peer: IpAddr, attempt: Option<Attempt>, limits: &Limits, now: Instant) {
        let mut ledger = self.ledger.lock();
        if let Some(flow) = failure_flow(limits) {
            ledger.failures.spend(Prefix::of(peer), flow, now);
        }
        if let (Some(flow), Some(attempt)) = (guess_flow(limits), attempt) {
            ledger.guesses.spend(attempt, flow, now);
        }
    }

    /// A login succeeded: whoever tried here knows the password.
    pub fn logged_in(&self, attempt: Attempt) {
        self.ledger.lock().guesses.fill(attempt);
    }
}

/// Whether a peer is free of what is counted per address.
fn is_exempt(peer: IpAddr, limits: &Limits) -> bool {
    limits.loopback_unlimited && peer.to_canonical().is_loopback()
}

fn arrival_flow(limits: &Limits) -> Option<Flow> {
    let (burst, per_minute) =
        (limits.connections_per_address_burst_max, limits.connections_per_address_and_minute_max);
    Flow::new(burst, per_minute, MINUTE)
}

fn failure_flow(limits: &Limits) -> Option<Flow> {
    let max = limits.failed_logins_per_address_max;
    Flow::new(max, max, FAILURE_WINDOW)
}

fn guess_flow(limits: &Limits) -> Option<Flow> {
    let max = limits.failed_logins_per_account_and_address_max;
    Flow::new(max, max, FAILURE_WINDOW)
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut ledger = self.gate.ledger.lock();
        let counts = match self.kind {
            PlaceKind::Waiting => {
                ledger.waiting = ledger.waiting.saturating_sub(1);
                &mut ledger.waiting_of
            }
            PlaceKind::Guest => &mut ledger.guests_of,
        };
        if let Some(count) = counts.get_mut(&self.prefix) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.prefix);
            }
        }
    }
}

#[cfg(test)]
mod tests;
