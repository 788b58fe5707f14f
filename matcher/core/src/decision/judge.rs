//! From evidence to a finding, and from a finding to a verdict. No clock, no store: the same in, the same out.

use models_core::{Template, compare};

use super::{
    AcquisitionFailure, CHIP_REFERENCE, Compared, Comparison, Decision, Disposition, Earlier, Evidence, Finding, Leniency, NoDecision,
    Reference, ReferenceFacts, ReferenceState, Scene, Verdict,
};
use crate::policy::{AttackRule, Policy, ScenePolicy, Thresholds};

/// Decides one verification under a policy.
#[must_use]
pub fn decide(policy: &Policy, scene: Scene, evidence: Evidence<'_>, reference: ReferenceState<'_>, earlier: Earlier<'_>) -> Verdict {
    judge(policy, scene, &find(evidence, reference), earlier)
}

/// What a finding means under a policy.
#[must_use]
pub fn judge(policy: &Policy, scene: Scene, finding: &Finding, earlier: Earlier<'_>) -> Verdict {
    let rules = policy.scene(scene);
    let no = |reason| (Decision::NoDecision(reason), None, None);
    let (decision, leniency, comparison) = match finding {
        Finding::FailureToAcquire(AcquisitionFailure::SeveralFaces, _) => no(NoDecision::SeveralFaces),
        Finding::FailureToAcquire(..) => no(NoDecision::FailureToAcquire),
        Finding::Nothing(reason) => no(*reason),
        Finding::Compared(compared) => match thresholds(policy, scene, compared) {
            None => no(NoDecision::ModelMismatch),
            Some(thresholds) => {
                let (decision, leniency) = presentation(rules.attack, compared.live, earlier).map_or_else(
                    || banded(rules, compared, thresholds.band(compared.score)),
                    |reason| (Decision::NoDecision(reason), None),
                );
                (decision, leniency, Some(Comparison { compared: compared.clone(), thresholds }))
            }
        },
    };
    Verdict { decision, reasons: reasons(decision, leniency, finding), disposition: disposition(rules, decision, earlier), comparison }
}

fn thresholds(policy: &Policy, scene: Scene, compared: &Compared) -> Option<Thresholds> {
    let Compared { model, recipe, chip, .. } = compared;
    if *chip { policy.chip_thresholds(scene, model, recipe) } else { policy.thresholds(scene, model, recipe) }
}

fn find(evidence: Evidence<'_>, reference: ReferenceState<'_>) -> Finding {
    let (probe, live) = match evidence {
        Evidence::Without(reason) => return Finding::Nothing(reason),
        Evidence::Chip { template, live, reference } => {
            return match best(template, live, &[Reference { template: reference, facts: ReferenceFacts::default() }]) {
                Finding::Compared(compared) => Finding::Compared(Compared { chip: true, ..compared }),
                other @ (Finding::FailureToAcquire(..) | Finding::Nothing(_)) => other,
            };
        }
        Evidence::NoConsent => return Finding::Nothing(NoDecision::ConsentMissing),
        Evidence::FailureToAcquire(failure, component) => return Finding::FailureToAcquire(failure, component),
        Evidence::Probe { template, live } => (template, live),
    };
    match reference {
        ReferenceState::None => Finding::Nothing(NoDecision::NoReference),
        ReferenceState::Unreadable => Finding::Nothing(NoDecision::ReferenceUnreadable),
        ReferenceState::Withdrawn => Finding::Nothing(NoDecision::ConsentWithdrawn),
        ReferenceState::Present([]) => Finding::Nothing(NoDecision::NoReference),
        ReferenceState::Present(references) => best(probe, live, references),
    }
}

/// The reference that is most like the probe, among those of its model and recipe.
fn best(probe: &Template, live: Option<f32>, references: &[Reference<'_>]) -> Finding {
    let scored = references.iter().enumerate().filter_map(|(i, reference)| Some((compare(probe, reference.template).ok()?, i, reference)));
    let best = scored.max_by(|(a, i, _), (b, j, _)| a.get().total_cmp(&b.get()).then(j.cmp(i)));
    best.map_or(Finding::Nothing(NoDecision::ModelMismatch), |(score, at, reference)| {
        let (model, recipe) = (probe.model().clone(), probe.recipe().clone());
        Finding::Compared(Compared { score, reference: at, model, recipe, live, facts: reference.facts, chip: false })
    })
}

/// A high score needs no explanation. A low one may have one: the person was a child, or the photo is old.
fn banded(rules: &ScenePolicy, compared: &Compared, band: Decision) -> (Decision, Option<Leniency>) {
    let too_old = compared.facts.photo_age_days.zip(rules.reference_age_max_days).is_some_and(|(age, max)| age > max);
    match (band, compared.facts.leniency()) {
        (Decision::Match, _) => (Decision::Match, None),
        (Decision::Review | Decision::NonMatch, _) if too_old => (Decision::NoDecision(NoDecision::ReferenceTooOld), None),
        (Decision::NonMatch, Some(leniency)) => (Decision::Review, Some(leniency)),
        (band @ (Decision::Review | Decision::NonMatch | Decision::NoDecision(_)), _) => (band, None),
    }
}

/// Why the presentation stands in the way of a decision, if it does. A score below the retry threshold asks for
/// a retry, and is suspicious when it comes again; one below the suspicion threshold is at once.
fn presentation(rule: Option<AttackRule>, live: Option<f32>, earlier: Earlier<'_>) -> Option<NoDecision> {
    let rule = rule?;
    let Some(live) = live else { return Some(NoDecision::LiveNotAssessed) };
    let again = || earlier.decisions.contains(&Decision::NoDecision(NoDecision::LiveUnclear));
    if live >= rule.retry_below {
        None
    } else if live < rule.suspect_below || again() {
        Some(NoDecision::AttackSuspected)
    } else {
        Some(NoDecision::LiveUnclear)
    }
}

fn reasons(decision: Decision, leniency: Option<Leniency>, finding: &Finding) -> Vec<&'static str> {
    let mut reasons = Vec::new();
    if let Decision::NoDecision(reason) = decision {
        reasons.push(reason.word());
    }
    reasons.extend(leniency.map(Leniency::word));
    if matches!(finding, Finding::Compared(Compared { chip: true, .. })) {
        reasons.push(CHIP_REFERENCE);
    }
    if let Finding::FailureToAcquire(failure, component) = finding {
        reasons.push(failure.word());
        reasons.extend(component.map(models_core::Component::word));
    }
    reasons.dedup();
    reasons
}

/// What the policy says; but a retry is asked for once, and only while attempts are left: then the document is
/// looked at.
fn disposition(rules: &ScenePolicy, decision: Decision, earlier: Earlier<'_>) -> Disposition {
    // Nobody walks around what an operator said by name: within the transaction only a face takes it back.
    let not_the_person = Decision::NoDecision(NoDecision::DocumentNotThePerson);
    let around = [NoDecision::OtherWay, NoDecision::DocumentChecked].map(Decision::NoDecision);
    if around.contains(&decision) && earlier.decisions.contains(&not_the_person) {
        return rules.disposition(not_the_person);
    }
    let disposition = rules.disposition(decision);
    let asked = |decision: &Decision| rules.disposition(*decision) == Disposition::Retry;
    let spent = earlier.attempt >= rules.attempts_max || earlier.decisions.iter().any(asked);
    if disposition == Disposition::Retry && spent { Disposition::DocumentCheck } else { disposition }
}
