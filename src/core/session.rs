//! A session: one bound resource of one account, as everybody but its own connection sees it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use hearth_wire::{Jid, Stanza};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::account::Account;
use crate::host::Host;
use crate::metrics::Metrics;
use crate::outbox::{Item, Outbox, Rejected};
use crate::slot::Slots;

/// How a session is connected; for admins and for `hearth session list`.
#[derive(Debug, Clone)]
pub struct Connected {
    /// The client's address.
    pub peer: SocketAddr,
    /// Version and cipher of TLS, if it is on.
    pub tls: Option<Arc<str>>,
    /// The SASL mechanism that proved the account.
    pub mechanism: &'static str,
    /// When it was bound, in milliseconds since 1970.
    pub since_ms: i64,
}

/// One bound resource.
#[derive(Debug)]
pub struct Session {
    /// Unique in the life of this process.
    pub id: u64,
    /// Its full address.
    pub jid: Jid,
    /// Its account.
    pub account: Arc<Account>,
    /// Its host.
    pub host: Arc<Host>,
    /// How it is connected.
    pub connected: Connected,
    /// What it is to be sent.
    pub outbox: Outbox,
    /// The default `xml:lang` of its stream.
    pub lang: Option<Box<str>>,
    /// Milliseconds since 1970 of the last stanza from the client.
    active_ms: AtomicI64,
    /// It fills queues faster than they are written.
    yields: AtomicBool,
    slots: Mutex<Slots>,
    /// Told when a row of the log has left the write buffer; made when somebody wants to know.
    flushed: Mutex<Option<watch::Sender<i64>>>,
}

impl Session {
    /// A session just bound.
    pub fn new(
        id: u64,
        jid: Jid,
        account: Arc<Account>,
        host: Arc<Host>,
        connected: Connected,
        lang: Option<Box<str>>,
    ) -> Self {
        let active_ms = AtomicI64::new(connected.since_ms);
        let (outbox, yields) = (Outbox::default(), AtomicBool::default());
        let (slots, flushed) = (Mutex::default(), Mutex::default());
        Self { id, jid, account, host, connected, outbox, lang, active_ms, yields, slots, flushed }
    }

    /// Queues a stanza of the server's own for this session alone: see [`Self::give`].
    pub fn send(&self, stanza: Stanza, metrics: &Metrics) {
        self.give(Item::new(Arc::new(stanza)), metrics);
    }

    /// Queues what is of use to this session only: an answer, a push, a copy. If the session has ended or does not read,
    /// that is dropped and counted.
    pub fn give(&self, item: Item, metrics: &Metrics) {
        self.note(self.outbox.push(item), metrics);
    }

    /// Queues the answer to what the client asked: see [`Outbox::answer`].
    pub fn answer(&self, stanza: Stanza, metrics: &Metrics) {
        self.note(self.outbox.answer(Item::new(Arc::new(stanza))), metrics);
    }

    fn note(&self, queued: Result<(), Rejected>, metrics: &Metrics) {
        match queued {
            Ok(()) => metrics.stanzas_delivered.up(),
            Err(rejected) => {
                metrics.rejected(rejected);
                metrics.dropped_session.up();
            }
        }
    }

    /// The resource.
    pub fn resource(&self) -> &str {
        self.jid.resource().unwrap_or_default()
    }

    /// Notes that the client sent a stanza.
    pub fn touch(&self, unix_ms: i64) {
        self.active_ms.store(unix_ms, Ordering::Relaxed);
    }

    /// What this session sends fills a queue: others should have their turn before the next stanza.
    pub(crate) fn yield_soon(&self) {
        self.yields.store(true, Ordering::Relaxed);
    }

    /// Whether its connection should let others have their turn now.
    pub fn take_yield(&self) -> bool {
        self.yields.load(Ordering::Relaxed) && self.yields.swap(false, Ordering::Relaxed)
    }

    /// When the client sent its last stanza, in milliseconds since 1970.
    pub fn active_ms(&self) -> i64 {
        self.active_ms.load(Ordering::Relaxed)
    }

    /// Tells when rows of the log have left the write buffer; ends with the session.
    pub(crate) fn flushed(&self) -> watch::Receiver<i64> {
        self.flushed.lock().get_or_insert_with(|| watch::Sender::new(0)).subscribe()
    }

    pub(crate) fn note_flushed(&self, row: i64) {
        if let Some(flushed) = &*self.flushed.lock() {
            flushed.send_replace(row);
        }
    }

    /// Nothing will be flushed any more: who waits for it is told.
    pub(crate) fn end_flushed(&self) {
        self.flushed.lock().take();
    }

    /// What modules hung on it.
    pub fn with_slots<R>(&self, look: impl FnOnce(&mut Slots) -> R) -> R {
        look(&mut self.slots.lock())
    }
}
