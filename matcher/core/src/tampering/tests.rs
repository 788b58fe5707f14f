//! Signs of tampering, and what is none.

use proptest::prelude::*;

use super::*;

const HOUR: i64 = 3_600_000;
const RULE: TamperingRule =
    TamperingRule { spool_ms: 72 * HOUR, silent_ms: 4 * HOUR, offline_ms: HOUR, closed_ms: 96 * HOUR, neighbours_min: 3 };

fn lease() -> LeaseTerms {
    let scenes = vec![LeaseScene { scene: Scene::Settlement, captures_max: 2, until: 20 * HOUR }];
    LeaseTerms { device: "till-1".into(), issued_at: 10 * HOUR, scenes }
}

fn answer() -> AnsweredAlone<'static> {
    AnsweredAlone { device: "till-1", scene: Scene::Settlement, sequence: 7, at: 12 * HOUR }
}

#[track_caller]
fn check(answer: AnsweredAlone<'_>, lease: Option<&LeaseTerms>, change: impl FnOnce(&mut KnownOfIt<'_>), expected: &[TamperingReason]) {
    let mut known = KnownOfIt { lease, answers: 1, latest_before: Some(11 * HOUR), nothing_waited: Some((11 * HOUR, 6)) };
    change(&mut known);
    assert_eq!(of_answer(answer, known), expected, "{answer:?} {known:?}");
}

#[test]
fn what_a_lease_allows_is_no_sign() {
    let lease = lease();
    check(answer(), Some(&lease), |_| {}, &[]);
    check(answer(), Some(&lease), |known| known.answers = 2, &[]);
    check(AnsweredAlone { at: 20 * HOUR, ..answer() }, Some(&lease), |_| {}, &[]);
    check(AnsweredAlone { sequence: 6, at: 11 * HOUR - 60_000, ..answer() }, Some(&lease), |_| {}, &[]);
    check(answer(), Some(&lease), |known| (known.latest_before, known.nothing_waited) = (None, None), &[]);
}

#[test]
fn more_or_later_than_a_lease_allows_or_without_one_is_an_overrun() {
    use TamperingReason::LeaseOverrun;
    let lease = lease();
    check(answer(), None, |_| {}, &[LeaseOverrun]);
    check(answer(), Some(&lease), |known| known.answers = 3, &[LeaseOverrun]);
    check(AnsweredAlone { at: 20 * HOUR + 60_000, ..answer() }, Some(&lease), |_| {}, &[LeaseOverrun]);
    check(AnsweredAlone { scene: Scene::Reception, ..answer() }, Some(&lease), |_| {}, &[LeaseOverrun]);
    check(AnsweredAlone { device: "till-2", ..answer() }, Some(&lease), |_| {}, &[LeaseOverrun]);
}

#[test]
fn a_time_before_what_came_before_is_a_clock_set_back() {
    use TamperingReason::ClockSetBack;
    let lease = lease();
    let early = |known: &mut KnownOfIt<'_>| (known.latest_before, known.nothing_waited) = (None, None);
    check(AnsweredAlone { at: 10 * HOUR - 60_001, ..answer() }, Some(&lease), early, &[ClockSetBack]);
    check(answer(), Some(&lease), |known| known.latest_before = Some(12 * HOUR + 60_001), &[ClockSetBack]);
    check(answer(), Some(&lease), |known| known.nothing_waited = Some((12 * HOUR + 60_001, 6)), &[ClockSetBack]);
    check(answer(), Some(&lease), |known| known.nothing_waited = Some((13 * HOUR, 7)), &[]);
}

#[track_caller]
fn check_tail(tail: Tail, numbers: &[u64], now: i64, expected: Tail) {
    assert_eq!(tail.advanced(numbers, now), expected);
}

