//! Templates: the stored or submitted feature sets that are compared.
//!
//! A [`Template`] always holds finite numbers and has length 1, so comparison code never checks for NaN or
//! divides by a norm. It also carries the [`ModelId`] and [`RecipeId`] that made it, and [`compare`] refuses
//! two that differ. Features are f16 from wire to store to index and are summed in f32 in a fixed order, so
//! a score is the same bit for bit wherever it is computed.

use std::fmt;

use half::{f16, slice::HalfFloatSliceExt};
use thiserror::Error;

use crate::{ModelId, RecipeId};

/// How far the length of submitted features may be from 1: half precision rounds each of them.
pub const LENGTH_TOLERANCE: f32 = 0.01;

/// Sums are kept in this many lanes, in this order, whatever the machine.
const LANES: usize = 16;
/// Features that are widened to single precision together: whole lanes.
const WIDENED: usize = 16 * LANES;

/// Numbers that are no template.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum TemplateError {
    /// The number of features is not the model's.
    #[error("template.features: expected {expected} numbers, got {got}")]
    Dimension {
        /// The model's dimension.
        expected: usize,
        /// What came.
        got: usize,
    },
    /// The bytes are not a whole number of half-precision numbers.
    #[error("template.features: expected two bytes for each number, got {0} bytes")]
    OddLength(usize),
    /// A feature is NaN or infinite.
    #[error("template.features: expected finite numbers, number {index} is not")]
    NotFinite {
        /// Which one, from 0.
        index: usize,
    },
    /// The features have length zero, or not length 1 where that is required.
    #[error("template.features: expected Euclidean length 1, got {0}")]
    NotUnit(f32),
}

/// Features of one face, bound to the model and recipe that made them.
#[derive(Clone, PartialEq)]
pub struct Template {
    model: ModelId,
    recipe: RecipeId,
    features: Box<[f16]>,
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({}, {}, [{} features])", self.model, self.recipe, self.features.len())
    }
}

impl Template {
    /// Scales a network's output to length 1 and rounds it to half precision.
    ///
    /// # Errors
    /// When a number is not finite or all are zero.
    pub fn from_features(model: ModelId, recipe: RecipeId, features: &[f32]) -> Result<Self, TemplateError> {
        if let Some(index) = features.iter().position(|x| !x.is_finite()) {
            return Err(TemplateError::NotFinite { index });
        }
        let length = features.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
        if length < 1e-12 {
            return Err(TemplateError::NotUnit(0.0));
        }
        let features = features.iter().map(|x| f16::from_f64(f64::from(*x) / length)).collect();
        Ok(Self { model, recipe, features })
    }

    /// Takes little-endian half-precision numbers, as they stand on the wire and in the store.
    ///
    /// # Errors
    /// When the count is not `dimension`, a number is not finite, or the length is not 1 within
    /// [`LENGTH_TOLERANCE`].
    pub fn from_f16_le_bytes(model: ModelId, recipe: RecipeId, dimension: usize, bytes: &[u8]) -> Result<Self, TemplateError> {
        let (pairs, rest) = bytes.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(TemplateError::OddLength(bytes.len()));
        }
        if pairs.len() != dimension {
            return Err(TemplateError::Dimension { expected: dimension, got: pairs.len() });
        }
        let features: Box<[f16]> = pairs.iter().map(|pair| f16::from_le_bytes(*pair)).collect();
        if let Some(index) = features.iter().position(|x| !x.is_finite()) {
            return Err(TemplateError::NotFinite { index });
        }
        let length = dot(&features, &features).sqrt();
        if (length - 1.0).abs() > LENGTH_TOLERANCE {
            return Err(TemplateError::NotUnit(length));
        }
        Ok(Self { model, recipe, features })
    }

    /// The features as little-endian half-precision numbers, two bytes each.
    #[must_use]
    pub fn to_f16_le_bytes(&self) -> Vec<u8> {
        self.features.iter().flat_map(|x| x.to_le_bytes()).collect()
    }

    /// The features as single-precision numbers, for an index or for measurements.
    #[must_use]
    pub fn to_f32(&self) -> Vec<f32> {
        self.features.to_f32_vec()
    }

    /// The model that made the features.
    #[must_use]
    pub fn model(&self) -> &ModelId {
        &self.model
    }

    /// The recipe that made the features.
    #[must_use]
    pub fn recipe(&self) -> &RecipeId {
        &self.recipe
    }

    /// How many features there are.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.features.len()
    }
}

/// Cosine of two templates, −1 to 1. No percentage, and not comparable between models.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct SimilarityScore(f32);

impl SimilarityScore {
    /// Takes a finite number and clamps it to −1…1 (rounding can overshoot by a few ulps).
    #[must_use]
    pub fn new(cosine: f32) -> Option<Self> {
        cosine.is_finite().then(|| Self(cosine.clamp(-1.0, 1.0)))
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> f32 {
        self.0
    }
}

/// Two templates that cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CompareError {
    /// Made by different networks.
    #[error("template.model_id: expected {reference}, got {probe}")]
    Model {
        /// Model of the probe.
        probe: ModelId,
        /// Model of the reference.
        reference: ModelId,
    },
    /// Made by different recipes.
    #[error("template.recipe_id: expected {reference}, got {probe}")]
    Recipe {
        /// Recipe of the probe.
        probe: RecipeId,
        /// Recipe of the reference.
        reference: RecipeId,
    },
    /// Of different lengths.
    #[error("template.features: expected {reference} numbers, got {probe}")]
    Dimension {
        /// Features of the probe.
        probe: usize,
        /// Features of the reference.
        reference: usize,
    },
}

