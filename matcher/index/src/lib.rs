//! Searching many templates at once: an index over the features of references or of probes.
//!
//! An [`FaceIndex`] is derived data. It answers *which records are most like this one*, approximately, and never decides
//! anything: whoever asks compares the candidates' stored templates again and exactly. It starts exact and becomes an
//! inverted file with 8-bit codes beyond a size ([`Settings`]). The engine behind it (faiss) trusts its callers, so everything
//! is checked here before each call: dimension, finite numbers, length 1, bounds of the candidates asked for, no record twice.
//! Not here: where templates come from, what a candidate means, the files an index is kept in and their encryption.

mod engine;
mod error;
mod face_index;
mod features;
pub mod machine;
mod pipe;
mod saved;
mod slots;

pub use error::IndexError;
pub use face_index::{Candidate, FaceIndex, Settings};
pub use features::{Features, LENGTH_TOLERANCE};
pub use slots::Entry;
