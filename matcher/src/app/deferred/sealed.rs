//! What is recorded of a capture that waits, in the form it is sealed in.
//!
//! Everything that will stand in the record is under the seal, so that nobody with the database alone changes what a
//! worker judges.

use matcher_core::{IdentifierKind, Scene};
use serde::{Deserialize, Serialize};

use super::super::judging::Facts;
use crate::store::{IdentifierKey, RecordId, RequestKey, TimeMs};

/// Facts, and what is left open about them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SealedFacts {
    pub(super) facts: Facts,
    /// Whether the device had compared its clock with the center's.
    pub(super) clock_known: bool,
}

/// The form, in JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    id: [u8; 16],
    institution: String,
    transaction: String,
    attempt: u32,
    digest: [u8; 32],
    device: String,
    counter: String,
    sequence: u64,
    scene: String,
    operator: String,
    notice: String,
    consent: String,
    identifier_kind: String,
    identifier_region: String,
    identifier_hash: [u8; 32],
    identifier_masked: String,
    captured_at: TimeMs,
    live: Option<f32>,
    clock_known: bool,
}

impl SealedFacts {
    /// The bytes that are sealed.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let Facts {
            id,
            request,
            digest,
            device,
            counter,
            sequence,
            scene,
            operator,
            notice,
            consent,
            identifier,
            identifier_masked,
            captured_at,
            live,
            // Who came in the holder's place is decided when the capture comes.
            proxy: _,
        } = self.facts.clone();
        let form = Form {
            id: id.0,
            institution: request.institution,
            transaction: request.transaction,
            attempt: request.attempt,
            digest,
            device,
            counter,
            sequence,
            scene: scene.word().to_owned(),
            operator,
            notice,
            consent,
            identifier_kind: identifier.kind.word().to_owned(),
            identifier_region: identifier.region,
            identifier_hash: identifier.hash,
            identifier_masked,
            captured_at,
            live,
            clock_known: self.clock_known,
        };
        serde_json::to_vec(&form).unwrap_or_default()
    }

    /// Reads [`to_bytes`](Self::to_bytes); nothing when the bytes are of another form.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let form: Form = serde_json::from_slice(bytes).ok()?;
        let facts = Facts {
            id: RecordId(form.id),
            request: RequestKey { institution: form.institution, transaction: form.transaction, attempt: form.attempt },
            digest: form.digest,
            device: form.device,
            counter: form.counter,
            sequence: form.sequence,
            scene: Scene::from_word(&form.scene)?,
            operator: form.operator,
            notice: form.notice,
            consent: form.consent,
            identifier: IdentifierKey {
                kind: IdentifierKind::from_word(&form.identifier_kind)?,
                region: form.identifier_region,
                hash: form.identifier_hash,
            },
            identifier_masked: form.identifier_masked,
            captured_at: form.captured_at,
            live: form.live,
            proxy: false,
        };
        Some(Self { facts, clock_known: form.clock_known })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn facts_come_back_as_they_were(
            text in "\\PC{0,64}", numbers: (u32, u64, i64), id: [u8; 16], digest: [u8; 32],
            live in prop::option::of(0.0_f32..1.0), clock_known: bool, scene in prop::sample::select(Scene::ALL),
        ) {
            let facts = Facts {
                id: RecordId(id),
                request: RequestKey { institution: text.clone(), transaction: text.clone(), attempt: numbers.0 },
                digest,
                device: text.clone(),
                counter: text.clone(),
                sequence: numbers.1,
                scene,
                operator: text.clone(),
                notice: text.clone(),
                consent: text.clone(),
                identifier: IdentifierKey { kind: IdentifierKind::SocialSecurityCard, region: "330200".into(), hash: digest },
                identifier_masked: text,
                captured_at: numbers.2,
                live,
                proxy: false,
            };
            let sealed = SealedFacts { facts, clock_known };
            prop_assert_eq!(SealedFacts::from_bytes(&sealed.to_bytes()), Some(sealed));
        }

        #[test]
        fn other_bytes_are_refused(bytes: Vec<u8>) {
            prop_assert_eq!(SealedFacts::from_bytes(&bytes), None);
        }
    }
}
