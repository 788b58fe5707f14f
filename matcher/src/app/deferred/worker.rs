//! Compares what waits: takes a chunk, judges each capture, writes them all in one commit.
//!
//! A worker that dies loses nothing: what it had taken is due again when its lease runs out, and whoever is too slow
//! writes nothing. A capture that does not open is put aside with the reason, and never guessed at. Not here: how a
//! capture is judged ([`judging`](super::super::judging)), and when to work ([`batch`](crate::batch)).

use std::{collections::HashMap, sync::Arc};

use matcher_core::{Decision, Doubt, RecheckRule, RetryRule};
use models_core::{ModelId, RecipeId, Template};
use thiserror::Error;

use super::{
    super::judging::{self, Against, Facts, Seen},
    on_all_cores,
    sealed::SealedFacts,
};
use crate::{
    app::person::Person,
    center::Center,
    policy::{
        InForceError,
        history::{Ages, History},
    },
    store::{
        MadeBy, NewVerification, RecordId, Sealed, StoreError, StoredSubject, SubjectId, TimeMs,
        deferred::{DeferredOutcome, DoneDeferred, TakenDeferred},
    },
    surroundings::Surroundings,
    vault::{DataKey, RecordContext},
};

/// Why a capture is put aside whose seals do not open as its own.
const UNREADABLE: &str = "unreadable";

/// A chunk that could not be worked on now; it is due again.
#[derive(Debug, Error)]
pub enum WorkError {
    /// The store failed.
    #[error("the store could not be asked")]
    Store(#[source] StoreError),
    /// The policies cannot be had.
    #[error(transparent)]
    Policy(InForceError),
    /// The work ended without an answer.
    #[error("the comparisons gave no answer")]
    Interrupted,
}

/// What came of a chunk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ChunkSummary {
    /// Captures that were taken.
    pub taken: u64,
    /// Captures that have their record now.
    pub decided: u64,
    /// Captures that were put aside.
    pub parked: u64,
    /// Captures that somebody else has, that are gone, or that could not be written now.
    pub left: u64,
}

/// Compares captures that wait.
#[derive(Clone)]
pub struct Worker {
    /// Store and vault.
    pub center: Center,
    /// Clock and ids.
    pub surroundings: Arc<dyn Surroundings>,
    /// Policies through time.
    pub history: Arc<History>,
    /// Which captures have their template made again.
    pub recheck: RecheckRule,
    /// How long a chunk is kept from others, and how often it is tried.
    pub rule: RetryRule,
    /// Captures of one chunk.
    pub chunk: u32,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").field("rule", &self.rule).field("chunk", &self.chunk).finish_non_exhaustive()
    }
}

/// What a chunk is judged with.
struct Around {
    persons: HashMap<SubjectId, StoredSubject>,
    earlier: HashMap<(String, String), Vec<(u32, Decision)>>,
    ages: Arc<Ages>,
    now: TimeMs,
}

impl Worker {
    /// Works on the next chunk; nothing when nothing is due.
    ///
    /// # Errors
    /// When the store or the policies cannot be had; what was taken is due again later.
    pub async fn next(&self) -> Result<Option<ChunkSummary>, WorkError> {
        let store = &self.center.store;
        let now = self.surroundings.now_ms();
        let taken = store.take_deferred(now, self.chunk, self.rule).await.map_err(WorkError::Store)?;
        if taken.is_empty() {
            return Ok(None);
        }
        let around = Arc::new(self.around(&taken, now).await?);
        let mut summary = ChunkSummary { taken: taken.len() as u64, ..ChunkSummary::default() };
        let worker = self.clone();
        let done: Vec<Option<DoneDeferred>> = on_all_cores(taken, move |taken| worker.judge(&taken, &around)).await;
        let done: Vec<DoneDeferred> = done.into_iter().flatten().collect();
        let parks: Vec<bool> = done.iter().map(|done| matches!(done.outcome, DeferredOutcome::Parked(_))).collect();
        let written = store.finish_deferred(done).await.map_err(WorkError::Store)?;
        for (written, parks) in written.into_iter().zip(parks) {
            match (written, parks) {
                (Ok(true), false) => summary.decided += 1,
                (Ok(true), true) => summary.parked += 1,
                (Ok(false), _) => {}
                (Err(error), _) => tracing::warn!(error = &error as &dyn std::error::Error, "a capture could not be recorded now"),
            }
        }
        summary.left = summary.taken - summary.decided - summary.parked;
        Ok(Some(summary))
    }

