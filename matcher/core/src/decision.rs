//! One verification: evidence and reference in, verdict out.
//!
//! [`decide`] is the only way to a decision, for live and deferred captures and re-matches alike; it compares and then
//! [`judge`]s what was found, and a dry run judges what was found before. A score is not a verdict: between the bands
//! the answer is `review`, and where something is missing it is `no_decision` with its reason, never a guess.

use models_core::{Component, ModelId, RecipeId, SimilarityScore, Template};

pub(crate) use crate::words::words;
use crate::{
    birth::AgeBand,
    policy::{Mode, Thresholds},
};

mod judge;

pub use judge::{decide, judge};

words! {
    /// Where in the visit a face is verified.
    Scene {
        /// Registration, before the visit.
        Registration = "registration",
        /// Reception at a clinic, before the patient is seen.
        Reception = "reception",
        /// Paying at a pharmacy till or a cashier's desk.
        Settlement = "settlement",
        /// Admission to a ward.
        Admission = "admission",
        /// Discharge from it.
        Discharge = "discharge",
        /// Transfer to another institution.
        Transfer = "transfer",
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
    /// How an attempt verifies.
    Way {
        /// A face, against the enrolled photo.
        Face = "face",
        /// A face, against the photo in a document's chip.
        Chip = "chip",
        /// The operator's eyes, on a document.
        DocumentCheck = "document_check",
        /// Another way, which the till and the store know.
        Other = "other_way",
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
        /// The score does not reach a match, and the photo is older than the scene's policy holds against anybody.
        ReferenceTooOld = "reference_too_old",
        /// The scene rests on consent, and the capture names none.
        ConsentMissing = "consent_missing",
        /// The person has withdrawn consent: the face is not used any more.
        ConsentWithdrawn = "consent_withdrawn",
        /// The center could not be asked; the counter says so by itself.
        CenterUnreachable = "center_unreachable",
        /// Another way of verifying was taken.
        OtherWay = "other_way",
        /// The operator looked at a document and says that it is the same person.
        DocumentChecked = "document_checked",
        /// The operator looked at a document and says that it is not the person.
        DocumentNotThePerson = "document_not_the_person",
        /// Somebody came in the holder's place: their face is recorded, and there is nothing to compare it with.
        Proxy = "proxy",
        /// The scene's policy wants a proxy's face compared with their document's chip, and no chip was read.
        ProxyNotCompared = "proxy_not_compared",
        /// Nobody may come in the holder's place in this scene.
        ProxyNotAllowed = "proxy_not_allowed",
        /// The proxy has come for as many holders as the policy allows in a day, or stands in for two at a time.
        ProxyLimit = "proxy_limit",
    }
}

words! {
    /// Why a score below the non-match threshold is looked at and not called a non-match.
    Leniency {
        /// The person is under 16: faces of children change.
        Minor = "minor",
        /// The photo was taken before the person was 16.
        ChildhoodPhoto = "childhood_photo",
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
    /// Every decision there is, with every reason why there is none.
    pub fn all() -> impl Iterator<Item = Self> {
        let none = NoDecision::ALL.iter().map(|reason| Self::NoDecision(*reason));
        [Self::Match, Self::Review, Self::NonMatch].into_iter().chain(none)
    }

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

    /// The key of its disposition in a policy, and its word in the store: the reason's, where there is no decision.
    #[must_use]
    pub fn policy_key(self) -> &'static str {
        match self {
            Self::NoDecision(reason) => reason.word(),
            Self::Match | Self::Review | Self::NonMatch => self.word(),
        }
    }

    /// The inverse of [`policy_key`](Self::policy_key).
    #[must_use]
    pub fn from_policy_key(key: &str) -> Option<Self> {
        Self::all().find(|decision| decision.policy_key() == key)
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
    /// The scene rests on consent and the capture names none: the face is not looked at.
    NoConsent,
    /// A template, and a reference made on the spot from a document's chip.
    Chip {
        /// The probe.
        template: &'a Template,
        /// The attack model's score; nothing when it could assess no frame.
        live: Option<f32>,
        /// The chip's.
        reference: &'a Template,
    },
    /// No face is compared, for this reason: another way was taken, the operator looked at a document, somebody came in
    /// the holder's place.
    Without(NoDecision),
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
}

/// What is known of a person and a photo, as far as a decision asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReferenceFacts {
    /// The person was under 16 when the probe was captured.
    pub minor: bool,
    /// The photo was taken when the person was under 16.
    pub childhood_photo: bool,
    /// Age of the photo when the probe was captured, in days, where its day is known.
    pub photo_age_days: Option<u32>,
    /// Band of the person's age when the probe was captured. It decides nothing: figures are parted by it.
    pub age: AgeBand,
}

impl ReferenceFacts {
    /// Why a low score is no non-match, if it is none.
    #[must_use]
    pub fn leniency(&self) -> Option<Leniency> {
        if self.minor { Some(Leniency::Minor) } else { self.childhood_photo.then_some(Leniency::ChildhoodPhoto) }
    }
}

/// One reference of a person.
#[derive(Debug, Clone, Copy)]
pub struct Reference<'a> {
    /// Its template.
    pub template: &'a Template,
    /// What is known of it.
    pub facts: ReferenceFacts,
}

