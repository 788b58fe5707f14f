//! Rules of transactions as tables, and that no order of events breaks them.

use proptest::prelude::*;

use super::*;

const RULE: TransactionRule = TransactionRule { faces_max: 3, time_out_ms: 1_000 };

fn at(ms: u64) -> Moment {
    Moment::from_ms(ms)
}

fn opened() -> Transaction {
    Transaction::open(RULE, OpenedBy::Till, at(0))
}

fn number(number: u32) -> Attempt {
    Attempt::new(number).unwrap()
}

/// One whole attempt with its answer.
fn tried(transaction: &mut Transaction, way: Way, told: Told) {
    let Ok(Begun::New(attempt)) = transaction.begin(way, None, at(1)) else { panic!("{transaction:?}") };
    transaction.captured(attempt, way, at(2));
    assert!(transaction.answered(attempt, told, at(3)));
}

#[track_caller]
fn check_confirm(told: Told, by_document: bool, expected: Result<(), TransactionError>) {
    let mut transaction = opened();
    tried(&mut transaction, Way::Face, told);
    assert_eq!(transaction.confirm(by_document, at(4)), expected);
    assert_eq!(transaction.state(), if expected.is_ok() { State::Confirmed } else { State::Answered });
}

#[test]
fn only_what_the_center_said_to_settle_is_confirmed() {
    check_confirm(Told::Settle, false, Ok(()));
    check_confirm(Told::SettleFlagged, false, Ok(()));
    check_confirm(Told::DocumentCheck, false, Err(TransactionError::NotSettled));
    check_confirm(Told::DocumentCheck, true, Ok(()));
    for told in [Told::Hold, Told::OtherWay, Told::Retry] {
        check_confirm(told, true, Err(TransactionError::NotSettled));
    }
}

#[test]
fn the_other_way_is_open_from_the_start_and_after_the_last_face() {
    let mut transaction = opened();
    assert_eq!(transaction.ways(), Way::ALL);
    for _ in 0..3 {
        tried(&mut transaction, Way::Face, Told::DocumentCheck);
    }
    assert_eq!(transaction.ways(), [Way::Chip, Way::DocumentCheck, Way::OtherWay]);
    assert_eq!(transaction.begin(Way::Face, None, at(9)), Err(TransactionError::AttemptsSpent { max: 3 }));
    tried(&mut transaction, Way::OtherWay, Told::Settle);
    assert_eq!(transaction.begin(Way::OtherWay, None, at(9)), Err(TransactionError::Settled));
    assert_eq!(transaction.ways(), []);
}

#[test]
fn the_same_attempt_is_not_made_twice() {
    let mut transaction = opened();
    assert_eq!(transaction.begin(Way::Face, Some(number(1)), at(1)), Ok(Begun::New(number(1))));
    assert_eq!(transaction.begin(Way::Face, None, at(1)), Err(TransactionError::Busy));
    transaction.captured(number(1), Way::Face, at(2));
    assert_eq!(transaction.begin(Way::Face, None, at(3)), Ok(Begun::Again(number(1))), "it waits: its answer is asked for again");
    assert_eq!(transaction.begin(Way::Face, Some(number(1)), at(3)), Ok(Begun::Again(number(1))));
    assert_eq!(transaction.begin(Way::OtherWay, Some(number(1)), at(3)), Err(TransactionError::OutOfOrder { next: 2 }));
    assert!(transaction.answered(number(1), Told::Retry, at(4)));
    assert_eq!(transaction.begin(Way::Face, Some(number(3)), at(5)), Err(TransactionError::OutOfOrder { next: 2 }));
    assert_eq!(transaction.begin(Way::Face, Some(number(2)), at(5)), Ok(Begun::New(number(2))));
}

