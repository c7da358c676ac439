//! How clients may log in: what an operator decides about encryption and mechanisms.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::sasl::{Policy, ScramHash};

/// What a listener does about STARTTLS (RFC 6120 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StartTls {
    /// Nothing but STARTTLS before it is done.
    #[default]
    Required,
    /// Offered; a client may go on without.
    Optional,
    /// Not offered.
    Off,
}

/// Which SASL mechanisms clients are offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LoginPolicy {
    /// Whether PLAIN is offered on encrypted connections: for clients that know no SCRAM.
    pub plain: bool,
    /// SCRAM with SHA-512. Taking a mechanism away later locks out clients that have pinned it.
    pub scram_sha_512: bool,
    /// SCRAM with SHA-256.
    pub scram_sha_256: bool,
    /// SCRAM with SHA-1: required by RFC 6120 and the only one old clients know.
    pub scram_sha_1: bool,
}

impl Default for LoginPolicy {
    fn default() -> Self {
        Self { plain: true, scram_sha_512: true, scram_sha_256: true, scram_sha_1: true }
    }
}

impl LoginPolicy {
    /// As SASL wants it, for a host that does or does not let guests in. PLAIN only ever goes under TLS.
    pub fn sasl(&self, anonymous: bool) -> Policy {
        let hashes = [
            (self.scram_sha_512, ScramHash::Sha512),
            (self.scram_sha_256, ScramHash::Sha256),
            (self.scram_sha_1, ScramHash::Sha1),
        ];
        Policy {
            plain: self.plain,
            plain_unencrypted: false,
            anonymous,
            scram: hashes.into_iter().filter(|(on, _)| *on).map(|(_, hash)| hash).collect(),
        }
    }
}
