//! What the store knows about keys: which key-encryption key wrapped which data keys.
//!
//! Not here: any key in clear, and how they wrap (`crate::vault`).

use async_trait::async_trait;

use super::{Sealed, StoreError, SubjectId, TimeMs};

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

/// Data keys by the key that wrapped them.
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
}
