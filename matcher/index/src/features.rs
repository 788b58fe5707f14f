//! Features on their way into the engine: checked rows of one length.

use std::fmt;

use crate::IndexError;

/// How far the length of features may be from 1: half precision rounds each of them.
pub const LENGTH_TOLERANCE: f32 = 0.01;
const DIMENSION_MAX: usize = 4096;

/// Templates' features, row after row, each checked.
#[derive(Clone)]
pub struct Features {
    dimension: usize,
    values: Vec<f32>,
}

impl fmt::Debug for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Features([{} of {}])", self.len(), self.dimension)
    }
}

impl Features {
    /// None yet, each to have so many numbers (1 to 4096).
    ///
    /// # Errors
    /// [`IndexError::Dimension`].
    pub fn new(dimension: usize) -> Result<Self, IndexError> {
        if (1..=DIMENSION_MAX).contains(&dimension) {
            Ok(Self { dimension, values: Vec::new() })
        } else {
            Err(IndexError::Dimension(dimension))
        }
    }

    /// Adds one template's features.
    ///
    /// # Errors
    /// When their number is another, one is not finite, or their length is not 1 within [`LENGTH_TOLERANCE`].
    pub fn push(&mut self, features: &[f32]) -> Result<(), IndexError> {
        if features.len() != self.dimension {
            return Err(IndexError::Length { expected: self.dimension, got: features.len() });
        }
        if let Some(at) = features.iter().position(|number| !number.is_finite()) {
            return Err(IndexError::NotFinite(at));
        }
        let length = features.iter().map(|number| f64::from(*number).powi(2)).sum::<f64>().sqrt() as f32;
        if (length - 1.0).abs() > LENGTH_TOLERANCE {
            return Err(IndexError::NotUnit(length));
        }
        self.values.extend_from_slice(features);
        Ok(())
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len() / self.dimension
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Numbers of each.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// All of them, one after another.
    pub fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.dimension)
    }

    /// All numbers, row after row.
    pub(crate) fn values(&self) -> &[f32] {
        &self.values
    }

    /// Takes all out, and keeps the room.
    pub fn clear(&mut self) {
        self.values.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(features: &[f32], expected: &str) {
        let said = Features::new(3).unwrap().push(features).map_or_else(|error| error.to_string(), |()| "taken".into());
        assert_eq!(said, expected);
    }

    #[test]
    fn only_finite_rows_of_length_one_are_taken() {
        check(&[0.6, 0.8, 0.0], "taken");
        check(&[0.6, 0.806, 0.0], "taken");
        check(&[0.6, 0.8], "features: expected 3 numbers, got 2");
        check(&[0.6, 0.8, 0.0, 0.0], "features: expected 3 numbers, got 4");
        check(&[0.6, f32::NAN, 0.8], "features: expected finite numbers, number 1 is not");
        check(&[f32::INFINITY, 0.0, 0.0], "features: expected finite numbers, number 0 is not");
        check(&[0.0, 0.0, 0.0], "features: expected Euclidean length 1, got 0");
        check(&[0.0, 1.5, 0.0], "features: expected Euclidean length 1, got 1.5");
    }

    #[test]
    fn a_dimension_is_bounded_and_nothing_of_a_face_is_shown() {
        assert!(Features::new(0).is_err() && Features::new(4097).is_err());
        let mut features = Features::new(2).unwrap();
        features.push(&[0.6, 0.8]).unwrap();
        assert_eq!(format!("{features:?}"), "Features([1 of 2])");
        features.clear();
        assert!(features.is_empty());
    }
}
