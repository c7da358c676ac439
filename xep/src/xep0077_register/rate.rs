//! How many attempts to register are let through in one hour of the clock.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

use parking_lot::Mutex;

use super::Config;

/// Networks remembered for an hour; more must wait.
const NETWORKS_MAX: usize = 10_000;
const HOUR_MS: i64 = 3_600_000;

/// What was used of the two limits.
#[derive(Debug, Default)]
pub(super) struct Rate(Mutex<Used>);

#[derive(Debug, Default)]
struct Used {
    hour: i64,
    all: u32,
    by_network: HashMap<IpAddr, u32>,
}

impl Rate {
    /// Counts an attempt, if it is within the limits of the configuration (0: none).
    pub(super) fn admit(&self, config: &Config, peer: IpAddr, now_ms: i64) -> bool {
        let (per_network, all_together) = (config.attempts_per_address_and_hour, config.attempts_per_hour);
        let mut used = self.0.lock();
        let hour = now_ms.div_euclid(HOUR_MS);
        if used.hour != hour {
            *used = Used { hour, ..Used::default() };
        }
        if all_together > 0 && used.all >= all_together {
            return false;
        }
        let network = network(peer);
        if used.by_network.len() >= NETWORKS_MAX && !used.by_network.contains_key(&network) {
            return false;
        }
        let count = used.by_network.entry(network).or_default();
        if per_network > 0 && *count >= per_network {
            return false;
        }
        *count = count.saturating_add(1);
        used.all = used.all.saturating_add(1);
        true
    }
}

/// What one person can easily use all of: an IPv4 address, or an IPv6 /64.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Limited(Rate, Config);

    impl Limited {
        fn admit(&self, peer: IpAddr, now_ms: i64) -> bool {
            self.0.admit(&self.1, peer, now_ms)
        }
    }

    fn limited(attempts_per_address_and_hour: u32, attempts_per_hour: u32) -> Limited {
        let config = Config { attempts_per_address_and_hour, attempts_per_hour, ..Config::default() };
        Limited(Rate::default(), config)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_has_its_share_in_each_hour() {
        let rate = limited(2, 0);
        assert!(rate.admit(ip("192.0.2.1"), 0) && rate.admit(ip("::ffff:192.0.2.1"), 1));
        assert!(!rate.admit(ip("192.0.2.1"), HOUR_MS - 1));
        assert!(rate.admit(ip("192.0.2.2"), HOUR_MS - 1));
        assert!(rate.admit(ip("192.0.2.1"), HOUR_MS));
    }

    #[test]
    fn an_ipv6_network_is_a_64() {
        let rate = limited(1, 0);
        assert!(rate.admit(ip("2001:db8::1"), 0));
        assert!(!rate.admit(ip("2001:db8::ffff:2"), 0));
        assert!(rate.admit(ip("2001:db8:0:1::1"), 0));
    }

    #[test]
    fn all_together_have_a_limit_and_refused_attempts_use_nothing_of_it() {
        let rate = limited(1, 2);
        assert!(rate.admit(ip("192.0.2.1"), 0));
        assert!(!rate.admit(ip("192.0.2.1"), 0));
        assert!(rate.admit(ip("192.0.2.2"), 0));
        assert!(!rate.admit(ip("192.0.2.3"), 0));
    }

    #[test]
    fn the_table_is_bounded() {
        let rate = limited(0, 0);
        for n in 0..NETWORKS_MAX as u32 {
            assert!(rate.admit(IpAddr::from(n.to_be_bytes()), 0));
        }
        assert!(!rate.admit(ip("192.0.2.1"), 0));
        assert!(rate.admit(IpAddr::from(7_u32.to_be_bytes()), 0));
    }
}
