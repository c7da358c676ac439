//! Who is connected is noted now and then: when a server is killed, nobody's parting is, and without this the last one
//! before would be told, which may be weeks old.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use hearth_core::server::Server;
use hearth_store::WriteSql;

use super::diary;

/// How often: by so much a time may be wrong after the end of a server that nobody foresaw.
const EVERY: Duration = Duration::from_secs(15 * 60);
/// Accounts noted in one transaction, so that other commits need not wait long.
const BATCH_MAX: usize = 500;

/// The rounds of one server, which begin with its first session.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    has_begun: AtomicBool,
}

impl Rounds {
    /// Begins them, if that was not done.
    pub(super) fn begin(&self, server: &Arc<Server>) {
        if !self.has_begun.swap(true, Ordering::Relaxed) {
            tokio::spawn(go(Arc::downgrade(server)));
        }
    }
}

async fn go(server: Weak<Server>) {
    loop {
        tokio::time::sleep(EVERY).await;
        let Some(server) = server.upgrade() else { return };
        round(&server).await;
    }
}

/// Notes that everybody who is connected was here now.
async fn round(server: &Server) {
    let at_ms = server.now_ms();
    let mut here = Vec::new();
    server.accounts().for_each(|account| {
        let is_here = account.with(|state| !state.resources.is_empty() && !state.removed);
        here.extend(account.id.filter(|_| is_here));
    });
    for batch in here.chunks(BATCH_MAX) {
        let batch = batch.to_vec();
        let work = move |sql: &mut dyn WriteSql| batch.iter().try_for_each(|id| diary::was_here(sql, *id, at_ms));
        if let Err(error) = server.store().write(work).await {
            // the next round comes
            return tracing::warn!(%error, "who is connected could not be noted");
        }
    }
}
