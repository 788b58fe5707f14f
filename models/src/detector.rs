//! Faces and five landmarks, by a network of the CenterFace type.
//!
//! The picture is scaled so that its longer side has a bounded length and laid at the top left of an input
//! whose sides are multiples of 32. One cell of the outputs stands for 4 × 4 pixels of the input: a heat map
//! of face centres, the logarithm of height and width, an offset of the centre, and five landmarks as shares
//! of the box. Overlapping boxes are thinned out (non-maximum suppression).

use std::sync::{Arc, OnceLock};

use models_core::{DetectedFace, FaceBox, Landmarks, Point};
use ndarray::{ArrayD, ArrayView4, Ix4};

use crate::{
    manifest::{InputSize, Model, OutputKind},
    network::{EngineError, Graph, LoadError, Network, RunError},
    picture::Picture,
    warp::{self, Region},
};

/// Pixels of the input for one cell of the outputs.
const STRIDE: f32 = 4.0;
/// Two boxes that share more of their union than this are one face.
const OVERLAP_MAX: f32 = 0.3;
/// A frame with more candidates than this is noise; the best are kept.
const CANDIDATES_MAX: usize = 512;

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
}

/// One of each output.
struct Outputs<T> {
    heat_map: T,
    log_size: T,
    offset: T,
    landmarks: T,
}

/// A picture laid into the network's input.
pub(crate) struct Letterboxed {
    pub(crate) network: Network,
    pub(crate) rgb: Vec<u8>,
    scale: f32,
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
        let detector = Self { graph, multiple_of, longest_side, score_min, at, plans: Default::default() };
        // The square plan is made at once, so that shapes are checked when the model is loaded.
        detector.plan(longest_side, longest_side)?;
        Ok(detector)
    }

    /// All faces at or above the manifest's score, best first.
    pub(crate) fn detect(&self, picture: &Picture) -> Result<Vec<DetectedFace>, RunError> {
        let input = self.letterbox(picture)?;
        let outputs = input.network.run(&input.rgb)?;
        self.decode(&outputs, input.scale)
    }

    /// Scales the picture into the input.
    pub(crate) fn letterbox(&self, picture: &Picture) -> Result<Letterboxed, RunError> {
        let longer = picture.width().max(picture.height());
        let scale = self.longest_side as f32 / longer as f32;
        let side = |side: u32| ((side as f32 * scale).round() as u32).clamp(1, self.longest_side);
        let (width, height) = (side(picture.width()), side(picture.height()));
        let network = self.plan(width, height).map_err(|error| self.failed(&error.to_string()))?;
        let [_, _, rows, columns] = network.shape();
        let scaled = warp::resize(picture, Region::whole(picture), width, height)?;
        let mut rgb = vec![0; rows * columns * 3];
        for (row, scaled) in rgb.chunks_exact_mut(columns * 3).zip(scaled.chunks_exact(width as usize * 3)) {
            row.iter_mut().zip(scaled).for_each(|(to, from)| *to = *from);
        }
        Ok(Letterboxed { network, rgb, scale })
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

    fn decode(&self, outputs: &[ArrayD<f32>], scale: f32) -> Result<Vec<DetectedFace>, RunError> {
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
        let mut faces: Vec<DetectedFace> = outputs
            .heat_map
            .indexed_iter()
            .filter(|(_, score)| **score >= self.score_min)
            .filter_map(|((_, _, row, column), score)| face_at(&outputs, row, column, *score, scale))
            .collect();
        faces.sort_by(|a, b| b.score.total_cmp(&a.score));
        faces.truncate(CANDIDATES_MAX);
        Ok(thin_out(&faces))
    }

    fn failed(&self, reason: &str) -> RunError {
        RunError::Engine { model: self.graph.model().id.to_string(), source: EngineError::new(reason) }
    }
}

