//! What the server counts. Each counter is declared once, by its owner, and read by `status` and later doors.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Debug, Clone, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Adds one.
    pub fn up(&self) {
        self.add(1);
    }

    /// Adds some.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The number now.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $field:ident = $name:literal,)*) => {
        /// The core's own counters.
        #[derive(Debug, Default)]
        pub struct Metrics { $($(#[doc = $doc])+ pub $field: Counter,)* }

        impl Metrics {
            /// Name, help and counter of each.
            pub fn all(&self) -> Vec<(&'static str, &'static str, &Counter)> {
                vec![$(($name, concat!($($doc),+), &self.$field),)*]
            }
        }
    };
}

counters! {
    /// Connections accepted.
    connections = "connections_total",
    /// Connections refused by a limit before they said anything.
    connections_refused = "connections_refused_total",
    /// Streams ended by a stream error of ours.
    stream_errors = "stream_errors_total",
    /// Logins that succeeded.
    logins = "logins_total",
    /// SASL attempts that failed.
    logins_failed = "logins_failed_total",
    /// Stanzas received from clients.
    stanzas_received = "stanzas_received_total",
    /// Stanzas put into a session's queue.
    stanzas_delivered = "stanzas_delivered_total",
    /// Stanzas answered with an error.
    stanzas_bounced = "stanzas_bounced_total",
    /// Messages kept for an account that was away.
    messages_stored = "messages_stored_total",
    /// Sessions ended because their client did not read.
    slow_readers = "slow_readers_total",
    /// Contacts left out of a roster because their row in the store is damaged, at each loading of the account.
    roster_items_damaged = "roster_items_damaged_total",
    /// Stanzas dropped: error to nobody who could take it (RFC 6121 §8.5).
    dropped_error = "stanzas_dropped_total{reason=\"error\"}",
    /// Stanzas dropped: headline to nobody available (RFC 6121 §8.5.2.2.1).
    dropped_headline = "stanzas_dropped_total{reason=\"headline\"}",
    /// Stanzas dropped: presence to nobody available or to no account (RFC 6121 §8.5.1, §8.5.2.2.2).
    dropped_presence = "stanzas_dropped_total{reason=\"presence\"}",
    /// Stanzas dropped: an iq answer nobody waits for (RFC 6120 §8.2.3, RFC 6121 §8.5).
    dropped_answer = "stanzas_dropped_total{reason=\"answer\"}",
}
