//! What a session is to be sent: a bounded queue between those who deliver and the connection that writes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use atomic_waker::AtomicWaker;
use hearth_wire::{Jid, Stanza, StreamCondition};
use parking_lot::Mutex;

use crate::ended::Ended;
use crate::limits::SESSION_QUEUE_BYTES_MAX;

/// One stanza to be written. Shared by all its recipients; only the address differs.
#[derive(Debug, Clone)]
pub struct Item {
    /// The stanza.
    pub stanza: Arc<Stanza>,
    /// Written as `to` in place of the stanza's own.
    pub to: Option<Jid>,
    /// Its row in the account's log; 0: it has none.
    pub row: i64,
    /// Whether no other session was given it: then it must find another way if this session ends before it was
    /// written.
    pub sole: bool,
}

impl Item {
    /// A stanza as it is, for this session only.
    pub fn new(stanza: Arc<Stanza>) -> Self {
        Self { stanza, to: None, row: 0, sole: true }
    }

    /// A copy for one of many recipients.
    pub fn to(stanza: Arc<Stanza>, to: Jid) -> Self {
        Self { stanza, to: Some(to), row: 0, sole: false }
    }
}

/// How a session is told to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// The stream error to send; `None`: just close the stream.
    pub condition: Option<StreamCondition>,
    /// Its text for people.
    pub text: Option<String>,
    /// What the end of its connection is counted as.
    pub why: Ended,
}

/// Why a stanza could not be queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejected {
    /// The client does not read: its session ends.
    Full,
    /// The session has ended.
    Closed,
}

#[derive(Debug, Default)]
struct Queue {
    items: VecDeque<Item>,
    bytes: usize,
    end: Option<End>,
    sealed: bool,
}

/// The queue of one session.
#[derive(Debug, Default)]
pub struct Outbox {
    queue: Mutex<Queue>,
    /// The connection's task: it looks at everything again whenever it is woken.
    task: AtomicWaker,
}

impl Outbox {
    /// Queues a stanza, never waiting.
    ///
    /// # Errors
    /// [`Rejected`]; when full, the session is told to end with `resource-constraint`.
    pub fn push(&self, item: Item) -> Result<(), Rejected> {
        let mut queue = self.queue.lock();
        if queue.sealed || queue.end.is_some() {
            return Err(Rejected::Closed);
        }
        let weight = item.stanza.weight_bytes();
        // one stanza fits into an empty queue, however large: a roster must be had
        if queue.bytes > 0 && queue.bytes + weight > SESSION_QUEUE_BYTES_MAX {
            queue.end = Some(End {
                condition: Some(StreamCondition::ResourceConstraint),
                text: Some("too much is waiting to be read".to_owned()),
                why: Ended::SlowReader,
            });
            drop(queue);
            self.task.wake();
            return Err(Rejected::Full);
        }
        queue.bytes += weight;
        queue.items.push_back(item);
        let was_empty = queue.items.len() == 1;
        drop(queue);
        if was_empty {
            self.task.wake();
        }
        Ok(())
    }

    /// Tells the session to end, behind what is queued. Only the first word counts.
    pub fn end(&self, end: End) {
        self.queue.lock().end.get_or_insert(end);
        self.task.wake();
    }

    /// Wakes the connection for another reason than the queue.
    pub fn wake(&self) {
        self.task.wake();
    }

    /// Names the task to be woken. Register first, then look: what comes in between wakes it.
    pub fn register(&self, task: &Waker) {
        self.task.register(task);
    }

    /// Takes what is queued, in order, until it comes to `bytes_max` (but at least one), and the word to end if it was
    /// spoken and nothing is left before it.
    pub fn take(&self, bytes_max: usize) -> (VecDeque<Item>, Option<End>) {
        let mut queue = self.queue.lock();
        if queue.bytes <= bytes_max {
            queue.bytes = 0;
            return (std::mem::take(&mut queue.items), queue.end.clone());
        }
        let mut taken = VecDeque::new();
        let mut bytes = 0;
        while bytes < bytes_max {
            let Some(item) = queue.items.pop_front() else { break };
            bytes += item.stanza.weight_bytes();
            taken.push_back(item);
        }
        queue.bytes = queue.bytes.saturating_sub(bytes);
        let end = if queue.items.is_empty() { queue.end.clone() } else { None };
        (taken, end)
    }

    /// Stanzas that wait and their bytes; for those who ask what holds memory.
    pub fn load(&self) -> (usize, usize) {
        let queue = self.queue.lock();
        (queue.items.len(), queue.bytes)
    }

    /// Whether the session was told to end.
    pub fn is_ending(&self) -> bool {
        let queue = self.queue.lock();
        queue.sealed || queue.end.is_some()
    }

    /// Why the session was told to end, if it was.
    pub fn why_ending(&self) -> Option<Ended> {
        self.queue.lock().end.as_ref().map(|end| end.why)
    }

    /// Takes nothing in any more, and gives back what was not taken out. The word to end still reaches the connection.
    pub fn seal(&self) -> VecDeque<Item> {
        let mut queue = self.queue.lock();
        queue.sealed = true;
        std::mem::take(&mut queue.items)
    }
}

#[cfg(test)]
mod tests {
    use hearth_wire::{Kind, MessageType, Payload};

    use super::*;

    fn item(bytes: usize) -> Item {
        let mut writer = hearth_wire::XmlWriter::new();
        writer.open_content("body").text(&"x".repeat(bytes)).close();
        let payload: Payload = writer.into_payload();
        Item::new(Arc::new(Stanza::new(Kind::Message(MessageType::Chat), payload)))
    }

    #[test]
    fn a_full_queue_ends_the_session_and_keeps_what_it_has() {
        let outbox = Outbox::default();
        let big = SESSION_QUEUE_BYTES_MAX / 2;
        outbox.push(item(big)).unwrap();
        assert_eq!(outbox.push(item(big)), Err(Rejected::Full));
        assert_eq!(outbox.push(item(1)), Err(Rejected::Closed));
        let (items, end) = outbox.take(usize::MAX);
        assert_eq!((items.len(), end.unwrap().condition), (1, Some(StreamCondition::ResourceConstraint)));
    }

    #[test]
    fn a_sealed_queue_gives_back_what_was_not_taken() {
        let outbox = Outbox::default();
        outbox.push(item(1)).unwrap();
        assert_eq!(outbox.seal().len(), 1);
        assert_eq!(outbox.push(item(1)), Err(Rejected::Closed));
    }
}
