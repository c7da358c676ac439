//! One time-ordered log of stanzas per account: whatever view is needed (offline spool, archive) is a range of it.
//!
//! Rows have rising numbers that are never reused ([`WriteSql::next_row`]), so a number is a place in the order for
//! ever. To this module a stanza is bytes.
//!
//! Every statement works through an index, and none costs more in a long log than in a short one.

use crate::{Migrations, Row, Sql, SqlExt, StoreError, Value, WriteSql};

pub(crate) const MIGRATIONS: Migrations = Migrations {
    owner: "log",
    // `INTEGER PRIMARY KEY` makes the number SQLite's own key of the table: rows are appended at its right edge.
    steps: &["CREATE TABLE log (
            row INTEGER PRIMARY KEY,
            account BIGINT NOT NULL,
            time_ms BIGINT NOT NULL,
            flags BIGINT NOT NULL,
            peer TEXT NOT NULL,
            stanza BLOB NOT NULL
        );
        CREATE INDEX log_by_account ON log (account, row);"],
};

const APPEND: &str =
    "INSERT INTO log (row, account, time_ms, flags, peer, stanza) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
const PAGE_UP: &str = "SELECT row, time_ms, flags, peer, stanza FROM log \
                       WHERE account = ?1 AND row > ?2 AND row < ?3 AND (flags & ?4) = ?4 ORDER BY row LIMIT ?5";
const PAGE_DOWN: &str = "SELECT row, time_ms, flags, peer, stanza FROM log \
                         WHERE account = ?1 AND row > ?2 AND row < ?3 AND (flags & ?4) = ?4 \
                         ORDER BY row DESC LIMIT ?5";
const ROWS: &str = "SELECT row FROM log WHERE account = ?1 ORDER BY row LIMIT ?2";
const NEWEST: &str = "SELECT COALESCE(MAX(row), 0) FROM log WHERE account = ?1";
const FORGET: &str = "DELETE FROM log WHERE row = ?2 AND account = ?1";
const FORGET_OLDEST: &str = "DELETE FROM log WHERE row IN \
                            (SELECT row FROM log WHERE account = ?1 ORDER BY row LIMIT ?2)";

/// All statements, for the test that none of them scans.
#[cfg(test)]
const ALL: &[&str] = &[APPEND, PAGE_UP, PAGE_DOWN, ROWS, NEWEST, FORGET, FORGET_OLDEST];

/// A page ends early when its stanzas come to more than this.
const PAGE_BYTES_MAX: usize = 4 << 20;

/// A stanza to be kept.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Whose log.
    pub account: i64,
    /// When the server took it, in ms since 1970 (UTC).
    pub time_ms: i64,
    /// Bits whose meaning belongs to the caller.
    pub flags: i64,
    /// The bare address of the other side.
    pub peer: &'a str,
    /// The stanza, as it will be sent.
    pub stanza: &'a [u8],
}

/// A stanza that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its number.
    pub row: i64,
    /// When the server took it, in ms since 1970 (UTC).
    pub time_ms: i64,
    /// Bits whose meaning belongs to the caller.
    pub flags: i64,
    /// The bare address of the other side.
    pub peer: String,
    /// The stanza.
    pub stanza: Vec<u8>,
}

/// Which rows of an account, both ends left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Rows with greater numbers; 0 for all.
    pub after: i64,
    /// Rows with smaller numbers; `i64::MAX` for all.
    pub before: i64,
    /// Rows that have all of these bits. Rows without them are passed over one by one: bound the range.
    pub flags: i64,
}

impl Default for Range {
    /// Everything.
    fn default() -> Self {
        Self { after: 0, before: i64::MAX, flags: 0 }
    }
}

/// From which end of the range a page is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The oldest rows of the range, oldest first.
    Oldest,
    /// The newest rows of the range, newest first.
    Newest,
}

/// Some rows of a range.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The rows, from the asked end inwards.
    pub rows: Vec<Stored>,
    /// Whether these are all of the range.
    pub complete: bool,
}

/// Adds a stanza at the end of an account's log and says under which number.
///
/// # Errors
/// See [`StoreError`].
pub fn append(sql: &mut dyn WriteSql, entry: &Entry<'_>) -> Result<i64, StoreError> {
    let Entry { account, time_ms, flags, peer, stanza } = *entry;
    let row = sql.next_row(account)?;
    let args = [row.into(), account.into(), time_ms.into(), flags.into(), peer.into(), stanza.into()];
    sql.run(APPEND, &args)?;
    Ok(row)
}

