//! A policy against the records of the store: reads them in order and hands them to `matcher_core::dry_run`.
//!
//! The truth is known only where somebody looked: of matches that were drawn for a blind look, with the chance they had, and
//! of the visits that decided cases are about. Those cases were not drawn but picked by their evidence, so they stand for
//! themselves alone.

use std::collections::HashMap;

use matcher_core::{
    AcquisitionFailure, Compared, Decision, Finding, NoDecision, Policy,
    dry_run::{DryRun, NotReplayed, Outcome, Past, Reviewed},
    evidence::{Case, CaseVerdict, Drawn},
};
use models_core::{Component, ModelId, RecipeId, SimilarityScore};

use crate::store::{RecordId, Store, StoreError, TimeMs, Verification};

/// Records that are read at once.
const PAGE: u32 = 5_000;
/// Cases that are looked through.
const CASES_MAX: u32 = 100_000;
const DAY_MS: TimeMs = 86_400_000;

/// Judges all records from a time on again. Nothing is written.
///
/// # Errors
/// When the store cannot be read.
pub async fn run(store: &dyn Store, policy: &Policy, since: TimeMs) -> Result<Outcome, StoreError> {
    let truths = truths(store, since).await?;
    let mut run = DryRun::new(policy);
    let mut after = None;
    loop {
        let page = store.verifications_from(since, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(run.finish()) };
        after = Some((last.decided_at, last.id));
        for record in &page {
            run.take(&past(record, truths.get(&record.id).copied()));
        }
    }
}

/// What reviewers found since a time, by verification.
async fn truths(store: &dyn Store, since: TimeMs) -> Result<HashMap<RecordId, Reviewed>, StoreError> {
    let mut truths = HashMap::new();
    for case in store.cases(since, CASES_MAX).await? {
        let verdict = Case::replay(case.steps).ok().and_then(|case| case.verdict());
        let mated = match verdict {
            Some(CaseVerdict::Confirmed) => false,
            Some(CaseVerdict::FalseAlarm) => true,
            Some(CaseVerdict::Proxy | CaseVerdict::Inconclusive) | None => continue,
        };
        let suspects = case.case.members.into_iter().filter(|member| member.suspect);
        truths.extend(suspects.map(|member| (member.verification, Reviewed { mated, inclusion: 1.0 })));
    }
    let day = i32::try_from(since.div_euclid(DAY_MS)).unwrap_or(i32::MIN);
    for draw in store.draws(day).await? {
        if let (Some(two_people), Drawn::Match) = (draw.two_people, draw.drawn) {
            truths.insert(draw.verification, Reviewed { mated: !two_people, inclusion: draw.inclusion });
        }
    }
    Ok(truths)
}

fn past(record: &Verification, reviewed: Option<Reviewed>) -> Past {
    Past {
        institution: record.request.institution.clone(),
        transaction: record.request.transaction.clone(),
        attempt: record.request.attempt,
        scene: record.scene,
        card: record.identifier.hash,
        decided_at: record.decided_at,
        decision: record.decision,
        disposition: record.disposition,
        finding: finding(record),
        reviewed,
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
                chip: record.is_of_chip(),
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
            reason @ (NoDecision::NoReference
            | NoDecision::ReferenceUnreadable
            | NoDecision::ConsentMissing
            | NoDecision::ConsentWithdrawn
            | NoDecision::OtherWay
            | NoDecision::DocumentChecked
            | NoDecision::DocumentNotThePerson
            | NoDecision::Proxy
            | NoDecision::ProxyNotCompared
            | NoDecision::ProxyNotAllowed
            | NoDecision::ProxyLimit),
        ) => Ok(Finding::Nothing(reason)),
        Decision::NoDecision(_) | Decision::Match | Decision::Review | Decision::NonMatch => Err(NotReplayed::NotCompared),
    }
}
