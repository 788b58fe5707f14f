//! `Debug` for the messages that hold faces or numbers of persons: sizes and ids, never contents.

use std::fmt;

use crate::v1::{EnrolmentSubmission, Identifier, Proxy, Sample, Template};

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template")
            .field("model_id", &self.model_id)
            .field("recipe_id", &self.recipe_id)
            .field("features_f16", &format_args!("[{} bytes]", self.features_f16.len()))
            .finish()
    }
}

impl fmt::Debug for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sample").field("jpeg", &format_args!("[{} bytes]", self.jpeg.len())).finish_non_exhaustive()
    }
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identifier").field("kind", &self.kind).field("value", &"[redacted]").finish_non_exhaustive()
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("document_kind", &self.document_kind).field("document_number", &"[redacted]").finish_non_exhaustive()
    }
}

impl fmt::Debug for EnrolmentSubmission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnrolmentSubmission")
            .field("identifiers", &self.identifiers.len())
            .field("photo", &format_args!("[{} bytes]", self.photo.len()))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use crate::v1::{Capture, Identifier, ProbeSample, Proxy, Sample, Template, capture::Outcome};

    #[test]
    fn debug_of_a_capture_shows_neither_card_nor_face() {
        let capture = Capture {
            identifier: Some(Identifier { value: "330203194910010027".into(), ..Default::default() }),
            outcome: Some(Outcome::Sample(ProbeSample {
                template: Some(Template { features_f16: vec![77; 4], ..Default::default() }),
                sample: Some(Sample { jpeg: vec![77; 5], landmarks: vec![41.5], ..Default::default() }),
                ..Default::default()
            })),
            proxy: Some(Proxy { document_number: "E99887766".into(), name: "孙浩".into(), ..Default::default() }),
            ..Default::default()
        };
        let shown = format!("{capture:?}");
        for secret in ["330203", "99887766", "孙浩", "[77", "41.5"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert!(shown.contains("[4 bytes]") && shown.contains("[5 bytes]"), "{shown}");
    }
}
