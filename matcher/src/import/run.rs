//! The rows' way: read, look up, extract and seal on all cores; write in batches; bounded in between.
//!
//! Workers take the rows in order. What they finish waits in a queue of bounded length for the one writer,
//! which takes all that waits, as many as fit one commit, and so keeps up with any number of cores.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use models::pipeline::PhotoRefusal;
use rayon::iter::{ParallelBridge, ParallelIterator};
use thiserror::Error;
use tokio::{runtime::Handle, sync::mpsc, task};

use super::{
    Progress, Refused, Summary,
    manifest::{Manifest, Row},
    photos::Photos,
};
use crate::{
    app::enrol::{Claim, Draft, EnrolError, EnrolOutcome, PhotoModel, Refusal},
    center::Center,
    store::{NewEnrolment, StoreError},
    surroundings::Surroundings,
};

/// Rows in one commit at most.
const BATCH_LEN_MAX: usize = 64;
/// Finished rows that may wait for the writer.
const QUEUE_LEN_MAX: usize = 128;

/// An import that broke off. What was counted is durable, and the same command goes on from there.
#[derive(Debug, Error)]
pub enum ImportFailure {
    /// The store failed.
    #[error("the store failed after {done} rows; start the same command again to go on")]
    Store {
        /// Rows that something became of.
        done: u64,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// The worker threads ended before the rows did.
    #[error("the workers stopped after {done} rows; start the same command again to go on")]
    Workers {
        /// Rows that something became of.
        done: u64,
    },
}

/// An import's tools.
pub(crate) struct Import<M> {
    pub(crate) center: Center,
    pub(crate) model: M,
    pub(crate) surroundings: Arc<dyn Surroundings>,
    pub(crate) photos: Photos,
}

/// What a worker made of a row.
enum Finished {
    Refused(Refused),
    Unchanged,
    Ready(Box<Ready>),
    /// The store failed: the import cannot go on.
    Failed(StoreError),
}

/// A row that only has to be written.
struct Ready {
    row: Row,
    draft: Draft,
    new: NewEnrolment,
}

impl<M: PhotoModel + Clone + 'static> Import<M> {
    /// Enrols all rows; stops early, with everything begun finished, when told to.
    pub(crate) async fn run(self, manifest: Manifest, progress: &mut Progress, stop: Arc<AtomicBool>) -> Result<Summary, ImportFailure> {
        let started = Instant::now();
        let rows_len = manifest.rows.len() as u64 + manifest.refused.len() as u64;
        let mut tally = Tally { summary: Summary::default(), progress };
        manifest.refused.into_iter().for_each(|refused| tally.refuse(refused));
        let import = Arc::new(self);
        let (finished, waiting) = mpsc::channel(QUEUE_LEN_MAX);
        let workers = task::spawn_blocking({
            let (import, stop, handle) = (Arc::clone(&import), Arc::clone(&stop), Handle::current());
            move || import.work(manifest.rows, &finished, &stop, &handle)
        });
        let written = import.write(waiting, &mut tally).await;
        stop_if(written.is_err(), &stop);
        let joined = workers.await;
        let mut summary = tally.summary;
        let done = summary.done();
        written.map_err(|source| ImportFailure::Store { done, source })?;
        joined.ok().flatten().ok_or(ImportFailure::Workers { done })?;
        summary.refused.sort_by_key(|refused| refused.row);
        Ok(Summary { not_reached: rows_len - done, took: started.elapsed(), ..summary })
    }

    /// Works through the rows on all cores, until they end, or nobody takes what is finished.
    fn work(&self, rows: Vec<Row>, finished: &mpsc::Sender<Finished>, stop: &AtomicBool, handle: &Handle) -> Option<()> {
        let pool = rayon::ThreadPoolBuilder::new().thread_name(|n| format!("enrol-{n}")).build().ok()?;
        let each = |row: Row| {
            if !stop.load(Ordering::Relaxed) && finished.blocking_send(self.row(row, handle)).is_err() {
                stop.store(true, Ordering::Relaxed);
            }
        };
        pool.install(|| rows.into_iter().par_bridge().for_each(each));
        Some(())
    }

    fn row(&self, row: Row, handle: &Handle) -> Finished {
        match self.prepare(&row, handle) {
            Ok(Prepared::Unchanged) => Finished::Unchanged,
            Ok(Prepared::Ready(draft, new)) => Finished::Ready(Box::new(Ready { row, draft: *draft, new: *new })),
            Ok(Prepared::Refused(reason, detail)) => Finished::Refused(row.refuse(reason, detail)),
            Err(error) => failed(&row, error),
        }
    }

