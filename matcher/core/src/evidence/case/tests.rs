//! Ways a case may go, and ways it may not.

use proptest::prelude::*;

use super::*;

fn step(by: &str, event: CaseEvent) -> CaseStep {
    CaseStep { at: 1, by: by.into(), event }
}

fn decided(verdict: CaseVerdict) -> CaseEvent {
    CaseEvent::Decided(verdict, "two faces".into())
}

fn reviewed(verdict: CaseVerdict) -> CaseEvent {
    CaseEvent::Reviewed(verdict, "so do I".into())
}

fn reopened() -> CaseEvent {
    CaseEvent::Reopened("appeal".into())
}

#[track_caller]
fn check(steps: &[(&str, CaseEvent)], expected: Result<(CaseState, Option<CaseVerdict>), CaseError>) {
    let case = Case::replay(steps.iter().map(|(by, event)| step(by, event.clone())));
    assert_eq!(case.map(|case| (case.state(), case.verdict())), expected);
}

use CaseVerdict::{Confirmed, FalseAlarm, Inconclusive, Proxy};

#[test]
fn a_case_goes_from_open_to_closed() {
    let (a, b) = ("anna", "ben");
    check(&[], Ok((CaseState::Open, None)));
    check(&[(a, CaseEvent::Claimed)], Ok((CaseState::Claimed, None)));
    check(&[(a, CaseEvent::Claimed), (a, CaseEvent::Released)], Ok((CaseState::Open, None)));
    for verdict in [FalseAlarm, Proxy, Inconclusive] {
        check(&[(a, CaseEvent::Claimed), (a, decided(verdict)), (a, CaseEvent::Closed)], Ok((CaseState::Closed, Some(verdict))));
    }
    let agreed = [(a, CaseEvent::Claimed), (a, decided(Confirmed)), (b, reviewed(Confirmed))];
    check(&agreed, Ok((CaseState::SecondReview, Some(Confirmed))));
    check(&[&agreed[..], &[(a, CaseEvent::Closed)]].concat(), Ok((CaseState::Closed, Some(Confirmed))));
    check(&[&agreed[..], &[(a, CaseEvent::Closed), (a, reopened())]].concat(), Ok((CaseState::Open, None)));
    check(&[&agreed[..], &[(a, reopened()), ("cleo", CaseEvent::Claimed)]].concat(), Ok((CaseState::Claimed, None)));
}

#[test]
fn an_accusation_waits_for_a_second_person() {
    let (a, b) = ("anna", "ben");
    let accused = [(a, CaseEvent::Claimed), (a, decided(Confirmed))];
    check(&[&accused[..], &[(a, CaseEvent::Closed)]].concat(), Err(CaseError::SecondReviewDue(Confirmed)));
    check(&[&accused[..], &[(a, reviewed(Confirmed))]].concat(), Err(CaseError::JudgedBefore));
    let disputed = [&accused[..], &[(b, reviewed(FalseAlarm))]].concat();
    check(&disputed, Ok((CaseState::Open, None)));
    for judge in [a, b] {
        check(&[&disputed[..], &[(judge, CaseEvent::Claimed)]].concat(), Err(CaseError::JudgedBefore));
    }
    check(&[&disputed[..], &[("cleo", CaseEvent::Claimed)]].concat(), Ok((CaseState::Claimed, None)));
}

