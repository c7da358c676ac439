//! A queue in front of a database thread, with a count of promised entries so that closing loses none.
//!
//! How many entries it may hold is limited by whoever hands out the places (see `store.rs`), so that a push
//! under a lock never waits.

use std::collections::VecDeque;

use parking_lot::{Condvar, Mutex};

pub(crate) struct Queue<J> {
    state: Mutex<State<J>>,
    changed: Condvar,
}

struct State<J> {
    entries: VecDeque<J>,
    /// Places that were given out and not used yet; each may still become an entry.
    promised: usize,
    closing: bool,
}

impl<J> Queue<J> {
    pub(crate) fn new() -> Self {
        let state = State { entries: VecDeque::new(), promised: 0, closing: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Promises room for one entry, or says that the queue takes no more.
    pub(crate) fn promise(&self) -> bool {
        let mut state = self.state.lock();
        if !state.closing {
            state.promised += 1;
        }
        !state.closing
    }

    /// Takes a promise back.
    pub(crate) fn release(&self) {
        let mut state = self.state.lock();
        state.promised -= 1;
        drop(state);
        self.changed.notify_one();
    }

    /// Adds an entry that was promised.
    pub(crate) fn push(&self, entry: J) {
        let mut state = self.state.lock();
        state.promised -= 1;
        state.entries.push_back(entry);
        drop(state);
        self.changed.notify_one();
    }

    /// The next entry, waiting for it; `None` when the queue is closed, empty, and nothing more is promised.
    pub(crate) fn pop(&self) -> Option<J> {
        let mut state = self.state.lock();
        loop {
            if let Some(entry) = state.entries.pop_front() {
                return Some(entry);
            }
            if state.closing && state.promised == 0 {
                // Another thread may wait for the same end.
                self.changed.notify_all();
                return None;
            }
            self.changed.wait(&mut state);
        }
    }

    /// The next entry if there is one now.
    pub(crate) fn try_pop(&self) -> Option<J> {
        self.state.lock().entries.pop_front()
    }

    /// Gives out no more promises. What is queued or promised is still served.
    pub(crate) fn close(&self) {
        self.state.lock().closing = true;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_queue_still_serves_what_it_holds_and_has_promised() {
        let queue = Queue::new();
        assert!(queue.promise());
        assert!(queue.promise());
        assert!(queue.promise());
        queue.push("first");
        queue.close();
        assert!(!queue.promise(), "a closed queue promises nothing");
        queue.push("second");
        assert_eq!(queue.pop(), Some("first"));
        assert_eq!(queue.pop(), Some("second"));
        queue.release();
        assert_eq!(queue.pop(), None);
    }
}
