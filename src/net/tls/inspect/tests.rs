//! Tests of the module above.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, OtherNameValue,
    PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256, PublicKeyData, SanType, SignatureAlgorithm,
};

use super::*;
use crate::tls::testing::{Authority, Issued, NOW, TestFiles, params};

/// What `inspect` says of a certificate for example.org, one finding per line.
fn findings(files: &TestFiles) -> String {
    let findings = inspect(&files.entry("example.org"), NOW);
    let lines = findings.iter().map(|finding| format!("{:?}: {finding}\n", finding.severity).to_lowercase());
    lines.collect::<String>().replace(&files.home.path().to_str().unwrap().to_lowercase(), "home")
}

fn of(issued: &Issued) -> String {
    let files = TestFiles::empty(&[]);
    files.write(issued);
    findings(&files)
}

fn with(change: impl FnOnce(&mut CertificateParams)) -> String {
    let mut params = params(&["example.org"]);
    change(&mut params);
    of(&Authority::new().issue_with(params))
}

fn check(found: &str, severity: &str, what: &str) {
    let mut lines = found.lines();
    let line = lines.next().unwrap_or_else(|| panic!("nothing found, not {what:?}"));
    assert!(line.starts_with(&format!("{severity}: {what}")), "{line}");
    assert_eq!(lines.next(), None, "one finding");
}

#[test]
fn a_good_certificate_has_no_findings_whatever_its_key() {
    assert_eq!(of(&Authority::new().issue(&["example.org"])), "");
    let p384 = Authority::named("P-384", KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap());
    assert_eq!(of(&p384.issue(&["*.example.com", "example.org"])), "");
    let ed25519 = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let authority = Authority::new();
    let leaf = params(&["example.org"]).signed_by(&ed25519, &authority.issuer).unwrap();
    assert_eq!(of(&Issued { chain: vec![leaf, authority.certificate], key: ed25519 }), "");
}

#[test]
fn a_key_may_come_as_sec1() {
    let files = Authority::new().files(&["example.org"]);
    let pkcs8 = KeyPair::from_pem(&fs::read_to_string(files.entry("").key).unwrap()).unwrap().serialize_der();
    // PKCS#8 (RFC 5958 §2) ends with the SEC1 key as an octet string; version and algorithm stand before it.
    let start = pkcs8.windows(5).position(|at| at == [2, 1, 1, 4, 32]).unwrap() - 2;
    let sec1 = pem::encode("EC PRIVATE KEY", &pkcs8[start..]);
    files.put("key.pem", &sec1);
    assert_eq!(findings(&files), "");
}

mod pem {
    pub(super) fn encode(label: &str, der: &[u8]) -> String {
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::new();
        for group in der.chunks(3) {
            let bits =
                group.iter().fold(0, |bits, byte| bits << 8 | usize::from(*byte)) << (8 * (3 - group.len()));
            for n in 0..4 {
                let digit = DIGITS[bits >> (18 - 6 * n) & 63];
                text.push(if n <= group.len() { char::from(digit) } else { '=' });
            }
            if text.len() % 65 == 64 {
                text.push('\n');
            }
        }
        format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
    }
}

#[test]
fn dates_are_judged() {
    let until = |left: Duration| with(|params| params.not_after = NOW + left);
    check(&until(-Duration::SECOND), "error", "the certificate expired on 2026-11-20t11:59:59z (renew");
    check(&until(Duration::days(3)), "warning", "the certificate expires on 2026-11-23t12:00:00z, in 3 days");
    assert_eq!(until(Duration::days(15)), "");
    // Of a certificate that lives six days, two are left before it is spoken of.
    let short = |left: Duration| {
        with(|params| {
            params.not_after = NOW + left;
            params.not_before = params.not_after - Duration::days(6);
        })
    };
    assert_eq!(short(Duration::days(3)), "");
    check(&short(Duration::days(1)), "warning", "the certificate expires");
    let early = with(|params| params.not_before = NOW + Duration::HOUR);
    check(&early, "error", "the certificate is not valid before 2026-11-20t13:00:00z (check the clock");
}

#[test]
fn names_are_judged() {
    let authority = Authority::new();
    check(
        &of(&authority.issue(&["example.net", "*.example.org"])),
        "error",
        "the certificate is for example.net, *.example.org, not for example.org",
    );
    check(&of(&authority.issue(&[])), "error", "the certificate has no subject alternative name");
    let xmpp_addr = |domain: &str| {
        let value = OtherNameValue::Utf8String(domain.to_owned());
        with(|params| {
            params.subject_alt_names = vec![SanType::OtherName((vec![1, 3, 6, 1, 5, 5, 7, 8, 5], value))]
        })
    };
    check(&xmpp_addr("Example.org"), "warning", "the certificate names example.org as xmppaddr only");
    check(&xmpp_addr("example.net"), "error", "the certificate is for xmppaddr example.net, not");
    // The common name does not count.
    let common_name = with(|params| {
        params.subject_alt_names.clear();
        params.distinguished_name.push(rcgen::DnType::CommonName, "example.org");
    });
    check(&common_name, "error", "the certificate has no subject alternative name");
}

