//! What every store must do for those who search faces: the feed of changes, searchable records, findings.

use std::{future::Future, sync::Arc};

use matcher_core::{
    Decision, FlagKind,
    evidence::{CaseKind, Opening},
};

use super::{enrolment, flag, verification};
use crate::store::{
    MadeBy, NewVerification, RecordId, Sealed, SealedProbe, Store, SubjectId,
    cases::{Finding, NewCase},
    feed::{Change, NewFinding, Position, Searchable},
    subjects::Forget,
};

pub(super) async fn check<F: Future<Output = Arc<dyn Store>>>(fresh: &impl Fn() -> F) {
    what_comes_and_goes_is_in_the_feed_once_and_in_order(fresh().await).await;
    a_feed_that_was_trimmed_says_so(fresh().await).await;
    records_are_searchable_while_their_photo_is_in_use(fresh().await).await;
    a_search_is_one_process_s_and_fenced(fresh().await).await;
    a_finding_is_raised_once_with_flag_and_case(fresh().await).await;
    many_faced_cards_come_by_person(fresh().await).await;
}

fn made_by() -> MadeBy {
    MadeBy { model: "m@1".into(), recipe: "r@1".into() }
}

fn visit(person: u8, envelope: u8) -> NewVerification {
    let mut new = verification(&format!("T{envelope}"), envelope);
    new.record.subject = Some(SubjectId([person; 16]));
    new.record.decision = if envelope.is_multiple_of(2) { Decision::Match } else { Decision::Review };
    new.probe = Some(SealedProbe { template: Sealed(vec![envelope; 30]), sample: Sealed(vec![2; 100]) });
    new.made_by = Some(made_by());
    new
}

/// Kind, whether added, person and record of changes.
fn said(changes: &[Change]) -> Vec<(Searchable, bool, u8, u8)> {
    changes.iter().map(|change| (change.kind, change.added, change.subject.0[0], change.record.0[0])).collect()
}

async fn all(store: &dyn Store, after: Position) -> Vec<Change> {
    store.feed_after(after, 100).await.unwrap().unwrap()
}

async fn what_comes_and_goes_is_in_the_feed_once_and_in_order(store: Arc<dyn Store>) {
    let before = store.feed_head().await.unwrap();
    assert_eq!(all(store.as_ref(), before).await, []);
    store.put_enrolments(vec![enrolment(1, &[1], 4), enrolment(2, &[2], 5)]).await.unwrap();
    store.record_verification(visit(1, 10)).await.unwrap();
    store.record_verification(verification("T9", 9)).await.unwrap();
    let (reference, probe) = (Searchable::Reference, Searchable::Probe);
    let first = all(store.as_ref(), before).await;
    assert_eq!(said(&first), [(reference, true, 1, 4), (reference, true, 2, 5), (probe, true, 1, 10)]);
    assert!(first.is_sorted_by_key(|change| change.position));
    // Page by page, none twice.
    assert_eq!(store.feed_after(before, 2).await.unwrap().unwrap(), first[..2]);
    assert_eq!(store.feed_after(first[1].position, 2).await.unwrap().unwrap(), first[2..]);
    let seen = store.feed_head().await.unwrap();
    assert_eq!(all(store.as_ref(), seen).await, []);
    // Another photo of the same source, a revoked one, a person who is forgotten.
    store.put_enrolments(vec![enrolment(1, &[1], 6)]).await.unwrap();
    assert!(store.revoke_photo(SubjectId([2; 16]), RecordId([5; 16]), 9_000).await.unwrap());
    let subject = SubjectId([1; 16]);
    store.forget(Forget { subject, at: 9_001, tombstones: Vec::new(), pseudonym: [9; 32] }).await.unwrap();
    let mut later = said(&all(store.as_ref(), seen).await);
    assert_eq!(later[..3], [(reference, false, 1, 4), (reference, true, 1, 6), (reference, false, 2, 5)]);
    let mut forgotten = later.split_off(3);
    forgotten.sort();
    assert_eq!(forgotten, [(reference, false, 1, 4), (reference, false, 1, 6), (probe, false, 1, 10)]);
}

