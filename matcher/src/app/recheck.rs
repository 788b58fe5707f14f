//! The agent's template is a claim: the center makes it again from the sample, and looks whether the two agree.
//!
//! Which captures are due is written with the verification, so that none is forgotten; several processes may
//! work at it. The center finds the face itself, near where the capture says it is, so that landmarks are
//! checked too. What does not agree raises *tampering suspected*, which is a flag and no verdict. Not here:
//! which captures are picked (`matcher_core::recheck`).

use std::{sync::Arc, time::Duration};

use matcher_core::{FlagKind, RecheckOutcome, RecheckRule};
use models::{
    picture::Picture,
    pipeline::{Pipeline, RunError},
};
use models_core::{DetectedFace, FaceBox, ModelId, RecipeId, Template, compare};
use thiserror::Error;
use tracing::{debug, warn};

use super::{
    flags,
    sample::{Sample, samples_from_bytes},
};
use crate::{
    center::Center,
    networks::{Networks, NetworksError},
    store::{DueRecheck, RecheckDone, StoreError},
    surroundings::Surroundings,
    vault::RecordContext,
};

/// Nobody else takes a capture for this long.
const LEASE_MS: i64 = 120_000;
/// Networks that fail on a capture this often are not tried again.
const ATTEMPTS_MAX: u32 = 5;
/// How long to wait when nothing is due.
const IDLE: Duration = Duration::from_secs(1);
/// How long to wait after a failure.
const AFTER_FAILURE: Duration = Duration::from_secs(30);
/// Share of the union of two boxes that they have in common, at least, when they are of one face.
const SAME_FACE_OVERLAP_MIN: f32 = 0.4;

/// A capture could not be checked now; it stays due.
#[derive(Debug, Error)]
pub enum RecheckError {
    /// The store failed.
    #[error("the store could not be asked")]
    Store(#[source] StoreError),
    /// There are no networks.
    #[error(transparent)]
    Networks(NetworksError),
    /// The networks failed.
    #[error("the networks could not be run")]
    Run(#[source] RunError),
    /// The networks' thread ended without an answer.
    #[error("the networks gave no answer")]
    Interrupted,
}

/// Checks captures.
#[derive(Clone)]
pub struct Rechecker {
    /// Store and vault.
    pub center: Center,
    /// What makes templates.
    pub networks: Networks,
    /// Clock and ids.
    pub surroundings: Arc<dyn Surroundings>,
    /// When two templates agree.
    pub rule: RecheckRule,
}

impl std::fmt::Debug for Rechecker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rechecker").field("networks", &self.networks).field("rule", &self.rule).finish_non_exhaustive()
    }
}

/// What is known after the networks ran.
type Finding = (RecheckOutcome, Option<f32>);

impl Rechecker {
    /// Checks what is due, until it is dropped.
    pub async fn run(self) {
        loop {
            match self.next().await {
                Ok(Some(_)) => {}
                Ok(None) => tokio::time::sleep(IDLE).await,
                Err(error) => {
                    warn!(error = &error as &dyn std::error::Error, "a capture could not be checked now");
                    tokio::time::sleep(AFTER_FAILURE).await;
                }
            }
        }
    }

    /// Checks the capture that is due longest; nothing when none is.
    ///
    /// # Errors
    /// When the store or the networks fail; the capture stays due.
    pub async fn next(&self) -> Result<Option<RecheckOutcome>, RecheckError> {
        let taken = self.center.store.take_recheck(self.surroundings.now_ms(), LEASE_MS).await;
        let Some(due) = taken.map_err(RecheckError::Store)? else { return Ok(None) };
        let (outcome, agreement) = match self.check(&due).await {
            Err(RecheckError::Run(error)) if due.attempt >= ATTEMPTS_MAX => {
                warn!(verification.id = %due.record.id, error = &error as &dyn std::error::Error, "a capture cannot be checked");
                (RecheckOutcome::Failed, None)
            }
            finding => finding?,
        };
        let now = self.surroundings.now_ms();
        let flag = outcome.suspects_tampering().then(|| {
            let id = self.surroundings.new_record();
            crate::store::Flag { raised_at: now, ..flags::of_verification(FlagKind::TamperingSuspected, id, &due.record) }
        });
        debug!(verification.id = %due.record.id, outcome = outcome.word(), "capture checked");
        let verification = due.record.id;
        let done = RecheckDone { subject: due.subject, verification, attempt: due.attempt, outcome, agreement, done_at: now, flag };
        self.center.store.finish_recheck(done).await.map_err(RecheckError::Store)?;
        Ok(Some(outcome))
    }

    async fn check(&self, due: &DueRecheck) -> Result<Finding, RecheckError> {
        let Some((template, samples)) = self.open(due) else { return Ok((RecheckOutcome::Unreadable, None)) };
        let pipeline = self.networks.get().await.map_err(RecheckError::Networks)?.clone();
        if template.model() != pipeline.feature_model() || template.recipe() != pipeline.recipe() {
            return Ok((RecheckOutcome::OtherModel, None));
        }
        let rule = self.rule;
        let work = move || compare_again(&pipeline, rule, &template, &samples);
        tokio::task::spawn_blocking(work).await.map_err(|_| RecheckError::Interrupted)?.map_err(RecheckError::Run)
    }

    /// Template and samples, when they open as this person's and this verification's.
    fn open(&self, due: &DueRecheck) -> Option<(Template, Vec<Sample>)> {
        let key = self.center.vault.unwrap_data_key(due.subject, &due.data_key).ok()?;
        let place = RecordContext::probe_template(due.subject, due.record.id, &due.made_by.model);
        let features = key.open(&place, &due.probe.template).ok()?;
        let sample = key.open(&RecordContext::probe_sample(due.subject, due.record.id), &due.probe.sample).ok()?;
        let (model, recipe) = (ModelId::new(&due.made_by.model).ok()?, RecipeId::new(&due.made_by.recipe).ok()?);
        let template = Template::from_f16_le_bytes(model, recipe, features.len() / 2, &features).ok()?;
        Some((template, samples_from_bytes(&sample)?))
    }
}

/// Finds the face in each sample, makes the template again, and compares it with the agent's.
fn compare_again(pipeline: &Pipeline, rule: RecheckRule, claimed: &Template, samples: &[Sample]) -> Result<Finding, RunError> {
    let mut frames = Vec::with_capacity(samples.len());
    for sample in samples {
        let Ok(picture) = Picture::decode(&sample.jpeg) else { return Ok((RecheckOutcome::NoFace, None)) };
        let [left, top, right, bottom] = sample.face_box;
        let said = FaceBox { left, top, right, bottom };
        match face_at(&pipeline.detect(&picture)?, &said) {
            Some(face) => frames.push((picture, face)),
            None => return Ok((RecheckOutcome::NoFace, None)),
        }
    }
    let frames: Vec<(&Picture, &DetectedFace)> = frames.iter().map(|(picture, face)| (picture, face)).collect();
    let again = pipeline.template_of_frames(&frames)?;
    Ok(compare(claimed, &again).map_or((RecheckOutcome::OtherModel, None), |agreement| (rule.judge(agreement), Some(agreement.get()))))
}

/// The face that overlaps most with where one is said to be.
fn face_at(faces: &[DetectedFace], said: &FaceBox) -> Option<DetectedFace> {
    let best = faces.iter().max_by(|a, b| a.face_box.overlap(said).total_cmp(&b.face_box.overlap(said)))?;
    (best.face_box.overlap(said) >= SAME_FACE_OVERLAP_MIN).then_some(*best)
}
