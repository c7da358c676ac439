//! What the server needs to know of a certificate, read once when it is loaded.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::names::{self, Name};
use super::{development, end_point};

/// The SHA-256 of a certificate; prints as pairs of hexadecimal digits between colons, as `openssl x509` does.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of a certificate in DER.
    #[must_use]
    pub fn of(der: &[u8]) -> Self {
        Self(Sha256::digest(der).into())
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, byte) in self.0.iter().enumerate() {
            let separator = if n == 0 { "" } else { ":" };
            write!(f, "{separator}{byte:02X}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// Whether `certificate` was made by a [`Development`](super::Development) authority, so that it may be shown to
/// nobody but this machine unless the configuration says otherwise. False for what cannot be parsed.
#[must_use]
pub fn is_development(certificate: &CertificateDer<'_>) -> bool {
    X509Certificate::from_der(certificate).is_ok_and(|(_, x509)| issued_for_development(&x509))
}

pub(super) fn issued_for_development(x509: &X509Certificate<'_>) -> bool {
    x509.issuer().iter_common_name().any(|name| name.as_str() == Ok(development::ISSUER))
}

/// The facts of a leaf that outlive its parsing.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) names: Vec<Name>,
    pub(super) not_before: OffsetDateTime,
    pub(super) not_after: OffsetDateTime,
    pub(super) fingerprint: Fingerprint,
    pub(super) end_point_binding: Option<Arc<[u8]>>,
    pub(super) development: bool,
}

impl Facts {
    pub(super) fn of(der: &[u8], x509: &X509Certificate<'_>) -> Self {
        Self {
            names: names::of(x509),
            not_before: x509.validity().not_before.to_datetime(),
            not_after: x509.validity().not_after.to_datetime(),
            fingerprint: Fingerprint::of(der),
            end_point_binding: end_point::binding(der, &x509.signature_algorithm).map(Arc::from),
            development: issued_for_development(x509),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_prints_as_openssl_prints_it() {
        let text = Fingerprint::of(b"").to_string();
        assert!(text.starts_with("E3:B0:C4:42:98:FC:1C:14:"), "{text}");
        assert_eq!(text.len(), 32 * 3 - 1);
    }

    #[test]
    fn what_is_no_certificate_is_no_development_certificate() {
        assert!(!is_development(&CertificateDer::from(vec![0x30, 0x80, 1, 2, 3])));
    }
}
