//! The notice and the impact assessment as pages, in Chinese and English.
//!
//! What they say follows from the policy and the settings: a page that says something else than what is done would be
//! worse than none.

use askama::Template;
use matcher_core::{Basis, Mode, Policy, Scene, ScenePolicy, policy::Source, retention::RetentionRule};

use super::Language;
use crate::{config::LawConfig, store::holdings::Holdings};

/// What pages are made of.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The policy in force.
    pub policy: Policy,
    /// Who answers for it.
    pub law: LawConfig,
    /// What is held.
    pub holdings: Holdings,
    /// How long what is kept.
    pub retention: RetentionRule,
    /// The day, `YYYY-MM-DD`.
    pub made_on: String,
}

/// The notice at the counter.
///
/// # Errors
/// Only when it cannot be written down, which does not happen.
pub fn notice(facts: &Facts, language: Language) -> Result<String, askama::Error> {
    let page = Page::new(facts, language);
    match language {
        Language::Zh => NoticeZh { page }.render(),
        Language::En => NoticeEn { page }.render(),
    }
}

/// The impact assessment.
///
/// # Errors
/// Only when it cannot be written down, which does not happen.
pub fn assessment(facts: &Facts, language: Language) -> Result<String, askama::Error> {
    let page = Page::new(facts, language);
    match language {
        Language::Zh => AssessmentZh { page }.render(),
        Language::En => AssessmentEn { page }.render(),
    }
}

#[derive(Template)]
#[template(path = "notice_zh.html")]
struct NoticeZh<'a> {
    page: Page<'a>,
}

#[derive(Template)]
#[template(path = "notice_en.html")]
struct NoticeEn<'a> {
    page: Page<'a>,
}

#[derive(Template)]
#[template(path = "assessment_zh.html")]
struct AssessmentZh<'a> {
    page: Page<'a>,
}

#[derive(Template)]
#[template(path = "assessment_en.html")]
struct AssessmentEn<'a> {
    page: Page<'a>,
}

/// What all pages show.
struct Page<'a> {
    facts: &'a Facts,
    consent: bool,
    scenes: Vec<SceneRow>,
    thresholds: Vec<ThresholdRow>,
    mode: &'static str,
    filing_due: bool,
}

struct SceneRow {
    name: &'static str,
    basis: &'static str,
    attempts_max: u32,
    proxy: bool,
    reference_age: String,
}

struct ThresholdRow {
    model: String,
    match_at_least: f32,
    non_match: String,
    trials: String,
}

impl<'a> Page<'a> {
    fn new(facts: &'a Facts, language: Language) -> Self {
        let policy = &facts.policy;
        let row = |scene: &Scene| scene_row(*scene, policy.scene(*scene), language);
        Self {
            consent: Scene::ALL.iter().any(|scene| policy.asks_consent(*scene)),
            scenes: Scene::ALL.iter().map(row).collect(),
            thresholds: threshold_rows(policy, language),
            mode: mode_name(policy.mode(), language),
            filing_due: facts.holdings.persons_with_face >= facts.law.filing_threshold,
            facts,
        }
    }

    /// A name or number of the settings, or a line to fill in by hand.
    fn or_line<'b>(&self, text: &'b str) -> &'b str {
        if text.trim().is_empty() { "____________________" } else { text }
    }
}

fn in_words(language: Language, zh: &'static str, en: &'static str) -> &'static str {
    match language {
        Language::Zh => zh,
        Language::En => en,
    }
}

fn scene_row(scene: Scene, rules: &ScenePolicy, language: Language) -> SceneRow {
    let years = |days: u32| format!("{:.1}", f64::from(days) / 365.25);
    SceneRow {
        name: scene_name(scene, language),
        basis: basis_name(rules.basis, language),
        attempts_max: rules.attempts_max,
        proxy: rules.proxy.allowed,
        reference_age: rules.reference_age_max_days.map_or_else(|| "–".to_owned(), years),
    }
}

fn threshold_rows(policy: &Policy, language: Language) -> Vec<ThresholdRow> {
    let row = |(model, recipe): (&models_core::ModelId, &models_core::RecipeId)| {
        let bands = policy.thresholds(Scene::Settlement, model, recipe)?;
        let trials = bands.trials;
        let source = match trials.source {
            Source::Public => in_words(language, "公开数据", "public data"),
            Source::Local => in_words(language, "本地数据", "local data"),
        };
        Some(ThresholdRow {
            model: format!("{model}, {recipe}"),
            match_at_least: bands.match_at_least,
            non_match: bands.non_match_below.map_or_else(|| in_words(language, "无", "none").to_owned(), |below| format!("{below}")),
            trials: format!("{source}: {}/{} · {}/{}", trials.nonmated_errors, trials.nonmated, trials.mated_errors, trials.mated),
        })
    };
    policy.models().filter_map(row).collect()
}

fn mode_name(mode: Mode, language: Language) -> &'static str {
    match mode {
        Mode::Shadow => in_words(language, "影子模式（只记录，不告知）", "shadow (records, tells nobody)"),
        Mode::Live => in_words(language, "正式", "live"),
        Mode::Demonstration => in_words(language, "演示（未经校准）", "demonstration (not calibrated)"),
    }
}

fn scene_name(scene: Scene, language: Language) -> &'static str {
    match scene {
        Scene::Registration => in_words(language, "挂号", "registration"),
        Scene::Reception => in_words(language, "接诊", "reception"),
        Scene::Settlement => in_words(language, "结算", "settlement"),
        Scene::Admission => in_words(language, "入院", "admission"),
        Scene::Discharge => in_words(language, "出院", "discharge"),
        Scene::Transfer => in_words(language, "转院", "transfer"),
    }
}

fn basis_name(basis: Basis, language: Language) -> &'static str {
    match basis {
        Basis::LegalDuty => in_words(language, "履行法定义务", "a duty under law"),
        Basis::PublicTask => in_words(language, "履行法定职责", "a public body's task"),
        Basis::Consent => in_words(language, "单独同意", "separate consent"),
    }
}

#[cfg(test)]
mod tests;