    /// From a row to a sealed reference, or why there is none.
    fn prepare(&self, row: &Row, handle: &Handle) -> Result<Prepared, EnrolError> {
        let photo = match self.photos.read(&row.photo) {
            Ok(photo) => photo,
            Err(error) => return Ok(Prepared::Refused(error.word(), error.to_string())),
        };
        let claim = Claim::new(&self.center, &row.identifiers)?;
        let person = handle.block_on(claim.person(&self.center))?;
        if let Some(reason) = person.refusal() {
            return Ok(refusal(&reason));
        }
        if person.is_unchanged(&self.center, &self.model, &photo, &row.about, row.birth)? {
            return Ok(Prepared::Unchanged);
        }
        let extracted = match self.model.extract(&photo).map_err(EnrolError::Network)? {
            Ok(extracted) => extracted,
            Err(reason) => return Ok(refused_photo(reason)),
        };
        let draft = Draft { claim, extracted, photo, about: row.about, birth: row.birth };
        Ok(match draft.seal(&self.center, self.surroundings.as_ref(), &person)? {
            Ok(new) => Prepared::Ready(Box::new(draft), Box::new(new)),
            Err(reason) => refusal(&reason),
        })
    }

    /// Counts what is finished and writes what is ready, a batch at a time.
    async fn write(&self, mut waiting: mpsc::Receiver<Finished>, tally: &mut Tally<'_>) -> Result<(), StoreError> {
        while let Some(first) = waiting.recv().await {
            let mut batch = Vec::new();
            let mut next = Some(first);
            while let Some(finished) = next {
                match finished {
                    Finished::Refused(refused) => tally.refuse(refused),
                    Finished::Unchanged => tally.count(&EnrolOutcome::Unchanged),
                    Finished::Ready(ready) => batch.push(*ready),
                    Finished::Failed(error) => return Err(error),
                }
                next = if batch.len() < BATCH_LEN_MAX { waiting.try_recv().ok() } else { None };
            }
            self.write_batch(batch, tally).await?;
        }
        Ok(())
    }

    async fn write_batch(&self, batch: Vec<Ready>, tally: &mut Tally<'_>) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        let (kept, new): (Vec<_>, Vec<_>) = batch.into_iter().map(|ready| ((ready.row, ready.draft), ready.new)).unzip();
        let written = self.center.store.put_enrolments(new).await?;
        for ((row, draft), written) in kept.into_iter().zip(written) {
            match written {
                Ok(enrolled) => tally.count(&enrolled.into()),
                // Another row, or somebody at a desk, enrolled one of the numbers meanwhile.
                Err(StoreError::Conflict(_)) => self.write_again(&row, &draft, tally).await?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn write_again(&self, row: &Row, draft: &Draft, tally: &mut Tally<'_>) -> Result<(), StoreError> {
        let again = async { draft.write(&self.center, self.surroundings.as_ref(), draft.claim.person(&self.center).await?).await };
        match again.await {
            Ok(EnrolOutcome::Refused(refusal)) => tally.refuse(row.refuse(refusal.word(), refusal.to_string())),
            Ok(outcome @ (EnrolOutcome::Enrolled | EnrolOutcome::Replaced | EnrolOutcome::Added | EnrolOutcome::Unchanged)) => {
                tally.count(&outcome);
            }
            Err(error) => match failed(row, error) {
                Finished::Refused(refused) => tally.refuse(refused),
                Finished::Failed(error) => return Err(error),
                Finished::Unchanged | Finished::Ready(_) => {}
            },
        }
        Ok(())
    }
}

enum Prepared {
    Unchanged,
    Refused(&'static str, String),
    Ready(Box<Draft>, Box<NewEnrolment>),
}

fn refusal(refusal: &Refusal) -> Prepared {
    Prepared::Refused(refusal.word(), refusal.to_string())
}

fn refused_photo(reason: PhotoRefusal) -> Prepared {
    refusal(&Refusal::Photo(reason))
}

/// What fails for one row refuses that row; what fails for all of them ends the import.
fn failed(row: &Row, error: EnrolError) -> Finished {
    let reason = match error {
        EnrolError::Store(error) => return Finished::Failed(error),
        EnrolError::Identifiers(_) => "malformed_row",
        EnrolError::Conflict => "conflict",
        EnrolError::DataKey(_) => "data_key_unreadable",
        EnrolError::Binding => "identifier_not_bound",
        EnrolError::Network(_) | EnrolError::Interrupted => "network_failed",
    };
    Finished::Refused(row.refuse(reason, error.to_string()))
}

fn stop_if(failed: bool, stop: &AtomicBool) {
    if failed {
        stop.store(true, Ordering::Relaxed);
    }
}

/// Counts and shows.
struct Tally<'a> {
    summary: Summary,
    progress: &'a mut Progress,
}

impl Tally<'_> {
    fn refuse(&mut self, refused: Refused) {
        self.progress.refused(&refused);
        self.summary.refused.push(refused);
        self.progress.advance();
    }

    fn count(&mut self, outcome: &EnrolOutcome) {
        match outcome {
            EnrolOutcome::Enrolled => self.summary.enrolled += 1,
            EnrolOutcome::Replaced => self.summary.replaced += 1,
            EnrolOutcome::Added => self.summary.added += 1,
            EnrolOutcome::Unchanged => self.summary.unchanged += 1,
            EnrolOutcome::Refused(_) => return,
        }
        self.progress.advance();
    }
}
