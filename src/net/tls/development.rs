//! Certificates for the first start: an authority of our own and one leaf per host, so that TLS works at once.
//!
//! They are marked by their issuer ([`is_development`](super::is_development)) and listed in a manifest with their
//! hashes. Whatever else lies in the directory belongs to the admin and is used, never written.

mod authority;
mod manifest;

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use time::{Duration, OffsetDateTime};
use tracing::info;

use super::files::{self, CertificateFiles};
use authority::Authority;
use manifest::Manifest;

pub(super) use authority::ISSUER;

/// The authority's certificate, for clients that shall trust it.
const AUTHORITY_CHAIN: &str = "development-ca.crt";
const AUTHORITY_KEY: &str = "development-ca.key";

/// How long a leaf is valid; what browsers and phones accept at most.
const LEAF_LIFE: Duration = Duration::days(397);
/// When less than this is left of a leaf, it is made anew.
const LEAF_RENEWAL: Duration = Duration::days(30);
/// How long an authority is valid.
const AUTHORITY_LIFE: Duration = Duration::days(3650);

/// The development certificates of a server.
#[derive(Debug, Clone)]
pub struct Development {
    /// Where they lie; made when it is missing, with mode 0700.
    pub directory: PathBuf,
    /// The hosts that need one.
    pub hosts: Vec<DevelopmentHost>,
}

/// A virtual host and what else its certificate shall name.
#[derive(Debug, Clone)]
pub struct DevelopmentHost {
    /// The virtual host.
    pub domain: String,
    /// Further names, such as `conference.` and `upload.` hosts.
    pub also: Vec<String>,
}

/// What [`Development::ensure`] leaves behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ensured {
    /// The certificate of the authority.
    pub authority: PathBuf,
    /// The files of each host, for [`TlsHosts`](super::TlsHosts); those that the admin has put there included.
    pub files: Vec<CertificateFiles>,
    /// The files that were made or renewed.
    pub made: Vec<PathBuf>,
}

/// Why development certificates could not be made.
#[derive(Debug, thiserror::Error)]
pub enum DevelopmentError {
    /// The system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of ours would have to be written where somebody else's lies.
    #[error("{path} was not made by this server and is in the way; move it away")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The host cannot be named in a certificate or a file.
    #[error("{domain:?} cannot have a development certificate")]
    BadDomain {
        /// The host.
        domain: String,
    },
    /// The certificate library refused.
    #[error("development certificate: {0}")]
    Make(#[from] rcgen::Error),
}

impl Development {
    /// Makes what is missing, near its end or no longer fits the hosts; leaves the rest. Reads and writes files.
    ///
    /// # Errors
    /// See [`DevelopmentError`]; what had been made before stays.
    pub fn ensure(&self, now: OffsetDateTime) -> Result<Ensured, DevelopmentError> {
        make_directory(&self.directory)?;
        let mut work = Work { directory: &self.directory, now, manifest: self.manifest()?, made: Vec::new() };
        let (own, files) = self.sort(&work)?;
        let authority = self.directory.join(AUTHORITY_CHAIN);
        if !own.is_empty() {
            let signer = work.authority(&own)?;
            for host in own {
                work.leaf(host, &signer)?;
            }
        }
        Ok(Ensured { authority, files, made: work.made })
    }

    fn manifest(&self) -> Result<Manifest, DevelopmentError> {
        Manifest::read(&self.directory)
            .map_err(|source| DevelopmentError::Io { path: Manifest::path(&self.directory), source })
    }

