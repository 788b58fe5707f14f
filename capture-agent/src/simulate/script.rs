//! What comes of an attempt in the simulator: a script of rules, of which the first that fits counts.
//!
//! Not here: how the center answers it (`center`), and what the camera shows (`stage`).

use serde::Deserialize;
use thiserror::Error;

/// The shipped, commented script.
pub const SHIPPED: &str = include_str!("script.toml");
/// The longest wait that a rule may ask for, in milliseconds.
const DELAY_MS_MAX: u64 = 120_000;

/// A script that cannot be followed.
#[derive(Debug, Error)]
pub enum ScriptError {
    /// It does not have the form of a script.
    #[error("script: {0}")]
    Form(String),
    /// A rule is out of order.
    #[error("script: rule {number}: expected {expected}")]
    Rule {
        /// Which one, from 1.
        number: usize,
        /// What was expected of it.
        expected: &'static str,
    },
}

/// What comes of an attempt with a face.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The person is the card's: settle.
    #[default]
    Match,
    /// Between the thresholds: settle, and the center looks at it afterwards.
    Review,
    /// Another person: look at the document.
    NonMatch,
    /// No photo is enrolled for the card.
    NoReference,
    /// The center suspects a picture or a screen before the camera.
    Attack,
    /// Once more, as another attempt.
    Retry,
    /// Nothing may be settled now.
    Hold,
    /// Nobody is before the camera.
    NoFace,
    /// Several people are.
    SeveralFaces,
    /// A mask stays on.
    FaceCovered,
    /// The center does not answer; the agent does, where it may.
    LineDown,
    /// A match that takes its time.
    Slow,
    /// The center keeps its record, and the answer is lost once: the agent asks again.
    AnswerLost,
    /// The center refuses the request.
    Refused,
    /// The center refuses the device.
    DeviceRefused,
    /// The center breaks down.
    CenterFails,
    /// There is no camera.
    CameraAbsent,
    /// Another program has the camera.
    CameraBusy,
    /// The camera is unplugged while it is read.
    CameraLost,
    /// The camera gives no fresh frame.
    CameraStalled,
    /// The camera's pictures are black.
    CameraBlack,
}

impl Outcome {
    /// How long the answer takes where the rule does not say, in milliseconds.
    fn delay_ms(self) -> u64 {
        if self == Self::Slow { 3_000 } else { 0 }
    }
}

/// An outcome and how long it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planned {
    /// What comes of it.
    pub outcome: Outcome,
    /// The center waits so long before it answers, in milliseconds.
    pub delay_ms: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    #[serde(default)]
    card_ends: String,
    #[serde(default)]
    transaction_ends: String,
    attempt: Option<u32>,
    outcome: Outcome,
    delay_ms: Option<u64>,
}

/// Rules, and what comes of an attempt that none fits.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    #[serde(default)]
    otherwise: Outcome,
    #[serde(default, rename = "rule")]
    rules: Vec<Rule>,
}

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    /// The first rule that is out of order.
    pub fn read(text: &str) -> Result<Self, ScriptError> {
        let script: Self = toml::from_str(text).map_err(|error| ScriptError::Form(error.message().to_owned()))?;
        for (rule, number) in script.rules.iter().zip(1..) {
            if rule.card_ends.is_empty() && rule.transaction_ends.is_empty() && rule.attempt.is_none() {
                return Err(ScriptError::Rule { number, expected: "card_ends, transaction_ends or attempt" });
            }
            if rule.delay_ms.is_some_and(|delay_ms| delay_ms > DELAY_MS_MAX) {
                return Err(ScriptError::Rule { number, expected: "delay_ms of at most 120000" });
            }
        }
        Ok(script)
    }

    /// What comes of an attempt.
    #[must_use]
    pub fn planned(&self, card: &str, transaction: &str, attempt: u32) -> Planned {
        let fits = |rule: &&Rule| {
            card.ends_with(&rule.card_ends)
                && transaction.ends_with(&rule.transaction_ends)
                && rule.attempt.is_none_or(|number| number == attempt)
        };
        let (outcome, delay_ms) = self.rules.iter().find(fits).map_or((self.otherwise, None), |rule| (rule.outcome, rule.delay_ms));
        Planned { outcome, delay_ms: delay_ms.unwrap_or_else(|| outcome.delay_ms()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(card: &str, transaction: &str, attempt: u32, expected: Outcome, delay_ms: u64) {
        let planned = Script::read(SHIPPED).unwrap().planned(card, transaction, attempt);
        assert_eq!(planned, Planned { outcome: expected, delay_ms }, "{card} {transaction} {attempt}");
    }

    #[test]
    fn the_shipped_script_goes_by_the_end_of_the_card_number() {
        check("A10020000", "T1", 1, Outcome::Match, 0);
        check("A10020001", "T1", 1, Outcome::Review, 0);
        check("A10020002", "T1", 1, Outcome::NonMatch, 0);
        check("A10020021", "T1", 1, Outcome::Slow, 3_000);
        check("A10020006", "T1", 1, Outcome::Retry, 0);
        check("A10020006", "T1", 2, Outcome::Match, 0);
        check("A10029999", "T1", 1, Outcome::Match, 0);
    }

    #[track_caller]
    fn check_refused(text: &str, expected: &str) {
        let error = Script::read(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn a_script_out_of_order_says_which_rule() {
        check_refused("[[rule]]\noutcome = \"match\"", "rule 1: expected card_ends");
        check_refused("[[rule]]\ncard_ends = \"1\"\noutcome = \"matsch\"", "unknown variant");
        check_refused("[[rule]]\ncard_ends = \"1\"\noutcome = \"match\"\ndelay_ms = 120001", "delay_ms of at most");
        check_refused("rules = 1", "rules");
    }

    #[test]
    fn the_first_rule_that_fits_counts() {
        let text = "otherwise = \"hold\"\n[[rule]]\ntransaction_ends = \"-x\"\noutcome = \"slow\"\ndelay_ms = 7\n\
                    [[rule]]\ncard_ends = \"9\"\noutcome = \"review\"";
        let script = Script::read(text).unwrap();
        assert_eq!(script.planned("9", "T-x", 1), Planned { outcome: Outcome::Slow, delay_ms: 7 });
        assert_eq!(script.planned("9", "T-y", 1), Planned { outcome: Outcome::Review, delay_ms: 0 });
        assert_eq!(script.planned("8", "T-y", 1), Planned { outcome: Outcome::Hold, delay_ms: 0 });
    }
}
