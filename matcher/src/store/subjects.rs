//! Persons in the store: numbers, data keys, photos and references, consent, holds, and being forgotten.
//!
//! Not here: what makes a reference hold (`matcher_core::reference`), and what is sealed and how (`crate::vault`).

use async_trait::async_trait;
use matcher_core::{Life, ReferenceSource};

use super::{Flag, IdentifierKey, RecordId, Sealed, SealedProbe, StoreError, SubjectId, TimeMs, Verification};

/// A reference, sealed, with the life of the photo it was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredReference {
    /// Whose.
    pub subject: SubjectId,
    /// This reference's id.
    pub record: RecordId,
    /// The photo's id: references that several models made of one photo share it.
    pub photo: RecordId,
    /// Model that made it.
    pub model: String,
    /// Recipe that made it.
    pub recipe: String,
    /// The template, sealed under the person's data key.
    pub template: Sealed,
    /// Where the photo comes from.
    pub source: ReferenceSource,
    /// When the photo holds, and what became of it.
    pub life: Life,
    /// HMAC of the enrolment photo, so that an import can skip what it has already enrolled. The photo is
    /// beside it in the store and not here: a verification reads a kilobyte, not two hundred.
    pub photo_mac: [u8; 32],
    /// The day the photo was taken, `YYYY-MM-DD`, when known.
    pub photo_taken_on: Option<String>,
}

/// A person, as far as the store knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSubject {
    /// Who.
    pub subject: SubjectId,
    /// The person's data key, wrapped by the key-encryption key. Deleting it destroys the biometrics.
    pub data_key: Sealed,
    /// Day or year of birth, sealed, where it is known.
    pub birth: Option<Sealed>,
    /// When consent was withdrawn, if it is.
    pub withdrawn_at: Option<TimeMs>,
    /// The sealed number of the identifier the person was found by; nothing in rows of older releases.
    pub number: Option<Sealed>,
    /// References of photos that are not revoked, the oldest first.
    pub references: Vec<StoredReference>,
}

/// An identifier with its number, bound to its person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundIdentifier {
    /// How it is found.
    pub key: IdentifierKey,
    /// The look-up key it is hashed under; empty for rows of older releases.
    pub lookup_key_id: String,
    /// The number, sealed for this row and person; nothing in rows of older releases.
    pub number: Option<Sealed>,
}

/// A reference to be written, with its person where the person is new.
#[derive(Debug, Clone)]
pub struct NewEnrolment {
    /// Identifiers that resolve to the person from now on; those the store has must be this person's.
    pub identifiers: Vec<BoundIdentifier>,
    /// The wrapped data key; equal to the stored one for a known person.
    pub data_key: Sealed,
    /// The same data key wrapped as one whose person has no number without a seal; takes the other's place when that
    /// is so after the write.
    pub strict_data_key: Option<Sealed>,
    /// Day or year of birth, sealed; nothing leaves the stored one.
    pub birth: Option<Sealed>,
    /// The reference. A photo of the same source is superseded by it, and the oldest of those beyond
    /// [`matcher_core::REFERENCES_MAX`].
    pub reference: StoredReference,
    /// The enrolment photo, sealed under the person's data key, for re-extraction.
    pub photo: Sealed,
    /// What was measured of it, sealed likewise.
    pub quality: Sealed,
}

/// What an enrolment did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enrolled {
    /// There was no reference in use before.
    New,
    /// A photo of the same source was superseded.
    Replaced,
    /// It stands beside photos of other sources.
    Added,
}

/// A photo as it was enrolled, sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPhoto {
    /// Its id.
    pub photo: RecordId,
    /// Where it comes from.
    pub source: ReferenceSource,
    /// When it holds, and what became of it.
    pub life: Life,
    /// The day it was taken, when known.
    pub photo_taken_on: Option<String>,
    /// The picture, sealed.
    pub content: Sealed,
    /// What was measured of it, sealed; nothing in rows of older releases.
    pub quality: Option<Sealed>,
}

/// A reason why somebody's records must not be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Its id.
    pub id: RecordId,
    /// Why, in the words of whoever placed it.
    pub reason: String,
    /// Who placed it.
    pub placed_by: String,
    /// When.
    pub placed_at: TimeMs,
    /// Until when it holds; without an end until it is released.
    pub until: Option<TimeMs>,
    /// Who released it, and when.
    pub released: Option<(String, TimeMs)>,
}

impl Hold {
    /// Whether it holds at a time.
    #[must_use]
    pub fn holds_at(&self, now: TimeMs) -> bool {
        self.released.is_none() && self.until.is_none_or(|until| now < until)
    }
}

/// Everything that is stored about a person.
#[derive(Debug, Clone)]
pub struct SubjectFile {
    /// The person; `number` is nothing here, and references of revoked photos are among the others.
    pub subject: StoredSubject,
    /// When the person was first enrolled.
    pub created_at: TimeMs,
    /// All numbers.
    pub identifiers: Vec<BoundIdentifier>,
    /// All photos.
    pub photos: Vec<StoredPhoto>,
    /// Verifications, the newest first, each with what was captured while that is kept.
    pub verifications: Vec<(Verification, Option<SealedProbe>)>,
    /// Flags about them.
    pub flags: Vec<Flag>,
    /// Holds, the oldest first.
    pub holds: Vec<Hold>,
}

