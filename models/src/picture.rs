//! Pictures: upright, 8-bit RGB, of bounded size, decoded from bytes that nobody vouches for.
//!
//! JPEG, PNG and PNM are read; grey becomes RGB, 16 bits become 8, transparent pixels are laid on white (the
//! ground an identity photo has, and what a reviewer would see), and the EXIF orientation is applied, so that
//! nothing later has to know about it. A colour profile is not applied. Files that stop early are refused:
//! decoders fill the rest of a cut JPEG with grey and say nothing.
//!
//! Not here: finding or judging faces.

mod complete;
mod orientation;

use std::{fmt, io::Cursor};

use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};
use thiserror::Error;

/// Bytes that are no usable picture.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// No bytes at all.
    #[error("picture: expected an image file, got no bytes")]
    Empty,
    /// The file is larger than allowed.
    #[error("picture: expected at most {max} bytes, got {got}")]
    TooManyBytes {
        /// The limit.
        max: usize,
        /// What came.
        got: usize,
    },
    /// The first bytes are those of no format that is read.
    #[error("picture: expected a JPEG, PNG or PNM file")]
    UnknownFormat,
    /// The file stops before its end.
    #[error("picture: expected {expected}, but the {format} file is cut off")]
    CutOff {
        /// Name of the format.
        format: &'static str,
        /// What the end of the file must hold.
        expected: &'static str,
    },
    /// More passes over the picture than any camera writes; a way to keep a decoder busy.
    #[error("picture: expected at most {max} scans in a JPEG file")]
    TooManyScans {
        /// The limit.
        max: usize,
    },
    /// Width or height is out of range.
    #[error("picture: expected sides of {min} to {max} pixels, got {width} × {height}")]
    Side {
        /// Smallest side allowed.
        min: u32,
        /// Largest side allowed.
        max: u32,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// Width times height is out of range.
    #[error("picture: expected at most {max} pixels, got {width} × {height}")]
    TooManyPixels {
        /// The limit.
        max: u64,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// The format is known and the content is not in order.
    #[error("picture: expected a well-formed {format} file")]
    Malformed {
        /// Name of the format.
        format: &'static str,
        /// What the decoder said.
        #[source]
        source: ImageError,
    },
    /// The number of bytes is not width × height × 3.
    #[error("picture: expected {expected} bytes of RGB, got {got}")]
    PixelCount {
        /// Width × height × 3.
        expected: u64,
        /// What came.
        got: usize,
    },
}

/// What a decoder may be made to do. Checked before memory for the pixels is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Largest file, in bytes.
    pub bytes_max: usize,
    /// Smallest width and height, in pixels.
    pub side_min: u32,
    /// Largest width and height, in pixels.
    pub side_max: u32,
    /// Largest width × height: the memory a picture takes is three times as many bytes.
    pub pixels_max: u64,
}

impl Default for DecodeLimits {
    /// Every photo an ordinary camera or scanner makes: 32 MiB, 16 to 16,384 pixels a side, 50 million pixels.
    fn default() -> Self {
        Self { bytes_max: 32 << 20, side_min: 16, side_max: 16_384, pixels_max: 50_000_000 }
    }
}

impl DecodeLimits {
    fn check(&self, width: u32, height: u32) -> Result<(), DecodeError> {
        let sides = self.side_min.max(1)..=self.side_max;
        if !sides.contains(&width) || !sides.contains(&height) {
            return Err(DecodeError::Side { min: *sides.start(), max: self.side_max, width, height });
        }
        if u64::from(width) * u64::from(height) > self.pixels_max {
            return Err(DecodeError::TooManyPixels { max: self.pixels_max, width, height });
        }
        Ok(())
    }
}

/// An upright picture, three bytes (red, green, blue) for each pixel, row by row from the top left.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    width: u32,
    height: u32,
    pixels: Vec<u8>,
}

impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Picture({} × {})", self.width, self.height)
    }
}

