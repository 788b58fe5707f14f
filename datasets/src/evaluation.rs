//! Evaluation: trials through the very pipeline, manifest and policy that the product ships, and figures out.
//!
//! Every picture is processed once ([`acquire`]); comparisons are then made with the product's own comparison
//! and decision. The results are plain structures whose serialised form is the JSON of the `evaluate` command.
//! Not here: arguments and progress bars (the command), arithmetic ([`crate::metrics`]), pages
//! ([`crate::report`]).

mod acquire;
mod attacks;
mod calibration;
mod cross;
mod identification;
mod paired;
mod verification;

use matcher_core::Policy;
use models::{FaceChoice, pipeline::Pipeline};
use serde::Serialize;

pub use acquire::{Acquired, AcquisitionError, Failures, Gated, Wanted, acquire};
pub use attacks::{Apcer, AtThreshold, AttackResult, evaluate_attacks};
pub use calibration::{Calibration, CalibrationError, Target, calibrate, policy_text};
pub use cross::{CrossError, CrossGroup, CrossOptions, CrossResult, calibrate_cross};
pub use identification::{IdentificationResult, SearchPoint, evaluate_identification};
pub use paired::{Paired, PairedPoint};
pub use verification::{
    AtPolicy, Curve, Eer, FoldAccuracy, Group, GroupPoint, Point, Scored, Shares, VerificationResult, WorstError, evaluate_verification,
};

/// False match rates at which verification is reported.
pub const FMR_TARGETS: [f64; 4] = [0.01, 0.001, 0.0001, 0.000_01];
/// False positive identification rates at which searches are reported.
pub const FPIR_TARGETS: [f64; 3] = [0.1, 0.01, 0.001];

/// What an evaluation is made with.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Detector, features and attack detection.
    pub pipeline: Pipeline,
    /// What scores mean.
    pub policy: Policy,
    /// Which face of a picture counts.
    pub choice: FaceChoice,
    /// What a picture must reach.
    pub gate: Gated,
    /// Whether each picture is also turned into a plain template, of a single unmirrored crop.
    pub plain: bool,
    /// Start of the generator for resampling.
    pub seed: u64,
    /// How often subjects are resampled.
    pub replicates: usize,
}

/// What a result was made with, so that it can be made again.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Provenance {
    /// Detector.
    pub detector: String,
    /// Feature model.
    pub features: String,
    /// Recipe of the templates.
    pub recipe: String,
    /// Attack model.
    pub attack: String,
    /// Version of the policy.
    pub policy: String,
    /// Which face of a picture counts: `dominant`, `central`, `only`.
    pub face: &'static str,
    /// Which gate was applied: `none`, `probe`, `reference`.
    pub gate: &'static str,
    /// Start of the generator for resampling.
    pub seed: u64,
    /// How often subjects were resampled.
    pub bootstrap: usize,
}

impl Setup {
    /// What results made with this setup say of themselves.
    #[must_use]
    pub fn provenance(&self) -> Provenance {
        Provenance {
            detector: self.pipeline.detector_model().to_string(),
            features: self.pipeline.feature_model().to_string(),
            recipe: self.pipeline.recipe().to_string(),
            attack: self.pipeline.attack_model().to_string(),
            policy: self.policy.version().to_owned(),
            face: match self.choice {
                FaceChoice::Dominant => "dominant",
                FaceChoice::Central => "central",
                FaceChoice::Only => "only",
            },
            gate: self.gate.word(),
            seed: self.seed,
            bootstrap: self.replicates,
        }
    }
}