#[test]
fn a_gap_is_missed_since_it_was_first_seen() {
    let tail = |complete_up_to, gap_since| Tail { complete_up_to, gap_since };
    check_tail(tail(3, None), &[4, 5], 9, tail(5, None));
    check_tail(tail(3, None), &[4, 6], 9, tail(4, Some(9)));
    check_tail(tail(4, Some(9)), &[6, 7], 20, tail(4, Some(9)));
    check_tail(tail(4, Some(9)), &[5, 6, 8], 20, tail(6, Some(20)));
    check_tail(tail(4, Some(9)), &[5, 6], 20, tail(6, None));
    assert_eq!(tail(4, Some(9)).beyond(&[6, 7]), tail(5, None));
}

#[test]
fn a_gap_is_a_sign_when_nothing_waits_or_nothing_could_wait_so_long() {
    let tail = Tail { complete_up_to: 4, gap_since: Some(0) };
    assert_eq!(of_gap(Tail::default(), Some(HOUR), HOUR, &RULE), None);
    assert_eq!(of_gap(tail, None, 72 * HOUR, &RULE), None);
    assert_eq!(of_gap(tail, Some(60_000), HOUR, &RULE), None);
    assert_eq!(of_gap(tail, Some(60_001), HOUR, &RULE), Some(TamperingReason::SequenceGap));
    assert_eq!(of_gap(tail, None, 72 * HOUR + 1, &RULE), Some(TamperingReason::SpoolDeleted));
}

#[test]
fn silence_is_a_sign_while_the_institution_settles() {
    let check = |settled, now, expected| assert_eq!(of_silence(0, settled, now, &RULE), expected);
    check(None, 90 * HOUR, None);
    check(Some(4 * HOUR), 5 * HOUR, None);
    check(Some(4 * HOUR + 1), 5 * HOUR, Some(TamperingReason::DeviceSilent));
    check(Some(99 * HOUR), 100 * HOUR, None);
}

fn heard(institution: &str, at: i64) -> Heard {
    Heard { institution: institution.into(), group: institution[..1].into(), at }
}

#[track_caller]
fn check_offline(heard: &[Heard], expected: &[&str]) {
    let found: Vec<&str> = offline_alone(heard, 100 * HOUR, &RULE).into_iter().map(|heard| heard.institution.as_str()).collect();
    assert_eq!(found, expected);
}

#[test]
fn one_that_is_offline_while_its_neighbours_are_not_stands_out() {
    let now = 100 * HOUR;
    let neighbours = |silent: i64| vec![heard("A2", now), heard("A3", now), heard("A4", now - silent), heard("B1", now - 5 * HOUR)];
    let with = |first: Heard, silent| [vec![first], neighbours(silent)].concat();
    check_offline(&with(heard("A1", now - HOUR), 0), &[]);
    check_offline(&with(heard("A1", now - HOUR - 1), 0), &["A1"]);
    check_offline(&with(heard("A1", now - 97 * HOUR), 0), &[]);
    check_offline(&with(heard("A1", now - 2 * HOUR), 2 * HOUR), &[]);
    check_offline(&[heard("A1", now - 2 * HOUR), heard("A2", now), heard("A3", now)], &[]);
}

proptest! {
    #[test]
    fn when_everybody_is_offline_nobody_stands_out(ages in prop::collection::vec(HOUR + 1..96 * HOUR, 0..20)) {
        let heard: Vec<Heard> = ages.iter().enumerate().map(|(number, age)| heard(&format!("A{number}"), 100 * HOUR - age)).collect();
        prop_assert!(offline_alone(&heard, 100 * HOUR, &RULE).is_empty());
    }

    #[test]
    fn numbers_without_a_gap_are_complete(from in 0_u64..100, count in 0_u64..50) {
        let numbers: Vec<u64> = (from + 1..=from + count).collect();
        let tail = Tail { complete_up_to: from, gap_since: Some(1) }.advanced(&numbers, 5);
        prop_assert_eq!(tail, Tail { complete_up_to: from + count, gap_since: None });
    }
}
