//! The agent's template is a claim: which captures the center makes it again for, and what it makes of the
//! answer. Not here: how a template is made (`models`).

use models_core::SimilarityScore;

use crate::decision::{Decision, words};

words! {
    /// What came of making a template again from its sample.
    RecheckOutcome {
        /// The two templates agree.
        Agrees = "agrees",
        /// They do not: template and sample are not of one face, or one of them was made by other means.
        Disagrees = "disagrees",
        /// The sample shows no face where the capture says there is one, or is no picture.
        NoFace = "no_face",
        /// The stored probe does not open as this person's, or is not in its form.
        Unreadable = "unreadable",
        /// The center no longer runs the model or recipe the template was made with.
        OtherModel = "other_model",
        /// The networks failed on it as often as is tried.
        Failed = "failed",
    }
}

impl RecheckOutcome {
    /// Whether somebody may have tampered with the capture or the store.
    #[must_use]
    pub fn suspects_tampering(self) -> bool {
        match self {
            Self::Disagrees | Self::NoFace | Self::Unreadable => true,
            Self::Agrees | Self::OtherModel | Self::Failed => false,
        }
    }
}

/// Which captures are checked, and how closely.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RecheckRule {
    /// Share of the captures that are not mismatches, 0–1; every mismatch is checked.
    pub share: f64,
    /// Cosine at and above which the two templates agree, 0–1. The sample is a smaller JPEG of the frame, so
    /// that honest ones differ a little.
    pub agreement_min: f32,
}

impl RecheckRule {
    /// Whether a capture is checked. `draw` is random, uniform from 0 to 1, and not known to the counter.
    #[must_use]
    pub fn picks(&self, decision: Decision, draw: f64) -> bool {
        match decision {
            Decision::NonMatch => true,
            Decision::Match | Decision::Review | Decision::NoDecision(_) => draw < self.share,
        }
    }

    /// What the cosine of the two templates says.
    #[must_use]
    pub fn judge(&self, agreement: SimilarityScore) -> RecheckOutcome {
        if agreement.get() >= self.agreement_min { RecheckOutcome::Agrees } else { RecheckOutcome::Disagrees }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::NoDecision;

    const RULE: RecheckRule = RecheckRule { share: 0.01, agreement_min: 0.8 };

    #[test]
    fn every_mismatch_and_a_share_of_the_rest_are_picked() {
        for draw in [0.0, 0.5, 0.999] {
            assert!(RULE.picks(Decision::NonMatch, draw));
        }
        for decision in [Decision::Match, Decision::Review, Decision::NoDecision(NoDecision::AttackSuspected)] {
            assert!(RULE.picks(decision, 0.009) && !RULE.picks(decision, 0.01));
        }
        assert!(!RecheckRule { share: 0.0, ..RULE }.picks(Decision::Match, 0.0));
    }

    #[test]
    fn agreement_is_at_and_above_the_minimum() {
        let judge = |score| RULE.judge(SimilarityScore::new(score).unwrap());
        assert_eq!([0.8, 0.79, -1.0].map(judge), [RecheckOutcome::Agrees, RecheckOutcome::Disagrees, RecheckOutcome::Disagrees]);
    }

    #[test]
    fn what_cannot_be_held_against_anybody_raises_no_suspicion() {
        let suspects: Vec<&str> =
            RecheckOutcome::ALL.iter().filter(|outcome| outcome.suspects_tampering()).map(|outcome| outcome.word()).collect();
        assert_eq!(suspects, ["disagrees", "no_face", "unreadable"]);
    }
}
