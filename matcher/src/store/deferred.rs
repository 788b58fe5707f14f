//! Captures that came late: stored first, compared by workers, recorded once.
//!
//! A capture waits only where there is a face to compare with somebody; everything else is decided as it arrives. What
//! waits is sealed in the very places its probe will have, so that finishing one copies ciphertexts. Workers take captures
//! for a while; the number of times one was taken is the fence of whoever is too slow. Not here: how captures are judged.

use async_trait::async_trait;
use matcher_core::{Decision, RetryRule};

use super::{MadeBy, NewVerification, RecordId, RequestKey, Sealed, SealedProbe, StoreError, StoredSubject, SubjectId, TimeMs};

/// A capture that is to be compared.
#[derive(Debug, Clone)]
pub struct NewDeferred {
    /// Whose card it was.
    pub subject: SubjectId,
    /// The id its verification will have.
    pub id: RecordId,
    /// Institution, transaction and attempt.
    pub request: RequestKey,
    /// Digest of the envelope.
    pub digest: [u8; 32],
    /// The device.
    pub device: String,
    /// The envelope's sequence number on that device.
    pub sequence: u64,
    /// Whether the device's present certificate held when the capture was made.
    pub certificate_then: bool,
    /// When the frame was taken, by the center's clock as far as the device knew it.
    pub captured_at: TimeMs,
    /// When the center received it.
    pub received_at: TimeMs,
    /// What made the template.
    pub made_by: MadeBy,
    /// All else that is recorded of it, sealed under the person's data key.
    pub facts: Sealed,
    /// Template and sample, sealed for the places of the probe.
    pub probe: SealedProbe,
}

/// A capture that came late.
#[derive(Debug, Clone)]
pub enum Arrival {
    /// It is to be compared.
    Waiting(Box<NewDeferred>),
    /// There is nothing to compare: it is decided.
    Decided(Box<NewVerification>),
}

/// What became of one that was to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// It is durable.
    Now,
    /// This very envelope was kept before.
    Before,
    /// Another envelope came under the same request.
    RequestTaken(Standing),
    /// The device used this sequence number for another envelope.
    SequenceTaken,
}

/// The envelope that a request is taken by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its digest.
    pub digest: [u8; 32],
    /// The verification that answers it, or will.
    pub verification: RecordId,
    /// Its identifier, masked; empty where the capture still waits.
    pub identifier_masked: String,
}

/// A capture that a worker has.
#[derive(Debug, Clone)]
pub struct TakenDeferred {
    /// Whose.
    pub subject: SubjectId,
    /// The id its verification will have.
    pub id: RecordId,
    /// Institution, transaction and attempt.
    pub request: RequestKey,
    /// When the frame was taken.
    pub captured_at: TimeMs,
    /// When the center received it.
    pub received_at: TimeMs,
    /// What made the template.
    pub made_by: MadeBy,
    /// What is recorded of it, sealed.
    pub facts: Sealed,
    /// The template, sealed.
    pub template: Sealed,
    /// How often it was taken, this time included.
    pub taken: u32,
}

/// What came of one.
#[derive(Debug, Clone)]
pub struct DoneDeferred {
    /// Whose.
    pub subject: SubjectId,
    /// Which one.
    pub id: RecordId,
    /// As it was taken.
    pub taken: u32,
    /// What came of it.
    pub outcome: DeferredOutcome,
    /// When.
    pub at: TimeMs,
}

/// What came of a capture that waited.
#[derive(Debug, Clone)]
pub enum DeferredOutcome {
    /// It is decided. The probe is taken from what waited, where it is said what made it; otherwise no face is kept.
    Decided(Box<NewVerification>),
    /// It cannot be compared, for this reason, and is put aside.
    Parked(&'static str),
}

/// What waits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Captures to be compared.
    pub waiting: u64,
    /// When the oldest of them was received.
    pub oldest: Option<TimeMs>,
    /// Captures that were put aside, by reason.
    pub parked: Vec<(String, u64)>,
}

/// Captures that came late.
#[async_trait]
pub trait Deferred: Send + Sync {
    /// The envelopes by which requests are taken, one answer for each.
    async fn standing(&self, requests: Vec<RequestKey>) -> Result<Vec<Option<Standing>>, StoreError>;
    /// Keeps captures in one commit; each stands or falls on its own. Returns only when they are durable.
    async fn keep(&self, arrivals: Vec<Arrival>) -> Result<Vec<Result<Kept, StoreError>>, StoreError>;
    /// Takes captures that are due, at most so many, and puts those aside that were taken too often. A transaction's later
    /// attempt is not taken while an earlier one waits.
    async fn take_deferred(&self, now: TimeMs, limit: u32, rule: RetryRule) -> Result<Vec<TakenDeferred>, StoreError>;
    /// Writes what came of captures in one commit, each with all that belongs to it; false, and nothing written, where
    /// somebody else took it meanwhile or it is gone.
    async fn finish_deferred(&self, done: Vec<DoneDeferred>) -> Result<Vec<Result<bool, StoreError>>, StoreError>;
    /// What waits.
    async fn backlog(&self) -> Result<Backlog, StoreError>;
    /// Lets captures that were put aside be tried again; says how many.
    async fn retry_deferred(&self, by: &str, now: TimeMs) -> Result<u64, StoreError>;
    /// Persons with their references; those that are there no more are left out.
    async fn persons(&self, subjects: Vec<SubjectId>) -> Result<Vec<StoredSubject>, StoreError>;
    /// The decisions of transactions (institution and name), by attempt, one answer for each.
    async fn decisions_of_all(&self, transactions: Vec<(String, String)>) -> Result<Vec<Vec<(u32, Decision)>>, StoreError>;
}