#[test]
fn a_dead_line_does_not_keep_the_other_way_shut() {
    let mut transaction = opened();
    transaction.begin(Way::Face, None, at(1)).unwrap();
    transaction.captured(number(1), Way::Face, at(2));
    assert_eq!(transaction.begin(Way::OtherWay, None, at(3)), Ok(Begun::New(number(2))));
    transaction.failed(at(4));
    assert_eq!(transaction.state(), State::Waiting, "the face still waits");
    tried(&mut transaction, Way::OtherWay, Told::Settle);
    assert!(transaction.answered(number(1), Told::Hold, at(5)), "and its answer comes");
    assert_eq!((transaction.state(), transaction.confirm(false, at(6))), (State::Answered, Ok(())));
}

#[test]
fn an_attempt_that_left_nothing_frees_its_number() {
    let mut transaction = opened();
    transaction.begin(Way::Face, None, at(1)).unwrap();
    transaction.failed(at(2));
    assert_eq!((transaction.state(), transaction.next_number()), (State::Open, 1));
}

#[test]
fn idle_transactions_end_and_what_may_be_settled_does_not() {
    let mut transaction = opened();
    assert!(!transaction.pass(at(999)) && transaction.pass(at(1_000)));
    assert_eq!(transaction.state(), State::Expired);
    let mut settled = opened();
    tried(&mut settled, Way::Face, Told::Settle);
    assert!(!settled.pass(at(1_000_000)));
    let mut waiting = opened();
    waiting.begin(Way::Face, None, at(1)).unwrap();
    waiting.captured(number(1), Way::Face, at(2));
    assert!(!waiting.pass(at(1_000_000)));
}

#[test]
fn an_answer_after_the_end_is_kept_and_changes_no_end() {
    let mut transaction = opened();
    transaction.begin(Way::Face, None, at(1)).unwrap();
    transaction.captured(number(1), Way::Face, at(2));
    transaction.cancel(at(3)).unwrap();
    assert!(transaction.answered(number(1), Told::Settle, at(4)));
    assert_eq!((transaction.state(), transaction.told().map(|answer| answer.told)), (State::Cancelled, Some(Told::Settle)));
    assert_eq!(transaction.confirm(true, at(5)), Err(TransactionError::Over(State::Cancelled)));
}

#[test]
fn a_capture_that_outlives_a_cancel_has_a_place_for_its_answer() {
    let mut transaction = opened();
    transaction.begin(Way::Face, None, at(1)).unwrap();
    transaction.cancel(at(2)).unwrap();
    transaction.captured(number(1), Way::Face, at(3));
    assert!(transaction.answered(number(1), Told::Hold, at(4)));
    assert_eq!((transaction.state(), transaction.answers().len()), (State::Cancelled, 1));
}

#[test]
fn a_refund_takes_a_settlement_back_once() {
    let mut transaction = opened();
    assert_eq!(transaction.reverse(at(1)), Err(TransactionError::NotConfirmed));
    tried(&mut transaction, Way::OtherWay, Told::Settle);
    transaction.confirm(false, at(4)).unwrap();
    assert_eq!(transaction.cancel(at(5)), Err(TransactionError::Over(State::Confirmed)));
    assert_eq!((transaction.reverse(at(6)), transaction.reverse(at(7))), (Ok(()), Ok(())));
    assert_eq!(transaction.state(), State::Reversed);
}

#[test]
fn a_shift_changes_hands_and_nothing_else() {
    let mut transaction = opened();
    assert!(transaction.shift(at(1)) && transaction.shift(at(2)));
    assert_eq!((transaction.shifts(), transaction.state()), (2, State::Open));
    transaction.cancel(at(3)).unwrap();
    assert!(!transaction.shift(at(4)));
    assert_eq!(transaction.shifts(), 2);
}

