//! Tests of the module above.

use std::os::unix::fs::PermissionsExt;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::version::{TLS12, TLS13};

use super::*;
use crate::tls::testing::{NOW, client};
use crate::tls::{Change, Severity, TlsHosts, inspect, is_development};

fn host(domain: &str, also: &[&str]) -> DevelopmentHost {
    DevelopmentHost { domain: domain.to_owned(), also: also.iter().map(|name| (*name).to_owned()).collect() }
}

struct Home {
    root: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    fn certs(&self) -> PathBuf {
        self.root.path().join("certs")
    }

    fn development(&self, hosts: &[DevelopmentHost]) -> Development {
        Development { directory: self.certs(), hosts: hosts.to_vec() }
    }

    fn ensure(&self, hosts: &[DevelopmentHost], now: OffsetDateTime) -> Ensured {
        self.development(hosts).ensure(now).unwrap()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.certs().join(name)).unwrap()
    }

    fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.certs().join(name)).unwrap().permissions().mode() & 0o7777
    }
}

fn made(ensured: &Ensured) -> Vec<&str> {
    ensured.made.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect()
}

#[test]
fn the_first_run_makes_an_authority_and_a_leaf_per_host_that_only_the_owner_can_use() {
    let home = Home::new();
    let hosts = [host("localhost", &["conference.localhost"]), host("example.org", &[])];
    let ensured = home.ensure(&hosts, NOW);
    let expected = [
        "development-ca.key",
        "development-ca.crt",
        "localhost.key",
        "localhost.crt",
        "example.org.key",
        "example.org.crt",
    ];
    assert_eq!(made(&ensured), expected);
    assert_eq!(home.mode(""), 0o700);
    for key in ["development-ca.key", "localhost.key", "example.org.key"] {
        assert_eq!(home.mode(key), 0o600, "{key}");
    }
    for files in &ensured.files {
        let findings = inspect(files, NOW);
        assert!(findings.iter().all(|finding| finding.severity == Severity::Note), "{findings}");
        assert!(is_development(&CertificateDer::from_pem_file(&files.chain).unwrap()));
    }
    assert!(TlsHosts::open(ensured.files, NOW).unwrap().first().unwrap().is_development());
}

#[test]
fn good_certificates_are_used_again_and_old_leafs_renewed_under_the_same_authority() {
    let home = Home::new();
    let hosts = [host("localhost", &[])];
    home.ensure(&hosts, NOW);
    let (authority, leaf) = (home.read("development-ca.crt"), home.read("localhost.crt"));
    assert_eq!(made(&home.ensure(&hosts, NOW)), [""; 0]);
    assert_eq!(made(&home.ensure(&hosts, NOW + LEAF_LIFE - LEAF_RENEWAL - Duration::HOUR)), [""; 0]);

    let later = NOW + LEAF_LIFE - LEAF_RENEWAL + Duration::HOUR;
    assert_eq!(made(&home.ensure(&hosts, later)), ["localhost.key", "localhost.crt"]);
    assert_eq!(home.read("development-ca.crt"), authority);
    assert_ne!(home.read("localhost.crt"), leaf);
    assert_eq!(home.mode("localhost.key"), 0o600);
}

#[test]
fn an_authority_near_its_end_is_replaced_with_all_its_leafs() {
    let home = Home::new();
    let hosts = [host("localhost", &[])];
    home.ensure(&hosts, NOW);
    let later = NOW + AUTHORITY_LIFE - LEAF_LIFE + Duration::DAY;
    assert_eq!(home.ensure(&hosts, later).made.len(), 4);
    assert_eq!(made(&home.ensure(&hosts, later)), [""; 0]);
}

#[test]
fn changed_hosts_change_leafs_and_a_host_beyond_the_authority_needs_a_new_one() {
    let home = Home::new();
    home.ensure(&[host("localhost", &[])], NOW);
    let wider = [host("localhost", &["upload.localhost"])];
    assert_eq!(made(&home.ensure(&wider, NOW)), ["localhost.key", "localhost.crt"]);
    let more = [wider[0].clone(), host("example.org", &[])];
    assert_eq!(home.ensure(&more, NOW).made.len(), 6);
    assert_eq!(made(&home.ensure(&wider, NOW)), [""; 0], "a smaller set is covered");
}

#[test]
fn a_lost_key_is_made_anew_with_its_certificate() {
    let home = Home::new();
    let hosts = [host("localhost", &[])];
    home.ensure(&hosts, NOW);
    fs::remove_file(home.certs().join("localhost.key")).unwrap();
    assert_eq!(made(&home.ensure(&hosts, NOW)), ["localhost.key", "localhost.crt"]);
}

