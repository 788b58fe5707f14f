//! Answers become wire types here.

use matcher_core::{Decision, Disposition};
use models_core::ModelId;
use proto::v1;

use crate::app::{enrol::EnrolOutcome, health::Briefing, verify::Answer};

/// An answer to a verification.
#[must_use]
pub fn answer(answer: Answer) -> v1::VerifyResponse {
    let Answer { record, repeated } = answer;
    v1::VerifyResponse {
        verification_id: record.id.to_string(),
        decision: decision(record.decision).into(),
        reasons: record.reasons,
        disposition: disposition(record.disposition).into(),
        score: record.score,
        match_threshold: record.match_threshold,
        non_match_threshold: record.non_match_threshold,
        policy_version: record.policy_version,
        model_id: record.model,
        decided_at_ms: record.decided_at,
        repeated_answer: repeated,
        provisional: record.provisional,
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

fn disposition(disposition: Disposition) -> v1::Disposition {
    match disposition {
        Disposition::Settle => v1::Disposition::Settle,
        Disposition::SettleFlagged => v1::Disposition::SettleFlagged,
        Disposition::DocumentCheck => v1::Disposition::DocumentCheck,
        Disposition::OtherWay => v1::Disposition::OtherWay,
        Disposition::Hold => v1::Disposition::Hold,
        Disposition::Retry => v1::Disposition::Retry,
    }
}
