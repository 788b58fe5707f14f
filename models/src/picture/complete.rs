//! Whether a file reaches its own end.
//!
//! The markers of a JPEG are followed from segment to segment, so that a thumbnail inside the file does not
//! count as its end, and bytes after the end do not matter. For PNM the decoder itself counts the pixels.

use super::DecodeError;

/// A camera writes one scan, a progressive file about ten.
const SCANS_MAX: usize = 64;

const START_OF_SCAN: u8 = 0xDA;
const END_OF_IMAGE: u8 = 0xD9;

/// Follows the segments of a JPEG to the marker that ends it.
pub(super) fn jpeg(bytes: &[u8]) -> Result<(), DecodeError> {
    let cut_off = || DecodeError::CutOff { format: "JPEG", expected: "an end-of-image marker" };
    let mut rest = bytes.get(2..).ok_or_else(cut_off)?;
    let mut scans = 0;
    loop {
        let (marker, after) = next_marker(rest).ok_or_else(cut_off)?;
        if marker == END_OF_IMAGE {
            return Ok(());
        }
        if marker == START_OF_SCAN {
            scans += 1;
            if scans > SCANS_MAX {
                return Err(DecodeError::TooManyScans { max: SCANS_MAX });
            }
        }
        let len = after.first_chunk::<2>().ok_or_else(cut_off)?;
        rest = after.get(usize::from(u16::from_be_bytes(*len)).max(2)..).ok_or_else(cut_off)?;
    }
}

/// The next marker that is neither inside compressed data (stuffed zero, restart) nor without a segment of
/// its own, and the bytes behind it.
fn next_marker(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let mut rest = bytes;
    loop {
        let at = rest.iter().position(|byte| *byte == 0xFF)?;
        rest = rest.get(at + 1..)?;
        match *rest.first()? {
            0x00 | 0x01 | 0xD0..=0xD7 => rest = rest.get(1..)?,
            0xFF => {}
            marker => return Some((marker, rest.get(1..)?)),
        }
    }
}

/// Follows the chunks of a PNG to the one that ends it.
pub(super) fn png(bytes: &[u8]) -> Result<(), DecodeError> {
    let cut_off = || DecodeError::CutOff { format: "PNG", expected: "an IEND chunk" };
    let mut rest = bytes.get(8..).ok_or_else(cut_off)?;
    loop {
        let (len, after) = rest.split_first_chunk::<4>().ok_or_else(cut_off)?;
        let (kind, _) = after.split_first_chunk::<4>().ok_or_else(cut_off)?;
        let len = u32::from_be_bytes(*len) as usize;
        // Kind, content and checksum.
        rest = after.get(4..).and_then(|rest| rest.get(len..)).and_then(|rest| rest.get(4..)).ok_or_else(cut_off)?;
        if kind == b"IEND" {
            return Ok(());
        }
    }
}
