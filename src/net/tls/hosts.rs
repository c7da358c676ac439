//! What is served now, for all virtual hosts, and how it changes while the server runs.
//!
//! The whole table is swapped at once, so a handshake sees one consistent set. A bad new file never replaces a good
//! certificate that is being served, and never passes in silence.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use time::OffsetDateTime;
use tracing::{error, info, warn};

use super::files::{CertificateFiles, Stamp};
use super::findings::{Findings, Problem, date};
use super::host::HostTls;
use super::inspect::{self, Certificate};
use super::names;

/// The certificates of all virtual hosts. Cheap to clone; all clones see a reload.
#[derive(Clone)]
pub struct TlsHosts {
    shared: Arc<Shared>,
}

struct Shared {
    served: ArcSwap<Served>,
    /// Held through a whole reload, so that two of them cannot undo each other.
    loaded: Mutex<Loaded>,
}

#[derive(Default)]
struct Served {
    by_host: HashMap<String, Arc<HostTls>>,
    first: Option<Arc<HostTls>>,
}

#[derive(Default)]
struct Loaded {
    files: Vec<CertificateFiles>,
    stamps: Stamps,
}

/// The state of all files when they were last read.
pub(super) type Stamps = HashMap<PathBuf, Option<Stamp>>;

/// What happened to one host in a reload.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The virtual host.
    pub domain: String,
    /// What happened.
    pub change: Change,
    /// What is served for it now; `None` when nothing is.
    pub served: Option<Arc<HostTls>>,
    /// What was found in its files.
    pub findings: Findings,
}

/// See [`Outcome::change`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The files hold what is served already.
    Unchanged,
    /// The certificate in the files is served from now on.
    Swapped,
    /// The files are bad; what was served before is still served, if anything was.
    Refused,
    /// The host is no longer configured.
    Removed,
}

/// At least one host has no certificate that can be served.
#[derive(Debug, thiserror::Error)]
#[error("{}", .refused.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct OpenError {
    /// The hosts without, with all that was found.
    pub refused: Vec<Outcome>,
}

impl TlsHosts {
    /// Loads the certificates of all hosts; the first is served to clients that name none. Reads files.
    ///
    /// # Errors
    /// When one of them cannot be served. An expired one can, as it could if the server had gone on running: clients
    /// decide what to think of it, and a machine that starts again by night must not take all hosts down for one.
    pub fn open(files: Vec<CertificateFiles>, now: OffsetDateTime) -> Result<Self, OpenError> {
        let hosts = Self::empty();
        let mut loaded = hosts.shared.loaded.lock();
        let outcomes = hosts.apply(&mut loaded, files, now, Expired::Served);
        drop(loaded);
        served_or(outcomes)?;
        Ok(hosts)
    }

    /// Whether all of these could be served to a host that has no certificate so far, by somebody who is there to mend
    /// what cannot: an expired one cannot. Reads files.
    ///
    /// # Errors
    /// When one of them cannot be served.
    pub fn check(files: Vec<CertificateFiles>, now: OffsetDateTime) -> Result<(), OpenError> {
        served_or(Self::empty().replace(files, now))
    }

    fn empty() -> Self {
        let shared = Shared { served: ArcSwap::default(), loaded: Mutex::default() };
        Self { shared: Arc::new(shared) }
    }

    /// Reads the files of all hosts again. Reads files, so not for a task that must not block.
    pub fn reload(&self, now: OffsetDateTime) -> Vec<Outcome> {
        let mut loaded = self.shared.loaded.lock();
        let files = std::mem::take(&mut loaded.files);
        self.apply(&mut loaded, files, now, Expired::Refused)
    }

    /// Serves the hosts of a changed configuration. Reads files, so not for a task that must not block.
    pub fn replace(&self, files: Vec<CertificateFiles>, now: OffsetDateTime) -> Vec<Outcome> {
        let mut loaded = self.shared.loaded.lock();
        self.apply(&mut loaded, files, now, Expired::Refused)
    }

