//! What every store must do with evidence and cases.

use std::{future::Future, sync::Arc};

use matcher_core::{
    Decision, Disposition, NoDecision,
    evidence::{
        CaseEvent, CaseKind, CaseStep, CaseVerdict, Drawn, Opening,
        operators::{Measure, Tally},
    },
};

use super::{enrolment, verification};
use crate::store::{
    MadeBy, NewVerification, RecordId, Sealed, SealedProbe, Store, SubjectId,
    cases::{BlindDraw, CaseMember, DeskOpening, Finding, NewCase, NewDraws},
};

pub(super) async fn check<F: Future<Output = Arc<dyn Store>>>(fresh: &impl Fn() -> F) {
    a_turn_is_one_process_s_and_fenced(fresh().await).await;
    visits_come_back_by_time_and_people_page_by_page(fresh().await).await;
    findings_come_strongest_first_and_not_beside_a_case(fresh().await).await;
    a_desk_opens_no_more_than_its_day_has_room_for(fresh().await).await;
    steps_are_added_in_turn_and_closing_explains(fresh().await).await;
    a_day_is_drawn_once_and_a_draw_judged_once(fresh().await).await;
    operators_and_institutions_are_counted(fresh().await).await;
}

/// A capture of a person with a probe.
fn visit(person: u8, envelope: u8) -> NewVerification {
    let mut new = verification(&format!("T{envelope}"), envelope);
    new.record.subject = Some(SubjectId([person; 16]));
    new.record.decision = Decision::Match;
    new.probe = Some(SealedProbe { template: Sealed(vec![envelope; 30]), sample: Sealed(vec![2; 100]) });
    new.made_by = Some(MadeBy { model: "m@1".into(), recipe: "r@1".into() });
    new
}

async fn people(store: &dyn Store, people: &[u8]) {
    for person in people {
        let written = store.put_enrolments(vec![enrolment(*person, &[*person], *person)]).await.unwrap();
        assert!(written[0].is_ok());
    }
}

fn finding(person: u8, log_odds: f64) -> Finding {
    let kind = Some(CaseKind::CardShared);
    Finding { subject: SubjectId([person; 16]), judged_at: 2_000, last_visit_at: 1_500, kind, log_odds, days: 2, faces: 2 }
}

fn case(person: u8, id: u8, opened_at: i64) -> NewCase {
    let member = |verification, face| CaseMember { verification: RecordId([verification; 16]), face, suspect: face > 0 };
    NewCase {
        subject: SubjectId([person; 16]),
        id: RecordId([id; 16]),
        kind: CaseKind::CardShared,
        opening: Opening::Evidence,
        opened_at,
        log_odds: 1.5,
        days: 2,
        reason: String::new(),
        by: String::new(),
        members: vec![member(person, 0), member(person + 100, 1)],
    }
}

async fn a_turn_is_one_process_s_and_fenced(store: Arc<dyn Store>) {
    people(store.as_ref(), &[1]).await;
    let first = store.take_case_run(1_000, 100).await.unwrap().unwrap();
    assert_eq!((first.fence, first.gathered_until), (1, 0));
    assert_eq!(store.take_case_run(1_099, 100).await.unwrap(), None, "it is leased");
    let second = store.take_case_run(1_100, 100).await.unwrap().unwrap();
    assert!(!store.put_findings(first.fence, vec![finding(1, 1.0)]).await.unwrap(), "whoever was too slow writes nothing");
    assert!(!store.finish_case_run(first.fence, 9_000, 0).await.unwrap());
    let late = DeskOpening { fence: first.fence, day_start: 0, capacity: 9, quiet_since: 0, cases: vec![case(1, 1, 1_100)] };
    assert_eq!(store.open_cases(late).await.unwrap(), None);
    assert!(
        store.put_findings(second.fence, vec![finding(1, 1.0), finding(9, 1.0)]).await.unwrap(),
        "nobody is left out silently but strangers"
    );
    assert!(store.finish_case_run(second.fence, 1_100, 1_150).await.unwrap());
    assert_eq!(store.take_case_run(1_149, 100).await.unwrap(), None);
    assert_eq!(store.take_case_run(1_150, 100).await.unwrap().unwrap().gathered_until, 1_100);
    let found = store.findings(0.0, 0, i64::MAX, 9).await.unwrap();
    assert_eq!(found, [finding(1, 1.0)]);
}

