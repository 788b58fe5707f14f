//! The register of proxies, as the store keeps it: sealed entries, and keyed hashes that tell proxies and holders apart.
//!
//! Not here: whether somebody may come (`matcher_core::proxy`), and what an entry says (`crate::app::ways`).

use async_trait::async_trait;

use super::{RecordId, Sealed, StoreError, SubjectId, TimeMs, Verification};

/// A proxy to be written with the verification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewProxy {
    /// Keyed hash of the proxy's document.
    pub proxy: [u8; 32],
    /// Keyed hash of the holder and the day.
    pub holder: [u8; 32],
    /// The day, of UTC+8, since 1970-01-01.
    pub day: i32,
    /// The place among the day's holders that is to be taken; none where the holder has one.
    pub slot: Option<u32>,
    /// The entry's own data key, wrapped for the id it leads with.
    pub wrapped: Sealed,
    /// The entry, sealed.
    pub sealed: Sealed,
}

/// What is known about a proxy before they are let through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProxyStanding {
    /// The holders they came for on that day, by place.
    pub today: Vec<[u8; 32]>,
    /// Proxy and holder of the transaction's other attempts.
    pub transaction: Vec<([u8; 32], [u8; 32])>,
}

/// An entry of the register.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredProxy {
    /// The verification it belongs to.
    pub record: Verification,
    /// The person, or the verification's id in their place.
    pub leading: SubjectId,
    /// The data key it is sealed under, wrapped.
    pub wrapped: Sealed,
    /// The entry, sealed.
    pub sealed: Sealed,
}

/// The register of proxies, and what operators overruled.
#[async_trait]
pub trait Proxies: Send + Sync {
    /// What is known about a proxy on a day, and about a transaction of an institution.
    async fn proxy_standing(&self, day: i32, proxy: [u8; 32], institution: &str, transaction: &str) -> Result<ProxyStanding, StoreError>;
    /// The register, newest first: from a time on, of one institution where one is given, at most so many.
    async fn proxies(&self, since: TimeMs, institution: Option<String>, limit: u32) -> Result<Vec<StoredProxy>, StoreError>;
    /// Writes down that somebody took the register out of the store.
    async fn proxies_exported(&self, by: &str, entries: u64, at: TimeMs) -> Result<(), StoreError>;
    /// How often an operator of an institution overruled a non-match by looking at a document, captured from one time on
    /// and before another.
    async fn overrides_of(&self, institution: &str, operator: &str, from: TimeMs, to: TimeMs) -> Result<u64, StoreError>;
    /// Other ways that were taken, decided from one time on and before another, with the person or the record's id.
    async fn other_ways_between(&self, from: TimeMs, to: TimeMs) -> Result<Vec<(SubjectId, RecordId)>, StoreError>;
}
