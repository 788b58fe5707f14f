//! Which verdicts a second person looks at, without knowing the first.
//!
//! An accusation always; what else policy names; and a random share of all others, so that a case that waits for a
//! second look does not tell what the first one said.

use thiserror::Error;

use crate::evidence::CaseVerdict;

/// A share that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("second_look_share: expected a number from 0 to 1")]
pub struct SecondLookError;

/// Which verdicts ask for a second look.
#[derive(Debug, Clone, PartialEq)]
pub struct SecondLook {
    verdicts: Vec<CaseVerdict>,
    share: f64,
}

impl SecondLook {
    /// These verdicts, and this share (0–1) of all others.
    ///
    /// # Errors
    /// When the share is none.
    pub fn new(verdicts: Vec<CaseVerdict>, share: f64) -> Result<Self, SecondLookError> {
        if (0.0..=1.0).contains(&share) { Ok(Self { verdicts, share }) } else { Err(SecondLookError) }
    }

    /// Whether a verdict asks for one; `draw` is the case's own number, 0 up to 1, drawn before anybody decided.
    #[must_use]
    pub fn asked(&self, verdict: CaseVerdict, draw: f64) -> bool {
        verdict.asks_for_second_review() || self.verdicts.contains(&verdict) || draw < self.share
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use CaseVerdict::{Confirmed, FalseAlarm, Proxy};

    #[track_caller]
    fn check(verdicts: &[CaseVerdict], share: f64, verdict: CaseVerdict, draw: f64, asked: bool) {
        assert_eq!(SecondLook::new(verdicts.to_vec(), share).unwrap().asked(verdict, draw), asked);
    }

    #[test]
    fn accusations_always_named_verdicts_and_a_share_of_the_rest() {
        check(&[], 0.0, Confirmed, 0.99, true);
        check(&[], 0.0, FalseAlarm, 0.0, false);
        check(&[Proxy], 0.0, Proxy, 0.99, true);
        check(&[Proxy], 0.1, FalseAlarm, 0.09, true);
        check(&[Proxy], 0.1, FalseAlarm, 0.1, false);
        for share in [-0.1, 1.1, f64::NAN] {
            assert_eq!(SecondLook::new(Vec::new(), share), Err(SecondLookError));
        }
    }
}
