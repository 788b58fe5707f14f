//! Records as JSON arrays: times in RFC 3339 and UTC, ids as on the wire, absent values as null.

use jiff::Timestamp;
use serde::Serialize;

use crate::store::{Flag, TimeMs, Verification};

#[derive(Serialize)]
struct FlagJson<'a> {
    id: String,
    kind: &'static str,
    raised_at: String,
    institution: &'a str,
    device: &'a str,
    transaction: &'a str,
    verification: Option<String>,
    identifier_masked: &'a str,
    reason: &'a str,
}

#[derive(Serialize)]
struct VerificationJson<'a> {
    verification_id: String,
    institution: &'a str,
    transaction: &'a str,
    attempt: u32,
    device: &'a str,
    counter: &'a str,
    sequence: u64,
    scene: &'static str,
    operator: &'a str,
    notice: &'a str,
    consent: &'a str,
    identifier_kind: &'static str,
    identifier_masked: &'a str,
    captured_at: String,
    decided_at: String,
    decision: &'static str,
    reasons: &'a [String],
    disposition: &'static str,
    score: Option<f32>,
    match_threshold: Option<f32>,
    non_match_threshold: Option<f32>,
    model: Option<&'a str>,
    recipe: Option<&'a str>,
    live: Option<f32>,
    policy_version: &'a str,
    mode: &'static str,
    reference: Option<String>,
}

/// Flags.
pub(crate) fn flags(flags: &[Flag]) -> serde_json::Result<String> {
    serde_json::to_string_pretty(&flags.iter().map(flag).collect::<Vec<_>>())
}

/// Verifications.
pub(crate) fn verifications(verifications: &[Verification]) -> serde_json::Result<String> {
    serde_json::to_string_pretty(&verifications.iter().map(verification).collect::<Vec<_>>())
}

fn flag(record: &Flag) -> FlagJson<'_> {
    FlagJson {
        id: record.id.to_string(),
        kind: record.kind.word(),
        raised_at: utc(record.raised_at),
        institution: &record.institution,
        device: &record.device,
        transaction: &record.transaction,
        verification: record.verification.as_ref().map(ToString::to_string),
        identifier_masked: &record.identifier_masked,
        reason: &record.reason,
    }
}

fn verification(record: &Verification) -> VerificationJson<'_> {
    VerificationJson {
        verification_id: record.id.to_string(),
        institution: &record.request.institution,
        transaction: &record.request.transaction,
        attempt: record.request.attempt,
        device: &record.device,
        counter: &record.counter,
        sequence: record.sequence,
        scene: record.scene.word(),
        operator: &record.operator,
        notice: &record.notice,
        consent: &record.consent,
        identifier_kind: record.identifier.kind.word(),
        identifier_masked: &record.identifier_masked,
        captured_at: utc(record.captured_at),
        decided_at: utc(record.decided_at),
        decision: record.decision.word(),
        reasons: &record.reasons,
        disposition: record.disposition.word(),
        score: record.score,
        match_threshold: record.match_threshold,
        non_match_threshold: record.non_match_threshold,
        model: Some(record.model.as_str()).filter(|model| !model.is_empty()),
        recipe: Some(record.recipe.as_str()).filter(|recipe| !recipe.is_empty()),
        live: record.live,
        policy_version: &record.policy_version,
        mode: record.mode.word(),
        reference: record.reference.as_ref().map(ToString::to_string),
    }
}

/// A time in RFC 3339 and UTC.
pub(crate) fn utc(time: TimeMs) -> String {
    Timestamp::from_millisecond(time).unwrap_or(if time < 0 { Timestamp::MIN } else { Timestamp::MAX }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::contract;

    #[test]
    fn a_verification_has_its_fields_and_no_hash_of_the_card() {
        let text = verifications(&[contract::verification("T1", 1).record]).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let expected = serde_json::json!({
            "verification_id": "01010101-0101-0101-0101-010101010101", "institution": "pharmacy-1", "transaction": "T1", "attempt": 1, "device": "counter-1", "counter": "1",
            "sequence": 1, "scene": "settlement", "operator": "收银员 3", "notice": "N-2026-1", "consent": "C-1", "identifier_kind": "social_security_card",
            "identifier_masked": "*****1234", "captured_at": "1970-01-01T00:00:00.901Z", "decided_at": "1970-01-01T00:00:01.001Z",
            "decision": "non_match", "reasons": [], "disposition": "document_check", "score": 0.123_456_79, "match_threshold": 0.5,
            "non_match_threshold": 0.3, "model": "m@1", "recipe": "r@1", "live": 0.9, "policy_version": "test-1", "mode": "demonstration",
            "reference": "01010101-0101-0101-0101-010101010101",
        });
        assert_eq!(json.to_string(), serde_json::json!([expected]).to_string());
    }

    #[test]
    fn a_flag_names_its_verification() {
        let text = flags(&[contract::flag(2, 1_000), Flag { verification: None, ..contract::flag(1, 0) }]).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json[0]["verification"], "02020202-0202-0202-0202-020202020202");
        assert_eq!(json[0]["raised_at"], "1970-01-01T00:00:01Z");
        assert!(json[1]["verification"].is_null());
    }
}
