//! The contract of captures that came late: kept once, taken by one, finished once, and never lost.

use std::{future::Future, sync::Arc};

use matcher_core::{Decision, RetryRule};

use super::{enrolment, verification};
use crate::store::{
    MadeBy, NewVerification, RecordId, Recorded, Sealed, SealedProbe, Store, SubjectId,
    deferred::{Arrival, DeferredOutcome, DoneDeferred, Kept, NewDeferred, TakenDeferred},
    subjects::{Forget, Forgotten},
};

const RULE: RetryRule = RetryRule { attempts_max: 4, lease_ms: 100 };
const NOW: i64 = 5_000;

pub(super) async fn check_all<F: Future<Output = Arc<dyn Store>>>(fresh: &impl Fn() -> F) {
    a_capture_is_kept_once(fresh().await).await;
    neighbours_of_a_capture_that_cannot_be_kept_are_kept(fresh().await).await;
    what_waits_becomes_a_record_with_the_very_probe(fresh().await).await;
    a_worker_that_is_too_slow_writes_nothing(fresh().await).await;
    a_capture_that_ends_its_workers_is_put_aside(fresh().await).await;
    a_later_attempt_waits_for_the_earlier_one(fresh().await).await;
    a_clock_that_is_set_back_holds_nothing_up(fresh().await).await;
    a_live_answer_ends_the_waiting(fresh().await).await;
    whoever_is_forgotten_waits_no_more(fresh().await).await;
    many_workers_take_each_capture_once(fresh().await).await;
}

/// A capture of person 1 as attempt 1 of a transaction; envelope and id follow from a byte.
fn late(transaction: &str, byte: u8) -> NewDeferred {
    let record = verification(transaction, byte).record;
    NewDeferred {
        subject: SubjectId([1; 16]),
        id: record.id,
        request: record.request,
        digest: record.request_digest,
        device: record.device,
        sequence: record.sequence,
        certificate_then: true,
        captured_at: 900,
        received_at: NOW,
        made_by: MadeBy { model: "m@1".into(), recipe: "r@1".into() },
        facts: Sealed(vec![byte; 300]),
        probe: SealedProbe { template: Sealed(vec![byte; 1053]), sample: Sealed(vec![byte; 2_000]) },
    }
}

async fn keep(store: &dyn Store, new: NewDeferred) -> Kept {
    store.keep(vec![Arrival::Waiting(Box::new(new))]).await.unwrap().remove(0).unwrap()
}

async fn take(store: &dyn Store, now: i64) -> Vec<TakenDeferred> {
    store.take_deferred(now, 10, RULE).await.unwrap()
}

fn decided(late: &NewDeferred) -> NewVerification {
    let mut new = verification(&late.request.transaction, late.id.0[0]);
    new.record.subject = Some(late.subject);
    new.record.request = late.request.clone();
    new.record.decision = Decision::Match;
    new.record.decided_at = NOW + 10;
    NewVerification { made_by: Some(late.made_by.clone()), recheck: Some(late.made_by.clone()), ..new }
}

fn done(late: &NewDeferred, taken: u32) -> DoneDeferred {
    let outcome = DeferredOutcome::Decided(Box::new(decided(late)));
    DoneDeferred { subject: late.subject, id: late.id, taken, outcome, at: NOW + 10 }
}

async fn finish(store: &dyn Store, done: DoneDeferred) -> bool {
    store.finish_deferred(vec![done]).await.unwrap().remove(0).unwrap()
}

async fn with_person(store: &dyn Store) {
    store.put_enrolments(vec![enrolment(1, &[1], 4)]).await.unwrap();
}

async fn a_capture_is_kept_once(store: Arc<dyn Store>) {
    with_person(&*store).await;
    assert_eq!(keep(&*store, late("T1", 1)).await, Kept::Now);
    assert_eq!(keep(&*store, late("T1", 1)).await, Kept::Before);
    let Kept::RequestTaken(standing) = keep(&*store, late("T1", 2)).await else { panic!("another envelope took the request") };
    assert_eq!((standing.digest, standing.verification), ([1; 32], RecordId([1; 16])));
    let reused = NewDeferred { sequence: 1, ..late("T2", 3) };
    assert_eq!(keep(&*store, reused).await, Kept::SequenceTaken);
    let (first, other) = (late("T1", 1).request, late("T2", 3).request);
    let found = store.standing(vec![other, first]).await.unwrap();
    assert_eq!(found, [None, Some(standing)]);
    assert_eq!(store.backlog().await.unwrap().waiting, 1);
    assert_eq!(store.answer(&late("T1", 1).request).await.unwrap(), None, "nothing is answered yet");
}

