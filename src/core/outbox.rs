//! What a session is to be sent: a bounded queue between those who deliver and the connection that writes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
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
    /// What became of it at all sessions that were given it; `None`: at this one alone.
    pub copies: Option<Arc<Copies>>,
}

impl Item {
    /// A stanza as it is, for this session only.
    pub fn new(stanza: Arc<Stanza>) -> Self {
        Self { stanza, to: None, row: 0, copies: None }
    }

    /// A copy for one of many recipients.
    pub fn to(stanza: Arc<Stanza>, to: Jid) -> Self {
        Self { stanza, to: Some(to), row: 0, copies: None }
    }

    /// It has left the write buffer.
    pub fn written(&self) {
        if let Some(copies) = &self.copies {
            copies.written();
        }
    }

    /// Whether nobody has it but sessions that end, so many of them.
    pub(crate) fn is_with(&self, ending: u32) -> bool {
        self.copies.as_ref().is_none_or(|copies| copies.are_with(ending))
    }

    /// The session ended before it was written. True if it has to find another way: nobody else was given it, or all
    /// those who were have lost it too.
    pub(crate) fn lost(&self) -> bool {
        self.copies.as_ref().is_none_or(|copies| copies.lost())
    }
}

/// One message in the queues of several sessions: it has arrived when one of them has written it, and is lost when all of
/// them ended before.
#[derive(Debug, Default)]
pub struct Copies(AtomicU32);

/// With more than this in a queue its senders yield.
const CROWDED_BYTES: usize = SESSION_QUEUE_BYTES_MAX / 4;

/// Set once one was written; the lower bits count those that are neither written nor lost.
const WRITTEN: u32 = 1 << 31;

impl Copies {
    /// Says in how many queues it is, before any of them can lose it.
    pub(crate) fn begin(&self, copies: u32) {
        self.0.fetch_or(copies & !WRITTEN, Ordering::AcqRel);
    }

    fn written(&self) {
        self.0.fetch_or(WRITTEN, Ordering::AcqRel);
    }

    /// Whether none was written, and no more are on their way than so many.
    fn are_with(&self, ending: u32) -> bool {
        self.0.load(Ordering::Acquire) <= ending
    }

    /// True if this was the last and none was written.
    fn lost(&self) -> bool {
        self.0.fetch_sub(1, Ordering::AcqRel) == 1
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
    /// The connection has taken the word to end: nothing may come behind it.
    end_taken: bool,
    sealed: bool,
}

impl Queue {
    fn take_end(&mut self) -> Option<End> {
        self.end_taken |= self.end.is_some();
        self.end.clone()
    }
}

/// The queue of one session.
#[derive(Debug, Default)]
pub struct Outbox {
    queue: Mutex<Queue>,
    /// Taken out to be written, and not known to have left. Locked before the queue, where both are.
    sent: Mutex<VecDeque<Item>>,
    /// Whether the session takes nothing any more; for those who only want to know that.
    ending: AtomicBool,
    /// Whether everything that was not written has found another way.
    settled: AtomicBool,
    /// Whether more than half of what may wait does.
    crowded: AtomicBool,
    /// The connection's task: it looks at everything again whenever it is woken.
    task: AtomicWaker,
}

impl Outbox {
    /// Queues a stanza, never waiting.
    ///
    /// # Errors
    /// [`Rejected`]; when full, the session is told to end with `resource-constraint`.
    pub fn push(&self, item: Item) -> Result<(), Rejected> {
        self.push_unless(item, |queue| queue.end.is_some())
    }

    /// Queues the answer to what the client asked, never waiting. A session that was told to end meanwhile, by that very
    /// request perhaps, still gets it: what was asked before the end is answered before the end (RFC 6120 §4.4).
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn answer(&self, item: Item) -> Result<(), Rejected> {
        self.push_unless(item, |queue| queue.end_taken)
    }

