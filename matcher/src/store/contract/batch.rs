//! The contract of re-comparisons: planned whole, taken by one, counted once, never changing a record.

use std::{future::Future, sync::Arc};

use matcher_core::{Decision, JobKind, JobState, RetryRule};

use super::{enrolment, verification};
use crate::store::{
    MadeBy, RecordId, Sealed, SealedProbe, Store, SubjectId,
    batch::{ChunkDone, NewChunk, NewJob, Persons, Recomparison, StoredProbe, TakenChunk, Tally},
};

const RULE: RetryRule = RetryRule { attempts_max: 2, lease_ms: 100 };
const NOW: i64 = 5_000;
const JOB: RecordId = RecordId([7; 16]);

pub(super) async fn check_all<F: Future<Output = Arc<dyn Store>>>(fresh: &impl Fn() -> F) {
    a_plan_covers_every_probe_once(fresh().await).await;
    a_job_is_done_when_all_its_chunks_are(fresh().await).await;
    a_chunk_that_fails_is_put_aside_and_tried_again_when_asked(fresh().await).await;
    a_cancelled_job_takes_nothing_more(fresh().await).await;
}

/// Captures of person 1, decided at 1,001, 1,002, …
async fn with_captures(store: &dyn Store, captures: u8) {
    store.put_enrolments(vec![enrolment(1, &[1], 4)]).await.unwrap();
    for byte in 1..=captures {
        let mut new = verification(&format!("T{byte}"), byte);
        new.record.subject = Some(SubjectId([1; 16]));
        new.probe = Some(SealedProbe { template: Sealed(vec![byte; 1053]), sample: Sealed(vec![byte; 90]) });
        new.made_by = Some(MadeBy { model: "m@2".into(), recipe: "r@2".into() });
        // What was compared says itself what made it, and what was not is told by its visit.
        let compared = byte % 2 == 1;
        (new.record.model, new.record.recipe) = if compared { ("m@2".into(), "r@2".into()) } else { Default::default() };
        store.record_verification(new).await.unwrap();
    }
}

async fn with_job(store: &dyn Store, captures: u8, probes_each: u32) -> Vec<NewChunk> {
    with_captures(store, captures).await;
    let chunks = store.plan(0, NOW, probes_each).await.unwrap();
    assert!(store.put_job(job(JOB, "night", chunks.clone())).await.unwrap());
    chunks
}

fn job(id: RecordId, name: &str, chunks: Vec<NewChunk>) -> NewJob {
    NewJob {
        id,
        kind: JobKind::Rematch,
        name: name.into(),
        since: 0,
        until: NOW,
        requested_by: "陈静".into(),
        reason: "a test".into(),
        requested_at: NOW,
        chunks,
    }
}

fn done(chunk: TakenChunk, differing: Vec<Recomparison>) -> ChunkDone {
    let tally = Tally { compared: 2, differing: differing.len() as u64, unreadable: 1 };
    ChunkDone { chunk, tally, differing, at: NOW }
}

async fn take(store: &dyn Store, now: i64) -> Option<TakenChunk> {
    store.take_chunk(None, now, RULE).await.unwrap()
}

/// The probes of chunks, by their verifications, and how many of each chunk were planned.
async fn planned(store: &dyn Store, chunks: &[NewChunk]) -> (Vec<StoredProbe>, Vec<u64>) {
    let mut found = Vec::new();
    for NewChunk { span, .. } in chunks {
        let probes = store.probes_of(*span).await.unwrap();
        let mut met: Vec<_> = store.persons_of(*span).await.unwrap().iter().map(|person| person.subject).collect();
        met.sort_unstable();
        assert!(probes.iter().all(|probe| met.binary_search(&probe.subject).is_ok()), "{span:?}");
        found.extend(probes);
    }
    found.sort_by_key(|probe| probe.verification);
    (found, chunks.iter().map(|chunk| chunk.probes).collect())
}

async fn a_plan_covers_every_probe_once(store: Arc<dyn Store>) {
    with_captures(&*store, 7).await;
    // Another person, of the last ids.
    store.put_enrolments(vec![enrolment(0xff, &[2], 5)]).await.unwrap();
    let mut new = verification("T8", 8);
    (new.record.subject, new.record.sequence) = (Some(SubjectId([0xff; 16])), 8);
    new.probe = Some(SealedProbe { template: Sealed(vec![8; 1053]), sample: Sealed(vec![8; 90]) });
    new.made_by = Some(MadeBy { model: "m@2".into(), recipe: "r@2".into() });
    store.record_verification(new).await.unwrap();
    let numbers = |found: &[StoredProbe]| found.iter().map(|probe| probe.verification.0[0]).collect::<Vec<_>>();
    // Most of all: by persons.
    let chunks = store.plan(1_002, NOW, 3).await.unwrap();
    assert!(chunks.iter().all(|chunk| chunk.span.persons != Persons::ALL && (chunk.span.from, chunk.span.until) == (1_002, NOW)));
    let (found, probes) = planned(&*store, &chunks).await;
    assert_eq!((numbers(&found), probes), (vec![2, 3, 4, 5, 6, 7, 8], vec![2, 2, 3]));
    let first = &found[0];
    assert_eq!((first.subject, &first.template), (SubjectId([1; 16]), &Sealed(vec![2; 1053])));
    let made_by = Some(MadeBy { model: "m@2".into(), recipe: "r@2".into() });
    assert!(found.iter().all(|probe| probe.made_by == made_by), "{found:?}");
    assert_eq!(store.persons_of(chunks[2].span).await.unwrap().len(), 1, "nobody of another part");
    // A few of all: by time.
    let chunks = store.plan(1_006, NOW, 2).await.unwrap();
    assert!(chunks.iter().all(|chunk| chunk.span.persons == Persons::ALL));
    let (found, probes) = planned(&*store, &chunks).await;
    assert_eq!((numbers(&found), probes), (vec![6, 7, 8], vec![2, 1]));
    assert_eq!(store.plan(1_009, NOW, 3).await.unwrap(), []);
}

