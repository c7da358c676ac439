//! Which certificate each host is served with: the operator's, or one of the development CA where only this machine
//! can see it (or the configuration says so).

use std::path::PathBuf;

use hearth_core::host::Hosts;
use hearth_core::stream::policy::StartTls;
use hearth_net::config::{Encryption, ListenConfig};
use hearth_net::tls::{
    self, CertificateFiles, Development, DevelopmentError, DevelopmentHost, OpenError, Problem, TlsHosts,
};
use time::OffsetDateTime;

use super::config::Config;

/// The files of all hosts.
#[derive(Debug)]
pub(crate) struct Certificates {
    /// The files of each host.
    pub(crate) files: Vec<CertificateFiles>,
    /// How development certificates are renewed, where they are allowed.
    pub(crate) development: Option<Development>,
    /// The certificate of the development CA, for clients to trust.
    pub(crate) authority: Option<PathBuf>,
}

/// Why the certificates cannot be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CertificateError {
    /// A host has none.
    #[error(
        "there is no certificate for {host}: put {host}.crt and {host}.key (or {host}/fullchain.pem and {host}/privkey.pem) \
         into {}, or try the server with `tls.development = true`", directory.display()
    )]
    Missing {
        /// The host.
        host: String,
        /// Where it was looked for.
        directory: PathBuf,
    },
    /// It was made for trying things out on this machine.
    #[error(
        "{host} has only a certificate of this server's own development CA, which no client on the network trusts: \
         put a real one into {}, or say `tls.development = true`", directory.display()
    )]
    Development {
        /// The host.
        host: String,
        /// Where a real one belongs.
        directory: PathBuf,
    },
    /// Development certificates could not be made.
    #[error(transparent)]
    Make(#[from] DevelopmentError),
    /// Some cannot be served.
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// Whether nobody but this machine can connect.
pub(crate) fn is_local(listen: &[ListenConfig]) -> bool {
    listen.iter().all(|listen| listen.address.ip().is_loopback())
}

/// Whether development certificates may be served.
pub(crate) fn may_develop(config: &Config) -> bool {
    config.tls.development || is_local(&config.listen)
}

/// Whether any listener offers TLS.
pub(crate) fn is_needed(listen: &[ListenConfig]) -> bool {
    listen.iter().any(|listen| listen.encryption == Encryption::Direct || listen.starttls != StartTls::Off)
}

/// Finds the certificate of every host, and makes development certificates where they are allowed and missing.
///
/// # Errors
/// [`CertificateError`], whose text names the fix.
pub(crate) fn find(
    config: &Config,
    hosts: &Hosts,
    now: OffsetDateTime,
) -> Result<Certificates, CertificateError> {
    let directory = &config.tls.certificates;
    let mut domains: Vec<String> = hosts.all().map(|host| host.domain.to_string()).collect();
    domains.sort();
    if !is_needed(&config.listen) {
        return Ok(Certificates { files: Vec::new(), development: None, authority: None });
    }
    if may_develop(config) {
        let hosts = domains.into_iter().map(|domain| DevelopmentHost { domain, also: Vec::new() }).collect();
        let development = Development { directory: directory.clone(), hosts };
        let ensured = development.ensure(now)?;
        let authority = Some(ensured.authority).filter(|authority| authority.exists());
        return Ok(Certificates { files: ensured.files, development: Some(development), authority });
    }
    let found = domains.into_iter().map(|host| {
        let files = tls::find(directory, &host);
        files.ok_or_else(|| CertificateError::Missing { host, directory: directory.clone() })
    });
    Ok(Certificates { files: found.collect::<Result<_, _>>()?, development: None, authority: None })
}

/// Reads the certificates, to be served.
///
/// # Errors
/// [`CertificateError`].
pub(crate) fn open(
    config: &Config,
    found: &Certificates,
    now: OffsetDateTime,
) -> Result<TlsHosts, CertificateError> {
    check_use(config, found, now)?;
    if config.tls.development && !is_local(&config.listen) {
        tracing::warn!(
            "tls.development is on: clients on the network are shown certificates that they must not trust; for real \
             users, put real ones into {}",
            config.tls.certificates.display()
        );
    }
    Ok(TlsHosts::open(found.files.clone(), now)?)
}

/// That nobody on the network is shown a development certificate without the configuration saying so.
///
/// # Errors
/// [`CertificateError::Development`].
pub(crate) fn check_use(
    config: &Config,
    found: &Certificates,
    now: OffsetDateTime,
) -> Result<(), CertificateError> {
    if may_develop(config) {
        return Ok(());
    }
    let is_development = |files: &&CertificateFiles| {
        tls::inspect(files, now).iter().any(|finding| finding.problem == Problem::Development)
    };
    match found.files.iter().find(is_development) {
        Some(files) => {
            let (host, directory) = (files.domain.clone(), config.tls.certificates.clone());
            Err(CertificateError::Development { host, directory })
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH.saturating_add(time::Duration::days(20_000));

    fn config(dir: &std::path::Path, toml: &str) -> (Config, Hosts) {
        let mut config: Config = toml::from_str(toml).unwrap();
        config.tls.certificates = dir.to_owned();
        let hosts = Hosts::new(&config.host).unwrap();
        (config, hosts)
    }

    #[test]
    fn development_certificates_are_for_this_machine_unless_the_config_says_otherwise() {
        let dir = tempfile::tempdir().unwrap();
        let (network, hosts) = config(dir.path(), "[[listen]]\naddress = '[::]:5222'\n");
        let missing = find(&network, &hosts, NOW).unwrap_err();
        assert!(
            matches!(&missing, CertificateError::Missing { host, .. } if host == "localhost"),
            "{missing}"
        );

        let (local, hosts) = config(dir.path(), "");
        let found = find(&local, &hosts, NOW).unwrap();
        assert!(found.authority.as_ref().unwrap().exists());
        assert!(open(&local, &found, NOW).unwrap().host("localhost").unwrap().is_development());

        let found = find(&network, &hosts, NOW).unwrap();
        let refused = open(&network, &found, NOW).unwrap_err();
        assert!(matches!(refused, CertificateError::Development { .. }), "{refused}");

        let (mut said_so, hosts) = (network, hosts);
        said_so.tls.development = true;
        let found = find(&said_so, &hosts, NOW).unwrap();
        assert_eq!(open(&said_so, &found, NOW).unwrap().served().len(), 1);
    }

    #[test]
    fn without_tls_no_certificate_is_needed() {
        let dir = tempfile::tempdir().unwrap();
        let (plain, hosts) = config(dir.path(), "[[listen]]\naddress = '127.0.0.1:5222'\nstarttls = 'off'\n");
        assert!(find(&plain, &hosts, NOW).unwrap().files.is_empty());
    }
}
