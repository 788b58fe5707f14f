//! Policy: what scores mean, and what the till does about each decision, as data.
//!
//! Thresholds belong to one model and recipe. Every decision and reason of every scene has its
//! disposition; a policy that leaves one out is refused when it is read, not at the counter.

use std::collections::BTreeMap;

use models_core::{ModelId, RecipeId, SimilarityScore};
use serde::Deserialize;
use thiserror::Error;

use crate::decision::{Decision, Disposition, NoDecision, Scene};

/// A policy that is not in order. The message names the field.
#[derive(Debug, Error)]
pub enum PolicyError {
    /// Not the TOML of a policy: a field is missing, unknown or of another type.
    #[error("policy: {0}")]
    Toml(String),
    /// A field's value is out of order.
    #[error("policy: {field}: expected {expected}")]
    Field {
        /// Path of the field.
        field: String,
        /// What was expected of it.
        expected: String,
    },
}

fn wrong(field: impl Into<String>, expected: impl Into<String>) -> PolicyError {
    PolicyError::Field { field: field.into(), expected: expected.into() }
}

/// The bands of one model and recipe.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// Score at and above which the decision is a match.
    pub match_at_least: f32,
    /// Score below which the decision is a non-match; without it there is no such band, only review.
    pub non_match_below: Option<f32>,
}

impl Thresholds {
    /// The band a score falls into.
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

/// What the attack model's scores mean: 0 (attack) to 1 (live).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttackRule {
    /// Below: nothing is decided, and a retry is asked for.
    pub retry_below: f32,
    /// Below: an attack is suspected at once. At most `retry_below`; set where next to no genuine face scores.
    pub suspect_below: f32,
}

/// A checked policy.
#[derive(Debug, Clone)]
pub struct Policy {
    version: String,
    provisional: bool,
    thresholds: BTreeMap<(ModelId, RecipeId), Thresholds>,
    attack: Option<AttackRule>,
    scenes: BTreeMap<Scene, ScenePolicy>,
}

#[derive(Debug, Clone)]
struct ScenePolicy {
    attempts_max: u32,
    dispositions: BTreeMap<&'static str, Disposition>,
}

impl Policy {
    /// The policy that a new center starts with, as commented TOML.
    pub const SHIPPED: &str = include_str!("../policy.toml");

    /// Reads and checks a policy.
    ///
    /// # Errors
    /// With the path of the field and what was expected of it.
    pub fn from_toml(text: &str) -> Result<Self, PolicyError> {
        let file: PolicyFile = toml::from_str(text).map_err(|error| PolicyError::Toml(error.to_string()))?;
        let version_fits = (1..=64).contains(&file.version.len()) && file.version.chars().all(|c| c.is_ascii_graphic());
        if !version_fits {
            return Err(wrong("version", "1 to 64 printable ASCII characters"));
        }
        if file.thresholds.is_empty() {
            return Err(wrong("thresholds", "at least one [[thresholds]] table"));
        }
        let thresholds = file.thresholds.iter().enumerate().map(|(i, t)| t.check(i)).collect::<Result<_, _>>()?;
        let attack = file.attack.check()?;
        let scenes = Scene::ALL.iter().map(|scene| Ok((*scene, file.scene(*scene)?))).collect::<Result<_, PolicyError>>()?;
        if let Some(unknown) = file.scenes.keys().find(|name| Scene::from_word(name).is_none()) {
            return Err(wrong(format!("scenes.{unknown}"), "a known scene: settlement, reception"));
        }
        Ok(Self { version: file.version, provisional: file.provisional, thresholds, attack, scenes })
    }

    /// The policy's version.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// True while the thresholds are not calibrated on the center's own data.
    #[must_use]
    pub fn provisional(&self) -> bool {
        self.provisional
    }

    /// The bands of a model and recipe, when the policy has them.
    #[must_use]
    pub fn thresholds(&self, model: &ModelId, recipe: &RecipeId) -> Option<Thresholds> {
        self.thresholds.get(&(model.clone(), recipe.clone())).copied()
    }

