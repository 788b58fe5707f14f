//! One verification: evidence and reference in, verdict out.
//!
//! [`decide`] is the only way to a decision, for live and deferred captures and re-matches alike. A score is
//! not a verdict: between the bands the answer is `review`, and where something is missing it is
//! `no_decision` with its reason, never a guess.

use models_core::{Component, ModelId, SimilarityScore, Template, compare};

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
        /// Try once more: another attempt of the same transaction.
        Retry = "retry",
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
        /// A mask covered the face and was not taken off when asked for.
        FaceCovered = "face_covered",
        /// Good frames, but fewer than the recipe fuses.
        TooFewFrames = "too_few_frames",
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
        /// The sample looks like a presentation attack, by a score that next to no genuine face has, or again
        /// after a retry.
        AttackSuspected = "attack_suspected",
        /// It could not be told whether a live face was presented; a retry may tell.
        LiveUnclear = "live_unclear",
        /// No frame could be assessed for presentation attacks: the face filled the picture.
        LiveNotAssessed = "live_not_assessed",
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
        /// The attack model's score; nothing when it could assess no frame.
        live: Option<f32>,
    },
    /// No sample: why, and the component of quality that fell short where one did.
    FailureToAcquire(AcquisitionFailure, Option<Component>),
}

/// What happened before within the same transaction.
#[derive(Debug, Clone, Copy)]
pub struct Earlier<'a> {
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// The decisions of the other attempts.
    pub decisions: &'a [Decision],
}

impl Earlier<'_> {
    /// A first attempt, nothing before it.
    pub const NOTHING: Self = Self { attempt: 1, decisions: &[] };

    fn asked_for_a_retry(&self) -> bool {
        let asked = [NoDecision::LiveUnclear, NoDecision::LiveNotAssessed].map(Decision::NoDecision);
        self.decisions.iter().any(|decision| asked.contains(decision))
    }
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
pub fn decide(policy: &Policy, scene: Scene, evidence: Evidence<'_>, reference: ReferenceState<'_>, earlier: Earlier<'_>) -> Verdict {
    let (decision, comparison) = judge(policy, evidence, reference, earlier);
    let mut reasons = Vec::new();
    if let Decision::NoDecision(reason) = decision {
        reasons.push(reason.word());
    }
    if let Evidence::FailureToAcquire(failure, component) = evidence {
        reasons.extend(component.map_or([failure.word()].to_vec(), |component| [failure.word(), component.word()].to_vec()));
    }
    reasons.dedup();
    Verdict { decision, reasons, disposition: disposition(policy, scene, decision, earlier), comparison }
}

/// What the policy says; but a retry is asked for once, and only while attempts are left: then the document is
/// looked at.
fn disposition(policy: &Policy, scene: Scene, decision: Decision, earlier: Earlier<'_>) -> Disposition {
    let disposition = policy.disposition(scene, decision);
    let spent = earlier.asked_for_a_retry() || earlier.attempt >= policy.attempts_max(scene);
    if disposition == Disposition::Retry && spent { Disposition::DocumentCheck } else { disposition }
}

fn judge(policy: &Policy, evidence: Evidence<'_>, reference: ReferenceState<'_>, earlier: Earlier<'_>) -> (Decision, Option<Comparison>) {
    let no = |reason| (Decision::NoDecision(reason), None);
    let (probe, live) = match evidence {
        Evidence::FailureToAcquire(AcquisitionFailure::SeveralFaces, _) => return no(NoDecision::SeveralFaces),
        Evidence::FailureToAcquire(..) => return no(NoDecision::FailureToAcquire),
        Evidence::Probe { template, live } => (template, live),
    };
    let reference = match reference {
        ReferenceState::None => return no(NoDecision::NoReference),
        ReferenceState::Unreadable => return no(NoDecision::ReferenceUnreadable),
        ReferenceState::Present(reference) => reference,
    };
    let Some(thresholds) = policy.thresholds(probe.model(), probe.recipe()) else { return no(NoDecision::ModelMismatch) };
    let Ok(score) = compare(probe, reference) else { return no(NoDecision::ModelMismatch) };
    let decision = presentation(policy, live, earlier).map_or_else(|| thresholds.band(score), Decision::NoDecision);
    (decision, Some(Comparison { score, model: probe.model().clone(), thresholds }))
}

