//! A closer look at one face, and another at its mirror image, for landmarks that owe nothing to the search.
//!
//! The search of a whole picture shows a face at a few dozen pixels, so that its landmarks are off by a few
//! percent of the distance between the eyes, and features feel that. The recipe lays one crop by the search's
//! landmarks and the mirrored one by these: their errors differ, and the sum of the features averages them.

use models_core::{DetectedFace, Landmarks, Point};

use super::{Detector, decode::Placement};
use crate::{
    network::{Network, RunError},
    picture::Picture,
    warp::{self, Region},
};

/// Side of the part of the picture that is looked at, as a multiple of the face's longer side.
const FACTOR: f32 = 2.0;
/// What is found in a closer look is the same face when the boxes have this share of their union in common.
const SAME_FACE_OVERLAP_MIN: f32 = 0.4;

impl Detector {
    /// The landmarks of a face that was found, as the mean of where a closer look and one at the mirror image see
    /// them; as they were where neither finds the face.
    pub(crate) fn closer(&self, picture: &Picture, face: &DetectedFace) -> Result<Landmarks, RunError> {
        let Some(square) = Square::around(face, picture) else { return Ok(face.landmarks) };
        let network = self.network(self.longest_side, self.longest_side)?;
        let [_, _, side, _] = network.shape();
        let scale = side as f32 / square.side;
        let placement = Placement { scale, left: square.left, top: square.top };
        let mut rgb = square.laid(picture, side)?;
        let mut seen = Vec::with_capacity(2);
        seen.extend(self.look(&network, &rgb, placement, face)?.map(|found| found.landmarks));
        for row in rgb.chunks_exact_mut(side * 3) {
            row.as_chunks_mut::<3>().0.reverse();
        }
        let mirrored = mirror_of(face, square.left, square.side);
        if let Some(found) = self.look(&network, &rgb, placement, &mirrored)? {
            seen.push(mirror_of(&found, square.left, square.side).landmarks);
        }
        Ok(if seen.is_empty() { face.landmarks } else { mean(&seen) })
    }

    /// The face where one is said to be.
    fn look(&self, network: &Network, rgb: &[u8], placement: Placement, said: &DetectedFace) -> Result<Option<DetectedFace>, RunError> {
        let faces = self.decode(&network.run(rgb)?, placement)?;
        let overlap = |face: &DetectedFace| face.face_box.overlap(&said.face_box);
        let nearest = faces.into_iter().max_by(|a, b| overlap(a).total_cmp(&overlap(b)));
        Ok(nearest.filter(|face| overlap(face) >= SAME_FACE_OVERLAP_MIN))
    }
}

/// A square with a face in its middle; may reach beyond the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Square {
    left: f32,
    top: f32,
    side: f32,
}

impl Square {
    /// None when the face's middle is not in the picture, or the face has no size.
    fn around(face: &DetectedFace, picture: &Picture) -> Option<Self> {
        let (width, height) = (picture.width() as f32, picture.height() as f32);
        let center = face.face_box.center();
        let side = (face.face_box.width().max(face.face_box.height()) * FACTOR).round();
        let inside = (0.0..=width).contains(&center.x) && (0.0..=height).contains(&center.y);
        (inside && side >= 2.0).then(|| Self { left: (center.x - side / 2.0).floor(), top: (center.y - side / 2.0).floor(), side })
    }

    /// What it shows, scaled to `side` × `side`, black beyond the picture. RGB, row by row.
    fn laid(&self, picture: &Picture, side: usize) -> Result<Vec<u8>, RunError> {
        let (right, bottom) = ((self.left + self.side).min(picture.width() as f32), (self.top + self.side).min(picture.height() as f32));
        let (left, top) = (self.left.max(0.0), self.top.max(0.0));
        let region = Region {
            left: f64::from(left),
            top: f64::from(top),
            width: f64::from((right - left).max(1.0)),
            height: f64::from((bottom - top).max(1.0)),
        };
        let scale = side as f64 / f64::from(self.side);
        let scaled = |length: f64| ((length * scale).round() as usize).clamp(1, side);
        let (width, height) = (scaled(region.width), scaled(region.height));
        let offset = |inner: f32, outer: f32, length: usize| ((f64::from(inner - outer) * scale).round() as usize).min(side - length);
        let (column, row) = (offset(left, self.left, width), offset(top, self.top, height));
        let shown = warp::resize(picture, region, width as u32, height as u32)?;
        let mut rgb = vec![0; side * side * 3];
        for (to, from) in rgb.chunks_exact_mut(side * 3).skip(row).zip(shown.chunks_exact(width * 3)) {
            to.iter_mut().skip(column * 3).zip(from).for_each(|(to, from)| *to = *from);
        }
        Ok(rgb)
    }
}

