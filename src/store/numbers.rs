//! Row numbers of the log: rising, and never given out twice.
//!
//! Why they cannot repeat. On the disk stands `reserved`; the process gives out only numbers below the value of
//! `reserved` that is known to be *committed*, and starts at the `reserved` that it found. So every number given
//! out by one process, used or not, committed or rolled back, is below the number with which the next process
//! starts; and within a process `next` only rises. The block is extended while half of it is left, by the
//! transaction of some group; until that commit is known, the old limit holds.

use crate::{Sql, SqlExt, StoreError, sqlite::Sqlite};

/// Numbers set aside at a time. A restart skips at most this many, which leaves 2^43 restarts.
const BLOCK: i64 = 1 << 20;

/// A group, and so a job, can draw this many.
const LEFT_MIN: i64 = BLOCK / 2;

const LOAD: &str = "SELECT reserved FROM store_counter WHERE name = 'log'";
const RESERVE: &str = "INSERT INTO store_counter (name, reserved) VALUES ('log', ?1) \
                       ON CONFLICT (name) DO UPDATE SET reserved = excluded.reserved";

pub(crate) struct Numbers {
    next: i64,
    /// Committed.
    reserved: i64,
    /// Written by the transaction that is open now.
    extending: Option<i64>,
}

impl Numbers {
    /// Starts behind everything that was ever set aside.
    pub(crate) fn load(sqlite: &mut Sqlite) -> Result<Self, StoreError> {
        let start = sqlite.optional(LOAD, &[], |row| row.int(0))?.unwrap_or(1);
        sqlite.run(RESERVE, &[(start + BLOCK).into()])?;
        Ok(Self { next: start, reserved: start + BLOCK, extending: None })
    }

    /// Called first in every transaction.
    pub(crate) fn begin(&mut self, sqlite: &mut Sqlite) -> Result<(), StoreError> {
        if self.reserved - self.next < LEFT_MIN {
            let reserved = self.reserved + BLOCK;
            sqlite.run(RESERVE, &[reserved.into()])?;
            self.extending = Some(reserved);
        }
        Ok(())
    }

    pub(crate) fn committed(&mut self) {
        if let Some(reserved) = self.extending.take() {
            self.reserved = reserved;
        }
    }

    pub(crate) fn rolled_back(&mut self) {
        self.extending = None;
    }

    pub(crate) fn draw(&mut self) -> Result<i64, StoreError> {
        if self.next >= self.reserved {
            return Err(StoreError::Unavailable("no row numbers are set aside".to_owned()));
        }
        let number = self.next;
        self.next += 1;
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::Engine;

    fn counter() -> Sqlite {
        let sqlite = Engine::memory().writer().unwrap();
        sqlite
            .connection
            .execute_batch("CREATE TABLE store_counter (name TEXT PRIMARY KEY, reserved BIGINT)")
            .unwrap();
        sqlite
    }

    #[test]
    fn numbers_start_at_one_and_go_on_behind_everything_set_aside() {
        let mut sqlite = counter();
        let mut first = Numbers::load(&mut sqlite).unwrap();
        assert_eq!(first.draw(), Ok(1));
        assert_eq!(first.draw(), Ok(2));
        assert_eq!(Numbers::load(&mut sqlite).unwrap().draw(), Ok(1 + BLOCK));
    }

    #[test]
    fn a_block_that_was_rolled_back_gives_no_numbers() {
        let mut sqlite = counter();
        let mut numbers = Numbers::load(&mut sqlite).unwrap();
        numbers.next = numbers.reserved - 1;
        numbers.begin(&mut sqlite).unwrap();
        assert!(numbers.draw().is_ok());
        assert!(numbers.draw().is_err(), "the extension is not committed");
        numbers.rolled_back();
        assert!(numbers.draw().is_err(), "and now never will be");
        numbers.begin(&mut sqlite).unwrap();
        numbers.committed();
        assert_eq!(numbers.draw(), Ok(1 + BLOCK));
    }
}
