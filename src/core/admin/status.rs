//! The server itself: what it does, and orders to the program around it.

use std::sync::Arc;

use crate::admin::memory;
use crate::command::{Answer, CommandCall, CommandError};
use crate::control::ControlError;
use crate::offline::stamp;
use crate::server::Server;

/// The version of the server: all its crates share one.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(super) async fn status(call: CommandCall) -> Result<Answer, CommandError> {
    let server = &call.server;
    let mut rows = Rows::default();
    rows.add("version", VERSION);
    rows.add("process", std::process::id());
    rows.add("started", stamp(server.started_ms()));
    for address in server.control().listening() {
        rows.add(format!("listening{{address=\"{address}\"}}"), 1);
    }
    rows.add("uptime_s", server.now_ms().saturating_sub(server.started_ms()) / 1_000);
    let mut hosts: Vec<String> = server.hosts().all().map(|host| host.domain.to_string()).collect();
    hosts.sort_unstable();
    for host in &hosts {
        rows.add(format!("accounts{{host=\"{host}\"}}"), server.count_accounts(host).await?);
    }
    for other in server.unserved().await? {
        rows.add(format!("accounts_unserved{{domain=\"{}\"}}", other.domain), other.accounts);
    }
    rows.add("connections", server.metrics().connections_open());
    for host in &hosts {
        for withheld in server.key_tally().withheld(host) {
            let hash = withheld.hash.scheme();
            rows.add(format!("accounts_lacking_keys{{host=\"{host}\",hash=\"{hash}\"}}"), withheld.lacking);
        }
    }
    rows.add("sessions", server.session_count());
    for (name, count, bytes) in memory::held(server) {
        rows.add(format!("memory_objects{{kind=\"{name}\"}}"), count);
        rows.add(format!("memory_bytes{{kind=\"{name}\"}}"), bytes);
    }
    if let Some(bytes) = memory::resident_bytes() {
        rows.add("memory_bytes{kind=\"process\"}", bytes);
    }
    add_counters(server, &mut rows);
    Ok(Answer { text: String::new(), columns: vec!["what", "value"], rows: rows.0 })
}

#[derive(Default)]
struct Rows(Vec<Vec<String>>);

impl Rows {
    fn add(&mut self, name: impl Into<String>, value: impl ToString) {
        self.0.push(vec![name.into(), value.to_string()]);
    }
}

/// What the core, the modules and the store count.
fn add_counters(server: &Arc<Server>, rows: &mut Rows) {
    // of what comes in many kinds only those that occurred: a person reads this
    for sample in server.metrics().all() {
        let value = sample.counter.value();
        if sample.label.is_none() || value > 0 {
            rows.add(sample.to_string(), value);
        }
    }
    for (name, _, counter) in server.plan().metrics() {
        rows.add(*name, counter.value());
    }
    let stats = server.store().stats();
    for (name, count) in [
        ("store_writes_total", &stats.jobs),
        ("store_writes_failed_total", &stats.jobs_failed),
        ("store_commits_total", &stats.commits),
        ("store_commits_failed_total", &stats.commits_failed),
        ("store_queue", &stats.queue),
        ("store_reads_total", &stats.reads),
        ("store_reads_failed_total", &stats.reads_failed),
        ("store_commit_us_last", &stats.commit_us_last),
        ("store_commit_us_max", &stats.commit_us_max),
        ("store_checkpoints_failed_total", &stats.checkpoints_failed),
        ("store_wal_pages", &stats.wal_pages),
    ] {
        rows.add(name, count.value());
    }
}

pub(super) async fn stop(call: CommandCall) -> Result<Answer, CommandError> {
    call.server.control().stop()?;
    Ok(Answer::text("the server is stopping"))
}

pub(super) async fn reload(call: CommandCall) -> Result<Answer, CommandError> {
    Ok(Answer::text(call.server.control().reload().await?))
}

impl From<ControlError> for CommandError {
    fn from(error: ControlError) -> Self {
        Self::Conflict(error.to_string())
    }
}
