//! The group-commit writer: one thread takes all changes that wait, applies each in one transaction so that it can be
//! undone alone, commits once, and only then answers.
//!
//! One fsync serves many callers. A change that fails undoes itself and nothing else; a commit that fails
//! answers everyone in it *unavailable*; a full queue answers at once, so that load is felt by whoever makes
//! it. A change whose caller has gone away before its turn is left out.

use std::{sync::Arc, thread};

use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use super::{
    connection::{Connection, Isolation},
    unavailable,
};
use crate::store::StoreError;

/// Changes that may wait.
const QUEUE_LEN_MAX: usize = 1024;
/// Changes in one commit at most, so that the first of them does not wait for ever.
const BATCH_LEN_MAX: usize = 256;

/// Why a change was not made although nothing is wrong with it.
#[derive(Debug, Error)]
enum NotWritten {
    #[error("the writer has stopped")]
    Stopped,
    #[error("the commit failed")]
    Commit(#[source] Arc<CommitError>),
}

/// Why nothing of a transaction was written.
#[derive(Debug, Error)]
pub(super) enum CommitError {
    #[error("the database refused")]
    Refused(#[source] StoreError),
    /// A full disk and the like make the database undo a transaction by itself, neighbours and all.
    #[error("the database undid the transaction")]
    Undone,
    #[error("what goes with the commit could not be written")]
    With(#[source] StoreError),
}

/// What goes with every commit: it sees all that the commit is to make durable, and hears what came of it.
pub(super) trait WithCommit: Send + 'static {
    /// Writes the last of the transaction; an error fails all of it.
    fn before(&mut self, connection: &Connection) -> Result<(), StoreError>;
    /// Hears whether it was committed.
    fn after(&mut self, committed: bool);
}

/// A change that waits for its commit.
trait Change: Send {
    /// Whether it may run beside the changes of other processes.
    fn isolation(&self) -> Isolation;
    /// Whether some of its statements can go ahead of the changes before it, as long as those can too.
    fn goes_ahead(&self) -> bool;
    /// Sends the statements that nobody waits for one by one; false undoes the change.
    fn ahead(&mut self, connection: &Connection) -> bool;
    /// Applies the change, once it is known how many rows those statements changed; false undoes it. Both may be done again
    /// after their transaction was undone.
    fn apply(&mut self, connection: &Connection, counts: &[usize]) -> bool;
    /// Hears that what it did was undone after all.
    fn fail(&mut self, error: StoreError);
    /// Tells the caller, after the commit.
    fn answer(self: Box<Self>, commit: Result<(), Arc<CommitError>>);
}

/// Handle of the writer thread; the thread ends, all its changes written, when this is dropped.
pub(super) struct Writer {
    queue: Option<mpsc::Sender<Box<dyn Change>>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(connection: Connection, with: impl WithCommit) -> Result<Self, StoreError> {
        let (queue, waiting) = mpsc::channel(QUEUE_LEN_MAX);
        let run = move || run(&connection, waiting, with);
        let thread = thread::Builder::new().name("store-writer".into()).spawn(run).map_err(unavailable)?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Makes a change that shuts other processes' changes out, so that it may read what it then changes; returns when
    /// it is durable, or was undone.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        change: impl Fn(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.make(Isolation::Alone, change).await
    }

    /// Makes a change beside those of other processes: what they might both write must be decided by keys and row
    /// locks. Returns when it is durable, or was undone.
    pub(super) async fn write_beside<T: Send + 'static>(
        &self,
        change: impl Fn(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.make(Isolation::Beside, change).await
    }

    /// Makes a change as [`Writer::write_beside`] does, in two parts. The first only sends statements whose counts it wants
    /// ([`Connection::later`]); many such changes send theirs together and wait once. What it returns comes to the second,
    /// with all counts. The second may run after the first of a change that came later, never before one that came earlier.
    pub(super) async fn write_in_two<A: Send + 'static, T: Send + 'static>(
        &self,
        ahead: impl Fn(&Connection) -> Result<A, StoreError> + Send + 'static,
        change: impl Fn(&Connection, &A, &[usize]) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.queue(Isolation::Beside, true, ahead, change).await
    }

    async fn make<T: Send + 'static>(
        &self,
        isolation: Isolation,
        change: impl Fn(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.queue(isolation, false, |_| Ok(()), move |connection, (), _| change(connection)).await
    }

