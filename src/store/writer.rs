//! The one thread that writes: jobs in the order of their submission, and those that wait share a commit.
//!
//! A group runs without savepoints: one per job makes SQLite copy every page that the job touches, which doubled
//! the cost of a row (`benches/append.rs`), and jobs hardly ever fail after they have written. When one does, the
//! group is rolled back and run again, this time each job in a savepoint of its own, so that only the failing one
//! is undone. Therefore jobs are `FnMut` and have no effect but SQL. A job is run twice at most.

use std::sync::Arc;

use crate::checkpoint::Gate;
use crate::job::Job;
use crate::numbers::Numbers;
use crate::queue::Queue;
use crate::sqlite::{Engine, Sqlite};
use crate::stats::{Stats, Stopwatch};
use crate::{Row, Sql, StoreError, Value, WriteSql};

/// Jobs in one commit. More would make the first of them wait for little gain: the sync is long paid for.
const GROUP_JOBS_MAX: usize = 1024;

/// A group that has run this long takes no more jobs.
pub(crate) const GROUP_US_MAX: u64 = 20_000;

/// A job in the queue, with the place it takes.
pub(crate) struct Queued {
    pub(crate) job: Box<dyn Job>,
    pub(crate) _place: tokio::sync::OwnedSemaphorePermit,
}

pub(crate) struct Writer {
    pub(crate) engine: Engine,
    pub(crate) sqlite: Sqlite,
    pub(crate) numbers: Numbers,
    pub(crate) queue: Arc<Queue<Queued>>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) stats: Arc<Stats>,
    /// [`GROUP_US_MAX`], or no limit where grouping must not depend on the speed of the machine.
    pub(crate) group_us_max: u64,
    /// The connection can no longer be trusted; it is opened anew before the next group.
    pub(crate) broken: bool,
}

/// How the first, optimistic run of a group ended.
enum Run {
    Whole,
    /// A job failed after it had written: what it wrote cannot be told from its neighbours' work.
    Torn,
}

impl Writer {
    /// Serves the queue until it is closed and empty.
    pub(crate) fn serve(mut self) {
        let mut group = Vec::with_capacity(GROUP_JOBS_MAX);
        while let Some(first) = self.queue.pop() {
            group.push(first);
            let fate = self.transact(&mut group);
            self.settle(&mut group, &fate);
        }
    }

    /// One transaction, with every job that is waiting. An error is the error of all of them.
    fn transact(&mut self, group: &mut Vec<Queued>) -> Result<(), StoreError> {
        let gate = Arc::clone(&self.gate);
        let turn = gate.write();
        let fate = self.try_transact(group);
        drop(turn);
        match &fate {
            Ok(()) => {
                self.stats.commits.add(1);
                self.gate.committed(&self.sqlite.connection, &self.stats);
            }
            Err(error) => {
                self.stats.commits_failed.add(1);
                tracing::error!(%error, jobs = group.len(), "a group of writes was lost");
                self.abandon(error);
            }
        }
        fate
    }

    fn try_transact(&mut self, group: &mut Vec<Queued>) -> Result<(), StoreError> {
        if let Err(error) = self.ready() {
            // Whatever waits would wait as long and fail the same way.
            group.extend(std::iter::from_fn(|| self.queue.try_pop()));
            return Err(error);
        }
        match self.run_waiting(group)? {
            Run::Whole => {}
            Run::Torn => self.run_again(group)?,
        }
        let watch = Stopwatch::start();
        self.sqlite.run("COMMIT", &[])?;
        self.numbers.committed();
        self.stats.commit_us_last.set(watch.us());
        self.stats.commit_us_max.raise(watch.us());
        Ok(())
    }

    fn ready(&mut self) -> Result<(), StoreError> {
        if self.broken {
            self.reopen()?;
        }
        self.begin()
    }

    fn begin(&mut self) -> Result<(), StoreError> {
        self.sqlite.run("BEGIN IMMEDIATE", &[])?;
        self.numbers.begin(&mut self.sqlite)
    }

