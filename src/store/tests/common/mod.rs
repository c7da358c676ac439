//! A private directory that goes away with the test.

#![allow(clippy::expect_used, reason = "a test ends here")]
#![allow(dead_code, reason = "each test program uses what it needs")]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use hearth_store::{Options, Row, StoreError, WriteSql, log};

pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let unique = format!("{name}-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(unique);
        std::fs::create_dir_all(&dir).expect("the target directory is writable");
        Self(dir)
    }

    /// A data directory that does not exist yet.
    pub(crate) fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    pub(crate) fn options(&self) -> Options {
        Options { create: true, ..Options::new(self.data()) }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).expect("the directory is ours");
    }
}

/// Appends a text to the log of account 1.
pub(crate) fn keep(sql: &mut dyn WriteSql, text: &str) -> Result<i64, StoreError> {
    let entry = log::Entry { account: 1, time_ms: 0, flags: 0, peer: "", stanza: text.as_bytes() };
    log::append(sql, &entry)
}

pub(crate) fn number(row: &Row<'_>) -> Result<i64, StoreError> {
    row.int(0)
}
