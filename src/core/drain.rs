//! One giving of an account's log to one session: what has to wait its turn behind the rows, so that nothing overtakes
//! them (RFC 6120 §10.1).

use std::collections::{BTreeSet, VecDeque};

use crate::limits::SESSION_QUEUE_BYTES_MAX;
use crate::outbox::{Item, Outbox, Rejected};

/// Which of its account's drains this is: the same session may be given the log again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DrainId(pub(crate) u32);

/// A drain that runs.
#[derive(Debug)]
pub struct Drain {
    pub(crate) id: DrainId,
    /// The session that is being given the log.
    pub(crate) session: u64,
    /// What came for the session meanwhile and has no row, in order.
    held: VecDeque<Held>,
    held_bytes: usize,
    /// Rows that other sessions were given at once; this one is still to be given them.
    apart: BTreeSet<i64>,
    /// Rows behind this one were given back by a session that ended: they have to be looked for again.
    back: Option<i64>,
}

#[derive(Debug)]
struct Held {
    item: Item,
    /// The first row that came behind it; `i64::MAX`: none yet.
    before: i64,
}

impl Drain {
    pub(crate) fn new(id: DrainId, session: u64) -> Self {
        let (held, apart) = (VecDeque::new(), BTreeSet::new());
        Self { id, session, held, held_bytes: 0, apart, back: None }
    }

    /// Keeps a stanza without a row until its turn. False if there is too much already: the client does not keep up.
    #[must_use]
    pub(crate) fn hold(&mut self, item: Item) -> bool {
        let weight = item.stanza.weight_bytes();
        let fits = self.held_bytes + weight <= SESSION_QUEUE_BYTES_MAX;
        if fits {
            self.held_bytes += weight;
            self.held.push_back(Held { item, before: i64::MAX });
        }
        fits
    }

    /// A row came into the log: everything held now was before it. `elsewhere`: other sessions were given it.
    pub(crate) fn came(&mut self, row: i64, elsewhere: bool) {
        for held in self.held.iter_mut().rev().take_while(|held| held.before == i64::MAX) {
            held.before = row;
        }
        if elsewhere {
            self.apart.insert(row);
        }
    }

    /// Queues what has to go before this row; `i64::MAX`: everything.
    ///
    /// # Errors
    /// [`Rejected`] if the session does not take it; what is left stays held.
    pub(crate) fn flush(&mut self, row: i64, outbox: &Outbox) -> Result<(), Rejected> {
        while let Some(next) = self.held.front().filter(|held| held.before <= row) {
            outbox.push(next.item.clone())?;
            self.held_bytes -= next.item.stanza.weight_bytes();
            self.held.pop_front();
        }
        Ok(())
    }

    /// Whether others were given this row and the session not yet; it is now.
    pub(crate) fn take_apart(&mut self, row: i64) -> bool {
        self.apart.remove(&row)
    }

    /// Whether the session is still to be given a row that others have.
    pub(crate) fn wants(&self, row: i64) -> bool {
        self.apart.contains(&row)
    }

    /// A session that ended gave this row back.
    pub(crate) fn give_back(&mut self, row: i64) {
        let before = row - 1;
        self.back = Some(self.back.map_or(before, |back| back.min(before)));
    }

    /// The row behind which rows have to be looked for again, if any were given back since the last time.
    pub(crate) fn take_back(&mut self) -> Option<i64> {
        self.back.take()
    }

    /// What is held, when there is nothing left that it must wait for.
    pub(crate) fn into_held(self) -> impl Iterator<Item = Item> {
        self.held.into_iter().map(|held| held.item)
    }

    /// Stanzas held, and their bytes.
    pub(crate) fn load(&self) -> (usize, usize) {
        (self.held.len(), self.held_bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hearth_wire::{Kind, MessageType, Payload, Stanza};

    use super::*;

    fn item(id: &str) -> Item {
        let mut stanza = Stanza::new(Kind::Message(MessageType::Chat), Payload::empty());
        stanza.id = Some(id.into());
        Item::new(Arc::new(stanza))
    }

    fn due(drain: &mut Drain, row: i64) -> String {
        let outbox = Outbox::default();
        drain.flush(row, &outbox).unwrap();
        let mut due = String::new();
        outbox.take(usize::MAX, |item| due.push_str(item.stanza.id.as_deref().unwrap_or_default()));
        due
    }

    #[test]
    fn what_is_held_goes_before_the_row_that_came_behind_it() {
        let mut drain = Drain::new(DrainId(1), 1);
        assert!(drain.hold(item("a")) && drain.hold(item("b")));
        drain.came(10, false);
        assert!(drain.hold(item("c")));
        drain.came(12, true);
        assert!(drain.hold(item("d")));
        assert_eq!(due(&mut drain, 9), "", "older rows come first");
        assert_eq!(due(&mut drain, 10), "ab");
        assert_eq!(due(&mut drain, 12), "c");
        assert!(drain.wants(12) && !drain.wants(10));
        assert!(drain.take_apart(12) && !drain.take_apart(12));
        assert_eq!(drain.into_held().filter_map(|item| item.stanza.id.clone()).collect::<String>(), "d");
    }

    #[test]
    fn what_a_session_does_not_take_stays_held() {
        let mut drain = Drain::new(DrainId(1), 1);
        assert!(drain.hold(item("a")));
        let outbox = Outbox::default();
        assert_eq!(outbox.overflow(), Rejected::Full);
        assert_eq!(drain.flush(i64::MAX, &outbox), Err(Rejected::Closed));
        assert_eq!(drain.load().0, 1);
    }

    #[test]
    fn what_is_held_is_bounded() {
        let mut drain = Drain::new(DrainId(1), 1);
        let mut held = 0;
        while drain.hold(item("a")) {
            held += 1;
        }
        assert_eq!(drain.load().0, held);
        assert!(drain.load().1 <= SESSION_QUEUE_BYTES_MAX);
    }

    #[test]
    fn rows_given_back_are_looked_for_from_the_first_of_them() {
        let mut drain = Drain::new(DrainId(1), 1);
        drain.give_back(7);
        drain.give_back(5);
        drain.give_back(9);
        assert_eq!(drain.take_back(), Some(4));
        assert_eq!(drain.take_back(), None);
    }
}
