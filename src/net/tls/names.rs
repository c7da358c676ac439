//! Which hosts a certificate covers. RFC 6120 §13.7.1.2 and §13.7.1.4, RFC 6125 §6.4.
//!
//! Only the subject alternative names count, never the common name: no XMPP client of today looks there.

use std::fmt;
use std::net::IpAddr;

use x509_parser::asn1_rs::{FromDer, Tag, oid};
use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::asn1_rs::Any;
use x509_parser::extensions::GeneralName;

/// One name of a certificate, in the form in which it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Name {
    /// `dNSName`, lower case, perhaps with `*` as its whole leftmost label.
    Dns(String),
    /// `id-on-xmppAddr` (RFC 6120 §13.7.1.4), as A-labels.
    XmppAddr(String),
    /// `iPAddress`, for hosts that are literal addresses.
    Ip(IpAddr),
}

/// How a certificate covers a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cover {
    /// By a name that every client looks at.
    Full,
    /// By an `xmppAddr` alone, which RFC 6120 allows and many TLS libraries do not look at.
    XmppAddrOnly,
    /// Not at all.
    None,
}

/// A host in the form in which hosts are compared: lower case, A-labels, no final dot; an address as it prints.
/// `None` for what cannot be a host.
pub(super) fn ascii(host: &str) -> Option<String> {
    if let Some(address) = address(host) {
        return Some(address.to_string());
    }
    let host = idna::domain_to_ascii(host.strip_suffix('.').unwrap_or(host)).ok()?;
    is_host(&host).then_some(host)
}

/// IDNA lets through what no host has, such as spaces. (RFC 1123 §2.1, and the underscore of service names.)
fn is_host(ascii: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    ascii.len() <= 253 && ascii.split('.').all(is_label)
}

/// The names of `certificate` that can name an XMPP host; others (mail, URI, SRV) are passed over.
pub(super) fn of(certificate: &X509Certificate<'_>) -> Vec<Name> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    extension.value.general_names.iter().filter_map(name).collect()
}

/// Whether one of `names` covers `host` (in the form that [`ascii`] gives).
pub(super) fn cover(names: &[Name], host: &str) -> Cover {
    let mut found = Cover::None;
    for name in names {
        match name {
            Name::Dns(pattern) if dns_matches(pattern, host) => return Cover::Full,
            Name::Ip(address) if address.to_string() == host => return Cover::Full,
            Name::XmppAddr(domain) if domain == host => found = Cover::XmppAddrOnly,
            Name::Dns(_) | Name::Ip(_) | Name::XmppAddr(_) => {}
        }
    }
    found
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Name::Dns(name) => f.write_str(name),
            Name::XmppAddr(name) => write!(f, "xmppAddr {name}"),
            Name::Ip(address) => write!(f, "{address}"),
        }
    }
}

fn address(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

fn name(general: &GeneralName<'_>) -> Option<Name> {
    match general {
        GeneralName::DNSName(name) => Some(Name::Dns(name.to_ascii_lowercase())),
        GeneralName::IPAddress(bytes) => ip(bytes).map(Name::Ip),
        // id-on-xmppAddr, RFC 6120 §13.7.1.4
        GeneralName::OtherName(kind, value) if *kind == oid!(1.3.6.1.5.5.7.8.5) => xmpp_addr(value),
        _ => None,
    }
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

/// `value` is `[0] EXPLICIT UTF8String`.
fn xmpp_addr(value: &[u8]) -> Option<Name> {
    let (_, outer) = Any::from_der(value).ok()?;
    let (_, inner) = Any::from_der(outer.data).ok()?;
    let text = (inner.tag() == Tag::Utf8String).then(|| std::str::from_utf8(inner.data).ok())??;
    ascii(text).map(Name::XmppAddr)
}

/// RFC 6125 §6.4.3: a wildcard is the whole leftmost label and stands for exactly one. As clients do, it is not
/// believed right below a top level (`*.org`).
fn dns_matches(pattern: &str, host: &str) -> bool {
    let Some(parent) = pattern.strip_prefix("*.") else { return pattern == host };
    if !parent.contains('.') || parent.contains('*') || address(host).is_some() {
        return false;
    }
    host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dns_name_covers_itself_and_a_wildcard_one_whole_label() {
        #[rustfmt::skip]
        let table = [
            // pattern                  host                    covered
            ("example.org",             "example.org",          true),
            ("example.org",             "chat.example.org",     false),
            ("example.org",             "badexample.org",       false),
            ("*.example.org",           "chat.example.org",     true),
            ("*.example.org",           "example.org",          false),
            ("*.example.org",           "a.chat.example.org",   false),
            ("*.example.org",           ".example.org",         false),
            ("*.example.org",           "xn--mnchen-3ya.example.org", true),
            ("c*.example.org",          "chat.example.org",     false),
            ("*chat.example.org",       "chat.example.org",     false),
            ("chat.*.org",              "chat.example.org",     false),
            ("*.*.org",                 "chat.example.org",     false),
            ("*",                       "localhost",            false),
            ("*.org",                   "example.org",          false),
            ("*.0.0.1",                 "127.0.0.1",            false),
        ];
        for (pattern, host, covered) in table {
            let names = [Name::Dns(pattern.to_owned())];
            let expected = if covered { Cover::Full } else { Cover::None };
            assert_eq!(cover(&names, host), expected, "{pattern} for {host}");
        }
    }

    #[test]
    fn xmpp_addr_covers_but_less_than_a_dns_name() {
        let addr = Name::XmppAddr("example.org".to_owned());
        let names = [addr.clone()];
        assert_eq!(cover(&names, "example.org"), Cover::XmppAddrOnly);
        assert_eq!(cover(&names, "chat.example.org"), Cover::None);
        assert_eq!(cover(&[addr, Name::Dns("example.org".to_owned())], "example.org"), Cover::Full);
    }

    #[test]
    fn an_address_is_covered_by_an_address_only() {
        let v6 = [Name::Ip("::1".parse().unwrap())];
        assert_eq!(cover(&v6, &ascii("[::1]").unwrap()), Cover::Full);
        assert_eq!(cover(&v6, &ascii("127.0.0.1").unwrap()), Cover::None);
        assert_eq!(cover(&[Name::Dns("*.0.0.1".to_owned())], "127.0.0.1"), Cover::None);
    }

    #[test]
    fn hosts_are_compared_as_lower_case_a_labels() {
        assert_eq!(ascii("Example.ORG.").as_deref(), Some("example.org"));
        assert_eq!(ascii("münchen.example").as_deref(), Some("xn--mnchen-3ya.example"));
        assert_eq!(ascii("[::1]").as_deref(), Some("::1"));
        let long = "a.".repeat(127) + "a";
        for odd in ["", ".", "a..b", "a b", "a/b", "a\0", "*.example.org", &"a".repeat(64), &long] {
            assert_eq!(ascii(odd), None, "{odd:?}");
        }
    }
}