async fn neighbours_of_a_capture_that_cannot_be_kept_are_kept(store: Arc<dyn Store>) {
    with_person(&*store).await;
    let nobodys = NewDeferred { subject: SubjectId([9; 16]), ..late("T2", 2) };
    let answered = verification("T4", 4);
    let arrivals = vec![
        Arrival::Waiting(Box::new(late("T1", 1))),
        Arrival::Waiting(Box::new(nobodys)),
        Arrival::Waiting(Box::new(late("T3", 3))),
        Arrival::Decided(Box::new(answered.clone())),
    ];
    let kept = store.keep(arrivals).await.unwrap();
    assert!(matches!(kept.as_slice(), [Ok(Kept::Now), Err(_), Ok(Kept::Now), Ok(Kept::Now)]), "{kept:?}");
    assert_eq!(store.answer(&answered.record.request).await.unwrap(), Some(answered.record));
    assert_eq!(store.backlog().await.unwrap().waiting, 2);
}

async fn what_waits_becomes_a_record_with_the_very_probe(store: Arc<dyn Store>) {
    with_person(&*store).await;
    let late = late("T1", 1);
    keep(&*store, late.clone()).await;
    assert_eq!(take(&*store, NOW - 1).await.len(), 0, "not before it is due");
    let taken = take(&*store, NOW).await.remove(0);
    assert_eq!((taken.subject, taken.id, &taken.request, taken.taken), (late.subject, late.id, &late.request, 1));
    assert_eq!((&taken.facts, &taken.template, &taken.made_by), (&late.facts, &late.probe.template, &late.made_by));
    assert!(finish(&*store, done(&late, 1)).await);
    assert!(!finish(&*store, done(&late, 1)).await, "once");
    assert_eq!(store.answer(&late.request).await.unwrap(), Some(decided(&late).record));
    let file = store.subject_file(late.subject).await.unwrap().unwrap();
    assert_eq!(file.verifications, [(decided(&late).record, Some(late.probe.clone()))]);
    assert_eq!(store.take_recheck(NOW + 10, 1).await.unwrap().unwrap().probe, late.probe);
    assert_eq!(keep(&*store, late).await, Kept::Before);
    assert_eq!(store.backlog().await.unwrap(), crate::store::deferred::Backlog::default());
    assert_eq!(store.uncovered(0, i64::MAX).await.unwrap(), None, "the audit log covers the record");
}

async fn a_worker_that_is_too_slow_writes_nothing(store: Arc<dyn Store>) {
    with_person(&*store).await;
    let late = late("T1", 1);
    keep(&*store, late.clone()).await;
    assert_eq!(take(&*store, NOW).await.len(), 1);
    assert_eq!(take(&*store, NOW + 99).await.len(), 0, "it is leased");
    assert_eq!(take(&*store, NOW + 100).await.remove(0).taken, 2);
    assert!(!finish(&*store, done(&late, 1)).await);
    assert_eq!(store.answer(&late.request).await.unwrap(), None);
    assert!(finish(&*store, done(&late, 2)).await);
}

async fn a_capture_that_ends_its_workers_is_put_aside(store: Arc<dyn Store>) {
    with_person(&*store).await;
    let (first, second) = (late("T1", 1), late("T2", 2));
    keep(&*store, first.clone()).await;
    keep(&*store, second.clone()).await;
    let (mut now, mut sizes) = (NOW, Vec::new());
    for _ in 0..6 {
        sizes.push(take(&*store, now).await.len());
        now += 1_000;
    }
    assert_eq!(sizes, [2, 2, 1, 1, 1, 1], "from the third time on alone");
    assert_eq!(take(&*store, now + 10_000).await.len(), 0);
    let backlog = store.backlog().await.unwrap();
    assert_eq!((backlog.waiting, backlog.parked), (0, vec![("taken_too_often".to_owned(), 2)]));
    assert!(!finish(&*store, done(&first, 4)).await, "what was put aside is nobody's");
    assert_eq!(store.retry_deferred("陈静", now).await.unwrap(), 2);
    assert_eq!(take(&*store, now).await.len(), 2);
    let parked = DoneDeferred { outcome: DeferredOutcome::Parked("unreadable"), ..done(&first, 1) };
    assert!(finish(&*store, parked).await && finish(&*store, done(&second, 1)).await);
    assert_eq!(store.backlog().await.unwrap().parked, [("unreadable".to_owned(), 1)]);
}

