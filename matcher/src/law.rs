//! `matcher law`: what the law asks to be shown, counted and written down about faces.
//!
//! The notice for the counter, the impact assessment with the figures of this very center, and the number of persons whose
//! faces are stored beside the number from which processing is to be filed. Sources: the Personal Information Protection Law
//! (in force since 2021-11-01; articles 17, 29 to 31, 44 to 47, 55, 56) and the Security Management Measures for the
//! Application of Facial Recognition Technology (in force since 2025-06-01; filing from 100,000 persons on). What is printed
//! is a draft for the controller's own lawyers, not advice. Not here: withdrawal and deletion.

use std::{io, path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand, ValueEnum};
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use serde_json::json;
use thiserror::Error;
use tracing::warn;

use crate::{
    center::Center,
    config::Config,
    durable, out,
    store::{Store, StoreError, TimeMs, holdings::Holdings},
    surroundings::{Surroundings, System},
};

mod pages;

pub use pages::{Facts, assessment, notice};

/// What the law asks.
#[derive(Debug, Subcommand)]
pub enum LawCommand {
    /// Print the notice for the counter, as a page to be printed
    Notice(PageArgs),
    /// Count stored faces against the number from which processing is to be filed; exit code 1 when it is reached
    Status {
        /// Print a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Write the impact assessment with this center's policy and figures, as a page to be printed and kept three years
    Assessment(PageArgs),
}

/// A page.
#[derive(Debug, Clone, Args)]
pub struct PageArgs {
    /// Language of the page
    #[arg(long, value_enum, default_value_t = Language::Zh)]
    pub language: Language,
    /// Write the page (HTML) here; without it, to the standard output
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// A language of pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// Chinese
    Zh,
    /// English
    En,
}

/// A page or a count that could not be made.
#[derive(Debug, Error)]
pub enum LawError {
    /// The store failed.
    #[error("the store could not be read")]
    Store(#[source] StoreError),
    /// A page could not be made.
    #[error("the page could not be made")]
    Page(#[source] askama::Error),
    /// A file could not be written.
    #[error("could not write {}", .path.display())]
    Write {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The output failed.
    #[error("could not print")]
    Print(#[source] io::Error),
}

/// Runs `matcher law`.
///
/// # Errors
/// When the store cannot be read or something cannot be written.
pub async fn run(center: &Center, config: &Config, command: &LawCommand) -> Result<ExitCode, LawError> {
    match command {
        LawCommand::Notice(args) => page(args, &facts(center, config, Holdings::default()), notice),
        LawCommand::Assessment(args) => {
            let holdings = center.store.holdings().await.map_err(LawError::Store)?;
            page(args, &facts(center, config, holdings), assessment)
        }
        LawCommand::Status { json } => {
            let holdings = center.store.holdings().await.map_err(LawError::Store)?;
            let filing = Filing { persons: holdings.persons_with_face, threshold: config.law.filing_threshold };
            let text = if *json { status_json(&holdings, filing) } else { status(&holdings, filing) };
            out::line(&text).map_err(LawError::Print)?;
            Ok(if filing.reached() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
        }
    }
}

/// Says in the log when the number of stored faces comes near the one from which processing is to be filed.
pub async fn watch(store: &dyn Store, threshold: u64) {
    match store.persons_with_face().await {
        Ok(persons) => {
            let filing = Filing { persons, threshold };
            if filing.near() {
                warn!(faces.persons = persons, faces.filing_threshold = threshold, faces.filing = filing.word(), "stored faces");
            }
        }
        Err(error) => warn!(error = &error as &dyn std::error::Error, "stored faces could not be counted"),
    }
}

fn facts(center: &Center, config: &Config, holdings: Holdings) -> Facts {
    let in_force = center.policies.current();
    Facts {
        policy: in_force.policy.clone(),
        law: config.law.clone(),
        holdings,
        retention: config.retention.rule(),
        made_on: day(System.now_ms()),
    }
}

fn page(args: &PageArgs, facts: &Facts, make: fn(&Facts, Language) -> Result<String, askama::Error>) -> Result<ExitCode, LawError> {
    let text = make(facts, args.language).map_err(LawError::Page)?;
    match &args.out {
        Some(path) => durable::write(path, text.as_bytes()).map_err(|source| LawError::Write { path: path.clone(), source })?,
        None => out::line(&text).map_err(LawError::Print)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn day(at: TimeMs) -> String {
    jiff::Timestamp::from_millisecond(at).map(|at| at.strftime("%Y-%m-%d").to_string()).unwrap_or_default()
}

/// Persons of whom a face is stored, against the number from which processing is to be filed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filing {
    /// Persons.
    pub persons: u64,
    /// The number from which on.
    pub threshold: u64,
}

impl Filing {
    /// Whether processing is to be filed.
    #[must_use]
    pub fn reached(self) -> bool {
        self.persons >= self.threshold
    }

    /// Whether that is near: from nine tenths on.
    #[must_use]
    pub fn near(self) -> bool {
        self.persons.saturating_mul(10) >= self.threshold.saturating_mul(9)
    }

    fn word(self) -> &'static str {
        match (self.reached(), self.near()) {
            (true, _) => "REACHED: file within 30 working days",
            (false, true) => "near",
            (false, false) => "below",
        }
    }
}

fn status(holdings: &Holdings, filing: Filing) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(["what", "how many"]);
    table.add_row(["persons whose face is stored".to_owned(), holdings.persons_with_face.to_string()]);
    table.add_row(["filing is due from".to_owned(), format!("{} ({})", filing.threshold, filing.word())]);
    table.add_row(["references".to_owned(), holdings.references.to_string()]);
    table.add_row(["probes (templates and samples of captures)".to_owned(), holdings.probes.to_string()]);
    table.add_row(["decision records".to_owned(), holdings.verifications.to_string()]);
    for (what, versions) in [("notice", &holdings.notices), ("consent", &holdings.consents)] {
        for (version, count) in versions {
            let version = if version.is_empty() { "none" } else { version };
            table.add_row([format!("decision records, {what} {version}"), count.to_string()]);
        }
    }
    table.to_string()
}

fn status_json(holdings: &Holdings, filing: Filing) -> String {
    let value = json!({
        "persons_with_face": holdings.persons_with_face,
        "filing_threshold": filing.threshold,
        "filing_due": filing.reached(),
        "filing_near": filing.near(),
        "references": holdings.references,
        "probes": holdings.probes,
        "verifications": holdings.verifications,
        "notices": holdings.notices,
        "consents": holdings.consents,
    });
    format!("{value:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(persons: u64, near: bool, reached: bool) {
        let filing = Filing { persons, threshold: 100_000 };
        assert_eq!((filing.near(), filing.reached()), (near, reached));
    }

    #[test]
    fn filing_is_due_at_the_threshold_and_announced_before() {
        check(0, false, false);
        check(89_999, false, false);
        check(90_000, true, false);
        check(99_999, true, false);
        check(100_000, true, true);
    }
}
