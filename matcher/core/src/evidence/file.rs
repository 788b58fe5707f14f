//! The evidence of one model and recipe, as a table that a policy carries.

use models_core::{ModelId, RecipeId};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::calibration::{Calibration, CalibrationError};

/// An evidence table that is not in order. The message names the field below the table.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EvidenceFileError {
    /// Not the TOML of an evidence table: a field is missing, unknown or of another type.
    #[error("{0}")]
    Toml(String),
    /// An id is none.
    #[error("{field}: expected the id of a {what} in the manifest")]
    Id {
        /// Which field.
        field: &'static str,
        /// Model or recipe.
        what: &'static str,
    },
    /// The threshold is no score.
    #[error("same_face_at_least: expected a score from -1 to 1")]
    SameFace,
    /// A calibration is not in order.
    #[error("{field}.{source}")]
    Calibration {
        /// Which.
        field: &'static str,
        /// Why.
        source: CalibrationError,
    },
}

/// Evidence as it is written: what scores of one model and recipe say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceFile {
    /// Feature model whose scores these are.
    pub model: String,
    /// Recipe whose scores these are.
    pub recipe: String,
    /// Mean score at and above which two visits' probes are taken for one face; set by a false match rate of
    /// probes against probes.
    pub same_face_at_least: f32,
    /// What a score of probe and reference says.
    pub probe_reference: CalibrationFile,
    /// What a score of two probes says.
    pub probe_probe: CalibrationFile,
}

/// A calibration as it is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibrationFile {
    /// Mated trials it was learnt from.
    pub trials_mated: u64,
    /// Non-mated trials it was learnt from.
    pub trials_nonmated: u64,
    /// Scores and their log-likelihood ratios, scores rising.
    pub points: Vec<[f64; 2]>,
}

impl CalibrationFile {
    /// Learns one from scores, ready to be written: ratios with three decimals.
    ///
    /// # Errors
    /// When there are too few trials, or they do not tell the two kinds apart.
    pub fn from_scores(mated: &[f32], nonmated: &[f32]) -> Result<Self, CalibrationError> {
        let round = |value: f64| (value * 1e3).round() / 1e3;
        let points: Vec<[f64; 2]> =
            Calibration::from_scores(mated, nonmated)?.points().iter().map(|[score, ratio]| [round(*score), round(*ratio)]).collect();
        Calibration::from_points(&points)?;
        Ok(Self { trials_mated: mated.len() as u64, trials_nonmated: nonmated.len() as u64, points })
    }
}

/// Checked evidence of one model and recipe.
#[derive(Debug, Clone, PartialEq)]
pub struct EvidenceModel {
    model: ModelId,
    recipe: RecipeId,
    same_face_at_least: f32,
    probe_reference: Calibration,
    probe_probe: Calibration,
}

impl EvidenceFile {
    /// What is known of the shipped model and recipe, as commented TOML.
    pub const SHIPPED: &str = include_str!("../../evidence.toml");

    /// Reads a table; [`EvidenceFile::check`] comes next.
    ///
    /// # Errors
    /// When a field is missing, unknown or of another type.
    pub fn from_toml(text: &str) -> Result<Self, EvidenceFileError> {
        toml::from_str(text).map_err(|error| EvidenceFileError::Toml(error.to_string()))
    }

    /// Checks the table.
    ///
    /// # Errors
    /// With the field and what was expected of it.
    pub fn check(&self) -> Result<EvidenceModel, EvidenceFileError> {
        let model = ModelId::new(&self.model).map_err(|_| EvidenceFileError::Id { field: "model", what: "model" })?;
        let recipe = RecipeId::new(&self.recipe).map_err(|_| EvidenceFileError::Id { field: "recipe", what: "recipe" })?;
        if !(-1.0..=1.0).contains(&self.same_face_at_least) {
            return Err(EvidenceFileError::SameFace);
        }
        let calibration = |field, file: &CalibrationFile| {
            Calibration::from_points(&file.points).map_err(|source| EvidenceFileError::Calibration { field, source })
        };
        Ok(EvidenceModel {
            model,
            recipe,
            same_face_at_least: self.same_face_at_least,
            probe_reference: calibration("probe_reference", &self.probe_reference)?,
            probe_probe: calibration("probe_probe", &self.probe_probe)?,
        })
    }
}