    /// Runs the group's first job and every further one that is waiting, without savepoints.
    fn run_waiting(&mut self, group: &mut Vec<Queued>) -> Result<Run, StoreError> {
        let watch = Stopwatch::start();
        let mut ran = 0;
        loop {
            while let Some(queued) = group.get_mut(ran) {
                ran += 1;
                self.stats.jobs.add(1);
                self.sqlite.take_wrote();
                if run_job(&mut self.sqlite, &mut self.numbers, queued)?.is_err() && self.sqlite.take_wrote()
                {
                    return Ok(Run::Torn);
                }
            }
            if group.len() >= GROUP_JOBS_MAX || watch.us() >= self.group_us_max {
                return Ok(Run::Whole);
            }
            match self.queue.try_pop() {
                Some(next) => group.push(next),
                None => return Ok(Run::Whole),
            }
        }
    }

    /// Runs the same jobs again from the start, and those that wait by now, each in a savepoint: so a crowd of
    /// failing jobs costs one commit and not one each.
    fn run_again(&mut self, group: &mut Vec<Queued>) -> Result<(), StoreError> {
        self.stats.groups_repeated.add(1);
        let ran = group.len();
        group.extend(std::iter::from_fn(|| self.queue.try_pop()).take(GROUP_JOBS_MAX - ran));
        self.stats.jobs.add((group.len() - ran) as u64);
        self.sqlite.run("ROLLBACK", &[])?;
        self.numbers.rolled_back();
        self.begin()?;
        for queued in group {
            self.sqlite.run("SAVEPOINT job", &[])?;
            if run_job(&mut self.sqlite, &mut self.numbers, queued)?.is_err() {
                self.sqlite.run("ROLLBACK TO job", &[])?;
            }
            self.sqlite.run("RELEASE job", &[])?;
        }
        Ok(())
    }

    /// After an error: no transaction stays open, and a connection that failed is not used again.
    fn abandon(&mut self, error: &StoreError) {
        self.numbers.rolled_back();
        let rolled_back = !self.sqlite.in_transaction() || self.sqlite.run("ROLLBACK", &[]).is_ok();
        self.broken |= !rolled_back || !matches!(error, StoreError::Full);
    }

    fn reopen(&mut self) -> Result<(), StoreError> {
        if self.engine.path().is_some() {
            self.sqlite = self.engine.writer()?;
            self.stats.reopened.add(1);
        }
        self.broken = false;
        Ok(())
    }

    /// Tells everybody: first the callbacks in order (the watermark), then those who wait.
    fn settle(&mut self, group: &mut Vec<Queued>, fate: &Result<(), StoreError>) {
        let failed = group.iter().filter(|queued| queued.job.failed()).count();
        self.stats.jobs_failed.add(failed as u64);
        for queued in group.iter_mut().filter(|queued| queued.job.calls_back()) {
            queued.job.finish(fate);
        }
        self.stats.queue.less(group.len() as u64);
        for mut queued in group.drain(..) {
            queued.job.finish(fate);
        }
    }
}

/// Runs one job. The outer error is the loss of the whole transaction, the inner one the job's own.
fn run_job(
    sqlite: &mut Sqlite,
    numbers: &mut Numbers,
    queued: &mut Queued,
) -> Result<Result<(), StoreError>, StoreError> {
    let own = queued.job.run(&mut Numbered { sqlite, numbers });
    if sqlite.in_transaction() {
        return Ok(own);
    }
    // The engine threw the transaction away, and with it the work of all jobs before this one.
    Err(own
        .err()
        .unwrap_or_else(|| StoreError::Unavailable("the transaction was ended inside a job".to_owned())))
}

/// What a write job sees.
struct Numbered<'a> {
    sqlite: &'a mut Sqlite,
    numbers: &'a mut Numbers,
}

impl Sql for Numbered<'_> {
    fn run(&mut self, sql: &'static str, args: &[Value<'_>]) -> Result<u64, StoreError> {
        self.sqlite.run(sql, args)
    }

    fn each(
        &mut self,
        sql: &'static str,
        args: &[Value<'_>],
        row: &mut dyn FnMut(&Row<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.sqlite.each(sql, args, row)
    }
}

impl WriteSql for Numbered<'_> {
    fn next_row(&mut self, _account: i64) -> Result<i64, StoreError> {
        self.numbers.draw()
    }
}
