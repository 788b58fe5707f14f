//! One verification: evidence and reference in, verdict out.
//!
//! [`decide`] is the only way to a decision, for live and deferred captures and re-matches alike. A score is
//! not a verdict: between the bands the answer is `review`, and where something is missing it is
//! `no_decision` with its reason, never a guess.

use models_core::{ModelId, SimilarityScore, Template, compare};

use crate::policy::{Policy, Thresholds};

/// An enum of closed words, as they stand in files, records, reports and on the wire.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word for it.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// What a word stands for.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}
pub(crate) use words;

words! {
    /// Where in the visit a face is verified.
    Scene {
        /// Paying at a pharmacy till or a cashier's desk.
        Settlement = "settlement",
        /// Reception at a clinic, before the patient is seen.
        Reception = "reception",
    }
}

words! {
    /// What the till does after a decision.
    Disposition {
        /// Settle.
        Settle = "settle",
        /// Settle; the center looks at it afterwards.
        SettleFlagged = "settle_flagged",
        /// The operator looks at the patient's document and records what they see.
        DocumentCheck = "document_check",
        /// Offer another way of verifying.
        OtherWay = "other_way",
        /// Do not settle on insurance until the center answers.
        Hold = "hold",
    }
}

words! {
    /// Why acquisition ended without a sample.
    AcquisitionFailure {
        /// No face before the deadline.
        NoFace = "no_face",
        /// Several faces of similar size.
        SeveralFaces = "several_faces",
        /// The face was never large enough.
        TooSmall = "too_small",
        /// The face was cut off by the edge of the picture.
        CutOff = "cut_off",
        /// The face was never of sufficient quality.
        LowQuality = "low_quality",
    }
}

words! {
    /// Why nothing could be decided.
    NoDecision {
        /// There is no enrolment record for this identifier.
        NoReference = "no_reference",
        /// No usable face.
        FailureToAcquire = "failure_to_acquire",
        /// Several people at the counter.
        SeveralFaces = "several_faces",
        /// The sample looks like a presentation attack.
        AttackSuspected = "attack_suspected",
        /// Probe and reference were made by different models or recipes, or the policy has no thresholds
        /// for the model.
        ModelMismatch = "model_mismatch",
        /// The reference does not decrypt, or not as this person's.
        ReferenceUnreadable = "reference_unreadable",
    }
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    /// The score reaches the match threshold.
    Match,
    /// The score lies between the thresholds.
    Review,
    /// The score is below the non-match threshold.
    NonMatch,
    /// Nothing could be decided.
    NoDecision(NoDecision),
}

impl Decision {
    /// The word for it; all kinds of no decision share one.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Match => "match",
            Self::Review => "review",
            Self::NonMatch => "non_match",
            Self::NoDecision(_) => "no_decision",
        }
    }

    /// The key of its disposition in a policy: the reason's word, where there is no decision.
    #[must_use]
    pub fn policy_key(self) -> &'static str {
        match self {
            Self::NoDecision(reason) => reason.word(),
            Self::Match | Self::Review | Self::NonMatch => self.word(),
        }
    }
}

/// What came from the counter.
#[derive(Debug, Clone, Copy)]
pub enum Evidence<'a> {
    /// A template, and the attack model's score (0 attack to 1 live) when there is one.
    Probe {
        /// The probe.
        template: &'a Template,
        /// The attack model's score.
        live: Option<f32>,
    },
    /// No sample.
    FailureToAcquire(AcquisitionFailure),
}

/// What the store has for the identifier.
#[derive(Debug, Clone, Copy)]
pub enum ReferenceState<'a> {
    /// No enrolment record.
    None,
    /// A record that does not decrypt as this person's: fails closed.
    Unreadable,
    /// A reference.
    Present(&'a Template),
}

/// A comparison that was made, and what it was measured against.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The score.
    pub score: SimilarityScore,
    /// The model both templates come from.
    pub model: ModelId,
    /// The thresholds of that model in the policy.
    pub thresholds: Thresholds,
}

/// The outcome of one verification.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// What was decided.
    pub decision: Decision,
    /// Closed words that say why, the most general first; empty for match, review and non-match.
    pub reasons: Vec<&'static str>,
    /// What the till does.
    pub disposition: Disposition,
    /// What was compared, where anything was.
    pub comparison: Option<Comparison>,
}

/// Decides one verification under a policy.
#[must_use]
pub fn decide(policy: &Policy, scene: Scene, evidence: Evidence<'_>, reference: ReferenceState<'_>) -> Verdict {
    let (decision, detail, comparison) = judge(policy, evidence, reference);
    let mut reasons = Vec::new();
    if let Decision::NoDecision(reason) = decision {
        reasons.push(reason.word());
        reasons.extend(detail.filter(|detail| *detail != reason.word()));
    }
    Verdict { decision, reasons, disposition: policy.disposition(scene, decision), comparison }
}