async fn visits_come_back_by_time_and_people_page_by_page(store: Arc<dyn Store>) {
    people(store.as_ref(), &[1, 2, 3]).await;
    for (person, envelope) in [(1, 10), (2, 11), (1, 12), (3, 13)] {
        store.record_verification(visit(person, envelope)).await.unwrap();
    }
    let subject = |person| SubjectId([person; 16]);
    assert_eq!(store.visited_since(0, None, 2).await.unwrap(), [subject(1), subject(2)]);
    assert_eq!(store.visited_since(0, Some(subject(2)), 2).await.unwrap(), [subject(3)]);
    assert_eq!(store.visited_since(1_012, None, 9).await.unwrap(), [subject(1), subject(3)]);
    let stored = store.visits_of(subject(1), 0).await.unwrap().unwrap();
    assert_eq!(stored.data_key, Sealed(vec![1; 61]));
    let of = |at: usize| (stored.visits[at].verification, stored.visits[at].template.clone(), stored.visits[at].captured_at);
    assert_eq!([of(0), of(1)], [10_u8, 12].map(|byte| (RecordId([byte; 16]), Sealed(vec![byte; 30]), 900 + i64::from(byte))));
    let first = &stored.visits[0];
    assert_eq!((first.made_by.recipe.as_str(), first.explained, first.score), ("r@1", false, Some(0.123_456_79)));
    assert_eq!(store.visits_of(subject(1), 1_011).await.unwrap().unwrap().visits.len(), 1);
    assert!(store.visits_of(subject(9), 0).await.unwrap().is_none());
}

async fn findings_come_strongest_first_and_not_beside_a_case(store: Arc<dyn Store>) {
    people(store.as_ref(), &[1, 2, 3, 4]).await;
    let turn = store.take_case_run(1, 100).await.unwrap().unwrap();
    let nothing = Finding { kind: None, ..finding(4, 9.0) };
    let all = vec![finding(1, 1.0), finding(2, 3.0), finding(3, 2.0), nothing];
    assert!(store.put_findings(turn.fence, all).await.unwrap());
    let found = |min, since, quiet, limit| {
        let store = Arc::clone(&store);
        async move { store.findings(min, since, quiet, limit).await.unwrap().iter().map(|f| f.subject.0[0]).collect::<Vec<_>>() }
    };
    assert_eq!(found(1.0, 0, 0, 9).await, [2, 3, 1]);
    assert_eq!(found(1.1, 0, 0, 9).await, [2, 3]);
    assert_eq!(found(1.0, 0, 0, 1).await, [2]);
    assert_eq!(found(1.0, 1_501, 0, 9).await, [0_u8; 0]);
    assert!(store.put_findings(turn.fence, vec![finding(2, 0.5)]).await.unwrap());
    store.open_case(case(3, 1, 5_000)).await.unwrap();
    assert_eq!(found(0.0, 0, 9_000, 9).await, [1, 2], "a case that is not closed stands in the way, however old");
}

async fn a_desk_opens_no_more_than_its_day_has_room_for(store: Arc<dyn Store>) {
    let turn = store.take_case_run(1, 1_000).await.unwrap().unwrap();
    store.open_case(case(9, 90, 4_999)).await.unwrap();
    store.open_case(case(8, 80, 5_000)).await.unwrap();
    let opening = |cases| DeskOpening { fence: turn.fence, day_start: 5_000, capacity: 3, quiet_since: 4_000, cases };
    let wanted = vec![case(9, 1, 5_100), case(1, 2, 5_100), case(1, 3, 5_100), case(2, 4, 5_100), case(3, 5, 5_100)];
    assert_eq!(store.open_cases(opening(wanted.clone())).await.unwrap(), Some(2), "a complaint takes room; 9 and 1 have cases");
    assert_eq!(store.open_cases(opening(wanted)).await.unwrap(), Some(0));
    let cases = store.cases(5_000, 9).await.unwrap();
    assert_eq!(cases.iter().map(|case| case.case.id.0[0]).collect::<Vec<_>>(), [2, 4, 80]);
    assert_eq!(cases[0].case, case(1, 2, 5_100));
    assert_eq!(store.cases(5_000, 1).await.unwrap().len(), 1);
}

async fn steps_are_added_in_turn_and_closing_explains(store: Arc<dyn Store>) {
    people(store.as_ref(), &[1]).await;
    for envelope in [1, 101] {
        store.record_verification(visit(1, envelope)).await.unwrap();
    }
    store.open_case(case(1, 7, 5_000)).await.unwrap();
    let id = RecordId([7; 16]);
    let step = |event| CaseStep { at: 6_000, by: "anna".into(), event };
    let steps = [
        CaseEvent::Claimed,
        CaseEvent::Decided(CaseVerdict::Proxy, "her son".into()),
        CaseEvent::Reopened("appeal".into()),
        CaseEvent::Claimed,
        CaseEvent::Decided(CaseVerdict::FalseAlarm, "a haircut".into()),
        CaseEvent::Closed,
    ]
    .map(step);
    for (before, step) in steps.iter().enumerate() {
        assert!(!store.add_case_step(id, before + 1, step.clone()).await.unwrap());
        assert!(store.add_case_step(id, before, step.clone()).await.unwrap());
        assert!(!store.add_case_step(id, before, step.clone()).await.unwrap(), "somebody was faster");
    }
    let stored = store.case(id).await.unwrap().unwrap();
    assert_eq!((stored.steps.as_slice(), stored.case.members.len()), (&steps[..], 2));
    assert_eq!((stored.identifier_masked.as_str(), stored.institutions), ("*****1234", vec!["pharmacy-1".to_owned()]));
    let visits = store.visits_of(SubjectId([1; 16]), 0).await.unwrap().unwrap().visits;
    assert_eq!(visits.iter().map(|visit| visit.explained).collect::<Vec<_>>(), [false, true], "only those that spoke against the holder");
    assert!(store.case(RecordId([9; 16])).await.unwrap().is_none());
    assert!(!store.add_case_step(RecordId([9; 16]), 0, steps[0].clone()).await.unwrap());
}