#[test]
fn a_restart_changes_nothing_that_was_made_or_answered() {
    let mut before = opened();
    tried(&mut before, Way::Face, Told::Retry);
    before.begin(Way::Face, None, at(5)).unwrap();
    before.captured(number(2), Way::Face, at(6));
    let restored = |transaction: &Transaction, end| {
        Transaction::restore(RULE, OpenedBy::Till, at(0), (transaction.made().to_vec(), transaction.answers().to_vec()), end)
    };
    let mut after = restored(&before, None);
    assert_eq!((after.state(), after.made(), after.answers()), (State::Waiting, before.made(), before.answers()));
    assert_eq!(after.begin(Way::Face, None, at(7)), Ok(Begun::Again(number(2))));
    assert_eq!(restored(&opened(), None).state(), State::Open);
    assert_eq!(restored(&before, Some(State::Confirmed)).state(), State::Confirmed);
}

/// Something that happens to a transaction.
#[derive(Debug, Clone, Copy)]
enum Event {
    Begin(Way, Option<u32>),
    Captured,
    Failed,
    Answered(u32, Told),
    Shift,
    Confirm(bool),
    Reverse,
    Cancel,
    Pass(u64),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let way = prop::sample::select(Way::ALL);
    let told = prop::sample::select(Told::ALL);
    let event = prop_oneof![
        4 => (way, prop::option::of(1_u32..8)).prop_map(|(way, number)| Event::Begin(way, number)),
        4 => Just(Event::Captured),
        1 => Just(Event::Failed),
        4 => (1_u32..8, told).prop_map(|(number, told)| Event::Answered(number, told)),
        1 => Just(Event::Shift),
        1 => any::<bool>().prop_map(Event::Confirm),
        1 => Just(Event::Reverse),
        1 => Just(Event::Cancel),
        2 => (0_u64..2_000).prop_map(Event::Pass),
    ];
    prop::collection::vec(event, 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_order_of_events_loses_a_decision_exceeds_the_attempts_or_leaves_an_end(events in events()) {
        let mut transaction = opened();
        let (mut now, mut begun) = (0, None);
        for event in events {
            let before = transaction.clone();
            match event {
                Event::Begin(way, asked) => {
                    if let Ok(Begun::New(attempt)) = transaction.begin(way, asked.map(number), at(now)) {
                        begun = Some((attempt, way));
                    }
                }
                Event::Captured => {
                    if let Some((attempt, way)) = begun {
                        transaction.captured(attempt, way, at(now));
                    }
                }
                Event::Failed => transaction.failed(at(now)),
                Event::Answered(attempt, told) => drop(transaction.answered(number(attempt), told, at(now))),
                Event::Shift => drop(transaction.shift(at(now))),
                Event::Confirm(by_document) => drop(transaction.confirm(by_document, at(now))),
                Event::Reverse => drop(transaction.reverse(at(now))),
                Event::Cancel => drop(transaction.cancel(at(now))),
                Event::Pass(ms) => {
                    now += ms;
                    transaction.pass(at(now));
                }
            }
            prop_assert!(transaction.answers().starts_with(before.answers()), "a decision was lost or changed");
            prop_assert!(transaction.made().starts_with(before.made()), "an attempt was lost or changed");
            if before.state().is_terminal() {
                prop_assert_eq!(transaction.state(), before.state());
            }
            let numbered = |way: Way| transaction.made().iter().rposition(|made| *made == way).map_or(0, |place| place as u32 + 1);
            for way in Way::ALL {
                prop_assert!(numbered(*way) <= RULE.attempt_max(*way), "{way} beyond its attempts");
            }
            prop_assert!(transaction.answers().len() <= transaction.made().len());
            if transaction.state() == State::Confirmed && before.state() != State::Confirmed {
                let told = transaction.told().map(|answer| answer.told);
                prop_assert!(matches!(told, Some(Told::Settle | Told::SettleFlagged | Told::DocumentCheck)), "{told:?}");
            }
            if transaction.state() == State::Expired && before.state() != State::Expired {
                prop_assert!(before.state() == State::Open || before.state() == State::Answered);
            }
        }
    }
}
