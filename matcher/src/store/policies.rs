//! Policies as the store keeps them: every version that was ever applied, signed, in order.
//!
//! Not here: what a policy says (`matcher_core::policy`), who signs it (`crate::policy`).

use async_trait::async_trait;

use super::{RecordId, StoreError, TimeMs, Verification};

/// A policy to be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPolicy {
    /// Its version; another text under a version that was applied before is refused.
    pub version: String,
    /// Its text, as it was given.
    pub text: String,
    /// Signature over the text.
    pub text_signature: [u8; 64],
    /// What devices are told of it: an encoded `DevicePolicy`.
    pub device_policy: Vec<u8>,
    /// Signature over that.
    pub device_signature: [u8; 64],
    /// The key of both signatures.
    pub key_id: String,
    /// When it is applied.
    pub applied_at: TimeMs,
    /// Who applies it, by name.
    pub applied_by: String,
    /// Why.
    pub reason: String,
}

/// A policy that was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedPolicy {
    /// Its place in the order, from 1.
    pub number: u64,
    /// What was applied.
    pub policy: NewPolicy,
}

/// The policies of a center, and the records a dry run reads.
#[async_trait]
pub trait Policies: Send + Sync {
    /// Applies a policy after the one of this number (0 where there is none yet), and gives its own number.
    ///
    /// Fails with [`StoreError::Conflict`] when another was applied in between, or the version has another text.
    async fn apply_policy(&self, after: u64, policy: NewPolicy) -> Result<u64, StoreError>;
    /// The policy in force, which is the last one.
    async fn policy_in_force(&self) -> Result<Option<AppliedPolicy>, StoreError>;
    /// Number of the policy in force, 0 where there is none: asked often.
    async fn policy_number(&self) -> Result<u64, StoreError>;
    /// All policies, the last one first.
    async fn policies(&self) -> Result<Vec<AppliedPolicy>, StoreError>;
    /// Verifications decided from a time on, oldest first, after this one, at most so many.
    async fn verifications_from(
        &self,
        since: TimeMs,
        after: Option<(TimeMs, RecordId)>,
        limit: u32,
    ) -> Result<Vec<Verification>, StoreError>;
}
