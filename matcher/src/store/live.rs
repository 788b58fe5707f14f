//! What a live verification reads, in two questions: before its envelope is opened, and after.
//!
//! Each is one trip to the engine, because a trip costs more than what is read. Nothing is kept between calls: the registry
//! is read on each, so that a revoked device is out at once.

use async_trait::async_trait;
use matcher_core::Decision;

use super::{Device, IdentifierKey, RequestKey, StoreError, StoredSubject, Verification};

/// What a capture is about.
#[derive(Debug, Clone)]
pub struct Circumstances {
    /// Its request.
    pub request: RequestKey,
    /// How the card's number is looked up, under each look-up key, the newest first.
    pub rows: Vec<IdentifierKey>,
    /// What would be left of the number, had its person been forgotten.
    pub tombstones: Vec<[u8; 32]>,
}

/// What the store knows of it.
#[derive(Debug, Clone)]
pub struct Known {
    /// The person, with the row that led there.
    pub subject: Option<(StoredSubject, IdentifierKey)>,
    /// Whether the card's person was forgotten; false where there is a person.
    pub forgotten: bool,
    /// The decisions of the transaction, by attempt.
    pub decisions: Vec<(u32, Decision)>,
}

/// Reads for live verifications.
#[async_trait]
pub trait Live: Send + Sync {
    /// The device of a certificate, and the record that answers this transaction and attempt of its institution, if it
    /// was answered.
    async fn device_and_answer(
        &self,
        certificate_sha256: [u8; 32],
        transaction: &str,
        attempt: u32,
    ) -> Result<Option<(Device, Option<Verification>)>, StoreError>;
    /// Whom a capture is about, and what was decided in its transaction.
    async fn circumstances(&self, about: Circumstances) -> Result<Known, StoreError>;
}
