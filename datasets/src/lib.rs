//! Pictures to measure with.
//!
//! A [`Pack`] is a named list of pictures with what is known of each: who it shows and what is special about
//! it. Packs are described by manifests in the source tree; the pictures themselves are fetched to a cache
//! on this machine (feature `fetch`) and never become part of the tree.
//!
//! Not here: matcher and agent. Evaluation works on numbers that the `models` crate gives.

#[cfg(feature = "evaluation")]
pub mod evaluation;
#[cfg(feature = "fetch")]
pub mod fetch;
mod manifest;
#[cfg(feature = "evaluation")]
pub mod metrics;
mod pack;
#[cfg(feature = "evaluation")]
pub mod report;
#[cfg(feature = "evaluation")]
pub mod trials;

pub use manifest::{ManifestError, PackManifest, PictureEntry};
pub use pack::{Identity, Pack, PackError, PackPicture, Pair};

use std::path::PathBuf;

/// Overrides the folder for pictures.
pub const DIR_VARIABLE: &str = "COUNTERSIGN_DATASETS";

/// `$COUNTERSIGN_DATASETS`, or `countersign/datasets` in the user's cache folder.
#[must_use]
pub fn default_dir() -> PathBuf {
    models::cache::dir_for(DIR_VARIABLE, "datasets")
}
