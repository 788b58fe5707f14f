//! From cells of the outputs to faces in pixels of the picture.

use models_core::{DetectedFace, FaceBox, Landmarks, Point};
use ndarray::ArrayView4;

use super::Outputs;

/// Pixels of the input for one cell of the outputs.
const STRIDE: f32 = 4.0;
/// Two boxes that share more of their union than this are one face.
const OVERLAP_MAX: f32 = 0.3;
/// A frame with more candidates than this is noise; the best are kept.
const CANDIDATES_MAX: usize = 512;

/// How a part of the picture lies in the input: one pixel of the picture is `scale` pixels of the input, and
/// the input's top left corner stands at (`left`, `top`) of the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Placement {
    pub(super) scale: f32,
    pub(super) left: f32,
    pub(super) top: f32,
}

/// All faces at or above a score, best first, each once.
pub(super) fn faces(outputs: &Outputs<ArrayView4<'_, f32>>, score_min: f32, placement: Placement) -> Vec<DetectedFace> {
    let cells = outputs.heat_map.indexed_iter().filter(|(_, score)| **score >= score_min);
    let mut faces: Vec<DetectedFace> =
        cells.filter_map(|((_, _, row, column), score)| face_at(outputs, row, column, *score, placement)).collect();
    faces.sort_by(|a, b| b.score.total_cmp(&a.score));
    faces.truncate(CANDIDATES_MAX);
    thin_out(&faces)
}

/// The face that a cell of the outputs describes, in pixels of the picture.
fn face_at(outputs: &Outputs<ArrayView4<'_, f32>>, row: usize, column: usize, score: f32, placement: Placement) -> Option<DetectedFace> {
    let Placement { scale, left, top } = placement;
    let number = |of: &ArrayView4<'_, f32>, channel: usize| of.get((0, channel, row, column)).copied();
    // A face larger than the input by far is a network gone astray; the bound keeps its size finite.
    let size = |channel: usize| Some(number(&outputs.log_size, channel)?.min(8.0).exp() * STRIDE / scale);
    let center = |cell: usize, channel: usize| Some((cell as f32 + number(&outputs.offset, channel)? + 0.5) * STRIDE / scale);
    let (height, width) = (size(0)?, size(1)?);
    let (top, left) = (top + center(row, 0)? - height / 2.0, left + center(column, 1)? - width / 2.0);
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
        if kept.iter().all(|better| better.face_box.overlap(&face.face_box) <= OVERLAP_MAX) {
            kept.push(*face);
        }
    }
    kept
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
        let found = face_at(&outputs, 1, 0, 0.9, Placement { scale: 0.5, left: 0.0, top: 0.0 }).unwrap();
        // Centre: row 1.75, column 0.25 of cells of 4 pixels, in a picture twice the input's size.
        let near = |a: f32, b: f32| assert!((a - b).abs() < 1e-3, "{a} {b}");
        near(found.face_box.center().y, 14.0);
        near(found.face_box.center().x, 2.0);
        near(found.face_box.height(), 80.0);
        near(found.face_box.width(), 40.0);
        near(found.landmarks.0[0].x, found.face_box.left + 0.3 * 40.0);
        near(found.landmarks.0[0].y, found.face_box.top + 0.4 * 80.0);
        let shifted = face_at(&outputs, 1, 0, 0.9, Placement { scale: 0.5, left: 100.0, top: 30.0 }).unwrap();
        near(shifted.face_box.left, found.face_box.left + 100.0);
        near(shifted.landmarks.0[4].y, found.landmarks.0[4].y + 30.0);
    }
}