type Judgement = (Decision, Option<&'static str>, Option<Comparison>);

fn judge(policy: &Policy, evidence: Evidence<'_>, reference: ReferenceState<'_>) -> Judgement {
    let no = |reason| (Decision::NoDecision(reason), None, None);
    let (probe, live) = match evidence {
        Evidence::FailureToAcquire(AcquisitionFailure::SeveralFaces) => return no(NoDecision::SeveralFaces),
        Evidence::FailureToAcquire(failure) => {
            return (Decision::NoDecision(NoDecision::FailureToAcquire), Some(failure.word()), None);
        }
        Evidence::Probe { template, live } => (template, live),
    };
    let reference = match reference {
        ReferenceState::None => return no(NoDecision::NoReference),
        ReferenceState::Unreadable => return no(NoDecision::ReferenceUnreadable),
        ReferenceState::Present(reference) => reference,
    };
    let Some(thresholds) = policy.thresholds(probe.model(), probe.recipe()) else { return no(NoDecision::ModelMismatch) };
    let Ok(score) = compare(probe, reference) else { return no(NoDecision::ModelMismatch) };
    let decision = if policy.suspects_attack(live) { Decision::NoDecision(NoDecision::AttackSuspected) } else { thresholds.band(score) };
    (decision, None, Some(Comparison { score, model: probe.model().clone(), thresholds }))
}

#[cfg(test)]
mod tests {
    use models_core::RecipeId;

    use super::*;

    fn template(model: &str, features: [f32; 2]) -> Template {
        Template::from_features(ModelId::new(model).unwrap(), RecipeId::new("r@1").unwrap(), &features).unwrap()
    }

    fn policy() -> Policy {
        Policy::from_toml(&crate::policy::tests::text("m@1", "r@1")).unwrap()
    }

    /// A probe whose cosine with the reference is about `cosine`.
    #[track_caller]
    fn check(cosine: f32, decision: Decision, disposition: Disposition) {
        let (probe, reference) = (template("m@1", [cosine, (1.0 - cosine * cosine).sqrt()]), template("m@1", [1.0, 0.0]));
        let evidence = Evidence::Probe { template: &probe, live: Some(0.9) };
        let verdict = decide(&policy(), Scene::Settlement, evidence, ReferenceState::Present(&reference));
        assert_eq!((verdict.decision, verdict.disposition), (decision, disposition));
        assert!((verdict.comparison.unwrap().score.get() - cosine).abs() < 2e-3);
    }

    #[test]
    fn the_score_falls_into_one_of_three_bands() {
        check(1.0, Decision::Match, Disposition::Settle);
        check(0.5, Decision::Match, Disposition::Settle);
        check(0.49, Decision::Review, Disposition::SettleFlagged);
        check(0.31, Decision::Review, Disposition::SettleFlagged);
        check(0.29, Decision::NonMatch, Disposition::DocumentCheck);
        check(-1.0, Decision::NonMatch, Disposition::DocumentCheck);
    }

    #[track_caller]
    fn check_none(evidence: Evidence<'_>, reference: ReferenceState<'_>, reasons: &[&str]) {
        let verdict = decide(&policy(), Scene::Reception, evidence, reference);
        assert_eq!(verdict.decision.word(), "no_decision");
        assert_eq!(verdict.reasons, reasons);
    }

    #[test]
    fn what_is_missing_is_named_and_never_guessed() {
        let probe = template("m@1", [1.0, 0.0]);
        let seen = Evidence::Probe { template: &probe, live: None };
        check_none(seen, ReferenceState::None, &["no_reference"]);
        check_none(seen, ReferenceState::Unreadable, &["reference_unreadable"]);
        check_none(seen, ReferenceState::Present(&template("m@2", [1.0, 0.0])), &["model_mismatch"]);
        let other = template("m@2", [1.0, 0.0]);
        check_none(Evidence::Probe { template: &other, live: None }, ReferenceState::Present(&other), &["model_mismatch"]);
        let nobody = Evidence::FailureToAcquire(AcquisitionFailure::NoFace);
        check_none(nobody, ReferenceState::Present(&probe), &["failure_to_acquire", "no_face"]);
        check_none(Evidence::FailureToAcquire(AcquisitionFailure::SeveralFaces), ReferenceState::None, &["several_faces"]);
    }

    #[test]
    fn an_attack_is_suspected_only_below_the_policys_threshold() {
        let probe = template("m@1", [1.0, 0.0]);
        let text = crate::policy::tests::text("m@1", "r@1").replace("[attack]", "[attack]\nlive_at_least = 0.2");
        let strict = Policy::from_toml(&text).unwrap();
        let decide_with = |policy: &Policy, live| {
            decide(policy, Scene::Settlement, Evidence::Probe { template: &probe, live }, ReferenceState::Present(&probe)).decision
        };
        assert_eq!(decide_with(&strict, Some(0.1)), Decision::NoDecision(NoDecision::AttackSuspected));
        assert_eq!(decide_with(&strict, Some(0.2)), Decision::Match);
        assert_eq!(decide_with(&strict, None), Decision::NoDecision(NoDecision::AttackSuspected));
        assert_eq!(decide_with(&policy(), Some(0.0)), Decision::Match);
    }
}
