//! Securing one connection: the handshake, the host it was made for, and the channel bindings that SASL asks for.
//!
//! RFC 6120 §5.4, XEP-0368, RFC 9266 (`tls-exporter`), RFC 5929 (`tls-server-end-point`).
//! <https://xmpp.org/extensions/xep-0368.html>

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use hearth_core::ended::Ended;
use rustls::ProtocolVersion;
use rustls::server::{Acceptor, ServerConnection};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_rustls::LazyConfigAcceptor;

use super::host::HostTls;
use super::hosts::TlsHosts;

pub use tokio_rustls::server::TlsStream;

/// Ciphertext that a connection may hold for a peer that does not read, in bytes. Two records: enough that a write
/// of one record never waits for the one before it, and little beside what the session's own queue may hold.
const UNSENT_BYTES_MAX: usize = 32 * 1024;

/// The alert record `unrecognized_name`, fatal (RFC 6066 §3), before any keys exist (RFC 8446 §5.1). rustls has no
/// way to send it once it has handed out the client's hello.
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];

/// What a connection is secured for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Use {
    /// A client, by STARTTLS (RFC 6120 §5).
    ClientStarttls,
    /// A client, by TLS from the first byte (XEP-0368).
    ClientDirect,
}

impl Use {
    /// The ALPN protocol that a client must name if it names any. STARTTLS has said already what is spoken.
    pub(super) fn alpn(self) -> Option<&'static [u8]> {
        match self {
            Use::ClientStarttls => None,
            Use::ClientDirect => Some(b"xmpp-client"),
        }
    }
}

/// What is known of a connection once it is secured.
#[derive(Debug, Clone)]
pub struct Secured {
    /// The virtual host whose certificate the client has seen.
    pub host: Arc<str>,
    /// Whether the client named a host (SNI) to be shown its certificate.
    pub named: bool,
    /// The channel binding `tls-exporter` (RFC 9266 §2). In TLS 1.3 all libraries agree on it; in TLS 1.2 some clients
    /// export without a context where the RFC has an empty one, and get another value.
    pub exporter: [u8; 32],
    /// The channel binding `tls-server-end-point` (RFC 5929 §4.1), unless it is undefined for the certificate.
    pub end_point: Option<Arc<[u8]>>,
    /// Which version of TLS was agreed upon.
    pub version: TlsVersion,
    /// The cipher suite by its IANA name.
    pub cipher: &'static str,
    /// Whether the certificate was a [development](super::Development) one.
    pub development: bool,
}

/// A version of TLS that is spoken here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// RFC 5246, with RFC 7627.
    Tls12,
    /// RFC 8446.
    Tls13,
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TlsVersion::Tls12 => "TLSv1.2",
            TlsVersion::Tls13 => "TLSv1.3",
        })
    }
}

/// Why a connection could not be secured. The peer has been told by an alert where TLS has one.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// The client asked for a host that is not served (alert `unrecognized_name`).
    #[error("the client asked for {0}, which is not served")]
    UnknownHost(String),
    /// No certificate is loaded at all (alert `unrecognized_name`).
    #[error("no certificate is loaded")]
    NoHost,
    /// The peers could not agree, or the client broke the protocol (the alert that TLS names).
    #[error("the TLS handshake failed: {0}")]
    Tls(rustls::Error),
    /// The connection broke.
    #[error("the connection broke in the TLS handshake: {0}")]
    Io(io::Error),
}

impl AcceptError {
    /// What the end of the connection is counted as.
    #[must_use]
    pub fn reason(&self) -> Ended {
        match self {
            AcceptError::UnknownHost(_) | AcceptError::NoHost => Ended::TlsUnknownHost,
            AcceptError::Tls(rustls::Error::NoApplicationProtocol) => Ended::TlsAlpn,
            AcceptError::Tls(rustls::Error::PeerIncompatible(_)) => Ended::TlsIncompatible,
            AcceptError::Tls(rustls::Error::AlertReceived(_)) => Ended::TlsAlertReceived,
            AcceptError::Tls(_) => Ended::TlsProtocol,
            AcceptError::Io(_) => Ended::TlsConnectionLost,
        }
    }
}

