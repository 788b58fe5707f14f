//! Policy: what scores mean, and what the till does about each decision, as data.
//!
//! Thresholds belong to one model and recipe and say what they rest on: a match keeps a false match rate per
//! transaction, a non-match exists only where enough local mated trials fix it. Every decision and reason of every scene
//! has its disposition; a policy that leaves one out is refused when it is read, not at the counter. Not here: how its
//! text is read and checked ([`file`]), how versions are kept and signed (`matcher`).

use std::collections::BTreeMap;

use models_core::{Gate, ModelId, RecipeId, SimilarityScore};

use crate::{
    decision::{Decision, Disposition, Scene, Way},
    evidence::EvidenceModel,
    identification::FmrTable,
    words::words,
};

pub mod difference;
pub mod dispositions;
mod file;
pub mod signature;
pub mod thresholds;

pub use file::PolicyError;
pub use thresholds::{Source, Target, Thresholds, Trials};

words! {
    /// Whether decisions count.
    Mode {
        /// Everything is recorded, and the counter is told to settle whatever was decided: how a center begins.
        Shadow = "shadow",
        /// Decisions are told. Needs thresholds of the center's own data that somebody has accepted by name.
        Live = "live",
        /// Decisions are told although nothing was calibrated, and every answer says so: to show and to rehearse,
        /// never to settle.
        Demonstration = "demonstration",
    }
}

words! {
    /// What the law lets a scene or a purpose rest on.
    Basis {
        /// A duty that a law lays on the institution or the center.
        LegalDuty = "legal_duty",
        /// What a public body needs to do its work.
        PublicTask = "public_task",
        /// The person's separate consent, which can be withdrawn.
        Consent = "consent",
    }
}

/// What the attack model's scores mean: 0 (attack) to 1 (live).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttackRule {
    /// Below: nothing is decided, and a retry is asked for.
    pub retry_below: f32,
    /// Below: an attack is suspected at once. At most `retry_below`; set where next to no genuine face scores.
    pub suspect_below: f32,
}

/// What a probe must reach, by component of quality.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProbeRule {
    /// At first.
    pub gate: Gate,
    /// For size, pose, eyes and mask, once they are no longer asked for.
    pub floor: Gate,
}

/// For how long one receipt holds and how many settlements of a visit it may serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptRule {
    /// Seconds it holds, 1–900.
    pub valid_seconds: u32,
    /// Settlements it may serve, 1–20.
    pub settlements_max: u32,
    /// Scenes whose settlements it serves; its own is always among them.
    pub serves: Vec<Scene>,
}

/// How far a counter may work when the center does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DegradedRule {
    /// Captures one lease allows, 0–100,000; 0 allows none.
    pub captures_max: u32,
    /// Hours one lease lasts, 1–168.
    pub hours_max: u32,
}

/// What may be collected for another person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProxyRule {
    /// Whether somebody may come in the card holder's place.
    pub allowed: bool,
    /// Different card holders one proxy may come for within a day, 1–20.
    pub principals_per_day_max: u32,
    /// Whether their face is to be compared with their document's chip.
    pub face_against_document: bool,
}

/// What an operator may do in the machine's place before somebody looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OverrideRule {
    /// Document checks recorded as *same person* by one operator within a day after a non-match; more are flagged. 0–1,000.
    pub per_operator_per_day_max: u32,
}

/// What counts in one scene.
#[derive(Debug, Clone)]
pub struct ScenePolicy {
    /// Attempts a transaction may have, 1–99.
    pub attempts_max: u32,
    /// What the scene rests on.
    pub basis: Basis,
    /// Days after which a photo is held against nobody any more.
    pub reference_age_max_days: Option<u32>,
    /// What attack scores mean; without it they are recorded and decide nothing.
    pub attack: Option<AttackRule>,
    /// What a probe must reach.
    pub probe: ProbeRule,
    /// Receipts.
    pub receipt: ReceiptRule,
    /// The line is down.
    pub degraded: DegradedRule,
    /// Somebody comes for the card holder.
    pub proxy: ProxyRule,
    /// The operator decides.
    pub overrides: OverrideRule,
    dispositions: BTreeMap<&'static str, Disposition>,
}

/// Attempts beyond the cap at which a document's chip may still be tried.
const CHIP_ATTEMPTS: u32 = 2;
/// Attempts beyond the cap at which a way without a face may still be taken.
const FACELESS_ATTEMPTS: u32 = 16;

impl ScenePolicy {
    /// The highest number an attempt of a transaction may have. The cap is on faces; where it is reached, the document and
    /// the other way stay open.
    #[must_use]
    pub fn attempt_max(&self, way: Way) -> u32 {
        match way {
            Way::Face => self.attempts_max,
            Way::Chip => self.attempts_max + CHIP_ATTEMPTS,
            Way::DocumentCheck | Way::Other => self.attempts_max + FACELESS_ATTEMPTS,
        }
    }

    /// What the till does after a decision.
    #[must_use]
    pub fn disposition(&self, decision: Decision) -> Disposition {
        // A checked policy has every row.
        self.dispositions.get(decision.policy_key()).copied().unwrap_or(Disposition::DocumentCheck)
    }
}

/// Versions of what is read out or shown to the person.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Notices {
    /// Version of the notice at the counter.
    pub notice: String,
    /// Version of the consent that is asked for where a scene rests on consent; may be empty where none does.
    pub consent: String,
}

