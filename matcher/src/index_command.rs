//! `matcher index …` and `matcher subject search`: the indexes of faces for people and programs.
//!
//! These commands work on the saved index and the store by themselves; a process that keeps the indexes goes on beside them.

use std::{io, process::ExitCode, sync::Arc};

use clap::{Args, Subcommand};
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use indicatif::ProgressBar;
use matcher_index::{IndexError, machine};
use serde_json::json;
use thiserror::Error;

use crate::{
    center::{Center, OpenError},
    config::{Config, ConfigError},
    data_dir::DataDir,
    feature_models::{FeatureModels, FeatureModelsError},
    identify::{
        IdentifyError,
        ask::{Answer, AskError, Question, Scope},
        role::Searcher,
        sealed,
    },
    listing::{Since, json::utc},
    out,
    store::{
        RecordId, StoreError, SubjectId,
        feed::{Searchable, StoredFinding},
    },
    surroundings::{Surroundings, System},
};

/// What can be done with indexes.
#[derive(Debug, Subcommand)]
pub enum IndexCommand {
    /// Show the saved indexes beside what the store has
    Status {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Build both indexes now from the store, and save them sealed
    Rebuild,
    /// List what searches found, newest first: duplicates, one face on several cards, many faces on one
    Findings {
        /// Only those from this time on: so long ago (90m, 24h, 30d), or a time (2026-01-31T08:00:00+08:00)
        #[arg(long, value_name = "TIME", default_value = "30d")]
        since: Since,
        /// At most so many, 1 to 100,000
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        limit: u32,
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
}

/// A search for who else somebody is.
#[derive(Debug, Clone, Args)]
pub struct SearchArgs {
    /// Whose face, by the person's id
    #[arg(long, value_name = "ID")]
    pub subject: SubjectId,
    /// Which record of theirs: a verification with a probe, or a reference, as `subject show` gives them
    #[arg(long, value_name = "ID")]
    pub record: RecordId,
    /// Search the references of people whose number is of this region, six digits; empty for the center's own
    #[arg(long, value_name = "CODE", required_unless_present = "institution")]
    pub region: Option<String>,
    /// Search the visits of this institution
    #[arg(long, value_name = "ID", conflicts_with = "region")]
    pub institution: Option<String>,
    /// Why, in a few words; it is written into the audit log
    #[arg(long)]
    pub reason: String,
    /// Who asks; it is written into the audit log
    #[arg(long, value_name = "NAME")]
    pub by: String,
    /// Print a JSON object
    #[arg(long)]
    pub json: bool,
}

/// A command that failed.
#[derive(Debug, Error)]
pub enum IndexCommandError {
    /// The center cannot be opened.
    #[error(transparent)]
    Open(OpenError),
    /// The settings are not in order.
    #[error(transparent)]
    Config(ConfigError),
    /// The manifest is not in order.
    #[error("could not read the models' manifest")]
    Manifest(#[source] models::manifest::ManifestError),
    /// The manifest lacks a model.
    #[error(transparent)]
    Models(FeatureModelsError),
    /// The processor does not fit.
    #[error(transparent)]
    Machine(IndexError),
    /// The index could not be built or saved.
    #[error(transparent)]
    Identify(IdentifyError),
    /// The question was not answered.
    #[error(transparent)]
    Ask(AskError),
    /// The store failed.
    #[error("the store could not be asked")]
    Store(#[source] StoreError),
    /// The output failed.
    #[error("could not print")]
    Print(#[source] io::Error),
}

/// What searches in a center, as its settings say.
///
/// # Errors
/// When the processor does not fit, or the manifest is not in order.
pub fn searcher(center: Center, dir: &DataDir, config: &Config) -> Result<Searcher, IndexCommandError> {
    machine::check().map_err(IndexCommandError::Machine)?;
    let manifest = config.models.manifest().map_err(IndexCommandError::Manifest)?;
    let models = Arc::new(FeatureModels::from_manifest(&manifest).map_err(IndexCommandError::Models)?);
    Ok(Searcher {
        center,
        models,
        config: config.identification,
        open_in_shadow: config.cases.open_in_shadow,
        folder: dir.indexes(),
        surroundings: Arc::new(System),
    })
}

/// Runs `matcher index …`.
///
/// # Errors
/// When the center cannot be opened, or the store, an index or the output fails.
pub async fn run((dir, config): &(DataDir, Config), command: &IndexCommand) -> Result<ExitCode, IndexCommandError> {
    let searcher = searcher(Center::open(dir).await.map_err(IndexCommandError::Open)?, dir, config)?;
    match command {
        IndexCommand::Status { json } => print(&status(&searcher, *json).await?)?,
        IndexCommand::Rebuild => rebuild(&searcher).await?,
        IndexCommand::Findings { since, limit, json } => {
            let since = since.time(System.now_ms());
            let found = searcher.center.store.search_findings(since, *limit).await.map_err(IndexCommandError::Store)?;
            print(&findings(&found, *json)?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs `matcher subject search`.
///
/// # Errors
/// When the center cannot be opened, or the question is not answered.
pub async fn search(center: &Center, dir: &DataDir, args: &SearchArgs) -> Result<(), IndexCommandError> {
    let config = Config::load(dir).map_err(IndexCommandError::Config)?;
    let searcher = searcher(center.clone(), dir, &config)?;
    let scope = match (&args.region, &args.institution) {
        (_, Some(institution)) => Scope::Institution(institution.clone()),
        (region, None) => Scope::Region(region.clone().unwrap_or_default()),
    };
    let mut held = searcher.held(scope.kind()).await.map_err(IndexCommandError::Identify)?;
    let (subject, record) = (args.subject, args.record);
    let question = Question { subject, record, scope, by: args.by.clone(), reason: args.reason.clone() };
    let answer = searcher.ask(&mut held, &question).await.map_err(IndexCommandError::Ask)?;
    print(&if args.json { json_text(&answer)? } else { answer_text(&answer) })
}

async fn rebuild(searcher: &Searcher) -> Result<(), IndexCommandError> {
    for kind in Searchable::ALL {
        let bar = ProgressBar::new(0);
        let progress = |done, of| {
            bar.set_length(of);
            bar.set_position(done);
        };
        let held = searcher.build(kind, &progress).await.map_err(IndexCommandError::Identify)?;
        bar.finish_and_clear();
        let held = searcher.save(held).await.map_err(IndexCommandError::Identify)?;
        let mib = held.index().map_or(0, matcher_index::FaceIndex::bytes) >> 20;
        print(&format!("{}: {} records, {mib} MiB in memory, saved in {}", kind.word(), held.len(), searcher.folder.display()))?;
    }
    Ok(())
}

async fn status(searcher: &Searcher, as_json: bool) -> Result<String, IndexCommandError> {
    let mut rows = Vec::new();
    for kind in Searchable::ALL {
        let (wanted, _) = searcher.wanted(kind).map_err(IndexCommandError::Identify)?;
        let (store, since) = (&searcher.center.store, wanted.since);
        let there = store.searchable_count(kind, &wanted.made_by, since).await.map_err(IndexCommandError::Store)?;
        let path = sealed::path(&searcher.folder, kind);
        rows.push(match sealed::header(&searcher.center.vault, &path) {
            Ok(header) => {
                let fits = header.what().is_some_and(|what| what.made_by == wanted.made_by);
                let behind = store.feed_after(header.position(), 1).await.map_err(IndexCommandError::Store)?;
                let state = match behind {
                    _ if !fits => "of another model",
                    None => "too old",
                    Some(changes) if changes.is_empty() => "up to date",
                    Some(_) => "to be brought up to date",
                };
                (kind, there, Some(header.records), utc(header.saved_at), state)
            }
            Err(IdentifyError::File(error)) if error.kind() == io::ErrorKind::NotFound => (kind, there, None, String::new(), "missing"),
            Err(_) => (kind, there, None, String::new(), "does not open"),
        });
    }
    if as_json {
        let row = |(kind, there, saved, at, state): &(Searchable, u64, Option<u64>, String, &str)| json!({ "kind": kind.word(), "in_store": there, "saved": saved, "saved_at": at, "state": state });
        return json_text(&rows.iter().map(row).collect::<Vec<_>>());
    }
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(["index", "in store", "saved", "at", "state"]);
    for (kind, there, saved, at, state) in rows {
        let saved = saved.map_or_else(|| "–".to_owned(), |saved| saved.to_string());
        table.add_row([kind.word(), &there.to_string(), &saved, &at, state]);
    }
    Ok(format!("{table}\nWhat a running process has in memory is newer than what it has saved."))
}

fn findings(found: &[StoredFinding], as_json: bool) -> Result<String, IndexCommandError> {
    if as_json {
        let row = |finding: &StoredFinding| {
            json!({
                "kind": finding.kind.word(),
                "person": finding.subject.to_string(),
                "about": finding.about,
                "score": finding.score,
                "flag": finding.flag.to_string(),
                "found_at": utc(finding.found_at),
            })
        };
        return json_text(&found.iter().map(row).collect::<Vec<_>>());
    }
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(["found at", "what", "person", "about", "score"]);
    for finding in found {
        let score = finding.score.map_or_else(String::new, |score| format!("{score:.3}"));
        table.add_row([utc(finding.found_at), finding.kind.word().into(), finding.subject.to_string(), finding.about.clone(), score]);
    }
    Ok(format!("{table}\nA finding is something to look at, and accuses nobody."))
}

fn answer_text(answer: &Answer) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(["person", "record", "score"]);
    for candidate in &answer.candidates {
        table.add_row([candidate.person.clone(), candidate.record.clone(), format!("{:.3}", candidate.score)]);
    }
    let count = answer.candidates.len();
    format!(
        "{table}\n{count} of {} searched reach {:.3}, the score at which at most {:.4} of searches for somebody who is not there report\n\
         anybody. Candidates are ids; a score is no verdict.",
        answer.searched, answer.threshold, answer.fpir
    )
}

fn json_text(value: &impl serde::Serialize) -> Result<String, IndexCommandError> {
    serde_json::to_string_pretty(value).map_err(|error| IndexCommandError::Print(io::Error::other(error)))
}

fn print(text: &str) -> Result<(), IndexCommandError> {
    out::line(text).map_err(IndexCommandError::Print)
}
