//! How a camera was held, from EXIF.

use std::io::Cursor;

use image::metadata::Orientation;

/// The orientation that the file states. A file without EXIF, or with EXIF that makes no sense, is taken as
/// upright: a photo editor's broken metadata is no reason to refuse a good picture.
pub(super) fn of(bytes: &[u8]) -> Orientation {
    exif::Reader::new()
        .read_from_container(&mut Cursor::new(bytes))
        .ok()
        .and_then(|exif| exif.get_field(exif::Tag::Orientation, exif::In::PRIMARY)?.value.get_uint(0))
        .and_then(|value| Orientation::from_exif(u8::try_from(value).ok()?))
        .unwrap_or(Orientation::NoTransforms)
}
