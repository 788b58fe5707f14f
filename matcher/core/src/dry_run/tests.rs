//! Past decisions judged again.

use models_core::{ModelId, RecipeId, SimilarityScore};
use proptest::prelude::*;

use super::*;
use crate::{
    decision::{Compared, Disposition, NoDecision, ReferenceFacts},
    policy::{Source, tests::text},
};

fn compared(score: f32, live: Option<f32>) -> Finding {
    let (model, recipe) = (ModelId::new("m@1").unwrap(), RecipeId::new("r@1").unwrap());
    let score = SimilarityScore::new(score).unwrap();
    Finding::Compared(Compared { score, reference: 0, model, recipe, live, facts: ReferenceFacts::default(), chip: false })
}

fn past(number: u8, score: f32, decision: Decision) -> Past {
    Past {
        institution: "P1".into(),
        transaction: format!("T{number}"),
        attempt: 1,
        scene: Scene::Settlement,
        card: [number; 32],
        decided_at: i64::from(number) * 1_000,
        decision,
        disposition: Disposition::Settle,
        finding: Ok(compared(score, Some(0.9))),
        reviewed: None,
    }
}

fn run(policy: &Policy, records: &[Past]) -> Outcome {
    let mut run = DryRun::new(policy);
    for record in records {
        run.take(record);
    }
    run.finish()
}

/// Bands at 0.40 and 0.20, for records decided with 0.50 and 0.30.
fn lower() -> Policy {
    let text = text("m@1", "r@1").replace("match_at_least = 0.50", "match_at_least = 0.40");
    Policy::from_toml(&text.replace("non_match_below = 0.30", "non_match_below = 0.20")).unwrap()
}

#[test]
fn flips_are_counted_by_scene_store_and_band() {
    let records = [
        past(1, 0.6, Decision::Match),
        past(2, 0.45, Decision::Review),
        past(3, 0.25, Decision::NonMatch),
        Past { institution: "P2".into(), scene: Scene::Reception, ..past(4, 0.1, Decision::NonMatch) },
    ];
    let outcome = run(&lower(), &records);
    let expected = BTreeMap::from([((Scene::Settlement, "review", "match"), 1), ((Scene::Settlement, "non_match", "review"), 1)]);
    assert_eq!((outcome.flips, outcome.records, outcome.days), (expected, 4, 1));
    assert!(outcome.dispositions.values().sum::<u64>() > 0, "{:?}", outcome.dispositions);
    assert!(outcome.dispositions.keys().all(|(before, after)| *before == "settle" && after != before));
    assert_eq!(outcome.bands, BTreeMap::from([("match", (1, 2)), ("non_match", (2, 1)), ("review", (1, 1))]));
    assert_eq!(outcome.institutions["P1"], Counts { replayed: 3, flips: 2, flags_before: 1, flags_after: 0 });
    assert_eq!(outcome.institutions["P2"], Counts { replayed: 1, flips: 0, flags_before: 1, flags_after: 1 });
    assert_eq!(outcome.total, Counts { replayed: 4, flips: 2, flags_before: 2, flags_after: 1 });
}

#[test]
fn the_estimate_by_arithmetic_is_that_of_the_policys_own_trials() {
    let records = [past(1, 0.6, Decision::Match), past(2, 0.1, Decision::NonMatch)];
    let policy = lower();
    let trials = policy.thresholds(Scene::Settlement, policy.model(), policy.recipe()).unwrap().trials;
    let estimate = run(&policy, &records).by_arithmetic;
    assert!(estimate.is_some() && estimate == by_arithmetic(1, 2, trials));
    let without = text("m@1", "r@1").replace("non_match_below = 0.30", "");
    assert_eq!(run(&Policy::from_toml(&without).unwrap(), &records).by_arithmetic, None);
}

/// What a second attempt of `T1` is, this long after the first, where one transaction is held beside others that came between.
#[track_caller]
fn check_held(between: &[&str], after_ms: i64, expected: NoDecision) {
    let policy = Policy::from_toml(&text("m@1", "r@1").replace("# retry_below = 0.5", "retry_below = 0.5")).unwrap();
    let low = |transaction: &str, attempt, decided_at| Past {
        transaction: transaction.into(),
        attempt,
        decided_at,
        finding: Ok(compared(0.6, Some(0.2))),
        ..past(1, 0.6, Decision::NoDecision(expected))
    };
    let mut run = DryRun { open_max: 1, ..DryRun::new(&policy) };
    let others: Vec<Past> =
        between.iter().map(|transaction| Past { finding: Ok(compared(0.6, Some(0.9))), ..low(transaction, 1, 10) }).collect();
    for record in [low("T1", 1, 10)].iter().chain(&others) {
        run.take(record);
    }
    run.take(&low("T1", 2, 10 + after_ms));
    assert_eq!(run.outcome.bands[expected.word()].1, if expected == NoDecision::LiveUnclear { 2 } else { 1 });
}

#[test]
fn transactions_of_an_hour_ago_are_let_go_where_many_are_held() {
    check_held(&["T2"], TRANSACTION_MS - 1, NoDecision::AttackSuspected);
    check_held(&["T2"], TRANSACTION_MS, NoDecision::LiveUnclear);
    check_held(&[], TRANSACTION_MS, NoDecision::AttackSuspected);
}

#[test]
fn a_card_is_one_case_a_day() {
    let again = |number, decided_at| Past { card: [9; 32], decided_at, ..past(number, 0.1, Decision::NonMatch) };
    let outcome = run(&lower(), &[again(1, 0), again(2, 1), again(3, DAY_MS)]);
    assert_eq!((outcome.cases, outcome.days), ((2, 2), 2));
}