async fn a_feed_that_was_trimmed_says_so(store: Arc<dyn Store>) {
    let before = store.feed_head().await.unwrap();
    let people: Vec<_> = (1..=5).map(|person| enrolment(person, &[person], person)).collect();
    store.put_enrolments(people).await.unwrap();
    let changes = all(store.as_ref(), before).await;
    let ahead = Position { era: i64::MAX, number: 1 };
    assert_eq!(store.feed_after(ahead, 9).await.unwrap(), None, "of another store");
    assert_eq!(store.trim_feed(9).await.unwrap(), 0);
    assert_eq!(store.trim_feed(2).await.unwrap(), 3);
    assert_eq!(store.feed_after(before, 9).await.unwrap(), None);
    assert_eq!(store.feed_after(changes[1].position, 9).await.unwrap(), None);
    assert_eq!(store.feed_after(changes[2].position, 9).await.unwrap().unwrap(), changes[3..]);
    assert_eq!(store.trim_feed(2).await.unwrap(), 0);
}

async fn records_are_searchable_while_their_photo_is_in_use(store: Arc<dyn Store>) {
    store.put_enrolments((1..=4).map(|person| enrolment(person, &[person], person)).collect()).await.unwrap();
    for (person, envelope) in [(1, 10), (1, 11), (2, 12)] {
        store.record_verification(visit(person, envelope)).await.unwrap();
    }
    let page = async |kind, since, after: Option<(u8, u8)>, limit| {
        let after = after.map(|(subject, record)| (SubjectId([subject; 16]), RecordId([record; 16])));
        let records = store.searchable(kind, &made_by(), since, after, limit).await.unwrap();
        records.iter().map(|record| (record.subject.0[0], record.record.0[0])).collect::<Vec<_>>()
    };
    assert_eq!(page(Searchable::Reference, 0, None, 3).await, [(1, 1), (2, 2), (3, 3)]);
    assert_eq!(page(Searchable::Reference, 0, Some((3, 3)), 3).await, [(4, 4)]);
    assert_eq!(page(Searchable::Probe, 0, None, 9).await, [(1, 10), (1, 11), (2, 12)]);
    assert_eq!(page(Searchable::Probe, 0, Some((1, 10)), 9).await, [(1, 11), (2, 12)]);
    assert_eq!(page(Searchable::Probe, 1_011, None, 9).await, [(1, 11), (2, 12)]);
    assert_eq!(store.searchable_count(Searchable::Probe, &made_by(), 1_011).await.unwrap(), 2);
    let other = MadeBy { recipe: "r@2".into(), ..made_by() };
    assert_eq!(store.searchable_count(Searchable::Reference, &other, 0).await.unwrap(), 0);
    store.revoke_photo(SubjectId([3; 16]), RecordId([3; 16]), 9_000).await.unwrap();
    assert_eq!(store.searchable_count(Searchable::Reference, &made_by(), 0).await.unwrap(), 3);
    let wanted = [(3, 3), (4, 4), (9, 9)].map(|(subject, record)| (SubjectId([subject; 16]), RecordId([record; 16])));
    let found = store.searchable_of(Searchable::Reference, wanted.to_vec()).await.unwrap();
    assert_eq!(found.len(), 1);
    let found = &found[0];
    assert_eq!((found.scope.as_str(), &found.data_key, &found.template), ("330200", &Sealed(vec![4; 61]), &Sealed(vec![4; 1053])));
    let of = |envelope: u8| vec![(SubjectId([1; 16]), RecordId([envelope; 16]))];
    let matched = store.searchable_of(Searchable::Probe, of(10)).await.unwrap().remove(0);
    assert_eq!((matched.scope.as_str(), matched.matched, matched.explained, matched.at), ("pharmacy-1", true, false, 1_010));
    assert!(!store.searchable_of(Searchable::Probe, of(11)).await.unwrap().remove(0).matched);
}

