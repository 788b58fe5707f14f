//! `matcher cases …` and `matcher operators`: evidence, cases and draws for people and programs.
//!
//! What is shown is pseudonymous: masked numbers, ids, times, what the machine found. Faces are looked at elsewhere.

use std::{io, sync::Arc};

use clap::{Args, Subcommand, ValueEnum};
use jiff::tz::TimeZone;
use matcher_core::{
    Identifier, IdentifierError, IdentifierKind, Region,
    evidence::{CaseEvent, CaseStep, CaseVerdict, EvidenceFile, file::EvidenceFileError},
};
use thiserror::Error;

use crate::{
    app::cases::{CaseRunner, CasesError, desk},
    center::{Center, OpenError},
    config::{Config, ConfigError},
    data_dir::DataDir,
    listing::Since,
    out,
    store::{RecordId, RequestKey, StoreError, SubjectId, TimeMs},
    surroundings::{Surroundings, System},
};

mod json;
mod table;

/// What can be done with cases.
#[derive(Debug, Subcommand)]
pub enum CasesCommand {
    /// Gather evidence now, open cases the desk has room for, draw yesterday's matches
    Run {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List cases, newest first
    List(ListArgs),
    /// Show a case: what it is about and what happened to it
    Show {
        /// Id of the case
        #[arg(value_parser = parse_id)]
        id: RecordId,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Open a case on a complaint
    Open(OpenArgs),
    /// Work on a case, or on none of it any longer
    Claim {
        /// Id of the case
        #[arg(value_parser = parse_id)]
        id: RecordId,
        /// Who
        #[arg(long, value_name = "NAME")]
        by: String,
        /// Give it back instead
        #[arg(long)]
        release: bool,
    },
    /// Give a verdict (claims an open case), or a second one where a first waits for it
    Decide(DecideArgs),
    /// Close a decided case
    Close {
        /// Id of the case
        #[arg(value_parser = parse_id)]
        id: RecordId,
        /// Who
        #[arg(long, value_name = "NAME")]
        by: String,
    },
    /// Open a decided or closed case again
    Reopen {
        /// Id of the case
        #[arg(value_parser = parse_id)]
        id: RecordId,
        /// Who
        #[arg(long, value_name = "NAME")]
        by: String,
        /// Why, in a few words
        #[arg(long)]
        reason: String,
    },
    /// Matches drawn for a blind look, and how many of all matches are false by those judged; other ways drawn beside them
    Draws {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Write down what a look at a draw showed: of a match one person or two, of another way in order or not
    Judge {
        /// Id of the drawn verification
        #[arg(value_parser = parse_id)]
        verification: RecordId,
        /// One person, or two
        #[arg(long, value_enum)]
        saw: Saw,
        /// Who
        #[arg(long, value_name = "NAME")]
        by: String,
    },
}

/// What a blind look showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Saw {
    /// One person on both pictures; of another way: it was in order.
    One,
    /// Two people; of another way: it was not in order, which opens a case.
    Two,
}

/// Which cases to list.
#[derive(Debug, Clone, Args)]
pub struct ListArgs {
    /// Only those opened from this time on: so long ago (90m, 24h, 30d), or a time (2026-01-31T08:00:00+08:00)
    #[arg(long, value_name = "TIME", default_value = "30d")]
    since: Since,
    /// Only those in this state: open, claimed, decided, second_review, closed
    #[arg(long, value_parser = parse_state)]
    state: Option<matcher_core::evidence::CaseState>,
    /// At most so many, 1 to 100,000
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

/// A complaint.
#[derive(Debug, Clone, Args)]
pub struct OpenArgs {
    /// About a transaction of an institution
    #[arg(long, value_name = "ID", requires = "transaction", required_unless_present = "card")]
    institution: Option<String>,
    /// Which transaction
    #[arg(long, value_name = "ID", requires = "institution")]
    transaction: Option<String>,
    /// About a social-security card, whose number is read from standard input
    #[arg(long, conflicts_with = "transaction")]
    card: bool,
    /// Region that issued the card, six digits
    #[arg(long, value_name = "CODE", default_value = "", requires = "card")]
    region: String,
    /// Why, in a few words
    #[arg(long)]
    reason: String,
    /// Who writes it down
    #[arg(long, value_name = "NAME")]
    by: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A verdict.
#[derive(Debug, Clone, Args)]
pub struct DecideArgs {
    /// Id of the case
    #[arg(value_parser = parse_id)]
    id: RecordId,
    /// confirmed, false_alarm, proxy or inconclusive
    #[arg(value_parser = parse_verdict)]
    verdict: CaseVerdict,
    /// Who
    #[arg(long, value_name = "NAME")]
    by: String,
    /// Why, in a few words
    #[arg(long)]
    reason: String,
}

/// Since when operators are watched.
#[derive(Debug, Clone, Args)]
pub struct OperatorsArgs {
    /// From this time on: so long ago (90m, 24h, 30d), or a time (2026-01-31T08:00:00+08:00)
    #[arg(long, value_name = "TIME", default_value = "30d")]
    since: Since,
    /// All of them, not only those worth asking about
    #[arg(long)]
    all: bool,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

fn parse_id(text: &str) -> Result<RecordId, String> {
    let hex: String = text.chars().filter(|c| *c != '-').collect();
    let wrong = || "expected an id such as 00112233-4455-6677-8899-aabbccddeeff".to_owned();
    if hex.len() != 32 || !hex.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    u128::from_str_radix(&hex, 16).map(|number| RecordId(number.to_be_bytes())).map_err(|_| wrong())
}

fn parse_state(word: &str) -> Result<matcher_core::evidence::CaseState, String> {
    use matcher_core::evidence::CaseState;
    let words = || CaseState::ALL.iter().map(|state| state.word()).collect::<Vec<_>>().join(", ");
    CaseState::from_word(word).ok_or_else(|| format!("expected one of {}", words()))
}

fn parse_verdict(word: &str) -> Result<CaseVerdict, String> {
    let words = || CaseVerdict::ALL.iter().map(|verdict| verdict.word()).collect::<Vec<_>>().join(", ");
    CaseVerdict::from_word(word).ok_or_else(|| format!("expected one of {}", words()))
}

/// Evidence that cannot be gathered as things are set.
#[derive(Debug, Error)]
pub enum RunnerError {
    /// The settings are not in order.
    #[error(transparent)]
    Config(ConfigError),
    /// What scores say is not in order.
    #[error("evidence: {0}")]
    Evidence(EvidenceFileError),
}

/// A command that failed.
#[derive(Debug, Error)]
pub enum CasesCommandError {
    /// The center cannot be opened.
    #[error(transparent)]
    Open(OpenError),
    /// Evidence cannot be gathered as things are set.
    #[error(transparent)]
    Runner(RunnerError),
    /// The turn broke off.
    #[error("evidence could not be gathered")]
    Run(#[source] CasesError),
    /// Another process gathers evidence just now.
    #[error("another process gathers evidence just now")]
    Busy,
    /// The step was not taken.
    #[error(transparent)]
    Desk(desk::DeskError),
    /// The number is none.
    #[error("card: {0}")]
    Card(IdentifierError),
    /// The store failed.
    #[error("the store could not be asked")]
    Store(#[source] StoreError),
    /// Standard input or output failed.
    #[error("could not read or print")]
    Io(#[source] io::Error),
}

/// What gathers evidence, as things are set.
///
/// # Errors
/// When the settings, or what scores say, are not in order.
pub fn runner(center: &Center, config: &Config) -> Result<CaseRunner, RunnerError> {
    let evidence = EvidenceFile::from_toml(EvidenceFile::SHIPPED).and_then(|file| file.check()).map_err(RunnerError::Evidence)?;
    Ok(CaseRunner {
        center: center.clone(),
        surroundings: Arc::new(System),
        settings: config.cases.settings().map_err(RunnerError::Config)?,
        evidence: Arc::new(evidence),
        zone: TimeZone::system(),
    })
}

/// Runs `matcher cases …`.
///
/// # Errors
/// When the center cannot be opened, the step does not follow, or the store fails.
pub async fn run((dir, config): &(DataDir, Config), command: &CasesCommand) -> Result<(), CasesCommandError> {
    let center = Center::open(dir).await.map_err(CasesCommandError::Open)?;
    let store = center.store.as_ref();
    match command {
        CasesCommand::Run { json } => gather(&center, config, *json).await,
        CasesCommand::List(args) => {
            let cases = desk::cases(store, at(args.since), args.limit).await.map_err(CasesCommandError::Desk)?;
            let cases: Vec<_> = cases.into_iter().filter(|view| args.state.is_none_or(|state| view.case.state() == state)).collect();
            print(if args.json { json::cases(&cases) } else { Ok(table::cases(&cases, &TimeZone::system())) })
        }
        CasesCommand::Show { id, json } => show(&desk::case(store, *id).await.map_err(CasesCommandError::Desk)?, *json),
        CasesCommand::Open(args) => open(&center, config, args).await,
        CasesCommand::Claim { id, by, release } => {
            let event = if *release { CaseEvent::Released } else { CaseEvent::Claimed };
            step(&center, *id, by, event).await
        }
        CasesCommand::Decide(args) => {
            let said = (args.verdict, args.reason.as_str());
            let view = desk::decide(store, args.id, &args.by, System.now_ms(), said).await.map_err(CasesCommandError::Desk)?;
            show(&view, false)
        }
        CasesCommand::Close { id, by } => step(&center, *id, by, CaseEvent::Closed).await,
        CasesCommand::Reopen { id, by, reason } => step(&center, *id, by, CaseEvent::Reopened(reason.clone())).await,
        CasesCommand::Draws { json } => draws(&center, *json).await,
        CasesCommand::Judge { verification, saw, by } => {
            let said = (by.as_str(), *saw == Saw::Two);
            let opened = desk::judge_draw(store, &System, *verification, said, config.cases.prevalence).await;
            match opened.map_err(CasesCommandError::Desk)? {
                Some(view) => show(&view, false),
                None => print(Ok("written down: one person".to_owned())),
            }
        }
    }
}

/// Runs `matcher operators`.
///
/// # Errors
/// When the center cannot be opened or the store fails.
pub async fn operators((dir, _): &(DataDir, Config), args: &OperatorsArgs) -> Result<(), CasesCommandError> {
    let store = Center::open(dir).await.map_err(CasesCommandError::Open)?.store;
    let mut watched = desk::operators(store.as_ref(), at(args.since)).await.map_err(CasesCommandError::Desk)?;
    watched.retain(|watched| args.all || watched.flagged);
    watched.sort_by(|a, b| b.flagged.cmp(&a.flagged).then(a.p_value.total_cmp(&b.p_value)));
    print(if args.json { json::operators(&watched) } else { Ok(table::operators(&watched)) })
}

async fn gather(center: &Center, config: &Config, as_json: bool) -> Result<(), CasesCommandError> {
    let runner = runner(center, config).map_err(CasesCommandError::Runner)?;
    let done = runner.once().await.map_err(CasesCommandError::Run)?.ok_or(CasesCommandError::Busy)?;
    print(if as_json { serde_json::to_string_pretty(&done) } else { Ok(table::summary(&done, runner.may_open())) })
}

async fn step(center: &Center, id: RecordId, by: &str, event: CaseEvent) -> Result<(), CasesCommandError> {
    let step = CaseStep { at: System.now_ms(), by: by.to_owned(), event };
    let view = desk::step(center.store.as_ref(), id, step).await.map_err(CasesCommandError::Desk)?;
    show(&view, false)
}

async fn open(center: &Center, config: &Config, args: &OpenArgs) -> Result<(), CasesCommandError> {
    let about = if args.card { of_card(center, &args.region).await? } else { of_transaction(center, args).await? };
    let said = (args.by.as_str(), args.reason.as_str());
    let view = desk::complain(center.store.as_ref(), &System, about, said, config.cases.prevalence).await;
    show(&view.map_err(CasesCommandError::Desk)?, args.json)
}

/// Whose card a transaction was about, and its verifications, attempt by attempt.
async fn of_transaction(center: &Center, args: &OpenArgs) -> Result<Option<(SubjectId, Vec<RecordId>)>, CasesCommandError> {
    let (Some(institution), Some(transaction)) = (&args.institution, &args.transaction) else { return Ok(None) };
    let decisions = center.store.decisions_of(institution, transaction).await.map_err(CasesCommandError::Store)?;
    let (mut whose, mut records) = (None, Vec::new());
    for (attempt, _) in decisions {
        let key = RequestKey { institution: institution.clone(), transaction: transaction.clone(), attempt };
        let Some(record) = center.store.answer(&key).await.map_err(CasesCommandError::Store)? else { continue };
        let leading = record.subject.unwrap_or(SubjectId(record.id.0));
        if *whose.get_or_insert(leading) == leading {
            records.push(record.id);
        }
    }
    Ok(whose.map(|whose| (whose, records)))
}

/// Whose card it is, and all its visits with a face. The number comes from standard input, so that it stands in no
/// list of processes.
async fn of_card(center: &Center, region: &str) -> Result<Option<(SubjectId, Vec<RecordId>)>, CasesCommandError> {
    let mut number = String::new();
    io::stdin().read_line(&mut number).map_err(CasesCommandError::Io)?;
    let region = if region.is_empty() { Region::default() } else { Region::new(region).map_err(CasesCommandError::Card)? };
    let identifier = Identifier::new(IdentifierKind::SocialSecurityCard, region, number.trim()).map_err(CasesCommandError::Card)?;
    let Some((person, _)) = center.subject_of(&identifier).await.map_err(CasesCommandError::Store)? else { return Ok(None) };
    let visits = center.store.visits_of(person.subject, TimeMs::MIN).await.map_err(CasesCommandError::Store)?;
    Ok(visits.map(|visits| (person.subject, visits.visits.iter().map(|visit| visit.verification).collect())))
}

async fn draws(center: &Center, as_json: bool) -> Result<(), CasesCommandError> {
    let store = center.store.as_ref();
    let draws = store.draws(i32::MIN).await.map_err(CasesCommandError::Store)?;
    let misses = desk::misses(store, i32::MIN).await.map_err(CasesCommandError::Desk)?;
    print(if as_json { json::draws(&draws, &misses) } else { Ok(table::draws(&draws, &misses)) })
}

fn at(since: Since) -> TimeMs {
    match since {
        Since::Ago(ms) => System.now_ms().saturating_sub(ms),
        Since::At(at) => at,
    }
}

fn show(view: &desk::CaseView, as_json: bool) -> Result<(), CasesCommandError> {
    print(if as_json { json::case(view) } else { Ok(table::case(view, &TimeZone::system())) })
}

fn print(text: serde_json::Result<String>) -> Result<(), CasesCommandError> {
    text.map_err(io::Error::other).and_then(|text| out::line(&text)).map_err(CasesCommandError::Io)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_they_are_printed() {
        let id = RecordId(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff_u128.to_be_bytes());
        assert_eq!(parse_id(&id.to_string()), Ok(id));
        for wrong in ["", "00112233", "+0112233-4455-6677-8899-aabbccddeeff", "g0112233-4455-6677-8899-aabbccddeeff"] {
            assert!(parse_id(wrong).is_err(), "{wrong}");
        }
        assert!(parse_verdict("guilty").unwrap_err().contains("false_alarm"));
        assert!(parse_state("lost").unwrap_err().contains("second_review"));
    }
}
