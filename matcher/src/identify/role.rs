//! The process that keeps the indexes: loads or builds them, reads what changed every few seconds, searches what came, saves.
//!
//! Whatever disagrees (a file that does not open, another model, changes that were missed, another number of records than the
//! store's) is answered by building again; counters notice nothing of it. Not here: what is searched for (`super::jobs`).

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use matcher_index::Settings;
use tracing::{info, warn};

use super::{
    IdentifyError, Opened,
    held::{Held, What},
    sealed, searched,
};
use crate::{
    center::Center,
    config::IdentificationConfig,
    feature_models::{FeatureModel, FeatureModels},
    store::{
        TimeMs,
        feed::{SearchRecord, Searchable},
    },
    surroundings::Surroundings,
};

/// Visits that the index of references is tuned with.
const TUNED_WITH: u32 = 256;

/// Keeps indexes and searches what comes.
#[derive(Clone)]
pub struct Searcher {
    /// Store, vault and policy.
    pub center: Center,
    /// Models and how many numbers they give.
    pub models: Arc<FeatureModels>,
    /// Settings.
    pub config: IdentificationConfig,
    /// Whether cases open while the policy tells nobody anything.
    pub open_in_shadow: bool,
    /// Where indexes are saved.
    pub folder: PathBuf,
    /// Clock and ids.
    pub surroundings: Arc<dyn Surroundings>,
}

impl std::fmt::Debug for Searcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Searcher").field("config", &self.config).finish_non_exhaustive()
    }
}

/// The indexes of a process.
#[derive(Debug, Default)]
pub struct Indexes {
    /// Of references.
    pub references: Option<Held>,
    /// Of probes.
    pub probes: Option<Held>,
    saved_at: TimeMs,
}

/// What a turn did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Turn {
    /// Changes that were read.
    pub changes: u64,
    /// References that may be of somebody enrolled before.
    pub duplicates: u64,
    /// Faces seen on several cards.
    pub same_faces: u64,
    /// Cards with many faces.
    pub many_faces: u64,
}

impl Searcher {
    /// Takes turns until it is dropped.
    pub async fn run(self) {
        let mut indexes = Indexes::default();
        let mut told = false;
        loop {
            match self.turn(&mut indexes).await {
                Ok(turn) if turn == Turn { changes: turn.changes, ..Turn::default() } => {}
                Ok(turn) => info!(?turn, "faces were searched"),
                Err(IdentifyError::NoBasis) if told => {}
                Err(error) => {
                    told = matches!(error, IdentifyError::NoBasis);
                    warn!(error = &error as &dyn std::error::Error, "faces are not searched now");
                    // What is left of an index that failed cannot be trusted.
                    indexes.references.take_if(|held| held.index().is_none());
                    indexes.probes.take_if(|held| held.index().is_none());
                }
            }
            tokio::time::sleep(self.config.every()).await;
        }
    }

    /// Reads what changed, builds what is missing, searches what came and saves.
    ///
    /// # Errors
    /// When searching has no basis, or the store or an index fails; the next turn does what was left.
    pub async fn turn(&self, indexes: &mut Indexes) -> Result<Turn, IdentifyError> {
        let made_by = searched(&self.center.policies.current().policy);
        let made_by = made_by.inspect_err(|_| (indexes.references, indexes.probes) = (None, None))?;
        let now = self.surroundings.now_ms();
        let mut turn = Turn::default();
        for kind in Searchable::ALL {
            let slot = indexes.of(kind);
            slot.take_if(|held| held.what.made_by != made_by || held.index().is_none_or(matcher_index::FaceIndex::is_outgrown));
            match slot {
                None => *slot = Some(self.held(kind).await?),
                Some(held) => match held.catch_up(&self.center).await {
                    Ok(changes) => turn.changes += changes,
                    Err(IdentifyError::Behind) => {
                        warn!(kind = kind.word(), "changes were missed; the index is built again");
                        *slot = None;
                        *slot = Some(self.build(kind, &log_progress(kind)).await?);
                    }
                    Err(error) => {
                        *slot = None;
                        return Err(error);
                    }
                },
            }
        }
        if let (Some(references), Some(probes)) = (&mut indexes.references, &indexes.probes) {
            self.tune(references, probes).await?;
        }
        if let Some(held) = &mut indexes.references {
            turn.duplicates = self.duplicates(held).await?;
        }
        if let Some(held) = &mut indexes.probes {
            turn.same_faces = self.same_faces(held).await?;
        }
        turn.many_faces = self.many_faces().await?;
        self.save_due(indexes, now).await?;
        Ok(turn)
    }

    /// Tunes the index of references with visits, where it is not exact.
    async fn tune(&self, references: &mut Held, probes: &Held) -> Result<(), IdentifyError> {
        if references.tuned || references.index().is_none_or(matcher_index::FaceIndex::is_exact) {
            return Ok(());
        }
        let What { kind, made_by, since } = &probes.what;
        // By ids, which are random: visits of some people, whoever they are.
        let records = self.center.store.searchable(*kind, made_by, *since, None, TUNED_WITH).await.map_err(IdentifyError::Store)?;
        let open = |record: &SearchRecord| Opened::open(&self.center.vault, *kind, record).map(|opened| opened.template);
        references.tune(&records.iter().filter_map(open).collect::<Vec<_>>()).await
    }

