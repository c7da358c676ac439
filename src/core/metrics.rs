//! What the server counts. Each counter is declared once, by its owner, and read by `status` and later doors.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hearth_wire::StreamCondition;

use crate::ended::Ended;
use crate::outbox::Rejected;

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

/// One counter as those see it who read all of them.
#[derive(Debug, Clone, Copy)]
pub struct Sample<'a> {
    /// The name; counters that differ in their label only share it.
    pub name: &'static str,
    /// Key and value of the label, if it has one. Both are from a fixed set.
    pub label: Option<(&'static str, &'static str)>,
    /// What is counted, in a sentence.
    pub help: &'static str,
    /// The counter.
    pub counter: &'a Counter,
}

impl fmt::Display for Sample<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        self.label.map_or(Ok(()), |(key, value)| write!(f, "{{{key}=\"{value}\"}}"))
    }
}

/// Counters of one name, one for each value of an enum without fields.
#[derive(Debug)]
struct Family<const N: usize>([Counter; N]);

impl<const N: usize> Default for Family<N> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Counter::default()))
    }
}

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $field:ident = $name:literal $({ $key:literal: $value:literal })?,)*) => {
        /// The core's own counters.
        #[derive(Debug, Default)]
        pub struct Metrics {
            $($(#[doc = $doc])+ pub $field: Counter,)*
            ended: Family<{ Ended::ALL.len() }>,
            stream_errors: Family<{ StreamCondition::ALL.len() }>,
        }

        impl Metrics {
            /// Those without a family.
            fn plain(&self) -> Vec<Sample<'_>> {
                vec![$(Sample {
                    name: $name,
                    label: None$(.or(Some(($key, $value))))?,
                    help: concat!($($doc),+).trim_ascii(),
                    counter: &self.$field,
                },)*]
            }
        }
    };
}

counters! {
    /// Connections accepted by the system, those that were refused included.
    connections = "connections_total",
    /// Connections dropped because the client neither read nor answered the end of its stream in time.
    ends_unanswered = "connection_ends_unanswered_total",
    /// Logins that succeeded.
    logins = "logins_total",
    /// SASL attempts that failed.
    logins_failed = "logins_failed_total",
    /// Guests that were refused because too many had come from their address.
    guests_refused = "guests_refused_total",
    /// Admin commands given by those who may not.
    commands_refused = "commands_refused_total",
    /// Stanzas received from clients.
    stanzas_received = "stanzas_received_total",
    /// Stanzas put into a session's queue.
    stanzas_delivered = "stanzas_delivered_total",
    /// Stanzas answered with an error.
    stanzas_bounced = "stanzas_bounced_total",
    /// Messages kept for an account that was away.
    messages_stored = "messages_stored_total",
    /// Sessions told to end because their client did not read.
    slow_readers = "slow_readers_total",
    /// Contacts left out of a roster because their row in the store is damaged, at each loading of the account.
    roster_items_damaged = "roster_items_damaged_total",
    /// Stanzas dropped: error to nobody who could take it (RFC 6121 §8.5).
    dropped_error = "stanzas_dropped_total" { "reason": "error" },
    /// Stanzas dropped: headline to nobody available (RFC 6121 §8.5.2.2.1).
    dropped_headline = "stanzas_dropped_total" { "reason": "headline" },
    /// Stanzas dropped: presence to nobody available or to no account (RFC 6121 §8.5.1, §8.5.2.2.2).
    dropped_presence = "stanzas_dropped_total" { "reason": "presence" },
    /// Stanzas dropped: an iq answer nobody waits for (RFC 6120 §8.2.3, RFC 6121 §8.5).
    dropped_answer = "stanzas_dropped_total" { "reason": "answer" },
    /// Stanzas dropped: for a session alone that has ended or does not read (RFC 6120 §4.9.1.1, RFC 6121 §8.5.3.2).
    dropped_session = "stanzas_dropped_total" { "reason": "session" },
}

impl Metrics {
    /// Counts a connection that has ended.
    pub fn connection_ended(&self, why: Ended) {
        self.ended.0[why as usize].up();
    }

    /// How many connections have ended in this way.
    pub fn ended(&self, why: Ended) -> u64 {
        self.ended.0[why as usize].value()
    }

    /// Counts a stream error of ours.
    pub fn stream_error(&self, condition: StreamCondition) {
        self.stream_errors.0[condition as usize].up();
    }

    /// How many streams got this error.
    pub fn stream_errors(&self, condition: StreamCondition) -> u64 {
        self.stream_errors.0[condition as usize].value()
    }

    /// A session's queue did not take a stanza. A session becomes full once, and is ending from then on.
    pub fn rejected(&self, why: Rejected) {
        match why {
            Rejected::Full => self.slow_readers.up(),
            Rejected::Closed => {}
        }
    }

    /// How many connections are open now.
    pub fn connections_open(&self) -> u64 {
        // read in this order, no connection is taken for one that ended before it began
        let ended: u64 = self.ended.0.iter().map(Counter::value).sum();
        self.connections.value().saturating_sub(ended)
    }

    /// Each counter.
    pub fn all(&self) -> Vec<Sample<'_>> {
        let mut all = self.plain();
        all.extend(Ended::ALL.iter().zip(&self.ended.0).map(|(why, counter)| Sample {
            name: "connections_ended_total",
            label: Some(("reason", why.name())),
            help: "Connections that have ended, by the first cause.",
            counter,
        }));
        all.extend(StreamCondition::ALL.iter().zip(&self.stream_errors.0).map(|(condition, counter)| {
            Sample {
                name: "stream_errors_total",
                label: Some(("condition", condition.name())),
                help: "Streams ended by a stream error of ours.",
                counter,
            }
        }));
        all
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_reason_and_condition_has_a_counter_of_its_own() {
        let metrics = Metrics::default();
        for (n, why) in Ended::ALL.iter().enumerate() {
            (0..=n).for_each(|_| metrics.connection_ended(*why));
        }
        for (n, condition) in StreamCondition::ALL.iter().enumerate() {
            (0..=n).for_each(|_| metrics.stream_error(*condition));
        }
        let all = metrics.all();
        let values =
            |name| all.iter().filter(|s| s.name == name).map(|s| s.counter.value()).collect::<Vec<_>>();
        assert!(values("connections_ended_total").into_iter().eq(1..=Ended::ALL.len() as u64));
        assert!(values("stream_errors_total").into_iter().eq(1..=StreamCondition::ALL.len() as u64));
        assert_eq!(metrics.ended(Ended::NoStream), 5);
        let names: HashSet<String> = all.iter().map(Sample::to_string).collect();
        assert_eq!(names.len(), all.len(), "no two look the same");
        assert!(names.contains("stanzas_dropped_total{reason=\"headline\"}"));
    }

    #[test]
    fn what_has_not_ended_is_open() {
        let metrics = Metrics::default();
        metrics.connections.add(3);
        metrics.connection_ended(Ended::Reset);
        assert_eq!(metrics.connections_open(), 2);
    }
}
