//! The store: a port with the operations the use cases need, and what they pass through it.
//!
//! Everything secret or biometric is already sealed when it comes here (`crate::vault`): a store sees
//! ciphertexts, keyed hashes, closed words and times. Writes are durable when their call returns. Not here:
//! what the records mean (`matcher-core`), and the engines: `sql`.

use std::fmt;

use async_trait::async_trait;
use matcher_core::{
    Decision, Disposition, FlagKind, IdentifierKind, Mode, NoDecision, RecheckOutcome, ReferenceFacts, Scene, decision::CHIP_REFERENCE,
};
use thiserror::Error;

pub mod accounts;
pub mod audit;
pub mod batch;
pub mod cases;
#[cfg(test)]
pub(crate) mod contract;
pub mod deferred;
pub mod desk;
pub mod extractions;
pub mod feed;
pub mod holdings;
pub mod keys;
pub mod leases;
pub mod live;
pub mod policies;
pub mod proxies;
pub mod receipts;
pub mod registry;
pub mod retention;
pub mod seeds;
pub mod sql;
pub mod statistics;
pub mod subjects;
pub mod webhook;

pub use subjects::{BoundIdentifier, Enrolled, NewEnrolment, StoredReference, StoredSubject, Subjects};

pub use audit::AuditLog;
pub use holdings::Count;
pub use keys::KeyStore;
pub use policies::{AppliedPolicy, NewPolicy, Policies};

/// The store failed.
#[derive(Debug, Error)]
pub enum StoreError {
    /// It cannot answer now; the caller may try again. Nothing was written.
    #[error("the store is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// As many changes wait to be written as may; the caller may try again. Nothing was written.
    #[error("too many changes wait to be written to the store")]
    Busy,
    /// A write met a row that must not exist twice (two enrolments of one identifier at a time).
    #[error("the store already has this {0}")]
    Conflict(&'static str),
    /// A stored row is not in the form this version writes.
    #[error("a stored {table} record is not in order: {field}")]
    Corrupt {
        /// Which table.
        table: &'static str,
        /// Which field.
        field: &'static str,
    },
    /// The store was made by a newer version.
    #[error("the store has schema version {found}, this program knows up to {known}")]
    TooNew {
        /// Version in the store.
        found: u32,
        /// Version of this program.
        known: u32,
    },
}

/// Milliseconds since 1970-01-01 UTC.
pub type TimeMs = i64;

/// Names one person. Random; leads every per-person key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubjectId(pub [u8; 16]);

/// In the form of a UUID.
impl fmt::Display for SubjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        RecordId(self.0).fmt(f)
    }
}

/// A text that is no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("expected an id in the form of a UUID, 32 hexadecimal digits")]
pub struct IdError;

impl std::str::FromStr for SubjectId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        Ok(Self(id(text)?))
    }
}

impl std::str::FromStr for RecordId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        Ok(Self(id(text)?))
    }
}

/// Reads 32 hexadecimal digits, wherever hyphens stand.
fn id(text: &str) -> Result<[u8; 16], IdError> {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    let fits = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = fits.then(|| u128::from_str_radix(&digits, 16).ok()).flatten();
    number.map(u128::to_be_bytes).ok_or(IdError)
}

/// Names one record (a reference, a verification, a flag). Random.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordId(pub [u8; 16]);

/// In the form of a UUID, as on the wire and in listings.
impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            let hyphen = if matches!(i, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(f, "{hyphen}{byte:02x}")?;
        }
        Ok(())
    }
}

/// A ciphertext made by the vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed(pub Vec<u8>);

/// What a device may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceRole {
    /// Verify at a counter.
    Counter,
    /// Enrol.
    Enrolment,
    /// Speak for the devices of its institution, and for itself nothing but its own state and certificate. Its counter in
    /// the registry is the host name or address under which counters reach it.
    Relay,
}

/// An entry of the device registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its name, 1–64 of `A–Z a–z 0–9 . _ -`.
    pub id: String,
    /// The institution it stands in.
    pub institution: String,
    /// The counter it stands at.
    pub counter: String,
    /// What it may do.
    pub role: DeviceRole,
    /// Ed25519 public key of the device: signs envelopes and is certified for TLS.
    pub public_key: [u8; 32],
    /// SHA-256 of its current certificate (DER).
    pub certificate_sha256: [u8; 32],
    /// When that certificate ends.
    pub certificate_expires_at: TimeMs,
    /// When it was issued.
    pub issued_at: TimeMs,
    /// When it was revoked, if it was. Checked on every call.
    pub revoked_at: Option<TimeMs>,
}

/// An identifier as the store knows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdentifierKey {
    /// Which kind of number.
    pub kind: IdentifierKind,
    /// Issuing region: six digits, or empty.
    pub region: String,
    /// Keyed hash of kind, region and number.
    pub hash: [u8; 32],
}

/// The request an answer belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestKey {
    /// From the device registry.
    pub institution: String,
    /// From the envelope's header.
    pub transaction: String,
    /// From the envelope's header.
    pub attempt: u32,
}

