//! Decisions, as tables.

use models_core::Component;
use proptest::prelude::*;

use super::*;
use crate::{flag::flags_for, policy::Policy};

/// One reference, of which nothing else is known.
macro_rules! present {
    ($template:expr) => {
        ReferenceState::Present(&[Reference { template: $template, facts: ReferenceFacts::default() }])
    };
}

fn template(model: &str, features: [f32; 2]) -> Template {
    Template::from_features(ModelId::new(model).unwrap(), RecipeId::new("r@1").unwrap(), &features).unwrap()
}

fn policy() -> Policy {
    Policy::from_toml(&crate::policy::tests::text("m@1", "r@1")).unwrap()
}

/// A probe whose cosine with the reference is about `cosine`.
#[track_caller]
fn check(cosine: f32, decision: Decision, disposition: Disposition) {
    let (probe, reference) = (template("m@1", [cosine, (1.0 - cosine * cosine).sqrt()]), template("m@1", [1.0, 0.0]));
    let evidence = Evidence::Probe { template: &probe, live: Some(0.9) };
    let verdict = decide(&policy(), Scene::Settlement, evidence, present!(&reference), Earlier::NOTHING);
    assert_eq!((verdict.decision, verdict.disposition), (decision, disposition));
    assert!((verdict.comparison.unwrap().compared.score.get() - cosine).abs() < 2e-3);
}

#[test]
fn the_score_falls_into_one_of_three_bands() {
    check(1.0, Decision::Match, Disposition::Settle);
    check(0.5, Decision::Match, Disposition::Settle);
    check(0.49, Decision::Review, Disposition::SettleFlagged);
    check(0.31, Decision::Review, Disposition::SettleFlagged);
    check(0.29, Decision::NonMatch, Disposition::DocumentCheck);
    check(-1.0, Decision::NonMatch, Disposition::DocumentCheck);
}

#[track_caller]
fn check_none(evidence: Evidence<'_>, reference: ReferenceState<'_>, reasons: &[&str]) {
    let verdict = decide(&policy(), Scene::Reception, evidence, reference, Earlier::NOTHING);
    assert_eq!(verdict.decision.word(), "no_decision");
    assert_eq!(verdict.reasons, reasons);
}

#[test]
fn what_is_missing_is_named_and_never_guessed() {
    let probe = template("m@1", [1.0, 0.0]);
    let seen = Evidence::Probe { template: &probe, live: None };
    check_none(seen, ReferenceState::None, &["no_reference"]);
    check_none(seen, ReferenceState::Unreadable, &["reference_unreadable"]);
    check_none(seen, present!(&template("m@2", [1.0, 0.0])), &["model_mismatch"]);
    let other = template("m@2", [1.0, 0.0]);
    check_none(Evidence::Probe { template: &other, live: None }, present!(&other), &["model_mismatch"]);
    let nobody = Evidence::FailureToAcquire(AcquisitionFailure::NoFace, None);
    check_none(nobody, present!(&probe), &["failure_to_acquire", "no_face"]);
    let blurred = Evidence::FailureToAcquire(AcquisitionFailure::LowQuality, Some(Component::Sharpness));
    check_none(blurred, present!(&probe), &["failure_to_acquire", "low_quality", "sharpness"]);
    check_none(Evidence::FailureToAcquire(AcquisitionFailure::SeveralFaces, None), ReferenceState::None, &["several_faces"]);
}

/// Decides about a probe that matches, with this live score, after these decisions.
#[track_caller]
fn check_live(live: Option<f32>, attempt: u32, earlier: &[NoDecision], expected: (Decision, Disposition)) {
    let text = crate::policy::tests::text("m@1", "r@1").replacen("# retry_below = 0.5", "retry_below = 0.5\nsuspect_below = 0.1", 1);
    let (policy, probe) = (Policy::from_toml(&text).unwrap(), template("m@1", [1.0, 0.0]));
    let decisions: Vec<Decision> = earlier.iter().map(|reason| Decision::NoDecision(*reason)).collect();
    let evidence = Evidence::Probe { template: &probe, live };
    let verdict = decide(&policy, Scene::Settlement, evidence, present!(&probe), Earlier { attempt, decisions: &decisions });
    assert_eq!((verdict.decision, verdict.disposition), expected);
    assert!(verdict.comparison.is_some(), "what was compared is recorded");
}

