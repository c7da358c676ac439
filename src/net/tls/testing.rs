//! An authority, certificates and clients for the tests of this module. All keys are made on the spot.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tempfile::TempDir;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use super::inspect::{self, PROVIDER};
use super::{CertificateFiles, HostTls, TlsHosts};

/// The time of all tests.
pub(super) const NOW: OffsetDateTime = datetime!(2026-11-20 12:00 UTC);

/// A root that signs leafs.
pub(super) struct Authority {
    pub(super) issuer: Issuer<'static, KeyPair>,
    pub(super) certificate: rcgen::Certificate,
}

/// A leaf with its key.
pub(super) struct Issued {
    pub(super) chain: Vec<rcgen::Certificate>,
    pub(super) key: KeyPair,
}

impl Authority {
    pub(super) fn new() -> Self {
        Self::named("Test Root", KeyPair::generate().unwrap())
    }

    pub(super) fn named(name: &str, key: KeyPair) -> Self {
        let mut params = params(&[]);
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    /// A leaf for `names`, with the root behind it.
    pub(super) fn issue(&self, names: &[&str]) -> Issued {
        self.issue_with(params(names))
    }

    pub(super) fn issue_with(&self, params: CertificateParams) -> Issued {
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        Issued { chain: vec![leaf, self.certificate.clone()], key }
    }

    /// Files with one leaf for all `names`, and an entry per name.
    pub(super) fn files(&self, names: &[&str]) -> TestFiles {
        let files = TestFiles::empty(names);
        files.write(&self.issue(names));
        files
    }

    /// A client that trusts this authority, with `versions` of TLS and `alpn`.
    pub(super) fn client(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        alpn: &[&str],
    ) -> ClientConfig {
        client(self.certificate.der().clone(), versions, alpn)
    }
}

/// A client that trusts `root`, lives at [`NOW`] and resumes sessions.
pub(super) fn client(
    root: CertificateDer<'static>,
    versions: &[&'static SupportedProtocolVersion],
    alpn: &[&str],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(root).unwrap();
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&PROVIDER));
    let mut config = ClientConfig::builder_with_details(Arc::clone(&PROVIDER), Arc::new(Frozen))
        .with_protocol_versions(versions)
        .unwrap()
        .with_webpki_verifier(verifier.build().unwrap())
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    config.resumption = Resumption::in_memory_sessions(8);
    config
}

/// The time of the clients: tests must not fail in some later year.
#[derive(Debug)]
struct Frozen;

impl TimeProvider for Frozen {
    fn current_time(&self) -> Option<UnixTime> {
        let since_epoch = u64::try_from(NOW.unix_timestamp()).ok()?;
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(since_epoch)))
    }
}

pub(super) fn params(names: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.not_before = NOW - Duration::days(10);
    params.not_after = NOW + Duration::days(80);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.subject_alt_names =
        names.iter().map(|name| SanType::DnsName((*name).try_into().unwrap())).collect();
    params
}

/// A folder with a chain and a key.
pub(super) struct TestFiles {
    pub(super) home: TempDir,
    names: Vec<String>,
    writes: Cell<u32>,
}

impl TestFiles {
    pub(super) fn empty(names: &[&str]) -> Self {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Self { home: tempfile::tempdir().unwrap(), names, writes: Cell::new(0) }
    }

    pub(super) fn write(&self, issued: &Issued) {
        self.write_chain(issued);
        self.write_key(issued);
    }

    pub(super) fn write_chain(&self, issued: &Issued) {
        self.put("chain.pem", &issued.chain.iter().map(rcgen::Certificate::pem).collect::<String>());
    }

    pub(super) fn write_key(&self, issued: &Issued) {
        self.put("key.pem", &issued.key.serialize_pem());
    }

    /// Puts a file in place as careful tools do: a new inode, so that the change shows at any clock resolution.
    pub(super) fn put(&self, name: &str, content: &str) {
        self.writes.set(self.writes.get() + 1);
        let new = self.home.path().join(format!("{name}.{}", self.writes.get()));
        fs::write(&new, content).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(new, self.home.path().join(name)).unwrap();
    }

    pub(super) fn entry(&self, domain: &str) -> CertificateFiles {
        CertificateFiles {
            domain: domain.to_owned(),
            chain: self.home.path().join("chain.pem"),
            key: self.home.path().join("key.pem"),
        }
    }

    pub(super) fn entries(&self) -> Vec<CertificateFiles> {
        self.names.iter().map(|name| self.entry(name)).collect()
    }

    pub(super) fn open(&self) -> TlsHosts {
        TlsHosts::open(self.entries(), NOW).unwrap()
    }

    pub(super) fn host(&self, domain: &str) -> HostTls {
        let (findings, certificate) = inspect::examine(&self.entry(domain), NOW);
        HostTls::new(domain, &certificate.unwrap_or_else(|| panic!("{findings}"))).unwrap()
    }
}
