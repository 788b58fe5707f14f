//! What sources deliver, and how it becomes an upright RGB picture. Decoding happens where the picture is
//! needed, not on the camera's thread: most frames of a fast camera are never looked at.

use std::{fmt, sync::Arc};

use models::picture::{DecodeError, Picture};
use nokhwa::utils::{Resolution, nv12_to_rgb, yuyv422_to_rgb};
use thiserror::Error;

/// A frame's content as the source delivered it. Width and height are pixels.
#[derive(Clone)]
pub enum Pixels {
    /// An encoded picture: JPEG, PNG or PNM.
    Encoded(Arc<[u8]>),
    /// 3 bytes a pixel: red, green, blue.
    Rgb8(u32, u32, Vec<u8>),
    /// 3 bytes a pixel: blue, green, red.
    Bgr8(u32, u32, Vec<u8>),
    /// 1 byte a pixel.
    Grey8(u32, u32, Vec<u8>),
    /// 4 bytes for two pixels beside each other (YUV 4:2:2).
    Yuyv(u32, u32, Vec<u8>),
    /// A plane of brightness, then one of colour (YUV 4:2:0).
    Nv12(u32, u32, Vec<u8>),
}

impl fmt::Debug for Pixels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encoded(bytes) => write!(f, "Encoded([{} bytes])", bytes.len()),
            Self::Rgb8(width, height, _)
            | Self::Bgr8(width, height, _)
            | Self::Grey8(width, height, _)
            | Self::Yuyv(width, height, _)
            | Self::Nv12(width, height, _) => write!(f, "Pixels({width} × {height})"),
        }
    }
}

/// A frame that is no picture.
#[derive(Debug, Error)]
pub enum PixelError {
    /// The encoded picture, or its size, is not in order.
    #[error("the frame could not be decoded")]
    Decode(#[source] DecodeError),
    /// The driver's raw format is not in order.
    #[error("the frame's raw format is not in order: {0}")]
    Raw(String),
}

impl Pixels {
    /// Decodes it.
    ///
    /// # Errors
    /// When it is broken or cut short.
    pub fn picture(self) -> Result<Picture, PixelError> {
        let raw = |result: Result<Vec<u8>, nokhwa::NokhwaError>| result.map_err(|error| PixelError::Raw(error.to_string()));
        let (width, height, rgb) = match self {
            Self::Encoded(bytes) => return Picture::decode(without_padding(&bytes)).map_err(PixelError::Decode),
            Self::Rgb8(width, height, rgb) => (width, height, rgb),
            Self::Bgr8(width, height, bgr) => (width, height, bgr.as_chunks().0.iter().flat_map(|[b, g, r]| [*r, *g, *b]).collect()),
            Self::Grey8(width, height, grey) => (width, height, grey.into_iter().flat_map(|level| [level; 3]).collect()),
            Self::Yuyv(width, height, yuyv) => (width, height, raw(yuyv422_to_rgb(&yuyv, false))?),
            Self::Nv12(width, height, nv12) => (width, height, raw(nv12_to_rgb(Resolution::new(width, height), &nv12, false))?),
        };
        Picture::from_rgb8(width, height, rgb).map_err(PixelError::Decode)
    }
}

/// A camera's JPEG ends with its end marker; drivers pad their buffers behind it.
fn without_padding(bytes: &[u8]) -> &[u8] {
    if !bytes.starts_with(&[0xff, 0xd8]) {
        return bytes;
    }
    let end = bytes.windows(2).rposition(|pair| pair == [0xff, 0xd9]);
    end.and_then(|at| bytes.get(..at + 2)).unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pixels: Pixels, expected: [u8; 6]) {
        let picture = pixels.picture().unwrap();
        assert_eq!((picture.width(), picture.height()), (2, 1));
        for (got, wanted) in picture.pixels().iter().zip(expected) {
            assert!(got.abs_diff(wanted) <= 2, "{:?}", picture.pixels());
        }
    }

    #[test]
    fn every_raw_format_becomes_rgb() {
        check(Pixels::Rgb8(2, 1, vec![1, 2, 3, 4, 5, 6]), [1, 2, 3, 4, 5, 6]);
        check(Pixels::Bgr8(2, 1, vec![3, 2, 1, 6, 5, 4]), [1, 2, 3, 4, 5, 6]);
        check(Pixels::Grey8(2, 1, vec![7, 200]), [7, 7, 7, 200, 200, 200]);
        check(Pixels::Yuyv(2, 1, vec![16, 128, 235, 128]), [0, 0, 0, 255, 255, 255]);
    }

    #[test]
    fn a_frame_cut_short_is_refused() {
        assert!(Pixels::Rgb8(2, 1, vec![0; 5]).picture().is_err());
        assert!(Pixels::Yuyv(2, 1, vec![0; 3]).picture().is_err());
        assert!(Pixels::Encoded(Arc::from([0xff, 0xd8, 0xff].as_slice())).picture().is_err());
    }

    #[test]
    fn padding_behind_a_jpeg_is_no_part_of_it() {
        assert_eq!(without_padding(&[0xff, 0xd8, 1, 0xff, 0xd9, 0, 0]), [0xff, 0xd8, 1, 0xff, 0xd9]);
        assert_eq!(without_padding(&[0xff, 0xd8, 1, 0]), [0xff, 0xd8, 1, 0]);
        assert_eq!(without_padding(b"P6 \xff\xd9 1"), b"P6 \xff\xd9 1");
    }

    #[test]
    fn debug_shows_no_pixel() {
        assert_eq!(format!("{:?}", Pixels::Rgb8(2, 1, vec![77; 6])), "Pixels(2 × 1)");
        assert_eq!(format!("{:?}", Pixels::Encoded(Arc::from([77].as_slice()))), "Encoded([1 bytes])");
    }
}