    /// The hosts whose certificates are ours to make, and the files of all.
    fn sort(
        &self,
        work: &Work<'_>,
    ) -> Result<(Vec<&DevelopmentHost>, Vec<CertificateFiles>), DevelopmentError> {
        let mut own = Vec::new();
        let mut all = Vec::new();
        for host in &self.hosts {
            let ours = paths(&self.directory, &host.domain)?;
            let found = files::find(&self.directory, &host.domain);
            let admins = found
                .filter(|found| *found != ours || work.is_foreign(&ours.chain) || work.is_foreign(&ours.key));
            if admins.is_none() {
                own.push(host);
            }
            all.push(admins.unwrap_or(ours));
        }
        Ok((own, all))
    }
}

fn paths(directory: &Path, domain: &str) -> Result<CertificateFiles, DevelopmentError> {
    let name =
        files::file_name(domain).ok_or_else(|| DevelopmentError::BadDomain { domain: domain.to_owned() })?;
    let file = |ending: &str| directory.join(format!("{name}.{ending}"));
    Ok(CertificateFiles { domain: domain.to_owned(), chain: file("crt"), key: file("key") })
}

fn make_directory(path: &Path) -> Result<(), DevelopmentError> {
    if path.is_dir() {
        return Ok(());
    }
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| DevelopmentError::Io { path: path.to_owned(), source })
}

/// One run over the directory.
struct Work<'d> {
    directory: &'d Path,
    now: OffsetDateTime,
    manifest: Manifest,
    made: Vec<PathBuf>,
}

impl Work<'_> {
    /// The authority on disk if it can still sign for `hosts`, else a new one.
    fn authority(&mut self, hosts: &[&DevelopmentHost]) -> Result<Authority, DevelopmentError> {
        let chain = self.directory.join(AUTHORITY_CHAIN);
        let key = self.directory.join(AUTHORITY_KEY);
        if let Some(authority) = Authority::parse(&text(&chain), &text(&key))
            && authority.is_good(hosts, self.now + LEAF_LIFE)
        {
            return Ok(authority);
        }
        let authority = Authority::make(hosts, self.now, self.now + AUTHORITY_LIFE)?;
        self.write(&chain, &key, authority.pem(), &authority.key_pem())?;
        info!(file = %chain.display(), "development certificate authority made; clients must be told to trust it");
        Ok(authority)
    }

    fn leaf(&mut self, host: &DevelopmentHost, signer: &Authority) -> Result<(), DevelopmentError> {
        let files = paths(self.directory, &host.domain)?;
        if signer.has_issued(&text(&files.chain), &text(&files.key), host, self.now + LEAF_RENEWAL) {
            return Ok(());
        }
        let (chain, key) = signer.issue(host, self.now, self.now + LEAF_LIFE)?;
        self.write(&files.chain, &files.key, &chain, &key)?;
        info!(host = %host.domain, file = %files.chain.display(), "development certificate made");
        Ok(())
    }

    /// Writes a chain and its key. The manifest knows the new files before they exist and the old ones until they are
    /// gone, so a crash in between leaves no file that nobody owns.
    fn write(
        &mut self,
        chain: &Path,
        key: &Path,
        chain_pem: &str,
        key_pem: &str,
    ) -> Result<(), DevelopmentError> {
        let new = [(key, key_pem, 0o600), (chain, chain_pem, 0o644)];
        for (path, content, _) in new {
            if self.is_foreign(path) {
                return Err(DevelopmentError::Foreign { path: path.to_owned() });
            }
            self.manifest.add(path, content.as_bytes());
        }
        self.manifest.write(self.directory).map_err(|source| self.manifest_error(source))?;
        for (path, content, mode) in new {
            manifest::put(path, content.as_bytes(), mode)
                .map_err(|source| DevelopmentError::Io { path: path.to_owned(), source })?;
            self.made.push(path.to_owned());
            self.manifest.only(path, content.as_bytes());
        }
        self.manifest.write(self.directory).map_err(|source| self.manifest_error(source))
    }

    fn manifest_error(&self, source: io::Error) -> DevelopmentError {
        DevelopmentError::Io { path: Manifest::path(self.directory), source }
    }

    /// Whether something lies at `path` that we have not written, or that was changed since.
    fn is_foreign(&self, path: &Path) -> bool {
        match fs::read(path) {
            Ok(content) => !self.manifest.has(path, &content),
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        }
    }
}

/// The text of a file of ours; empty when it is missing or unreadable, and then it is made anew or its place is found
/// to be taken.
fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[cfg(test)]
mod tests;
