//! Moving pages from the write-ahead log to the database, off the writer's path.
//!
//! Most of the work is a PASSIVE checkpoint, beside the running writer. What was written meanwhile is moved between
//! two groups of writes, so that the log can start again from its beginning: without that pause a writer that is
//! never idle would make it grow for ever. <https://www.sqlite.org/wal.html#ckpt>

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::{Condvar, Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, ErrorCode};

use crate::StoreError;
use crate::stats::Stats;

/// Pages in the log at which a checkpoint is made: 64 MiB. Rare, because a page that changed a thousand times
/// since the last one is moved once.
const DUE_PAGES: u64 = 8192;

/// What may be left to move while the writer is made to wait: a few ms of work.
const TAIL_PAGES: u64 = 1024;

/// With more pages than this the writer waits for the whole rest: it is faster than the disk, and the log would
/// only grow.
const PAGES_MAX: u64 = 4 * DUE_PAGES;

/// Attempts to catch up with a running writer.
const ROUNDS_MAX: usize = 4;

/// When readers stood in the way, the next attempt comes after so many more pages.
const RETRY_PAGES: u64 = 1024;

/// A log file larger than this is given back to the disk; a smaller one is written over, which is faster.
const WAL_FILE_BYTES_MAX: u64 = 256 << 20;

/// Takes turns between groups of writes and the end of a checkpoint.
pub(crate) struct Gate {
    turn: RwLock<()>,
    /// The engine in memory has no log file: its readers and its writer take turns too.
    readers_wait: bool,
    due_pages: AtomicU64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    due: bool,
    closing: bool,
}

impl Gate {
    pub(crate) fn new(readers_wait: bool) -> Self {
        Self {
            turn: RwLock::new(()),
            readers_wait,
            due_pages: AtomicU64::new(DUE_PAGES),
            state: Mutex::new(State::default()),
            changed: Condvar::new(),
        }
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, ()> {
        self.turn.write()
    }

    pub(crate) fn read(&self) -> Option<RwLockReadGuard<'_, ()>> {
        self.readers_wait.then(|| self.turn.read())
    }

    /// Called by the writer after each commit.
    pub(crate) fn committed(&self, connection: &Connection, stats: &Stats) {
        if self.readers_wait {
            return;
        }
        match connection.wal_checkpoint_v2(None::<&str>, CheckpointMode::NOOP) {
            Ok((pages, _)) => {
                let pages = u64::try_from(pages).unwrap_or(0);
                stats.wal_pages.set(pages);
                if pages >= self.due_pages.load(Relaxed) {
                    self.state.lock().due = true;
                    self.changed.notify_one();
                }
            }
            Err(error) => tracing::warn!(%error, "the size of the log file is unknown"),
        }
    }

    pub(crate) fn close(&self) {
        self.state.lock().closing = true;
        self.changed.notify_one();
    }

    /// Waits for work; `false` when there will be none.
    fn wait_due(&self) -> bool {
        let mut state = self.state.lock();
        while !state.due && !state.closing {
            self.changed.wait(&mut state);
        }
        state.due = false;
        !state.closing
    }
}

pub(crate) struct Checkpointer {
    pub(crate) connection: Connection,
    pub(crate) wal: PathBuf,
    pub(crate) gate: Arc<Gate>,
    pub(crate) stats: Arc<Stats>,
}

impl Checkpointer {
    /// Serves the gate until it is closed.
    pub(crate) fn serve(self) {
        while self.gate.wait_due() {
            match self.checkpoint() {
                Ok(()) => self.stats.checkpoints.add(1),
                Err(error) => {
                    self.stats.checkpoints_failed.add(1);
                    self.gate.due_pages.fetch_add(RETRY_PAGES, Relaxed);
                    tracing::error!(%error, "a checkpoint failed; the log file keeps what is committed");
                }
            }
        }
    }

    fn checkpoint(&self) -> Result<(), StoreError> {
        let mut pages = 0;
        for _ in 0..ROUNDS_MAX {
            let (all, moved) = self.run(CheckpointMode::PASSIVE)?;
            pages = all;
            if all.saturating_sub(moved) <= TAIL_PAGES || all > PAGES_MAX {
                break;
            }
        }
        let mode = match std::fs::metadata(&self.wal) {
            Ok(file) if file.len() > WAL_FILE_BYTES_MAX => CheckpointMode::TRUNCATE,
            _ => CheckpointMode::RESTART,
        };
        let turn = self.gate.write();
        let ended = self.run(mode);
        drop(turn);
        match ended {
            Ok(_) => self.gate.due_pages.store(DUE_PAGES, Relaxed),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                // A reader still looks at the log. The pages are moved all the same; only the restart must wait.
                self.gate.due_pages.store(pages.max(DUE_PAGES) + RETRY_PAGES, Relaxed);
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Pages in the log, and how many of them are moved by now.
    fn run(&self, mode: CheckpointMode) -> rusqlite::Result<(u64, u64)> {
        let (all, moved) = self.connection.wal_checkpoint_v2(None::<&str>, mode)?;
        Ok((u64::try_from(all).unwrap_or(0), u64::try_from(moved).unwrap_or(0)))
    }
}
