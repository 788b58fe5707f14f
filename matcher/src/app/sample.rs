//! The face sample of a probe, and the form it is sealed in.

use std::fmt;

/// Version of the form below.
const VERSION: u8 = 1;
const NUMBERS: usize = 14;
const HEAD: usize = 1 + NUMBERS * 4;

/// The picture of a face that a probe was made from, for re-extraction and review.
#[derive(Clone, PartialEq)]
pub struct Sample {
    /// The picture, a JPEG.
    pub jpeg: Vec<u8>,
    /// Left eye, right eye, nose, corners of the mouth: x, y, … in pixels of the JPEG.
    pub landmarks: [f32; 10],
    /// Left, top, right, bottom of the detected face in pixels of the JPEG.
    pub face_box: [f32; 4],
}

impl fmt::Debug for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sample([{} bytes])", self.jpeg.len())
    }
}

impl Sample {
    /// One byte of version, the ten and the four numbers in single precision, little endian, and the JPEG.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD + self.jpeg.len());
        bytes.push(VERSION);
        bytes.extend(self.landmarks.iter().chain(&self.face_box).flat_map(|x| x.to_le_bytes()));
        bytes.extend_from_slice(&self.jpeg);
        bytes
    }

    /// Reads [`Self::to_bytes`]; nothing when the bytes are of another form.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (head, jpeg) = bytes.split_at_checked(HEAD)?;
        let (&VERSION, numbers) = head.split_first()? else { return None };
        let (numbers, _) = numbers.as_chunks::<4>();
        let mut numbers = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes));
        let mut next = || numbers.next().unwrap_or_default();
        Some(Self { landmarks: std::array::from_fn(|_| next()), face_box: std::array::from_fn(|_| next()), jpeg: jpeg.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn debug_shows_no_picture() {
        let sample = Sample { jpeg: vec![77; 3], landmarks: [41.5; 10], face_box: [42.5; 4] };
        assert_eq!(format!("{sample:?}"), "Sample([3 bytes])");
    }

    proptest! {
        #[test]
        fn a_sample_comes_back_as_it_was(jpeg: Vec<u8>, landmarks in prop::array::uniform10(-1e6_f32..1e6), face_box in prop::array::uniform4(-1e6_f32..1e6)) {
            let sample = Sample { jpeg, landmarks, face_box };
            prop_assert_eq!(Sample::from_bytes(&sample.to_bytes()).unwrap(), sample);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            prop_assert_eq!(Sample::from_bytes(&bytes).is_some(), bytes.len() >= HEAD && bytes[0] == VERSION);
        }
    }
}
