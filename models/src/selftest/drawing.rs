//! A picture drawn in code: something like a face, with no symmetry between channels, sides or halves, so that
//! every mistake in preparing a network's input shows.

use models_core::{DetectedFace, FaceBox, Landmarks, Point};

use crate::picture::{DecodeError, Picture};

const WIDTH: u32 = 400;
const HEIGHT: u32 = 320;

/// The picture.
pub(super) fn picture() -> Result<Picture, DecodeError> {
    let pixels = (0..HEIGHT).flat_map(|y| (0..WIDTH).flat_map(move |x| pixel(x as f32, y as f32)));
    Picture::from_rgb8(WIDTH, HEIGHT, pixels.collect())
}

/// The face in it.
pub(super) fn face() -> DetectedFace {
    let at = |x: f32, y: f32| Point { x, y };
    DetectedFace {
        face_box: FaceBox { left: 150.0, top: 80.0, right: 250.0, bottom: 210.0 },
        landmarks: Landmarks([at(178.0, 130.0), at(222.0, 133.0), at(199.0, 155.0), at(181.0, 180.0), at(217.0, 182.0)]),
        score: 1.0,
    }
}

fn pixel(x: f32, y: f32) -> [u8; 3] {
    let inside = |left: f32, top: f32, wide: f32, high: f32| ((x - left) / wide).hypot((y - top) / high) <= 1.0;
    let shade = 20.0 * (x / 37.0).sin() + 14.0 * (y / 23.0).cos();
    let colour = if inside(178.0, 130.0, 9.0, 5.0) || inside(222.0, 133.0, 9.0, 5.0) {
        [52.0, 38.0, 30.0]
    } else if inside(199.0, 181.0, 20.0, 6.0) {
        [150.0, 62.0, 70.0]
    } else if inside(199.0, 153.0, 6.0, 12.0) {
        [196.0, 140.0, 112.0]
    } else if inside(200.0, 92.0, 56.0, 34.0) {
        [44.0, 34.0, 40.0]
    } else if inside(200.0, 148.0, 48.0, 66.0) {
        [214.0, 164.0, 132.0]
    } else {
        [70.0 + x / 4.0, 150.0 - y / 4.0, 60.0 + y / 2.0]
    };
    colour.map(|value| (value + shade).clamp(0.0, 255.0) as u8)
}