    fn push_unless(&self, item: Item, is_over: fn(&Queue) -> bool) -> Result<(), Rejected> {
        let mut queue = self.queue.lock();
        if queue.sealed || is_over(&queue) {
            return Err(Rejected::Closed);
        }
        let weight = item.stanza.weight_bytes();
        // one stanza fits into an empty queue, however large: a roster must be had
        if queue.bytes > 0 && queue.bytes + weight > SESSION_QUEUE_BYTES_MAX {
            drop(queue);
            return Err(self.overflow());
        }
        queue.bytes += weight;
        queue.items.push_back(item);
        if queue.bytes > CROWDED_BYTES {
            self.crowded.store(true, Ordering::Relaxed);
        }
        let was_empty = queue.items.len() == 1;
        drop(queue);
        if was_empty {
            self.task.wake();
        }
        Ok(())
    }

    /// The client does not keep up: its session ends.
    pub(crate) fn overflow(&self) -> Rejected {
        let text = Some("too much is waiting to be read".to_owned());
        let condition = Some(StreamCondition::ResourceConstraint);
        if self.say_end(End { condition, text, why: Ended::SlowReader }) {
            Rejected::Full
        } else {
            Rejected::Closed
        }
    }

    /// Tells the session to end, behind what is queued. Only the first word counts.
    pub fn end(&self, end: End) {
        self.say_end(end);
    }

    /// Whether it was the first word.
    fn say_end(&self, end: End) -> bool {
        let mut queue = self.queue.lock();
        let first = queue.end.is_none() && !queue.sealed;
        queue.end.get_or_insert(end);
        self.ending.store(true, Ordering::Release);
        drop(queue);
        self.task.wake();
        first
    }

    /// Wakes the connection for another reason than the queue.
    pub fn wake(&self) {
        self.task.wake();
    }

    /// Names the task to be woken. Register first, then look: what comes in between wakes it.
    pub fn register(&self, task: &Waker) {
        self.task.register(task);
    }

    /// Takes what is queued, in order, until it comes to `bytes_max` (but at least one), and shows each to `render`. It
    /// stays known here until it is [`written`](Self::written). Answers how many it were, and the word to end if it was
    /// spoken and nothing is left before it.
    pub fn take(&self, bytes_max: usize, render: impl FnMut(&Item)) -> (usize, Option<End>) {
        let mut sent = self.sent.lock();
        let before = sent.len();
        let end = self.move_to(&mut sent, bytes_max);
        // others may queue meanwhile
        sent.range(before..).for_each(render);
        (sent.len() - before, end)
    }

    fn move_to(&self, sent: &mut VecDeque<Item>, bytes_max: usize) -> Option<End> {
        let mut queue = self.queue.lock();
        if queue.bytes.saturating_sub(bytes_max) <= CROWDED_BYTES {
            self.crowded.store(false, Ordering::Relaxed);
        }
        if queue.bytes <= bytes_max {
            queue.bytes = 0;
            match sent.is_empty() {
                true => *sent = std::mem::take(&mut queue.items),
                false => sent.append(&mut std::mem::take(&mut queue.items)),
            }
            return queue.take_end();
        }
        let mut bytes = 0;
        while bytes < bytes_max {
            let Some(item) = queue.items.pop_front() else { break };
            bytes += item.stanza.weight_bytes();
            sent.push_back(item);
        }
        queue.bytes = queue.bytes.saturating_sub(bytes);
        if queue.items.is_empty() { queue.take_end() } else { None }
    }

    /// The first so many of what was taken have left: they count as arrived (a client without acknowledgements has
    /// what left our buffer). Answers their rows in the log.
    pub fn written(&self, count: usize) -> Vec<i64> {
        let mut sent = self.sent.lock();
        let count = count.min(sent.len());
        let rows = sent.drain(..count).filter_map(|item| {
            item.written();
            (item.row != 0).then_some(item.row)
        });
        let rows = rows.collect();
        if sent.is_empty() {
            // an idle session holds no memory
            *sent = VecDeque::new();
        }
        rows
    }

    /// Whether something like this was given to the session and is not known to have left.
    pub(crate) fn owes(&self, mut what: impl FnMut(&Item) -> bool) -> bool {
        let sent = self.sent.lock();
        let queue = self.queue.lock();
        sent.iter().chain(&queue.items).any(&mut what)
    }

