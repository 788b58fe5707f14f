//! Answers become wire types here.

use matcher_core::{Decision, Mode, decision::SHADOW, told};
use models_core::ModelId;
use proto::v1;

use crate::{
    app::{enrol::EnrolOutcome, health::Briefing, verify::Answer},
    policy::{InForce, device::wire_disposition},
};

/// An answer to a verification. In shadow mode it tells nothing of what was recorded.
#[must_use]
pub fn answer(answer: Answer) -> v1::VerifyResponse {
    let Answer { record, repeated, receipt } = answer;
    let (receipt, receipt_number) = receipt.map(|receipt| (receipt.compact, receipt.number.to_string())).unwrap_or_default();
    if record.mode == Mode::Shadow {
        return v1::VerifyResponse {
            verification_id: record.id.to_string(),
            decision: v1::Decision::NoDecision.into(),
            reasons: vec![SHADOW.to_owned()],
            disposition: wire_disposition(told(record.mode, record.disposition)).into(),
            policy_version: record.policy_version,
            decided_at_ms: record.decided_at,
            repeated_answer: repeated,
            provisional: true,
            receipt,
            receipt_number,
            ..v1::VerifyResponse::default()
        };
    }
    v1::VerifyResponse {
        provisional: record.provisional(),
        verification_id: record.id.to_string(),
        decision: decision(record.decision).into(),
        reasons: record.reasons,
        disposition: wire_disposition(told(record.mode, record.disposition)).into(),
        score: record.score,
        match_threshold: record.match_threshold,
        non_match_threshold: record.non_match_threshold,
        policy_version: record.policy_version,
        model_id: record.model,
        decided_at_ms: record.decided_at,
        repeated_answer: repeated,
        receipt,
        receipt_number,
    }
}

/// What became of an enrolment. The same photo again is as enrolled as it was the first time.
#[must_use]
pub fn enrolment(outcome: &EnrolOutcome, model: &ModelId) -> v1::EnrolResponse {
    let (outcome, reason, model_id) = match outcome {
        EnrolOutcome::Enrolled | EnrolOutcome::Added | EnrolOutcome::Unchanged => (v1::EnrolmentOutcome::Enrolled, "", model.as_str()),
        EnrolOutcome::Replaced => (v1::EnrolmentOutcome::Replaced, "", model.as_str()),
        EnrolOutcome::Refused(refusal) => (v1::EnrolmentOutcome::Refused, refusal.word(), ""),
    };
    v1::EnrolResponse { outcome: outcome.into(), reason: reason.to_owned(), model_id: model_id.to_owned() }
}

/// What a device must know.
#[must_use]
pub fn briefing(briefing: Briefing) -> v1::ReportHealthResponse {
    v1::ReportHealthResponse {
        device: briefing.device,
        institution: briefing.institution,
        center_clock_ms: briefing.center_clock,
        opening_key: briefing.opening_key.to_vec(),
        feature_model: briefing.feature_model,
        recipe: briefing.recipe,
        policy_version: briefing.policy_version,
        next_sequence: briefing.next_sequence,
        // Signed by who has the key.
        signature: Vec::new(),
    }
}

fn decision(decision: Decision) -> v1::Decision {
    match decision {
        Decision::Match => v1::Decision::Match,
        Decision::Review => v1::Decision::Review,
        Decision::NonMatch => v1::Decision::NonMatch,
        Decision::NoDecision(_) => v1::Decision::NoDecision,
    }
}

/// The policy in force, as devices are told it.
#[must_use]
pub fn policy(in_force: &InForce) -> v1::FetchPolicyResponse {
    let policy = &in_force.applied.policy;
    v1::FetchPolicyResponse {
        policy: Some(v1::SignedPolicy {
            policy: policy.device_policy.clone(),
            signature: policy.device_signature.to_vec(),
            key_id: policy.key_id.clone(),
        }),
    }
}
