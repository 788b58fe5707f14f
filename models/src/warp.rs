//! Resampling: a picture, or a turned and scaled part of it, in the size a network takes.
//!
//! What shrinks is low-pass filtered first. Sampling a large face at 112 × 112 points without that costs
//! accuracy measurably.

use fast_image_resize::{
    FilterType, ResizeAlg, ResizeOptions, Resizer,
    images::{TypedImage, TypedImageRef},
    pixels::U8x3,
};
use thiserror::Error;

use crate::{align::Similarity, picture::Picture};

/// A part of a picture cannot be resampled.
#[derive(Debug, Error)]
#[error("could not resample {what}: {reason}")]
pub struct ResampleError {
    what: &'static str,
    reason: String,
}

/// An upright part of a picture: left, top, width and height in pixels, inside the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Region {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

impl Region {
    pub(crate) fn whole(picture: &Picture) -> Self {
        Self { left: 0.0, top: 0.0, width: f64::from(picture.width()), height: f64::from(picture.height()) }
    }
}

/// Scales a region to `width` × `height` with a filter as wide as the scale asks for. Returns RGB, row by row.
pub(crate) fn resize(picture: &Picture, region: Region, width: u32, height: u32) -> Result<Vec<u8>, ResampleError> {
    let fail = |reason: String| ResampleError { what: "a region", reason };
    // Typed, because the untyped form would compile the filters for every pixel type there is.
    let source =
        TypedImageRef::<U8x3>::from_buffer(picture.width(), picture.height(), picture.pixels()).map_err(|error| fail(error.to_string()))?;
    let (width, height) = (width.max(1), height.max(1));
    let mut pixels = vec![0; width as usize * height as usize * 3];
    let mut target = TypedImage::<U8x3>::from_buffer(width, height, &mut pixels).map_err(|error| fail(error.to_string()))?;
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear)).crop(
        region.left,
        region.top,
        region.width,
        region.height,
    );
    Resizer::new().resize_typed(&source, &mut target, &options).map_err(|error| fail(error.to_string()))?;
    Ok(pixels)
}

/// Samples `side` × `side` points of the picture through `map` (picture to crop). Black beyond the picture.
/// Returns RGB, row by row.
pub(crate) fn warp(picture: &Picture, map: &Similarity, side: u32) -> Result<Vec<u8>, ResampleError> {
    let back = map.inverse();
    let source = Source::new(picture, &back, map.scale(), side)?;
    let mut crop = Vec::with_capacity(side as usize * side as usize * 3);
    for y in 0..side {
        for x in 0..side {
            let (x, y) = back.apply(f64::from(x), f64::from(y));
            crop.extend(source.sample(x, y));
        }
    }
    Ok(crop)
}

/// A square crop of `side` × `side` RGB points, left and right exchanged.
pub(crate) fn mirrored(crop: &[u8], side: u32) -> Vec<u8> {
    crop.chunks(side as usize * 3).flat_map(|row| row.as_chunks::<3>().0.iter().rev().flatten().copied()).collect()
}

/// The part of the picture that a crop needs, shrunk to the crop's scale when the crop is smaller.
struct Source {
    pixels: Vec<u8>,
    width: usize,
    height: usize,
    left: f64,
    top: f64,
    per_pixel_x: f64,
    per_pixel_y: f64,
}

impl Source {
    fn new(picture: &Picture, back: &Similarity, scale: f64, side: u32) -> Result<Self, ResampleError> {
        let far = f64::from(side);
        let corners = [(0.0, 0.0), (far, 0.0), (0.0, far), (far, far)].map(|(x, y)| back.apply(x, y));
        let margin = 2.0 * (1.0 / scale).max(1.0);
        let bound = |of: fn(&(f64, f64)) -> f64, limit: u32| {
            let low = corners.iter().map(of).fold(f64::INFINITY, f64::min) - margin;
            let high = corners.iter().map(of).fold(f64::NEG_INFINITY, f64::max) + margin;
            (low.floor().clamp(0.0, f64::from(limit)), high.ceil().clamp(0.0, f64::from(limit)))
        };
        let (left, right) = bound(|corner| corner.0, picture.width());
        let (top, bottom) = bound(|corner| corner.1, picture.height());
        let region = Region { left, top, width: right - left, height: bottom - top };
        if region.width < 1.0 || region.height < 1.0 {
            return Err(ResampleError { what: "a face", reason: "it lies outside the picture".into() });
        }
        let shrink = scale.min(1.0);
        let shrunk = |length: f64| (length * shrink).round().max(1.0) as u32;
        let (width, height) = (shrunk(region.width), shrunk(region.height));
        Ok(Self {
            pixels: resize(picture, region, width, height)?,
            width: width as usize,
            height: height as usize,
            left,
            top,
            per_pixel_x: region.width / f64::from(width),
            per_pixel_y: region.height / f64::from(height),
        })
    }

