//! Who may connect, and how often: budgets for those who have not logged in yet, per address prefix.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use hearth_core::limits::Limits;
use parking_lot::Mutex;
use tokio::time::Instant;

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

    /// Whether it is this machine itself: 127.0.0.0/8 or ::1 (nobody else is in that /64).
    fn is_loopback(self) -> bool {
        self == Self::of(Ipv6Addr::LOCALHOST.into()) || self.0 >> 24 == 127
    }

    /// Whether the limits of those who have not logged in do not hold for it.
    fn is_exempt(self, limits: &Limits) -> bool {
        limits.loopback_unlimited && self.is_loopback()
    }
}

/// Failed logins are forgotten after this long.
const FAILURE_WINDOW: Duration = Duration::from_secs(600);
/// Prefixes remembered for failed logins; beyond, the oldest are forgotten.
const FAILURES_REMEMBERED_MAX: usize = 50_000;

#[derive(Debug, Default)]
struct Ledger {
    waiting: u32,
    waiting_by_prefix: HashMap<Prefix, u32>,
    failures: HashMap<Prefix, Failures>,
}

#[derive(Debug)]
struct Failures {
    since: Instant,
    count: u32,
}

/// The budgets, shared by all listeners.
#[derive(Debug, Default)]
pub struct Gate {
    ledger: Mutex<Ledger>,
}

/// A place among those who have not logged in; given back when dropped.
#[derive(Debug)]
pub struct Place {
    gate: Arc<Gate>,
    prefix: Prefix,
}

impl Gate {
    /// A place for a connection that begins; `None` when there is no room.
    pub fn admit(self: &Arc<Self>, prefix: Prefix, limits: &Limits) -> Option<Place> {
        let mut ledger = self.ledger.lock();
        let of_prefix = ledger.waiting_by_prefix.get(&prefix).copied().unwrap_or(0);
        let full = ledger.waiting >= limits.connections_before_login_max
            || of_prefix >= limits.connections_before_login_per_address_max;
        if full && !prefix.is_exempt(limits) {
            return None;
        }
        ledger.waiting += 1;
        ledger.waiting_by_prefix.insert(prefix, of_prefix + 1);
        Some(Place { gate: Arc::clone(self), prefix })
    }

    fn leave(&self, prefix: Prefix) {
        let mut ledger = self.ledger.lock();
        ledger.waiting = ledger.waiting.saturating_sub(1);
        if let Some(count) = ledger.waiting_by_prefix.get_mut(&prefix) {
            *count -= 1;
            if *count == 0 {
                ledger.waiting_by_prefix.remove(&prefix);
            }
        }
    }

    /// Whether this prefix may try to log in.
    pub fn may_log_in(&self, prefix: Prefix, limits: &Limits, now: Instant) -> bool {
        let max = limits.failed_logins_per_address_max;
        let ledger = self.ledger.lock();
        let failed = ledger.failures.get(&prefix).filter(|failures| now - failures.since < FAILURE_WINDOW);
        max == 0 || prefix.is_exempt(limits) || failed.is_none_or(|failures| failures.count < max)
    }

    /// A login from this prefix failed.
    pub fn login_failed(&self, prefix: Prefix, now: Instant) {
        let mut ledger = self.ledger.lock();
        if ledger.failures.len() >= FAILURES_REMEMBERED_MAX {
            ledger.forget_oldest(now);
        }
        let failures = ledger.failures.entry(prefix).or_insert(Failures { since: now, count: 0 });
        if now - failures.since >= FAILURE_WINDOW {
            *failures = Failures { since: now, count: 0 };
        }
        failures.count = failures.count.saturating_add(1);
    }
}

impl Ledger {
    /// Makes room: what has run out goes, and if that is nothing, the older half.
    fn forget_oldest(&mut self, now: Instant) {
        self.failures.retain(|_, failures| now - failures.since < FAILURE_WINDOW);
        if self.failures.len() >= FAILURES_REMEMBERED_MAX {
            let mut since: Vec<Instant> = self.failures.values().map(|failures| failures.since).collect();
            let (_, median, _) = since.select_nth_unstable(FAILURES_REMEMBERED_MAX / 2);
            let median = *median;
            self.failures.retain(|_, failures| failures.since > median);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gate.leave(self.prefix);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(address: &str) -> Prefix {
        Prefix::of(address.parse().unwrap())
    }

    #[test]
    fn a_household_is_an_ipv4_address_or_a_64() {
        assert_eq!(prefix("2001:db8:1:2::1"), prefix("2001:db8:1:2:ffff::9"));
        assert_ne!(prefix("2001:db8:1:2::1"), prefix("2001:db8:1:3::1"));
        assert_eq!(prefix("::ffff:192.0.2.1"), prefix("192.0.2.1"));
        assert_ne!(prefix("192.0.2.1"), prefix("192.0.2.2"));
    }

    #[test]
    fn places_are_bounded_per_prefix_and_given_back() {
        let gate = Arc::new(Gate::default());
        let limits = Limits { connections_before_login_per_address_max: 2, ..Limits::default() };
        let here = prefix("192.0.2.1");
        let first = gate.admit(here, &limits).unwrap();
        let _second = gate.admit(here, &limits).unwrap();
        assert!(gate.admit(here, &limits).is_none());
        assert!(gate.admit(prefix("192.0.2.2"), &limits).is_some());
        drop(first);
        assert!(gate.admit(here, &limits).is_some());
    }

    #[test]
    fn this_machine_itself_may_be_free_of_the_limits() {
        let gate = Arc::new(Gate::default());
        let limits = Limits {
            connections_before_login_per_address_max: 0,
            failed_logins_per_address_max: 1,
            loopback_unlimited: true,
            ..Limits::default()
        };
        let now = Instant::now();
        for (address, free) in [
            ("127.0.0.1", true),
            ("127.9.9.9", true),
            ("::1", true),
            ("128.0.0.1", false),
            ("fe80::1", false),
        ] {
            let prefix = prefix(address);
            assert_eq!(gate.admit(prefix, &limits).is_some(), free, "{address}");
            gate.login_failed(prefix, now);
            assert_eq!(gate.may_log_in(prefix, &limits, now), free, "{address}");
            let limits = Limits { loopback_unlimited: false, ..limits.clone() };
            assert!(gate.admit(prefix, &limits).is_none(), "{address}");
            assert!(!gate.may_log_in(prefix, &limits, now), "{address}");
        }
    }

    #[test]
    fn failures_close_the_door_for_a_while() {
        let gate = Gate::default();
        let limits = Limits { failed_logins_per_address_max: 2, ..Limits::default() };
        let (here, now) = (prefix("192.0.2.1"), Instant::now());
        gate.login_failed(here, now);
        assert!(gate.may_log_in(here, &limits, now));
        gate.login_failed(here, now);
        assert!(!gate.may_log_in(here, &limits, now));
        assert!(gate.may_log_in(prefix("192.0.2.2"), &limits, now));
        assert!(gate.may_log_in(here, &limits, now + FAILURE_WINDOW));
    }
}
