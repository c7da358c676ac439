//! TLS for every listener: which certificate a host has, how a connection is secured with it, and how both change
//! while the server runs.
//!
//! RFC 6120 §5 (STARTTLS) and §13.7 (certificates), XEP-0368 (direct TLS, ALPN), RFC 7590 (TLS in XMPP),
//! RFC 9266 and RFC 5929 (channel bindings).   <https://xmpp.org/extensions/xep-0368.html>
//!
//! - [`CertificateFiles`] → [`inspect()`]: files are read and judged in one place, so that `hearth check`, the start
//!   and a reload agree on what is good.
//! - [`TlsHosts`]: what is served now, per virtual host, swapped as a whole; [`Watcher`] notices renewed files.
//! - [`TlsHosts::accept`]: the handshake, and everything SASL needs to know of it afterwards ([`Secured`]).
//! - [`Development`]: a certificate authority and leafs of our own for the first start.

mod accept;
mod certificate;
mod development;
mod end_point;
mod files;
mod findings;
mod host;
mod hosts;
mod inspect;
mod names;
mod watch;

#[cfg(test)]
mod testing;

pub use accept::{AcceptError, Accepting, Secured, TlsStream, TlsVersion, Use};
pub use certificate::{Fingerprint, is_development};
pub use development::{Development, DevelopmentError, DevelopmentHost, Ensured};
pub use files::{CertificateFiles, find};
pub use findings::{Finding, Findings, Problem, Severity};
pub use host::HostTls;
pub use hosts::{Change, OpenError, Outcome, TlsHosts};
pub use inspect::inspect;
pub use watch::Watcher;
