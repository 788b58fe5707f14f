//! Re-comparisons of many captures: jobs, cut into chunks that workers take.
//!
//! A job covers the probes that were decided in a span of time. A chunk is a shorter span, or the persons whose ids begin
//! alike, so that it is the same probes whoever takes it, and however often. What comes out is added beside the records and changes none of them: a row where
//! the outcome differs, and numbers for the rest. Not here: how captures are judged.

use async_trait::async_trait;
use matcher_core::{Decision, JobKind, JobState, RetryRule, Scene};

use super::{MadeBy, RecordId, RequestKey, Sealed, StoreError, StoredSubject, SubjectId, TimeMs, is_of_chip, is_of_proxy};

/// Persons by the first eight bytes of their ids, which are random: so many of all persons, and all of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Persons {
    /// The first number.
    pub first: u64,
    /// The last one.
    pub last: u64,
}

impl Persons {
    /// All of them.
    pub const ALL: Self = Self { first: 0, last: u64::MAX };

    /// All of them in so many parts of the same size.
    pub fn parts(number: u64) -> impl Iterator<Item = Self> {
        let at = move |part: u64| u64::try_from((u128::from(part) << 64) / u128::from(number.max(1))).unwrap_or(u64::MAX);
        (0..number).map(move |part| Self { first: at(part), last: if part + 1 == number { u64::MAX } else { at(part + 1) - 1 } })
    }
}

/// Probes that are compared together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Decided from this time on.
    pub from: TimeMs,
    /// Before this time.
    pub until: TimeMs,
    /// Of these persons.
    pub persons: Persons,
}

/// A chunk of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewChunk {
    /// Its probes.
    pub span: Span,
    /// About how many they are.
    pub probes: u64,
}

/// A job to be done.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// Its id.
    pub id: RecordId,
    /// What is compared with what.
    pub kind: JobKind,
    /// A name that comes once, such as the night it is for; empty for a job that somebody asks for.
    pub name: String,
    /// Probes decided from this time on.
    pub since: TimeMs,
    /// Probes decided before this time.
    pub until: TimeMs,
    /// Who asks for it.
    pub requested_by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub requested_at: TimeMs,
    /// Its chunks.
    pub chunks: Vec<NewChunk>,
}

/// A job with how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its id.
    pub id: RecordId,
    /// What is compared with what.
    pub kind: JobKind,
    /// How it stands.
    pub state: JobState,
    /// Probes decided from this time on.
    pub since: TimeMs,
    /// Probes decided before this time.
    pub until: TimeMs,
    /// Who asked for it.
    pub requested_by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub requested_at: TimeMs,
    /// When its first chunk was taken.
    pub started_at: Option<TimeMs>,
    /// When it ended.
    pub finished_at: Option<TimeMs>,
    /// Chunks.
    pub chunks: u64,
    /// Chunks that were put aside.
    pub parked: u64,
    /// Probes when it was planned.
    pub probes: u64,
    /// What came of those that are done.
    pub tally: Tally,
}

/// What came of probes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Compared again, with the outcome that is recorded or another.
    pub compared: u64,
    /// Of those, with another outcome.
    pub differing: u64,
    /// Not compared: person or probe are gone, or do not open.
    pub unreadable: u64,
}

/// A chunk that a worker has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TakenChunk {
    /// Of which job.
    pub job: RecordId,
    /// What is compared with what.
    pub kind: JobKind,
    /// Which one, from 0.
    pub number: u32,
    /// Its probes.
    pub span: Span,
    /// How often it was taken, this time included.
    pub taken: u32,
}

/// A probe, with what it takes of its record to compare it again: this is read a million times a night.
#[derive(Debug, Clone)]
pub struct StoredProbe {
    /// Whose.
    pub subject: SubjectId,
    /// The verification.
    pub verification: RecordId,
    /// Institution, transaction and attempt.
    pub request: RequestKey,
    /// Where in the visit.
    pub scene: Scene,
    /// Version of the consent given; may be empty.
    pub consent: String,
    /// When, by the center's clock as far as the device knew it.
    pub captured_at: TimeMs,
    /// The attack model's score, where there is one.
    pub live: Option<f32>,
    /// The decision that is recorded.
    pub decision: Decision,
    /// Its reasons.
    pub reasons: Vec<String>,
    /// The template, sealed.
    pub template: Sealed,
    /// What made it, where that is recorded.
    pub made_by: Option<MadeBy>,
}

