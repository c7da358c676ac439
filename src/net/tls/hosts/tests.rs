//! Tests of the module above.

use std::fs;

use time::Duration;

use super::*;
use crate::tls::testing::{Authority, NOW, TestFiles, params};

#[test]
fn one_file_serves_all_the_hosts_that_it_names() {
    let files = TestFiles::empty(&["example.org", "chat.example.org", "example.net"]);
    files.write(&Authority::new().issue(&["example.org", "*.example.org", "example.net"]));
    let hosts = files.open();
    assert_eq!(hosts.served().len(), 3);
    assert_eq!(**hosts.first().unwrap().domain(), *"example.org");
    let fingerprint = |host| hosts.host(host).unwrap().fingerprint();
    assert_eq!(fingerprint("chat.example.org"), fingerprint("Example.Net"));
    assert!(hosts.host("other.example.org").is_none());
}

#[test]
fn a_start_with_a_bad_certificate_names_every_host_and_its_cure() {
    let authority = Authority::new();
    let files = authority.files(&["example.org"]);
    let mut entries = files.entries();
    entries.push(files.entry("example.net"));
    entries
        .push(CertificateFiles { chain: files.home.path().join("none.pem"), ..files.entry("example.com") });
    entries.push(files.entry("example.org"));
    entries.push(files.entry("not a host"));
    let text = TlsHosts::open(entries, NOW).unwrap_err().to_string();
    let text = text.replace(files.home.path().to_str().unwrap(), "HOME");
    expect_test::expect![[r#"
        example.net: refused, nothing is served: the certificate is for example.org, not for example.net (request it with the subject alternative name DNS:example.net)
        example.com: refused, nothing is served: cannot read HOME/none.pem: No such file or directory (os error 2) (put HOME/none.pem there or correct the path)
        example.org: refused, nothing is served: example.org is listed twice (list each host once in the configuration)
        not a host: refused, nothing is served: "not a host" is not a host (correct the host's name in the configuration)"#]]
    .assert_eq(&text);
}

#[test]
fn a_bad_new_file_is_refused_with_its_reason_and_the_old_certificate_kept() {
    let authority = Authority::new();
    let files = authority.files(&["example.org"]);
    let hosts = files.open();
    let old = hosts.host("example.org").unwrap();

    let expired = || {
        let mut params = params(&["example.org"]);
        params.not_after = NOW - Duration::HOUR;
        files.write(&authority.issue_with(params));
    };
    let breakages: [(&str, &dyn Fn(), &str); 6] = [
        (
            "a key that does not fit",
            &|| files.write_key(&authority.issue(&["example.org"])),
            "does not belong",
        ),
        (
            "a certificate for others",
            &|| files.write(&authority.issue(&["example.net"])),
            "not for example.org",
        ),
        ("an expired one", &expired, "expired on 2026-11-20T11:00:00Z"),
        ("garbage", &|| files.put("chain.pem", "garbage"), "holds no PEM certificate"),
        (
            "a key with a password",
            &|| files.put("key.pem", "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"),
            "has a password",
        ),
        ("no file", &|| fs::remove_file(files.entry("").key).unwrap(), "cannot read"),
    ];
    for (what, breakage, reason) in breakages {
        breakage();
        let outcomes = hosts.reload(NOW);
        assert_eq!(outcomes[0].change, Change::Refused, "{what}");
        assert!(outcomes[0].findings.to_string().contains(reason), "{what}: {}", outcomes[0].findings);
        assert!(Arc::ptr_eq(&hosts.host("example.org").unwrap(), &old), "{what}");
        assert!(Arc::ptr_eq(outcomes[0].served.as_ref().unwrap(), &old), "{what}");
        assert!(outcomes[0].to_string().contains("still served"), "{}", outcomes[0]);
    }

    files.write(&authority.issue(&["example.org"]));
    assert_eq!(hosts.reload(NOW)[0].change, Change::Swapped);
    assert_ne!(hosts.host("example.org").unwrap().fingerprint(), old.fingerprint());
}

#[test]
fn an_unchanged_certificate_stays_even_when_it_has_expired_and_the_outcome_says_so() {
    let authority = Authority::new();
    let files = authority.files(&["example.org"]);
    let hosts = files.open();
    let old = hosts.host("example.org").unwrap();
    let outcomes = hosts.reload(NOW + Duration::days(100));
    assert_eq!(outcomes[0].change, Change::Unchanged);
    assert!(!outcomes[0].findings.is_servable());
    assert!(Arc::ptr_eq(&hosts.host("example.org").unwrap(), &old));
}

#[test]
fn a_start_serves_what_has_expired_for_want_of_a_better_one_and_nobody_else_takes_it() {
    let authority = Authority::new();
    let files = TestFiles::empty(&["example.org"]);
    let mut old = params(&["example.org"]);
    old.not_after = NOW - Duration::HOUR;
    files.write(&authority.issue_with(old));
    let hosts = files.open();
    let served = hosts.host("example.org").unwrap();
    assert_eq!(hosts.reload(NOW)[0].change, Change::Unchanged);
    let told = TlsHosts::check(files.entries(), NOW).unwrap_err().to_string();
    assert!(told.contains("expired on") && told.contains("renew it"), "{told}");
    // another that has expired is no better
    let mut older = params(&["example.org"]);
    older.not_after = NOW - Duration::HOUR * 2;
    files.write(&authority.issue_with(older));
    assert_eq!(hosts.reload(NOW)[0].change, Change::Refused);
    assert!(Arc::ptr_eq(&hosts.host("example.org").unwrap(), &served));
    // its age must be all that is wrong with it
    let mut of_another = params(&["example.net"]);
    of_another.not_after = NOW - Duration::HOUR;
    files.write(&authority.issue_with(of_another));
    let told = TlsHosts::open(files.entries(), NOW).unwrap_err().to_string();
    assert!(told.contains("expired on") && told.contains("not for example.org"), "{told}");
    files.write(&authority.issue(&["example.org"]));
    assert_eq!(hosts.reload(NOW)[0].change, Change::Swapped);
}

#[test]
fn a_new_list_of_hosts_adds_removes_and_leaves_the_rest_alone() {
    let files = Authority::new().files(&["example.org", "example.net", "example.com"]);
    let hosts = TlsHosts::open(vec![files.entry("example.org"), files.entry("example.net")], NOW).unwrap();
    let kept = hosts.host("example.net").unwrap();
    let outcomes = hosts.replace(vec![files.entry("example.net"), files.entry("example.com")], NOW);
    let mut changes: Vec<_> = outcomes.iter().map(|o| (o.domain.as_str(), o.change)).collect();
    changes.sort_unstable_by_key(|(domain, _)| *domain);
    let expected = [
        ("example.com", Change::Swapped),
        ("example.net", Change::Unchanged),
        ("example.org", Change::Removed),
    ];
    assert_eq!(changes, expected);
    assert!(hosts.host("example.org").is_none());
    assert!(Arc::ptr_eq(&hosts.first().unwrap(), &kept), "the first of the new list");
    assert_eq!(hosts.reload(NOW).len(), 2, "a reload goes by the new list");
}

#[test]
fn the_same_chain_under_another_spelling_of_the_host_is_served_under_it() {
    let files = Authority::new().files(&["example.org"]);
    let hosts = files.open();
    assert_eq!(hosts.replace(vec![files.entry("Example.org")], NOW)[0].change, Change::Swapped);
    assert_eq!(**hosts.host("example.org").unwrap().domain(), *"Example.org");
}
