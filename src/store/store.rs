//! The handle that everybody holds: reads on a few threads, writes on one, and the places in their queues.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::checkpoint::{Checkpointer, Gate};
use crate::data_dir::{self, Held, at};
use crate::job::{self, Ticket};
use crate::numbers::Numbers;
use crate::queue::Queue;
use crate::reader::{self, QueuedRead, Reader};
use crate::sqlite::{Engine, Sqlite};
use crate::writer::{GROUP_US_MAX, Queued, Writer};
use crate::{Migrations, OpenError, Options, Sql, Stats, StoreError, WriteSql, migrate, schema};

/// Reads that may be queued or running.
const READS_MAX: usize = 1024;

/// The database, shared by everybody. Cloning is cheap.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    jobs: Arc<Queue<Queued>>,
    places: Arc<Semaphore>,
    places_max: u32,
    reads: Arc<Queue<QueuedRead>>,
    read_places: Arc<Semaphore>,
    wait_max: Duration,
    gate: Arc<Gate>,
    stats: Arc<Stats>,
    threads: tokio::sync::Mutex<Option<Threads>>,
}

/// What `close` waits for. The directory stays locked until the last thread has let go of its connection.
struct Threads {
    writer: JoinHandle<()>,
    readers: Vec<JoinHandle<()>>,
    checkpointer: Option<JoinHandle<()>>,
    held: Option<Arc<Held>>,
}

impl Store {
    /// Opens the database in `options.dir`, takes it through all migrations and starts its threads. Blocks.
    ///
    /// # Errors
    /// See [`OpenError`]; each names its fix.
    pub fn open(options: &Options, migrations: &[Migrations]) -> Result<Self, OpenError> {
        let held = Arc::new(data_dir::hold(options)?);
        Self::start(&Engine::file(held.database.clone(), options), options, migrations, Some(held))
    }

    /// A store that lives as long as the process uses it, for tests: the same threads, queue and grouping, except
    /// that a group has no limit in time, so that a slow machine groups like a fast one.
    ///
    /// # Errors
    /// See [`OpenError`]: a migration that fails.
    pub fn in_memory(migrations: &[Migrations]) -> Result<Self, OpenError> {
        Self::start(&Engine::memory(), &Options::new(PathBuf::new()), migrations, None)
    }

    fn start(
        engine: &Engine,
        options: &Options,
        migrations: &[Migrations],
        held: Option<Arc<Held>>,
    ) -> Result<Self, OpenError> {
        let mut sqlite = engine.writer()?;
        migrate::migrate(engine, &mut sqlite, migrations)?;
        let numbers = Numbers::load(&mut sqlite)?;
        let places_max = u32::try_from(options.queue_jobs_max).unwrap_or(u32::MAX).max(1);
        let inner = Inner {
            jobs: Arc::new(Queue::new()),
            places: Arc::new(Semaphore::new(places_max as usize)),
            places_max,
            reads: Arc::new(Queue::new()),
            read_places: Arc::new(Semaphore::new(READS_MAX)),
            wait_max: Duration::from_millis(options.reserve_wait_ms_max),
            gate: Arc::new(Gate::new(engine.path().is_none())),
            stats: Arc::new(Stats::default()),
            threads: tokio::sync::Mutex::new(None),
        };
        let threads = inner.spawn(engine, options, sqlite, numbers, held);
        // The queues close when `inner` is dropped, so threads that did start come to their end.
        let mut inner = inner;
        *inner.threads.get_mut() = Some(threads?);
        Ok(Self(Arc::new(inner)))
    }

