//! The budgets one by one, with a clock that is handed in.

use super::*;

fn ip(address: &str) -> IpAddr {
    address.parse().unwrap()
}

fn prefix(address: &str) -> Prefix {
    Prefix::of(ip(address))
}

fn jid(account: &str) -> BareJid {
    BareJid::parse(account).unwrap()
}

#[test]
fn a_household_is_an_ipv4_address_or_a_64() {
    assert_eq!(prefix("2001:db8:1:2::1"), prefix("2001:db8:1:2:ffff::9"));
    assert_ne!(prefix("2001:db8:1:2::1"), prefix("2001:db8:1:3::1"));
    assert_eq!(prefix("::ffff:192.0.2.1"), prefix("192.0.2.1"));
    assert_ne!(prefix("192.0.2.1"), prefix("192.0.2.2"));
}

#[test]
fn places_are_bounded_per_prefix_and_together_and_given_back() {
    let (gate, now) = (Arc::new(Gate::default()), Instant::now());
    let limits = Limits {
        connections_before_login_per_address_max: 2,
        connections_before_login_max: 3,
        ..Limits::default()
    };
    let admit = |address| gate.admit(ip(address), &limits, now);
    let first = admit("192.0.2.1").unwrap();
    let _second = admit("192.0.2.1").unwrap();
    assert_eq!(admit("192.0.2.1").unwrap_err(), Ended::RefusedAddress);
    let _other = admit("192.0.2.2").unwrap();
    assert_eq!(admit("192.0.2.3").unwrap_err(), Ended::RefusedAll);
    drop(first);
    admit("192.0.2.1").unwrap();
}

#[test]
fn connections_of_a_prefix_come_no_faster_than_allowed() {
    let (gate, now) = (Arc::new(Gate::default()), Instant::now());
    let limits = Limits {
        connections_per_address_burst_max: 2,
        connections_per_address_and_minute_max: 6,
        ..Limits::default()
    };
    // each is gone at once: it is the number in a time that counts
    let admit =
        |address, after_s| gate.admit(ip(address), &limits, now + Duration::from_secs(after_s)).map(drop);
    assert_eq!((admit("2001:db8::1", 0), admit("2001:db8::2", 0)), (Ok(()), Ok(())));
    assert_eq!(admit("2001:db8::3", 9), Err(Ended::RefusedRate));
    assert_eq!(admit("2001:db8::3", 10), Ok(()));
    assert_eq!(admit("2001:db8:0:1::1", 10), Ok(()), "another network");
    let unlimited = Limits { connections_per_address_burst_max: 0, ..limits.clone() };
    assert!((0..100).all(|_| gate.admit(ip("2001:db8::1"), &unlimited, now).is_ok()));
}

#[test]
fn loopback_is_limited_where_that_is_asked_for() {
    let (gate, now) = (Arc::new(Gate::default()), Instant::now());
    for loopback_unlimited in [true, false] {
        let limits = Limits {
            connections_per_address_burst_max: 1,
            connections_per_address_and_minute_max: 1,
            guests_per_address_max: 1,
            loopback_unlimited,
            ..Limits::default()
        };
        let _first = gate.admit(ip("127.0.0.1"), &limits, now).unwrap();
        assert_eq!(gate.admit(ip("::ffff:127.0.0.1"), &limits, now).is_ok(), loopback_unlimited);
        let _guest = gate.admit_guest(ip("::1"), &limits).unwrap();
        assert_eq!(gate.admit_guest(ip("::1"), &limits).is_some(), loopback_unlimited);
    }
}

#[test]
fn guests_are_bounded_per_prefix_and_given_back() {
    let gate = Arc::new(Gate::default());
    let limits = Limits { guests_per_address_max: 1, ..Limits::default() };
    let here = ip("192.0.2.1");
    let guest = gate.admit_guest(here, &limits).unwrap();
    assert!(gate.admit_guest(here, &limits).is_none());
    assert!(gate.admit_guest(ip("192.0.2.2"), &limits).is_some());
    drop(guest);
    assert!(gate.admit_guest(here, &limits).is_some());
    assert!(gate.ledger.lock().guests_of.is_empty());
}