/// A verification record. Decision records outlive faces: nothing here is biometric.
#[derive(Debug, Clone, PartialEq)]
pub struct Verification {
    /// Its id.
    pub id: RecordId,
    /// Institution, transaction and attempt.
    pub request: RequestKey,
    /// Digest of the envelope that was answered.
    pub request_digest: [u8; 32],
    /// The device.
    pub device: String,
    /// The counter it stood at.
    pub counter: String,
    /// The envelope's sequence number on that device.
    pub sequence: u64,
    /// Scene.
    pub scene: Scene,
    /// Operator as the institution names them; may be empty.
    pub operator: String,
    /// Version of the notice shown; may be empty.
    pub notice: String,
    /// Version of the consent given; empty where none was asked for.
    pub consent: String,
    /// Keyed hash of the identifier.
    pub identifier: IdentifierKey,
    /// The identifier, masked for people.
    pub identifier_masked: String,
    /// The person, where the identifier is known.
    pub subject: Option<SubjectId>,
    /// When the frame was taken, by the center's clock as far as the device knew it.
    pub captured_at: TimeMs,
    /// When it was decided.
    pub decided_at: TimeMs,
    /// What was decided.
    pub decision: Decision,
    /// Why.
    pub reasons: Vec<String>,
    /// What the policy says the till does; what it was told follows from the mode (`matcher_core::told`).
    pub disposition: Disposition,
    /// Score, where something was compared.
    pub score: Option<f32>,
    /// Match threshold, where something was compared.
    pub match_threshold: Option<f32>,
    /// Non-match threshold, where something was compared and the policy has one.
    pub non_match_threshold: Option<f32>,
    /// Feature model of the comparison; empty where nothing was compared.
    pub model: String,
    /// Recipe of the comparison; empty where nothing was compared.
    pub recipe: String,
    /// What was known of the person and the reference.
    pub facts: ReferenceFacts,
    /// The attack model's score, where there is one.
    pub live: Option<f32>,
    /// Version of the policy that decided.
    pub policy_version: String,
    /// The reference the score was made with, where something was compared.
    pub reference: Option<RecordId>,
    /// That policy's mode: in shadow mode the counter was told to settle, and nothing else.
    pub mode: Mode,
}

impl Verification {
    /// True unless decisions count.
    #[must_use]
    pub fn provisional(&self) -> bool {
        self.mode != Mode::Live
    }

    /// Whether the probe was compared with a document's chip, and not with a reference of the store.
    #[must_use]
    pub fn is_of_chip(&self) -> bool {
        is_of_chip(&self.reasons)
    }

    /// Whether somebody came in the holder's place: the face, if there is one, is not the holder's.
    #[must_use]
    pub fn is_of_proxy(&self) -> bool {
        is_of_proxy(&self.reasons)
    }
}

fn is_of_chip(reasons: &[String]) -> bool {
    reasons.iter().any(|reason| reason == CHIP_REFERENCE)
}

fn is_of_proxy(reasons: &[String]) -> bool {
    reasons.iter().any(|reason| reason == NoDecision::Proxy.word())
}

/// A flag to be written with a verification, or of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// Its id.
    pub id: RecordId,
    /// Why.
    pub kind: FlagKind,
    /// When it was raised.
    pub raised_at: TimeMs,
    /// The verification it is about; for a re-used transaction, the one answered first.
    pub verification: Option<RecordId>,
    /// Institution it is about.
    pub institution: String,
    /// Device it is about.
    pub device: String,
    /// Transaction it is about.
    pub transaction: String,
    /// The identifier, masked; empty where none was read.
    pub identifier_masked: String,
    /// The closed word that says more than the kind does; empty where there is none.
    pub reason: String,
}

/// A verification to be written with all that belongs to it, at once or not at all.
#[derive(Debug, Clone)]
pub struct NewVerification {
    /// The record.
    pub record: Verification,
    /// Probe template and sample, sealed under the person's data key; nothing where there is no person.
    pub probe: Option<SealedProbe>,
    /// Flags it raises.
    pub flags: Vec<Flag>,
    /// What made the probe's template, when it is to be made again from the sample; only where there is a probe.
    pub recheck: Option<MadeBy>,
    /// The receipt of what the till is told.
    pub receipt: Option<receipts::Receipt>,
    /// What made the probe's template; only where there is a probe. With it the capture counts as evidence.
    pub made_by: Option<MadeBy>,
    /// Who came in the holder's place.
    pub proxy: Option<proxies::NewProxy>,
}

/// The ids of what made a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeBy {
    /// Feature model.
    pub model: String,
    /// Recipe.
    pub recipe: String,
}

/// A capture whose template is to be made again.
#[derive(Debug, Clone)]
pub struct DueRecheck {
    /// Its record.
    pub record: Verification,
    /// Whose.
    pub subject: SubjectId,
    /// That person's data key, wrapped.
    pub data_key: Sealed,
    /// What was captured.
    pub probe: SealedProbe,
    /// What made its template.
    pub made_by: MadeBy,
    /// How often it was taken, this time included: the fence of whoever is too slow.
    pub attempt: u32,
}

