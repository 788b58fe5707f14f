//! What the benches share: the pipeline and the pictures, or a clear word about what to fetch first; and the
//! simulated [`city`], the pages of a [`console`], the [`load`] generator, a counter over a [`flapping`] line, and real features [enlarged](enlarge) by noise.

use std::io::{self, Write};

use anyhow::{Context, ensure};
use datasets::{Pack, PackPicture};
use models::{DetectedFace, cache, manifest::Manifest, picture::Picture, pipeline::Pipeline};

pub mod batch;
pub mod city;
pub mod console;
pub mod enlarge;
pub mod fault_proxy;
pub mod flapping;
pub mod load;

/// The shipped models out of the cache.
///
/// # Errors
/// When a file is missing or differs.
pub fn pipeline() -> anyhow::Result<Pipeline> {
    Pipeline::load(&Manifest::shipped(), &cache::default_dir()).context("could not load the models")
}

/// `registry-mini`, all of it.
///
/// # Errors
/// When a picture is missing.
pub fn registry_mini() -> anyhow::Result<Pack> {
    let pack = Pack::registry_mini(&datasets::default_dir());
    ensure!(pack.missing.is_empty(), "{} pictures are missing; run `datasets fetch registry-mini`", pack.missing.len());
    Ok(pack)
}

/// A picture's file, checked and decoded.
///
/// # Errors
/// When it cannot be read or decoded.
pub fn decode(picture: &PackPicture) -> anyhow::Result<Picture> {
    Picture::decode(&picture.read()?).with_context(|| picture.id.clone())
}

/// Writes to standard output; a reader that went away is no error.
///
/// # Errors
/// When writing fails for another reason.
pub fn print(text: &str) -> anyhow::Result<()> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("could not write to standard output"),
        _ => Ok(()),
    }
}

/// Where a face is and how large, as a function of time.
#[derive(Debug, Clone, Copy)]
pub struct Motion {
    /// Centre of the face as a share of the frame's width and height.
    pub center: (f32, f32),
    /// Width of the face as a share of the frame's width.
    pub size: f32,
}

impl Motion {
    /// A person who leans from side to side, nods, and comes nearer and goes back; seconds.
    #[must_use]
    pub fn at(seconds: f32) -> Self {
        Self { center: (0.5 + 0.15 * (1.3 * seconds).sin(), 0.5 + 0.08 * (2.1 * seconds).sin()), size: 0.27 + 0.05 * (0.9 * seconds).cos() }
    }
}

/// A frame of `size` that shows the picture's `face` where and as large as the motion says; the picture's edge
/// goes on beyond its end.
///
/// # Errors
/// When the size is none that a picture can have.
pub fn moving_frame(picture: &Picture, face: &DetectedFace, motion: &Motion, size: (u32, u32)) -> anyhow::Result<Picture> {
    let (width, height) = size;
    let per_pixel = face.face_box.width() / (motion.size * width as f32);
    let center = face.face_box.center();
    let mut pixels = Vec::with_capacity(width as usize * height as usize * 3);
    for y in 0..height {
        for x in 0..width {
            let from_x = center.x + (x as f32 - motion.center.0 * width as f32) * per_pixel;
            let from_y = center.y + (y as f32 - motion.center.1 * height as f32) * per_pixel;
            pixels.extend(between(picture, from_x, from_y));
        }
    }
    Ok(Picture::from_rgb8(width, height, pixels)?)
}

/// The colour between the four nearest pixels.
fn between(picture: &Picture, x: f32, y: f32) -> [u8; 3] {
    let (columns, rows) = (picture.width() as usize, picture.height() as usize);
    let (x, y) = (x.clamp(0.0, columns as f32 - 1.0), y.clamp(0.0, rows as f32 - 1.0));
    let (left, top) = (x as usize, y as usize);
    let pixel = |column: usize, row: usize, channel: usize| {
        let at = (row.min(rows - 1) * columns + column.min(columns - 1)) * 3 + channel;
        f32::from(picture.pixels().get(at).copied().unwrap_or(0))
    };
    let (right, below) = (x.fract(), y.fract());
    [0, 1, 2].map(|channel| {
        let upper = pixel(left, top, channel) * (1.0 - right) + pixel(left + 1, top, channel) * right;
        let lower = pixel(left, top + 1, channel) * (1.0 - right) + pixel(left + 1, top + 1, channel) * right;
        (upper * (1.0 - below) + lower * below).round() as u8
    })
}

/// The middle of some numbers; 0 of none.
#[must_use]
pub fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}