    /// The models and recipes the policy has thresholds for.
    pub fn models(&self) -> impl Iterator<Item = (&ModelId, &RecipeId)> {
        self.thresholds.keys().map(|(model, recipe)| (model, recipe))
    }

    /// What attack scores mean; without a rule they are recorded and decide nothing.
    #[must_use]
    pub fn attack(&self) -> Option<AttackRule> {
        self.attack
    }

    /// What the till does after a decision in a scene; a document check, should a scene be missing after all.
    #[must_use]
    pub fn disposition(&self, scene: Scene, decision: Decision) -> Disposition {
        let found = self.scenes.get(&scene).and_then(|scene| scene.dispositions.get(decision.policy_key()));
        found.copied().unwrap_or(Disposition::DocumentCheck)
    }

    /// How many attempts a transaction may have in a scene.
    #[must_use]
    pub fn attempts_max(&self, scene: Scene) -> u32 {
        self.scenes.get(&scene).map_or(1, |scene| scene.attempts_max)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyFile {
    version: String,
    provisional: bool,
    thresholds: Vec<ThresholdsFile>,
    attack: AttackFile,
    scenes: BTreeMap<String, SceneFile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ThresholdsFile {
    model: String,
    recipe: String,
    match_at_least: f32,
    non_match_below: Option<f32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AttackFile {
    retry_below: Option<f32>,
    suspect_below: Option<f32>,
}

impl AttackFile {
    fn check(&self) -> Result<Option<AttackRule>, PolicyError> {
        let Some(retry_below) = self.retry_below else {
            return if self.suspect_below.is_none() {
                Ok(None)
            } else {
                Err(wrong("attack.retry_below", "a number where suspect_below is given"))
            };
        };
        if !(0.0..=1.0).contains(&retry_below) {
            return Err(wrong("attack.retry_below", "a number from 0 to 1"));
        }
        let suspect_below = self.suspect_below.unwrap_or(0.0);
        if !(0.0..=retry_below).contains(&suspect_below) {
            return Err(wrong("attack.suspect_below", "a number from 0 to retry_below"));
        }
        Ok(Some(AttackRule { retry_below, suspect_below }))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SceneFile {
    attempts_max: u32,
    disposition: BTreeMap<String, String>,
}

impl ThresholdsFile {
    fn check(&self, index: usize) -> Result<((ModelId, RecipeId), Thresholds), PolicyError> {
        let at = |field: &str| format!("thresholds[{index}].{field}");
        let model = ModelId::new(&self.model).map_err(|_| wrong(at("model"), "the id of a model in the manifest"))?;
        let recipe = RecipeId::new(&self.recipe).map_err(|_| wrong(at("recipe"), "the id of a recipe in the manifest"))?;
        if !(-1.0..=1.0).contains(&self.match_at_least) {
            return Err(wrong(at("match_at_least"), "a score from -1 to 1"));
        }
        if self.non_match_below.is_some_and(|below| !(-1.0..=self.match_at_least).contains(&below)) {
            return Err(wrong(at("non_match_below"), "a score from -1 to match_at_least"));
        }
        Ok(((model, recipe), Thresholds { match_at_least: self.match_at_least, non_match_below: self.non_match_below }))
    }
}

impl PolicyFile {
    fn scene(&self, scene: Scene) -> Result<ScenePolicy, PolicyError> {
        let at = format!("scenes.{}", scene.word());
        let file = self.scenes.get(scene.word()).ok_or_else(|| wrong(&at, "a table"))?;
        if !(1..=99).contains(&file.attempts_max) {
            return Err(wrong(format!("{at}.attempts_max"), "a number from 1 to 99"));
        }
        let keys = [Decision::Match, Decision::Review, Decision::NonMatch].map(Decision::policy_key);
        let keys: Vec<&'static str> = keys.into_iter().chain(NoDecision::ALL.iter().map(|reason| reason.word())).collect();
        if let Some(unknown) = file.disposition.keys().find(|key| !keys.contains(&key.as_str())) {
            return Err(wrong(format!("{at}.disposition.{unknown}"), format!("one of {}", keys.join(", "))));
        }
        let dispositions = keys.into_iter().map(|key| Ok((key, file.disposition(&at, key)?))).collect::<Result<_, PolicyError>>()?;
        Ok(ScenePolicy { attempts_max: file.attempts_max, dispositions })
    }
}

impl SceneFile {
    fn disposition(&self, at: &str, key: &str) -> Result<Disposition, PolicyError> {
        let known = || Disposition::ALL.iter().map(|d| d.word()).collect::<Vec<_>>().join(", ");
        self.disposition
            .get(key)
            .and_then(|word| Disposition::from_word(word))
            .ok_or_else(|| wrong(format!("{at}.disposition.{key}"), format!("one of {}", known())))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A policy with bands at 0.50 and 0.30 for one model and recipe.
    pub(crate) fn text(model: &str, recipe: &str) -> String {
        let dispositions = "match = 'settle'\nreview = 'settle_flagged'\nnon_match = 'document_check'\nno_reference = 'document_check'
            failure_to_acquire = 'other_way'\nseveral_faces = 'other_way'\nattack_suspected = 'document_check'
            live_unclear = 'retry'\nlive_not_assessed = 'retry'
            model_mismatch = 'other_way'\nreference_unreadable = 'document_check'";
        let scene = |name: &str| format!("[scenes.{name}]\nattempts_max = 3\n[scenes.{name}.disposition]\n{dispositions}\n");
        format!(
            "version = 'test-1'\nprovisional = true\n[[thresholds]]\nmodel = '{model}'\nrecipe = '{recipe}'\nmatch_at_least = 0.5\n\
             non_match_below = 0.3\n[attack]\n{}{}",
            scene("settlement"),
            scene("reception")
        )
    }

    #[track_caller]
    fn check(from: &str, to: &str, expected: &str) {
        let text = text("m@1", "r@1").replacen(from, to, 1);
        let error = Policy::from_toml(&text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn a_policy_that_is_not_in_order_names_the_field() {
        check("match_at_least = 0.5", "match_at_least = 1.5", "thresholds[0].match_at_least: expected a score from -1 to 1");
        check("non_match_below = 0.3", "non_match_below = 0.6", "thresholds[0].non_match_below: expected a score");
        check("no_reference = 'document_check'", "", "scenes.settlement.disposition.no_reference: expected one of settle");
        check("match = 'settle'", "match = 'wave_through'", "scenes.settlement.disposition.match: expected one of settle");
        check("match = 'settle'", "match = 'settle'\nmaybe = 'hold'", "scenes.settlement.disposition.maybe: expected one of match");
        check("[scenes.reception]", "[scenes.ward]\nattempts_max = 1\ndisposition = {}\n[scenes.reception]", "scenes.ward");
        check("attempts_max = 3", "attempts_max = 0", "scenes.settlement.attempts_max: expected a number from 1 to 99");
        check("provisional = true", "provisional = true\nextra = 1", "unknown field `extra`");
        check("[attack]", "[attack]\nretry_below = 2.0", "attack.retry_below: expected a number from 0 to 1");
        check("[attack]", "[attack]\nsuspect_below = 0.1", "attack.retry_below: expected a number where suspect_below is given");
        check("[attack]", "[attack]\nretry_below = 0.2\nsuspect_below = 0.3", "attack.suspect_below: expected a number from 0 to retry");
    }

    #[test]
    fn without_a_non_match_threshold_there_is_only_review() {
        let text = text("m@1", "r@1").replace("non_match_below = 0.3", "");
        let policy = Policy::from_toml(&text).unwrap();
        let thresholds = policy.thresholds(&ModelId::new("m@1").unwrap(), &RecipeId::new("r@1").unwrap()).unwrap();
        assert_eq!(thresholds.band(SimilarityScore::new(-1.0).unwrap()), Decision::Review);
    }

    #[test]
    fn thresholds_belong_to_a_model_and_recipe() {
        let policy = Policy::from_toml(&text("m@1", "r@1")).unwrap();
        let of = |model, recipe| policy.thresholds(&ModelId::new(model).unwrap(), &RecipeId::new(recipe).unwrap());
        assert!(of("m@1", "r@1").is_some() && of("m@2", "r@1").is_none() && of("m@1", "r@2").is_none());
    }
}
