//! Who the week's people are: public pictures, set before a counter's wall as a camera would see them.
//!
//! The pack shows few people, so each of them plays several card holders. A wearing camera is played by blurring and darkening
//! what it sees. Not here: who comes when.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use image::{Rgb, RgbImage, imageops};
use tests::people;

/// Width and height of a frame.
const FRAME: (u32, u32) = (640, 480);

/// A person: the card's photo, and pictures of visits with the height each takes in a frame.
#[derive(Debug)]
pub(crate) struct Person {
    /// The card's photo.
    pub(crate) photo: (&'static str, u32),
    /// What the camera sees.
    pub(crate) visits: &'static [(&'static str, u32)],
}

const fn of(photo: (&'static str, u32), visits: &'static [(&'static str, u32)]) -> Person {
    Person { photo, visits }
}

/// Everybody.
pub(crate) const PEOPLE: [Person; 16] = [
    of(
        ("cl_franck_01829.jpg", 480),
        &[
            ("cl_franck_02045.jpg", 480),
            ("cl_franck_02159.jpg", 480),
            ("cl_franck_02221.jpg", 480),
            ("cl_franck_02683.jpg", 480),
            ("cl_franck_02888.jpg", 480),
            ("cl_franck_03909.jpg", 480),
            ("cl_franck_04117.jpg", 480),
        ],
    ),
    of(("fr_obama.jpg", 480), &[("fr_obama.jpg", 470), ("cl_obama4_crop.jpg", 270)]),
    of(("cl_cage.jpg", 480), &[("cl_cage2_crop.jpg", 280), ("cl_cage.jpg", 440)]),
    of(("cl_bieber_small.jpg", 480), &[("cl_Justin-Bieber2_crop.jpg", 250), ("cl_bieber_small.jpg", 440)]),
    of(("sk_astronaut.png", 480), &[("sk_astronaut.png", 460)]),
    of(("cl_SeanConnery.jpg", 480), &[("cl_SeanConnery.jpg", 460)]),
    of(("cl_audrey.jpg", 480), &[("cl_audrey.jpg", 460)]),
    of(("pf_single_face.jpg", 480), &[("pf_single_face.jpg", 450)]),
    of(("pf_0-f15-hao-ph.jpg", 400), &[("pf_0-f15-hao-ph.jpg", 380)]),
    of(("pf_15-f13-anc-ph.jpg", 400), &[("pf_15-f13-anc-ph.jpg", 380)]),
    of(("cl_chuck_crop.jpg", 270), &[("cl_chuck_crop.jpg", 250)]),
    of(("cl_fragrance-George-Clooney-main_crop.jpg", 260), &[("cl_fragrance-George-Clooney-main_crop.jpg", 240)]),
    of(("cl_kim1_crop.jpg", 280), &[("cl_kim1_crop.jpg", 260)]),
    of(("cl_queen20_crop.jpg", 260), &[("cl_queen20_crop.jpg", 240)]),
    of(("cl_ri_1_crop.jpg", 270), &[("cl_ri_1_crop.jpg", 250)]),
    of(("cl_bill-murray-snl_crop.jpg", 260), &[("cl_bill-murray-snl_crop.jpg", 240)]),
];

/// What a camera does to what it sees.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wear {
    /// Standard deviation of the blur, in pixels.
    pub(crate) blur: f32,
    /// How much darker, of 255.
    pub(crate) darker: i32,
}

/// Writes what a camera sees of a picture in so many frames; gives their paths.
///
/// # Errors
/// When the picture cannot be read or a frame not written.
pub(crate) fn frames(picture: (&str, u32), wear: Wear, chance: &mut fastrand::Rng, folder: &Path, count: usize) -> Result<Vec<PathBuf>> {
    let (name, height) = picture;
    let height = height.saturating_sub(chance.u32(0..24));
    let still = scene(&read(name)?, height, chance.i64(-24..24), wear, chance.i32(-14..14));
    let frame = |number: usize, chance: &mut fastrand::Rng| {
        let path = folder.join(format!("{number}.jpg"));
        noisy(still.clone(), chance).save(&path).with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(path)
    };
    std::fs::create_dir_all(folder)?;
    (0..count).map(|number| frame(number, chance)).collect()
}

/// Writes the photo of a card.
///
/// # Errors
/// When the picture cannot be read or the photo not written.
pub(crate) fn photo(person: &Person, path: &Path) -> Result<()> {
    let (name, height) = person.photo;
    scene(&read(name)?, height, 0, Wear::default(), 0).save(path).with_context(|| format!("{} cannot be written", path.display()))
}

fn read(name: &str) -> Result<RgbImage> {
    let path = people::picture(name)?;
    Ok(image::open(&path).with_context(|| format!("{} cannot be read", path.display()))?.into_rgb8())
}

/// A picture of this height in the middle of a wall.
fn scene(picture: &RgbImage, height: u32, aside: i64, wear: Wear, brighter: i32) -> RgbImage {
    let wide = u64::from(picture.width()) * u64::from(height) / u64::from(picture.height().max(1));
    let width = u32::try_from(wide).unwrap_or(FRAME.0).clamp(1, FRAME.0);
    let small = imageops::resize(picture, width, height, imageops::FilterType::Triangle);
    let mut frame = RgbImage::from_pixel(FRAME.0, FRAME.1, Rgb([168, 172, 178]));
    let left = i64::from(FRAME.0.saturating_sub(width) / 2) + aside;
    let top = i64::from(FRAME.1.saturating_sub(height) / 2);
    imageops::overlay(&mut frame, &small, left, top);
    let frame = if wear.blur > 0.0 { imageops::blur(&frame, wear.blur) } else { frame };
    imageops::brighten(&frame, brighter - wear.darker)
}

/// The noise of a sensor: no two exposures are the same.
fn noisy(mut frame: RgbImage, chance: &mut fastrand::Rng) -> RgbImage {
    for channel in frame.iter_mut() {
        *channel = channel.saturating_add(chance.u8(0..7)).saturating_sub(3);
    }
    frame
}
