//! A policy's text: TOML with every field checked, and the rules that no center's policy may break.
//!
//! Those rules are here and not in the text, because they protect people from a policy: nobody is held or refused for what
//! a machine thinks of their face, a non-match rests on local trials, and decisions count only once somebody has
//! accepted them by name.

use std::collections::BTreeMap;

use models_core::{Component, Gate, ModelId, RecipeId};
use serde::Deserialize;
use thiserror::Error;

use super::{
    Acceptance, AttackRule, Basis, CrossCardSearch, DegradedRule, Mode, Notices, OverrideRule, Policy, ProbeRule, ProxyRule, ReceiptRule,
    ScenePolicy, Source, Target, Thresholds, Trials,
    dispositions::{allowed, of_older},
    thresholds,
};
use crate::{
    decision::{Decision, Disposition, Scene},
    evidence::{EvidenceFile, EvidenceModel},
    identification::{FmrTable, FmrTableFile},
};

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

fn within(field: &str, value: u32, min: u32, max: u32) -> Result<u32, PolicyError> {
    if (min..=max).contains(&value) { Ok(value) } else { Err(wrong(field, format!("a number from {min} to {max}"))) }
}

fn word<T>(field: &str, text: &str, known: &[T], of: impl Fn(&T) -> &'static str) -> Result<T, PolicyError>
where
    T: Copy,
{
    let words = || known.iter().map(&of).collect::<Vec<_>>().join(", ");
    known.iter().find(|known| of(known) == text).copied().ok_or_else(|| wrong(field, format!("one of {}", words())))
}

/// Printable ASCII without spaces, so that it can stand in a record and on a line.
fn name(field: &str, text: &str, min: usize) -> Result<String, PolicyError> {
    let fits = (min..=64).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic());
    if fits { Ok(text.to_owned()) } else { Err(wrong(field, format!("{min} to 64 printable ASCII characters"))) }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyFile {
    version: String,
    mode: String,
    model: String,
    recipe: String,
    accepted: Option<AcceptedFile>,
    target: TargetFile,
    thresholds: Vec<ThresholdsFile>,
    #[serde(default)]
    chip_thresholds: Vec<ThresholdsFile>,
    #[serde(default)]
    attack: AttackFile,
    #[serde(default)]
    probe: ProbeFile,
    notice: NoticeFile,
    cross_card_search: SearchFile,
    #[serde(default)]
    evidence: Vec<EvidenceFile>,
    #[serde(default)]
    false_matches: Vec<FmrTableFile>,
    disposition: BTreeMap<String, String>,
    scenes: BTreeMap<String, SceneFile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AcceptedFile {
    by: String,
    on: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TargetFile {
    match_fmr: f64,
    non_match_fnmr: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ThresholdsFile {
    model: String,
    recipe: String,
    #[serde(default)]
    scenes: Vec<String>,
    match_at_least: f32,
    non_match_below: Option<f32>,
    trials: TrialsFile,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TrialsFile {
    source: String,
    nonmated: u64,
    nonmated_errors: u64,
    mated: u64,
    mated_errors: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct AttackFile {
    retry_below: Option<f32>,
    suspect_below: Option<f32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProbeFile {
    #[serde(default)]
    gate: BTreeMap<String, u8>,
    #[serde(default)]
    floor: BTreeMap<String, u8>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoticeFile {
    version: String,
    #[serde(default)]
    consent_version: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SearchFile {
    enabled: bool,
    basis: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SceneFile {
    attempts_max: u32,
    basis: String,
    reference_age_max_days: Option<u32>,
    receipt: ReceiptFile,
    degraded: DegradedFile,
    proxy: ProxyFile,
    overrides: OverrideFile,
    attack: Option<AttackFile>,
    probe: Option<ProbeFile>,
    #[serde(default)]
    disposition: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReceiptFile {
    valid_seconds: u32,
    settlements_max: u32,
    #[serde(default)]
    serves: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DegradedFile {
    captures_max: u32,
    hours_max: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProxyFile {
    allowed: bool,
    principals_per_day_max: u32,
    #[serde(default)]
    face_against_document: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OverrideFile {
    per_operator_per_day_max: u32,
}

/// Reads and checks a policy's text.
pub(super) fn read(text: &str) -> Result<Policy, PolicyError> {
    let file: PolicyFile = toml::from_str(text).map_err(|error| PolicyError::Toml(error.to_string()))?;
    let version = name("version", &file.version, 1)?;
    let mode = word("mode", &file.mode, Mode::ALL, |mode| mode.word())?;
    let (model, recipe) = ids("", &file.model, &file.recipe)?;
    let target = file.target.check()?;
    let accepted = file.accepted.as_ref().map(AcceptedFile::check).transpose()?;
    if mode == Mode::Live && accepted.is_none() {
        return Err(wrong("accepted", "who accepted the calibration, and on which day, before mode may be live"));
    }
    let scenes = file.all_scenes()?;
    let attempts_max = scenes.values().map(|scene| scene.attempts_max).max().unwrap_or(1);
    let tables = |name: &str, files: &[ThresholdsFile]| {
        let table = |(i, file): (usize, &ThresholdsFile)| file.check(&format!("{name}[{i}]"), mode, target, attempts_max);
        files.iter().enumerate().map(table).collect::<Result<Vec<_>, _>>()
    };
    let thresholds = tables("thresholds", &file.thresholds)?;
    let chip_thresholds = tables("chip_thresholds", &file.chip_thresholds)?;
    if !thresholds.iter().any(|entry| entry.model == model && entry.recipe == recipe && entry.scenes.is_empty()) {
        return Err(wrong("thresholds", format!("a [[thresholds]] table for model {model} and recipe {recipe}, for all scenes")));
    }
    let notices = Notices {
        notice: name("notice.version", &file.notice.version, 1)?,
        consent: name("notice.consent_version", &file.notice.consent_version, 0)?,
    };
    if notices.consent.is_empty() && scenes.values().any(|scene| scene.basis == Basis::Consent) {
        return Err(wrong("notice.consent_version", "a version where a scene rests on consent"));
    }
    let cross_card_search = file.cross_card_search.check()?;
    let fallback = file.fallback(&scenes)?;
    let (evidence, false_matches) = (file.evidence()?, file.false_matches()?);
    Ok(Policy {
        version,
        mode,
        model,
        recipe,
        target,
        accepted,
        thresholds,
        chip_thresholds,
        notices,
        cross_card_search,
        evidence,
        false_matches,
        scenes,
        fallback,
    })
}

fn ids(at: &str, model: &str, recipe: &str) -> Result<(ModelId, RecipeId), PolicyError> {
    let model = ModelId::new(model).map_err(|_| wrong(format!("{at}model"), "the id of a model in the manifest"))?;
    let recipe = RecipeId::new(recipe).map_err(|_| wrong(format!("{at}recipe"), "the id of a recipe in the manifest"))?;
    Ok((model, recipe))
}

fn scene_list(field: &str, words: &[String]) -> Result<Vec<Scene>, PolicyError> {
    words.iter().map(|text| word(field, text, Scene::ALL, |scene| scene.word())).collect()
}

impl AcceptedFile {
    fn check(&self) -> Result<Acceptance, PolicyError> {
        let by = self.by.trim();
        if !(1..=64).contains(&by.chars().count()) || by.chars().any(char::is_control) {
            return Err(wrong("accepted.by", "a name of 1 to 64 characters"));
        }
        let shape = |(i, c): (usize, char)| if matches!(i, 4 | 7) { c == '-' } else { c.is_ascii_digit() };
        if self.on.len() != 10 || !self.on.chars().enumerate().all(shape) {
            return Err(wrong("accepted.on", "a day, YYYY-MM-DD"));
        }
        Ok(Acceptance { by: by.to_owned(), on: self.on.clone() })
    }
}

impl TargetFile {
    fn check(&self) -> Result<Target, PolicyError> {
        for (field, rate) in [("target.match_fmr", self.match_fmr), ("target.non_match_fnmr", self.non_match_fnmr)] {
            if !(rate > 0.0 && rate <= 0.5) {
                return Err(wrong(field, "a rate above 0, at most 0.5"));
            }
        }
        Ok(Target { match_fmr: self.match_fmr, non_match_fnmr: self.non_match_fnmr })
    }
}

impl ThresholdsFile {
    fn check(&self, table: &str, mode: Mode, target: Target, attempts_max: u32) -> Result<thresholds::Entry, PolicyError> {
        let at = |field: &str| format!("{table}.{field}");
        let (model, recipe) = ids(&at(""), &self.model, &self.recipe)?;
        let scenes = scene_list(&at("scenes"), &self.scenes)?;
        if !(-1.0..=1.0).contains(&self.match_at_least) {
            return Err(wrong(at("match_at_least"), "a score from -1 to 1"));
        }
        if self.non_match_below.is_some_and(|below| !(-1.0..=self.match_at_least).contains(&below)) {
            return Err(wrong(at("non_match_below"), "a score from -1 to match_at_least"));
        }
        let trials = self.trials.check(&at("trials"))?;
        if mode != Mode::Demonstration && self.non_match_below.is_some() && !trials.fix_non_match(target) {
            let fnmr = target.non_match_fnmr;
            return Err(wrong(
                at("non_match_below"),
                format!("to be left out: it needs local trials with at least 30 mated errors, at a rate of at most {fnmr}"),
            ));
        }
        if mode == Mode::Live && !trials.fix_match(target, attempts_max) {
            let each = target.per_comparison(attempts_max);
            return Err(wrong(
                at("trials"),
                format!(
                    "local trials with at least 30 non-mated errors, at a rate of at most {each:.3e} a comparison, before mode may be live"
                ),
            ));
        }
        let thresholds = Thresholds { match_at_least: self.match_at_least, non_match_below: self.non_match_below, trials };
        Ok(thresholds::Entry { model, recipe, scenes, thresholds })
    }
}

impl TrialsFile {
    fn check(&self, at: &str) -> Result<Trials, PolicyError> {
        let source = word(&format!("{at}.source"), &self.source, Source::ALL, |source| source.word())?;
        for (field, errors, trials) in
            [("nonmated_errors", self.nonmated_errors, self.nonmated), ("mated_errors", self.mated_errors, self.mated)]
        {
            if errors > trials {
                return Err(wrong(format!("{at}.{field}"), "at most as many errors as trials"));
            }
        }
        let Self { nonmated, nonmated_errors, mated, mated_errors, .. } = *self;
        Ok(Trials { source, nonmated, nonmated_errors, mated, mated_errors })
    }
}

impl AttackFile {
    fn check(&self, at: &str) -> Result<Option<AttackRule>, PolicyError> {
        let Some(retry_below) = self.retry_below else {
            return if self.suspect_below.is_none() {
                Ok(None)
            } else {
                Err(wrong(format!("{at}.retry_below"), "a number where suspect_below is given"))
            };
        };
        if !(0.0..=1.0).contains(&retry_below) {
            return Err(wrong(format!("{at}.retry_below"), "a number from 0 to 1"));
        }
        let suspect_below = self.suspect_below.unwrap_or(0.0);
        if !(0.0..=retry_below).contains(&suspect_below) {
            return Err(wrong(format!("{at}.suspect_below"), "a number from 0 to retry_below"));
        }
        Ok(Some(AttackRule { retry_below, suspect_below }))
    }
}

impl ProbeFile {
    fn check(&self, at: &str) -> Result<ProbeRule, PolicyError> {
        let (gate, floor) = (minima(&format!("{at}.gate"), &self.gate)?, minima(&format!("{at}.floor"), &self.floor)?);
        let above = |(component, floor): (Component, u8)| gate.at_least(component).is_none_or(|gate| floor > gate);
        if let Some((component, _)) = floor.iter().find(|minimum| above(*minimum)) {
            return Err(wrong(format!("{at}.floor.{}", component.word()), "nothing above the gate, and nothing the gate does not ask for"));
        }
        Ok(ProbeRule { gate, floor })
    }
}

fn minima(at: &str, table: &BTreeMap<String, u8>) -> Result<Gate, PolicyError> {
    let minimum = |(text, at_least): (&String, &u8)| {
        let field = format!("{at}.{text}");
        let component = Component::from_word(text).ok_or_else(|| wrong(&field, "a component of quality as named in ISO/IEC 29794-5"))?;
        within(&field, u32::from(*at_least), 0, 100).map(|_| (component, *at_least))
    };
    table.iter().map(minimum).collect()
}

impl SearchFile {
    fn check(&self) -> Result<CrossCardSearch, PolicyError> {
        let basis = self.basis.as_ref().map(|text| basis("cross_card_search.basis", text)).transpose()?;
        match (self.enabled, basis) {
            (true, None) => Err(wrong("cross_card_search.basis", "what it rests on, where it is enabled")),
            (true, Some(basis)) => Ok(CrossCardSearch { basis: Some(basis) }),
            (false, _) => Ok(CrossCardSearch { basis: None }),
        }
    }
}

fn basis(field: &str, text: &str) -> Result<Basis, PolicyError> {
    word(field, text, Basis::ALL, |basis| basis.word())
}

impl PolicyFile {
    fn all_scenes(&self) -> Result<BTreeMap<Scene, ScenePolicy>, PolicyError> {
        if let Some(unknown) = self.scenes.keys().find(|text| Scene::from_word(text).is_none()) {
            let known = Scene::ALL.iter().map(|scene| scene.word()).collect::<Vec<_>>().join(", ");
            return Err(wrong(format!("scenes.{unknown}"), format!("a known scene: {known}")));
        }
        Scene::ALL.iter().map(|scene| Ok((*scene, self.scene(*scene)?))).collect()
    }

    fn false_matches(&self) -> Result<Vec<FmrTable>, PolicyError> {
        let check =
            |(i, file): (usize, &FmrTableFile)| file.check().map_err(|error| PolicyError::Toml(format!("false_matches[{i}].{error}")));
        self.false_matches.iter().enumerate().map(check).collect()
    }

    fn evidence(&self) -> Result<Vec<EvidenceModel>, PolicyError> {
        let check = |(i, file): (usize, &EvidenceFile)| file.check().map_err(|error| PolicyError::Toml(format!("evidence[{i}].{error}")));
        self.evidence.iter().enumerate().map(check).collect()
    }

    fn fallback(&self, scenes: &BTreeMap<Scene, ScenePolicy>) -> Result<ScenePolicy, PolicyError> {
        scenes.get(&Scene::Settlement).cloned().ok_or_else(|| wrong("scenes.settlement", "a table"))
    }

    fn scene(&self, scene: Scene) -> Result<ScenePolicy, PolicyError> {
        let at = format!("scenes.{}", scene.word());
        let file = self.scenes.get(scene.word()).ok_or_else(|| wrong(&at, "a table"))?;
        let mut serves = scene_list(&format!("{at}.receipt.serves"), &file.receipt.serves)?;
        if !serves.contains(&scene) {
            serves.insert(0, scene);
        }
        let number = |field: &str, value, min, max| within(&format!("{at}.{field}"), value, min, max);
        if let Some(days) = file.reference_age_max_days {
            number("reference_age_max_days", days, 30, 36_500)?;
        }
        let (own_attack, own_probe) = (format!("{at}.attack"), format!("{at}.probe"));
        Ok(ScenePolicy {
            attempts_max: number("attempts_max", file.attempts_max, 1, 99)?,
            basis: basis(&format!("{at}.basis"), &file.basis)?,
            reference_age_max_days: file.reference_age_max_days,
            attack: file.attack.as_ref().map_or_else(|| self.attack.check("attack"), |own| own.check(&own_attack))?,
            probe: file.probe.as_ref().map_or_else(|| self.probe.check("probe"), |own| own.check(&own_probe))?,
            receipt: ReceiptRule {
                valid_seconds: number("receipt.valid_seconds", file.receipt.valid_seconds, 1, 900)?,
                settlements_max: number("receipt.settlements_max", file.receipt.settlements_max, 1, 20)?,
                serves,
            },
            degraded: DegradedRule {
                captures_max: number("degraded.captures_max", file.degraded.captures_max, 0, 100_000)?,
                hours_max: number("degraded.hours_max", file.degraded.hours_max, 1, 168)?,
            },
            proxy: ProxyRule {
                allowed: file.proxy.allowed,
                principals_per_day_max: number("proxy.principals_per_day_max", file.proxy.principals_per_day_max, 1, 20)?,
                face_against_document: file.proxy.face_against_document,
            },
            overrides: OverrideRule {
                per_operator_per_day_max: number("overrides.per_operator_per_day_max", file.overrides.per_operator_per_day_max, 0, 1_000)?,
            },
            dispositions: self.dispositions(&at, &file.disposition)?,
        })
    }

    /// The scene's own rows over those for all scenes.
    fn dispositions(&self, at: &str, own: &BTreeMap<String, String>) -> Result<BTreeMap<&'static str, Disposition>, PolicyError> {
        for (place, table) in [("disposition", &self.disposition), (&*format!("{at}.disposition"), own)] {
            if let Some(unknown) = table.keys().find(|key| Decision::from_policy_key(key).is_none()) {
                let known = Decision::all().map(Decision::policy_key).collect::<Vec<_>>().join(", ");
                return Err(wrong(format!("{place}.{unknown}"), format!("one of {known}")));
            }
        }
        let row = |decision: Decision| {
            let key = decision.policy_key();
            let (field, text) = match own.get(key) {
                Some(text) => (format!("{at}.disposition.{key}"), Some(text)),
                None => (format!("disposition.{key}"), self.disposition.get(key)),
            };
            let allowed = allowed(decision);
            let known = allowed.iter().map(|disposition| disposition.word()).collect::<Vec<_>>().join(", ");
            let found = text.map_or_else(|| of_older(decision), |text| Disposition::from_word(text));
            let found = found.filter(|disposition| allowed.contains(disposition));
            found.map(|disposition| (key, disposition)).ok_or_else(|| wrong(field, format!("one of {known}")))
        };
        Decision::all().map(row).collect()
    }
}
