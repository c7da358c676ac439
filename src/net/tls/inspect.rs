//! Reads certificate files and judges them. RFC 6120 §13.7.1 says what a good one is.
//!
//! The one judgement behind `hearth check`, the start of the server and every reload.

use std::sync::{Arc, LazyLock};

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use time::{Duration, OffsetDateTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::error::X509Error;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;

use super::certificate::Facts;
use super::end_point;
use super::files::{self, CertificateFiles};
use super::findings::{Findings, Problem};
use super::names::{self, Cover};

/// The least size of an RSA key, in bits (RFC 9325 §4.5).
const RSA_BITS_MIN: usize = 2048;
/// The least size of an elliptic curve key, in bits (RFC 9325 §4.5).
const EC_BITS_MIN: usize = 224;
/// How long before its end a certificate is spoken of; for a short-lived one, a third of its life.
const EXPIRY_NOTICE: Duration = Duration::days(14);

/// The only source of cryptography here; no process-wide default is installed or needed.
pub(super) static PROVIDER: LazyLock<Arc<CryptoProvider>> =
    LazyLock::new(|| Arc::new(ring::default_provider()));

/// A chain and its key that belong together, with the facts of the leaf.
#[derive(Clone)]
pub(super) struct Certificate {
    pub(super) key: Arc<CertifiedKey>,
    pub(super) facts: Facts,
}

/// What the files of one host are worth at the time `now`: each finding with its fix. Reads the files, so not for a
/// task that must not block.
#[must_use]
pub fn inspect(files: &CertificateFiles, now: OffsetDateTime) -> Findings {
    let (mut findings, certificate) = examine(files, now);
    if let Some(certificate) = certificate {
        judge_host(&files.domain, &certificate.facts, &mut findings);
    }
    findings
}

/// The same without the host: what can be said of the two files alone, and their content when key and leaf match.
pub(super) fn examine(files: &CertificateFiles, now: OffsetDateTime) -> (Findings, Option<Certificate>) {
    let mut findings = Findings::default();
    let chain = read_chain(files, &mut findings);
    let key = read_key(files, &mut findings);
    let (Some(chain), Some(key)) = (chain, key) else { return (findings, None) };
    let certificate = pair(files, chain, key, now, &mut findings);
    (findings, certificate)
}

/// Whether the certificate is for `domain`.
pub(super) fn judge_host(domain: &str, facts: &Facts, findings: &mut Findings) {
    let Some(host) = names::ascii(domain) else {
        findings.push(Problem::BadDomain { domain: domain.to_owned() });
        return;
    };
    match names::cover(&facts.names, &host) {
        Cover::Full => {}
        Cover::XmppAddrOnly => findings.push(Problem::NameXmppAddrOnly { domain: domain.to_owned() }),
        Cover::None => {
            let names = facts.names.iter().map(ToString::to_string).collect();
            findings.push(Problem::NameMissing { domain: domain.to_owned(), names });
        }
    }
}

/// Whether the certificate is valid at the time `now`, and for how long.
pub(super) fn judge_dates(facts: &Facts, now: OffsetDateTime, findings: &mut Findings) {
    let (from, at) = (facts.not_before, facts.not_after);
    let left = at - now;
    let notice = EXPIRY_NOTICE.min((at - from) / 3);
    if now < from {
        findings.push(Problem::NotYetValid { from });
    } else if left < Duration::ZERO {
        findings.push(Problem::Expired { at });
    } else if left < notice {
        findings.push(Problem::ExpiresSoon { at, days: left.whole_days() });
    }
}

fn read_chain(files: &CertificateFiles, findings: &mut Findings) -> Option<Vec<CertificateDer<'static>>> {
    let (pem, _) = files::read(&files.chain).map_err(|problem| findings.push(problem)).ok()?;
    match CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>() {
        Ok(chain) if !chain.is_empty() => Some(chain),
        _ => {
            findings.push(Problem::NoCertificate { path: files.chain.clone() });
            None
        }
    }
}

fn read_key(files: &CertificateFiles, findings: &mut Findings) -> Option<PrivateKeyDer<'static>> {
    let (pem, mode) = files::read(&files.key).map_err(|problem| findings.push(problem)).ok()?;
    let path = files.key.clone();
    if mode & 0o007 != 0 {
        findings.push(Problem::KeyOpen { path: path.clone(), mode });
    }
    match PrivateKeyDer::from_pem_slice(&pem) {
        Ok(key) => Some(key),
        Err(_) if is_encrypted(&pem) => {
            findings.push(Problem::KeyEncrypted { path });
            None
        }
        Err(_) => {
            findings.push(Problem::NoKey { path });
            None
        }
    }
}