#[test]
fn key_and_chain_must_fit() {
    let authority = Authority::new();
    let good = || authority.issue(&["example.org"]);
    let with_chain = |change: &dyn Fn(&mut Vec<rcgen::Certificate>)| {
        let mut issued = good();
        change(&mut issued.chain);
        of(&issued)
    };
    check(&of(&Issued { key: KeyPair::generate().unwrap(), ..good() }), "error", "the key does not belong");
    check(
        &with_chain(&|chain| drop(chain.pop())),
        "warning",
        "the file holds the leaf only, issued by cn=test root",
    );
    let other = Authority::named("Test Root", KeyPair::generate().unwrap());
    check(
        &with_chain(&|chain| chain[1] = other.certificate.clone()),
        "warning",
        "certificate 0 of the chain was not",
    );
    let reversed = with_chain(&|chain| chain.reverse());
    assert!(
        reversed.contains("error: the key belongs to certificate 1 of the file, not to the first (order"),
        "{reversed}"
    );
    let key = KeyPair::generate().unwrap();
    let lone = Issued { chain: vec![params(&["example.org"]).self_signed(&key).unwrap()], key };
    check(&of(&lone), "warning", "the certificate signed itself");
}

#[test]
fn purposes_and_signatures_are_judged() {
    let client_only = with(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
    check(&client_only, "warning", "the certificate is not meant for tls servers");
    assert_eq!(with(|params| params.extended_key_usages.clear()), "");
    let authority = with(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    check(&authority, "warning", "the certificate is an authority");
    let ed25519 = Authority::named("Ed25519", KeyPair::generate_for(&PKCS_ED25519).unwrap());
    check(
        &of(&ed25519.issue(&["example.org"])),
        "note",
        "the signature algorithm has no tls-server-end-point",
    );
}

/// A public RSA key of 1024 bits; nobody has the private one.
struct SmallRsa(Vec<u8>);

impl SmallRsa {
    fn new() -> Self {
        let modulus = [&[0x02, 0x81, 0x81, 0x00, 0xc1][..], &[0x5b; 127]].concat();
        let body = [&modulus[..], &[0x02, 0x03, 1, 0, 1]].concat();
        Self([&[0x30, 0x81, u8::try_from(body.len()).unwrap()][..], &body].concat())
    }
}

impl PublicKeyData for SmallRsa {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_RSA_SHA256
    }
}

#[test]
fn a_short_rsa_key_is_weak() {
    let authority = Authority::new();
    let leaf = params(&["example.org"]).signed_by(&SmallRsa::new(), &authority.issuer).unwrap();
    let found = of(&Issued { chain: vec![leaf, authority.certificate], key: KeyPair::generate().unwrap() });
    assert!(
        found.contains("error: the key has 1024 bits of 2048 (make a key of at least 2048 bits)"),
        "{found}"
    );
}

#[test]
fn files_are_judged() {
    let authority = Authority::new();
    let files = || authority.files(&["example.org"]);
    let put = |name: &str, content: &str| {
        let files = files();
        files.put(name, content);
        findings(&files)
    };
    check(&put("chain.pem", ""), "error", "home/chain.pem holds no pem certificate");
    let broken = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    check(&put("chain.pem", broken), "error", "certificate 0 of the chain is malformed");
    check(
        &put("chain.pem", &broken.replace("MAA=", "!")),
        "error",
        "home/chain.pem holds no pem certificate",
    );
    check(&put("key.pem", "nothing"), "error", "home/key.pem holds no pem private key");
    let locked = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n";
    check(&put("key.pem", locked), "error", "the key in home/key.pem has a password");
    check(
        &put("key.pem", &locked.replace("ENCRYPTED ", "")),
        "error",
        "the key in home/key.pem cannot be used",
    );

    let open = files();
    fs::set_permissions(open.entry("").key, fs::Permissions::from_mode(0o644)).unwrap();
    check(
        &findings(&open),
        "warning",
        "everybody may read the key home/key.pem (mode 0644) (chmod 600 home/key.pem)",
    );
    fs::set_permissions(open.entry("").key, fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(findings(&open), "", "a group for keys is a custom");

    let none = TestFiles::empty(&[]);
    let found = findings(&none);
    assert_eq!(found.lines().count(), 2, "chain and key are both named: {found}");
    fs::create_dir(none.home.path().join("chain.pem")).unwrap();
    assert!(
        findings(&none).contains("error: cannot read home/chain.pem: is a directory"),
        "{}",
        findings(&none)
    );
}

#[test]
fn a_host_that_is_none_is_said_so() {
    let files = Authority::new().files(&["example.org"]);
    let found = inspect(&CertificateFiles { domain: "not a host".to_owned(), ..files.entry("") }, NOW);
    assert!(
        found.iter().any(|f| f.problem == Problem::BadDomain { domain: "not a host".to_owned() }),
        "{found}"
    );
}