async fn a_later_attempt_waits_for_the_earlier_one(store: Arc<dyn Store>) {
    with_person(&*store).await;
    let first = late("T1", 1);
    let mut second = late("T1", 2);
    second.request.attempt = 2;
    keep(&*store, second.clone()).await;
    keep(&*store, first.clone()).await;
    assert_eq!(take(&*store, NOW).await.remove(0).id, first.id);
    assert_eq!(take(&*store, NOW).await.len(), 0);
    finish(&*store, done(&first, 1)).await;
    assert_eq!(take(&*store, NOW).await.remove(0).id, second.id);
    let decisions = store.decisions_of_all(vec![("pharmacy-1".into(), "T1".into()), ("pharmacy-1".into(), "T9".into())]).await.unwrap();
    assert_eq!(decisions, [vec![(1, Decision::Match)], Vec::new()]);
}

async fn a_clock_that_is_set_back_holds_nothing_up(store: Arc<dyn Store>) {
    with_person(&*store).await;
    let late = NewDeferred { received_at: NOW + 10 * RetryRule::REST_MAX_MS, ..late("T1", 1) };
    keep(&*store, late).await;
    assert_eq!(take(&*store, NOW).await.len(), 1);
}

async fn a_live_answer_ends_the_waiting(store: Arc<dyn Store>) {
    with_person(&*store).await;
    let late = late("T1", 1);
    keep(&*store, late.clone()).await;
    take(&*store, NOW).await;
    let other = verification("T1", 2);
    assert_eq!(store.record_verification(other).await.unwrap(), Recorded::RequestWaits(late.id));
    let mut live = verification("T1", 1);
    live.record.id = RecordId([77; 16]);
    assert_eq!(store.record_verification(live.clone()).await.unwrap(), Recorded::Stored);
    assert!(!finish(&*store, done(&late, 1)).await);
    assert_eq!(store.answer(&late.request).await.unwrap(), Some(live.record));
    assert_eq!(store.backlog().await.unwrap().waiting, 0);
    assert_eq!(keep(&*store, late).await, Kept::Before);
}

async fn whoever_is_forgotten_waits_no_more(store: Arc<dyn Store>) {
    with_person(&*store).await;
    let late = late("T1", 1);
    keep(&*store, late.clone()).await;
    take(&*store, NOW).await;
    let forget = Forget { subject: late.subject, tombstones: Vec::new(), pseudonym: [5; 32], at: NOW };
    assert!(matches!(store.forget(forget).await.unwrap(), Forgotten::Done { .. }));
    assert!(!finish(&*store, done(&late, 1)).await);
    assert_eq!(store.backlog().await.unwrap().waiting, 0);
    assert_eq!(keep(&*store, late).await, Kept::Before, "the request stays used");
}

async fn many_workers_take_each_capture_once(store: Arc<dyn Store>) {
    with_person(&*store).await;
    let arrivals = (1..=60).map(|byte| Arrival::Waiting(Box::new(late(&format!("T{byte}"), byte)))).collect();
    assert!(store.keep(arrivals).await.unwrap().into_iter().all(|kept| kept.unwrap() == Kept::Now));
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let store = Arc::clone(&store);
        workers.spawn(async move { store.take_deferred(NOW, 10, RULE).await.unwrap() });
    }
    let mut ids: Vec<u8> = workers.join_all().await.into_iter().flatten().map(|taken| taken.id.0[0]).collect();
    ids.extend(take(&*store, NOW).await.iter().map(|taken| taken.id.0[0]));
    ids.sort_unstable();
    assert_eq!(ids, (1..=60).collect::<Vec<u8>>());
}
