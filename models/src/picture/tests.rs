//! Pictures as they come: formats, orientations, truncation, absurd sizes.

use image::{GrayImage, ImageEncoder, Rgb, RgbImage, Rgba, RgbaImage, codecs::jpeg::JpegEncoder};
use proptest::prelude::*;

use super::*;

/// A picture whose upper left quarter is red, the rest blue.
fn quarter(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| if x < width / 2 && y < height / 2 { Rgb([255, 0, 0]) } else { Rgb([0, 0, 255]) })
}

fn encode(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn jpeg() -> Vec<u8> {
    encode(&DynamicImage::ImageRgb8(quarter(64, 32)), ImageFormat::Jpeg)
}

/// A JPEG with a segment behind its start-of-image marker.
fn with_segment(jpeg: &[u8], marker: u8, content: &[u8]) -> Vec<u8> {
    let len = u16::try_from(content.len() + 2).unwrap().to_be_bytes();
    [&jpeg[..2], &[0xFF, marker], &len, content, &jpeg[2..]].concat()
}

/// EXIF with nothing but an orientation.
fn exif(orientation: u8) -> Vec<u8> {
    let entry = [0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0];
    [b"Exif\0\0MM\0*\0\0\0\x08\0\x01".as_slice(), &entry, &[0; 4]].concat()
}

fn is_red(picture: &Picture, x: u32, y: u32) -> bool {
    let at = (y * picture.width() + x) as usize * 3;
    picture.pixels()[at] > 128
}

#[track_caller]
fn check_orientation(orientation: u8, size: (u32, u32), red_right: bool, red_below: bool) {
    let picture = Picture::decode(&with_segment(&jpeg(), 0xE1, &exif(orientation))).unwrap();
    let (width, height) = (picture.width(), picture.height());
    assert_eq!((width, height), size, "orientation {orientation}");
    for (x, y) in [(2, 2), (width - 3, 2), (2, height - 3), (width - 3, height - 3)] {
        assert_eq!(is_red(&picture, x, y), (x > width / 2) == red_right && (y > height / 2) == red_below, "orientation {orientation}");
    }
}

#[test]
fn all_eight_orientations_come_out_upright() {
    check_orientation(1, (64, 32), false, false);
    check_orientation(2, (64, 32), true, false);
    check_orientation(3, (64, 32), true, true);
    check_orientation(4, (64, 32), false, true);
    check_orientation(5, (32, 64), false, false);
    check_orientation(6, (32, 64), true, false);
    check_orientation(7, (32, 64), true, true);
    check_orientation(8, (32, 64), false, true);
}

#[test]
fn metadata_that_makes_no_sense_is_taken_as_upright() {
    check_orientation(0, (64, 32), false, false);
    check_orientation(9, (64, 32), false, false);
    assert!(Picture::decode(&with_segment(&jpeg(), 0xE1, b"Exif\0\0garbage")).is_ok());
}

#[test]
fn grey_colour_and_wide_samples_become_rgb8() {
    let grey = DynamicImage::ImageLuma8(GrayImage::from_pixel(20, 16, image::Luma([77])));
    for format in [ImageFormat::Png, ImageFormat::Pnm, ImageFormat::Jpeg] {
        let picture = Picture::decode(&encode(&grey, format)).unwrap();
        assert!(picture.pixels().iter().all(|value| value.abs_diff(77) <= 1) && picture.pixels().len() == 20 * 16 * 3);
    }
    let wide = image::ImageBuffer::<Rgb<u16>, _>::from_pixel(20, 16, Rgb([0xFFFF, 0x8080, 0]));
    let picture = Picture::decode(&encode(&DynamicImage::ImageRgb16(wide), ImageFormat::Png)).unwrap();
    assert_eq!(picture.pixels()[..3], [255, 128, 0]);
}

#[test]
fn transparent_pixels_lie_on_white() {
    let rgba = RgbaImage::from_fn(20, 16, |x, _| Rgba([200, 0, 0, if x < 10 { 0 } else { 128 }]));
    let picture = Picture::decode(&encode(&DynamicImage::ImageRgba8(rgba), ImageFormat::Png)).unwrap();
    assert_eq!(picture.pixels()[..3], [255, 255, 255]);
    assert_eq!(picture.pixels()[15 * 3..16 * 3], [227, 127, 127]);
}

#[test]
fn every_cut_of_a_file_is_refused() {
    for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Pnm] {
        let bytes = encode(&DynamicImage::ImageRgb8(quarter(64, 32)), format);
        assert!(Picture::decode(&bytes).is_ok());
        for len in 0..bytes.len() {
            assert!(Picture::decode(&bytes[..len]).is_err(), "{format:?} cut at {len} of {}", bytes.len());
        }
    }
}