impl Picture {
    /// Decodes a file within [`DecodeLimits::default`].
    ///
    /// # Errors
    /// What was expected of the bytes and is not so.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_within(bytes, &DecodeLimits::default())
    }

    /// Decodes a file within limits of the caller's.
    ///
    /// # Errors
    /// What was expected of the bytes and is not so.
    pub fn decode_within(bytes: &[u8], limits: &DecodeLimits) -> Result<Self, DecodeError> {
        if bytes.is_empty() {
            return Err(DecodeError::Empty);
        }
        if bytes.len() > limits.bytes_max {
            return Err(DecodeError::TooManyBytes { max: limits.bytes_max, got: bytes.len() });
        }
        let format = image::guess_format(bytes).map_err(|_| DecodeError::UnknownFormat)?;
        let name = if format == ImageFormat::Jpeg {
            complete::jpeg(bytes)?;
            "JPEG"
        } else if format == ImageFormat::Png {
            complete::png(bytes)?;
            "PNG"
        } else if format == ImageFormat::Pnm {
            "PNM"
        } else {
            return Err(DecodeError::UnknownFormat);
        };
        let mut image = decode_pixels(bytes, format, limits).map_err(|failure| failure.named(name))?;
        image.apply_orientation(orientation::of(bytes));
        let rgb = on_white(image);
        Self::from_rgb8(rgb.width(), rgb.height(), rgb.into_raw())
    }

    /// Takes pixels that are upright RGB already, such as a camera's.
    ///
    /// # Errors
    /// When a side is zero, the picture is beyond the default limits, or the bytes do not fit the size.
    pub fn from_rgb8(width: u32, height: u32, pixels: Vec<u8>) -> Result<Self, DecodeError> {
        DecodeLimits { side_min: 1, side_max: u32::MAX, pixels_max: u64::from(u32::MAX), ..DecodeLimits::default() }
            .check(width, height)?;
        let expected = u64::from(width) * u64::from(height) * 3;
        if pixels.len() as u64 != expected {
            return Err(DecodeError::PixelCount { expected, got: pixels.len() });
        }
        Ok(Self { width, height, pixels })
    }

    /// The picture turned by 180 degrees.
    #[must_use]
    pub fn turned(&self) -> Self {
        let pixels = self.pixels.as_chunks::<3>().0.iter().rev().flatten().copied().collect();
        Self { width: self.width, height: self.height, pixels }
    }

    /// Width in pixels.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The bytes: red, green, blue for each pixel, row by row.
    #[must_use]
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }
}

/// A decoder's failure before the format's name is put to it.
enum Failure {
    Ours(DecodeError),
    Decoder(ImageError),
}

impl Failure {
    fn named(self, format: &'static str) -> DecodeError {
        match self {
            Self::Ours(error) => error,
            Self::Decoder(source) => DecodeError::Malformed { format, source },
        }
    }
}

impl From<ImageError> for Failure {
    fn from(error: ImageError) -> Self {
        Self::Decoder(error)
    }
}

fn decode_pixels(bytes: &[u8], format: ImageFormat, limits: &DecodeLimits) -> Result<DynamicImage, Failure> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut allowed = Limits::no_limits();
    // Eight bytes a pixel is the widest form a decoder delivers (16-bit RGBA); the rest is for its tables.
    allowed.max_alloc = Some(limits.pixels_max * 8 + (16 << 20));
    reader.limits(allowed);
    let decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    limits.check(width, height).map_err(Failure::Ours)?;
    Ok(DynamicImage::from_decoder(decoder)?)
}

fn on_white(image: DynamicImage) -> image::RgbImage {
    if !image.color().has_alpha() {
        return image.into_rgb8();
    }
    let rgba = image.into_rgba8();
    let (width, height) = rgba.dimensions();
    let over = |colour: u8, alpha: u8| {
        let (colour, alpha) = (u32::from(colour), u32::from(alpha));
        u8::try_from((colour * alpha + 255 * (255 - alpha) + 127) / 255).unwrap_or(u8::MAX)
    };
    let pixels = rgba.as_raw().as_chunks::<4>().0.iter().flat_map(|[r, g, b, a]| [over(*r, *a), over(*g, *a), over(*b, *a)]);
    image::RgbImage::from_raw(width, height, pixels.collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
