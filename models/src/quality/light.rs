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
/// Chroma below which skin counts as grey.
const COLOURLESS: f32 = 3.0;
/// Share of the skin's chroma that a pixel keeps when it is skin: shadow, stubble and lips do, a mask does not.
const SKIN_SHARE_MIN: f32 = 0.35;

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
    record.set(Component::MouthOcclusionPrevention, mouth_uncovered(aligned, side));
    record.set(Component::Sharpness, laplacian_variance(&grey, side));
}

/// How much of the mouth's surroundings has the colour of the same face's skin below the eyes, 0–1: low when a mask
/// of another colour covers it. Skin and a mask of skin's colour look the same to it, and a grey picture always
/// counts as uncovered. Lips, redder than skin, are no cover.
fn mouth_uncovered(aligned: &[u8], side: usize) -> f32 {
    let zone = |left: f32, right: f32, top: f32, bottom: f32| {
        let span = |from: f32, to: f32| (from * side as f32) as usize..(to * side as f32) as usize;
        span(top, bottom).flat_map(move |y| span(left, right).map(move |x| y * side + x))
    };
    let pixels = aligned.as_chunks::<3>().0;
    let chroma = |at: usize| pixels.get(at).map_or((0.0, 0.0), |pixel| chroma(*pixel));
    let mut skin: Vec<(f32, f32)> = zone(0.30, 0.70, 0.50, 0.60).map(chroma).collect();
    let middle = skin.len() / 2;
    skin.sort_by(|a, b| a.0.total_cmp(&b.0));
    let blue = skin.get(middle).map_or(0.0, |pixel| pixel.0);
    skin.sort_by(|a, b| a.1.total_cmp(&b.1));
    let red = skin.get(middle).map_or(0.0, |pixel| pixel.1);
    let square = blue * blue + red * red;
    if square < COLOURLESS * COLOURLESS {
        return 1.0;
    }
    let (mut alike, mut all) = (0_u32, 0_u32);
    for (pixel_blue, pixel_red) in zone(0.32, 0.68, 0.72, 0.95).map(chroma) {
        all += 1;
        alike += u32::from(pixel_blue * blue + pixel_red * red >= SKIN_SHARE_MIN * square);
    }
    alike as f32 / all.max(1) as f32
}

/// Blue and red difference of a pixel, −128 to 128 (ITU-R BT.601).
fn chroma([red, green, blue]: [u8; 3]) -> (f32, f32) {
    let grey = luma(red, green, blue);
    (0.564 * (f32::from(blue) - grey), 0.713 * (f32::from(red) - grey))
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

/// Variance of the Laplacian inside the crop's middle, where the face is, in percent of its mean luminance: what is
/// sharp stays so in the dark.
fn laplacian_variance(grey: &[f32], side: usize) -> f32 {
    let (mut sum, mut squares, mut light, mut count) = (0.0_f64, 0.0_f64, 0.0_f64, 0.0_f64);
    let inner = side / 8..side - side / 8;
    for y in inner.clone() {
        for x in inner.clone() {
            let at = |x: usize, y: usize| grey.get(y * side + x).copied().unwrap_or_default();
            let value = f64::from(at(x - 1, y) + at(x + 1, y) + at(x, y - 1) + at(x, y + 1) - 4.0 * at(x, y));
            sum += value;
            squares += value * value;
            light += f64::from(at(x, y));
            count += 1.0;
        }
    }
    let count = f64::max(count, 1.0);
    let (mean, light) = (sum / count, f64::max(light / count, 1.0));
    ((squares / count - mean * mean) * 1e4 / (light * light)) as f32
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
