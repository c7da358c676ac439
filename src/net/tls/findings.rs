//! What is wrong with a certificate, in words that name the cure. Used by `hearth check`, the start and a reload.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// How much a [`Finding`] matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; nothing needs to be done.
    Note,
    /// It is served, and some clients will have trouble or soon will.
    Warning,
    /// It is not served; one that has merely expired is, as long as there is no better one.
    Error,
}

/// One thing that was found, with its cure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// What was found; prints as a sentence.
    pub problem: Problem,
    /// What to do about it.
    pub fix: String,
}

/// All findings of one certificate, the worst first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings(Vec<Finding>);

/// What can be wrong with a certificate, its key or their files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// A file cannot be read; `element` is the part of its path that is in the way.
    Unreadable {
        /// The file that was asked for.
        path: PathBuf,
        /// The directory, link or file that cannot be passed.
        element: PathBuf,
        /// What the system said.
        reason: String,
        /// Whether it is not there at all.
        missing: bool,
    },
    /// A file is larger than any certificate chain or key, in bytes.
    TooBig {
        /// The file.
        path: PathBuf,
        /// The largest size that is read, in bytes.
        bytes_max: u64,
    },
    /// The chain file holds no PEM certificate.
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The key file holds no PEM key (PKCS#8, SEC1 or PKCS#1).
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The key is protected by a password, which nobody could type at a restart.
    KeyEncrypted {
        /// The file.
        path: PathBuf,
    },
    /// The key is of a kind that cannot sign a TLS handshake here.
    KeyUnsupported {
        /// The file.
        path: PathBuf,
        /// What the cryptographic library said.
        reason: String,
    },
    /// Everybody on the machine may read the key.
    KeyOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The certificate at `position` of the chain (0 is the leaf) cannot be parsed.
    Malformed {
        /// Where in the chain.
        position: usize,
    },
    /// The key belongs to another certificate.
    KeyMismatch,
    /// The key belongs to the certificate at `position` of the file, not to the first.
    LeafNotFirst {
        /// Where the leaf is.
        position: usize,
    },
    /// The certificate at `position` was not signed by the one behind it.
    ChainBroken {
        /// Where in the chain.
        position: usize,
    },
    /// The file holds the leaf alone, and it was signed by an authority that clients hardly know.
    ChainMissing {
        /// Who signed the leaf.
        issuer: String,
    },
    /// The leaf signed itself.
    SelfSigned,
    /// The leaf is a certificate authority.
    Authority,
    /// The leaf is for other purposes than TLS servers.
    NotForServers,
    /// The time of validity is over.
    Expired {
        /// When it ended.
        at: OffsetDateTime,
    },
    /// The time of validity has not begun.
    NotYetValid {
        /// When it begins.
        from: OffsetDateTime,
    },
    /// The time of validity ends soon.
    ExpiresSoon {
        /// When it ends.
        at: OffsetDateTime,
        /// Whole days that are left.
        days: i64,
    },
    /// No name of the certificate covers the host.
    NameMissing {
        /// The host.
        domain: String,
        /// The names it has.
        names: Vec<String>,
    },
    /// Only an `xmppAddr` covers the host (RFC 6120 §13.7.1.4), which many clients do not look at.
    NameXmppAddrOnly {
        /// The host.
        domain: String,
    },
    /// The key is too short, in bits.
    KeyWeak {
        /// Its size in bits.
        bits: usize,
        /// The least that is served, in bits.
        bits_min: usize,
    },
    /// The certificate was signed over MD5 or SHA-1.
    SignatureWeak,
    /// RFC 5929 defines no `tls-server-end-point` for this signature algorithm.
    NoEndPointBinding,
    /// Made by this server for development; no client trusts it unasked.
    Development,
    /// The host is not a domain name or an address.
    BadDomain {
        /// What was configured.
        domain: String,
    },
    /// The host is listed twice.
    Twice {
        /// The host.
        domain: String,
    },
    /// The TLS library refused what looked good.
    Refused {
        /// What it said.
        reason: String,
    },
}

impl Findings {
    /// Whether the certificate can be served: nothing is an [`Severity::Error`].
    #[must_use]
    pub fn is_servable(&self) -> bool {
        !self.0.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// Whether nothing but its age keeps it from being served.
    pub(super) fn is_merely_expired(&self) -> bool {
        let mut errors = self.0.iter().filter(|finding| finding.severity == Severity::Error).peekable();
        errors.peek().is_some() && errors.all(|finding| matches!(finding.problem, Problem::Expired { .. }))
    }

    /// The findings, the worst first.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.0.iter()
    }

