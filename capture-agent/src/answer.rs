//! The center's answer, in the words of the local API.

use jiff::Timestamp;
use proto::v1;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{command::VerifyCommand, line::spool::Provisional};

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// The score reaches the match threshold.
    Match,
    /// The score lies between the thresholds.
    Review,
    /// The score is below the non-match threshold.
    NonMatch,
    /// Nothing could be decided.
    NoDecision,
}

impl Decision {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Match => "match",
            Self::Review => "review",
            Self::NonMatch => "non_match",
            Self::NoDecision => "no_decision",
        }
    }
}

/// What the till does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    /// Settle.
    Settle,
    /// Settle; the center looks at it afterwards.
    SettleFlagged,
    /// The operator looks at the patient's document.
    DocumentCheck,
    /// Offer another way of verifying.
    OtherWay,
    /// Do not settle until the center answers.
    Hold,
    /// Try once more, as another attempt.
    Retry,
}

impl Disposition {
    /// The disposition of a word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        let all = [Self::Settle, Self::SettleFlagged, Self::DocumentCheck, Self::OtherWay, Self::Hold, Self::Retry];
        all.into_iter().find(|disposition| disposition.word() == word)
    }

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Settle => "settle",
            Self::SettleFlagged => "settle_flagged",
            Self::DocumentCheck => "document_check",
            Self::OtherWay => "other_way",
            Self::Hold => "hold",
            Self::Retry => "retry",
        }
    }
}

/// The answer to one attempt, as the local API gives it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct VerifyAnswer {
    /// The institution's transaction.
    pub transaction: String,
    /// Which attempt within it.
    pub attempt: u32,
    /// What was decided.
    pub decision: Decision,
    /// Why, as closed words; empty for a plain match.
    pub reasons: Vec<String>,
    /// What the till does now.
    pub disposition: Disposition,
    /// Cosine of probe and reference, −1 to 1; not a percentage.
    pub score: Option<f32>,
    /// Score at and above which the decision is a match.
    pub match_threshold: Option<f32>,
    /// Score below which the decision is a non-match.
    pub non_match_threshold: Option<f32>,
    /// Policy that decided.
    pub policy_version: String,
    /// Feature model of the comparison.
    pub model_id: String,
    /// The center's identifier of the record.
    pub verification_id: String,
    /// When the center decided, as RFC 3339 in UTC.
    pub decided_at: String,
    /// Whether the answer had been given before.
    pub repeated_answer: bool,
    /// Whether the thresholds are not calibrated yet.
    pub provisional: bool,
    /// The receipt for the settlement side, a compact JWS: pass it on as it is. Empty where the center is older.
    pub receipt: String,
    /// The receipt's number, 22 letters and digits, for tills that cannot keep the receipt itself.
    pub receipt_number: String,
    /// 16 digits that follow from the receipt's number, for fields that hold neither; it finds a receipt and does not name one.
    pub receipt_short: String,
    /// Whether the device answered by itself, because the center did not: then nothing was decided, and the receipt is
    /// provisional until the center has the capture.
    pub degraded: bool,
    /// From the request to this answer, in milliseconds.
    pub elapsed_ms: u64,
}

impl VerifyAnswer {
    /// Takes the center's answer.
    ///
    /// # Errors
    /// The name of a field that does not say what it must.
    pub fn decode(command: &VerifyCommand, answer: v1::VerifyResponse, elapsed_ms: u64) -> Result<Self, &'static str> {
        Ok(Self {
            transaction: command.transaction.to_string(),
            attempt: command.attempt.get(),
            decision: decision(answer.decision())?,
            disposition: disposition(answer.disposition())?,
            reasons: answer.reasons,
            score: answer.score,
            match_threshold: answer.match_threshold,
            non_match_threshold: answer.non_match_threshold,
            policy_version: answer.policy_version,
            model_id: answer.model_id,
            verification_id: answer.verification_id,
            decided_at: Timestamp::from_millisecond(answer.decided_at_ms).map_err(|_| "decided_at_ms")?.to_string(),
            repeated_answer: answer.repeated_answer,
            provisional: answer.provisional,
            receipt: answer.receipt,
            receipt_short: short_of(&answer.receipt_number),
            receipt_number: answer.receipt_number,
            degraded: false,
            elapsed_ms,
        })
    }

    /// What this device answers while the center does not.
    #[must_use]
    pub fn alone(command: &VerifyCommand, given: Provisional, policy_version: String, elapsed_ms: u64) -> Self {
        Self {
            transaction: command.transaction.to_string(),
            attempt: command.attempt.get(),
            decision: Decision::NoDecision,
            reasons: vec!["center_unreachable".to_owned()],
            disposition: Disposition::from_word(&given.given.disposition).unwrap_or(Disposition::OtherWay),
            score: None,
            match_threshold: None,
            non_match_threshold: None,
            policy_version,
            model_id: String::new(),
            verification_id: String::new(),
            decided_at: Timestamp::from_millisecond(given.answered_at_ms).unwrap_or_default().to_string(),
            repeated_answer: given.repeated,
            provisional: false,
            receipt: given.given.receipt,
            receipt_short: short_of(&given.given.receipt_number),
            receipt_number: given.given.receipt_number,
            degraded: true,
            elapsed_ms,
        }
    }
}

