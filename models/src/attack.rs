//! Whether a face is a live one or a picture of one, by a network of the MiniFASNet type.

use std::{fmt, sync::Arc};

use models_core::{DetectedFace, FaceBox, ModelId};

use crate::{
    manifest::{Crop, InputSize, Model, Role},
    network::{EngineError, Graph, LoadError, Network, RunError},
    picture::Picture,
    side_by_side::side_by_side,
    warp::{self, Region},
};

/// How live a face looks to one model. Scores of two models are not comparable.
#[derive(Debug, Clone, PartialEq)]
pub struct AttackScore {
    /// The model that judged.
    pub model: ModelId,
    /// 0 (an attack) to 1 (live).
    pub live: f32,
}

impl fmt::Display for AttackScore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.live)
    }
}

/// The attack detector.
pub(crate) struct Attack {
    pub(crate) network: Network,
    pub(crate) model: ModelId,
    factor: f32,
    factor_min: f32,
    live_index: usize,
    width: u32,
    height: u32,
}

impl Attack {
    pub(crate) fn load(model: &Arc<Model>, bytes: &[u8]) -> Result<Self, LoadError> {
        let (InputSize::Fixed { width, height }, Crop::Box { factor, factor_min }, Some(live_index)) =
            (model.input.size, &model.crop, model.outputs.first().and_then(|output| output.index))
        else {
            return Err(LoadError::NoModel(Role::Attack));
        };
        let network = Graph::parse(model, bytes)?.plan(width, height)?;
        Ok(Self { network, model: model.id.clone(), factor: *factor, factor_min: *factor_min, live_index, width, height })
    }

    /// The face with its surroundings as the network sees it, RGB.
    pub(crate) fn cropped(&self, picture: &Picture, face_box: &FaceBox) -> Result<Vec<u8>, RunError> {
        let region = enlarged(face_box, self.factor, picture).ok_or(RunError::Box)?;
        Ok(warp::resize(picture, region, self.width, self.height)?)
    }

    /// None when too little of the face's surroundings is in the picture for a score to mean anything.
    pub(crate) fn score(&self, picture: &Picture, face_box: &FaceBox) -> Result<Option<AttackScore>, RunError> {
        if !self.assessable(picture, face_box) {
            return Ok(None);
        }
        let outputs = self.network.run(&self.cropped(picture, face_box)?)?;
        let live = softmax(outputs.iter().flatten().copied()).get(self.live_index).copied();
        let live = live.ok_or_else(|| self.network.failed(EngineError::new("the live score is missing")))?;
        Ok(Some(AttackScore { model: self.model.clone(), live }))
    }

    /// The score of several frames of one face: the median of those that have one, so that no single frame decides.
    pub(crate) fn fused(&self, frames: &[(&Picture, &DetectedFace)]) -> Result<Option<AttackScore>, RunError> {
        let mut scores = Vec::with_capacity(frames.len());
        for score in side_by_side(frames, |(picture, face)| self.score(picture, &face.face_box)) {
            scores.extend(score?.map(|score| score.live));
        }
        Ok(median(scores).map(|live| AttackScore { model: self.model.clone(), live }))
    }

    fn assessable(&self, picture: &Picture, face_box: &FaceBox) -> bool {
        let (width, height) = (picture.width() as f32, picture.height() as f32);
        (width / face_box.width()).min(height / face_box.height()) >= self.factor_min
    }
}

/// The middle one, or the mean of the middle two; none of none.
fn median(mut scores: Vec<f32>) -> Option<f32> {
    scores.sort_by(f32::total_cmp);
    let middle = scores.len() / 2;
    let upper = scores.get(middle).copied()?;
    let lower = if scores.len().is_multiple_of(2) { scores.get(middle.wrapping_sub(1)).copied()? } else { upper };
    Some(lower.midpoint(upper))
}

/// Probabilities of logits.
pub(crate) fn softmax(logits: impl Iterator<Item = f32>) -> Vec<f32> {
    let logits: Vec<f32> = logits.collect();
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponents: Vec<f32> = logits.iter().map(|logit| (logit - largest).exp()).collect();
    let sum: f32 = exponents.iter().sum();
    exponents.iter().map(|exponent| exponent / sum).collect()
}

/// A box around the same centre, `factor` times as wide and high, moved to lie inside the picture, and
/// enlarged less where the picture is too small for it. None when the box lies outside or has no size.
pub(crate) fn enlarged(face_box: &FaceBox, factor: f32, picture: &Picture) -> Option<Region> {
    let (width, height) = (f64::from(picture.width()), f64::from(picture.height()));
    let (box_width, box_height) = (f64::from(face_box.width()), f64::from(face_box.height()));
    let center = face_box.center();
    let (x, y) = (f64::from(center.x), f64::from(center.y));
    let inside = (0.0..=width).contains(&x) && (0.0..=height).contains(&y);
    if !inside || box_width < 1.0 || box_height < 1.0 {
        return None;
    }
    let factor = f64::from(factor).min(width / box_width).min(height / box_height);
    let (wide, high) = (box_width * factor, box_height * factor);
    let left = (x - wide / 2.0).clamp(0.0, (width - wide).max(0.0));
    let top = (y - high / 2.0).clamp(0.0, (height - high).max(0.0));
    Some(Region { left, top, width: wide.min(width - left), height: high.min(height - top) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(left: f32, top: f32, size: f32, expected: Option<[f64; 4]>) {
        let picture = Picture::from_rgb8(640, 480, vec![0; 640 * 480 * 3]).unwrap();
        let face_box = FaceBox { left, top, right: left + size, bottom: top + size };
        let region = enlarged(&face_box, 2.5, &picture).map(|r| [r.left, r.top, r.width, r.height]);
        assert_eq!(region, expected);
    }

    #[test]
    fn the_box_grows_around_its_centre() {
        check(270.0, 190.0, 100.0, Some([195.0, 115.0, 250.0, 250.0]));
    }

    #[test]
    fn at_the_edge_it_moves_inside() {
        check(0.0, 0.0, 100.0, Some([0.0, 0.0, 250.0, 250.0]));
        check(540.0, 380.0, 100.0, Some([390.0, 230.0, 250.0, 250.0]));
    }

    #[test]
    fn a_large_face_grows_only_as_far_as_the_picture_goes() {
        check(200.0, 100.0, 240.0, Some([80.0, 0.0, 480.0, 480.0]));
    }

    #[test]
    fn the_fused_score_is_the_median_and_one_frame_does_not_decide() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![0.25]), Some(0.25));
        assert_eq!(median(vec![1.0, 0.5]), Some(0.75));
        assert_eq!(median(vec![0.99, 0.01, 0.98]), Some(0.98));
    }

    #[test]
    fn probabilities_sum_to_one_however_large_the_logits() {
        let shares = softmax([900.0, 899.0, -5.0].into_iter());
        assert!((shares.iter().sum::<f32>() - 1.0).abs() < 1e-6 && (shares[0] - 0.731).abs() < 1e-3, "{shares:?}");
    }

    #[test]
    fn a_box_outside_or_without_size_has_no_region() {
        check(700.0, 100.0, 100.0, None);
        check(100.0, 100.0, 0.0, None);
        check(f32::NAN, 100.0, 50.0, None);
    }
}