#[test]
fn a_low_live_score_asks_for_a_retry_and_then_for_a_document() {
    let unclear = Decision::NoDecision(NoDecision::LiveUnclear);
    let suspected = (Decision::NoDecision(NoDecision::AttackSuspected), Disposition::DocumentCheck);
    check_live(Some(0.5), 1, &[], (Decision::Match, Disposition::Settle));
    check_live(Some(0.49), 1, &[], (unclear, Disposition::Retry));
    check_live(Some(0.49), 3, &[], (unclear, Disposition::DocumentCheck));
    check_live(Some(0.49), 2, &[NoDecision::LiveUnclear], suspected);
    check_live(Some(0.5), 2, &[NoDecision::LiveUnclear], (Decision::Match, Disposition::Settle));
    check_live(Some(0.1), 1, &[], (unclear, Disposition::Retry));
    check_live(Some(0.09), 1, &[], suspected);
    check_live(Some(0.49), 2, &[NoDecision::LiveNotAssessed], (unclear, Disposition::DocumentCheck));
}

#[test]
fn a_score_that_is_missing_accuses_nobody_and_lets_nobody_pass() {
    let missing = Decision::NoDecision(NoDecision::LiveNotAssessed);
    check_live(None, 1, &[], (missing, Disposition::Retry));
    check_live(None, 2, &[NoDecision::LiveNotAssessed], (missing, Disposition::DocumentCheck));
}

#[test]
fn without_an_attack_rule_the_score_decides_nothing() {
    let probe = template("m@1", [1.0, 0.0]);
    let evidence = Evidence::Probe { template: &probe, live: Some(0.0) };
    let verdict = decide(&policy(), Scene::Settlement, evidence, present!(&probe), Earlier::NOTHING);
    assert_eq!(verdict.decision, Decision::Match);
}

/// Decides about a probe of this cosine with a reference of which this is known, in a policy whose photos explain low scores
/// after 7,300 days.
#[track_caller]
fn check_facts(cosine: f32, facts: ReferenceFacts, decision: Decision, reasons: &[&str]) {
    let (probe, reference) = (template("m@1", [cosine, (1.0 - cosine * cosine).sqrt()]), template("m@1", [1.0, 0.0]));
    let evidence = Evidence::Probe { template: &probe, live: Some(0.9) };
    let references = [Reference { template: &reference, facts }];
    let verdict = decide(&policy(), Scene::Settlement, evidence, ReferenceState::Present(&references), Earlier::NOTHING);
    assert_eq!((verdict.decision, verdict.reasons.as_slice()), (decision, reasons));
}

#[test]
fn children_and_photos_of_children_are_never_a_non_match() {
    let (minor, child) = (
        ReferenceFacts { minor: true, ..ReferenceFacts::default() },
        ReferenceFacts { childhood_photo: true, ..ReferenceFacts::default() },
    );
    check_facts(0.1, ReferenceFacts::default(), Decision::NonMatch, &[]);
    check_facts(0.1, minor, Decision::Review, &["minor"]);
    check_facts(0.1, child, Decision::Review, &["childhood_photo"]);
    check_facts(0.4, minor, Decision::Review, &[]);
    check_facts(0.9, minor, Decision::Match, &[]);
}

#[test]
fn an_old_photo_explains_a_low_score_and_a_high_one_needs_no_explanation() {
    let aged = |days| ReferenceFacts { photo_age_days: Some(days), ..ReferenceFacts::default() };
    let too_old = Decision::NoDecision(NoDecision::ReferenceTooOld);
    check_facts(0.1, aged(7_300), Decision::NonMatch, &[]);
    check_facts(0.1, aged(7_301), too_old, &["reference_too_old"]);
    check_facts(0.4, aged(7_301), too_old, &["reference_too_old"]);
    check_facts(0.9, aged(7_301), Decision::Match, &[]);
    check_facts(0.1, ReferenceFacts { minor: true, ..aged(7_301) }, too_old, &["reference_too_old"]);
}