/// Why the presentation stands in the way of a decision, if it does. A score below the retry threshold asks for
/// a retry, and is suspicious when it comes again; one below the suspicion threshold is at once.
fn presentation(policy: &Policy, live: Option<f32>, earlier: Earlier<'_>) -> Option<NoDecision> {
    let rule = policy.attack()?;
    let Some(live) = live else { return Some(NoDecision::LiveNotAssessed) };
    let again = || earlier.decisions.contains(&Decision::NoDecision(NoDecision::LiveUnclear));
    if live >= rule.retry_below {
        None
    } else if live < rule.suspect_below || again() {
        Some(NoDecision::AttackSuspected)
    } else {
        Some(NoDecision::LiveUnclear)
    }
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
        let verdict = decide(&policy(), Scene::Settlement, evidence, ReferenceState::Present(&reference), Earlier::NOTHING);
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
        let verdict = decide(&policy(), Scene::Reception, evidence, reference, Earlier::NOTHING);
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
        let nobody = Evidence::FailureToAcquire(AcquisitionFailure::NoFace, None);
        check_none(nobody, ReferenceState::Present(&probe), &["failure_to_acquire", "no_face"]);
        let blurred = Evidence::FailureToAcquire(AcquisitionFailure::LowQuality, Some(Component::Sharpness));
        check_none(blurred, ReferenceState::Present(&probe), &["failure_to_acquire", "low_quality", "sharpness"]);
        check_none(Evidence::FailureToAcquire(AcquisitionFailure::SeveralFaces, None), ReferenceState::None, &["several_faces"]);
    }

    /// Decides about a probe that matches, with this live score, after these decisions.
    #[track_caller]
    fn check_live(live: Option<f32>, attempt: u32, earlier: &[NoDecision], expected: (Decision, Disposition)) {
        let text = crate::policy::tests::text("m@1", "r@1").replace("[attack]", "[attack]\nretry_below = 0.5\nsuspect_below = 0.1");
        let (policy, probe) = (Policy::from_toml(&text).unwrap(), template("m@1", [1.0, 0.0]));
        let decisions: Vec<Decision> = earlier.iter().map(|reason| Decision::NoDecision(*reason)).collect();
        let (evidence, reference) = (Evidence::Probe { template: &probe, live }, ReferenceState::Present(&probe));
        let verdict = decide(&policy, Scene::Settlement, evidence, reference, Earlier { attempt, decisions: &decisions });
        assert_eq!((verdict.decision, verdict.disposition), expected);
        assert!(verdict.comparison.is_some(), "what was compared is recorded");
    }

    #[test]
    fn a_low_live_score_asks_for_a_retry_and_then_for_a_document() {
        let unclear = Decision::NoDecision(NoDecision::LiveUnclear);
        let suspected = (Decision::NoDecision(NoDecision::AttackSuspected), Disposition::DocumentCheck);
        check_live(Some(0.5), 1, &[], (Decision::Match, Disposition::Settle));
        check_live(Some(0.49), 1, &[], (unclear, Disposition::Retry));
        check_live(Some(0.49), 3, &[], (unclear, Disposition::DocumentCheck));
        check_live(Some(0.49), 2, &[NoDecision::LiveUnclear], suspected);
        check_live(Some(0.5), 2, &[NoDecision::LiveUnclear], (Decision::Match, Disposition::Settle));
        check_live(Some(0.09), 1, &[], suspected);
        check_live(Some(0.49), 2, &[NoDecision::LiveNotAssessed], (unclear, Disposition::DocumentCheck));
    }

    #[test]
    fn a_score_that_is_missing_accuses_nobody_and_lets_nobody_pass() {
        let missing = Decision::NoDecision(NoDecision::LiveNotAssessed);
        check_live(None, 1, &[], (missing, Disposition::Retry));
        check_live(None, 2, &[NoDecision::LiveNotAssessed], (missing, Disposition::DocumentCheck));
    }

    #[test]
    fn without_an_attack_rule_the_score_decides_nothing() {
        let probe = template("m@1", [1.0, 0.0]);
        let evidence = Evidence::Probe { template: &probe, live: Some(0.0) };
        let verdict = decide(&policy(), Scene::Settlement, evidence, ReferenceState::Present(&probe), Earlier::NOTHING);
        assert_eq!(verdict.decision, Decision::Match);
    }
}