impl From<rustls::Error> for AcceptError {
    fn from(error: rustls::Error) -> Self {
        AcceptError::Tls(error)
    }
}

/// tokio-rustls hides the reason in an [`io::Error`].
impl From<io::Error> for AcceptError {
    fn from(error: io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(reason) => AcceptError::Tls(reason.clone()),
            None => AcceptError::Io(error),
        }
    }
}

/// The work of [`TlsHosts::accept`].
pub type Accepting<'a, IO> =
    Pin<Box<dyn Future<Output = Result<(TlsStream<IO>, Secured), AcceptError>> + Send + 'a>>;

impl TlsHosts {
    /// Secures `io` as the server side. `stream_host` is the host that the stream header named, if there was one.
    ///
    /// It decides when it is served, because it is what the client will check the certificate against (RFC 6120
    /// §4.7.2, RFC 7590 §3.5). Otherwise the name in the client's hello does (XEP-0368: the domain of its address);
    /// an unknown name gets the alert `unrecognized_name`, no name the first host.
    ///
    /// The caller sets the deadline and has dropped what it had read in the clear (RFC 6120 §5.4.3.3). The future is
    /// boxed so that the memory of a handshake goes with the handshake and does not stay in the connection's task.
    pub fn accept<'a, IO>(&'a self, io: IO, usage: Use, stream_host: Option<&'a str>) -> Accepting<'a, IO>
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'a,
    {
        Box::pin(async move {
            let mut hello = LazyConfigAcceptor::new(Acceptor::default(), io).await?;
            let chosen = self.choose(hello.client_hello().server_name(), stream_host);
            let host = match chosen {
                Ok(host) => host,
                Err(error) => {
                    hello.io.write_all(&UNRECOGNIZED_NAME).await?;
                    hello.io.shutdown().await?;
                    return Err(error);
                }
            };
            let config = Arc::clone(host.server_config(usage));
            let limit =
                |connection: &mut ServerConnection| connection.set_buffer_limit(Some(UNSENT_BYTES_MAX));
            let stream = hello.into_stream_with(config, limit).await?;
            let secured = secured(&host, stream.get_ref().1)?;
            Ok((stream, secured))
        })
    }

    fn choose(
        &self,
        hello_name: Option<&str>,
        stream_host: Option<&str>,
    ) -> Result<Arc<HostTls>, AcceptError> {
        if let Some(host) = stream_host.and_then(|host| self.host(host)) {
            return Ok(host);
        }
        match hello_name {
            Some(name) => self.host(name).ok_or_else(|| AcceptError::UnknownHost(name.to_owned())),
            None => self.first().ok_or(AcceptError::NoHost),
        }
    }
}

fn secured(host: &HostTls, connection: &ServerConnection) -> Result<Secured, AcceptError> {
    let version = match connection.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => TlsVersion::Tls13,
        Some(ProtocolVersion::TLSv1_2) => TlsVersion::Tls12,
        _ => return Err(rustls::Error::HandshakeNotComplete.into()),
    };
    let suite = connection.negotiated_cipher_suite().ok_or(rustls::Error::HandshakeNotComplete)?;
    // RFC 9266 §2 asks for an empty context, which in TLS 1.2 is not the same as none (RFC 5705 §4).
    let exporter = connection.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b""))?;
    Ok(Secured {
        host: Arc::clone(host.domain()),
        named: connection.server_name().is_some(),
        exporter,
        end_point: host.end_point_binding().cloned(),
        version,
        cipher: suite.suite().as_str().unwrap_or("unknown"),
        development: host.is_development(),
    })
}

#[cfg(test)]
mod tests;
