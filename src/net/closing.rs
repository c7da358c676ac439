//! How the connections of sessions end when the server does: first in order, then by force, so that what they have not
//! written finds its way to the store.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Counts the connections of sessions, and says when they must give up.
#[derive(Debug, Default)]
pub struct Closing {
    connections: AtomicUsize,
    forced: AtomicBool,
    fewer: Notify,
}

/// One connection, counted until it is dropped.
#[derive(Debug)]
pub struct Counted(Arc<Closing>);

impl Closing {
    /// Counts a connection.
    pub fn count(self: &Arc<Self>) -> Counted {
        self.connections.fetch_add(1, Ordering::AcqRel);
        Counted(Arc::clone(self))
    }

    /// Whether connections must end without waiting for their clients.
    pub fn is_forced(&self) -> bool {
        self.forced.load(Ordering::Acquire)
    }

    /// From now on they must. Each has to be woken to see it.
    pub fn force(&self) {
        self.forced.store(true, Ordering::Release);
    }

    /// Waits until no connection is left.
    pub async fn ended(&self) {
        loop {
            let fewer = self.fewer.notified();
            if self.connections.load(Ordering::Acquire) == 0 {
                return;
            }
            fewer.await;
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::AcqRel);
        self.0.fewer.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_connection_ends_the_wait() {
        let closing = Arc::new(Closing::default());
        let counted = closing.count();
        let waiter = Arc::clone(&closing);
        let ended = tokio::spawn(async move { waiter.ended().await });
        assert!(!closing.is_forced());
        drop(counted);
        ended.await.unwrap();
    }
}
