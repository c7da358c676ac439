//! Notices renewed certificates without being told, and speaks up before one expires.
//!
//! Files are looked at again and again instead of being watched by inotify: links, mounts and network file systems,
//! which certificate tools like, do not tell of changes behind them.

use std::time::Duration;

use time::{Date, OffsetDateTime};
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};
use tracing::error;

use super::development::Development;
use super::files::Stamp;
use super::hosts::{Outcome, Stamps, TlsHosts};

/// Looks after the certificates of a running server.
#[derive(Debug)]
pub struct Watcher {
    hosts: TlsHosts,
    development: Option<Development>,
    /// What a change looked like when it was first seen; it is believed when it looks the same again.
    unsettled: Option<Stamps>,
    /// The day of the last round of daily work.
    day: Option<Date>,
}

impl Watcher {
    /// Watches the files of `hosts`, and renews those of `development` in time.
    #[must_use]
    pub fn new(hosts: TlsHosts, development: Option<Development>) -> Self {
        Self { hosts, development, unsettled: None, day: None }
    }

    /// Looks every `period`, without end. A renewal is served after one to two periods.
    pub async fn run(mut self, period: Duration) {
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let round = spawn_blocking(move || {
                self.look(OffsetDateTime::now_utc());
                self
            });
            self = match round.await {
                Ok(watcher) => watcher,
                Err(error) => {
                    error!(%error, "certificates are no longer watched; reload by command");
                    return;
                }
            };
        }
    }

    /// One look at the time `now`: reloads when files have changed and have come to rest. Reads files.
    pub fn look(&mut self, now: OffsetDateTime) -> Vec<Outcome> {
        if self.day.replace(now.date()) != Some(now.date()) {
            self.daily(now);
        }
        let loaded = self.hosts.stamps();
        let seen: Stamps = loaded.keys().map(|path| (path.clone(), Stamp::of(path))).collect();
        if seen == loaded {
            self.unsettled = None;
            return Vec::new();
        }
        // A tool writes chain and key one after the other; between the two they do not match, and that is no reason
        // for an alarm.
        if self.unsettled.as_ref() != Some(&seen) {
            self.unsettled = Some(seen);
            return Vec::new();
        }
        self.unsettled = None;
        self.hosts.reload(now)
    }

    fn daily(&mut self, now: OffsetDateTime) {
        self.hosts.warn_of_expiry(now);
        if let Some(Err(error)) = self.development.as_ref().map(|development| development.ensure(now)) {
            error!(%error, "development certificates could not be renewed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::Change;
    use crate::tls::testing::{Authority, NOW, TestFiles, params};
    use time::macros::datetime;

    fn changes(outcomes: &[Outcome]) -> Vec<Change> {
        outcomes.iter().map(|outcome| outcome.change).collect()
    }

    #[test]
    fn a_renewed_certificate_is_served_once_its_files_are_at_rest() {
        let authority = Authority::new();
        let files = authority.files(&["example.org"]);
        let hosts = files.open();
        let before = hosts.host("example.org").unwrap().fingerprint();
        let mut watcher = Watcher::new(hosts.clone(), None);
        assert_eq!(changes(&watcher.look(NOW)), []);

        let new = authority.issue(&["example.org"]);
        files.write_chain(&new);
        assert_eq!(changes(&watcher.look(NOW)), [], "chain and key do not match yet");
        files.write_key(&new);
        assert_eq!(changes(&watcher.look(NOW)), [], "the files have just changed");
        assert_eq!(changes(&watcher.look(NOW)), [Change::Swapped]);
        assert_ne!(hosts.host("example.org").unwrap().fingerprint(), before);
        assert_eq!(changes(&watcher.look(NOW)), []);
    }

    #[test]
    fn a_bad_file_is_refused_once_and_a_mended_one_is_taken() {
        let authority = Authority::new();
        let files = authority.files(&["example.org"]);
        let hosts = files.open();
        let mut watcher = Watcher::new(hosts.clone(), None);
        std::fs::remove_file(&files.entry("example.org").key).unwrap();
        assert_eq!(changes(&watcher.look(NOW)), []);
        assert_eq!(changes(&watcher.look(NOW)), [Change::Refused]);
        assert_eq!(changes(&watcher.look(NOW)), [], "it has been said");
        assert!(hosts.host("example.org").is_some(), "the old one is kept");

        files.write(&authority.issue(&["example.org"]));
        assert_eq!(changes(&watcher.look(NOW)), []);
        assert_eq!(changes(&watcher.look(NOW)), [Change::Swapped]);
    }

    #[tokio::test]
    async fn the_running_watcher_serves_a_renewed_certificate() {
        let authority = Authority::new();
        // This one test lives in the real time.
        let issue = || {
            let mut params = params(&["example.org"]);
            params.not_before = datetime!(2000-01-01 00:00 UTC);
            params.not_after = datetime!(2999-01-01 00:00 UTC);
            authority.issue_with(params)
        };
        let files = TestFiles::empty(&["example.org"]);
        files.write(&issue());
        let hosts = files.open();
        let before = hosts.host("example.org").unwrap().fingerprint();
        let task = tokio::spawn(Watcher::new(hosts.clone(), None).run(Duration::from_millis(1)));
        files.write(&issue());
        while hosts.host("example.org").unwrap().fingerprint() == before {
            assert!(!task.is_finished());
            tokio::task::yield_now().await;
        }
        task.abort();
    }
}
