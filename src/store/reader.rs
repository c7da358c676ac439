//! The threads that read. Each job sees one consistent snapshot of what was committed when it began.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::checkpoint::Gate;
use crate::job::Ticket;
use crate::queue::Queue;
use crate::sqlite::{Engine, Sqlite};
use crate::stats::Stats;
use crate::{Sql, StoreError};

pub(crate) trait ReadJob: Send {
    /// Does the work, or learns why it cannot be done, counts it and answers.
    fn run(self: Box<Self>, sqlite: Result<&mut Sqlite, StoreError>, stats: &Stats);
}

/// A read in the queue, with the place it takes.
pub(crate) struct QueuedRead {
    pub(crate) job: Box<dyn ReadJob>,
    pub(crate) _place: OwnedSemaphorePermit,
}

struct ReadWork<T, F> {
    work: F,
    answer: oneshot::Sender<Result<T, StoreError>>,
}

pub(crate) fn with_ticket<T, F>(work: F) -> (Box<dyn ReadJob>, Ticket<T>)
where
    T: Send + 'static,
    F: FnOnce(&mut Sqlite) -> Result<T, StoreError> + Send + 'static,
{
    let (answer, ticket) = oneshot::channel();
    (Box::new(ReadWork { work, answer }), Ticket(ticket))
}

impl<T, F> ReadJob for ReadWork<T, F>
where
    T: Send,
    F: FnOnce(&mut Sqlite) -> Result<T, StoreError> + Send,
{
    fn run(self: Box<Self>, sqlite: Result<&mut Sqlite, StoreError>, stats: &Stats) {
        let Self { work, answer } = *self;
        let result = sqlite.and_then(|sqlite| {
            catch_unwind(AssertUnwindSafe(|| work(sqlite))).unwrap_or(Err(StoreError::Panicked))
        });
        stats.reads.add(1);
        stats.reads_failed.add(u64::from(result.is_err()));
        // Whoever dropped the ticket does not want to know.
        drop(answer.send(result));
    }
}

pub(crate) struct Reader {
    pub(crate) engine: Engine,
    pub(crate) sqlite: Sqlite,
    pub(crate) queue: Arc<Queue<QueuedRead>>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) stats: Arc<Stats>,
}

impl Reader {
    /// Serves the queue until it is closed and empty.
    pub(crate) fn serve(mut self) {
        while let Some(QueuedRead { job, _place }) = self.queue.pop() {
            let gate = Arc::clone(&self.gate);
            let _turn = gate.read();
            let began = self.sqlite.run("BEGIN", &[]);
            job.run(began.map(|_| &mut self.sqlite), &self.stats);
            if self.sqlite.in_transaction() && self.sqlite.run("COMMIT", &[]).is_err() {
                self.reopen();
            }
        }
    }

    /// A snapshot that cannot be ended would hold the log file for ever; only a new connection lets go of it.
    fn reopen(&mut self) {
        match self.engine.reader() {
            Ok(sqlite) => self.sqlite = sqlite,
            Err(error) => tracing::error!(%error, "a reader could not open the database again"),
        }
    }
}