#[test]
fn a_cut_is_named() {
    let bytes = jpeg();
    let error = Picture::decode(&bytes[..bytes.len() - 40]).unwrap_err();
    assert_eq!(error.to_string(), "picture: expected an end-of-image marker, but the JPEG file is cut off");
}

#[test]
fn a_thumbnail_inside_is_not_the_end_and_bytes_behind_the_end_do_not_matter() {
    let bytes = with_segment(&jpeg(), 0xE2, &jpeg());
    assert!(Picture::decode(&bytes).is_ok());
    let cut = &bytes[..bytes.len() - 20];
    assert!(matches!(Picture::decode(cut), Err(DecodeError::CutOff { .. })), "the thumbnail's own end must not count");
    assert!(Picture::decode(&[jpeg(), vec![0; 5000]].concat()).is_ok());
}

#[track_caller]
fn check_refused(bytes: &[u8], limits: &DecodeLimits, expected: &str) {
    let error = Picture::decode_within(bytes, limits).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn size_is_refused_before_memory_is_taken() {
    let limits = DecodeLimits::default();
    // Headers that announce far more than there is.
    check_refused(b"P6 16000 16000 255\n", &limits, "at most 50000000 pixels, got 16000 × 16000");
    check_refused(b"P6 4000000000 2 255\n", &limits, "sides of 16 to 16384 pixels");
    let mut bomb = encode(&DynamicImage::ImageRgb8(quarter(64, 32)), ImageFormat::Png);
    bomb[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
    let crc = crc32(&bomb[12..29]);
    bomb[29..33].copy_from_slice(&crc.to_be_bytes());
    check_refused(&bomb, &limits, "sides of 16 to 16384 pixels, got 65536 × 65536");
    let small = DecodeLimits { bytes_max: 100, ..limits };
    check_refused(&jpeg(), &small, "at most 100 bytes");
    check_refused(&jpeg(), &DecodeLimits { side_max: 40, ..limits }, "sides of 16 to 40 pixels, got 64 × 32");
}

/// The checksum of PNG chunks.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 * (crc & 1))))
}

#[test]
fn other_content_is_named() {
    let limits = DecodeLimits::default();
    check_refused(b"", &limits, "got no bytes");
    check_refused(b"GIF89a\x01\0\x01\0\0\0\0", &limits, "expected a JPEG, PNG or PNM file");
    check_refused(b"%PDF-1.4", &limits, "expected a JPEG, PNG or PNM file");
    check_refused(&with_many_scans(), &limits, "at most 64 scans");
}

fn with_many_scans() -> Vec<u8> {
    let scan = [0xFF, 0xDA, 0, 2, 1, 2, 3];
    [&[0xFF, 0xD8, 0xFF][..], &scan[1..], &scan.repeat(70), &[0xFF, 0xD9]].concat()
}

#[test]
fn pixels_must_fit_the_size() {
    assert!(Picture::from_rgb8(2, 2, vec![0; 12]).is_ok());
    assert_eq!(Picture::from_rgb8(2, 2, vec![0; 11]).unwrap_err().to_string(), "picture: expected 12 bytes of RGB, got 11");
    assert!(Picture::from_rgb8(0, 2, vec![]).is_err());
}

#[test]
fn debug_shows_no_pixel() {
    assert_eq!(format!("{:?}", Picture::from_rgb8(2, 2, vec![0; 12]).unwrap()), "Picture(2 × 2)");
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(start in prop::sample::select(vec![b"\xFF\xD8\xFF\xE0".as_slice(), b"\x89PNG\r\n\x1a\n", b"P6 ", b"P7\n", b""]),
                                   rest in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Picture::decode(&[start, &rest].concat());
    }

    #[test]
    fn altered_files_never_panic(format in prop::sample::select(vec![ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Pnm]),
                                 changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12)) {
        let mut noisy = Vec::new();
        JpegEncoder::new_with_quality(&mut noisy, 90).write_image(quarter(48, 48).as_raw(), 48, 48, image::ExtendedColorType::Rgb8).unwrap();
        let mut bytes = if format == ImageFormat::Jpeg {
            with_segment(&noisy, 0xE1, &exif(6))
        } else {
            encode(&DynamicImage::ImageRgb8(quarter(48, 48)), format)
        };
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let limits = DecodeLimits { pixels_max: 1 << 20, ..DecodeLimits::default() };
        let _ = Picture::decode_within(&bytes, &limits);
    }
}
