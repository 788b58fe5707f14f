//! A policy against the records of the store: reads them in order and hands them to `matcher_core::dry_run`.

use matcher_core::{
    AcquisitionFailure, Compared, Decision, Finding, NoDecision, Policy,
    dry_run::{DryRun, NotReplayed, Outcome, Past},
};
use models_core::{Component, ModelId, RecipeId, SimilarityScore};

use crate::store::{Store, StoreError, TimeMs, Verification};

/// Records that are read at once.
const PAGE: u32 = 5_000;

/// Judges all records from a time on again. Nothing is written.
///
/// # Errors
/// When the store cannot be read.
pub async fn run(store: &dyn Store, policy: &Policy, since: TimeMs) -> Result<Outcome, StoreError> {
    let mut run = DryRun::new(policy);
    let mut after = None;
    loop {
        let page = store.verifications_from(since, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(run.finish()) };
        after = Some((last.decided_at, last.id));
        for record in &page {
            run.take(&past(record));
        }
    }
}

fn past(record: &Verification) -> Past {
    Past {
        institution: record.request.institution.clone(),
        transaction: record.request.transaction.clone(),
        attempt: record.request.attempt,
        scene: record.scene,
        card: record.identifier.hash,
        decided_at: record.decided_at,
        decision: record.decision,
        finding: finding(record),
        reviewed: None,
    }
}

/// What the record's verification found, as far as it was kept.
fn finding(record: &Verification) -> Result<Finding, NotReplayed> {
    if let Some(score) = record.score {
        let compared = || {
            Some(Compared {
                score: SimilarityScore::new(score)?,
                reference: 0,
                model: ModelId::new(&record.model).ok()?,
                recipe: RecipeId::new(&record.recipe).ok()?,
                live: record.live,
                facts: record.facts,
            })
        };
        return compared().map(Finding::Compared).ok_or(NotReplayed::TooLittleKept);
    }
    match record.decision {
        Decision::NoDecision(NoDecision::FailureToAcquire | NoDecision::SeveralFaces) => {
            let failure = record.reasons.iter().find_map(|word| AcquisitionFailure::from_word(word)).ok_or(NotReplayed::TooLittleKept)?;
            let component = record.reasons.iter().find_map(|word| Component::from_word(word));
            Ok(Finding::FailureToAcquire(failure, component))
        }
        Decision::NoDecision(
            reason
            @ (NoDecision::NoReference | NoDecision::ReferenceUnreadable | NoDecision::ConsentMissing | NoDecision::ConsentWithdrawn),
        ) => Ok(Finding::Nothing(reason)),
        Decision::NoDecision(_) | Decision::Match | Decision::Review | Decision::NonMatch => Err(NotReplayed::NotCompared),
    }
}
