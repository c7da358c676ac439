//! Where the server listens and with which certificates.

use std::net::SocketAddr;
use std::path::PathBuf;

use hearth_core::stream::policy::StartTls;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a listener is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encryption {
    /// Begins in plain text; the client asks for TLS (RFC 6120 §5).
    #[default]
    Starttls,
    /// TLS from the first byte (XEP-0368).
    Direct,
}

/// One address where clients connect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListenConfig {
    /// Address and port. `[::]` is every address of the machine, IPv6 and IPv4.
    #[schemars(extend("format" = "socket-address"))]
    pub address: SocketAddr,
    /// `starttls` (port 5222 by custom) or `direct` (port 5223).
    #[serde(default)]
    pub encryption: Encryption,
    /// For `starttls` listeners: `required`, `optional` or `off`. Anything but `required` is refused on an address that
    /// is not loopback, unless `plaintext_off_loopback` says so.
    #[serde(default)]
    pub starttls: StartTls,
    /// Whether clients may talk in plain text over the network. Everybody on the way can then read and change what they
    /// say, their passwords included.
    #[serde(default)]
    pub plaintext_off_loopback: bool,
}

/// Certificates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// The directory with a certificate and key for each host: `<host>.crt` and `<host>.key`, or
    /// `<host>/fullchain.pem` and `<host>/privkey.pem`. Read again when a file changes.
    pub certificates: PathBuf,
    /// Whether certificates of the server's own development CA may be served on addresses that are not loopback. They are
    /// made where a host has no certificate; no client trusts them by itself.
    pub development: bool,
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self { certificates: PathBuf::from("certs"), development: false }
    }
}