/// PKCS#8 with a password, or the older header inside of a PKCS#1 or SEC1 key.
fn is_encrypted(pem: &[u8]) -> bool {
    let text = String::from_utf8_lossy(pem);
    text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED")
}

fn pair(
    files: &CertificateFiles,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    now: OffsetDateTime,
    findings: &mut Findings,
) -> Option<Certificate> {
    let parsed = parse(&chain, findings)?;
    let (leaf_der, leaf) = (chain.first()?, parsed.first()?);
    let facts = Facts::of(leaf_der, leaf);
    judge_dates(&facts, now, findings);
    judge_leaf(leaf, &facts, findings);
    judge_chain(&parsed, &facts, findings);
    drop(parsed);
    let key = match PROVIDER.key_provider.load_private_key(key) {
        Ok(key) => CertifiedKey::new(chain, key),
        Err(error) => {
            let path = files.key.clone();
            findings.push(Problem::KeyUnsupported { path, reason: error.to_string() });
            return None;
        }
    };
    if key.keys_match().is_err() {
        findings
            .push(owner(&key).map_or(Problem::KeyMismatch, |position| Problem::LeafNotFirst { position }));
        return None;
    }
    Some(Certificate { key: Arc::new(key), facts })
}

fn parse<'c>(chain: &'c [CertificateDer<'_>], findings: &mut Findings) -> Option<Vec<X509Certificate<'c>>> {
    let mut parsed = Vec::with_capacity(chain.len());
    for (position, der) in chain.iter().enumerate() {
        match X509Certificate::from_der(der) {
            Ok(([], certificate)) => parsed.push(certificate),
            _ => {
                findings.push(Problem::Malformed { position });
                return None;
            }
        }
    }
    Some(parsed)
}

/// Which other certificate of the file the key belongs to.
fn owner(key: &CertifiedKey) -> Option<usize> {
    let is_owner = |der: &CertificateDer<'static>| {
        CertifiedKey::new(vec![der.clone()], Arc::clone(&key.key)).keys_match().is_ok()
    };
    key.cert.iter().position(is_owner)
}

fn judge_leaf(leaf: &X509Certificate<'_>, facts: &Facts, findings: &mut Findings) {
    if let Some((bits, bits_min)) = weak_key(leaf) {
        findings.push(Problem::KeyWeak { bits, bits_min });
    }
    if end_point::is_weak(&leaf.signature_algorithm) {
        findings.push(Problem::SignatureWeak);
    }
    if facts.end_point_binding.is_none() {
        findings.push(Problem::NoEndPointBinding);
    }
    if leaf.is_ca() {
        findings.push(Problem::Authority);
    }
    let usage = leaf.extended_key_usage().ok().flatten();
    if usage.is_some_and(|usage| !usage.value.server_auth && !usage.value.any) {
        findings.push(Problem::NotForServers);
    }
    if facts.development {
        findings.push(Problem::Development);
    }
}

fn weak_key(leaf: &X509Certificate<'_>) -> Option<(usize, usize)> {
    let (bits, bits_min) = match leaf.public_key().parsed().ok()? {
        PublicKey::RSA(key) => (key.key_size(), RSA_BITS_MIN),
        PublicKey::EC(point) => (point.key_size(), EC_BITS_MIN),
        _ => return None,
    };
    (bits < bits_min).then_some((bits, bits_min))
}

fn judge_chain(chain: &[X509Certificate<'_>], facts: &Facts, findings: &mut Findings) {
    let Some(leaf) = chain.first() else { return };
    let self_signed = leaf.issuer() == leaf.subject();
    if self_signed {
        findings.push(Problem::SelfSigned);
    } else if chain.len() == 1 && !facts.development {
        findings.push(Problem::ChainMissing { issuer: leaf.issuer().to_string() });
    }
    for (position, link) in chain.windows(2).enumerate() {
        if let [child, parent] = link
            && !is_signed_by(child, parent)
        {
            findings.push(Problem::ChainBroken { position });
        }
    }
}

/// A signature of a kind that cannot be checked here gets the benefit of the doubt.
fn is_signed_by(child: &X509Certificate<'_>, parent: &X509Certificate<'_>) -> bool {
    child.issuer() == parent.subject()
        && matches!(
            child.verify_signature(Some(parent.public_key())),
            Ok(()) | Err(X509Error::SignatureUnsupportedAlgorithm)
        )
}

#[cfg(test)]
mod tests;