    /// Whether there is nothing to say.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn push(&mut self, problem: Problem) {
        let finding = Finding { severity: problem.severity(), fix: problem.fix(), problem };
        let place = self.0.partition_point(|other| other.severity >= finding.severity);
        self.0.insert(place, finding);
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, finding) in self.0.iter().enumerate() {
            let separator = if n == 0 { "" } else { "; " };
            write!(f, "{separator}{finding}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.problem, self.fix)
    }
}

impl Problem {
    fn severity(&self) -> Severity {
        match self {
            Problem::Unreadable { .. }
            | Problem::TooBig { .. }
            | Problem::NoCertificate { .. }
            | Problem::NoKey { .. }
            | Problem::KeyEncrypted { .. }
            | Problem::KeyUnsupported { .. }
            | Problem::Malformed { .. }
            | Problem::KeyMismatch
            | Problem::LeafNotFirst { .. }
            | Problem::Expired { .. }
            | Problem::NotYetValid { .. }
            | Problem::NameMissing { .. }
            | Problem::KeyWeak { .. }
            | Problem::BadDomain { .. }
            | Problem::Twice { .. }
            | Problem::Refused { .. } => Severity::Error,
            Problem::KeyOpen { .. }
            | Problem::ChainBroken { .. }
            | Problem::ChainMissing { .. }
            | Problem::SelfSigned
            | Problem::Authority
            | Problem::NotForServers
            | Problem::ExpiresSoon { .. }
            | Problem::NameXmppAddrOnly { .. }
            | Problem::SignatureWeak => Severity::Warning,
            Problem::NoEndPointBinding | Problem::Development => Severity::Note,
        }
    }