/// What came of one.
#[derive(Debug, Clone)]
pub struct RecheckDone {
    /// Whose.
    pub subject: SubjectId,
    /// Which verification.
    pub verification: RecordId,
    /// As it was taken.
    pub attempt: u32,
    /// What came of it.
    pub outcome: RecheckOutcome,
    /// Cosine of the two templates, where there were two.
    pub agreement: Option<f32>,
    /// When.
    pub done_at: TimeMs,
    /// A flag it raises.
    pub flag: Option<Flag>,
}

/// What was captured, sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedProbe {
    /// The template.
    pub template: Sealed,
    /// The sample; empty once it was destroyed.
    pub sample: Sealed,
}

/// What became of a sequence number that was to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is taken now, for this envelope.
    Now,
    /// It was taken for this very envelope before.
    Before,
    /// It was taken for another envelope.
    ForAnother,
}

/// What became of a verification that was to be written.
#[derive(Debug, Clone, PartialEq)]
pub enum Recorded {
    /// It is durable.
    Stored,
    /// The same envelope was answered before; this is that record.
    AlreadyAnswered(Box<Verification>),
    /// Another envelope was answered under the same request; this is that record.
    RequestTaken(Box<Verification>),
    /// Another envelope came late under the same request and waits to be compared; its record will have this id.
    RequestWaits(RecordId),
    /// The device used this sequence number for another envelope.
    SequenceTaken,
}

/// Which records a listing wants; newest first.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// Only this institution.
    pub institution: Option<String>,
    /// Only from this time on.
    pub since: Option<TimeMs>,
    /// At most so many (1–100,000).
    pub limit: u32,
}

/// The operations the use cases need.
#[async_trait]
pub trait Store:
    accounts::Accounts
    + AuditLog
    + batch::Batch
    + cases::Cases
    + Count
    + deferred::Deferred
    + desk::Desk
    + statistics::Statistics
    + extractions::Extractions
    + feed::Feed
    + KeyStore
    + leases::Leases
    + live::Live
    + Policies
    + proxies::Proxies
    + receipts::Receipts
    + registry::Registry
    + retention::Retention
    + seeds::Seeds
    + Subjects
    + webhook::Outbox
    + Send
    + Sync
{
    /// Adds or replaces a device.
    async fn put_device(&self, device: Device) -> Result<(), StoreError>;
    /// Marks a device revoked; false when there is none.
    async fn revoke_device(&self, id: &str, at: TimeMs) -> Result<bool, StoreError>;
    /// The device of a name.
    async fn device(&self, id: &str) -> Result<Option<Device>, StoreError>;
    /// The device whose current certificate has this SHA-256.
    async fn device_of_certificate(&self, sha256: &[u8; 32]) -> Result<Option<Device>, StoreError>;
    /// All devices, by name.
    async fn devices(&self) -> Result<Vec<Device>, StoreError>;
    /// The highest sequence number seen of a device; 0 when none.
    async fn last_sequence(&self, device: &str) -> Result<u64, StoreError>;
    /// Takes a sequence number for an envelope that writes no verification.
    async fn take_sequence(&self, device: &str, sequence: u64, digest: [u8; 32]) -> Result<Taken, StoreError>;

    /// The record that answers a request, if it was answered.
    async fn answer(&self, request: &RequestKey) -> Result<Option<Verification>, StoreError>;
    /// The decisions of a transaction, by attempt.
    async fn decisions_of(&self, institution: &str, transaction: &str) -> Result<Vec<(u32, Decision)>, StoreError>;
    /// Writes a verification; returns only when it is durable.
    async fn record_verification(&self, new: NewVerification) -> Result<Recorded, StoreError>;
    /// Writes a flag of its own.
    async fn record_flag(&self, flag: Flag) -> Result<(), StoreError>;
    /// Takes the capture whose template is due longest to be made again; nobody else takes it for `lease_ms`.
    async fn take_recheck(&self, now: TimeMs, lease_ms: i64) -> Result<Option<DueRecheck>, StoreError>;
    /// Writes what came of it; false, and nothing written, when somebody else took it meanwhile.
    async fn finish_recheck(&self, done: RecheckDone) -> Result<bool, StoreError>;

    /// Makes room for the records of the next months, where the engine wants that.
    async fn make_room(&self, now: TimeMs) -> Result<(), StoreError>;

    /// Verifications, newest first.
    async fn verifications(&self, listing: &Listing) -> Result<Vec<Verification>, StoreError>;
    /// Flags, newest first.
    async fn flags(&self, listing: &Listing) -> Result<Vec<Flag>, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_form_of_a_uuid() {
        let id = std::array::from_fn(|i| u8::try_from(i * 17).unwrap());
        assert_eq!(RecordId(id).to_string(), "00112233-4455-6677-8899-aabbccddeeff");
        assert_eq!("00112233-4455-6677-8899-AABBCCDDEEFF".parse(), Ok(SubjectId(id)));
        for wrong in ["", "00112233", "00112233-4455-6677-8899-aabbccddeefg", "+0112233445566778899aabbccddeeff"] {
            assert_eq!(wrong.parse::<RecordId>(), Err(IdError), "{wrong}");
        }
    }
}
