//! What the simulator's center makes of a capture.

use proto::v1::{self, Capture, Decision, Disposition, Scene, VerifyResponse, capture::Outcome as Captured};

use crate::simulate::{INSTITUTION, POLICY, receipt::About, script::Outcome, stage::MODEL};

const MATCH_THRESHOLD: f32 = 0.5;
const NON_MATCH_THRESHOLD: f32 = 0.25;

/// A decision, what the till does, a reason, and the score where there was a comparison.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Judged {
    decision: Decision,
    disposition: Disposition,
    reason: &'static str,
    score: Option<f32>,
}

/// What is made of it, as the script has it.
pub(super) fn of(capture: &Capture, outcome: Outcome) -> Judged {
    let none = |disposition, reason| Judged { decision: Decision::NoDecision, disposition, reason, score: None };
    match &capture.outcome {
        Some(Captured::Sample(_)) | None => by_face(outcome),
        Some(Captured::FailureToAcquire(failure)) if failure.reason() == v1::AcquisitionFailure::SeveralFaces => {
            none(Disposition::Retry, "several_faces")
        }
        Some(Captured::FailureToAcquire(_)) => none(Disposition::OtherWay, "failure_to_acquire"),
        Some(Captured::DocumentCheck(check)) if check.same_person => none(Disposition::Settle, "document_checked"),
        Some(Captured::DocumentCheck(_)) => none(Disposition::Hold, "document_not_the_person"),
        Some(Captured::OtherWay(_)) => none(Disposition::SettleFlagged, "other_way"),
    }
}

fn by_face(outcome: Outcome) -> Judged {
    let compared = |decision, disposition, score| Judged { decision, disposition, reason: "", score: Some(score) };
    let none = |disposition, reason| Judged { decision: Decision::NoDecision, disposition, reason, score: None };
    match outcome {
        Outcome::Review => compared(Decision::Review, Disposition::SettleFlagged, 0.375),
        Outcome::NonMatch => compared(Decision::NonMatch, Disposition::DocumentCheck, 0.125),
        Outcome::Retry => compared(Decision::Review, Disposition::Retry, 0.375),
        Outcome::Hold => compared(Decision::NonMatch, Disposition::Hold, 0.0),
        Outcome::NoReference => none(Disposition::DocumentCheck, "no_reference"),
        Outcome::Attack => none(Disposition::DocumentCheck, "attack_suspected"),
        Outcome::Match
        | Outcome::Slow
        | Outcome::AnswerLost
        | Outcome::NoFace
        | Outcome::SeveralFaces
        | Outcome::FaceCovered
        | Outcome::LineDown
        | Outcome::Refused
        | Outcome::DeviceRefused
        | Outcome::CenterFails
        | Outcome::CameraAbsent
        | Outcome::CameraBusy
        | Outcome::CameraLost
        | Outcome::CameraStalled
        | Outcome::CameraBlack => compared(Decision::Match, Disposition::Settle, 0.75),
    }
}

impl Judged {
    /// The answer, without its names and times.
    pub(super) fn answer(self) -> VerifyResponse {
        VerifyResponse {
            decision: self.decision.into(),
            disposition: self.disposition.into(),
            reasons: (!self.reason.is_empty()).then(|| self.reason.to_owned()).into_iter().collect(),
            score: self.score,
            match_threshold: self.score.map(|_| MATCH_THRESHOLD),
            non_match_threshold: self.score.map(|_| NON_MATCH_THRESHOLD),
            policy_version: POLICY.to_owned(),
            model_id: MODEL.to_owned(),
            ..VerifyResponse::default()
        }
    }

    /// What its receipt is about.
    pub(super) fn about<'a>(self, capture: &'a Capture, (transaction, attempt): (&'a str, u32), at_ms: i64) -> About<'a> {
        const NOBODY: &v1::Identifier = &v1::Identifier { kind: 0, value: String::new(), region: String::new() };
        About {
            institution: INSTITUTION,
            transaction,
            attempt,
            scene: match capture.scene() {
                Scene::Registration => "registration",
                Scene::Reception => "reception",
                Scene::Settlement | Scene::Unspecified => "settlement",
                Scene::Admission => "admission",
                Scene::Discharge => "discharge",
                Scene::Transfer => "transfer",
            },
            decision: match self.decision {
                Decision::Match => "match",
                Decision::Review => "review",
                Decision::NonMatch => "non_match",
                Decision::NoDecision | Decision::Unspecified => "no_decision",
            },
            disposition: match self.disposition {
                Disposition::Settle => "settle",
                Disposition::SettleFlagged => "settle_flagged",
                Disposition::DocumentCheck => "document_check",
                Disposition::OtherWay | Disposition::Unspecified => "other_way",
                Disposition::Hold => "hold",
                Disposition::Retry => "retry",
            },
            policy: POLICY,
            identifier: capture.identifier.as_ref().unwrap_or(NOBODY),
            at_ms,
        }
    }
}