#[test]
fn consent_stands_before_everything() {
    let probe = template("m@1", [1.0, 0.0]);
    check_none(Evidence::NoConsent, present!(&probe), &["consent_missing"]);
    let seen = Evidence::Probe { template: &probe, live: None };
    check_none(seen, ReferenceState::Withdrawn, &["consent_withdrawn"]);
    check_none(seen, ReferenceState::Present(&[]), &["no_reference"]);
}

#[test]
fn the_best_of_several_references_counts_and_others_are_left_out() {
    let probe = template("m@1", [1.0, 0.0]);
    let others = [template("m@1", [0.2, 0.98]), template("m@2", [1.0, 0.0]), template("m@1", [0.6, 0.8]), template("m@1", [0.6, 0.8])];
    let references = others.each_ref().map(|template| Reference { template, facts: ReferenceFacts::default() });
    let evidence = Evidence::Probe { template: &probe, live: None };
    let verdict = decide(&policy(), Scene::Settlement, evidence, ReferenceState::Present(&references), Earlier::NOTHING);
    let compared = verdict.comparison.unwrap().compared;
    assert_eq!((verdict.decision, compared.reference), (Decision::Match, 2), "the first of equals");
}

fn any_facts() -> impl Strategy<Value = ReferenceFacts> {
    (any::<bool>(), any::<bool>(), proptest::option::of(0_u32..20_000)).prop_map(|(minor, childhood_photo, photo_age_days)| {
        ReferenceFacts { minor, childhood_photo, photo_age_days, ..ReferenceFacts::default() }
    })
}

proptest! {
    #[test]
    fn nobody_under_sixteen_is_ever_flagged_as_a_mismatch(score in -1.0_f32..=1.0, live in proptest::option::of(0.0_f32..=1.0), facts in any_facts()) {
        let (model, recipe) = (ModelId::new("m@1").unwrap(), RecipeId::new("r@1").unwrap());
        let score = SimilarityScore::new(score).unwrap();
        let finding = Finding::Compared(Compared { score, reference: 0, model, recipe, live, facts, chip: false });
        let verdict = judge(&policy(), Scene::Settlement, &finding, Earlier::NOTHING);
        if facts.leniency().is_some() {
            prop_assert_ne!(verdict.decision, Decision::NonMatch);
            prop_assert!(!flags_for(verdict.decision, &[]).contains(&crate::FlagKind::CardPersonMismatch));
        }
        prop_assert_ne!(verdict.disposition, Disposition::Hold);
        if score.get() >= 0.5 {
            prop_assert_eq!(verdict.decision, Decision::Match);
        }
    }

    #[test]
    fn a_retry_is_asked_for_once(attempt in 1_u32..6, unclear: bool) {
        let text = crate::policy::tests::text("m@1", "r@1").replacen("# retry_below = 0.5", "retry_below = 0.5", 1);
        let policy = Policy::from_toml(&text).unwrap();
        let earlier: Vec<Decision> = (1..attempt).map(|_| Decision::NoDecision(NoDecision::LiveNotAssessed)).collect();
        let (model, recipe) = (ModelId::new("m@1").unwrap(), RecipeId::new("r@1").unwrap());
        let (score, live) = (SimilarityScore::new(0.9).unwrap(), unclear.then_some(0.1));
        let finding = Finding::Compared(Compared { score, reference: 0, model, recipe, live, facts: ReferenceFacts::default(), chip: false });
        let verdict = judge(&policy, Scene::Settlement, &finding, Earlier { attempt, decisions: &earlier });
        prop_assert_eq!(verdict.disposition, if attempt == 1 { Disposition::Retry } else { Disposition::DocumentCheck });
    }
}

