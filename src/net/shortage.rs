//! When the system has no descriptor left for another connection: some are kept back for the admin socket, the database
//! and certificates, and the log says so now and then, not for each connection.

use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::time::Duration;

use hearth_core::limits::{DESCRIPTORS_KEPT_MAX, DESCRIPTORS_KEPT_SHARE};
use parking_lot::Mutex;
use tokio::time::Instant;

/// How often the log speaks of connections that are not served.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// Up to where descriptors are for connections, shared by all listeners.
#[derive(Debug)]
pub struct Shortage {
    /// Descriptors from this number on are kept back.
    first_kept: u64,
    refused: Mutex<Tally>,
    failed: Mutex<Tally>,
}

impl Shortage {
    /// With as many descriptors as the system allows this process (`RLIMIT_NOFILE`).
    pub fn new(descriptors_max: u64) -> Self {
        let kept = (descriptors_max / DESCRIPTORS_KEPT_SHARE).min(DESCRIPTORS_KEPT_MAX);
        Self { first_kept: descriptors_max - kept, refused: Mutex::default(), failed: Mutex::default() }
    }

    /// Whether a connection may have the descriptor with this number. POSIX gives out the lowest that is free (accept,
    /// open): so the number says how many are in use, whatever for.
    pub fn spares(&self, descriptor: RawFd) -> bool {
        u64::try_from(descriptor).is_ok_and(|number| number < self.first_kept)
    }

    /// A connection was not served, for want of descriptors.
    pub fn refused(&self, peer: SocketAddr, now: Instant) {
        if let Some(count) = self.refused.lock().again(now) {
            tracing::error!(
                %peer, count, descriptors = self.first_kept,
                "connections are not served: there are too many for the limit on open files (raise it, see `hearth check`)"
            );
        }
    }

    /// A connection could not be accepted.
    pub fn failed(&self, error: &io::Error, now: Instant) {
        if let Some(count) = self.failed.lock().again(now) {
            tracing::error!(%error, count, "connections could not be accepted");
        }
    }
}

/// Counts what happens often, to be told the first time and then once a minute.
#[derive(Debug, Default)]
struct Tally {
    told: Option<Instant>,
    untold: u64,
}

impl Tally {
    /// It has happened again; how often since it was last told, if it is to be told now.
    fn again(&mut self, now: Instant) -> Option<u64> {
        self.untold += 1;
        if self.told.is_some_and(|told| now.saturating_duration_since(told) < TOLD_EVERY) {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_descriptors_are_kept_back() {
        for (max, last) in [(1_048_576, 1_048_511), (1_024, 959), (80, 69), (7, 6)] {
            let shortage = Shortage::new(max);
            assert!(shortage.spares(last) && !shortage.spares(last + 1), "{max}");
        }
        assert!(Shortage::new(u64::MAX).spares(RawFd::MAX), "no limit");
        assert!(!Shortage::new(0).spares(0));
    }

    #[test]
    fn what_happens_often_is_told_at_first_and_then_by_the_minute() {
        let (mut tally, start) = (Tally::default(), Instant::now());
        let told = |tally: &mut Tally, after_s| tally.again(start + Duration::from_secs(after_s));
        assert_eq!(told(&mut tally, 0), Some(1));
        assert!((0..60).all(|second| told(&mut tally, second).is_none()));
        assert_eq!(told(&mut tally, 60), Some(61));
        assert_eq!(told(&mut tally, 61), None);
        assert_eq!(told(&mut tally, 500), Some(2));
    }
}