/// Two wrong passwords for an account, four from an address.
fn few_failures() -> Limits {
    Limits {
        failed_logins_per_account_and_address_max: 2,
        failed_logins_per_address_max: 4,
        ..Limits::default()
    }
}

#[test]
fn guessing_at_one_account_locks_nobody_else_out() {
    let (gate, limits, now) = (Gate::default(), few_failures(), Instant::now());
    let (office, home) = (ip("192.0.2.1"), ip("192.0.2.2"));
    let may = |from, account, now| gate.may_log_in(from, gate.attempt(from, &jid(account)), &limits, now);
    let romeo = gate.attempt(office, &jid("romeo@example.net"));
    for _ in 0..2 {
        assert!(may(office, "romeo@example.net", now));
        gate.login_failed(office, Some(romeo), &limits, now);
    }
    assert!(!may(office, "romeo@example.net", now));
    assert!(may(office, "juliet@example.net", now), "the colleagues go on");
    assert!(may(home, "romeo@example.net", now), "the owner gets in from elsewhere");
    assert!(may(office, "romeo@example.net", now + FAILURE_WINDOW / 2));
}

#[test]
fn trying_many_accounts_locks_an_address_out() {
    let (gate, limits, now) = (Gate::default(), few_failures(), Instant::now());
    let here = ip("192.0.2.1");
    for n in 0..4 {
        let attempt = gate.attempt(here, &jid(&format!("user{n}@example.net")));
        assert!(gate.may_log_in(here, attempt, &limits, now));
        gate.login_failed(here, Some(attempt), &limits, now);
    }
    let next = gate.attempt(here, &jid("user4@example.net"));
    assert!(!gate.may_log_in(here, next, &limits, now));
    let elsewhere = ip("192.0.2.2");
    assert!(gate.may_log_in(elsewhere, gate.attempt(elsewhere, &jid("user4@example.net")), &limits, now));
    // what came to no account counts against the address, too
    (0..4).for_each(|_| gate.login_failed(elsewhere, None, &limits, now));
    let next_there = gate.attempt(elsewhere, &jid("user5@example.net"));
    assert!(!gate.may_log_in(elsewhere, next_there, &limits, now));
    let none = Limits { failed_logins_per_address_max: 0, ..limits };
    assert!(gate.may_log_in(here, next, &none, now));
}

#[test]
fn a_success_forgives_its_own_account_only() {
    let (gate, limits, now) = (Gate::default(), few_failures(), Instant::now());
    let here = ip("192.0.2.1");
    let [romeo, juliet] =
        ["romeo", "juliet"].map(|name| gate.attempt(here, &jid(&format!("{name}@example.net"))));
    gate.login_failed(here, Some(romeo), &limits, now);
    gate.logged_in(romeo);
    gate.login_failed(here, Some(romeo), &limits, now);
    assert!(gate.may_log_in(here, romeo, &limits, now), "only one since the success");
    (0..2).for_each(|_| gate.login_failed(here, Some(juliet), &limits, now));
    gate.logged_in(romeo);
    assert!(!gate.may_log_in(here, juliet, &limits, now));
    assert!(!gate.may_log_in(here, romeo, &limits, now), "the address has failed four times");
}

#[test]
fn a_proxy_on_this_machine_is_no_address_but_its_clients_guess_no_faster() {
    let (gate, limits, now) = (Gate::default(), few_failures(), Instant::now());
    let here = ip("127.0.0.1");
    let attempt = |n: u32| gate.attempt(here, &jid(&format!("user{n}@example.net")));
    (0..9).for_each(|n| gate.login_failed(here, Some(attempt(n)), &limits, now));
    assert!(gate.may_log_in(here, attempt(9), &limits, now));
    (0..2).for_each(|_| gate.login_failed(here, Some(attempt(9)), &limits, now));
    assert!(!gate.may_log_in(here, attempt(9), &limits, now));
}