    /// Stanzas that wait and their bytes; for those who ask what holds memory.
    pub fn load(&self) -> (usize, usize) {
        let queue = self.queue.lock();
        (queue.items.len(), queue.bytes)
    }

    /// Whether so much waits that those who send more should let the session's connection have its turn first.
    pub fn is_crowded(&self) -> bool {
        self.crowded.load(Ordering::Relaxed)
    }

    /// Whether the session was told to end, or has ended.
    pub fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }

    /// The word to end, if it was spoken, however much is still queued before it.
    pub fn spoken_end(&self) -> Option<End> {
        self.queue.lock().end.clone()
    }

    /// Takes nothing in any more, and gives back what is not known to have left; `None`: it was sealed before. The word to
    /// end still reaches the connection.
    pub(crate) fn seal(&self) -> Option<VecDeque<Item>> {
        let mut sent = self.sent.lock();
        let mut queue = self.queue.lock();
        self.ending.store(true, Ordering::Release);
        queue.bytes = 0;
        let mut items = std::mem::take(&mut *sent);
        items.append(&mut queue.items);
        (!std::mem::replace(&mut queue.sealed, true)).then_some(items)
    }

    /// Whether everything that was not written has found another way.
    pub fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Acquire)
    }

    /// It has, or there is no connection any more that would wait for it; the connection is told.
    pub fn settle(&self) {
        self.settled.store(true, Ordering::Release);
        self.task.wake();
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
        let (items, end) = outbox.take(usize::MAX, |_| ());
        assert_eq!((items, end.unwrap().condition), (1, Some(StreamCondition::ResourceConstraint)));
    }

    #[test]
    fn a_sealed_queue_gives_back_what_has_not_left() {
        let outbox = Outbox::default();
        for row in 1..=4 {
            outbox.push(Item { row, ..item(1) }).unwrap();
        }
        let mut shown = Vec::new();
        outbox.take(item(1).stanza.weight_bytes() * 3, |item| shown.push(item.row));
        assert_eq!(shown, [1, 2, 3]);
        assert_eq!(outbox.written(2), [1, 2]);
        assert!(outbox.owes(|item| item.row == 3) && outbox.owes(|item| item.row == 4));
        assert!(!outbox.owes(|item| item.row == 2));
        let back = outbox.seal().unwrap();
        assert_eq!(back.iter().map(|item| item.row).collect::<Vec<_>>(), [3, 4]);
        assert_eq!(outbox.push(item(1)), Err(Rejected::Closed));
        assert!(outbox.seal().is_none(), "only once");
    }

    #[test]
    fn an_answer_goes_out_before_the_end_as_long_as_that_is_not_taken() {
        let outbox = Outbox::default();
        let end = End { condition: None, text: None, why: Ended::Shutdown };
        outbox.end(end.clone());
        assert_eq!(outbox.push(item(1)), Err(Rejected::Closed));
        outbox.answer(item(1)).unwrap();
        let (items, taken) = outbox.take(usize::MAX, |_| ());
        assert_eq!((items, taken), (1, Some(end)));
        assert_eq!(outbox.answer(item(1)), Err(Rejected::Closed), "nothing comes behind the end");
    }

    #[test]
    fn answers_of_a_session_that_ends_are_bounded_too() {
        let outbox = Outbox::default();
        outbox.end(End { condition: None, text: None, why: Ended::Shutdown });
        let big = SESSION_QUEUE_BYTES_MAX / 2;
        outbox.answer(item(big)).unwrap();
        assert_eq!(outbox.answer(item(big)), Err(Rejected::Closed));
    }

    #[test]
    fn a_message_in_several_queues_is_lost_only_with_the_last_of_them() {
        let copies = Copies::default();
        copies.begin(2);
        assert!(copies.are_with(2) && !copies.are_with(1));
        assert!(!copies.lost());
        assert!(copies.are_with(1));
        assert!(copies.lost());
        let copies = Copies::default();
        copies.begin(2);
        copies.written();
        assert!(!copies.are_with(2) && !copies.lost() && !copies.lost(), "one has it");
    }
}