/// Searching one face among other people's: a purpose of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrossCardSearch {
    /// What it rests on; nothing while it is off, which it is until somebody says otherwise.
    pub basis: Option<Basis>,
}

/// Who accepted that decisions count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acceptance {
    /// Who, by name.
    pub by: String,
    /// The day, `YYYY-MM-DD`.
    pub on: String,
}

/// A checked policy.
#[derive(Debug, Clone)]
pub struct Policy {
    version: String,
    mode: Mode,
    model: ModelId,
    recipe: RecipeId,
    target: Target,
    accepted: Option<Acceptance>,
    thresholds: Vec<thresholds::Entry>,
    chip_thresholds: Vec<thresholds::Entry>,
    notices: Notices,
    cross_card_search: CrossCardSearch,
    evidence: Vec<EvidenceModel>,
    false_matches: Vec<FmrTable>,
    scenes: BTreeMap<Scene, ScenePolicy>,
    /// For a scene that is missing after all; a checked policy has them all.
    fallback: ScenePolicy,
}

impl Policy {
    /// The policy that a new center starts with, as commented TOML: in shadow mode.
    pub const SHIPPED: &str = include_str!("../policy.toml");

    /// Reads and checks a policy.
    ///
    /// # Errors
    /// With the path of the field and what was expected of it.
    pub fn from_toml(text: &str) -> Result<Self, PolicyError> {
        file::read(text)
    }

    /// The shipped policy as a demonstration: it tells its decisions, with a non-match band that rests on nothing.
    #[must_use]
    pub fn demonstration() -> String {
        Self::SHIPPED
            .replacen("version = \"shadow-1\"", "version = \"demonstration-1\"", 1)
            .replacen("mode = \"shadow\"", "mode = \"demonstration\"", 1)
            .replacen("# non_match_below = 0.30", "non_match_below = 0.30", 1)
    }

    /// The policy's version.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether decisions count.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// True unless decisions count and rest on accepted local trials: every answer says so.
    #[must_use]
    pub fn provisional(&self) -> bool {
        self.mode != Mode::Live
    }

    /// The feature model that agents make probes with.
    #[must_use]
    pub fn model(&self) -> &ModelId {
        &self.model
    }

    /// The recipe that agents make probes with.
    #[must_use]
    pub fn recipe(&self) -> &RecipeId {
        &self.recipe
    }

    /// The error rates that thresholds are set by.
    #[must_use]
    pub fn target(&self) -> Target {
        self.target
    }

    /// Who accepted that decisions count.
    #[must_use]
    pub fn accepted(&self) -> Option<&Acceptance> {
        self.accepted.as_ref()
    }

    /// The bands of a model and recipe in a scene, when the policy has them: the scene's own before those for all.
    #[must_use]
    pub fn thresholds(&self, scene: Scene, model: &ModelId, recipe: &RecipeId) -> Option<Thresholds> {
        thresholds::of(&self.thresholds, scene, model, recipe)
    }

    /// The bands for a reference made on the spot from a document's chip, when the policy has them.
    #[must_use]
    pub fn chip_thresholds(&self, scene: Scene, model: &ModelId, recipe: &RecipeId) -> Option<Thresholds> {
        thresholds::of(&self.chip_thresholds, scene, model, recipe)
    }

    /// The models and recipes the policy has thresholds for, each once.
    pub fn models(&self) -> impl Iterator<Item = (&ModelId, &RecipeId)> {
        let pairs = || self.thresholds.iter().map(|entry| (&entry.model, &entry.recipe));
        pairs().enumerate().filter(move |(i, pair)| !pairs().take(*i).any(|earlier| earlier == *pair)).map(|(_, pair)| pair)
    }

    /// Versions of notice and consent.
    #[must_use]
    pub fn notices(&self) -> &Notices {
        &self.notices
    }

    /// Whether one face may be searched among other people's.
    #[must_use]
    pub fn cross_card_search(&self) -> CrossCardSearch {
        self.cross_card_search
    }

    /// What scores of the model and recipe in force say as evidence, where the policy carries it.
    #[must_use]
    pub fn evidence(&self) -> Option<&EvidenceModel> {
        self.evidence.iter().find(|evidence| evidence.is_of(&self.model, &self.recipe))
    }

    /// How often two people's comparisons by the model and recipe in force reach which score, where the policy carries it.
    #[must_use]
    pub fn false_matches(&self) -> Option<&FmrTable> {
        self.false_matches.iter().find(|table| table.is_of(&self.model, &self.recipe))
    }

    /// What counts in a scene.
    #[must_use]
    pub fn scene(&self, scene: Scene) -> &ScenePolicy {
        self.scenes.get(&scene).unwrap_or(&self.fallback)
    }

    /// Whether a scene rests on the person's consent.
    #[must_use]
    pub fn asks_consent(&self, scene: Scene) -> bool {
        self.scene(scene).basis == Basis::Consent
    }
}

/// The band a score falls into.
impl Thresholds {
    /// Match at and above the one threshold, non-match below the other where there is one, review between.
    #[must_use]
    pub fn band(&self, score: SimilarityScore) -> Decision {
        if score.get() >= self.match_at_least {
            Decision::Match
        } else if self.non_match_below.is_some_and(|below| score.get() < below) {
            Decision::NonMatch
        } else {
            Decision::Review
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
