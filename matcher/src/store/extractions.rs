//! Making references again under another model or recipe: which photos lack one, and writing what was made.
//!
//! References of several models stand beside each other until one model's are retired. Not here: which model counts;
//! that is the policy's thresholds.

use async_trait::async_trait;

use super::{MadeBy, RecordId, Sealed, StoreError, SubjectId, TimeMs, subjects::Count};

/// A photo in use that lacks a reference.
#[derive(Debug, Clone)]
pub struct PhotoToExtract {
    /// Whose.
    pub subject: SubjectId,
    /// Which photo.
    pub photo: RecordId,
    /// The person's data key, wrapped.
    pub data_key: Sealed,
    /// The picture, sealed.
    pub content: Sealed,
}

/// What was made of one.
#[derive(Debug, Clone)]
pub struct Extraction {
    /// Whose.
    pub subject: SubjectId,
    /// Which photo.
    pub photo: RecordId,
    /// The reference's id and sealed template, or why there is none.
    pub made: Result<(RecordId, Sealed), &'static str>,
    /// When.
    pub at: TimeMs,
}

/// References of one model and recipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelReferences {
    /// What made them.
    pub made_by: MadeBy,
    /// References of photos in use.
    pub in_use: u64,
    /// References of photos that are superseded or revoked.
    pub ended: u64,
}

/// Making references again.
#[async_trait]
pub trait Extractions: Send + Sync {
    /// Photos in use without a reference by this, and without a failure, in an order of its own, from behind one on.
    async fn lacking(&self, made_by: &MadeBy, after: Option<(SubjectId, RecordId)>, limit: u32) -> Result<Vec<PhotoToExtract>, StoreError>;
    /// How many there are.
    async fn lacking_count(&self, made_by: &MadeBy) -> Result<u64, StoreError>;
    /// Writes what was made, in one commit. Photos that are gone meanwhile are passed over.
    async fn put_extractions(&self, made_by: &MadeBy, extractions: Vec<Extraction>) -> Result<(), StoreError>;
    /// Reasons for which photos in use gave no reference by this, with how many there are of each.
    async fn extraction_failures(&self, made_by: &MadeBy) -> Result<Vec<Count>, StoreError>;
    /// References by model and recipe.
    async fn references_by_model(&self) -> Result<Vec<ModelReferences>, StoreError>;
    /// Photos in use that would have no reference left without this.
    async fn dependent_on(&self, made_by: &MadeBy) -> Result<u64, StoreError>;
    /// Deletes references of a model and recipe, a batch of one commit; says how many. Photos stay.
    async fn retire(&self, made_by: &MadeBy, limit: u32) -> Result<u64, StoreError>;
    /// Notes in the audit log that references were made again or retired.
    async fn note_extractions(&self, made_by: &MadeBy, made: u64, retired: u64, at: TimeMs) -> Result<(), StoreError>;
}
