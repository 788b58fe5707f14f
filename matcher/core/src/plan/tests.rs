//! The sums, and that more of anything never takes less.

use proptest::prelude::*;

use super::*;

const KEEP: RetentionRule = RetentionRule {
    match_sample_days: 7,
    evidence_days: 30,
    disputed_days: 90,
    superseded_days: 30,
    decision_days: 1_095,
    forgotten_days: 365,
};

const QUESTION: Question = Question {
    people: 10e6,
    per_day: 3e6,
    peak_factor: 10.0,
    disputed: 0.02,
    deferred: 0.1,
    sample_bytes: 20_000.0,
    photo_bytes: 30_000.0,
    cores: 8.0,
};

/// Costs that are easy to reckon with.
fn costs() -> UnitCosts {
    let cost = |value: f64| format!(r#"{{"value":{value},"unit":"u","basis":"assumed","command":"c","machine":"m","date":"2026-11-22"}}"#);
    let named = [
        ("verification_core_ms", 2.0),
        ("comparison_core_ms", 0.1),
        ("enrolment_core_ms", 100.0),
        ("index_core_ms", 0.05),
        ("commit_ms", 5.0),
        ("record_bytes", 3_000.0),
        ("verification_bytes", 1_500.0),
        ("template_bytes", 1_100.0),
        ("audit_bytes", 400.0),
        ("envelope_bytes", 1_500.0),
        ("index_bytes", 560.0),
        ("process_bytes", 1e8),
    ];
    let text = named.map(|(name, value)| format!(r#""{name}":{}"#, cost(value))).join(",");
    UnitCosts::from_json(&format!("{{{text}}}")).unwrap()
}

#[track_caller]
fn check(got: f64, expected: f64) {
    assert!((got - expected).abs() <= expected.abs() * 1e-9, "{got}, expected {expected}");
}

#[test]
fn a_city_takes_what_its_sums_say() {
    let Plan { bytes, peak, memory, hours } = plan(&QUESTION, &KEEP, &costs());
    check(peak.per_second, 3e6 / 86_400.0 * 10.0);
    check(peak.cores, peak.per_second * 0.002);
    check(peak.processes, 2.0);
    check(peak.commits_a_second, 200.0);
    check(bytes.people, 10e6 * 33_000.0);
    check(bytes.faces, 3e6 * (0.98 * 7.0 + 0.02 * 90.0) * 20_000.0 + 3e6 * (0.98 * 30.0 + 0.02 * 90.0) * 1_100.0);
    check(bytes.decisions_a_year, 3e6 * 365.0 * 1_500.0);
    check(bytes.when_full, bytes.people + bytes.faces + 3.0 * (bytes.decisions_a_year + bytes.audit_a_year));
    check(memory.index_of_references, 5.6e9);
    check(memory.index_of_probes, 3e6 * 30.0 * 560.0);
    check(hours.enrolment, 10e6 * 0.1 / 3600.0 / 8.0);
    check(hours.deferred, 3e5 * 0.002 / 3600.0 / 8.0);
}

#[test]
fn commits_are_as_many_as_captures_until_the_disk_says_no() {
    check(commits(10.0, 5.0), 10.0);
    check(commits(350.0, 5.0), 200.0);
    check(commits(512_000.0, 5.0), 2_000.0);
}

#[test]
fn costs_that_are_missing_or_nothing_are_named() {
    assert!(UnitCosts::from_json("{}").unwrap_err().to_string().starts_with("unit costs: expected a JSON object"));
    let mut wrong = costs();
    wrong.get_mut("commit_ms").unwrap().value = 0.0;
    let error = UnitCosts::from_json(&serde_json::to_string(&wrong).unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "unit costs: commit_ms: expected a number above 0, got 0");
    assert!(wrong.get_mut("charm").is_none());
}

proptest! {
    #[test]
    fn more_people_or_captures_never_take_less(people in 1e3_f64..1e8, per_day in 1e2_f64..1e7, more in 1.0_f64..10.0) {
        let at = |people, per_day| plan(&Question { people, per_day, ..QUESTION }, &KEEP, &costs());
        let (small, large) = (at(people, per_day), at(people * more, per_day * more));
        let numbers = |plan: &Plan| [
            plan.bytes.when_full, plan.peak.per_second, plan.peak.commits_a_second, plan.peak.written_a_second, plan.peak.processes,
            plan.memory.index_of_references, plan.hours.enrolment, plan.hours.recomparison_of_a_day,
        ];
        prop_assert!(numbers(&small).iter().zip(numbers(&large)).all(|(small, large)| *small <= large + 1e-9));
        prop_assert!(small.peak.processes >= 2.0, "one of them may fail");
    }
}