/// A face compared with a document's chip, under a policy with these lines in its table of chips.
#[track_caller]
fn check_chip(cosine: f32, table: &str, decision: Decision, reasons: &[&str]) {
    let text = crate::policy::tests::text("m@1", "r@1");
    let (before, after) = text.split_once("[[chip_thresholds]]").unwrap();
    let rest = after.split_once("# Score of the attack model").unwrap().1;
    let policy = Policy::from_toml(&format!("{before}{table}\n#{rest}")).unwrap();
    let (probe, reference) = (template("m@1", [cosine, (1.0 - cosine * cosine).sqrt()]), template("m@1", [1.0, 0.0]));
    let evidence = Evidence::Chip { template: &probe, live: Some(0.9), reference: &reference };
    let verdict = decide(&policy, Scene::Settlement, evidence, ReferenceState::None, Earlier::NOTHING);
    assert_eq!((verdict.decision, verdict.reasons.as_slice()), (decision, reasons));
}

#[test]
fn a_chip_has_thresholds_of_its_own_and_needs_no_enrolment() {
    let trials = "trials = { source = \"public\", nonmated = 0, nonmated_errors = 0, mated = 0, mated_errors = 0 }";
    let table = format!("[[chip_thresholds]]\nmodel = \"m@1\"\nrecipe = \"r@1\"\nmatch_at_least = 0.7\nnon_match_below = 0.4\n{trials}");
    check_chip(0.8, &table, Decision::Match, &["chip_reference"]);
    check_chip(0.6, &table, Decision::Review, &["chip_reference"]);
    check_chip(0.3, &table, Decision::NonMatch, &["chip_reference"]);
    check_chip(0.8, "", Decision::NoDecision(NoDecision::ModelMismatch), &["model_mismatch", "chip_reference"]);
}

#[test]
fn a_chip_of_another_model_is_not_compared() {
    let (probe, reference) = (template("m@1", [1.0, 0.0]), template("m@2", [1.0, 0.0]));
    check_none(Evidence::Chip { template: &probe, live: None, reference: &reference }, ReferenceState::None, &["model_mismatch"]);
}

#[test]
fn ways_without_a_face_are_answers_of_their_own() {
    for (reason, disposition) in [
        (NoDecision::OtherWay, Disposition::Settle),
        (NoDecision::DocumentChecked, Disposition::Settle),
        (NoDecision::DocumentNotThePerson, Disposition::Hold),
        (NoDecision::Proxy, Disposition::Settle),
        (NoDecision::ProxyLimit, Disposition::Hold),
    ] {
        let verdict = decide(&policy(), Scene::Settlement, Evidence::Without(reason), ReferenceState::Withdrawn, Earlier::NOTHING);
        assert_eq!(
            (verdict.decision, verdict.disposition, verdict.reasons.as_slice()),
            (Decision::NoDecision(reason), disposition, [reason.word()].as_slice())
        );
    }
}

#[test]
fn attempts_with_a_face_are_capped_and_a_way_without_one_stays_open() {
    let policy = policy();
    let rules = policy.scene(Scene::Settlement);
    let max = |way| rules.attempt_max(way);
    assert_eq!([Way::Face, Way::Chip, Way::DocumentCheck, Way::Other].map(max), [3, 5, 19, 19]);
}

#[test]
fn nobody_walks_around_what_an_operator_said_by_name() {
    let said = [Decision::NoDecision(NoDecision::DocumentNotThePerson)];
    let earlier = Earlier { attempt: 2, decisions: &said };
    for reason in [NoDecision::OtherWay, NoDecision::DocumentChecked] {
        let verdict = decide(&policy(), Scene::Settlement, Evidence::Without(reason), ReferenceState::None, earlier);
        assert_eq!(verdict.disposition, Disposition::Hold);
    }
    let (probe, reference) = (template("m@1", [1.0, 0.0]), template("m@1", [1.0, 0.0]));
    let face = Evidence::Probe { template: &probe, live: Some(0.9) };
    assert_eq!(decide(&policy(), Scene::Settlement, face, present!(&reference), earlier).disposition, Disposition::Settle);
}