    async fn queue<A: Send + 'static, T: Send + 'static>(
        &self,
        isolation: Isolation,
        goes_ahead: bool,
        ahead: impl Fn(&Connection) -> Result<A, StoreError> + Send + 'static,
        change: impl Fn(&Connection, &A, &[usize]) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let pending = Pending { isolation, goes_ahead, ahead, change, before: None, result: None, reply };
        let queue = self.queue.as_ref().ok_or_else(|| unavailable(NotWritten::Stopped))?;
        queue.try_send(Box::new(pending)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Busy,
            mpsc::error::TrySendError::Closed(_) => unavailable(NotWritten::Stopped),
        })?;
        answer.await.map_err(|_| unavailable(NotWritten::Stopped))?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(connection: &Connection, mut waiting: mpsc::Receiver<Box<dyn Change>>, mut with: impl WithCommit) {
    let mut batch = Vec::new();
    while let Some(first) = waiting.blocking_recv() {
        batch.push(first);
        while batch.len() < BATCH_LEN_MAX
            && let Ok(next) = waiting.try_recv()
        {
            batch.push(next);
        }
        let committed = commit(connection, &mut batch, &mut with).map_err(Arc::new);
        with.after(committed.is_ok());
        if let Err(error) = &committed {
            tracing::error!(error = error.as_ref() as &dyn std::error::Error, changes = batch.len(), "a commit failed");
        }
        for change in batch.drain(..) {
            change.answer(committed.clone());
        }
    }
}

/// One transaction, what goes with the commit, one commit.
fn commit(connection: &Connection, batch: &mut [Box<dyn Change>], with: &mut impl WithCommit) -> Result<(), CommitError> {
    let alone = batch.iter().any(|change| change.isolation() == Isolation::Alone);
    let isolation = if alone { Isolation::Alone } else { Isolation::Beside };
    let done = apply_all(connection, isolation, batch).and_then(|()| {
        with.before(connection).map_err(CommitError::With)?;
        connection.commit().map_err(CommitError::Refused)
    });
    if done.is_err() {
        // What could not be undone, the engine undoes when the connection ends.
        let _ = connection.roll_back();
    }
    done
}

/// Applies every change, so that one that fails leaves nothing: then all of them once more, each in a savepoint.
fn apply_all(connection: &Connection, isolation: Isolation, batch: &mut [Box<dyn Change>]) -> Result<(), CommitError> {
    connection.begin(isolation).map_err(CommitError::Refused)?;
    // Savepoints cost PostgreSQL two messages each, and SQLite copies of the pages they would give back: without at first.
    let parts = batch.chunk_by_mut(|one, next| one.goes_ahead() && next.goes_ahead());
    let applied = { parts }.all(|changes| apply_together(connection, changes));
    if applied && connection.settle().is_ok() {
        return Ok(());
    }
    connection.roll_back().map_err(CommitError::Refused)?;
    connection.begin(isolation).map_err(CommitError::Refused)?;
    for change in batch {
        let apply = |connection: &Connection| {
            if apply_together(connection, std::slice::from_mut(change)) { connection.settle().map_err(Some) } else { Err(None) }
        };
        if let Err(Some(error)) = undoable(connection, apply)? {
            change.fail(error);
        }
    }
    Ok(())
}

/// Applies changes whose first statements go together; false when one of them failed.
fn apply_together(connection: &Connection, changes: &mut [Box<dyn Change>]) -> bool {
    if !changes.iter_mut().all(|change| change.ahead(connection) && !connection.is_undone()) {
        return false;
    }
    let counts = match changes {
        [only] if !only.goes_ahead() => Vec::new(),
        _ => match connection.counts() {
            Ok(counts) => counts,
            Err(error) => {
                if let [only] = changes {
                    only.fail(error);
                }
                return false;
            }
        },
    };
    changes.iter_mut().all(|change| change.apply(connection, &counts) && !connection.is_undone())
}

/// Makes a change in a savepoint: what fails is undone, and what was done before it stays.
pub(super) fn undoable<T, E>(
    connection: &Connection,
    change: impl FnOnce(&Connection) -> Result<T, E>,
) -> Result<Result<T, E>, CommitError> {
    let mark = connection.mark().map_err(CommitError::Refused)?;
    let result = change(connection);
    if connection.is_undone() {
        return Err(CommitError::Undone);
    }
    if result.is_err() {
        connection.back_to(mark).map_err(CommitError::Refused)?;
    }
    connection.release().map_err(CommitError::Refused)?;
    Ok(result)
}

/// A change, what came of it, and who is told.
struct Pending<A, T, G, F> {
    isolation: Isolation,
    goes_ahead: bool,
    ahead: G,
    change: F,
    before: Option<A>,
    result: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<A, T, G, F> Change for Pending<A, T, G, F>
where
    A: Send,
    T: Send,
    G: Fn(&Connection) -> Result<A, StoreError> + Send,
    F: Fn(&Connection, &A, &[usize]) -> Result<T, StoreError> + Send,
{
    fn isolation(&self) -> Isolation {
        self.isolation
    }

    fn goes_ahead(&self) -> bool {
        self.goes_ahead
    }

    fn ahead(&mut self, connection: &Connection) -> bool {
        (self.before, self.result) = (None, None);
        if self.reply.is_closed() {
            return true;
        }
        match (self.ahead)(connection) {
            Ok(before) => self.before = Some(before),
            Err(error) => self.result = Some(Err(error)),
        }
        self.result.is_none()
    }

    fn apply(&mut self, connection: &Connection, counts: &[usize]) -> bool {
        // Its caller had gone away before its turn.
        let Some(before) = &self.before else { return true };
        self.result = Some((self.change)(connection, before, counts));
        matches!(self.result, Some(Ok(_)))
    }

    fn fail(&mut self, error: StoreError) {
        self.result = Some(Err(error));
    }

    fn answer(self: Box<Self>, commit: Result<(), Arc<CommitError>>) {
        let answer = match (self.result, commit) {
            (Some(Err(error)), _) => Err(error),
            (_, Err(error)) => Err(unavailable(NotWritten::Commit(error))),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(unavailable(NotWritten::Stopped)),
        };
        // Nobody is there to be told when the caller went away meanwhile.
        let _ = self.reply.send(answer);
    }
}

#[cfg(test)]
mod tests;
