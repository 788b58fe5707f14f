//! Endpoints under calls that are answered and calls that are not.

use proptest::prelude::*;

use super::*;

const RULE: LineRule = LineRule { rest_ms: 100, rest_max_ms: 800, steady_ms: 1_000, steady_answers: 3 };

fn at(ms: u64) -> Moment {
    Moment::from_ms(ms)
}

#[track_caller]
fn check(line: &Endpoints, ms: u64, expected: Way) {
    assert_eq!(line.way(at(ms)), expected, "at {ms} ms: {line:?}");
}

#[test]
fn the_first_failure_is_enough_to_go_over_to_another() {
    let mut line = Endpoints::new(RULE, 3);
    check(&line, 0, Way::Over(0));
    line.failed(0, at(10));
    check(&line, 10, Way::Over(1));
    line.failed(1, at(11));
    check(&line, 11, Way::Over(2));
    line.failed(2, at(12));
    check(&line, 12, Way::Down(0));
    check(&line, 110, Way::Over(0));
}

#[test]
fn a_better_endpoint_is_gone_back_to_when_it_has_answered_for_some_time() {
    let mut line = Endpoints::new(RULE, 2);
    line.failed(0, at(0));
    line.answered(1, at(5));
    assert_eq!((line.trial(at(50)), line.trial(at(100))), (None, Some(0)));
    for (ms, expected) in [(100, 1), (600, 1), (1_099, 1), (1_100, 0)] {
        line.answered(0, at(ms));
        assert_eq!(line.in_use(), expected, "{ms}");
    }
    assert_eq!(line.trial(at(1_200)), None, "there is nothing better");
}

#[test]
fn a_single_failure_starts_the_time_anew_and_a_long_silence_is_no_answer() {
    let mut line = Endpoints::new(RULE, 2);
    line.failed(0, at(0));
    line.answered(1, at(5));
    line.answered(0, at(200));
    line.answered(0, at(900));
    line.failed(0, at(1_150));
    line.answered(0, at(1_300));
    line.answered(0, at(2_299));
    assert_eq!(line.in_use(), 1);
    line.answered(0, at(2_300));
    assert_eq!(line.in_use(), 0);
    let mut rarely = Endpoints::new(RULE, 2);
    rarely.failed(0, at(0));
    rarely.answered(1, at(5));
    rarely.answered(0, at(200));
    rarely.answered(0, at(9_000));
    assert_eq!(rarely.in_use(), 1, "two answers are too few");
}

#[test]
fn a_worse_endpoint_that_answers_is_taken_while_the_one_in_use_does_not() {
    let mut line = Endpoints::new(RULE, 2);
    line.failed(0, at(0));
    line.failed(1, at(0));
    assert_eq!(line.in_use(), 1);
    line.answered(0, at(1));
    assert_eq!((line.in_use(), line.answers(0), line.answers(1)), (0, Some(true), Some(false)));
}

#[test]
fn rests_double_up_to_a_bound() {
    let mut line = Endpoints::new(RULE, 1);
    for (failed_at, rest) in [(0, 100), (1_000, 200), (2_000, 400), (3_000, 800), (4_000, 800)] {
        line.failed(0, at(failed_at));
        check(&line, failed_at + rest - 1, Way::Down(0));
        check(&line, failed_at + rest, Way::Over(0));
    }
}

#[derive(Debug, Clone, Copy)]
struct Call {
    endpoint: usize,
    answered: bool,
    pause_ms: u64,
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let call = (0_usize..3, any::<bool>(), 0_u64..400);
    prop::collection::vec(call.prop_map(|(endpoint, answered, pause_ms)| Call { endpoint, answered, pause_ms }), 0..300)
}

proptest! {
    #[test]
    fn it_never_goes_back_more_often_than_the_steady_time_allows(calls in calls()) {
        let (mut line, mut now, mut back) = (Endpoints::new(RULE, 3), 0, 0_u64);
        for Call { endpoint, answered, pause_ms } in calls {
            now += pause_ms;
            let (before, working) = (line.in_use(), line.answers(line.in_use()) != Some(false));
            if answered { line.answered(endpoint, at(now)) } else { line.failed(endpoint, at(now)) }
            back += u64::from(answered && working && line.in_use() < before);
        }
        prop_assert!(back <= 2 * (now / RULE.steady_ms), "{back} times in {now} ms");
    }

    #[test]
    fn no_call_goes_over_one_that_rests_while_another_does_not(calls in calls()) {
        let (mut line, mut now) = (Endpoints::new(RULE, 3), 0);
        let mut failed_at = [None; 3];
        for Call { endpoint, answered, pause_ms } in calls {
            now += pause_ms;
            if answered { line.answered(endpoint, at(now)) } else { line.failed(endpoint, at(now)) }
            failed_at[endpoint] = (!answered).then_some(now);
            let just_failed = |endpoint: usize| failed_at[endpoint].is_some_and(|at| now < at + RULE.rest_ms);
            match line.way(at(now)) {
                Way::Over(endpoint) => prop_assert!(!just_failed(endpoint)),
                Way::Down(_) => prop_assert!((0..3).all(|endpoint| failed_at[endpoint].is_some())),
            }
        }
    }

    #[test]
    fn once_everything_answers_the_best_is_in_use_again(calls in calls()) {
        let (mut line, mut now) = (Endpoints::new(RULE, 3), 0);
        for Call { endpoint, answered, pause_ms } in calls {
            now += pause_ms;
            if answered { line.answered(endpoint, at(now)) } else { line.failed(endpoint, at(now)) }
        }
        for _ in 0..100 {
            now += 100;
            line.answered(line.way(at(now)).endpoint(), at(now));
            if let Some(better) = line.trial(at(now)) {
                line.answered(better, at(now));
            }
        }
        prop_assert_eq!(line.in_use(), 0);
    }
}