    /// Reads from one snapshot of what is committed, on a thread of its own.
    ///
    /// # Errors
    /// The closure's own, [`StoreError::Busy`] when the readers do not keep up, [`StoreError::Closed`].
    pub async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut dyn Sql) -> Result<T, StoreError> + Send + 'static,
    {
        self.read_raw(|sqlite| work(sqlite)).await
    }

    async fn read_raw<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Sqlite) -> Result<T, StoreError> + Send + 'static,
    {
        let place = self.0.place(&self.0.read_places, 1).await?;
        if !self.0.reads.promise() {
            return Err(StoreError::Closed);
        }
        let (job, ticket) = reader::with_ticket(work);
        self.0.reads.push(QueuedRead { job, _place: place });
        ticket.await
    }

    /// Writes, and comes back when it is committed. A job may be run twice (see [`Permit::submit`]).
    ///
    /// # Errors
    /// The job's own, or why the commit failed, or as [`Store::reserve`].
    pub async fn write<T, F>(&self, job: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut dyn WriteSql) -> Result<T, StoreError> + Send + 'static,
    {
        self.reserve().await?.submit(job).await
    }

    /// Waits for a place in the writer's queue, for a job that carries up to 4 KiB.
    ///
    /// # Errors
    /// [`StoreError::Busy`] after [`Options::reserve_wait_ms_max`], [`StoreError::Closed`].
    pub async fn reserve(&self) -> Result<Permit, StoreError> {
        self.reserve_bytes(0).await
    }

    /// Waits for a place for a job that carries `bytes`: the queue is limited in bytes, too.
    ///
    /// # Errors
    /// As [`Store::reserve`].
    pub async fn reserve_bytes(&self, bytes: usize) -> Result<Permit, StoreError> {
        let place = self.0.place(&self.0.places, self.places_for(bytes)).await?;
        self.permit(place)
    }

    /// A place in the queue if there is one now.
    ///
    /// # Errors
    /// [`StoreError::Busy`] without one, [`StoreError::Closed`].
    pub fn try_reserve(&self) -> Result<Permit, StoreError> {
        use tokio::sync::TryAcquireError::{Closed, NoPermits};
        match Arc::clone(&self.0.places).try_acquire_owned() {
            Ok(place) => self.permit(place),
            Err(NoPermits) => Err(StoreError::Busy),
            Err(Closed) => Err(StoreError::Closed),
        }
    }

    fn permit(&self, place: OwnedSemaphorePermit) -> Result<Permit, StoreError> {
        if !self.0.jobs.promise() {
            return Err(StoreError::Closed);
        }
        Ok(Permit { jobs: Arc::clone(&self.0.jobs), stats: Arc::clone(&self.0.stats), place: Some(place) })
    }

    /// A job larger than the whole queue takes all of it, rather than waiting for ever.
    fn places_for(&self, bytes: usize) -> u32 {
        let places = bytes.div_ceil(Options::PLACE_BYTES).max(1);
        u32::try_from(places).unwrap_or(u32::MAX).min(self.0.places_max)
    }

    /// What the store counts about itself.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.0.stats
    }

    /// Every table and index as SQL, in a stable order, for the golden file.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub async fn schema_dump(&self) -> Result<String, StoreError> {
        self.read(schema::dump).await
    }

    /// How the database would answer a statement: a line that begins with `SCAN` reads a whole table or index.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub async fn query_plan(&self, statement: &'static str) -> Result<Vec<String>, StoreError> {
        self.read_raw(move |sqlite| schema::query_plan(sqlite, statement)).await
    }

    /// Gives up to `pages_max` free pages back to the disk and says how many were free before. Small steps, because
    /// nothing else is written meanwhile.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn shrink(&self, pages_max: u32) -> Result<i64, StoreError> {
        self.write(move |sql| schema::shrink(sql, pages_max)).await
    }

    /// Ends well: no new work, everything promised is done, the log file is merged into the database, the directory
    /// is free for another process. A second call waits for the first.
    ///
    /// # Errors
    /// [`StoreError::Panicked`] when a thread had ended before its time.
    pub async fn close(&self) -> Result<(), StoreError> {
        let mut threads = self.0.threads.lock().await;
        let Some(running) = threads.take() else { return Ok(()) };
        let inner = Arc::clone(&self.0);
        let joined = tokio::task::spawn_blocking(move || inner.join(running)).await;
        joined.unwrap_or(Err(StoreError::Panicked))
    }
}

impl Inner {
    fn spawn(
        &self,
        engine: &Engine,
        options: &Options,
        sqlite: Sqlite,
        numbers: Numbers,
        held: Option<Arc<Held>>,
    ) -> Result<Threads, OpenError> {
        let (gate, stats) = (&self.gate, &self.stats);
        let checkpointer = match engine.path() {
            None => None,
            Some(database) => {
                let mut wal = database.as_os_str().to_owned();
                wal.push("-wal");
                let (gate, stats) = (Arc::clone(gate), Arc::clone(stats));
                let work = Checkpointer { connection: engine.checkpointer()?, wal: wal.into(), gate, stats };
                Some(thread("store-checkpoint", &held, || work.serve())?)
            }
        };
        let mut readers = Vec::new();
        for _ in 0..options.readers.max(1) {
            let queue = Arc::clone(&self.reads);
            let (gate, stats) = (Arc::clone(gate), Arc::clone(stats));
            let work = Reader { engine: engine.clone(), sqlite: engine.reader()?, queue, gate, stats };
            readers.push(thread("store-reader", &held, || work.serve())?);
        }
        let writer = Writer {
            engine: engine.clone(),
            sqlite,
            numbers,
            queue: Arc::clone(&self.jobs),
            gate: Arc::clone(gate),
            stats: Arc::clone(stats),
            group_us_max: if engine.path().is_some() { GROUP_US_MAX } else { u64::MAX },
            broken: false,
        };
        let writer = thread("store-writer", &held, || writer.serve())?;
        Ok(Threads { writer, readers, checkpointer, held })
    }

