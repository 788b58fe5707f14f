//! The doctor: whether this counter can work, check by check, each with a remedy in plain words.
//!
//! A [`Check`] says how one thing stands: `ok`, `warn` (works, and should be looked at) or `fail` (does not work). What is looked
//! at is gathered in [`facts`] and [`machine`]; what it means, in [`checks`], which asks nobody. The cheap checks go with every
//! health report, as words. Not here: mending anything.

pub mod checks;
pub mod command;
pub mod facts;
pub mod machine;

use std::fmt::Write as _;

use serde::Serialize;

use facts::{Cheap, Full};

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// In order.
    Ok,
    /// Works, and should be looked at.
    Warn,
    /// Does not work.
    Fail,
}

impl Grade {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        }
    }
}

/// Something in both languages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Text {
    /// In English.
    pub en: String,
    /// In Chinese.
    pub zh: String,
}

impl Text {
    pub(crate) fn new(en: impl Into<String>, zh: impl Into<String>) -> Self {
        Self { en: en.into(), zh: zh.into() }
    }
}

/// How one thing stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at, a closed word.
    pub check: &'static str,
    /// How it stands.
    pub grade: Grade,
    /// Which case of it, a closed word; `ok` where it is in order.
    pub word: &'static str,
    /// What was found.
    pub found: Text,
    /// What to do; nothing where it is in order.
    pub remedy: Option<Text>,
}

impl Check {
    pub(crate) fn ok(check: &'static str, found: Text) -> Self {
        Self { check, grade: Grade::Ok, word: "ok", found, remedy: None }
    }

    pub(crate) fn not(check: &'static str, grade: Grade, word: &'static str, found: Text, remedy: Text) -> Self {
        Self { check, grade, word, found, remedy: Some(remedy) }
    }
}

/// The checks that cost nothing.
#[must_use]
pub fn cheap(facts: &Cheap) -> Vec<Check> {
    vec![
        checks::clock(facts.clock_offset_ms, facts.config.clock_offset_max_ms),
        checks::certificate(facts),
        checks::spool(facts),
        checks::disk(machine::disk_free_bytes(&facts.dir), facts.config.disk_free_min_mb),
        checks::permissions(&machine::permissions(&facts.dir)),
        checks::avx2(machine::avx2()),
    ]
}

/// All checks, in the order in which things depend on one another.
#[must_use]
pub fn all(facts: &Full) -> Vec<Check> {
    let mut all = vec![checks::configuration(facts.configuration.as_deref()), checks::identity(facts.identity.as_deref())];
    all.push(checks::models(&facts.models));
    all.push(checks::camera(&facts.camera));
    all.extend(checks::light(&facts.camera));
    all.push(checks::line(&facts.line));
    all.push(checks::lease(facts.lease.as_ref(), facts.cheap.as_ref().map_or(0, |cheap| cheap.now_ms)));
    all.extend(facts.cheap.as_ref().map(cheap).unwrap_or_default());
    all
}

/// What is not in order, as `check:word`.
#[must_use]
pub fn words(checks: &[Check]) -> Vec<String> {
    checks.iter().filter(|check| check.grade != Grade::Ok).map(|check| format!("{}:{}", check.check, check.word)).collect()
}

/// The worst of them.
#[must_use]
pub fn worst(checks: &[Check]) -> Grade {
    checks.iter().map(|check| check.grade).max().unwrap_or(Grade::Ok)
}

/// For people: a line each, with what to do below.
#[must_use]
pub fn text(checks: &[Check]) -> String {
    let mut text = String::new();
    for check in checks {
        let _ = writeln!(text, "{:<4}  {:<13} {} {}", check.grade.word(), check.check, check.found.en, check.found.zh);
        if let Some(remedy) = &check.remedy {
            let _ = writeln!(text, "      {:<13} → {}\n      {:<13} → {}", "", remedy.en, "", remedy.zh);
        }
    }
    text.trim_end().to_owned()
}