    /// The colour at a point of the picture, between the four nearest pixels.
    fn sample(&self, x: f64, y: f64) -> [u8; 3] {
        let x = (x + 0.5 - self.left) / self.per_pixel_x - 0.5;
        let y = (y + 0.5 - self.top) / self.per_pixel_y - 0.5;
        let (column, row) = (x.floor(), y.floor());
        let (right, below) = (x - column, y - row);
        let corners = [
            (column, row, (1.0 - right) * (1.0 - below)),
            (column + 1.0, row, right * (1.0 - below)),
            (column, row + 1.0, (1.0 - right) * below),
            (column + 1.0, row + 1.0, right * below),
        ];
        let mut sum = [0.0; 3];
        for (column, row, weight) in corners {
            if let Some(pixel) = self.pixel(column, row) {
                for (sum, value) in sum.iter_mut().zip(pixel) {
                    *sum += weight * f64::from(*value);
                }
            }
        }
        sum.map(|value| (value + 0.5) as u8)
    }

    fn pixel(&self, column: f64, row: f64) -> Option<&[u8; 3]> {
        if column < 0.0 || row < 0.0 || column >= self.width as f64 || row >= self.height as f64 {
            return None;
        }
        let at = (row as usize * self.width + column as usize) * 3;
        self.pixels.get(at..)?.first_chunk()
    }
}

#[cfg(test)]
mod tests {
    use models_core::{Landmarks, Point};

    use super::*;

    /// A picture whose red rises to the right and green downwards.
    fn ramp(side: u32) -> Picture {
        let pixels = (0..side).flat_map(|y| (0..side).flat_map(move |x| [(x * 255 / side) as u8, (y * 255 / side) as u8, 7])).collect();
        Picture::from_rgb8(side, side, pixels).unwrap()
    }

    fn similarity(scale: f32, shift: f32) -> Similarity {
        let at = |x: f32, y: f32| Point { x, y };
        let from = [at(0.0, 0.0), at(10.0, 0.0), at(0.0, 10.0), at(10.0, 10.0), at(5.0, 5.0)];
        let to = from.map(|point| at(point.x * scale + shift, point.y * scale + shift));
        Similarity::between(&Landmarks(from), &Landmarks(to)).unwrap()
    }

    #[test]
    fn a_shift_by_whole_pixels_copies_them() {
        let picture = ramp(64);
        let crop = warp(&picture, &similarity(1.0, -10.0), 32).unwrap();
        for (y, x) in [(0, 0), (3, 17), (31, 31)] {
            let expected = &picture.pixels()[((y + 10) * 64 + x + 10) * 3..][..3];
            assert_eq!(&crop[(y * 32 + x) * 3..][..3], expected);
        }
    }

    #[test]
    fn shrinking_averages_a_chequered_pattern() {
        let side = 256_u32;
        let pixels = (0..side).flat_map(|y| (0..side).flat_map(move |x| [if (x + y) % 2 == 0 { 255_u8 } else { 0 }; 3])).collect();
        let picture = Picture::from_rgb8(side, side, pixels).unwrap();
        let crop = warp(&picture, &similarity(0.25, 0.0), 64).unwrap();
        let inner: Vec<u8> = crop.chunks(64 * 3).skip(2).take(60).flat_map(|row| row[6..62 * 3].to_vec()).collect();
        assert!(inner.iter().all(|value| (118..=138).contains(value)), "moiré: {:?}", inner.iter().min().zip(inner.iter().max()));
    }

    #[test]
    fn mirroring_twice_leads_back() {
        let crop = warp(&ramp(64), &similarity(1.0, 0.0), 32).unwrap();
        let once = mirrored(&crop, 32);
        assert_eq!(once[..3], crop[31 * 3..32 * 3]);
        assert_eq!(mirrored(&once, 32), crop);
    }

    #[test]
    fn beyond_the_picture_is_black_and_a_crop_wholly_outside_is_refused() {
        let crop = warp(&ramp(64), &similarity(1.0, 20.0), 64).unwrap();
        assert_eq!(crop[..3], [0, 0, 0]);
        assert!(warp(&ramp(64), &similarity(1.0, 500.0), 64).is_err());
    }
}
