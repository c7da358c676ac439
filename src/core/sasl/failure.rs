//! What a client did wrong in a SASL exchange, and what it is told.
//!
//! Conditions: RFC 6120 §6.5. Words for SCRAM's own errors: RFC 5802 §7.

macro_rules! conditions {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A SASL error condition (RFC 6120 §6.5).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Condition { $($(#[$doc])* $variant,)* }

        impl Condition {
            /// Every condition, in the order of the RFC.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The element name on the wire.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

conditions! {
    /// The client gave up; the answer to its `<abort/>`.
    Aborted = "aborted",
    /// The account may not be used for now; told only to who proved to own it.
    AccountDisabled = "account-disabled",
    /// The credentials were right once.
    CredentialsExpired = "credentials-expired",
    /// This mechanism needs TLS first.
    EncryptionRequired = "encryption-required",
    /// Not the base64 of RFC 4648 §4.
    IncorrectEncoding = "incorrect-encoding",
    /// The identity to act as is malformed or not this account.
    InvalidAuthzid = "invalid-authzid",
    /// No mechanism, or one that was not offered.
    InvalidMechanism = "invalid-mechanism",
    /// Against the syntax or the order of the mechanism.
    MalformedRequest = "malformed-request",
    /// Weaker than the server wants from this account.
    MechanismTooWeak = "mechanism-too-weak",
    /// Wrong credentials, an unknown user, or no more is to be said.
    NotAuthorized = "not-authorized",
    /// The server has a passing trouble.
    TemporaryAuthFailure = "temporary-auth-failure",
}

/// Why an exchange failed. The display text is fit for the peer and for logs: it holds nothing the peer sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Failure {
    /// The client sent `<abort/>` (RFC 6120 §6.4.4).
    #[error("aborted by the client")]
    Aborted,
    /// The text was not base64 (RFC 6120 §6.5.5).
    #[error("the data is not base64")]
    Encoding,
    /// Unknown, or not offered on this connection (RFC 6120 §6.5.7).
    #[error("the mechanism was not offered here")]
    Mechanism,
    /// A mechanism that is offered only after TLS (RFC 6120 §6.5.4).
    #[error("the mechanism needs TLS")]
    Encryption,
    /// More than [`MESSAGE_BYTES_MAX`](super::MESSAGE_BYTES_MAX), or a field beyond its own limit.
    #[error("the message is too long")]
    TooLong,
    /// Against the grammar of the mechanism.
    #[error("the message is malformed")]
    Malformed,
    /// A message when none was due.
    #[error("no message was due")]
    OutOfOrder,
    /// SCRAM's `m=` (RFC 5802 §5.1): every such extension is unknown.
    #[error("extensions-not-supported")]
    MandatoryExtension,
    /// A user name in which `=` is neither `=2C` nor `=3D` (RFC 5802 §5.1).
    #[error("invalid-username-encoding")]
    UsernameEscape,
    /// A `-PLUS` mechanism without, or another one with, `p=` (RFC 5801 §5, RFC 5802 §6).
    #[error("the channel binding flag does not belong to this mechanism")]
    BindingFlag,
    /// A channel binding type that this connection does not have (RFC 5802 §6).
    #[error("unsupported-channel-binding-type")]
    BindingType,
    /// `y` although `-PLUS` was offered: somebody removed it on the way (RFC 5802 §6).
    #[error("server-does-support-channel-binding")]
    BindingDowngrade,
    /// The client's channel is not ours: somebody sits between (RFC 5802 §6).
    #[error("channel-bindings-dont-match")]
    BindingMismatch,
    /// Not the nonce we sent (RFC 5802 §5.1).
    #[error("the nonce is not the one sent")]
    Nonce,
    /// Wrong password, unknown user, or a name or password that no account can have: never told apart.
    #[error("the credentials are wrong")]
    Credentials,
    /// The proof was right, the identity to act as is not this account (RFC 6120 §6.3.8).
    #[error("the authorization identity is not this account")]
    Authzid,
    /// The proof was right, the account is disabled (RFC 6120 §6.5.2).
    #[error("the account is disabled")]
    AccountDisabled,
}

impl Failure {
    /// What the client sees.
    pub const fn condition(self) -> Condition {
        match self {
            Self::Aborted => Condition::Aborted,
            Self::Encoding => Condition::IncorrectEncoding,
            Self::Mechanism => Condition::InvalidMechanism,
            Self::Encryption => Condition::EncryptionRequired,
            Self::TooLong
            | Self::Malformed
            | Self::OutOfOrder
            | Self::MandatoryExtension
            | Self::UsernameEscape
            | Self::BindingFlag
            | Self::BindingType => Condition::MalformedRequest,
            Self::BindingDowngrade | Self::BindingMismatch | Self::Nonce | Self::Credentials => {
                Condition::NotAuthorized
            }
            Self::Authzid => Condition::InvalidAuthzid,
            Self::AccountDisabled => Condition::AccountDisabled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Condition, Failure};

    #[test]
    fn the_conditions_are_those_of_rfc_6120() {
        let names: Vec<_> = Condition::ALL.iter().map(|c| c.name()).collect();
        assert_eq!(
            names.join(" "),
            "aborted account-disabled credentials-expired encryption-required incorrect-encoding \
             invalid-authzid invalid-mechanism malformed-request mechanism-too-weak not-authorized \
             temporary-auth-failure"
        );
    }

    #[test]
    fn every_failure_has_its_condition() {
        for (why, condition) in [
            (Failure::Aborted, "aborted"),
            (Failure::Encoding, "incorrect-encoding"),
            (Failure::Mechanism, "invalid-mechanism"),
            (Failure::Encryption, "encryption-required"),
            (Failure::TooLong, "malformed-request"),
            (Failure::Malformed, "malformed-request"),
            (Failure::OutOfOrder, "malformed-request"),
            (Failure::MandatoryExtension, "malformed-request"),
            (Failure::UsernameEscape, "malformed-request"),
            (Failure::BindingFlag, "malformed-request"),
            (Failure::BindingType, "malformed-request"),
            (Failure::BindingDowngrade, "not-authorized"),
            (Failure::BindingMismatch, "not-authorized"),
            (Failure::Nonce, "not-authorized"),
            (Failure::Credentials, "not-authorized"),
            (Failure::Authzid, "invalid-authzid"),
            (Failure::AccountDisabled, "account-disabled"),
        ] {
            assert_eq!(why.condition().name(), condition, "{why:?}");
        }
    }
}
