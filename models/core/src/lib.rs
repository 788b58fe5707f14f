//! Words that pixels, counters and the center share: model ids, templates, comparison, faces in a frame.
//!
//! Here: pure values and arithmetic, without pixels, networks or I/O, so that the cores of agent and
//! center, and the evaluation, use the very same comparison. Not here: how a template is made (the
//! `models` crate) and what a score means (the policy in `matcher-core`).

pub mod face;
mod ids;
pub mod quality;
pub mod template;

pub use face::{DetectedFace, FaceBox, FaceChoice, FaceRefusal, FaceRule, Landmarks, Point, choose_face, dominant_face};
pub use ids::{IdError, ModelId, RecipeId};
pub use quality::{Component, Gate, Measure, Quality, QualityRefusal};
pub use template::{CompareError, SimilarityScore, Template, TemplateError, compare};
