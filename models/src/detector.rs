//! Faces and five landmarks, by a network of the CenterFace type.
//!
//! The picture is scaled so that its longer side has a bounded length and laid at the top left of an input
//! whose sides are multiples of 32. One cell of the outputs stands for 4 × 4 pixels of the input: a heat map
//! of face centres, the logarithm of height and width, an offset of the centre, and five landmarks as shares
//! of the box. Overlapping boxes are thinned out (non-maximum suppression).

mod closer;
mod decode;

use std::sync::{Arc, OnceLock};

use models_core::DetectedFace;
use ndarray::{ArrayD, ArrayView4, Ix4};

use self::decode::Placement;
use crate::{
    manifest::{InputSize, Model, OutputKind},
    network::{EngineError, Graph, LoadError, Network, RunError},
    picture::Picture,
    warp::{self, Region},
};

/// Side of the input around a face that was found before. Measured: see [`Detector::detect_near`].
const NEAR_SIDE: u32 = 128;
/// Side of the part of the picture searched there, as a multiple of the face's longer side: a face may move
/// by three quarters of its size, or grow by half and move by half its size, between two frames.
const NEAR_FACTOR: f32 = 2.5;

/// Shorter sides of the input for which a plan is kept, as shares of the longer one: 16:9, 4:3 and square.
const SHARES: [f32; 3] = [0.6, 0.8, 1.0];

/// The detector: one graph, and a plan for each shape of picture met so far.
pub(crate) struct Detector {
    graph: Graph,
    multiple_of: u32,
    longest_side: u32,
    score_min: f32,
    /// Where each output stands among the graph's.
    at: Outputs<usize>,
    plans: [[OnceLock<Network>; SHARES.len()]; 2],
    near: OnceLock<Network>,
}

/// One of each output.
struct Outputs<T> {
    heat_map: T,
    log_size: T,
    offset: T,
    landmarks: T,
}

/// A picture, or a part of it, laid into the network's input.
pub(crate) struct Letterboxed {
    pub(crate) network: Network,
    pub(crate) rgb: Vec<u8>,
    placement: Placement,
}

impl Detector {
    pub(crate) fn load(model: &Arc<Model>, bytes: &[u8]) -> Result<Self, LoadError> {
        let graph = Graph::parse(model, bytes)?;
        let missing = |what: &str| LoadError::Differs {
            model: model.id.to_string(),
            field: "manifest".into(),
            expected: what.into(),
            got: "no such entry".into(),
        };
        let InputSize::Any { multiple_of, longest_side } = model.input.size else {
            return Err(missing("an input of any size"));
        };
        let at = |kind: OutputKind| model.outputs.iter().position(|output| output.kind == kind).ok_or_else(|| missing("an output"));
        let at = Outputs {
            heat_map: at(OutputKind::HeatMap)?,
            log_size: at(OutputKind::LogSize)?,
            offset: at(OutputKind::Offset)?,
            landmarks: at(OutputKind::Landmarks)?,
        };
        let score_min = model.threshold("detect").ok_or_else(|| missing("a threshold with use = \"detect\""))?.score;
        let detector = Self { graph, multiple_of, longest_side, score_min, at, plans: Default::default(), near: OnceLock::new() };
        // The square plan is made at once, so that shapes are checked when the model is loaded.
        detector.plan(longest_side, longest_side)?;
        Ok(detector)
    }

    /// All faces at or above the manifest's score, best first.
    pub(crate) fn detect(&self, picture: &Picture) -> Result<Vec<DetectedFace>, RunError> {
        let input = self.letterbox(picture)?;
        let outputs = input.network.run(&input.rgb)?;
        self.decode(&outputs, input.placement)
    }

    /// Scales the picture into the input.
    pub(crate) fn letterbox(&self, picture: &Picture) -> Result<Letterboxed, RunError> {
        let longer = picture.width().max(picture.height());
        let scale = self.longest_side as f32 / longer as f32;
        let side = |side: u32| ((side as f32 * scale).round() as u32).clamp(1, self.longest_side);
        let (width, height) = (side(picture.width()), side(picture.height()));
        let network = self.network(width, height)?;
        let rgb = laid(&network, picture, Region::whole(picture), width, height)?;
        Ok(Letterboxed { network, rgb, placement: Placement { scale, left: 0.0, top: 0.0 } })
    }

    /// All faces at or above the manifest's score in the surroundings of a face that an earlier frame had,
    /// best first; none when it is lost.
    ///
    /// Of 96, 128 and 160 pixels a side, 128 is the smallest that finds the landmarks as close to those of a
    /// search at 320 as the larger ones do (4 to 5 % of the distance between the eyes), at a quarter of its cost.
    pub(crate) fn detect_near(&self, picture: &Picture, last: &DetectedFace) -> Result<Vec<DetectedFace>, RunError> {
        let Some(region) = square_around(picture, last, NEAR_FACTOR) else { return Ok(Vec::new()) };
        let network = self.near_plan().map_err(|error| self.failed(&error.to_string()))?;
        let [_, _, side, _] = network.shape();
        let scale = side as f64 / region.width.max(region.height);
        let scaled = |length: f64| ((length * scale).round() as u32).clamp(1, side as u32);
        let rgb = laid(&network, picture, region, scaled(region.width), scaled(region.height))?;
        let placement = Placement { scale: scale as f32, left: region.left as f32, top: region.top as f32 };
        self.decode(&network.run(&rgb)?, placement)
    }