    fn fix(&self) -> String {
        match self {
            Problem::Unreadable { element, missing: true, .. } => {
                format!("put {} there or correct the path", element.display())
            }
            Problem::Unreadable { element, .. } => {
                format!("let the user that runs the server pass and read {}", element.display())
            }
            Problem::TooBig { .. } => "point to the right file".to_owned(),
            Problem::NoCertificate { .. } => "point to the PEM chain, often fullchain.pem".to_owned(),
            Problem::NoKey { .. } => "point to the PEM private key, often privkey.pem".to_owned(),
            Problem::KeyEncrypted { .. } => {
                "store it without a password: openssl pkey -in … -out …".to_owned()
            }
            Problem::KeyUnsupported { .. } => {
                "use ECDSA P-256 or P-384, Ed25519, or RSA of 2048 to 4096 bits".to_owned()
            }
            Problem::KeyOpen { path, .. } => format!("chmod 600 {}", path.display()),
            Problem::Malformed { .. } => "get the certificate from its authority again".to_owned(),
            Problem::KeyMismatch => "give the key that the certificate was requested with".to_owned(),
            Problem::LeafNotFirst { .. } | Problem::ChainBroken { .. } => {
                "order the file: leaf first, then each one's issuer; or use fullchain.pem".to_owned()
            }
            Problem::ChainMissing { .. } => {
                "append the intermediate certificates, or use fullchain.pem".to_owned()
            }
            Problem::SelfSigned => "get one from an authority that clients trust".to_owned(),
            Problem::Authority => "issue a leaf for the host and serve that".to_owned(),
            Problem::NotForServers => "request it with the extended key usage serverAuth".to_owned(),
            Problem::Expired { .. } | Problem::ExpiresSoon { .. } => "renew it, then reload".to_owned(),
            Problem::NotYetValid { .. } => "check the clock of this machine".to_owned(),
            Problem::NameMissing { domain, .. } | Problem::NameXmppAddrOnly { domain } => {
                format!("request it with the subject alternative name DNS:{domain}")
            }
            Problem::KeyWeak { bits_min, .. } => format!("make a key of at least {bits_min} bits"),
            Problem::SignatureWeak => "have it issued anew, signed over SHA-256".to_owned(),
            Problem::NoEndPointBinding => {
                "nothing to do; clients bind by tls-exporter, or use an ECDSA or RSA issuer".to_owned()
            }
            Problem::Development => "for real users, get one from an authority that clients trust".to_owned(),
            Problem::BadDomain { .. } => "correct the host's name in the configuration".to_owned(),
            Problem::Twice { .. } => "list each host once in the configuration".to_owned(),
            Problem::Refused { .. } => "have the certificate issued anew".to_owned(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Unreadable { path, element, reason, .. } if path == element => {
                write!(f, "cannot read {}: {reason}", path.display())
            }
            Problem::Unreadable { path, element, reason, .. } => {
                write!(f, "cannot read {}: {} is in the way: {reason}", path.display(), element.display())
            }
            Problem::TooBig { path, bytes_max } => {
                write!(f, "{} has more than {bytes_max} bytes", path.display())
            }
            Problem::NoCertificate { path } => write!(f, "{} holds no PEM certificate", path.display()),
            Problem::NoKey { path } => write!(f, "{} holds no PEM private key", path.display()),
            Problem::KeyEncrypted { path } => write!(f, "the key in {} has a password", path.display()),
            Problem::KeyUnsupported { path, reason } => {
                write!(f, "the key in {} cannot be used: {reason}", path.display())
            }
            Problem::KeyOpen { path, mode } => {
                write!(f, "everybody may read the key {} (mode {mode:04o})", path.display())
            }
            Problem::Malformed { position } => write!(f, "certificate {position} of the chain is malformed"),
            Problem::KeyMismatch => f.write_str("the key does not belong to the certificate"),
            Problem::LeafNotFirst { position } => {
                write!(f, "the key belongs to certificate {position} of the file, not to the first")
            }
            Problem::ChainBroken { position } => {
                write!(f, "certificate {position} of the chain was not signed by the one behind it")
            }
            Problem::ChainMissing { issuer } => write!(f, "the file holds the leaf only, issued by {issuer}"),
            Problem::SelfSigned => f.write_str("the certificate signed itself; no client trusts it unasked"),
            Problem::Authority => f.write_str("the certificate is an authority, not a leaf"),
            Problem::NotForServers => f.write_str("the certificate is not meant for TLS servers"),
            Problem::Expired { at } => write!(f, "the certificate expired on {}", date(*at)),
            Problem::NotYetValid { from } => write!(f, "the certificate is not valid before {}", date(*from)),
            Problem::ExpiresSoon { at, days } => {
                write!(f, "the certificate expires on {}, in {days} days", date(*at))
            }
            Problem::NameMissing { domain, names } if names.is_empty() => {
                write!(f, "the certificate has no subject alternative name, so it is not for {domain}")
            }
            Problem::NameMissing { domain, names } => {
                write!(f, "the certificate is for {}, not for {domain}", names.join(", "))
            }
            Problem::NameXmppAddrOnly { domain } => {
                write!(f, "the certificate names {domain} as xmppAddr only; many clients want a DNS name")
            }
            Problem::KeyWeak { bits, bits_min } => write!(f, "the key has {bits} bits of {bits_min}"),
            Problem::SignatureWeak => f.write_str("the certificate is signed over MD5 or SHA-1"),
            Problem::NoEndPointBinding => f.write_str(
                "the signature algorithm has no tls-server-end-point (RFC 5929); it is not offered",
            ),
            Problem::Development => f.write_str("the certificate was made by this server for development"),
            Problem::BadDomain { domain } => write!(f, "{domain:?} is not a host"),
            Problem::Twice { domain } => write!(f, "{domain} is listed twice"),
            Problem::Refused { reason } => write!(f, "the TLS library refused the certificate: {reason}"),
        }
    }
}

pub(super) fn date(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_else(|_| at.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn the_worst_comes_first_and_equals_keep_their_order() {
        let mut findings = Findings::default();
        findings.push(Problem::NoEndPointBinding);
        findings.push(Problem::SelfSigned);
        findings.push(Problem::KeyMismatch);
        findings.push(Problem::SignatureWeak);
        let order: Vec<_> = findings.iter().map(|finding| finding.problem.clone()).collect();
        let expected =
            [Problem::KeyMismatch, Problem::SelfSigned, Problem::SignatureWeak, Problem::NoEndPointBinding];
        assert_eq!(order, expected);
    }

    #[test]
    fn only_an_error_keeps_a_certificate_from_being_served() {
        let mut findings = Findings::default();
        assert!(findings.is_servable());
        findings.push(Problem::SelfSigned);
        assert!(findings.is_servable());
        assert!(!findings.is_merely_expired());
        findings.push(Problem::Expired { at: datetime!(2026-01-02 03:04 UTC) });
        assert!(!findings.is_servable() && findings.is_merely_expired());
        expect_test::expect![[
            "the certificate expired on 2026-01-02T03:04:00Z (renew it, then reload); the certificate signed itself; \
             no client trusts it unasked (get one from an authority that clients trust)"
        ]]
        .assert_eq(&findings.to_string());
        findings.push(Problem::KeyMismatch);
        assert!(!findings.is_merely_expired());
    }
}
