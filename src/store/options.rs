//! How a store is opened.

use std::path::PathBuf;

/// What "committed" survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// A power cut: every group of commits is synced to the disk before anybody is told.
    #[default]
    Power,
    /// The end of the process, however sudden, but not a power cut: synced at checkpoints only.
    Crash,
}

/// Where the data is and how it is kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// The data directory. It carries no machine's name and may be moved.
    pub dir: PathBuf,
    /// Whether a database may be made where there is none.
    pub create: bool,
    /// What a commit survives.
    pub durability: Durability,
    /// Threads that read. Each keeps a connection with a page cache of [`Options::READER_CACHE_KIB`].
    pub readers: usize,
    /// Jobs that may be queued or running, of up to 4 KiB each; larger ones count more.
    pub queue_jobs_max: usize,
    /// How long a call waits for a place in the queue before it is told `Busy`.
    pub reserve_wait_ms_max: u64,
    /// Fills the "disk" at this many pages (of 8 KiB). For tests of a full disk.
    pub pages_max: Option<u32>,
}

impl Options {
    /// Bytes of a database page. Twice SQLite's default: fewer splits and shorter chains for rows of stanza size.
    pub const PAGE_BYTES: u32 = 8192;
    /// Page cache of the writer: the hot right edge of every index lives here.
    pub const WRITER_CACHE_KIB: u32 = 32 * 1024;
    /// Page cache of each reader; the system's own file cache backs it.
    pub const READER_CACHE_KIB: u32 = 8 * 1024;
    /// What one place in the queue pays for.
    pub(crate) const PLACE_BYTES: usize = 4096;

    /// The defaults, for data in `dir`.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            create: false,
            durability: Durability::Power,
            readers: 2,
            queue_jobs_max: 4096,
            reserve_wait_ms_max: 10_000,
            pages_max: None,
        }
    }
}