/// The face that a cell of the outputs describes, in pixels of the picture.
fn face_at(outputs: &Outputs<ArrayView4<'_, f32>>, row: usize, column: usize, score: f32, scale: f32) -> Option<DetectedFace> {
    let number = |of: &ArrayView4<'_, f32>, channel: usize| of.get((0, channel, row, column)).copied();
    // A face larger than the input by far is a network gone astray; the bound keeps its size finite.
    let size = |channel: usize| Some(number(&outputs.log_size, channel)?.min(8.0).exp() * STRIDE / scale);
    let center = |cell: usize, channel: usize| Some((cell as f32 + number(&outputs.offset, channel)? + 0.5) * STRIDE / scale);
    let (height, width) = (size(0)?, size(1)?);
    let (top, left) = (center(row, 0)? - height / 2.0, center(column, 1)? - width / 2.0);
    let mut points = [Point { x: 0.0, y: 0.0 }; 5];
    for (index, point) in points.iter_mut().enumerate() {
        *point = Point {
            x: left + number(&outputs.landmarks, 2 * index + 1)? * width,
            y: top + number(&outputs.landmarks, 2 * index)? * height,
        };
    }
    let face_box = FaceBox { left, top, right: left + width, bottom: top + height };
    (width >= 1.0 && height >= 1.0).then_some(DetectedFace { face_box, landmarks: Landmarks(points), score: score.clamp(0.0, 1.0) })
}

/// Keeps the best of each group of overlapping faces. Expects the best first.
fn thin_out(faces: &[DetectedFace]) -> Vec<DetectedFace> {
    let mut kept: Vec<DetectedFace> = Vec::new();
    for face in faces {
        if kept.iter().all(|better| overlap(&better.face_box, &face.face_box) <= OVERLAP_MAX) {
            kept.push(*face);
        }
    }
    kept
}

/// Intersection over union, 0 to 1.
fn overlap(a: &FaceBox, b: &FaceBox) -> f32 {
    let both = FaceBox { left: a.left.max(b.left), top: a.top.max(b.top), right: a.right.min(b.right), bottom: a.bottom.min(b.bottom) };
    let union = a.area() + b.area() - both.area();
    if union > 0.0 { both.area() / union } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(left: f32, size: f32, score: f32) -> DetectedFace {
        let face_box = FaceBox { left, top: 0.0, right: left + size, bottom: size };
        DetectedFace { face_box, landmarks: Landmarks([face_box.center(); 5]), score }
    }

    #[track_caller]
    fn check(faces: &[DetectedFace], kept: &[f32]) {
        let scores: Vec<f32> = thin_out(faces).iter().map(|face| face.score).collect();
        assert_eq!(scores, kept);
    }

    #[test]
    fn one_face_found_twice_is_one_face() {
        check(&[face(0.0, 100.0, 0.9), face(20.0, 100.0, 0.8)], &[0.9]);
        check(&[face(0.0, 100.0, 0.9), face(0.0, 100.0, 0.8), face(300.0, 100.0, 0.7)], &[0.9, 0.7]);
    }

    #[test]
    fn faces_side_by_side_are_both_kept() {
        check(&[face(0.0, 100.0, 0.9), face(90.0, 100.0, 0.8)], &[0.9, 0.8]);
        check(&[], &[]);
    }

    #[test]
    fn a_cell_becomes_a_box_and_points() {
        let plane = |channels: usize, values: &[f32]| {
            ndarray::Array4::from_shape_fn(
                (1, channels, 2, 2),
                |(_, channel, row, column)| {
                    if (row, column) == (1, 0) { values[channel] } else { 0.0 }
                },
            )
        };
        let (heat_map, log_size) = (plane(1, &[0.9]), plane(2, &[10.0_f32.ln(), 5.0_f32.ln()]));
        let (offset, landmarks) = (plane(2, &[0.25, -0.25]), plane(10, &[0.4, 0.3, 0.4, 0.7, 0.6, 0.5, 0.8, 0.3, 0.8, 0.7]));
        let outputs = Outputs { heat_map: heat_map.view(), log_size: log_size.view(), offset: offset.view(), landmarks: landmarks.view() };
        let found = face_at(&outputs, 1, 0, 0.9, 0.5).unwrap();
        // Centre: row 1.75, column 0.25 of cells of 4 pixels, in a picture twice the input's size.
        let near = |a: f32, b: f32| assert!((a - b).abs() < 1e-3, "{a} {b}");
        near(found.face_box.center().y, 14.0);
        near(found.face_box.center().x, 2.0);
        near(found.face_box.height(), 80.0);
        near(found.face_box.width(), 40.0);
        near(found.landmarks.0[0].x, found.face_box.left + 0.3 * 40.0);
        near(found.landmarks.0[0].y, found.face_box.top + 0.4 * 80.0);
    }
}
