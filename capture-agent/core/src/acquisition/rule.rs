//! The rule of an acquisition: the gate, its floor, and the times.

use models_core::{Component, FaceRule, Gate};
use thiserror::Error;

use super::instruction::is_advice;

/// When a frame counts, how many must, and for how long acquisition goes on.
#[derive(Debug, Clone, PartialEq)]
pub struct AcquisitionRule {
    /// Acquisition ends this long after it started, in milliseconds, 100–60,000.
    pub deadline_ms: u64,
    /// Frames that are fused into one probe, 1–16. The recipe of the feature model says so; the time that is
    /// left never changes it.
    pub frames: usize,
    /// Good frames wanted before the best of them are chosen, at least [`Self::frames`], at most 32.
    pub good_frames: usize,
    /// Two frames that count lie at least this far apart, in milliseconds, 0–1,000; of two that are nearer,
    /// the better one counts.
    pub frame_gap_ms: u64,
    /// When one face of a frame counts.
    pub face: FaceRule,
    /// What a frame must reach, component by component.
    pub gate: Gate,
    /// What takes the gate's place for size, pose, eyes and mask after [`Self::relax_after_ms`]; a component that
    /// is absent is then not asked for at all.
    pub floor: Gate,
    /// Size, pose, eyes and mask are asked for this long, in milliseconds, 0–60,000. All but the mask are counted from
    /// the start, the mask from when it was first asked for.
    pub relax_after_ms: u64,
    /// At least this often a whole frame is searched, so that nobody joins unseen, in milliseconds, 0–10,000.
    pub whole_every_ms: u64,
    /// An instruction stays for at least this long, so that it can be read, in milliseconds, 0–5,000.
    pub dwell_ms: u64,
    /// A frame older than this when it arrives is not counted, in milliseconds, 1–10,000.
    pub stale_after_ms: u64,
    /// A camera that gives no fresh frame for this long has stalled, in milliseconds, 1–60,000.
    pub stall_after_ms: u64,
}

impl Default for AcquisitionRule {
    fn default() -> Self {
        Self {
            deadline_ms: 8_000,
            frames: 3,
            good_frames: 4,
            frame_gap_ms: 100,
            face: FaceRule::default(),
            gate: Gate::none(),
            floor: Gate::none(),
            relax_after_ms: 3_000,
            whole_every_ms: 1_000,
            dwell_ms: 600,
            stale_after_ms: 500,
            stall_after_ms: 2_000,
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
        let above_gate = |(component, floor): (Component, u8)| self.gate.at_least(component).is_none_or(|gate| floor > gate);
        let rules: [(&'static str, &'static str, bool); 14] = [
            ("deadline_ms", "100 to 60000", (100..=60_000).contains(&self.deadline_ms)),
            ("frames", "1 to 16", (1..=16).contains(&self.frames)),
            ("good_frames", "at least the recipe's frames, at most 32", (self.frames..=32).contains(&self.good_frames)),
            ("frame_gap_ms", "0 to 1000", self.frame_gap_ms <= 1_000),
            ("relax_after_ms", "0 to 60000", self.relax_after_ms <= 60_000),
            ("whole_every_ms", "0 to 10000", self.whole_every_ms <= 10_000),
            ("dwell_ms", "0 to 5000", self.dwell_ms <= 5_000),
            ("stale_after_ms", "1 to 10000", (1..=10_000).contains(&self.stale_after_ms)),
            ("stall_after_ms", "1 to 60000", (1..=60_000).contains(&self.stall_after_ms)),
            ("detection_score_min", "0 to 1", share(self.face.detection_score_min)),
            ("rival_area_min", "0 to 1", share(self.face.rival_area_min)),
            ("share_inside_min", "0 to 1", share(self.face.share_inside_min)),
            ("inter_eye_distance_min_px", "1 to 1000", (1.0..=1000.0).contains(&self.face.inter_eye_distance_min_px)),
            ("floor", "nothing above the gate, and nothing the gate does not ask for", !self.floor.iter().any(above_gate)),
        ];
        match rules.into_iter().find(|(.., holds)| !holds) {
            Some((field, expected, _)) => Err(RuleError { field, expected }),
            None => Ok(self),
        }
    }

    /// What a frame must reach once size, pose, eyes and mask are no longer asked for.
    #[must_use]
    pub fn relaxed_gate(&self) -> Gate {
        let kept = |(component, at_least)| {
            if is_advice(component) { self.floor.at_least(component).map(|floor| (component, floor)) } else { Some((component, at_least)) }
        };
        self.gate.iter().filter_map(kept).collect()
    }
}
