//! The development authority: it can sign for the configured hosts and for nothing else.

use std::collections::BTreeSet;
use std::net::IpAddr;

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, SanType,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use time::{Duration, OffsetDateTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;

use super::{DevelopmentError, DevelopmentHost};
use crate::tls::names;

/// The common name of the issuer of every development certificate.
pub(in crate::tls) const ISSUER: &str = "Hearth development CA";

/// The common name of every leaf. Names that count stand in the subject alternative names; a common name has room for
/// 64 characters only.
const LEAF: &str = "Hearth development host";

/// Certificates begin in the past, for clients whose clocks are behind.
const HEAD_START: Duration = Duration::days(1);

/// The authority with its key.
pub(super) struct Authority {
    certificate: CertificateDer<'static>,
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new authority for `hosts`. A client that was told to trust it trusts it for those and the hosts below them
    /// alone (RFC 5280 §4.2.1.10): its key lies on a developer's disk.
    pub(super) fn make(
        hosts: &[&DevelopmentHost],
        now: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Self, DevelopmentError> {
        let key = KeyPair::generate()?;
        let mut params = dated(ISSUER, now, until);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: all_names(hosts)?.iter().map(|name| subtree(name)).collect(),
            excluded_subtrees: Vec::new(),
        });
        let certificate = params.self_signed(&key)?;
        Ok(Self {
            certificate: certificate.der().clone(),
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        })
    }

    /// The authority from its files; `None` when they are not one, or do not belong together.
    pub(super) fn parse(chain: &str, key: &str) -> Option<Self> {
        let certificate = CertificateDer::from_pem_slice(chain.as_bytes()).ok()?;
        let key = KeyPair::from_pem(key).ok()?;
        is_key_of(&key, &X509Certificate::from_der(&certificate).ok()?.1).then_some(())?;
        // Only the name, the key usage and the key matter for signing.
        let mut params = CertificateParams::default();
        params.distinguished_name = named(ISSUER);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Some(Self { certificate, pem: chain.to_owned(), issuer: Issuer::new(params, key) })
    }

    /// Whether it may sign for all of `hosts` until `until`.
    pub(super) fn is_good(&self, hosts: &[&DevelopmentHost], until: OffsetDateTime) -> bool {
        let (Ok((_, x509)), Ok(names)) = (X509Certificate::from_der(&self.certificate), all_names(hosts))
        else {
            return false;
        };
        let permitted = permitted(&x509);
        x509.validity().not_after.to_datetime() > until
            && names.iter().all(|name| permitted.iter().any(|base| is_below(name, base)))
    }

    /// A leaf for `host`: chain and key in PEM.
    pub(super) fn issue(
        &self,
        host: &DevelopmentHost,
        now: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<(String, String), DevelopmentError> {
        let key = KeyPair::generate()?;
        let mut params = dated(LEAF, now, until);
        params.subject_alt_names =
            all_names(&[host])?.iter().map(|name| san(name)).collect::<Result<_, _>>()?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let leaf = params.signed_by(&key, &self.issuer)?;
        Ok((leaf.pem(), key.serialize_pem()))
    }

    /// Whether `chain` and `key` are a leaf of this authority for just the names of `host`, valid until `until`.
    pub(super) fn has_issued(
        &self,
        chain: &str,
        key: &str,
        host: &DevelopmentHost,
        until: OffsetDateTime,
    ) -> bool {
        let (Ok(leaf), Ok(key), Ok(names)) =
            (CertificateDer::from_pem_slice(chain.as_bytes()), KeyPair::from_pem(key), all_names(&[host]))
        else {
            return false;
        };
        let (Ok((_, leaf)), Ok((_, authority))) =
            (X509Certificate::from_der(&leaf), X509Certificate::from_der(&self.certificate))
        else {
            return false;
        };
        let named: BTreeSet<String> = names::of(&leaf).iter().map(ToString::to_string).collect();
        named == names
            && leaf.validity().not_after.to_datetime() > until
            && is_key_of(&key, &leaf)
            && leaf.verify_signature(Some(authority.public_key())).is_ok()
    }

    pub(super) fn pem(&self) -> &str {
        &self.pem
    }

    pub(super) fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }
}

/// The hosts and their further names, as they are compared.
fn all_names(hosts: &[&DevelopmentHost]) -> Result<BTreeSet<String>, DevelopmentError> {
    let names = hosts.iter().flat_map(|host| std::iter::once(&host.domain).chain(&host.also));
    let ascii =
        |name: &String| names::ascii(name).ok_or(DevelopmentError::BadDomain { domain: name.clone() });
    names.map(ascii).collect()
}

fn dated(name: &str, now: OffsetDateTime, until: OffsetDateTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(name);
    params.not_before = now - HEAD_START;
    params.not_after = until;
    params
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn san(name: &str) -> Result<SanType, rcgen::Error> {
    match name.parse::<IpAddr>() {
        Ok(address) => Ok(SanType::IpAddress(address)),
        Err(_) => Ok(SanType::DnsName(name.try_into()?)),
    }
}

fn subtree(name: &str) -> GeneralSubtree {
    match name.parse::<IpAddr>() {
        Ok(address) => GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(address, prefix_of(address))),
        Err(_) => GeneralSubtree::DnsName(name.to_owned()),
    }
}

fn prefix_of(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The bases of the permitted subtrees, as text.
fn permitted(x509: &X509Certificate<'_>) -> Vec<String> {
    let constraints = x509.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::NameConstraints(constraints) => constraints.permitted_subtrees.as_ref(),
        _ => None,
    });
    let base = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        // An address with its mask; ours are always full.
        GeneralName::IPAddress(bytes) => match bytes.len() {
            8 => <[u8; 4]>::try_from(bytes.get(..4)?).ok().map(|v4| IpAddr::from(v4).to_string()),
            32 => <[u8; 16]>::try_from(bytes.get(..16)?).ok().map(|v6| IpAddr::from(v6).to_string()),
            _ => None,
        },
        _ => None,
    };
    constraints.into_iter().flatten().filter_map(|subtree| base(&subtree.base)).collect()
}

fn is_below(name: &str, base: &str) -> bool {
    name == base || name.strip_suffix(base).is_some_and(|rest| rest.ends_with('.'))
}

fn is_key_of(key: &KeyPair, x509: &X509Certificate<'_>) -> bool {
    key.public_key_raw() == x509.public_key().subject_public_key.data.as_ref()
}
