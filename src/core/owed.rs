//! Which rows of an account's log are on their way: exactly, row by row, so that what one session wrote says nothing about
//! what another one still has in its queue.

use std::collections::{BTreeMap, BTreeSet};

/// Rows that were given to sessions.
#[derive(Debug, Default)]
pub struct Owed {
    /// Rows in queues, each with how many sessions have it.
    queued: BTreeMap<i64, u32>,
    /// Rows that have left a write buffer, until the store has removed them.
    written: BTreeSet<i64>,
    /// Rows that the store has removed while the log was being drained: a page read before may still show them.
    removed: BTreeSet<i64>,
}

impl Owed {
    /// A session has this row in its queue.
    pub fn give(&mut self, row: i64) {
        *self.queued.entry(row).or_default() += 1;
    }

    /// Whether the row is on its way or has arrived: then it must not be given again.
    pub fn has(&self, row: i64) -> bool {
        self.queued.contains_key(&row) || self.written.contains(&row) || self.removed.contains(&row)
    }

    /// Whether a row is still in a queue.
    pub fn is_queued(&self, row: i64) -> bool {
        self.queued.contains_key(&row)
    }

    /// Whether a row has not arrived, and no more sessions have it in their queues than so many.
    pub fn is_with(&self, row: i64, sessions: u32) -> bool {
        !self.written.contains(&row) && self.queued.get(&row).is_some_and(|copies| *copies <= sessions)
    }

    /// A session has written the row: it has arrived.
    pub fn write(&mut self, row: i64) {
        self.queued.remove(&row);
        self.written.insert(row);
    }

    /// A session ended without writing the row. True if nobody else has it: it waits in the store again.
    pub fn give_back(&mut self, row: i64) -> bool {
        let Some(copies) = self.queued.get_mut(&row) else { return false };
        *copies -= 1;
        let last = *copies == 0;
        if last {
            self.queued.remove(&row);
        }
        last && !self.written.contains(&row)
    }

    /// Whether there is something that the store can remove.
    pub fn has_written(&self) -> bool {
        !self.written.is_empty()
    }

    /// Rows that the store can remove, at most `max` of them; not those that somebody still `wants` to read there.
    pub fn removable(&self, max: usize, wants: impl Fn(i64) -> bool) -> Vec<i64> {
        self.written.iter().filter(|row| !wants(**row)).take(max).copied().collect()
    }

    /// The store has removed these; `draining`: a page of the log may have been read before.
    pub fn removed(&mut self, rows: &[i64], draining: bool) {
        for row in rows {
            self.written.remove(row);
        }
        if draining {
            self.removed.extend(rows);
        }
    }

    /// Nobody looks at an old page of the log any more.
    pub fn drained(&mut self) {
        self.removed = BTreeSet::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_session_wrote_says_nothing_of_anothers_row() {
        let mut owed = Owed::default();
        owed.give(11);
        owed.give(12);
        owed.write(12);
        assert!(owed.has(11) && owed.has(12) && owed.is_queued(11) && !owed.is_queued(12));
        assert!(owed.give_back(11), "row 11 was nobody else's");
        assert!(!owed.has(11));
        assert_eq!(owed.removable(10, |_| false), [12]);
        assert!(owed.removable(10, |row| row == 12).is_empty(), "somebody still has to read it");
        owed.removed(&[12], true);
        assert!(owed.has(12), "a page read before may still show it");
        owed.drained();
        assert!(!owed.has(12));
    }

    #[test]
    fn a_row_given_twice_waits_again_only_when_both_sessions_are_lost() {
        let mut owed = Owed::default();
        owed.give(5);
        owed.give(5);
        assert!(!owed.give_back(5));
        assert!(owed.give_back(5));
        owed.give(6);
        owed.give(6);
        owed.write(6);
        assert!(!owed.give_back(6), "it has arrived");
    }
}
