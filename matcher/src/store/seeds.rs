//! Known-answer cases, as the store keeps them: pairs of faces, and the cases that were made of them.
//!
//! Not here: how a case is made (`crate::app::cases::seeding`), and what is said about reviewers (`matcher_core::console::figures`).

use async_trait::async_trait;
use matcher_core::{FlagKind, console::SeedFigures};

use super::{RecordId, Sealed, SealedProbe, StoreError, SubjectId, TimeMs, Verification, cases::NewCase, desk::PhotoFacts};

/// A pair of a photo and captures whose answer is known.
#[derive(Debug, Clone, PartialEq)]
pub struct SeedPair {
    /// Its id, which leads its key as a person's would.
    pub id: RecordId,
    /// What it is called in the list it came from.
    pub name: String,
    /// What allows its use.
    pub licence: String,
    /// Whether one person is on photo and judged captures.
    pub mated: bool,
    /// The score of the first judged capture.
    pub score: f32,
    /// What made the scores.
    pub model: String,
    /// By which recipe.
    pub recipe: String,
    /// When it was added.
    pub added_at: TimeMs,
    /// By whom.
    pub added_by: String,
    /// Since when it is shown to nobody.
    pub retired_at: Option<TimeMs>,
}

/// A pair's pictures.
#[derive(Debug, Clone)]
pub struct SeedPictures {
    /// The pair's data key, wrapped.
    pub data_key: Sealed,
    /// The photo, sealed (`sample`), with what was measured of it (`template`).
    pub photo: SealedProbe,
    /// The captures, by number from 0.
    pub captures: Vec<SeedCapture>,
}

/// A capture of a pair.
#[derive(Debug, Clone, PartialEq)]
pub struct SeedCapture {
    /// Whether it is of the photo's person in any case.
    pub own: bool,
    /// Its score beside the photo.
    pub score: f32,
    /// Its attack score.
    pub live: Option<f32>,
    /// The samples, sealed.
    pub sample: Sealed,
}

/// A pair with what was done with it.
#[derive(Debug, Clone, PartialEq)]
pub struct SeedUse {
    /// The pair.
    pub pair: SeedPair,
    /// Captures of the photo's person, and those that are judged.
    pub captures: (u64, u64),
    /// Cases that were made of it.
    pub cases: u64,
    /// Of these, not closed.
    pub open: u64,
    /// Answers that count.
    pub answers: u64,
}

/// A case to be made of a pair.
#[derive(Debug, Clone)]
pub struct NewSeedCase {
    /// The pair.
    pub pair: RecordId,
    /// The case, as every other.
    pub case: NewCase,
    /// The case's own data key, wrapped.
    pub data_key: Sealed,
    /// What is known of the photo.
    pub facts: PhotoFacts,
    /// The photo, sealed (`sample`), with what was measured of it (`template`).
    pub photo: SealedProbe,
    /// The captures with their sealed samples.
    pub captures: Vec<(Verification, Sealed)>,
    /// Flags about them.
    pub flags: Vec<(FlagKind, TimeMs, String)>,
}

/// How many cases were opened since a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SeedCounts {
    /// About somebody.
    pub real: u64,
    /// Known-answer cases of mated pairs.
    pub mated: u64,
    /// Known-answer cases of non-mated pairs.
    pub nonmated: u64,
}

/// Known-answer cases.
#[async_trait]
pub trait Seeds: Send + Sync {
    /// Adds a pair; false when there is one of its name.
    async fn add_seed_pair(&self, pair: SeedPair, pictures: SeedPictures) -> Result<bool, StoreError>;
    /// All pairs by name, with what was done with them.
    async fn seed_pairs(&self) -> Result<Vec<SeedUse>, StoreError>;
    /// A pair's pictures.
    async fn seed_pictures(&self, pair: RecordId) -> Result<Option<SeedPictures>, StoreError>;
    /// Lets a pair be shown to nobody any more; false when there is none of that name that is shown.
    async fn retire_seed_pair(&self, name: &str, by: &str, at: TimeMs) -> Result<bool, StoreError>;
    /// Cases opened since a time.
    async fn seed_counts(&self, since: TimeMs) -> Result<SeedCounts, StoreError>;
    /// Opens a case of a pair; false when the pair is retired, or another of its cases is not closed.
    async fn open_seed_case(&self, seed: NewSeedCase) -> Result<bool, StoreError>;
    /// What reviewers answered since a time, by name: the first answer of each to a pair.
    async fn seed_figures(&self, since: TimeMs) -> Result<Vec<SeedFigures>, StoreError>;
    /// Whether an institution has had a transaction of this number, in the log or among cases.
    async fn is_transaction(&self, institution: &str, transaction: &str) -> Result<bool, StoreError>;
    /// Whether a case has a known answer.
    async fn is_seed(&self, case: RecordId) -> Result<bool, StoreError>;
    /// Whether a capture is one of a known-answer case.
    async fn is_seed_capture(&self, subject: SubjectId, verification: RecordId) -> Result<bool, StoreError>;
}