    /// The network for a picture of this size.
    pub(crate) fn network(&self, width: u32, height: u32) -> Result<Network, RunError> {
        self.plan(width, height).map_err(|error| self.failed(&error.to_string()))
    }

    fn near_plan(&self) -> Result<Network, LoadError> {
        if let Some(network) = self.near.get() {
            return Ok(network.clone());
        }
        let side = NEAR_SIDE.next_multiple_of(self.multiple_of);
        let made = self.graph.plan(side, side)?;
        Ok(self.near.get_or_init(|| made).clone())
    }

    /// The plan whose input holds a picture of this size: the longer side in full, the shorter one at the
    /// next of a few shares, so that a handful of plans serves all pictures.
    fn plan(&self, width: u32, height: u32) -> Result<Network, LoadError> {
        let upright = height > width;
        let shorter = width.min(height);
        let side = |share: f32| ((self.longest_side as f32 * share) as u32).next_multiple_of(self.multiple_of).min(self.longest_side);
        let fits = SHARES.iter().position(|share| side(*share) >= shorter).unwrap_or(SHARES.len() - 1);
        let shorter = SHARES.get(fits).map_or(self.longest_side, |share| side(*share));
        let (width, height) = if upright { (shorter, self.longest_side) } else { (self.longest_side, shorter) };
        let Some(kept) = self.plans.get(usize::from(upright)).and_then(|plans| plans.get(fits)) else {
            return self.graph.plan(width, height);
        };
        if let Some(network) = kept.get() {
            return Ok(network.clone());
        }
        // Two threads may make the same plan at once; one of them is kept.
        let made = self.graph.plan(width, height)?;
        Ok(kept.get_or_init(|| made).clone())
    }

    fn decode(&self, outputs: &[ArrayD<f32>], placement: Placement) -> Result<Vec<DetectedFace>, RunError> {
        let view = |at: usize| -> Result<ArrayView4<'_, f32>, RunError> {
            let output = outputs.get(at).ok_or_else(|| self.failed("an output is missing"))?;
            output.view().into_dimensionality::<Ix4>().map_err(|error| self.failed(&error.to_string()))
        };
        let outputs = Outputs {
            heat_map: view(self.at.heat_map)?,
            log_size: view(self.at.log_size)?,
            offset: view(self.at.offset)?,
            landmarks: view(self.at.landmarks)?,
        };
        Ok(decode::faces(&outputs, self.score_min, placement))
    }

    fn failed(&self, reason: &str) -> RunError {
        RunError::Engine { model: self.graph.model().id.to_string(), source: EngineError::new(reason) }
    }
}

/// A part of the picture scaled to `width` × `height` at the top left of the input, black beyond.
fn laid(network: &Network, picture: &Picture, region: Region, width: u32, height: u32) -> Result<Vec<u8>, RunError> {
    let [_, _, rows, columns] = network.shape();
    let scaled = warp::resize(picture, region, width, height)?;
    let mut rgb = vec![0; rows * columns * 3];
    for (row, scaled) in rgb.chunks_exact_mut(columns * 3).zip(scaled.chunks_exact(width as usize * 3)) {
        row.iter_mut().zip(scaled).for_each(|(to, from)| *to = *from);
    }
    Ok(rgb)
}

/// The square around a face, moved to lie inside the picture and cut where the picture is too small for it.
/// None when the face is not in the picture.
fn square_around(picture: &Picture, face: &DetectedFace, factor: f32) -> Option<Region> {
    let (width, height) = (f64::from(picture.width()), f64::from(picture.height()));
    let center = face.face_box.center();
    let (x, y) = (f64::from(center.x), f64::from(center.y));
    let side = f64::from(face.face_box.width().max(face.face_box.height()) * factor);
    if !((0.0..=width).contains(&x) && (0.0..=height).contains(&y) && side >= 1.0) {
        return None;
    }
    let (wide, high) = (side.min(width), side.min(height));
    let (left, top) = ((x - wide / 2.0).clamp(0.0, width - wide), (y - high / 2.0).clamp(0.0, height - high));
    Some(Region { left, top, width: wide, height: high })
}

#[cfg(test)]
mod tests {
    use models_core::{FaceBox, Landmarks};

    use super::*;

    #[track_caller]
    fn check(left: f32, top: f32, size: f32, expected: Option<[f64; 4]>) {
        let picture = Picture::from_rgb8(640, 480, vec![0; 640 * 480 * 3]).unwrap();
        let face_box = FaceBox { left, top, right: left + size, bottom: top + size };
        let face = DetectedFace { face_box, landmarks: Landmarks([face_box.center(); 5]), score: 1.0 };
        assert_eq!(square_around(&picture, &face, NEAR_FACTOR).map(|r| [r.left, r.top, r.width, r.height]), expected);
    }

    #[test]
    fn the_search_is_around_the_face_and_inside_the_picture() {
        check(270.0, 190.0, 100.0, Some([195.0, 115.0, 250.0, 250.0]));
        check(0.0, 0.0, 100.0, Some([0.0, 0.0, 250.0, 250.0]));
        check(200.0, 100.0, 240.0, Some([20.0, 0.0, 600.0, 480.0]));
    }

    #[test]
    fn a_face_outside_or_without_size_is_lost() {
        check(700.0, 100.0, 100.0, None);
        check(100.0, 100.0, 0.0, None);
        check(f32::NAN, 100.0, 50.0, None);
    }
}
