//! The start-up self-test: do the networks still say what they must, with the crops, channels and scales they get?
//!
//! A wrong order of channels, scale or crop raises no error: the networks answer, and the answers are wrong for
//! every patient. Two parts notice it before a patient does. (a) A picture drawn in code goes through every
//! network, and fixed projections of the outputs are held against those recorded for the shipped models; a model
//! without a record (an operator's own) is skipped here. (b) Real pictures out of published packages, fetched and
//! verified beside the models, hold for every model: each face must be found and look live, and one person's
//! pictures must be closer than two people's. Mistakes that cost accuracy rather than ruin it (exchanged channels or a
//! shifted crop of an operator's own feature model) only an evaluation shows. Not here: what a service does about a failure.

mod drawing;
mod faces;
mod goldens;

use std::{fmt, path::Path};

use thiserror::Error;

use crate::{
    manifest::Manifest,
    pipeline::{Pipeline, RunError},
};

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// What it was, such as `centerface@1 on the drawn picture`.
    pub name: String,
    /// What had to come out.
    pub expected: String,
    /// What came out, as numbers.
    pub got: String,
    /// Whether it did; none when it could not be checked.
    pub passed: Option<bool>,
}

/// Everything that was checked.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SelfTestReport {
    /// In the order they were made.
    pub checks: Vec<Check>,
}

impl SelfTestReport {
    /// Checks that could not be made, because a picture or a record is missing.
    pub fn skipped(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| check.passed.is_none())
    }

    /// Checks that failed.
    pub fn failed(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| check.passed == Some(false))
    }

    fn check(&mut self, name: String, expected: String, got: String, passed: bool) {
        self.checks.push(Check { name, expected, got, passed: Some(passed) });
    }

    fn skip(&mut self, name: String, reason: &str) {
        self.checks.push(Check { name, expected: String::new(), got: reason.to_owned(), passed: None });
    }
}

impl fmt::Display for SelfTestReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (failed, skipped) = (self.failed().count(), self.skipped().count());
        write!(f, "{} checks, {failed} failed, {skipped} skipped", self.checks.len())
    }
}

/// The pipeline must not be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SelfTestFailure {
    /// A check failed.
    #[error("self-test: {}", .0.failed().map(|check| format!("{}: expected {}, got {}", check.name, check.expected, check.got)).collect::<Vec<_>>().join("; "))]
    Failed(SelfTestReport),
    /// A network could not be run.
    #[error("self-test: could not run a network")]
    Run(#[source] RunError),
}

impl Pipeline {
    /// Runs both parts of the self-test; takes about a second. `manifest` and `cache_dir` are those the pipeline was
    /// loaded with. Pictures that are not in the cache, and models without a record, are skipped and listed.
    ///
    /// # Errors
    /// When a check fails or a network cannot be run: the pipeline must not be used.
    pub fn self_test(&self, manifest: &Manifest, cache_dir: &Path) -> Result<SelfTestReport, SelfTestFailure> {
        let mut report = SelfTestReport::default();
        goldens::check(self, manifest, &mut report).map_err(SelfTestFailure::Run)?;
        faces::check(self, manifest, cache_dir, &mut report).map_err(SelfTestFailure::Run)?;
        if report.failed().next().is_some() { Err(SelfTestFailure::Failed(report)) } else { Ok(report) }
    }
}