/// A face of a part of the picture that begins at `left` and is `width` wide, as the mirror shows it.
fn mirror_of(face: &DetectedFace, left: f32, width: f32) -> DetectedFace {
    let across = |x: f32| 2.0 * left + width - x;
    let point = |point: Point| Point { x: across(point.x), y: point.y };
    let [left_eye, right_eye, nose, mouth_left, mouth_right] = face.landmarks.0.map(point);
    let mut face_box = face.face_box;
    (face_box.left, face_box.right) = (across(face.face_box.right), across(face.face_box.left));
    DetectedFace { face_box, landmarks: Landmarks([right_eye, left_eye, nose, mouth_right, mouth_left]), score: face.score }
}

fn mean(seen: &[Landmarks]) -> Landmarks {
    let count = seen.len().max(1) as f32;
    let mut sum = [Point { x: 0.0, y: 0.0 }; 5];
    for (sum, points) in sum.iter_mut().zip(0..) {
        for landmarks in seen {
            if let Some(point) = landmarks.0.get(points) {
                (sum.x, sum.y) = (sum.x + point.x / count, sum.y + point.y / count);
            }
        }
    }
    Landmarks(sum)
}

#[cfg(test)]
mod tests {
    use models_core::FaceBox;

    use super::*;

    fn face() -> DetectedFace {
        let at = |x: f32, y: f32| Point { x, y };
        DetectedFace {
            face_box: FaceBox { left: 120.0, top: 50.0, right: 180.0, bottom: 130.0 },
            landmarks: Landmarks([at(135.0, 80.0), at(165.0, 81.0), at(151.0, 95.0), at(140.0, 110.0), at(160.0, 111.0)]),
            score: 0.9,
        }
    }

    #[test]
    fn a_mirror_image_of_a_mirror_image_is_the_face() {
        let mirrored = mirror_of(&face(), 100.0, 90.0);
        assert_eq!((mirrored.face_box.left, mirrored.face_box.right), (110.0, 170.0));
        assert!(mirrored.landmarks.0[0].x < mirrored.landmarks.0[1].x, "the left eye is still left as seen");
        assert_eq!(mirror_of(&mirrored, 100.0, 90.0), face());
    }

    #[test]
    fn the_square_is_around_the_face_and_black_beyond_the_picture() {
        let picture = Picture::from_rgb8(200, 100, vec![255; 200 * 100 * 3]).unwrap();
        let square = Square::around(&face(), &picture).unwrap();
        assert_eq!(square, Square { left: 70.0, top: 10.0, side: 160.0 });
        let rgb = square.laid(&picture, 320).unwrap();
        let white = |row: usize, column: usize| rgb[(row * 320 + column) * 3] == 255;
        // The picture ends 130 pixels to the right of the square's left edge and 90 below its top: twice that here.
        assert!(white(0, 0) && white(179, 259) && !white(181, 100) && !white(100, 261));
        let outside = DetectedFace { face_box: FaceBox { left: 300.0, right: 340.0, ..face().face_box }, ..face() };
        assert_eq!(Square::around(&outside, &picture), None);
    }

    #[test]
    fn the_mean_is_of_each_point() {
        let moved = |by: f32| Landmarks(face().landmarks.0.map(|point| Point { x: point.x + by, y: point.y - by }));
        let found = mean(&[moved(0.0), moved(3.0), moved(6.0)]);
        for (found, expected) in found.0.iter().zip(moved(3.0).0) {
            assert!((found.x - expected.x).abs() < 1e-4 && (found.y - expected.y).abs() < 1e-4);
        }
        assert_eq!(mean(&[face().landmarks]), face().landmarks);
    }
}