/// What forgetting takes.
#[derive(Debug, Clone)]
pub struct Forget {
    /// Who.
    pub subject: SubjectId,
    /// When.
    pub at: TimeMs,
    /// What stays of each number, with the look-up key it follows from.
    pub tombstones: Vec<([u8; 32], String)>,
    /// What stands in the place of the number's hash in decisions that are kept.
    pub pseudonym: [u8; 32],
}

/// Rows of one table, for a report.
pub type Count = (String, u64);

/// What forgetting did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forgotten {
    /// Deleted rows by table, and under `pseudonymised` those that were kept without the number.
    Done {
        /// Deleted.
        deleted: Vec<Count>,
        /// Kept under a pseudonym.
        pseudonymised: Vec<Count>,
    },
    /// A hold forbids it.
    Held(Hold),
    /// There is no such person.
    Unknown,
}

/// What withdrawing consent takes: another data key, with the numbers sealed under it.
#[derive(Debug, Clone)]
pub struct Withdrawal {
    /// Who.
    pub subject: SubjectId,
    /// When.
    pub at: TimeMs,
    /// The key as it is stored; another one means that somebody was quicker.
    pub old_key: Sealed,
    /// The key that takes its place.
    pub data_key: Sealed,
    /// The day or year of birth under the new key.
    pub birth: Option<Sealed>,
    /// All numbers under the new key.
    pub identifiers: Vec<BoundIdentifier>,
}

/// Persons.
#[async_trait]
pub trait Subjects: Send + Sync {
    /// The person an identifier resolves to, with the references.
    async fn subject_of(&self, identifier: &IdentifierKey) -> Result<Option<StoredSubject>, StoreError>;
    /// Writes enrolments in one commit; each stands or falls on its own.
    async fn put_enrolments(&self, enrolments: Vec<NewEnrolment>) -> Result<Vec<Result<Enrolled, StoreError>>, StoreError>;

    /// Everything that is stored about a person.
    async fn subject_file(&self, subject: SubjectId) -> Result<Option<SubjectFile>, StoreError>;
    /// All numbers of a person, one for each look-up key.
    async fn identifiers_of(&self, subject: SubjectId) -> Result<Vec<BoundIdentifier>, StoreError>;
    /// Lets a number be found under another look-up key as well; one that is there is sealed anew.
    async fn add_identifiers(&self, subject: SubjectId, identifiers: Vec<BoundIdentifier>) -> Result<(), StoreError>;
    /// How many numbers have no seal yet.
    async fn unbound_identifiers(&self) -> Result<u64, StoreError>;
    /// Persons in the order of their ids, from behind one on.
    async fn subjects_after(&self, after: Option<SubjectId>, limit: u32) -> Result<Vec<SubjectId>, StoreError>;
    /// Persons in the order of their ids, from behind one on, each with the references of all photos, the numbers, and
    /// how many photos in use some model could make nothing of.
    async fn subjects_with_references(
        &self,
        after: Option<SubjectId>,
        limit: u32,
    ) -> Result<Vec<(StoredSubject, Vec<BoundIdentifier>, u64)>, StoreError>;

    /// Revokes a photo, whose references are never compared with again; false when there is no such photo in use.
    async fn revoke_photo(&self, subject: SubjectId, photo: RecordId, at: TimeMs) -> Result<bool, StoreError>;
    /// Places a hold; false when there is no such person.
    async fn place_hold(&self, subject: SubjectId, hold: Hold) -> Result<bool, StoreError>;
    /// Releases all holds of a person; says how many.
    async fn release_holds(&self, subject: SubjectId, by: &str, at: TimeMs) -> Result<u64, StoreError>;
    /// Forgets a person, unless a hold forbids it.
    async fn forget(&self, forget: Forget) -> Result<Forgotten, StoreError>;
    /// Notes that consent is withdrawn and deletes what is biometric, unless a hold forbids it.
    async fn withdraw(&self, withdrawal: Withdrawal) -> Result<Forgotten, StoreError>;
    /// Notes that consent was given again; false when it was not withdrawn.
    async fn consent_again(&self, subject: SubjectId) -> Result<bool, StoreError>;
    /// Whether one of these is the tombstone of somebody who was forgotten.
    async fn is_forgotten(&self, tombstones: &[[u8; 32]]) -> Result<bool, StoreError>;
    /// Removes tombstones, so that the person can be enrolled again; says how many there were.
    async fn readmit(&self, tombstones: &[[u8; 32]]) -> Result<u64, StoreError>;
    /// Rows about a person by table, those that are kept under a pseudonym among them.
    async fn traces(&self, subject: SubjectId) -> Result<Vec<Count>, StoreError>;
    /// Writes the log of changes back into the store's file and empties it, so that nothing deleted is left in it.
    /// False when a reader kept it from that.
    async fn settle(&self) -> Result<bool, StoreError>;
}
