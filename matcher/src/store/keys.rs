//! What the store knows about keys: which key-encryption key wrapped which data keys, which look-up key hashed which
//! numbers.
//!
//! Not here: any key in clear, and how they wrap (`crate::vault`).

use async_trait::async_trait;

use super::{BoundIdentifier, Sealed, StoreError, SubjectId, TimeMs};

/// How a data key begins that a key-encryption key wrapped; it names that key.
pub type WrappedPrefix = [u8; 9];

/// A data key to be wrapped anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewrap {
    /// Whose.
    pub subject: SubjectId,
    /// As it was read; where it is another one meanwhile, nothing is changed.
    pub from: Sealed,
    /// As it is to be.
    pub to: Sealed,
}

/// What stands under a look-up key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnderLookup {
    /// Names the key; empty for rows of releases that did not say under which.
    pub key: String,
    /// Rows that lead to somebody.
    pub numbers: u64,
    /// What is left of numbers whose person was forgotten.
    pub tombstones: u64,
}

/// Somebody whose numbers are not all hashed under the newest look-up key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToRehash {
    /// Who.
    pub subject: SubjectId,
    /// The data key as it is stored.
    pub data_key: Sealed,
    /// All rows, of every look-up key.
    pub rows: Vec<BoundIdentifier>,
}

/// Rows under a new look-up key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rehashed {
    /// Whose.
    pub subject: SubjectId,
    /// The data key they are sealed under; where it is another one meanwhile, nothing is written.
    pub data_key: Sealed,
    /// The new rows.
    pub rows: Vec<BoundIdentifier>,
}

/// What became of dropping older look-up keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RetiredLookup {
    /// So many of their rows are gone.
    Done(u64),
    /// Nothing was dropped: these many persons have a number under no newer key, some of them named.
    Needed(u64, Vec<SubjectId>),
}

/// Data keys by the key that wrapped them, numbers by the key that hashed them.
#[async_trait]
pub trait KeyStore: Send + Sync {
    /// How many data keys each key-encryption key wrapped; none stands for releases that did not say which.
    async fn data_key_counts(&self) -> Result<Vec<(Option<WrappedPrefix>, u64)>, StoreError>;
    /// Data keys that do not begin so, by person, after one; at most so many.
    async fn data_keys_not_of(
        &self,
        prefix: WrappedPrefix,
        after: Option<SubjectId>,
        limit: u32,
    ) -> Result<Vec<(SubjectId, Sealed)>, StoreError>;
    /// Writes data keys that were wrapped anew, in one commit; says how many were still as they were read.
    async fn rewrap_data_keys(&self, keys: Vec<Rewrap>) -> Result<u64, StoreError>;
    /// Puts key-encryption keys out of use, unless data keys are left that do not begin with `newest`; says how
    /// many are left. From then on none of theirs is taken.
    async fn retire_key_encryption(&self, newest: WrappedPrefix, retired: Vec<WrappedPrefix>, at: TimeMs) -> Result<u64, StoreError>;

    /// What stands under each look-up key.
    async fn lookup_counts(&self) -> Result<Vec<UnderLookup>, StoreError>;
    /// Persons, in the order of their ids, after one, with more numbers under other look-up keys than under this one.
    async fn to_rehash(&self, newest: &str, after: Option<SubjectId>, limit: u32) -> Result<Vec<ToRehash>, StoreError>;
    /// Writes rows under the new key beside the older ones, in one commit; says how many.
    async fn rehash(&self, persons: Vec<Rehashed>) -> Result<u64, StoreError>;
    /// Puts all look-up keys but the newest out of use and deletes their rows, unless somebody has a number under them
    /// alone; `force` drops those too. From then on no row of the retired keys is taken.
    async fn retire_lookup(&self, newest: &str, retired: Vec<String>, force: bool, at: TimeMs) -> Result<RetiredLookup, StoreError>;
}