async fn a_search_is_one_process_s_and_fenced(store: Arc<dyn Store>) {
    let first = store.take_search("duplicates", 1_000, 100).await.unwrap().unwrap();
    assert_eq!((first.fence, first.position), (1, Position::default()));
    assert_eq!(store.take_search("duplicates", 1_099, 100).await.unwrap(), None);
    assert!(store.take_search("same_face", 1_099, 100).await.unwrap().is_some(), "a job of its own");
    let second = store.take_search("duplicates", 1_100, 100).await.unwrap().unwrap();
    let position = Position { era: 3, number: 7 };
    assert!(!store.finish_search("duplicates", first.fence, position, 0).await.unwrap());
    assert!(store.finish_search("duplicates", second.fence, position, 1_150).await.unwrap());
    assert_eq!(store.take_search("duplicates", 1_150, 100).await.unwrap().unwrap().position, position);
    assert_eq!(store.take_search("nothing", 9_999, 100).await.unwrap(), None);
}

fn finding(subjects: &[u8], about: &str, id: u8, at: i64, quiet_since: i64) -> NewFinding {
    let mut flag = flag(id, at);
    flag.kind = FlagKind::SameFaceSeveralCards;
    let subjects: Vec<SubjectId> = subjects.iter().map(|subject| SubjectId([*subject; 16])).collect();
    let case = subjects.first().map(|subject| NewCase {
        subject: *subject,
        id: RecordId([id; 16]),
        kind: CaseKind::SameFace,
        opening: Opening::Identification,
        opened_at: at,
        log_odds: 0.0,
        days: 1,
        reason: "one face on three cards".into(),
        by: String::new(),
        members: Vec::new(),
    });
    NewFinding { subjects, about: about.into(), score: Some(0.75), quiet_since, flag, case }
}

async fn a_finding_is_raised_once_with_flag_and_case(store: Arc<dyn Store>) {
    store.put_enrolments((1..=4).map(|person| enrolment(person, &[person], person)).collect()).await.unwrap();
    assert!(store.raise_finding(finding(&[1, 2, 3], "pharmacy-1", 1, 5_000, 0)).await.unwrap());
    assert!(!store.raise_finding(finding(&[4, 2], "pharmacy-1", 2, 6_000, 0)).await.unwrap(), "one of them was found there");
    assert!(store.raise_finding(finding(&[4, 2], "pharmacy-2", 3, 6_000, 0)).await.unwrap());
    assert!(store.raise_finding(finding(&[1, 2], "pharmacy-1", 4, 9_000, 5_001)).await.unwrap(), "long ago");
    assert!(!store.raise_finding(finding(&[9], "pharmacy-1", 5, 9_000, 0)).await.unwrap(), "nobody");
    let flags = store.flags(&super::all()).await.unwrap();
    assert_eq!(flags.iter().map(|flag| flag.id.0[0]).collect::<Vec<_>>(), [4, 3, 1]);
    let cases = store.cases(0, 9).await.unwrap();
    assert_eq!(cases.iter().map(|case| case.case.id.0[0]).collect::<Vec<_>>(), [3, 1], "no second case beside an open one");
    let found = store.search_findings(6_000, 9).await.unwrap();
    let said = |at: usize| (found[at].subject.0[0], found[at].about.as_str(), found[at].flag.0[0]);
    assert_eq!((found.len(), said(0), said(1)), (4, (1, "pharmacy-1", 4), (2, "pharmacy-1", 4)));
    assert_eq!((found[2].kind, found[2].score), (FlagKind::SameFaceSeveralCards, Some(0.75)));
}

async fn many_faced_cards_come_by_person(store: Arc<dyn Store>) {
    store.put_enrolments((1..=3).map(|person| enrolment(person, &[person], person)).collect()).await.unwrap();
    let turn = store.take_case_run(1, 100).await.unwrap().unwrap();
    let of = |person: u8, faces| Finding {
        subject: SubjectId([person; 16]),
        judged_at: 1_000 + i64::from(person),
        last_visit_at: 1_000,
        kind: None,
        log_odds: -1.0,
        days: 3,
        faces,
    };
    assert!(store.put_findings(turn.fence, vec![of(1, 3), of(2, 2), of(3, 5)]).await.unwrap());
    assert_eq!(store.many_faced(3, 0, 9).await.unwrap(), [(SubjectId([1; 16]), 3), (SubjectId([3; 16]), 5)]);
    assert_eq!(store.many_faced(3, 1_002, 9).await.unwrap(), [(SubjectId([3; 16]), 5)]);
    assert_eq!(store.many_faced(3, 0, 1).await.unwrap().len(), 1);
}
