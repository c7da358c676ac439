//! The third kind of failure: not the peer's, not the stanza's, but ours. It is logged; peers see
//! `internal-server-error` and nothing of its text.

use hearth_store::StoreError;
use hearth_wire::{ErrorType, StanzaCondition, StanzaError};

/// A failure of the server's own: storage, I/O, a bug.
#[derive(Debug, thiserror::Error)]
pub enum Internal {
    /// Storage failed.
    #[error("storage: {0}")]
    Store(#[from] StoreError),
    /// The operating system gave no randomness.
    #[error("randomness: {0}")]
    Random(getrandom::Error),
    /// Data in the store that cannot be what we wrote.
    #[error("stored data is damaged: {0}")]
    Damaged(&'static str),
    /// A task of ours ended before it answered.
    #[error("a task ended before it answered")]
    Task,
}

impl From<Internal> for StanzaError {
    /// Logs the cause and answers what the peer may know: try again later (RFC 6120 §8.3.3.6).
    fn from(cause: Internal) -> Self {
        tracing::error!(%cause, "a stanza was refused because of an internal fault");
        Self::new(StanzaCondition::InternalServerError).with_type(ErrorType::Wait)
    }
}