    /// What is served for `host`, in any spelling.
    #[must_use]
    pub fn host(&self, host: &str) -> Option<Arc<HostTls>> {
        self.shared.served.load().by_host.get(&names::ascii(host)?).cloned()
    }

    /// What is served to a client that names no host: the first host of the configuration.
    #[must_use]
    pub fn first(&self) -> Option<Arc<HostTls>> {
        self.shared.served.load().first.clone()
    }

    /// All that is served, in no particular order.
    #[must_use]
    pub fn served(&self) -> Vec<Arc<HostTls>> {
        self.shared.served.load().by_host.values().cloned().collect()
    }

    /// Warns of every certificate that will expire soon or has expired.
    pub fn warn_of_expiry(&self, now: OffsetDateTime) {
        for host in self.served() {
            let mut findings = Findings::default();
            inspect::judge_dates(&host.certificate().facts, now, &mut findings);
            if !findings.is_empty() {
                warn!(host = %host.domain(), %findings, "the served certificate needs to be renewed");
            }
        }
    }

    /// The state of all files when they were last read.
    pub(super) fn stamps(&self) -> Stamps {
        self.shared.loaded.lock().stamps.clone()
    }

    fn apply(
        &self,
        loaded: &mut Loaded,
        files: Vec<CertificateFiles>,
        now: OffsetDateTime,
        expired: Expired,
    ) -> Vec<Outcome> {
        // Taken before the files are read: a change in between is then seen as a change, not missed.
        loaded.stamps = files.iter().flat_map(|f| [&f.chain, &f.key]).map(|path| stamped(path)).collect();
        let before = self.shared.served.load_full();
        let mut after = Served::default();
        let mut outcomes = Reading { now, expired, read: HashMap::new() }.all(&files, &before, &mut after);
        outcomes.extend(removed(&before, &after, &outcomes));
        self.shared.served.store(Arc::new(after));
        loaded.files = files;
        for outcome in &outcomes {
            outcome.log();
        }
        outcomes
    }
}

impl fmt::Debug for TlsHosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.served()).finish()
    }
}

fn stamped(path: &Path) -> (PathBuf, Option<Stamp>) {
    (path.to_owned(), Stamp::of(path))
}

/// The hosts of `before` that nobody spoke of.
fn removed(before: &Served, after: &Served, outcomes: &[Outcome]) -> Vec<Outcome> {
    let gone = before.by_host.iter().filter(|(host, _)| !after.by_host.contains_key(*host));
    gone.map(|(_, host)| host.domain().to_string())
        .filter(|domain| !outcomes.iter().any(|outcome| outcome.domain == *domain))
        .map(|domain| Outcome {
            domain,
            change: Change::Removed,
            served: None,
            findings: Findings::default(),
        })
        .collect()
}

/// What becomes of a certificate that is good but for its age, and is not served already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expired {
    Served,
    Refused,
}

fn served_or(outcomes: Vec<Outcome>) -> Result<(), OpenError> {
    let refused: Vec<_> = outcomes.into_iter().filter(|o| o.change == Change::Refused).collect();
    if refused.is_empty() { Ok(()) } else { Err(OpenError { refused }) }
}

/// One pass over the files. Files that several hosts share are read once.
struct Reading<'f> {
    now: OffsetDateTime,
    expired: Expired,
    read: HashMap<(&'f PathBuf, &'f PathBuf), (Findings, Option<Certificate>)>,
}

impl<'f> Reading<'f> {
    fn all(mut self, files: &'f [CertificateFiles], before: &Served, after: &mut Served) -> Vec<Outcome> {
        files.iter().map(|files| self.one(files, before, after)).collect()
    }

