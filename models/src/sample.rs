//! The sample: the part of a picture that is kept and sent.
//!
//! The face's box times 2.7, at most 480 pixels and 60,000 bytes of JPEG, with box and landmarks in its own
//! pixels. That is enough for attack detection, for another feature model later, and for a person who looks
//! at it; an aligned crop would serve none of them.

use std::fmt;

use image::{ExtendedColorType, ImageEncoder, ImageError, codecs::jpeg::JpegEncoder};
use models_core::{DetectedFace, FaceBox, Landmarks, Point};
use thiserror::Error;

use crate::{
    attack::enlarged,
    picture::Picture,
    warp::{self, ResampleError},
};

/// How much larger than the face's box the sample is.
pub const BOX_FACTOR: f32 = 2.7;
/// Longest side of a sample, in pixels.
pub const SIDE_MAX: u32 = 480;
/// Size of a sample's JPEG, in bytes.
pub const BYTES_MAX: usize = 60_000;

/// Best and worst JPEG quality that are tried. Below the worst the picture is made smaller instead.
const QUALITY: (u8, u8) = (40, 95);

/// A face cannot be cut out.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SampleError {
    /// The face's box lies outside the picture or has no size.
    #[error("face.box: expected a box inside the picture")]
    Outside,
    /// Scaling failed.
    #[error(transparent)]
    Resample(ResampleError),
    /// Encoding failed.
    #[error("could not encode the sample as JPEG")]
    Encode(#[source] ImageError),
}

/// A face with its surroundings, as JPEG.
#[derive(Clone, PartialEq)]
pub struct FaceSample {
    /// The JPEG, at most [`BYTES_MAX`] bytes and [`SIDE_MAX`] pixels a side.
    pub jpeg: Vec<u8>,
    /// The five landmarks in the sample's pixels.
    pub landmarks: Landmarks,
    /// The face's box in the sample's pixels; may reach beyond it.
    pub face_box: FaceBox,
}

impl fmt::Debug for FaceSample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaceSample([{} bytes])", self.jpeg.len())
    }
}

/// Cuts one face out of a picture. The part is moved, and if need be made smaller, to lie inside the picture.
/// A small face is not enlarged.
///
/// # Errors
/// When the box lies outside the picture, or scaling or encoding fails.
pub fn crop(picture: &Picture, face: &DetectedFace) -> Result<FaceSample, SampleError> {
    let region = enlarged(&face.face_box, BOX_FACTOR, picture).ok_or(SampleError::Outside)?;
    let mut scale = (f64::from(SIDE_MAX) / region.width.max(region.height)).min(1.0);
    loop {
        let side = |length: f64| ((length * scale).round() as u32).clamp(1, SIDE_MAX);
        let (width, height) = (side(region.width), side(region.height));
        let rgb = warp::resize(picture, region, width, height).map_err(SampleError::Resample)?;
        if let Some(jpeg) = encode(&rgb, width, height)? {
            let (scale_x, scale_y) = (f64::from(width) / region.width, f64::from(height) / region.height);
            let at = |point: Point| Point {
                x: ((f64::from(point.x) - region.left) * scale_x) as f32,
                y: ((f64::from(point.y) - region.top) * scale_y) as f32,
            };
            let FaceBox { left, top, right, bottom } = face.face_box;
            let (first, last) = (at(Point { x: left, y: top }), at(Point { x: right, y: bottom }));
            return Ok(FaceSample {
                jpeg,
                landmarks: Landmarks(face.landmarks.0.map(at)),
                face_box: FaceBox { left: first.x, top: first.y, right: last.x, bottom: last.y },
            });
        }
        scale *= 0.8;
    }
}

/// The best quality that fits, or none when even the worst does not.
fn encode(rgb: &[u8], width: u32, height: u32) -> Result<Option<Vec<u8>>, SampleError> {
    let at = |quality: u8| -> Result<Option<Vec<u8>>, SampleError> {
        let mut jpeg = Vec::new();
        JpegEncoder::new_with_quality(&mut jpeg, quality)
            .write_image(rgb, width, height, ExtendedColorType::Rgb8)
            .map_err(SampleError::Encode)?;
        Ok((jpeg.len() <= BYTES_MAX).then_some(jpeg))
    };
    let (mut worst, mut best) = QUALITY;
    let mut fits = at(best)?;
    if fits.is_some() {
        return Ok(fits);
    }
    // `best` does not fit; the answer is below it.
    while worst < best {
        let quality = worst.midpoint(best);
        match at(quality)? {
            Some(jpeg) => {
                fits = Some(jpeg);
                worst = quality + 1;
            }
            None => best = quality,
        }
    }
    Ok(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: u32, height: u32, noisy: bool) -> Picture {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if noisy { (state >> 24) as u8 } else { 90 }
        };
        Picture::from_rgb8(width, height, (0..width * height * 3).map(|_| next()).collect()).unwrap()
    }

    fn face(left: f32, top: f32, size: f32) -> DetectedFace {
        let at = |x: f32, y: f32| Point { x: left + x * size, y: top + y * size };
        DetectedFace {
            face_box: FaceBox { left, top, right: left + size, bottom: top + size },
            landmarks: Landmarks([at(0.3, 0.4), at(0.7, 0.4), at(0.5, 0.6), at(0.35, 0.8), at(0.65, 0.8)]),
            score: 0.9,
        }
    }

    #[test]
    fn size_and_bytes_are_bounded_whatever_the_picture() {
        for (picture, face) in [
            (picture(1280, 720, true), face(400.0, 100.0, 400.0)),
            (picture(640, 480, true), face(0.0, 0.0, 300.0)),
            (picture(640, 480, false), face(200.0, 200.0, 60.0)),
        ] {
            let sample = crop(&picture, &face).unwrap();
            let decoded = Picture::decode(&sample.jpeg).unwrap();
            assert!(decoded.width() <= SIDE_MAX && decoded.height() <= SIDE_MAX && sample.jpeg.len() <= BYTES_MAX);
        }
    }

    #[test]
    fn box_and_landmarks_move_with_the_crop() {
        let sample = crop(&picture(1280, 720, false), &face(500.0, 300.0, 100.0)).unwrap();
        assert_eq!(Picture::decode(&sample.jpeg).unwrap().width(), 270);
        let near = |a: f32, b: f32| assert!((a - b).abs() < 0.5, "{a} {b}");
        near(sample.face_box.left, 85.0);
        near(sample.face_box.width(), 100.0);
        near(sample.landmarks.0[0].x - sample.face_box.left, 30.0);
        near(sample.landmarks.0[3].y - sample.face_box.top, 80.0);
    }

    #[test]
    fn a_face_outside_is_refused() {
        assert!(matches!(crop(&picture(640, 480, false), &face(900.0, 0.0, 100.0)), Err(SampleError::Outside)));
    }

    #[test]
    fn debug_shows_no_pixel() {
        let sample = FaceSample { jpeg: vec![0; 9], landmarks: face(0.0, 0.0, 9.0).landmarks, face_box: face(0.0, 0.0, 9.0).face_box };
        assert_eq!(format!("{sample:?}"), "FaceSample([9 bytes])");
    }
}