async fn a_job_is_done_when_all_its_chunks_are(store: Arc<dyn Store>) {
    let spans = with_job(&*store, 4, 3).await;
    assert!(!store.put_job(job(RecordId([8; 16]), "night", spans.clone())).await.unwrap(), "one job of a name");
    let before = store.verifications_from(0, None, 100).await.unwrap();
    let first = take(&*store, NOW).await.unwrap();
    assert_eq!((first.job, first.kind, first.number, first.taken), (JOB, JobKind::Rematch, 0, 1));
    assert_eq!(first.span, spans[0].span);
    let second = take(&*store, NOW).await.unwrap();
    assert_eq!((second.number, second.span, take(&*store, NOW).await), (1, spans[1].span, None));
    let again = take(&*store, NOW + 100).await.unwrap();
    assert_eq!((again.number, again.taken), (0, 2), "the lease ran out");
    let row = Recomparison {
        subject: SubjectId([1; 16]),
        verification: RecordId([2; 16]),
        compared_at: NOW,
        policy_version: "p".into(),
        model: "m@2".into(),
        reference: Some(RecordId([4; 16])),
        score: Some(0.25),
        decision: Decision::Review,
    };
    assert!(!store.finish_chunk(done(first, vec![row.clone()])).await.unwrap(), "whoever was too slow writes nothing");
    assert_eq!(store.recomparisons(JOB, 10).await.unwrap(), []);
    let nobodys = Recomparison { subject: SubjectId([9; 16]), ..row.clone() };
    assert!(store.finish_chunk(done(again, vec![row.clone(), nobodys])).await.unwrap());
    assert!(store.finish_chunk(done(second, Vec::new())).await.unwrap());
    assert_eq!(store.recomparisons(JOB, 10).await.unwrap(), [row]);
    assert_eq!(take(&*store, NOW + 200).await, None);
    let job = store.job(JOB).await.unwrap().unwrap();
    assert_eq!((job.state, job.started_at, job.finished_at), (JobState::Done, Some(NOW), Some(NOW + 200)));
    assert_eq!((job.chunks, job.parked, job.probes), (2, 0, 4));
    assert_eq!(job.tally, Tally { compared: 4, differing: 2, unreadable: 2 });
    assert_eq!(store.jobs(10).await.unwrap(), [job]);
    assert_eq!(store.verifications_from(0, None, 100).await.unwrap(), before, "no record is changed");
}

async fn a_chunk_that_fails_is_put_aside_and_tried_again_when_asked(store: Arc<dyn Store>) {
    with_job(&*store, 1, 3).await;
    assert!(take(&*store, NOW).await.is_some() && take(&*store, NOW + 100).await.is_some());
    assert_eq!(take(&*store, NOW + 200).await, None);
    let job = store.job(JOB).await.unwrap().unwrap();
    assert_eq!((job.state, job.parked), (JobState::Incomplete, 1));
    assert_eq!(store.retry_job(JOB, "陈静", NOW + 300).await.unwrap(), 1);
    let chunk = take(&*store, NOW + 300).await.unwrap();
    assert_eq!(chunk.taken, 1);
    assert!(store.finish_chunk(done(chunk, Vec::new())).await.unwrap());
    assert_eq!(take(&*store, NOW + 400).await, None);
    assert_eq!(store.job(JOB).await.unwrap().unwrap().state, JobState::Done);
}

async fn a_cancelled_job_takes_nothing_more(store: Arc<dyn Store>) {
    with_job(&*store, 4, 1).await;
    let other = RecordId([9; 16]);
    assert_eq!(store.take_chunk(Some(other), NOW, RULE).await.unwrap(), None, "another job's chunks are not taken");
    let chunk = store.take_chunk(Some(JOB), NOW, RULE).await.unwrap().unwrap();
    assert!(store.cancel_job(JOB, "陈静", NOW + 1).await.unwrap());
    assert!(!store.cancel_job(JOB, "陈静", NOW + 2).await.unwrap());
    assert!(!store.finish_chunk(done(chunk, Vec::new())).await.unwrap());
    assert_eq!(take(&*store, NOW + 500).await, None);
    assert_eq!(store.retry_job(JOB, "陈静", NOW).await.unwrap(), 0);
    assert_eq!(store.job(JOB).await.unwrap().unwrap().state, JobState::Cancelled);
    assert_eq!(store.job(other).await.unwrap(), None);
}