async fn a_day_is_drawn_once_and_a_draw_judged_once(store: Arc<dyn Store>) {
    people(store.as_ref(), &[1]).await;
    store.record_verification(visit(1, 1)).await.unwrap();
    store.record_verification(visit(1, 2)).await.unwrap();
    let mut mismatch = visit(1, 3);
    mismatch.record.decision = Decision::NonMatch;
    store.record_verification(mismatch).await.unwrap();
    let of = |byte: u8| (SubjectId([1; 16]), RecordId([byte; 16]));
    assert_eq!(store.matches_between(1_001, 1_003).await.unwrap(), [of(1), of(2)]);
    assert_eq!(store.matches_between(1_002, 1_004).await.unwrap(), [of(2)]);
    assert_eq!(store.matches_between(1_001, 1_002).await.unwrap(), [of(1)]);
    let draw = BlindDraw { subject: of(1).0, verification: of(1).1, day: 5, inclusion: 0.5, two_people: None, drawn: Drawn::Match };
    let draws = NewDraws { day: 5, key: [1; 32], matches: 2, drawn_at: 9, draws: vec![draw.clone()] };
    assert!(!store.is_drawn(5).await.unwrap());
    assert!(store.put_draws(draws.clone()).await.unwrap());
    assert!(!store.put_draws(draws).await.unwrap() && store.is_drawn(5).await.unwrap() && !store.is_drawn(6).await.unwrap());
    assert_eq!(store.draws(5).await.unwrap(), std::slice::from_ref(&draw));
    assert_eq!(store.draws(6).await.unwrap(), []);
    assert!(store.judge_draw(of(1).1, true, "anna".into(), 10).await.unwrap());
    assert!(!store.judge_draw(of(1).1, false, "ben".into(), 11).await.unwrap(), "once");
    assert!(!store.judge_draw(of(2).1, false, "ben".into(), 11).await.unwrap());
    assert_eq!(store.draws(0).await.unwrap(), [BlindDraw { two_people: Some(true), ..draw }]);
}

async fn operators_and_institutions_are_counted(store: Arc<dyn Store>) {
    let write = async |envelope: u8, operator: &str, decision, disposition| {
        let mut new = verification(&format!("T{envelope}"), envelope);
        (new.record.operator, new.record.decision, new.record.disposition) = (operator.into(), decision, disposition);
        store.record_verification(new).await.unwrap();
    };
    let no_face = Decision::NoDecision(NoDecision::FailureToAcquire);
    write(1, "a", Decision::Match, Disposition::Settle).await;
    write(2, "a", no_face, Disposition::OtherWay).await;
    write(3, "", Decision::NonMatch, Disposition::DocumentCheck).await;
    // Numbers 4 to 6 never came.
    write(7, "b", Decision::Match, Disposition::Settle).await;
    let tallies = store.tallies(1_001).await.unwrap();
    let of = |operator: Option<&str>, measure| {
        let found = |tally: &&Tally| tally.who.operator.as_deref() == operator && tally.measure == measure;
        tallies.iter().find(found).map(|tally| (tally.events, tally.trials))
    };
    assert_eq!(of(Some("a"), Measure::OtherWay), Some((1, 2)));
    assert_eq!(of(Some("a"), Measure::NoFace), Some((1, 2)));
    assert_eq!(of(Some("b"), Measure::OtherWay), Some((0, 1)));
    assert_eq!(of(Some(""), Measure::OtherWay), None, "nobody is named");
    assert_eq!(of(None, Measure::DocumentChecked), Some((1, 4)));
    assert_eq!(of(None, Measure::Missing), Some((3, 7)));
    let mut far = verification("T9", 9);
    (far.record.decided_at, far.record.request.institution) = (5 * 86_400_000, "pharmacy-2".into());
    far.record.device = "counter-2".into();
    store.record_verification(far).await.unwrap();
    let silent = store.tallies(1_001).await.unwrap();
    let silent = silent.iter().filter(|tally| tally.measure == Measure::SilentDay);
    assert_eq!(silent.map(|tally| (tally.events, tally.trials)).collect::<Vec<_>>(), [(5, 6), (0, 1)]);
    let later = store.tallies(1_003).await.unwrap();
    assert!(later.iter().any(|tally| tally.measure == Measure::Missing && (tally.events, tally.trials) == (3, 5)));
}
