//! A row of the log between its declaration and its commit.

use std::sync::atomic::{AtomicI64, Ordering};

/// What is known of the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowState {
    /// Not yet committed.
    Waiting,
    /// Committed under this number.
    Committed(i64),
    /// Not stored; the sender must be told.
    Failed,
}

/// Set once by the store's writer, read by whoever releases the stanza.
#[derive(Debug, Default)]
pub struct Pending(AtomicI64);

const FAILED: i64 = -1;

impl Pending {
    /// The row is durable under this number.
    pub fn commit(&self, row: i64) {
        self.0.store(row, Ordering::Release);
    }

    /// The row could not be stored.
    pub fn fail(&self) {
        self.0.store(FAILED, Ordering::Release);
    }

    /// What is known now.
    pub fn state(&self) -> RowState {
        match self.0.load(Ordering::Acquire) {
            0 => RowState::Waiting,
            FAILED => RowState::Failed,
            row => RowState::Committed(row),
        }
    }
}
