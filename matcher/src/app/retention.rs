//! Retention: deletes what is over, kind by kind, in batches, one run at a time over all processes.
//!
//! A run that breaks off has deleted what it has deleted; the next one goes on. Not here: how long what is kept
//! (`matcher_core::retention`, `[retention]` of the settings).

use std::{sync::Arc, time::Duration};

use matcher_core::{RetentionKind, RetentionRule};
use thiserror::Error;
use tracing::{info, warn};

use crate::{
    center::Center,
    store::{
        StoreError, TimeMs,
        feed::FEED_KEPT,
        retention::{Batch, RetentionRun},
        subjects::Count,
    },
    surroundings::Surroundings,
};

/// Records of one commit.
const BATCH_LEN: u32 = 500;
/// Nobody else runs for this long after a batch.
const LEASE_MS: i64 = 300_000;
/// How often it is looked whether a run is due.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// A run that could not be made, or broke off.
#[derive(Debug, Error)]
pub enum RetentionError {
    /// Another run is under way.
    #[error("another run of retention is under way; nothing was deleted")]
    UnderWay,
    /// It was too slow, and another run took over.
    #[error("another run of retention took over; what was deleted stays deleted")]
    Overtaken,
    /// The store failed.
    #[error("the store could not be asked")]
    Store(#[source] StoreError),
}

/// Deletes what is over.
#[derive(Clone)]
pub struct Retainer {
    /// The store.
    pub center: Center,
    /// Clock and ids.
    pub surroundings: Arc<dyn Surroundings>,
    /// How long what is kept.
    pub rule: RetentionRule,
    /// Time from the start of one run to the next.
    pub every: Duration,
}

impl std::fmt::Debug for Retainer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Retainer").field("rule", &self.rule).field("every", &self.every).finish_non_exhaustive()
    }
}

impl Retainer {
    /// Runs when a run is due, until it is dropped.
    pub async fn run(self) {
        loop {
            match self.run_if_due().await {
                Ok(Some(counts)) => info!(deleted = counts.iter().map(|(_, rows)| rows).sum::<u64>(), "retention ran"),
                Ok(None) | Err(RetentionError::UnderWay | RetentionError::Overtaken) => {}
                Err(error @ RetentionError::Store(_)) => {
                    warn!(error = &error as &dyn std::error::Error, "retention could not run now");
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Runs unless the last run started too short a time ago.
    ///
    /// # Errors
    /// As [`Self::run_now`].
    pub async fn run_if_due(&self) -> Result<Option<Vec<Count>>, RetentionError> {
        let last = self.center.store.retention_runs(1).await.map_err(RetentionError::Store)?;
        let every = i64::try_from(self.every.as_millis()).unwrap_or(i64::MAX);
        let due = |last: &RetentionRun| last.started_at.saturating_add(every) <= self.surroundings.now_ms();
        if last.first().is_none_or(due) { self.run_now().await.map(Some) } else { Ok(None) }
    }

    /// Runs; says how many records of each kind were deleted.
    ///
    /// # Errors
    /// When another run is under way or the store fails.
    pub async fn run_now(&self) -> Result<Vec<Count>, RetentionError> {
        let (store, run) = (&self.center.store, self.surroundings.new_record());
        let begun = store.begin_retention(run, self.surroundings.now_ms(), LEASE_MS).await.map_err(RetentionError::Store)?;
        if !begun {
            return Err(RetentionError::UnderWay);
        }
        let mut counts = Vec::new();
        for kind in RetentionKind::ALL {
            let mut deleted = 0;
            loop {
                let now = self.surroundings.now_ms();
                let batch = Batch { run, kind: *kind, before: self.rule.before(*kind, now), now, lease_ms: LEASE_MS, limit: BATCH_LEN };
                let rows = store.retain(batch).await.map_err(RetentionError::Store)?.ok_or(RetentionError::Overtaken)?;
                deleted += rows;
                if rows < u64::from(BATCH_LEN) {
                    break;
                }
            }
            counts.push((kind.word().to_owned(), deleted));
        }
        // Who keeps copies has read them long ago, or starts anew.
        store.trim_feed(FEED_KEPT).await.map_err(RetentionError::Store)?;
        let now = self.surroundings.now_ms();
        let finished = store.finish_retention(run, now, counts.clone()).await.map_err(RetentionError::Store)?;
        // What was deleted must not stand in the log either.
        if !store.settle().await.map_err(RetentionError::Store)? {
            warn!("the log of changes could not be emptied; the next run tries again");
        }
        if finished { Ok(counts) } else { Err(RetentionError::Overtaken) }
    }

    /// How many records of each kind a run would delete.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn dry_run(&self) -> Result<Vec<Count>, RetentionError> {
        let now: TimeMs = self.surroundings.now_ms();
        let mut counts = Vec::new();
        for kind in RetentionKind::ALL {
            let over = self.center.store.over(*kind, self.rule.before(*kind, now), now).await.map_err(RetentionError::Store)?;
            counts.push((kind.word().to_owned(), over));
        }
        Ok(counts)
    }
}
