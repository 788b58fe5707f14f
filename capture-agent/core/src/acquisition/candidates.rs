//! The frames that count so far, and the best of them.

use std::cmp::Ordering;

use models_core::{Component, DetectedFace, Quality};

use crate::Moment;

/// What limits a probe: among frames that pass the gate, the one whose weakest of these is strongest is best.
const WEIGHED: [Component; 9] = [
    Component::InterEyeDistance,
    Component::HeadPoseYaw,
    Component::HeadPosePitch,
    Component::EyesOpen,
    Component::Sharpness,
    Component::UnderExposurePrevention,
    Component::OverExposurePrevention,
    Component::MouthOcclusionPrevention,
    Component::FaceOcclusionPrevention,
];

/// A frame that counts, and the face in it.
#[derive(Debug, Clone, PartialEq)]
pub struct GoodFrame<F> {
    /// When it was taken.
    pub taken_at: Moment,
    /// The face that counts.
    pub face: DetectedFace,
    /// Its quality.
    pub quality: Quality,
    /// The frame itself.
    pub frame: F,
}

impl<F> GoodFrame<F> {
    /// The weakest of the weighed components, then their mean, then size and sureness: more is better.
    fn worth(&self) -> (u8, f32) {
        let scores: Vec<u8> = WEIGHED.iter().filter_map(|component| self.quality.get(*component)).map(|measure| measure.score).collect();
        let detected = self.face.score * self.face.landmarks.inter_eye_distance();
        let sum: f32 = scores.iter().copied().map(f32::from).sum();
        (scores.iter().copied().min().unwrap_or(0), sum + detected / 1_000.0)
    }

    /// Better is greater.
    fn cmp_worth(&self, other: &Self) -> Ordering {
        let ((weakest, sum), (other_weakest, other_sum)) = (self.worth(), other.worth());
        weakest.cmp(&other_weakest).then(sum.total_cmp(&other_sum))
    }
}

/// Frames in the order they were taken, no two of them nearer than a gap, and never more than a bound.
#[derive(Debug)]
pub(super) struct Candidates<F> {
    frames: Vec<GoodFrame<F>>,
    gap_ms: u64,
    len_max: usize,
    /// When the first frame was taken that competes for the place of the last one kept.
    contested_since: Option<Moment>,
}

impl<F> Candidates<F> {
    pub(super) fn new(gap_ms: u64, len_max: usize) -> Self {
        Self { frames: Vec::with_capacity(len_max), gap_ms, len_max, contested_since: None }
    }

    /// Keeps a frame. Of several within the gap the best one stays; beyond the bound the worst one goes.
    pub(super) fn keep(&mut self, new: GoodFrame<F>) {
        let contested = self.contested_since.is_some_and(|since| new.taken_at.ms_since(since) < self.gap_ms);
        match self.frames.last_mut() {
            Some(last) if contested => {
                if new.cmp_worth(last).is_gt() {
                    *last = new;
                }
            }
            Some(_) | None => {
                self.contested_since = Some(new.taken_at);
                self.frames.push(new);
            }
        }
        if self.frames.len() > self.len_max {
            let worst = self.frames.iter().enumerate().min_by(|(_, a), (_, b)| a.cmp_worth(b)).map(|(at, _)| at);
            if let Some(worst) = worst {
                self.frames.remove(worst);
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.frames.clear();
        self.contested_since = None;
    }

    pub(super) fn len(&self) -> usize {
        self.frames.len()
    }

    /// The best `count` of these and those, best first, of equal ones the earlier; fewer when there are fewer.
    pub(super) fn best(self, and: Self, count: usize) -> Vec<GoodFrame<F>> {
        let mut all = self.frames;
        all.extend(and.frames);
        all.sort_by_key(|frame| frame.taken_at);
        all.sort_by(|a, b| b.cmp_worth(a));
        all.truncate(count);
        all
    }
}