#[test]
fn what_cannot_be_judged_again_is_counted_and_not_guessed() {
    let other = |reason| Past { finding: Err(reason), ..past(1, 0.5, Decision::Match) };
    let mut unknown = past(2, 0.5, Decision::Match);
    if let Ok(Finding::Compared(compared)) = &mut unknown.finding {
        compared.model = ModelId::new("m@9").unwrap();
    }
    let late = Past { attempt: 4, ..past(3, 0.5, Decision::Match) };
    let outcome = run(&lower(), &[other(NotReplayed::NotCompared), other(NotReplayed::TooLittleKept), unknown, late.clone()]);
    assert_eq!((outcome.records, outcome.total), (4, Counts::default()));
    assert_eq!(outcome.not_replayed, NotReplayed::ALL.iter().map(|reason| (*reason, 1)).collect());
    assert_eq!(run(&lower(), &[Past { attempt: 3, ..late }]).total.replayed, 1, "the last attempt is one of them");
}

#[test]
fn attempts_of_a_transaction_are_judged_in_the_light_of_each_other() {
    let text = text("m@1", "r@1").replace("# retry_below = 0.5", "retry_below = 0.5");
    let policy = Policy::from_toml(&text).unwrap();
    let low = |attempt| Past { attempt, finding: Ok(compared(0.6, Some(0.2))), ..past(1, 0.6, Decision::Match) };
    let elsewhere = Past { transaction: "T9".into(), ..low(2) };
    let outcome = run(&policy, &[low(1), low(2), elsewhere]);
    let keys = |reason: NoDecision| (Scene::Settlement, "match", reason.word());
    let expected = BTreeMap::from([(keys(NoDecision::LiveUnclear), 2), (keys(NoDecision::AttackSuspected), 1)]);
    assert_eq!(outcome.flips, expected);
}

#[test]
fn reviews_count_by_the_inverse_of_their_chance() {
    let reviewed =
        |number, mated, inclusion| Past { reviewed: Some(Reviewed { mated, inclusion }), ..past(number, 0.1, Decision::NonMatch) };
    // One in ten of the right flags was reviewed, every wrong one: 10 right to 2 wrong.
    let outcome = run(&lower(), &[reviewed(1, false, 0.1), reviewed(2, true, 1.0), reviewed(3, true, 1.0)]);
    let estimate = outcome.by_review.unwrap();
    assert!((estimate.share - 10.0 / 12.0).abs() < 1e-12 && estimate.count == 3, "{estimate:?}");
    assert!(estimate.interval.low < 0.3 && estimate.interval.high > 0.95, "three reviews say little: {estimate:?}");
    let effective = 12.0 * 12.0 / (100.0 + 1.0 + 1.0);
    let expected = wilson(effective * 10.0 / 12.0, effective);
    assert!((estimate.interval.low - expected.low).abs() < 1e-9 && (estimate.interval.high - expected.high).abs() < 1e-9, "{estimate:?}");
    assert_eq!(run(&lower(), &[reviewed(1, false, 0.0)]).by_review, None, "no draw could bring it");
    let not_flagged = Past { reviewed: Some(Reviewed { mated: false, inclusion: 0.5 }), ..past(4, 0.9, Decision::Match) };
    assert_eq!(run(&lower(), &[not_flagged]).by_review, None);
}

#[test]
fn arithmetic_takes_the_expected_false_flags_away() {
    let trials = |mated, mated_errors| Trials { source: Source::Local, nonmated: 0, nonmated_errors: 0, mated, mated_errors };
    // 1,000,000 records, 6,000 flags, FNMR 0.1 %: 1,000 are false at most, 5,000 right.
    let estimate = by_arithmetic(6_000, 1_000_000, trials(300_000, 300)).unwrap();
    assert!((estimate.share - 0.005 / 0.999 / 0.006).abs() < 1e-9, "{estimate:?}");
    assert!(estimate.interval.low < estimate.share && estimate.share < estimate.interval.high);
    // Fewer flags than trials would lead one to expect: none is shown to be right.
    assert_eq!(by_arithmetic(500, 1_000_000, trials(300_000, 300)).unwrap().share, 0.0);
    assert_eq!(by_arithmetic(0, 1_000_000, trials(300_000, 300)), None);
    assert_eq!(by_arithmetic(6_000, 1_000_000, trials(0, 0)), None);
    assert_eq!(by_arithmetic(6_000, 0, trials(300_000, 300)), None);
}

proptest! {
    #[test]
    fn the_policy_a_record_was_decided_under_changes_nothing(scores in proptest::collection::vec(-1.0_f32..=1.0, 0..20)) {
        let policy = Policy::from_toml(&text("m@1", "r@1")).unwrap();
        let decided = |(i, score): (usize, &f32)| {
            let number = u8::try_from(i).unwrap();
            let decision = judge(&policy, Scene::Settlement, &compared(*score, Some(0.9)), Earlier::NOTHING).decision;
            past(number, *score, decision)
        };
        let records: Vec<Past> = scores.iter().enumerate().map(decided).collect();
        let outcome = run(&policy, &records);
        prop_assert!(outcome.flips.is_empty() && outcome.total.flips == 0);
        prop_assert_eq!((outcome.cases.0, outcome.total.flags_before), (outcome.cases.1, outcome.total.flags_after));
    }
}
