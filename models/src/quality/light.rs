//! Light and sharpness of the aligned face, and traces of compression in the picture.
//!
//! What counts as the face is an ellipse of the aligned crop: brow to chin and cheek to cheek, without hair and
//! background.

use models_core::{Component, FaceBox};

use super::Recorder;
use crate::{network::luma, picture::Picture};

/// Luminance up to which a pixel is nearly black, and from which it is nearly white (ISO/IEC 29794-5).
const DARK_MAX: f32 = 25.0;
const BRIGHT_MIN: f32 = 247.0;
/// Centre and radii of the face's ellipse, as shares of the aligned crop's side.
const CENTER: (f32, f32) = (0.5, 0.58);
const RADII: (f32, f32) = (0.32, 0.40);
/// Bins of the histograms of the two halves: coarse enough that a few thousand pixels fill them.
const HALF_BINS: usize = 32;

/// Measures on the aligned crop of `side` × `side` RGB pixels.
pub(super) fn measure(record: &mut Recorder, aligned: &[u8], side: u32) {
    let side = side as usize;
    let grey: Vec<f32> = aligned.as_chunks::<3>().0.iter().map(|[red, green, blue]| luma(*red, *green, *blue)).collect();
    let mut face = Vec::with_capacity(grey.len());
    let mut halves = [[0_u32; HALF_BINS]; 2];
    for (at, value) in grey.iter().enumerate() {
        let (x, y) = ((at % side) as f32 / side as f32, (at / side) as f32 / side as f32);
        if ((x - CENTER.0) / RADII.0).hypot((y - CENTER.1) / RADII.1) <= 1.0 {
            face.push(*value);
            let bin = (*value as usize * HALF_BINS / 256).min(HALF_BINS - 1);
            let [left, right] = &mut halves;
            let half = if x < CENTER.0 { left } else { right };
            half.get_mut(bin).into_iter().for_each(|count| *count += 1);
        }
    }
    let share = |count: usize| count as f32 / face.len().max(1) as f32;
    record.set(Component::UnderExposurePrevention, share(face.iter().filter(|value| **value <= DARK_MAX).count()));
    record.set(Component::OverExposurePrevention, share(face.iter().filter(|value| **value >= BRIGHT_MIN).count()));
    record.set(Component::IlluminationUniformity, overlap(&halves));
    record.set(Component::DynamicRange, entropy(&face));
    record.set(Component::Sharpness, laplacian_variance(&grey, side));
}

/// Share that two histograms have in common, 0–1.
fn overlap([left, right]: &[[u32; HALF_BINS]; 2]) -> f32 {
    let total = |half: &[u32; HALF_BINS]| half.iter().sum::<u32>().max(1) as f32;
    let (all_left, all_right) = (total(left), total(right));
    left.iter().zip(right).map(|(a, b)| (*a as f32 / all_left).min(*b as f32 / all_right)).sum()
}

/// Entropy of the luminance in bits.
fn entropy(values: &[f32]) -> f32 {
    let mut counts = [0_u32; 256];
    for value in values {
        counts.get_mut(*value as usize).into_iter().for_each(|count| *count += 1);
    }
    let all = values.len().max(1) as f32;
    counts.iter().filter(|count| **count > 0).map(|count| *count as f32 / all).map(|share| -share * share.log2()).sum()
}

/// Variance of the Laplacian inside the crop's middle, where the face is.
fn laplacian_variance(grey: &[f32], side: usize) -> f32 {
    let (mut sum, mut squares, mut count) = (0.0_f64, 0.0_f64, 0.0_f64);
    let inner = side / 8..side - side / 8;
    for y in inner.clone() {
        for x in inner.clone() {
            let at = |x: usize, y: usize| grey.get(y * side + x).copied().unwrap_or_default();
            let value = f64::from(at(x - 1, y) + at(x + 1, y) + at(x, y - 1) + at(x, y + 1) - 4.0 * at(x, y));
            sum += value;
            squares += value * value;
            count += 1.0;
        }
    }
    let mean = sum / f64::max(count, 1.0);
    (squares / f64::max(count, 1.0) - mean * mean) as f32
}

/// Mean step across the borders of 8 × 8 blocks over the mean step elsewhere, in the face's box. JPEG's blocks
/// start at the picture's corner; a picture that was scaled since has none there.
pub(super) fn measure_blocks(record: &mut Recorder, picture: &Picture, face_box: &FaceBox) {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let (left, right) = (face_box.left.max(0.0) as usize, (face_box.right.max(0.0) as usize).min(width));
    let (top, bottom) = (face_box.top.max(0.0) as usize, (face_box.bottom.max(0.0) as usize).min(height));
    let mut steps = [(0.0_f64, 0_u32); 2];
    // Every fourth row is enough for a mean.
    for y in (top..bottom).step_by(4) {
        let row = picture.pixels().get((y * width + left) * 3..(y * width + right.max(left)) * 3).unwrap_or_default();
        let grey: Vec<f32> = row.as_chunks::<3>().0.iter().map(|[red, green, blue]| luma(*red, *green, *blue)).collect();
        for (at, pair) in grey.windows(2).enumerate() {
            let [a, b] = *pair else { continue };
            let [border, inside] = &mut steps;
            let sum = if (left + at + 1).is_multiple_of(8) { border } else { inside };
            sum.0 += f64::from((a - b).abs());
            sum.1 += 1;
        }
    }
    let [border, inside] = steps.map(|(sum, count)| sum / f64::from(count.max(1)));
    if steps.iter().all(|(_, count)| *count > 0) {
        // A step of half a grey level is what rounding leaves of nothing.
        record.set(Component::NoCompressionArtifacts, ((border + 0.5) / (inside + 0.5)) as f32);
    }
}
