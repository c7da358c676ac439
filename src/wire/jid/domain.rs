//! Domainparts: host names in U-labels, IPv4 and bracketed IPv6. RFC 7622 §3.2, IDNA2008 by way of UTS #46.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

use super::precis::StringClass;
use super::{JidError, Part, ascii, check_length, check_raw, precis};

/// Prepares the domain: a final dot stripped, lower case, NFC, A-labels turned into U-labels; an IPv6
/// address in the form of RFC 5952. Borrowed when it was prepared already.
///
/// # Errors
/// Empty, longer than DNS allows, or neither a host name nor an IP address.
pub fn prepare_domain(text: &str) -> Result<Cow<'_, str>, JidError> {
    // Before any other step: RFC 7622 §3.2. The other three are dots to IDNA.
    let name = text.strip_suffix(['.', '\u{3002}', '\u{FF0E}', '\u{FF61}']).unwrap_or(text);
    if ascii::is_canonical_domain(name) {
        return Ok(Cow::Borrowed(name));
    }
    check_raw(Part::Domain, name)?;
    if let Some(rest) = name.strip_prefix('[') {
        let literal = rest.strip_suffix(']').ok_or(JidError::MalformedIpLiteral)?;
        let prepared = ip_literal(literal)?;
        check_length(Part::Domain, &prepared)?;
        return Ok(if prepared == name { Cow::Borrowed(name) } else { Cow::Owned(prepared) });
    }
    host_name(name)
}

/// RFC 6874 §2: an address, and perhaps a zone after an escaped '%', which is ours to keep but not to read.
fn ip_literal(text: &str) -> Result<String, JidError> {
    let (address, zone) = text.split_once("%25").map_or((text, None), |(a, zone)| (a, Some(zone)));
    let address: Ipv6Addr = address.parse().map_err(|_| JidError::MalformedIpLiteral)?;
    match zone {
        None => Ok(format!("[{address}]")),
        Some(zone) if !zone.is_empty() && zone.bytes().all(is_unreserved) => {
            Ok(format!("[{address}%25{zone}]"))
        }
        Some(_) => Err(JidError::MalformedIpLiteral),
    }
}

/// RFC 3986 §2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn host_name(name: &str) -> Result<Cow<'_, str>, JidError> {
    // Hyphens in the third and fourth place stay allowed: names in use have them, and RFC 7622 §3.2.1 asks
    // only for the right characters.
    const HYPHENS: Hyphens = Hyphens::CheckFirstLast;
    let (prepared, valid) = Uts46::new().to_unicode(name.as_bytes(), AsciiDenyList::STD3, HYPHENS);
    valid.map_err(|_| JidError::MalformedDomain)?;
    check_length(Part::Domain, &prepared)?;
    for label in prepared.split('.') {
        check_label(label)?;
    }
    Uts46::new()
        .to_ascii(prepared.as_bytes(), AsciiDenyList::STD3, HYPHENS, DnsLength::Verify)
        .map_err(|_| JidError::TooLong(Part::Domain))?;
    Ok(prepared)
}

/// UTS #46 lets symbols through that IDNA2008 does not. What is left of IDNA2008 after its mapping is the
/// IdentifierClass with its contextual rules (RFC 8264 §4.2.1).
fn check_label(label: &str) -> Result<(), JidError> {
    match label {
        "" => Err(JidError::MalformedDomain),
        _ if label.is_ascii() => Ok(()),
        _ => precis::check(Part::Domain, label, StringClass::Identifier),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: Result<&str, JidError>) {
        let got = prepare_domain(text);
        assert_eq!(got.as_deref().map_err(|&e| e), want, "{text:?}");
    }

    #[test]
    fn names_become_lower_case_u_labels() {
        check("Example.NET", Ok("example.net"));
        check("BÜCHER.example", Ok("bücher.example"));
        check("xn--bcher-kva.example", Ok("bücher.example"));
        check("XN--BCHER-KVA.example", Ok("bücher.example"));
        check("ｅｘａｍｐｌｅ．ｎｅｔ", Ok("example.net"));
        check("bu\u{308}cher.example", Ok("bücher.example"));
        check("faß.example", Ok("faß.example"));
        check("ex\u{AD}ample.net", Ok("example.net"));
        check("пример.рф", Ok("пример.рф"));
        check("localhost", Ok("localhost"));
        check("a--b.r3---sn.example", Ok("a--b.r3---sn.example"));
    }

    #[test]
    fn one_final_dot_is_stripped() {
        check("example.net.", Ok("example.net"));
        check("example.net。", Ok("example.net"));
        check("Example.net.", Ok("example.net"));
        check("example.net..", Err(JidError::MalformedDomain));
        check("bücher.\u{AD}", Err(JidError::MalformedDomain));
        check(".", Err(JidError::Empty(Part::Domain)));
        check("", Err(JidError::Empty(Part::Domain)));
    }

    #[test]
    fn what_is_no_host_name_is_refused() {
        let bad = [
            "a..b", ".a", "-a.b", "a-.b", "a b", "a_b", "a:5222", "::1", "a@b", "a/b", "a%b", "a\0", "[", "]",
        ];
        for text in
            bad.into_iter().chain(["xn--a", "xn--", "xn--53h.a\u{2028}", "\u{200D}", "\u{301}a.b", "a。。b"])
        {
            assert!(prepare_domain(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn symbols_are_outside_idna2008_in_either_form() {
        check("☕.example", Err(JidError::ForbiddenCharacter(Part::Domain, '☕')));
        check("xn--53h.example", Err(JidError::ForbiddenCharacter(Part::Domain, '☕')));
        check("l·l.example", Ok("l·l.example"));
        check("a·b.example", Err(JidError::MisplacedCharacter(Part::Domain, '·')));
    }

    #[test]
    fn ip_addresses_are_kept_in_one_spelling() {
        check("192.0.2.1", Ok("192.0.2.1"));
        check("[2001:DB8:0:0::1]", Ok("[2001:db8::1]"));
        check("[::ffff:192.0.2.1]", Ok("[::ffff:192.0.2.1]"));
        check("[::1].", Ok("[::1]"));
        check("[fe80::1%25eth0]", Ok("[fe80::1%25eth0]"));
        for bad in
            ["[]", "[::1", "[192.0.2.1]", "[::1]:5222", "[::1%25]", "[::1%eth0]", "[::1%25a/b]", "[[::1]]"]
        {
            check(bad, Err(JidError::MalformedIpLiteral));
        }
    }

    #[test]
    fn dns_limits_hold_to_the_byte() {
        let label = "a".repeat(63);
        check(&label, Ok(&label));
        check(&"a".repeat(64), Err(JidError::TooLong(Part::Domain)));
        let name = format!("{label}.{label}.{label}.{}", "b".repeat(61));
        assert_eq!(name.len(), 253);
        check(&name, Ok(&name));
        check(&format!("{name}."), Ok(&name));
        check(&format!("{name}b"), Err(JidError::TooLong(Part::Domain)));
        check(&"a".repeat(100_000), Err(JidError::TooLong(Part::Domain)));
    }

    #[test]
    fn a_u_label_is_measured_as_its_a_label() {
        // "xn--" and 59 bytes of punycode are the most that fit.
        let fits = (1..64).rev().map(|n| "ü".repeat(n)).find(|label| prepare_domain(label).is_ok()).unwrap();
        let a_label = idna::domain_to_ascii(&fits).unwrap();
        let longer = idna::domain_to_ascii(&format!("{fits}ü")).unwrap();
        assert!(a_label.len() <= 63 && longer.len() > 63, "{} {}", a_label.len(), longer.len());
    }
}