/// What the store has for the identifier.
#[derive(Debug, Clone, Copy)]
pub enum ReferenceState<'a> {
    /// No enrolment record.
    None,
    /// A record that does not decrypt as this person's: fails closed.
    Unreadable,
    /// The person has withdrawn consent.
    Withdrawn,
    /// The person's references. The best score counts, so that bands belong to this many comparisons.
    Present(&'a [Reference<'a>]),
}

/// What a verification found, before a policy says what it means. A dry run starts here.
#[derive(Debug, Clone, PartialEq)]
pub enum Finding {
    /// Probe and reference were compared.
    Compared(Compared),
    /// No usable face.
    FailureToAcquire(AcquisitionFailure, Option<Component>),
    /// Something else stands in the way of a comparison.
    Nothing(NoDecision),
}

impl Finding {
    /// The way it came by.
    #[must_use]
    pub fn way(&self) -> Way {
        match self {
            Self::Compared(Compared { chip: true, .. }) => Way::Chip,
            Self::Nothing(NoDecision::OtherWay) => Way::Other,
            Self::Nothing(NoDecision::DocumentChecked | NoDecision::DocumentNotThePerson) => Way::DocumentCheck,
            Self::Compared(_) | Self::FailureToAcquire(..) | Self::Nothing(_) => Way::Face,
        }
    }
}

/// Probe and reference, compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    /// The best score.
    pub score: SimilarityScore,
    /// Which of the references gave it, from 0.
    pub reference: usize,
    /// The model both templates come from.
    pub model: ModelId,
    /// The recipe both templates come from.
    pub recipe: RecipeId,
    /// The attack model's score; nothing when it could assess no frame.
    pub live: Option<f32>,
    /// What is known of that reference.
    pub facts: ReferenceFacts,
    /// Whether the reference was made on the spot from a document's chip, which has thresholds of its own.
    pub chip: bool,
}

/// A comparison that was made, and what it was measured against.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// What was compared.
    pub compared: Compared,
    /// The thresholds of that model in the policy.
    pub thresholds: Thresholds,
}

/// The outcome of one verification.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// What was decided.
    pub decision: Decision,
    /// Closed words that say why, the most general first; empty for match, non-match and a plain review.
    pub reasons: Vec<&'static str>,
    /// What the policy says the till does.
    pub disposition: Disposition,
    /// What was compared, where anything was.
    pub comparison: Option<Comparison>,
}

/// Among the reasons of a verification whose probe was compared with a document's chip.
pub const CHIP_REFERENCE: &str = "chip_reference";

/// The reason a counter is given in shadow mode, with no decision.
pub const SHADOW: &str = "shadow";

/// What the till is told to do: in shadow mode to settle, whatever was decided.
#[must_use]
pub fn told(mode: Mode, disposition: Disposition) -> Disposition {
    match mode {
        Mode::Shadow => Disposition::Settle,
        Mode::Live | Mode::Demonstration => disposition,
    }
}

#[cfg(test)]
mod tests;