    async fn around(&self, taken: &[TakenDeferred], now: TimeMs) -> Result<Around, WorkError> {
        let ages = self.history.ages().await.map_err(WorkError::Policy)?;
        let persons = persons(&self.center, taken.iter().map(|taken| taken.subject)).await.map_err(WorkError::Store)?;
        let transactions = taken.iter().map(|taken| (taken.request.institution.clone(), taken.request.transaction.clone()));
        let earlier = decisions(&self.center, transactions).await.map_err(WorkError::Store)?;
        Ok(Around { persons, earlier, ages, now })
    }

    /// Nothing for somebody who is gone: then the capture is, too.
    fn judge(&self, taken: &TakenDeferred, around: &Around) -> Option<DoneDeferred> {
        let stored = around.persons.get(&taken.subject)?;
        let outcome = match self.open(stored, taken) {
            Some((key, sealed, template)) => {
                let person = Person::of_key(key, stored, sealed.facts.captured_at);
                DeferredOutcome::Decided(Box::new(self.decide(&person, taken, sealed, &template, around)))
            }
            None => DeferredOutcome::Parked(UNREADABLE),
        };
        Some(DoneDeferred { subject: taken.subject, id: taken.id, taken: taken.taken, outcome, at: around.now })
    }

    /// The data key, facts and template, when they open as this person's and this capture's.
    fn open(&self, stored: &StoredSubject, taken: &TakenDeferred) -> Option<(DataKey, SealedFacts, Template)> {
        let key = self.center.vault.unwrap_data_key(taken.subject, &stored.data_key).ok()?;
        let bytes = key.open(&RecordContext::deferred_facts(taken.subject, taken.id), &taken.facts).ok()?;
        let sealed = SealedFacts::from_bytes(&bytes)?;
        let Facts { id, request, captured_at, .. } = &sealed.facts;
        let fits = (*id, request, *captured_at) == (taken.id, &taken.request, taken.captured_at);
        let template = open_template(&key, taken.subject, taken.id, &taken.made_by, &taken.template)?;
        fits.then_some((key, sealed, template))
    }

    fn decide(&self, person: &Person, taken: &TakenDeferred, sealed: SealedFacts, template: &Template, around: &Around) -> NewVerification {
        let SealedFacts { facts, clock_known } = sealed;
        let (policy, doubt) = around.ages.at(facts.captured_at);
        let doubts: Vec<Doubt> = doubt.into_iter().chain((!clock_known).then_some(Doubt::TimeUnknown)).collect();
        let transaction = (facts.request.institution.clone(), facts.request.transaction.clone());
        let earlier = around.earlier.get(&transaction).map(Vec::as_slice).unwrap_or_default();
        let others: Vec<Decision> =
            earlier.iter().filter(|(attempt, _)| *attempt != facts.request.attempt).map(|(_, decision)| *decision).collect();
        let against = Against { policy, person: Some(person), earlier: &others, doubts: &doubts };
        let verdict = judging::judge(&facts, Seen::Probe(template), against);
        let (record, flags) = judging::record(facts, verdict, against, around.now, self.surroundings.as_ref());
        let made_by = judging::keeps_probe(&record).then(|| taken.made_by.clone());
        let recheck = made_by.clone().filter(|_| judging::is_rechecked(&self.recheck, &record));
        NewVerification { record, probe: None, flags, recheck, made_by, receipt: None, proxy: None }
    }
}

/// A probe's template, when it opens as this person's and this verification's.
pub(in crate::app) fn open_template(
    key: &DataKey,
    subject: SubjectId,
    record: RecordId,
    made_by: &MadeBy,
    sealed: &Sealed,
) -> Option<Template> {
    let features = key.open(&RecordContext::probe_template(subject, record, &made_by.model), sealed).ok()?;
    let (model, recipe) = (ModelId::new(&made_by.model).ok()?, RecipeId::new(&made_by.recipe).ok()?);
    Template::from_f16_le_bytes(model, recipe, features.len() / 2, &features).ok()
}

/// Persons by id, each asked for once.
pub(in crate::app) async fn persons(
    center: &Center,
    subjects: impl Iterator<Item = SubjectId>,
) -> Result<HashMap<SubjectId, StoredSubject>, StoreError> {
    let mut subjects: Vec<SubjectId> = subjects.collect();
    subjects.sort_unstable();
    subjects.dedup();
    Ok(center.store.persons(subjects).await?.into_iter().map(|person| (person.subject, person)).collect())
}

/// Decisions by transaction, each asked for once.
pub(in crate::app) async fn decisions(
    center: &Center,
    transactions: impl Iterator<Item = (String, String)>,
) -> Result<HashMap<(String, String), Vec<(u32, Decision)>>, StoreError> {
    let mut transactions: Vec<(String, String)> = transactions.collect();
    transactions.sort_unstable();
    transactions.dedup();
    let decisions = center.store.decisions_of_all(transactions.clone()).await?;
    Ok(transactions.into_iter().zip(decisions).collect())
}
