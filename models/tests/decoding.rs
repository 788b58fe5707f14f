//! Bytes that nobody vouches for: real files with bits turned, parts cut out, doubled or moved, and headers that lie.
//! Decoding answers, in bounded memory and time, and never panics.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{
    io::Cursor,
    time::{Duration, Instant},
};

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use models::picture::{DecodeLimits, Picture};
use proptest::prelude::*;

/// Far more than a picture within these limits takes, far less than a counter would wait.
const LONGEST: Duration = Duration::from_secs(2);

fn limits() -> DecodeLimits {
    DecodeLimits { bytes_max: 1 << 20, side_min: 1, side_max: 512, pixels_max: 200_000 }
}

fn seed(format: ImageFormat) -> Vec<u8> {
    let image = RgbImage::from_fn(96, 64, |x, y| Rgb([(x * 3) as u8, (y * 5) as u8, ((x * y) / 7) as u8]));
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(image).write_to(&mut bytes, format).unwrap();
    let bytes = bytes.into_inner();
    if format != ImageFormat::Jpeg {
        return bytes;
    }
    // With EXIF, so that its reader is reached too.
    let exif = [b"Exif\0\0MM\0*\0\0\0\x08\0\x01".as_slice(), &[0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0], &[0; 4]].concat();
    let len = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
    [&bytes[..2], &[0xFF, 0xE1], &len, &exif, &bytes[2..]].concat()
}

/// One thing that happens to a file: where (a share of its length), and how.
#[derive(Debug, Clone)]
enum Mutation {
    Bit(f64, u8),
    Byte(f64, u8),
    Cut(f64),
    Remove(f64, usize),
    Double(f64, usize),
    Insert(f64, Vec<u8>),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    // Headers decide more than pixels do: half of all mutations fall into the first tenth.
    let place = || prop_oneof![0.0..0.1_f64, 0.0..1.0_f64];
    prop_oneof![
        (place(), 0..8_u8).prop_map(|(at, bit)| Mutation::Bit(at, bit)),
        (place(), prop_oneof![Just(0), Just(0xFF), Just(0x7F), any::<u8>()]).prop_map(|(at, byte)| Mutation::Byte(at, byte)),
        place().prop_map(Mutation::Cut),
        (place(), 1..64_usize).prop_map(|(at, len)| Mutation::Remove(at, len)),
        (place(), 1..256_usize).prop_map(|(at, len)| Mutation::Double(at, len)),
        (place(), prop::collection::vec(any::<u8>(), 1..16)).prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
    ]
}

fn mutated(mut bytes: Vec<u8>, mutations: &[Mutation]) -> Vec<u8> {
    for mutation in mutations {
        let place = |share: f64| ((share * bytes.len() as f64) as usize).min(bytes.len().saturating_sub(1));
        match mutation {
            _ if bytes.is_empty() => {}
            Mutation::Bit(at, bit) => {
                let at = place(*at);
                bytes[at] ^= 1 << bit;
            }
            Mutation::Byte(at, byte) => {
                let at = place(*at);
                bytes[at] = *byte;
            }
            Mutation::Cut(at) => bytes.truncate(place(*at)),
            Mutation::Remove(at, len) => {
                let at = place(*at);
                bytes.drain(at..(at + len).min(bytes.len()));
            }
            Mutation::Double(at, len) => {
                let at = place(*at);
                let part = bytes[at..(at + len).min(bytes.len())].to_vec();
                bytes.splice(at..at, part);
            }
            Mutation::Insert(at, part) => {
                let at = place(*at);
                bytes.splice(at..at, part.iter().copied());
            }
        }
    }
    bytes
}

#[track_caller]
fn check(bytes: &[u8]) {
    let start = Instant::now();
    if let Ok(picture) = Picture::decode_within(bytes, &limits()) {
        let (width, height) = (picture.width(), picture.height());
        assert!(width <= 512 && height <= 512 && u64::from(width) * u64::from(height) <= 200_000);
        assert_eq!(picture.pixels().len(), width as usize * height as usize * 3);
    }
    assert!(start.elapsed() < LONGEST, "{:?}", start.elapsed());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]
    #[test]
    fn a_mutated_file_is_decoded_or_refused(
        format in prop_oneof![Just(ImageFormat::Jpeg), Just(ImageFormat::Png), Just(ImageFormat::Pnm)],
        mutations in prop::collection::vec(mutation(), 1..6),
    ) {
        check(&mutated(seed(format), &mutations));
    }

    #[test]
    fn any_bytes_behind_a_known_beginning_are_decoded_or_refused(
        beginning in prop_oneof![
            Just(b"\xFF\xD8\xFF\xE1".to_vec()), Just(b"\x89PNG\r\n\x1a\n".to_vec()), Just(b"P5 ".to_vec()), Just(b"P6\n9 9\n255\n".to_vec()),
        ],
        rest in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        check(&[beginning, rest].concat());
    }
}

#[test]
fn every_prefix_is_decoded_or_refused() {
    for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Pnm] {
        let bytes = seed(format);
        for end in (0..bytes.len()).step_by(7) {
            check(&bytes[..end]);
        }
    }
}

#[test]
fn headers_that_promise_more_than_there_is_take_no_memory() {
    for header in ["P6 60000 60000 255\n", "P5 4294967295 4294967295 255\n", "P4 99999999 1\n", "P1 500 999999999999999999999\n"] {
        assert!(Picture::decode_within(header.as_bytes(), &limits()).is_err(), "{header}");
    }
    // A PNG whose header says 500 × 400 and whose data is a few bytes.
    let mut png = seed(ImageFormat::Png);
    png[16..24].copy_from_slice(&[0, 0, 1, 0xF4, 0, 0, 1, 0x90]);
    check(&png);
}

/// EXIF whose directories point at themselves, and counts far beyond the segment.
#[test]
fn exif_that_leads_in_circles_ends() {
    let jpeg = seed(ImageFormat::Jpeg);
    for entries in [0xFFFF_u16, 1, 400] {
        let mut exif = b"Exif\0\0MM\0*\0\0\0\x08".to_vec();
        exif.extend(entries.to_be_bytes());
        for _ in 0..400 {
            exif.extend([0x87, 0x69, 0, 4, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 8]);
        }
        exif.extend([0, 0, 0, 8]);
        let len = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
        check(&[&jpeg[..2], &[0xFF, 0xE1], &len, &exif, &jpeg[2..]].concat());
    }
}