    fn one(&mut self, files: &'f CertificateFiles, before: &Served, after: &mut Served) -> Outcome {
        let domain = files.domain.clone();
        let Some(host) = names::ascii(&domain) else {
            return refused(domain.clone(), Problem::BadDomain { domain });
        };
        if after.by_host.contains_key(&host) {
            return refused(domain.clone(), Problem::Twice { domain });
        }
        let old = before.by_host.get(&host);
        let (change, served, findings) = self.judge(files, old);
        if let Some(served) = &served {
            after.first.get_or_insert_with(|| Arc::clone(served));
            after.by_host.insert(host, Arc::clone(served));
        }
        Outcome { domain, change, served, findings }
    }

    fn judge(
        &mut self,
        files: &'f CertificateFiles,
        old: Option<&Arc<HostTls>>,
    ) -> (Change, Option<Arc<HostTls>>, Findings) {
        let now = self.now;
        let read = self.read.entry((&files.chain, &files.key));
        let (findings, certificate) = read.or_insert_with(|| inspect::examine(files, now));
        let mut findings = findings.clone();
        let kept = |findings| (Change::Refused, old.cloned(), findings);
        let Some(certificate) = certificate else { return kept(findings) };
        // What is served already stays, with its ticket keys, even when it has expired meanwhile: the findings and
        // the log say so, and no better one is there.
        if let Some(old) =
            old.filter(|old| old.chain() == certificate.key.cert && *files.domain == **old.domain())
        {
            return (Change::Unchanged, Some(Arc::clone(old)), findings);
        }
        inspect::judge_host(&files.domain, &certificate.facts, &mut findings);
        let may_be_old = self.expired == Expired::Served && findings.is_merely_expired();
        if !findings.is_servable() && !may_be_old {
            return kept(findings);
        }
        match HostTls::new(&files.domain, certificate) {
            Ok(new) => (Change::Swapped, Some(Arc::new(new)), findings),
            Err(error) => {
                findings.push(Problem::Refused { reason: error.to_string() });
                kept(findings)
            }
        }
    }
}

fn refused(domain: String, problem: Problem) -> Outcome {
    let mut findings = Findings::default();
    findings.push(problem);
    Outcome { domain, change: Change::Refused, served: None, findings }
}

impl Outcome {
    /// One line per host, so that what is served can be read from the log after every start and reload.
    fn log(&self) {
        let Self { domain, findings, .. } = self;
        let expires = self.served.as_ref().map(|host| date(host.not_after()));
        let sha256 = self.served.as_ref().map(|host| host.fingerprint().to_string());
        let (expires, sha256) = (expires.as_deref().unwrap_or("-"), sha256.as_deref().unwrap_or("-"));
        match self.change {
            Change::Refused if self.served.is_some() => {
                error!(host = %domain, %findings, expires, sha256, "new certificate refused, the old one is kept");
            }
            Change::Refused => error!(host = %domain, %findings, "certificate refused, TLS is not served"),
            Change::Removed => info!(host = %domain, "certificate no longer served"),
            Change::Swapped if findings.is_empty() => {
                info!(host = %domain, expires, sha256, "certificate served");
            }
            Change::Swapped if !findings.is_servable() => {
                error!(host = %domain, %findings, expires, sha256, "certificate served although it has expired");
            }
            Change::Swapped => warn!(host = %domain, %findings, expires, sha256, "certificate served"),
            Change::Unchanged if findings.is_servable() => {
                info!(host = %domain, expires, sha256, "certificate unchanged");
            }
            Change::Unchanged => error!(host = %domain, %findings, expires, sha256, "certificate unchanged"),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let domain = &self.domain;
        match (self.change, &self.served) {
            (Change::Removed, _) => write!(f, "{domain}: no longer served"),
            (Change::Refused, None) => write!(f, "{domain}: refused, nothing is served: {}", self.findings),
            (Change::Refused, Some(old)) => {
                write!(f, "{domain}: refused: {}; still served: {old}", self.findings)
            }
            (Change::Swapped, Some(new)) => write!(f, "now served: {new}"),
            (Change::Swapped | Change::Unchanged, None) => write!(f, "{domain}: nothing is served"),
            (Change::Unchanged, Some(old)) => write!(f, "unchanged: {old}"),
        }
    }
}

#[cfg(test)]
mod tests;