/// Up to `limit` rows of a range. A page may be shorter than `limit` and not complete when its stanzas are large.
///
/// # Errors
/// See [`StoreError`].
pub fn page(sql: &mut dyn Sql, account: i64, range: Range, end: End, limit: u32) -> Result<Page, StoreError> {
    let statement = match end {
        End::Oldest => PAGE_UP,
        End::Newest => PAGE_DOWN,
    };
    // One more than asked for tells whether something is left.
    let limit = i64::from(limit);
    let args = [account, range.after, range.before, range.flags, limit + 1].map(Value::Int);
    let mut page = Page { rows: Vec::new(), complete: true };
    let mut bytes = 0;
    sql.each(statement, &args, &mut |row| {
        if !page.complete || page.rows.len() as i64 == limit || bytes > PAGE_BYTES_MAX {
            page.complete = false;
            return Ok(());
        }
        let stored = stored(row)?;
        bytes += stored.stanza.len();
        page.rows.push(stored);
        Ok(())
    })?;
    Ok(page)
}

/// The next rows that were not delivered, oldest first: those behind `after_row`, since what was delivered is forgotten.
///
/// # Errors
/// See [`StoreError`].
pub fn offline_page(sql: &mut dyn Sql, account: i64, after_row: i64, limit: u32) -> Result<Page, StoreError> {
    page(sql, account, Range { after: after_row, ..Range::default() }, End::Oldest, limit)
}

/// How many rows were not delivered, up to `limit`, and the number of the newest row, 0 if there is none.
///
/// # Errors
/// See [`StoreError`].
pub fn offline_count(sql: &mut dyn Sql, account: i64, limit: u32) -> Result<(u32, i64), StoreError> {
    let (mut count, mut newest) = (0, 0);
    sql.each(ROWS, &[account.into(), limit.into()], &mut |row| {
        (count, newest) = (count + 1, row.int(0)?);
        Ok(())
    })?;
    if count == limit {
        newest = sql.one(NEWEST, &[account.into()], |row| row.int(0))?;
    }
    Ok((count, newest))
}

/// Deletes rows by number; those that are gone already are passed over. Says how many were deleted.
///
/// # Errors
/// See [`StoreError`].
pub fn forget(sql: &mut dyn Sql, account: i64, rows: &[i64]) -> Result<u64, StoreError> {
    rows.iter().try_fold(0, |gone, row| Ok(gone + sql.run(FORGET, &[account.into(), (*row).into()])?))
}

/// Deletes up to `limit` rows of an account that is removed, the oldest first. To be repeated until fewer were deleted.
///
/// # Errors
/// See [`StoreError`].
pub fn forget_account(sql: &mut dyn Sql, account: i64, limit: u32) -> Result<u64, StoreError> {
    sql.run(FORGET_OLDEST, &[account.into(), limit.into()])
}

