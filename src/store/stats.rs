//! What the store counts about itself, for the metrics of those above.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// Counters and gauges, readable at any time without a lock. They start at 0 with the process.
#[derive(Debug, Default)]
pub struct Stats {
    /// Write jobs that were run (a second run within a repeated group is not counted).
    pub jobs: Count,
    /// Write jobs that ended with an error of their own.
    pub jobs_failed: Count,
    /// Commits that succeeded: one per group.
    pub commits: Count,
    /// Groups that were lost as a whole: failed BEGIN or COMMIT, or a transaction thrown away by the engine.
    pub commits_failed: Count,
    /// Groups that were run again because one job failed after it had written.
    pub groups_repeated: Count,
    /// Write jobs waiting or running.
    pub queue: Count,
    /// Read jobs that were run.
    pub reads: Count,
    /// Read jobs that ended with an error.
    pub reads_failed: Count,
    /// How long the last commit took, in µs.
    pub commit_us_last: Count,
    /// The longest commit so far, in µs.
    pub commit_us_max: Count,
    /// Checkpoints that moved pages from the log file to the database.
    pub checkpoints: Count,
    /// Checkpoints that failed.
    pub checkpoints_failed: Count,
    /// Pages in the write-ahead log after the last commit.
    pub wal_pages: Count,
    /// Times the writer opened its connection anew after an error.
    pub reopened: Count,
}

/// One number of [`Stats`].
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// The number now.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }

    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Relaxed);
    }

    pub(crate) fn less(&self, less: u64) {
        self.0.fetch_sub(less, Relaxed);
    }

    pub(crate) fn set(&self, now: u64) {
        self.0.store(now, Relaxed);
    }

    pub(crate) fn raise(&self, at_least: u64) {
        self.0.fetch_max(at_least, Relaxed);
    }
}

/// The only clock of this crate. It measures and never decides.
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn us(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}
