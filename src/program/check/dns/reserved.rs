//! Names that no public name server knows, so that asking for them says nothing (and tells strangers what is here).

use std::net::IpAddr;

/// RFC 2606, RFC 6761, RFC 6762, RFC 7686, RFC 8375, RFC 9476 and ICANN's `internal`.
const RESERVED: [&str; 13] = [
    "localhost",
    "local",
    "localdomain",
    "test",
    "example",
    "invalid",
    "example.com",
    "example.net",
    "example.org",
    "onion",
    "home.arpa",
    "alt",
    "internal",
];

/// Whether a host is not to be looked up: a reserved name, an address, or a name of one word.
pub(super) fn is_reserved(domain: &str) -> bool {
    let domain = domain.trim_end_matches('.').to_ascii_lowercase();
    let within =
        |zone: &&str| domain.strip_suffix(zone).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    let address = domain.trim_start_matches('[').trim_end_matches(']');
    !domain.contains('.') || address.parse::<IpAddr>().is_ok() || RESERVED.iter().any(within)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_for_tests_and_addresses_are_not_looked_up() {
        for name in [
            "localhost",
            "a.LOCALHOST",
            "a.test",
            "chat.example.org",
            "127.0.0.1",
            "[::1]",
            "box",
            "x.local.",
        ] {
            assert!(is_reserved(name), "{name}");
        }
        for name in
            ["hearth.im", "contest", "my-example.org", "a.latest.net"].map(|name| format!("{name}.de"))
        {
            assert!(!is_reserved(&name), "{name}");
        }
    }
}