    /// Waits for `count` places, but not for ever: whoever asks must give an answer to somebody.
    async fn place(&self, places: &Arc<Semaphore>, count: u32) -> Result<OwnedSemaphorePermit, StoreError> {
        // Without contention no timer is made.
        match Arc::clone(places).try_acquire_many_owned(count) {
            Ok(place) => return Ok(place),
            Err(tokio::sync::TryAcquireError::Closed) => return Err(StoreError::Closed),
            Err(tokio::sync::TryAcquireError::NoPermits) => {}
        }
        match tokio::time::timeout(self.wait_max, Arc::clone(places).acquire_many_owned(count)).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_closed)) => Err(StoreError::Closed),
            Err(_elapsed) => Err(StoreError::Busy),
        }
    }

    /// The writer first, because what it still does may be read; the log file goes with the last connection.
    fn join(&self, threads: Threads) -> Result<(), StoreError> {
        self.places.close();
        self.jobs.close();
        let mut all_well = threads.writer.join().is_ok();
        self.read_places.close();
        self.reads.close();
        for reader in threads.readers {
            all_well &= reader.join().is_ok();
        }
        self.gate.close();
        if let Some(checkpointer) = threads.checkpointer {
            all_well &= checkpointer.join().is_ok();
        }
        drop(threads.held);
        if all_well { Ok(()) } else { Err(StoreError::Panicked) }
    }
}

impl Drop for Inner {
    /// Without `close` the threads end by themselves, after what was queued.
    fn drop(&mut self) {
        self.jobs.close();
        self.reads.close();
        self.gate.close();
    }
}

/// A thread that keeps the directory locked while it runs.
fn thread(
    name: &str,
    held: &Option<Arc<Held>>,
    work: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, OpenError> {
    let held = held.clone();
    let run = move || {
        work();
        drop(held);
    };
    std::thread::Builder::new().name(name.to_owned()).spawn(run).map_err(at(name.as_ref()))
}

/// A place in the writer's queue: submitting with it never waits, so it may be done under a lock.
///
/// [`Store::close`] waits for permits that are out. Dropping one gives the place back.
#[must_use = "a permit holds a place in the queue"]
pub struct Permit {
    jobs: Arc<Queue<Queued>>,
    stats: Arc<Stats>,
    place: Option<OwnedSemaphorePermit>,
}

impl Permit {
    /// Submits a job. Jobs run in the order of submission, one after the other.
    ///
    /// A job that returns an error has written nothing; the others of its group are not touched. A job may be run
    /// twice (when a neighbour failed half-way), so it has no effect but SQL. When the commit fails, all jobs of
    /// the group fail with it.
    pub fn submit<T, F>(self, job: F) -> Ticket<T>
    where
        T: Send + 'static,
        F: FnMut(&mut dyn WriteSql) -> Result<T, StoreError> + Send + 'static,
    {
        let (job, ticket) = job::with_ticket(job);
        self.push(job);
        ticket
    }

    /// Submits a job whose end is told on the writer's thread: in the order of submission, after the commit, before
    /// any ticket of the same group wakes and before the next group begins. `done` must be short and not block.
    pub fn submit_then<T, F, D>(self, job: F, done: D)
    where
        T: Send + 'static,
        F: FnMut(&mut dyn WriteSql) -> Result<T, StoreError> + Send + 'static,
        D: FnOnce(Result<T, StoreError>) + Send + 'static,
    {
        self.push(job::Work::boxed(job, done));
    }

    fn push(mut self, job: Box<dyn job::Job>) {
        if let Some(place) = self.place.take() {
            self.stats.queue.add(1);
            self.jobs.push(Queued { job, _place: place });
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.place.is_some() {
            self.jobs.release();
        }
    }
}
