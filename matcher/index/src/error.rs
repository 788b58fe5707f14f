//! What can go wrong with an index.

use std::io;

use thiserror::Error;

/// An index that refuses, or an engine that failed. An index that failed is to be built again.
#[derive(Debug, Error)]
pub enum IndexError {
    /// The processor lacks what the engine was built for.
    #[error("the processor lacks {0}, which the index needs; give the role to another machine (identification.here = false)")]
    Processor(&'static str),
    /// A number of features that no model has.
    #[error("dimension: expected 1 to 4096, got {0}")]
    Dimension(usize),
    /// Features of another length.
    #[error("features: expected {expected} numbers, got {got}")]
    Length {
        /// What the index has.
        expected: usize,
        /// What came.
        got: usize,
    },
    /// A feature is NaN or infinite.
    #[error("features: expected finite numbers, number {0} is not")]
    NotFinite(usize),
    /// The features have not length 1.
    #[error("features: expected Euclidean length 1, got {0}")]
    NotUnit(f32),
    /// One batch and another have different sizes.
    #[error("entries: expected one for each of {features} templates, got {entries}")]
    Entries {
        /// Templates.
        features: usize,
        /// Entries.
        entries: usize,
    },
    /// A record is there already, or twice in one batch.
    #[error("entries: expected records that are not in the index, entry {0} is")]
    Duplicate(usize),
    /// A number of candidates that cannot be asked for.
    #[error("candidates: expected 1 to {max}, got {got}")]
    Candidates {
        /// The most.
        max: usize,
        /// What came.
        got: usize,
    },
    /// The index would need more memory than it may have.
    #[error("the index has {entries} entries and would need {bytes} bytes; expected at most {max} (identification.memory_mib)")]
    Memory {
        /// Entries it would have.
        entries: usize,
        /// Bytes it would need.
        bytes: u64,
        /// Bytes it may have.
        max: u64,
    },
    /// A saved index that does not fit what it says or what was asked for.
    #[error("saved index: {field}: expected {expected}")]
    Saved {
        /// Which part.
        field: &'static str,
        /// What was expected of it.
        expected: &'static str,
    },
    /// A saved index could not be written or read.
    #[error("the index could not be written or read")]
    Io(#[source] io::Error),
    /// The engine failed.
    #[error("the index engine failed")]
    Engine(#[source] faiss::error::Error),
}
