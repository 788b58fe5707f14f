//! What a center holds about people, in numbers: for the law's thresholds and the impact assessment.
//!
//! Not here: whose it is. Nothing in these numbers names a person.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::StoreError;

/// What is held now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Holdings {
    /// Persons of whom a face is stored, as a reference or as a probe.
    pub persons_with_face: u64,
    /// References.
    pub references: u64,
    /// Probes: templates and samples of captures.
    pub probes: u64,
    /// Decision records.
    pub verifications: u64,
    /// Decision records by the version of the notice; the empty one stands for none.
    pub notices: BTreeMap<String, u64>,
    /// Decision records by the version of the consent; the empty one stands for none.
    pub consents: BTreeMap<String, u64>,
}

/// Counts what is held.
#[async_trait]
pub trait Count: Send + Sync {
    /// Counts everything; reads whole indexes, so it is for reports and not for every call.
    async fn holdings(&self) -> Result<Holdings, StoreError>;
    /// Persons of whom a face is stored.
    async fn persons_with_face(&self) -> Result<u64, StoreError>;
}
