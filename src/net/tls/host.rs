//! What one virtual host is served with. RFC 6120 §5, RFC 9325 (which versions and parameters).

use std::fmt;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring::Ticketer;
use rustls::pki_types::CertificateDer;
use rustls::server::NoServerSessionStorage;
use rustls::sign::SingleCertAndKey;
use rustls::version::{TLS12, TLS13};
use time::OffsetDateTime;

use super::accept::Use;
use super::certificate::Fingerprint;
use super::findings::date;
use super::inspect::{Certificate, PROVIDER};

/// Tickets sent after a TLS 1.3 handshake. A client opens one connection at a time and gets a new ticket with each,
/// so one is enough; every further one would cost a seal and 200 bytes per login.
const TICKETS: usize = 1;

/// One virtual host with the certificate that it is served with now.
///
/// A renewed certificate makes a new one of these with new ticket keys, so no session can be resumed across the
/// change and what [`end_point_binding`](Self::end_point_binding) says holds for every connection made with it.
pub struct HostTls {
    domain: Arc<str>,
    certificate: Certificate,
    client_starttls: Arc<ServerConfig>,
    client_direct: Arc<ServerConfig>,
}

impl HostTls {
    /// # Errors
    /// When rustls refuses the certificate or the system has no randomness for ticket keys.
    pub(super) fn new(domain: &str, certificate: &Certificate) -> Result<Self, rustls::Error> {
        let config = config(certificate)?;
        let with_alpn = |usage: Use| {
            let mut config = config.clone();
            config.alpn_protocols = usage.alpn().map(<[u8]>::to_vec).into_iter().collect();
            Arc::new(config)
        };
        Ok(Self {
            domain: Arc::from(domain),
            certificate: certificate.clone(),
            client_starttls: with_alpn(Use::ClientStarttls),
            client_direct: with_alpn(Use::ClientDirect),
        })
    }

    /// The virtual host, as configured.
    #[must_use]
    pub fn domain(&self) -> &Arc<str> {
        &self.domain
    }

    /// The configuration for one kind of connection.
    #[must_use]
    pub fn server_config(&self, usage: Use) -> &Arc<ServerConfig> {
        match usage {
            Use::ClientStarttls => &self.client_starttls,
            Use::ClientDirect => &self.client_direct,
        }
    }

    /// `tls-server-end-point` (RFC 5929 §4.1); `None` when it is undefined for this certificate and must not be
    /// offered.
    #[must_use]
    pub fn end_point_binding(&self) -> Option<&Arc<[u8]>> {
        self.certificate.facts.end_point_binding.as_ref()
    }

    /// The SHA-256 of the leaf.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.certificate.facts.fingerprint
    }

    /// When the leaf expires.
    #[must_use]
    pub fn not_after(&self) -> OffsetDateTime {
        self.certificate.facts.not_after
    }

    /// Whether the leaf was made by a [`Development`](super::Development) authority.
    #[must_use]
    pub fn is_development(&self) -> bool {
        self.certificate.facts.development
    }

    /// The chain that is shown, leaf first.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.certificate.key.cert
    }

    pub(super) fn certificate(&self) -> &Certificate {
        &self.certificate
    }
}

/// Prints what is public of it.
impl fmt::Display for HostTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_development() { " (development)" } else { "" };
        let expires = date(self.not_after());
        write!(f, "{}{kind}, expires {expires}, SHA-256 {}", self.domain, self.fingerprint())
    }
}

impl fmt::Debug for HostTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostTls({self})")
    }
}

fn config(certificate: &Certificate) -> Result<ServerConfig, rustls::Error> {
    let resolver = SingleCertAndKey::from(Arc::clone(&certificate.key));
    let mut config = ServerConfig::builder_with_provider(Arc::clone(&PROVIDER))
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(resolver));
    // Without it the exported keys are not unique to the connection and tls-exporter is undefined (RFC 9266 §2).
    config.require_ems = true;
    // Sealed tickets instead of a table of sessions: resumption costs no memory here.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = Ticketer::new()?;
    config.send_tls13_tickets = TICKETS;
    // Early data can be replayed (RFC 8446 §8), and a stream header or SASL must not be; nor may we speak before the
    // client has proved that it is there.
    config.max_early_data_size = 0;
    config.send_half_rtt_data = false;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::is_development;
    use crate::tls::testing::Authority;

    #[test]
    fn what_prints_of_a_host_names_expiry_and_fingerprint_and_no_key() {
        let files = Authority::new().files(&["example.org"]);
        let host = files.host("example.org");
        let text = format!("{host:?}");
        assert!(text.contains(&host.fingerprint().to_string()), "{text}");
        assert!(text.contains("expires 20"), "{text}");
        assert_eq!(host.fingerprint(), Fingerprint::of(&host.chain()[0]));
        assert!(!host.is_development());
        assert!(!is_development(&host.chain()[0]));
    }

    #[test]
    fn early_data_and_old_master_secrets_are_off() {
        let files = Authority::new().files(&["example.org"]);
        let host = files.host("example.org");
        for usage in [Use::ClientStarttls, Use::ClientDirect] {
            let config = host.server_config(usage);
            assert!(config.require_ems);
            assert_eq!((config.max_early_data_size, config.send_half_rtt_data), (0, false));
        }
        assert!(host.server_config(Use::ClientStarttls).alpn_protocols.is_empty());
        assert_eq!(host.server_config(Use::ClientDirect).alpn_protocols, [b"xmpp-client".to_vec()]);
    }
}
