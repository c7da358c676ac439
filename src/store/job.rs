//! A piece of work for the writer, and the ways to learn how it ended.
//!
//! A job's result waits inside the job until the commit of its group is known: nobody sees a result that a crash
//! could take back.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use crate::{StoreError, WriteSql};

/// A job with its types forgotten, as the writer sees it.
pub(crate) trait Job: Send {
    /// Does the work and keeps the result. May be called twice: the second run replaces the first.
    fn run(&mut self, sql: &mut dyn WriteSql) -> Result<(), StoreError>;

    /// Whether its last run ended with an error of its own.
    fn failed(&self) -> bool;

    /// Whether the end is told by a callback; those come before any ticket of the group wakes.
    fn calls_back(&self) -> bool;

    /// Tells the end: the job's own result, or why its group was lost.
    fn finish(&mut self, group: &Result<(), StoreError>);
}

pub(crate) struct Work<T, F, D>
where
    D: FnOnce(Result<T, StoreError>),
{
    work: F,
    outcome: Option<Result<T, StoreError>>,
    done: Option<D>,
    calls_back: bool,
}

impl<T, F, D> Work<T, F, D>
where
    T: Send + 'static,
    F: FnMut(&mut dyn WriteSql) -> Result<T, StoreError> + Send + 'static,
    D: FnOnce(Result<T, StoreError>) + Send + 'static,
{
    pub(crate) fn boxed(work: F, done: D) -> Box<dyn Job> {
        Box::new(Self { work, outcome: None, done: Some(done), calls_back: true })
    }
}

/// A job whose end is awaited.
pub(crate) fn with_ticket<T, F>(work: F) -> (Box<dyn Job>, Ticket<T>)
where
    T: Send + 'static,
    F: FnMut(&mut dyn WriteSql) -> Result<T, StoreError> + Send + 'static,
{
    let (answer, ticket) = oneshot::channel();
    // Whoever dropped the ticket does not want to know.
    let done = move |result| drop(answer.send(result));
    (Box::new(Work { work, outcome: None, done: Some(done), calls_back: false }), Ticket(ticket))
}

impl<T, F, D> Job for Work<T, F, D>
where
    T: Send,
    F: FnMut(&mut dyn WriteSql) -> Result<T, StoreError> + Send,
    D: FnOnce(Result<T, StoreError>) + Send,
{
    fn run(&mut self, sql: &mut dyn WriteSql) -> Result<(), StoreError> {
        // Safe to go on after a panic: whatever the job wrote is rolled back with its error.
        let result = catch_unwind(AssertUnwindSafe(|| (self.work)(sql))).unwrap_or(Err(StoreError::Panicked));
        let told = result.as_ref().map(|_| ()).map_err(Clone::clone);
        self.outcome = Some(result);
        told
    }

    fn failed(&self) -> bool {
        matches!(self.outcome, Some(Err(_)))
    }

    fn calls_back(&self) -> bool {
        self.calls_back
    }

    fn finish(&mut self, group: &Result<(), StoreError>) {
        let Some(done) = self.done.take() else { return };
        let result = match (self.outcome.take(), group) {
            (Some(Err(own)), _) => Err(own),
            (_, Err(lost)) => Err(lost.clone()),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(StoreError::Closed),
        };
        if catch_unwind(AssertUnwindSafe(|| done(result))).is_err() {
            tracing::error!("a callback of the store panicked");
        }
    }
}

impl<T, F, D> Drop for Work<T, F, D>
where
    D: FnOnce(Result<T, StoreError>),
{
    /// A job that never ran still says so: nobody waits for ever.
    fn drop(&mut self) {
        if let Some(done) = self.done.take() {
            done(Err(StoreError::Closed));
        }
    }
}

/// The end of a job, to be awaited. Dropping it does not take the job back.
#[must_use = "a write is known to be durable only when its ticket says so"]
pub struct Ticket<T>(pub(crate) oneshot::Receiver<Result<T, StoreError>>);

impl<T> Future for Ticket<T> {
    type Output = Result<T, StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|answer| answer.unwrap_or(Err(StoreError::Closed)))
    }
}