    async fn save_due(&self, indexes: &mut Indexes, now: TimeMs) -> Result<(), IdentifyError> {
        let is_due = now.saturating_sub(indexes.saved_at) >= self.config.save_every_ms();
        for kind in Searchable::ALL {
            let slot = indexes.of(kind);
            let Some(held) = slot.take_if(|held| is_due || held.removed) else { continue };
            *slot = Some(self.save(held).await?);
        }
        if is_due {
            indexes.saved_at = now;
        }
        Ok(())
    }

    /// Saves an index.
    ///
    /// # Errors
    /// When the file or the engine fails; the index is lost with it, and the older file stays.
    pub async fn save(&self, held: Held) -> Result<Held, IdentifyError> {
        let (vault, path, now) = (Arc::clone(&self.center.vault), sealed::path(&self.folder, held.what.kind), self.surroundings.now_ms());
        let save = move || {
            let mut held = held;
            sealed::save(&held, &vault, &path, now)?;
            held.removed = false;
            Ok(held)
        };
        tokio::task::spawn_blocking(save).await.map_err(|_| IdentifyError::Interrupted)?
    }

    /// What an index of a kind is of as things are now, and how it is made.
    ///
    /// # Errors
    /// When searching has no basis, or the model in force is not known.
    pub fn wanted(&self, kind: Searchable) -> Result<(What, Settings), IdentifyError> {
        let in_force = self.center.policies.current();
        let made_by = searched(&in_force.policy)?;
        let known = |model: &&FeatureModel| model.recipe == *in_force.policy.recipe();
        let dimension = self.models.named(&made_by.model).find(known).map(|model| model.dimension);
        let dimension = dimension.ok_or_else(|| IdentifyError::UnknownModel(in_force.policy.model().clone()))?;
        let since = match kind {
            Searchable::Reference => TimeMs::MIN,
            Searchable::Probe => self.surroundings.now_ms().saturating_sub(self.config.probe_window_ms()),
        };
        Ok((What { kind, made_by, since }, self.config.settings(dimension, 0)))
    }

    /// The index of a kind as it should be: the saved one brought up to date, or one that is built now.
    ///
    /// # Errors
    /// As [`Held::build`].
    pub async fn held(&self, kind: Searchable) -> Result<Held, IdentifyError> {
        let (wanted, settings) = self.wanted(kind)?;
        match self.saved(&wanted, settings).await {
            Ok(held) => Ok(held),
            Err(error) => {
                let missing = matches!(&error, IdentifyError::File(error) if error.kind() == std::io::ErrorKind::NotFound);
                if !missing {
                    warn!(kind = kind.word(), error = &error as &dyn std::error::Error, "the saved index is not used");
                }
                self.build(kind, &log_progress(kind)).await
            }
        }
    }

    /// Builds the index of a kind, whatever is saved.
    ///
    /// # Errors
    /// As [`Held::build`].
    pub async fn build(&self, kind: Searchable, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<Held, IdentifyError> {
        let (wanted, settings) = self.wanted(kind)?;
        let mut held = Held::build(&self.center, wanted, settings, progress).await?;
        held.catch_up(&self.center).await?;
        // There may be nothing readable left of who was removed meanwhile in an older file.
        held.removed = true;
        info!(kind = kind.word(), records = held.len(), bytes = held.index().map(matcher_index::FaceIndex::bytes), "index built");
        Ok(held)
    }

    /// The saved index, up to date.
    async fn saved(&self, wanted: &What, settings: Settings) -> Result<Held, IdentifyError> {
        let (vault, path, of) = (Arc::clone(&self.center.vault), sealed::path(&self.folder, wanted.kind), wanted.clone());
        let load = move || sealed::load(&vault, &path, &of, settings);
        let mut held = tokio::task::spawn_blocking(load).await.map_err(|_| IdentifyError::Interrupted)??;
        held.catch_up(&self.center).await?;
        let What { kind, made_by, since } = &held.what;
        let there = self.center.store.searchable_count(*kind, made_by, *since).await.map_err(IdentifyError::Store)?;
        // Something may have come between the two looks; what comes within seconds of a start is few.
        if there.abs_diff(held.len()) > there / 1_000 + 8 {
            return Err(IdentifyError::Saved("it has another number of records than the store"));
        }
        Ok(held)
    }
}

impl Indexes {
    fn of(&mut self, kind: Searchable) -> &mut Option<Held> {
        match kind {
            Searchable::Reference => &mut self.references,
            Searchable::Probe => &mut self.probes,
        }
    }
}

/// Logs each tenth of the way.
fn log_progress(kind: Searchable) -> impl Fn(u64, u64) + Sync {
    let told = AtomicU64::new(0);
    move |done, of| {
        let tenth = done * 10 / of.max(1);
        if told.swap(tenth, Ordering::Relaxed) != tenth {
            info!(kind = kind.word(), done, of, "index is being built");
        }
    }
}