/// Compares a probe with a reference.
///
/// # Errors
/// When model, recipe or dimension differ.
pub fn compare(probe: &Template, reference: &Template) -> Result<SimilarityScore, CompareError> {
    if probe.model != reference.model {
        return Err(CompareError::Model { probe: probe.model.clone(), reference: reference.model.clone() });
    }
    if probe.recipe != reference.recipe {
        return Err(CompareError::Recipe { probe: probe.recipe.clone(), reference: reference.recipe.clone() });
    }
    if probe.features.len() != reference.features.len() {
        return Err(CompareError::Dimension { probe: probe.features.len(), reference: reference.features.len() });
    }
    Ok(SimilarityScore(dot(&probe.features, &reference.features).clamp(-1.0, 1.0)))
}

/// Sum of products in f32: lane by lane, then the lanes in order.
fn dot(a: &[f16], b: &[f16]) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    // Half precision is widened many at a time: one at a time takes most of a comparison.
    let (mut wide_a, mut wide_b) = ([0.0_f32; WIDENED], [0.0_f32; WIDENED]);
    for (a, b) in a.chunks(WIDENED).zip(b.chunks(WIDENED)) {
        let (Some(wide_a), Some(wide_b)) = (wide_a.get_mut(..a.len()), wide_b.get_mut(..b.len())) else { continue };
        a.convert_to_f32_slice(wide_a);
        b.convert_to_f32_slice(wide_b);
        for (a, b) in wide_a.chunks(LANES).zip(wide_b.chunks(LANES)) {
            for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
                *lane += a * b;
            }
        }
    }
    lanes.iter().sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn template(features: &[f32]) -> Template {
        Template::from_features(ModelId::new("m@1").unwrap(), RecipeId::new("r@1").unwrap(), features).unwrap()
    }

    fn from_bytes(dimension: usize, bytes: &[u8]) -> Result<Template, TemplateError> {
        Template::from_f16_le_bytes(ModelId::new("m@1").unwrap(), RecipeId::new("r@1").unwrap(), dimension, bytes)
    }

    #[test]
    fn submitted_features_are_checked() {
        let ones = |n: usize, x: f32| [x; 64].iter().take(n).flat_map(|x| f16::from_f32(*x).to_le_bytes()).collect::<Vec<_>>();
        assert!(from_bytes(4, &ones(4, 0.5)).is_ok());
        assert_eq!(from_bytes(5, &ones(4, 0.5)), Err(TemplateError::Dimension { expected: 5, got: 4 }));
        assert_eq!(from_bytes(4, &ones(4, 0.5)[..7]), Err(TemplateError::OddLength(7)));
        assert_eq!(from_bytes(4, &ones(4, f32::NAN)), Err(TemplateError::NotFinite { index: 0 }));
        assert_eq!(from_bytes(4, &ones(4, f32::INFINITY)), Err(TemplateError::NotFinite { index: 0 }));
        assert!(matches!(from_bytes(4, &ones(4, 0.0)), Err(TemplateError::NotUnit(_))));
        assert!(matches!(from_bytes(4, &ones(4, 0.6)), Err(TemplateError::NotUnit(_))));
    }

    #[test]
    fn templates_of_two_models_or_recipes_are_never_compared() {
        let a = template(&[1.0, 0.0]);
        let other_model = Template { model: ModelId::new("m@2").unwrap(), ..a.clone() };
        let other_recipe = Template { recipe: RecipeId::new("r@2").unwrap(), ..a.clone() };
        assert!(matches!(compare(&other_model, &a), Err(CompareError::Model { .. })));
        assert!(matches!(compare(&other_recipe, &a), Err(CompareError::Recipe { .. })));
        assert!(matches!(compare(&template(&[1.0, 0.0, 0.0]), &a), Err(CompareError::Dimension { .. })));
    }

    #[test]
    fn debug_shows_no_feature() {
        assert_eq!(format!("{:?}", template(&[3.0, 4.0])), "Template(m@1, r@1, [2 features])");
    }

    proptest! {
        #[test]
        fn comparison_is_symmetric_bounded_and_one_with_itself(
            a in prop::collection::vec(-1.0_f32..1.0, 64), b in prop::collection::vec(-1.0_f32..1.0, 64),
        ) {
            prop_assume!(a.iter().any(|x| x.abs() > 0.01) && b.iter().any(|x| x.abs() > 0.01));
            let (a, b) = (template(&a), template(&b));
            let score = compare(&a, &b).unwrap().get();
            prop_assert_eq!(score.to_bits(), compare(&b, &a).unwrap().get().to_bits());
            prop_assert!((-1.0..=1.0).contains(&score));
            prop_assert!((compare(&a, &a).unwrap().get() - 1.0).abs() < 2e-3);
        }

        #[test]
        fn wire_and_store_keep_every_bit(a in prop::collection::vec(-1.0_f32..1.0, 64)) {
            prop_assume!(a.iter().any(|x| x.abs() > 0.01));
            let a = template(&a);
            prop_assert_eq!(from_bytes(64, &a.to_f16_le_bytes()).unwrap(), a);
        }
    }
}