impl StoredProbe {
    /// Whether the face is not the holder's, or was compared with what is gone: a proxy's, or one beside a chip's photo.
    #[must_use]
    pub fn is_of_other_faces(&self) -> bool {
        is_of_proxy(&self.reasons) || is_of_chip(&self.reasons)
    }
}

/// An outcome that differs from the one that is recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Recomparison {
    /// Whose.
    pub subject: SubjectId,
    /// Which verification.
    pub verification: RecordId,
    /// When it was compared again.
    pub compared_at: TimeMs,
    /// The policy.
    pub policy_version: String,
    /// Feature model; empty where nothing was compared.
    pub model: String,
    /// The best reference, where something was compared.
    pub reference: Option<RecordId>,
    /// Score, where something was compared.
    pub score: Option<f32>,
    /// The outcome.
    pub decision: Decision,
}

/// What came of a chunk.
#[derive(Debug, Clone)]
pub struct ChunkDone {
    /// As it was taken.
    pub chunk: TakenChunk,
    /// Numbers.
    pub tally: Tally,
    /// Outcomes that differ.
    pub differing: Vec<Recomparison>,
    /// When.
    pub at: TimeMs,
}

/// Jobs and their chunks.
#[async_trait]
pub trait Batch: Send + Sync {
    /// Cuts the probes decided in a span into chunks of about so many. Where they are most of all probes, those of a person
    /// stay together, so that each person is read once; else those of a time, which lie together.
    async fn plan(&self, since: TimeMs, until: TimeMs, probes_each: u32) -> Result<Vec<NewChunk>, StoreError>;
    /// Adds a job; false, and nothing written, where one of its name is there.
    async fn put_job(&self, job: NewJob) -> Result<bool, StoreError>;
    /// Takes the next chunk of a running job (of one job alone where one is given), and ends jobs that are through.
    async fn take_chunk(&self, of: Option<RecordId>, now: TimeMs, rule: RetryRule) -> Result<Option<TakenChunk>, StoreError>;
    /// The probes of a chunk, with what it takes of their records.
    async fn probes_of(&self, span: Span) -> Result<Vec<StoredProbe>, StoreError>;
    /// The persons of these probes, and maybe others, with the references of photos that are not revoked.
    async fn persons_of(&self, span: Span) -> Result<Vec<StoredSubject>, StoreError>;
    /// Writes what came of a chunk; false, and nothing written, where somebody else took it meanwhile or its job ended.
    async fn finish_chunk(&self, done: ChunkDone) -> Result<bool, StoreError>;
    /// Jobs, newest first.
    async fn jobs(&self, limit: u32) -> Result<Vec<Job>, StoreError>;
    /// One job.
    async fn job(&self, id: RecordId) -> Result<Option<Job>, StoreError>;
    /// Calls a job off; false where there is none that runs.
    async fn cancel_job(&self, id: RecordId, by: &str, now: TimeMs) -> Result<bool, StoreError>;
    /// Lets chunks that were put aside be tried again; says how many.
    async fn retry_job(&self, id: RecordId, by: &str, now: TimeMs) -> Result<u64, StoreError>;
    /// Outcomes of a job that differ, at most so many, by person.
    async fn recomparisons(&self, job: RecordId, limit: u32) -> Result<Vec<Recomparison>, StoreError>;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parts_are_all_persons_once(number in 1_u64..5_000) {
            let parts: Vec<_> = Persons::parts(number).collect();
            prop_assert_eq!(parts.len() as u64, number);
            prop_assert_eq!((parts[0].first, parts[parts.len() - 1].last), (0, u64::MAX));
            prop_assert!(parts.windows(2).all(|two| two[0].first <= two[0].last && two[0].last.checked_add(1) == Some(two[1].first)));
        }
    }
}
