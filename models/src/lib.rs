//! From pixels to a template, in one place for counters and center alike.
//!
//! A photo or a frame is decoded ([`picture`]), its faces are found, one face is aligned and turned into
//! features or judged as an attack ([`pipeline`]), and the part worth keeping is cut out ([`sample`]). Which
//! networks do that, and everything a runner must know about them, stands in the [`manifest`]; the files
//! themselves are never in the source tree: `models fetch` brings them into the [`cache`] out of published
//! packages (feature `fetch`).
//!
//! Not here: cameras, services, stores, and what a score means. Values shared with crates that must not
//! know about networks (templates, comparison, the rule for the one face that counts) are in `models-core`
//! and re-exported for convenience.

mod align;
mod attack;
pub mod cache;
mod detector;
pub mod digest;
mod eyes;
mod features;
#[cfg(feature = "fetch")]
pub mod fetch;
mod landmarks;
pub mod manifest;
mod network;
pub mod package;
pub mod picture;
pub mod pipeline;
mod pose;
pub mod quality;
pub mod sample;
pub mod selftest;
pub mod side_by_side;
mod warp;

pub use models_core::{
    CompareError, Component, DetectedFace, FaceBox, FaceChoice, FaceRefusal, FaceRule, Gate, Landmarks, Measure, ModelId, Point, Quality,
    QualityRefusal, RecipeId, SimilarityScore, Template, choose_face, compare, dominant_face,
};