impl EvidenceModel {
    /// Whether it speaks about templates of this model and recipe.
    #[must_use]
    pub fn is_of(&self, model: &ModelId, recipe: &RecipeId) -> bool {
        self.model == *model && self.recipe == *recipe
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &ModelId {
        &self.model
    }

    /// The recipe.
    #[must_use]
    pub fn recipe(&self) -> &RecipeId {
        &self.recipe
    }

    /// Mean score at and above which probes are taken for one face.
    #[must_use]
    pub fn same_face_at_least(&self) -> f32 {
        self.same_face_at_least
    }

    /// What a score of probe and reference says.
    #[must_use]
    pub fn probe_reference(&self) -> &Calibration {
        &self.probe_reference
    }

    /// What a score of two probes says.
    #[must_use]
    pub fn probe_probe(&self) -> &Calibration {
        &self.probe_probe
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Straight lines: photo 0 at 0.35, live 0 at 0.4, both from 5 down to −5.
    pub(crate) fn text() -> &'static str {
        "model = 'm@1'\nrecipe = 'r@1'\nsame_face_at_least = 0.4\n\
         probe_reference = { trials_mated = 900, trials_nonmated = 900, points = [[0.1, 5.0], [0.6, -5.0]] }\n\
         probe_probe = { trials_mated = 900, trials_nonmated = 900, points = [[0.3, 5.0], [0.5, -5.0]] }\n"
    }

    #[track_caller]
    fn check(from: &str, to: &str, expected: &str) {
        let file: Result<EvidenceFile, _> = toml::from_str(&text().replacen(from, to, 1));
        let error = file.map_err(|error| error.to_string()).and_then(|file| file.check().map_err(|error| error.to_string()));
        let error = error.unwrap_err();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn a_table_out_of_order_names_its_field() {
        check("'m@1'", "'M'", "model: expected the id of a model");
        check("'r@1'", "''", "recipe: expected the id of a recipe");
        check("= 0.4", "= 1.5", "same_face_at_least: expected a score");
        check("[0.6, -5.0]", "[0.1, -5.0]", "probe_reference.points[1]: expected a score");
        check("[0.5, -5.0]", "[0.5, 6.0]", "probe_probe.points[1]: expected a log-likelihood ratio");
        check("trials_mated = 900", "trials = 900", "unknown field `trials`");
        check("same_face", "same", "unknown field `same_at_least`");
    }

    #[test]
    fn evidence_belongs_to_a_model_and_recipe() {
        let file: EvidenceFile = toml::from_str(text()).unwrap();
        let evidence = file.check().unwrap();
        let of = |model, recipe| evidence.is_of(&ModelId::new(model).unwrap(), &RecipeId::new(recipe).unwrap());
        assert!(of("m@1", "r@1") && !of("m@2", "r@1") && !of("m@1", "r@2"));
        assert_eq!((evidence.model().as_str(), evidence.recipe().as_str()), ("m@1", "r@1"));
        assert_eq!(toml::from_str::<EvidenceFile>(&toml::to_string(&file).unwrap()).unwrap(), file);
    }

    #[test]
    fn the_shipped_table_is_in_order() {
        let evidence = EvidenceFile::from_toml(EvidenceFile::SHIPPED).unwrap().check().unwrap();
        assert!(evidence.probe_reference().ratio(0.0) > 4.0 && evidence.probe_probe().ratio(0.8) < -4.0);
        assert!(matches!(EvidenceFile::from_toml("model = 1"), Err(EvidenceFileError::Toml(_))));
    }

    #[test]
    fn what_is_learnt_can_be_written_and_read() {
        let scores = |centre: f32| (0..500_u16).map(move |i| centre + f32::from(i % 50) / 100.0).collect::<Vec<_>>();
        let file = CalibrationFile::from_scores(&scores(0.3), &scores(-0.1)).unwrap();
        assert_eq!((file.trials_mated, file.trials_nonmated), (500, 500));
        assert!(Calibration::from_points(&file.points).unwrap().ratio(0.0) > 1.0);
        assert!(CalibrationFile::from_scores(&[], &scores(0.0)).is_err());
    }
}
