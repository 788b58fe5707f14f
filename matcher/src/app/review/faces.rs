//! Pictures of a case: whoever works on it sees them, and every look is in the audit log before the first byte leaves.

use matcher_core::AuditAction;
use models_core::Quality;
use serde_json::json;

use super::{CaseFile, Review, ReviewError};
use crate::{
    app::sample::{Sample, samples_from_bytes},
    store::{
        RecordId,
        audit::AuditEvent,
        desk::{PhotoFacts, SealedPicture},
    },
    vault::RecordContext,
};

/// A picture of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pictured {
    /// An enrolment photo.
    Photo(RecordId),
    /// A capture.
    Capture(RecordId),
}

/// A picture that may be shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    /// The file.
    pub bytes: Vec<u8>,
    /// Its type; JPEG or PNG.
    pub content_type: &'static str,
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Picture([{} bytes])", self.bytes.len())
    }
}

/// The two pictures that are compared by eye.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pair {
    /// The photo.
    pub photo: Option<RecordId>,
    /// The capture.
    pub capture: Option<RecordId>,
}

/// What was measured of a pair.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    /// The eyes' distance of photo and capture in their pixels, so that two faces can be shown at one scale.
    pub eyes: (Option<f32>, Option<f32>),
    /// The capture's quality.
    pub quality: Option<Quality>,
}

/// Which pictures of a case are compared first: the photo in use, and the latest capture that speaks against the holder, or
/// the latest of all.
#[must_use]
pub fn pair(file: &CaseFile, photos: &[PhotoFacts], with_sample: &[RecordId]) -> Pair {
    let photo = photos.iter().find(|photo| photo.state == "active").or(photos.first());
    let shown = file.view.stored.case.members.iter().rev().filter(|member| with_sample.contains(&member.verification));
    let capture = shown.clone().find(|member| member.suspect).or_else(|| shown.clone().next());
    Pair { photo: photo.map(|photo| photo.photo), capture: capture.map(|member| member.verification) }
}

impl Review {
    /// A picture of a case, for whoever works on it; nothing when it is not there or not the case's. The look is written
    /// down first.
    ///
    /// # Errors
    /// When the case is not theirs, or the store fails.
    pub async fn picture(&self, id: RecordId, by: &str, which: Pictured, address: &str) -> Result<Option<Picture>, ReviewError> {
        let file = self.file(id).await?;
        if !file.held_by(by) {
            return Err(ReviewError::NotYours);
        }
        let Some(sealed) = self.sealed(&file, which).await? else { return Ok(None) };
        let (object, what) = match which {
            Pictured::Photo(photo) => (photo, "photo"),
            Pictured::Capture(capture) => (capture, "capture"),
        };
        let detail = json!({ "case": id.to_string(), "person": file.subject().to_string(), "what": what, "address": address });
        let event = AuditEvent {
            at: self.surroundings.now_ms(),
            action: AuditAction::FaceViewed,
            by: by.to_owned(),
            object: object.to_string(),
            detail: detail.to_string(),
        };
        self.center.store.record_audit(event).await.map_err(ReviewError::Store)?;
        Ok(self.open(&file, which, &sealed))
    }

    /// What was measured of the pictures that are compared; nothing of one that is gone. No picture leaves.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn measured(&self, file: &CaseFile, pair: Pair) -> Result<Measured, ReviewError> {
        let subject = file.subject();
        let own = pair.capture.filter(|capture| file.view.stored.case.members.iter().any(|member| member.verification == *capture));
        if pair.photo.is_none() && own.is_none() {
            return Ok(Measured::default());
        }
        let (photo, capture) = self.center.store.sealed_pair(subject, pair.photo, own).await.map_err(ReviewError::Store)?;
        let far_enough = |distance: &f32| distance.is_finite() && *distance >= 4.0;
        let of_photo = pair.photo.zip(photo).and_then(|(photo, sealed)| {
            let key = self.center.vault.unwrap_data_key(subject, &sealed.data_key).ok()?;
            let bytes = key.open(&RecordContext::enrolment_quality(subject, photo), &sealed.picture.template).ok()?;
            Some(crate::app::sample::read_quality(&bytes)?.0.get(models_core::Component::InterEyeDistance)?.raw)
        });
        let sample = own.zip(capture).and_then(|(id, sealed)| self.samples(file, id, &sealed)?.into_iter().next());
        let eyes = (of_photo.filter(far_enough), sample.as_ref().map(eyes).filter(far_enough));
        Ok(Measured { eyes, quality: sample.map(|sample| sample.quality) })
    }

    /// Only what belongs to the case's person, and of captures only the case's own.
    async fn sealed(&self, file: &CaseFile, which: Pictured) -> Result<Option<SealedPicture>, ReviewError> {
        let sealed = match which {
            Pictured::Photo(photo) => self.center.store.sealed_photo(file.subject(), photo).await,
            Pictured::Capture(capture) => {
                if !file.view.stored.case.members.iter().any(|member| member.verification == capture) {
                    return Ok(None);
                }
                self.center.store.sealed_sample(file.subject(), capture).await
            }
        };
        sealed.map_err(ReviewError::Store)
    }

    fn open(&self, file: &CaseFile, which: Pictured, sealed: &SealedPicture) -> Option<Picture> {
        let bytes = match which {
            Pictured::Capture(capture) => self.samples(file, capture, sealed)?.into_iter().next()?.jpeg,
            Pictured::Photo(photo) => {
                let key = self.center.vault.unwrap_data_key(file.subject(), &sealed.data_key).ok()?;
                key.open(&RecordContext::enrolment_photo(file.subject(), photo), &sealed.picture.sample).ok()?.to_vec()
            }
        };
        let content_type = content_type(&bytes)?;
        Some(Picture { bytes, content_type })
    }

    fn samples(&self, file: &CaseFile, capture: RecordId, sealed: &SealedPicture) -> Option<Vec<Sample>> {
        let key = self.center.vault.unwrap_data_key(file.subject(), &sealed.data_key).ok()?;
        let bytes = key.open(&RecordContext::probe_sample(file.subject(), capture), &sealed.picture.sample).ok()?;
        samples_from_bytes(&bytes)
    }
}

/// What a file is by how it begins; nothing else is handed to a browser.
fn content_type(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(&[0xff, 0xd8, 0xff]) {
        Some("image/jpeg")
    } else if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        Some("image/png")
    } else {
        None
    }
}

fn eyes(sample: &Sample) -> f32 {
    let [left_x, left_y, right_x, right_y, ..] = sample.landmarks;
    (right_x - left_x).hypot(right_y - left_y)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: Option<&str>) {
        assert_eq!(content_type(bytes), expected);
    }

    #[test]
    fn only_pictures_are_handed_to_a_browser() {
        check(&[0xff, 0xd8, 0xff, 0xe0], Some("image/jpeg"));
        check(b"\x89PNG\r\n\x1a\nmore", Some("image/png"));
        check(b"<svg onload=alert(1)>", None);
        check(b"<html>", None);
        check(b"", None);
    }
}