fn stored(row: &Row<'_>) -> Result<Stored, StoreError> {
    Ok(Stored {
        row: row.int(0)?,
        time_ms: row.int(1)?,
        flags: row.int(2)?,
        peer: row.text(3)?.to_owned(),
        stanza: row.blob(4)?.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Store;

    const ME: i64 = 7;

    /// Runs a story against an empty log.
    async fn check(story: impl FnMut(&mut dyn WriteSql) -> Result<(), StoreError> + Send + 'static) {
        let store = Store::in_memory(&[]).unwrap();
        store.write(story).await.unwrap();
        store.close().await.unwrap();
    }

    fn keep(sql: &mut dyn WriteSql, account: i64, time_ms: i64, flags: i64, text: &str) -> i64 {
        let entry = Entry { account, time_ms, flags, peer: "romeo@example.org", stanza: text.as_bytes() };
        append(sql, &entry).unwrap()
    }

    fn texts(page: &Page) -> Vec<&str> {
        page.rows.iter().map(|row| std::str::from_utf8(&row.stanza).unwrap()).collect()
    }

    #[tokio::test]
    async fn what_was_kept_comes_back_whole() {
        check(|sql| {
            let row = keep(sql, ME, 5, 3, "<message/>");
            let page = page(sql, ME, Range::default(), End::Oldest, 10)?;
            let kept = Stored {
                row,
                time_ms: 5,
                flags: 3,
                peer: "romeo@example.org".to_owned(),
                stanza: b"<message/>".to_vec(),
            };
            assert_eq!(page, Page { rows: vec![kept], complete: true });
            Ok(())
        })
        .await;
    }

    #[tokio::test]
    async fn pages_come_from_either_end_and_know_whether_more_is_there() {
        check(|sql| {
            let rows: Vec<i64> = ["a", "b", "c", "d"].map(|text| keep(sql, ME, 0, 0, text)).to_vec();
            keep(sql, ME + 1, 0, 0, "of another account");
            let all = Range::default();
            let oldest = page(sql, ME, all, End::Oldest, 3)?;
            assert_eq!((texts(&oldest), oldest.complete), (vec!["a", "b", "c"], false));
            let newest = page(sql, ME, all, End::Newest, 3)?;
            assert_eq!((texts(&newest), newest.complete), (vec!["d", "c", "b"], false));
            let inner = page(sql, ME, Range { after: rows[0], before: rows[3], ..all }, End::Oldest, 3)?;
            assert_eq!((texts(&inner), inner.complete), (vec!["b", "c"], true));
            let exactly = page(sql, ME, all, End::Oldest, 4)?;
            assert!(exactly.complete, "a page that holds the last row says so");
            assert_eq!(page(sql, ME, all, End::Oldest, 0)?, Page { rows: vec![], complete: false });
            Ok(())
        })
        .await;
    }

    #[tokio::test]
    async fn flags_select_rows_that_have_all_of_them() {
        check(|sql| {
            for (flags, text) in [(0, "none"), (1, "one"), (2, "two"), (3, "both")] {
                keep(sql, ME, 0, flags, text);
            }
            let with = |flags| Range { flags, ..Range::default() };
            assert_eq!(texts(&page(sql, ME, with(1), End::Oldest, 9)?), ["one", "both"]);
            assert_eq!(texts(&page(sql, ME, with(3), End::Oldest, 9)?), ["both"]);
            Ok(())
        })
        .await;
    }

    #[tokio::test]
    async fn a_page_of_large_stanzas_is_cut_but_never_empty() {
        check(|sql| {
            let large = "x".repeat(3 << 20);
            for _ in 0..4 {
                keep(sql, ME, 0, 0, &large);
            }
            let cut = page(sql, ME, Range::default(), End::Oldest, 4)?;
            assert_eq!((cut.rows.len(), cut.complete), (2, false));
            Ok(())
        })
        .await;
    }

    #[tokio::test]
    async fn what_was_forgotten_is_not_offline_any_more() {
        check(|sql| {
            let rows = ["a", "b", "c", "d"].map(|text| keep(sql, ME, 0, 0, text));
            assert_eq!(texts(&offline_page(sql, ME, 0, 9)?), ["a", "b", "c", "d"]);
            assert_eq!(forget(sql, ME, &[rows[0], rows[1], rows[3], rows[3]])?, 3, "once each");
            assert_eq!(forget(sql, ME + 1, &[rows[2]])?, 0, "a row of somebody else");
            assert_eq!(texts(&offline_page(sql, ME, 0, 9)?), ["c"]);
            assert_eq!(texts(&offline_page(sql, ME, rows[2], 9)?), [""; 0]);
            let last = keep(sql, ME, 0, 0, "e");
            assert_eq!((offline_count(sql, ME, 9)?, offline_count(sql, ME, 1)?), ((2, last), (1, last)));
            assert_eq!(offline_count(sql, ME + 1, 9)?, (0, 0));
            Ok(())
        })
        .await;
    }

    #[tokio::test]
    async fn a_removed_account_leaves_nothing_and_its_neighbour_everything() {
        check(|sql| {
            for text in ["a", "b", "c"] {
                keep(sql, ME, 0, 0, text);
            }
            keep(sql, ME + 1, 0, 0, "stays");
            assert_eq!(forget_account(sql, ME, 2)?, 2);
            assert_eq!(texts(&page(sql, ME, Range::default(), End::Oldest, 9)?), ["c"]);
            assert_eq!(forget_account(sql, ME, 2)?, 1);
            assert_eq!(texts(&page(sql, ME + 1, Range::default(), End::Oldest, 9)?), ["stays"]);
            Ok(())
        })
        .await;
    }

    #[tokio::test]
    async fn no_statement_of_log_or_kv_reads_a_whole_table() {
        let store = Store::in_memory(&[]).unwrap();
        for statement in ALL.iter().chain(crate::kv::ALL) {
            let plan = store.query_plan(statement).await.unwrap();
            let scans: Vec<&String> = plan.iter().filter(|line| line.starts_with("SCAN")).collect();
            assert!(scans.is_empty(), "{statement}\n{plan:#?}");
        }
        let scan = store.query_plan("SELECT row FROM log WHERE time_ms = 0").await.unwrap();
        assert!(scan.iter().any(|line| line.starts_with("SCAN")), "the test can see a scan: {scan:?}");
    }
}
