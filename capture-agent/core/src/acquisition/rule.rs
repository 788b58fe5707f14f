//! The rule of an acquisition, as the configuration gives it.

use models_core::FaceRule;
use thiserror::Error;

/// When a frame counts, how many must, and for how long acquisition goes on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AcquisitionRule {
    /// Acquisition ends this long after it started, in milliseconds, 100–60,000.
    pub deadline_ms: u64,
    /// Good frames wanted before the best is chosen, 1–100.
    pub good_frames: u32,
    /// When one face of a frame counts.
    pub face: FaceRule,
    /// Smallest detection score of a good frame, 0–1. A face the detector sees, but is less sure of, is of
    /// low quality: blurred, dark or covered.
    pub good_detection_score_min: f32,
    /// A frame older than this when it arrives is not counted, in milliseconds, 1–10,000.
    pub stale_after_ms: u64,
    /// A camera that gives no fresh frame for this long has stalled, in milliseconds, 1–60,000.
    pub stall_after_ms: u64,
}

impl Default for AcquisitionRule {
    fn default() -> Self {
        Self {
            deadline_ms: 6_000,
            good_frames: 3,
            face: FaceRule::default(),
            good_detection_score_min: 0.6,
            stale_after_ms: 500,
            stall_after_ms: 3_000,
        }
    }
}

/// A rule that cannot be worked by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("acquisition.{field}: expected {expected}")]
pub struct RuleError {
    /// The field.
    pub field: &'static str,
    /// What was expected of it.
    pub expected: &'static str,
}

impl AcquisitionRule {
    /// Checks every field against its range.
    ///
    /// # Errors
    /// The first field outside.
    pub fn checked(self) -> Result<Self, RuleError> {
        let share = |x: f32| (0.0..=1.0).contains(&x);
        let rules: [(&'static str, &'static str, bool); 9] = [
            ("deadline_ms", "100 to 60000", (100..=60_000).contains(&self.deadline_ms)),
            ("good_frames", "1 to 100", (1..=100).contains(&self.good_frames)),
            ("stale_after_ms", "1 to 10000", (1..=10_000).contains(&self.stale_after_ms)),
            ("stall_after_ms", "1 to 60000", (1..=60_000).contains(&self.stall_after_ms)),
            ("good_detection_score_min", "0 to 1", share(self.good_detection_score_min)),
            ("detection_score_min", "0 to 1", share(self.face.detection_score_min)),
            ("rival_area_min", "0 to 1", share(self.face.rival_area_min)),
            ("share_inside_min", "0 to 1", share(self.face.share_inside_min)),
            ("inter_eye_distance_min_px", "1 to 1000", (1.0..=1000.0).contains(&self.face.inter_eye_distance_min_px)),
        ];
        match rules.into_iter().find(|(.., holds)| !holds) {
            Some((field, expected, _)) => Err(RuleError { field, expected }),
            None => Ok(self),
        }
    }
}
