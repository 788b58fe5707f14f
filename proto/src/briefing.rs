//! The center's answer to a health report: signed there, checked on the device.
//!
//! It names the key captures are sealed to, so it must be the center's own word even where a relay carries it. The
//! signature is over a fixed form of the fields and the device's clock in the report that is answered: an answer to
//! another report, or to another device, is refused. Not here: what the fields mean.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use thiserror::Error;

use crate::v1::ReportHealthResponse;

const SIGNATURE_CONTEXT: &[u8] = b"countersign.v1 briefing\0";

/// The answer is not the center's to this report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("briefing.signature: expected the center's signature over its answer to this report")]
pub struct BriefingError;

/// Signs an answer to a report with this clock as the center; what `signature` held is replaced.
#[must_use]
pub fn sign(mut answer: ReportHealthResponse, device_clock_ms: i64, center: &SigningKey) -> ReportHealthResponse {
    answer.signature = center.sign(&signed_bytes(&answer, device_clock_ms)).to_bytes().to_vec();
    answer
}

/// Checks that an answer is the center's to the report with this clock.
///
/// # Errors
/// When it is not.
pub fn check(answer: &ReportHealthResponse, device_clock_ms: i64, center: &VerifyingKey) -> Result<(), BriefingError> {
    let signature = Signature::from_slice(&answer.signature).map_err(|_| BriefingError)?;
    center.verify_strict(&signed_bytes(answer, device_clock_ms), &signature).map_err(|_| BriefingError)
}

/// Each field in turn: numbers as 8 bytes, big endian; texts and keys behind their length as 8 bytes.
fn signed_bytes(answer: &ReportHealthResponse, device_clock_ms: i64) -> Vec<u8> {
    let ReportHealthResponse {
        device,
        institution,
        center_clock_ms,
        opening_key,
        feature_model,
        recipe,
        policy_version,
        next_sequence,
        signature: _,
    } = answer;
    let mut bytes = SIGNATURE_CONTEXT.to_vec();
    bytes.extend(device_clock_ms.to_be_bytes());
    bytes.extend(center_clock_ms.to_be_bytes());
    bytes.extend(next_sequence.to_be_bytes());
    for part in
        [device.as_bytes(), institution.as_bytes(), opening_key, feature_model.as_bytes(), recipe.as_bytes(), policy_version.as_bytes()]
    {
        bytes.extend((part.len() as u64).to_be_bytes());
        bytes.extend(part);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOCK: i64 = 1_800_000_000_000;

    fn key(byte: u8) -> SigningKey {
        SigningKey::from_bytes(&[byte; 32])
    }

    fn answer() -> ReportHealthResponse {
        ReportHealthResponse {
            device: "till-1".into(),
            institution: "P001".into(),
            center_clock_ms: CLOCK + 5,
            opening_key: vec![7; 32],
            feature_model: "m@1".into(),
            recipe: "r@1".into(),
            policy_version: "p1".into(),
            next_sequence: 9,
            signature: Vec::new(),
        }
    }

    #[track_caller]
    fn check_refused(signer: &SigningKey, clock: i64, change: impl FnOnce(&mut ReportHealthResponse)) {
        let mut signed = sign(answer(), CLOCK, signer);
        change(&mut signed);
        assert_eq!(check(&signed, clock, &key(1).verifying_key()), Err(BriefingError), "{signed:?}");
    }

    #[test]
    fn only_the_centers_answer_to_this_report_counts() {
        assert_eq!(check(&sign(answer(), CLOCK, &key(1)), CLOCK, &key(1).verifying_key()), Ok(()));
        check_refused(&key(2), CLOCK, |_| {});
        check_refused(&key(1), CLOCK + 1, |_| {});
        check_refused(&key(1), CLOCK, |answer| answer.signature.clear());
        check_refused(&key(1), CLOCK, |answer| answer.opening_key = vec![8; 32]);
        check_refused(&key(1), CLOCK, |answer| answer.center_clock_ms += 1);
        check_refused(&key(1), CLOCK, |answer| answer.next_sequence += 1);
        check_refused(&key(1), CLOCK, |answer| answer.device = "till-2".into());
        check_refused(&key(1), CLOCK, |answer| answer.policy_version = "p2".into());
        // What moves from one field to its neighbour is another answer.
        check_refused(&key(1), CLOCK, |answer| (answer.feature_model, answer.recipe) = ("m@1r".into(), "@1".into()));
    }
}
