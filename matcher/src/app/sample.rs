//! The face sample of a probe, and the form it is sealed in.

use std::fmt;

use models_core::{Component, Measure, Quality};

/// Version of the form below.
const VERSION: u8 = 2;
const NUMBERS: usize = 14;
const NUMBERS_LEN: usize = NUMBERS * 4;

/// The picture of a face that a probe was made from, for re-extraction and review.
#[derive(Clone, PartialEq)]
pub struct Sample {
    /// The picture, a JPEG.
    pub jpeg: Vec<u8>,
    /// Left eye, right eye, nose, corners of the mouth: x, y, … in pixels of the JPEG.
    pub landmarks: [f32; 10],
    /// Left, top, right, bottom of the detected face in pixels of the JPEG.
    pub face_box: [f32; 4],
    /// Quality as measured on the whole frame.
    pub quality: Quality,
}

impl fmt::Debug for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sample([{} bytes])", self.jpeg.len())
    }
}

/// The form of a probe's samples: one byte of version, then for each its length in eight bytes (little
/// endian) and its content.
#[must_use]
pub fn samples_to_bytes(samples: &[Sample]) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    for sample in samples {
        let content = sample.to_bytes();
        bytes.extend((content.len() as u64).to_le_bytes());
        bytes.extend(content);
    }
    bytes
}

/// Reads [`samples_to_bytes`]; nothing when the bytes are of another form.
#[must_use]
pub fn samples_from_bytes(bytes: &[u8]) -> Option<Vec<Sample>> {
    let (&VERSION, mut rest) = bytes.split_first()? else { return None };
    let mut samples = Vec::new();
    while !rest.is_empty() {
        let (len, after) = rest.split_first_chunk::<8>()?;
        let (content, after) = after.split_at_checked(usize::try_from(u64::from_le_bytes(*len)).ok()?)?;
        samples.push(Sample::from_bytes(content)?);
        rest = after;
    }
    Some(samples)
}

impl Sample {
    /// The ten and the four numbers in single precision, little endian, the quality, and the JPEG.
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(NUMBERS_LEN + 1_024 + self.jpeg.len());
        bytes.extend(self.landmarks.iter().chain(&self.face_box).flat_map(|x| x.to_le_bytes()));
        bytes.extend(quality_to_bytes(&self.quality));
        bytes.extend_from_slice(&self.jpeg);
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (numbers, rest) = bytes.split_at_checked(NUMBERS_LEN)?;
        let (numbers, _) = numbers.as_chunks::<4>();
        let mut numbers = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes));
        let mut next = || numbers.next().unwrap_or_default();
        let (landmarks, face_box) = (std::array::from_fn(|_| next()), std::array::from_fn(|_| next()));
        let (quality, jpeg) = read_quality(rest)?;
        Some(Self { landmarks, face_box, quality, jpeg: jpeg.to_vec() })
    }
}

/// The number of measures in one byte, and for each the length of its word, its word, the raw measure in
/// single precision (little endian) and the score. Words, because they outlive an order of components.
#[must_use]
pub fn quality_to_bytes(quality: &Quality) -> Vec<u8> {
    let mut bytes = vec![quality.len() as u8];
    for (component, Measure { raw, score }) in quality.iter() {
        let word = component.word().as_bytes();
        bytes.push(word.len() as u8);
        bytes.extend_from_slice(word);
        bytes.extend(raw.to_le_bytes());
        bytes.push(score);
    }
    bytes
}

/// Reads [`quality_to_bytes`] and gives what follows it. Words of another release are passed over.
#[must_use]
pub fn read_quality(bytes: &[u8]) -> Option<(Quality, &[u8])> {
    let (&count, mut rest) = bytes.split_first()?;
    let mut quality = Quality::default();
    for _ in 0..count {
        let (&len, after) = rest.split_first()?;
        let (word, after) = after.split_at_checked(usize::from(len))?;
        let (raw, after) = after.split_first_chunk::<4>()?;
        let (&score, after) = after.split_first()?;
        if let Some(component) = std::str::from_utf8(word).ok().and_then(Component::from_word) {
            quality.set(component, f32::from_le_bytes(*raw), score);
        }
        rest = after;
    }
    Some((quality, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn debug_shows_no_picture() {
        let sample = Sample { jpeg: vec![77; 3], landmarks: [41.5; 10], face_box: [42.5; 4], quality: Quality::default() };
        assert_eq!(format!("{sample:?}"), "Sample([3 bytes])");
    }

    fn any_sample() -> impl Strategy<Value = Sample> {
        let measure = (prop::sample::select(Component::ALL), -1e6_f32..1e6, 0_u8..=100);
        let quality = prop::collection::vec(measure, 0..25)
            .prop_map(|measures| measures.into_iter().map(|(component, raw, score)| (component, Measure { raw, score })).collect());
        let numbers = (prop::array::uniform10(-1e6_f32..1e6), prop::array::uniform4(-1e6_f32..1e6));
        (any::<Vec<u8>>(), numbers, quality).prop_map(|(jpeg, (landmarks, face_box), quality)| Sample {
            jpeg,
            landmarks,
            face_box,
            quality,
        })
    }

    proptest! {
        #[test]
        fn samples_come_back_as_they_were(samples in prop::collection::vec(any_sample(), 0..4)) {
            prop_assert_eq!(samples_from_bytes(&samples_to_bytes(&samples)).unwrap(), samples);
        }

        #[test]
        fn any_bytes_are_read_or_refused(mut bytes: Vec<u8>, cut in 0_usize..300, samples in prop::collection::vec(any_sample(), 1..3)) {
            let _ = samples_from_bytes(&bytes);
            bytes.insert(0, VERSION);
            let _ = samples_from_bytes(&bytes);
            let whole = samples_to_bytes(&samples);
            let short = &whole[..whole.len().saturating_sub(cut)];
            prop_assert!(samples_from_bytes(short).is_none_or(|read| read.len() < samples.len() || read == samples));
        }
    }

    #[test]
    fn words_of_another_release_are_passed_over() {
        let mut bytes = vec![2, 5];
        bytes.extend(b"charm");
        bytes.extend([0, 0, 0, 0, 99, 9]);
        bytes.extend(b"sharpness");
        bytes.extend([0, 0, 0, 0, 7]);
        let (quality, rest) = read_quality(&bytes).unwrap();
        assert_eq!((quality.len(), quality.get(Component::Sharpness).map(|measure| measure.score), rest.len()), (1, Some(7), 0));
    }
}