#[test]
fn files_of_the_admin_are_used_and_never_written() {
    let home = Home::new();
    fs::create_dir(home.certs()).unwrap();
    fs::set_permissions(home.certs(), fs::Permissions::from_mode(0o755)).unwrap();
    let hosts = [host("example.org", &[]), host("localhost", &[])];
    fs::write(home.certs().join("example.org.crt"), "mine").unwrap();
    let ensured = home.ensure(&hosts, NOW);
    assert_eq!(home.read("example.org.crt"), "mine");
    assert!(!home.certs().join("example.org.key").exists());
    assert_eq!(ensured.files.len(), 2);
    assert!(!inspect(&ensured.files[0], NOW).is_servable());
    assert!(inspect(&ensured.files[1], NOW).is_servable());
    assert_eq!(home.mode(""), 0o755, "a directory of the admin keeps its mode");

    // One of ours that was replaced is the admin's from then on.
    fs::write(home.certs().join("localhost.crt"), "mine too").unwrap();
    assert_eq!(made(&home.ensure(&hosts, NOW + LEAF_LIFE)), [""; 0]);
    assert_eq!(home.read("localhost.crt"), "mine too");
}

#[test]
fn a_foreign_file_in_the_place_of_the_authority_is_named() {
    let home = Home::new();
    fs::create_dir(home.certs()).unwrap();
    let path = home.certs().join(AUTHORITY_KEY);
    fs::write(&path, "mine").unwrap();
    let error = home.development(&[host("localhost", &[])]).ensure(NOW).unwrap_err();
    assert!(matches!(&error, DevelopmentError::Foreign { path: named } if *named == path), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
}

#[test]
fn a_crash_between_two_files_is_mended_by_the_next_run() {
    let home = Home::new();
    let hosts = [host("localhost", &[])];
    home.ensure(&hosts, NOW);
    // What a crash after the new key and before the new chain leaves behind.
    let development = home.development(&hosts);
    let mut manifest = development.manifest().unwrap();
    let key = home.certs().join("localhost.key");
    manifest.add(&key, b"new key");
    manifest.write(&home.certs()).unwrap();
    manifest::put(&key, b"new key", 0o600).unwrap();
    fs::write(home.certs().join(".localhost.crt.new"), "half").unwrap();
    assert_eq!(made(&home.ensure(&hosts, NOW)), ["localhost.key", "localhost.crt"]);
    assert!(!home.certs().join(".localhost.crt.new").exists());
}

#[test]
fn hosts_that_cannot_be_files_or_names_are_refused() {
    let home = Home::new();
    for odd in ["../up", "a/b", "", ".", "a b\u{0}"] {
        let error = home.development(&[host(odd, &[])]).ensure(NOW).unwrap_err();
        assert!(matches!(error, DevelopmentError::BadDomain { .. }), "{odd:?}: {error}");
    }
}

#[tokio::test]
async fn a_client_that_trusts_the_authority_reaches_every_name_and_address() {
    use crate::tls::Use;
    use rustls::pki_types::ServerName;

    let home = Home::new();
    let hosts =
        [host("localhost", &["conference.localhost"]), host("127.0.0.1", &[]), host("münchen.example", &[])];
    let ensured = home.ensure(&hosts, NOW);
    let root = CertificateDer::from_pem_file(&ensured.authority).unwrap();
    let mut files = ensured.files.clone();
    files.push(CertificateFiles { domain: "conference.localhost".to_owned(), ..files[0].clone() });
    let tls = TlsHosts::open(files, NOW).unwrap();
    for name in ["localhost", "conference.localhost", "127.0.0.1", "xn--mnchen-3ya.example"] {
        for version in [&TLS12, &TLS13] {
            let config = client(root.clone(), &[version], &[]);
            let (near, far) = tokio::io::duplex(16 * 1024);
            let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
            let connect = connector.connect(ServerName::try_from(name.to_owned()).unwrap(), near);
            // A hello has no name when the host is an address; then the stream header tells.
            let stream_host = (name == "127.0.0.1").then_some(name);
            let (client, server) = tokio::join!(connect, tls.accept(far, Use::ClientStarttls, stream_host));
            client.unwrap();
            assert!(server.unwrap().1.development, "{name}");
        }
    }
    assert!(tls.reload(NOW).iter().all(|outcome| outcome.change == Change::Unchanged));
}