#[test]
fn a_second_review_is_one_person_s_who_may_give_it_back() {
    let (a, b) = ("anna", "ben");
    let waits = [(a, CaseEvent::Claimed), (a, decided(Confirmed))];
    let with = |more: &[(&'static str, CaseEvent)]| [&waits[..], more].concat();
    check(&with(&[(b, CaseEvent::Claimed)]), Ok((CaseState::Decided, Some(Confirmed))));
    check(&with(&[(a, CaseEvent::Claimed)]), Err(CaseError::JudgedBefore));
    check(&with(&[(b, CaseEvent::Claimed), ("cleo", reviewed(Confirmed))]), Err(CaseError::NotYours));
    check(
        &with(&[(b, CaseEvent::Claimed), ("cleo", CaseEvent::Claimed)]),
        Err(CaseError::Order { state: CaseState::Decided, event: "claimed" }),
    );
    check(&with(&[(b, CaseEvent::Claimed), (b, reviewed(Confirmed))]), Ok((CaseState::SecondReview, Some(Confirmed))));
    check(
        &with(&[(b, CaseEvent::Claimed), (b, CaseEvent::Released), ("cleo", reviewed(Confirmed))]),
        Ok((CaseState::SecondReview, Some(Confirmed))),
    );
    let steps = with(&[(b, CaseEvent::Claimed)]);
    let case = Case::replay(steps.iter().map(|(by, event)| step(by, event.clone()))).unwrap();
    assert_eq!((case.claimed_by(), case.judges()), (Some(b), &[a.to_owned()][..]));
}

#[test]
fn steps_that_do_not_follow_are_refused() {
    let a = "anna";
    let order = |state, event| Err(CaseError::Order { state, event });
    check(&[(a, decided(Confirmed))], order(CaseState::Open, "decided"));
    check(&[(a, CaseEvent::Closed)], order(CaseState::Open, "closed"));
    check(&[(a, reopened())], order(CaseState::Open, "reopened"));
    check(&[(a, reviewed(Confirmed))], order(CaseState::Open, "reviewed"));
    check(&[(a, CaseEvent::Released)], order(CaseState::Open, "released"));
    check(&[(a, CaseEvent::Claimed), ("ben", CaseEvent::Claimed)], order(CaseState::Claimed, "claimed"));
    check(&[(a, CaseEvent::Claimed), ("ben", decided(Proxy))], Err(CaseError::NotYours));
    check(&[(a, CaseEvent::Claimed), ("ben", CaseEvent::Released)], Err(CaseError::NotYours));
    check(&[(a, CaseEvent::Claimed), (a, CaseEvent::Decided(Proxy, " ".into()))], Err(CaseError::NoReason));
    let done = [(a, CaseEvent::Claimed), (a, decided(Proxy))];
    check(&[&done[..], &[("ben", CaseEvent::Reviewed(Proxy, String::new()))]].concat(), Err(CaseError::NoReason));
    check(&[&done[..], &[(a, CaseEvent::Reopened(String::new()))]].concat(), Err(CaseError::NoReason));
    check(&[(" ", CaseEvent::Claimed)], Err(CaseError::NoName));
}

#[test]
fn a_refused_step_changes_nothing() {
    let mut case = Case::replay([step("anna", CaseEvent::Claimed)]).unwrap();
    let before = case.clone();
    for (by, event) in [("ben", decided(Proxy)), ("anna", CaseEvent::Closed), ("anna", CaseEvent::Decided(Proxy, String::new()))] {
        case.apply(step(by, event)).unwrap_err();
        assert_eq!(case, before);
    }
    assert_eq!((case.claimed_by(), case.steps().len()), (Some("anna"), 1));
}

fn any_event() -> impl Strategy<Value = CaseEvent> {
    let verdict = || prop::sample::select(CaseVerdict::ALL);
    prop_oneof![
        Just(CaseEvent::Claimed),
        Just(CaseEvent::Released),
        Just(CaseEvent::Closed),
        Just(reopened()),
        verdict().prop_map(decided),
        verdict().prop_map(reviewed),
    ]
}

proptest! {
    #[test]
    fn events_survive_being_written(event in any_event()) {
        let (verdict, reason) = event.said();
        prop_assert_eq!(CaseEvent::from_parts(event.word(), verdict, reason), Some(event.clone()));
        let other = if verdict.is_some() { None } else { Some(Proxy) };
        prop_assert_eq!(CaseEvent::from_parts(event.word(), other, reason), None);
    }

    #[test]
    fn an_accusation_never_closes_by_one_person_alone(events in prop::collection::vec((0_u8..3, any_event()), 0..40)) {
        let mut case = Case::default();
        for (by, event) in events {
            let _ = case.apply(step(&format!("p{by}"), event));
            if case.state() == CaseState::Closed && case.verdict() == Some(Confirmed) {
                let said = |s: &&CaseStep| s.event.said().0 == Some(Confirmed);
                let mut judges: Vec<&str> = case.steps().iter().filter(said).map(|s| s.by.as_str()).collect();
                judges.dedup();
                prop_assert!(judges.len() >= 2, "{:?}", case.steps());
            }
        }
        prop_assert_eq!(Case::replay(case.steps().to_vec()), Ok(case));
    }
}