/// The short number of a receipt; empty where there is none.
fn short_of(number: &str) -> String {
    number.parse().map(receipt_form::short::of).unwrap_or_default()
}

fn decision(wire: v1::Decision) -> Result<Decision, &'static str> {
    match wire {
        v1::Decision::Match => Ok(Decision::Match),
        v1::Decision::Review => Ok(Decision::Review),
        v1::Decision::NonMatch => Ok(Decision::NonMatch),
        v1::Decision::NoDecision => Ok(Decision::NoDecision),
        v1::Decision::Unspecified => Err("decision"),
    }
}

/// A disposition, in the words of the local API.
///
/// # Errors
/// The name of the field, when it says nothing.
pub(crate) fn disposition(wire: v1::Disposition) -> Result<Disposition, &'static str> {
    match wire {
        v1::Disposition::Settle => Ok(Disposition::Settle),
        v1::Disposition::SettleFlagged => Ok(Disposition::SettleFlagged),
        v1::Disposition::DocumentCheck => Ok(Disposition::DocumentCheck),
        v1::Disposition::OtherWay => Ok(Disposition::OtherWay),
        v1::Disposition::Hold => Ok(Disposition::Hold),
        v1::Disposition::Retry => Ok(Disposition::Retry),
        v1::Disposition::Unspecified => Err("disposition"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::tests::command;

    fn wire() -> v1::VerifyResponse {
        v1::VerifyResponse {
            verification_id: "v".into(),
            decision: v1::Decision::NonMatch.into(),
            disposition: v1::Disposition::DocumentCheck.into(),
            score: Some(0.25),
            receipt: "a.b.c".into(),
            receipt_number: "28T5CY4TQKFF00938NKRG0".into(),
            decided_at_ms: 1_700_000_000_123,
            ..v1::VerifyResponse::default()
        }
    }

    #[test]
    fn the_answer_is_given_in_the_words_of_the_api() {
        let answer = VerifyAnswer::decode(&command("T1", "100"), wire(), 7).unwrap();
        let json = serde_json::to_value(&answer).unwrap();
        assert_eq!(json["decision"], "non_match");
        assert_eq!(json["disposition"], "document_check");
        assert_eq!(json["score"], 0.25);
        assert!(json["match_threshold"].is_null());
        assert_eq!(json["decided_at"], "2023-11-14T22:13:20.123Z");
        assert_eq!((&json["receipt"], &json["receipt_number"]), (&"a.b.c".into(), &"28T5CY4TQKFF00938NKRG0".into()));
        assert_eq!((&json["attempt"], &json["elapsed_ms"]), (&1.into(), &7.into()));
    }

    #[test]
    fn the_words_are_those_of_the_json() {
        for decision in [Decision::Match, Decision::Review, Decision::NonMatch, Decision::NoDecision] {
            assert_eq!(serde_json::to_value(decision).unwrap(), decision.word());
        }
        use Disposition::{DocumentCheck, Hold, OtherWay, Retry, Settle, SettleFlagged};
        for disposition in [Settle, SettleFlagged, DocumentCheck, OtherWay, Hold, Retry] {
            assert_eq!(serde_json::to_value(disposition).unwrap(), disposition.word());
        }
    }

    #[test]
    fn an_answer_that_says_nothing_is_refused() {
        let silent = v1::VerifyResponse { decision: 0, ..wire() };
        assert_eq!(VerifyAnswer::decode(&command("T1", "100"), silent, 7).unwrap_err(), "decision");
        let unknown = v1::VerifyResponse { disposition: 99, ..wire() };
        assert_eq!(VerifyAnswer::decode(&command("T1", "100"), unknown, 7).unwrap_err(), "disposition");
    }
}
