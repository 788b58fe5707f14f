//! `matcher seeds`: pairs of faces whose answer is known, for cases that reviewers are measured by.

use std::{fs, io, path::PathBuf};

use clap::{Args, Subcommand};
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use models::pipeline::Pipeline;
use serde::Deserialize;
use serde_json::json;
use thiserror::Error;

use crate::{
    app::seeds::{self, NewPair, SeedError},
    center::Center,
    import::photos::Photos,
    out,
    store::{StoreError, seeds::SeedUse},
    surroundings::{Surroundings, System},
};

/// What can be done with pairs.
#[derive(Debug, Subcommand)]
pub enum SeedsCommand {
    /// Add pairs from a list: CSV with the columns name, licence, mated (yes, no), photo, captures, and own where there are captures of the
    /// photo's person beside those that are judged; several files with ';' between them
    Add(AddArgs),
    /// List pairs with what was done with them
    List {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Show a pair to nobody any more
    Retire {
        /// The pair's name
        name: String,
        /// Who says so
        #[arg(long, value_name = "NAME")]
        by: String,
    },
}

/// What is added.
#[derive(Debug, Clone, Args)]
pub struct AddArgs {
    /// The list
    #[arg(long, value_name = "CSV")]
    manifest: PathBuf,
    /// Folder the list's pictures are in
    #[arg(long, value_name = "DIR")]
    photos: PathBuf,
    /// Who adds them
    #[arg(long, value_name = "NAME")]
    by: String,
}

#[derive(Debug, Deserialize)]
struct Row {
    name: String,
    licence: String,
    mated: String,
    photo: String,
    captures: String,
    #[serde(default)]
    own: String,
}

/// A command that failed.
#[derive(Debug, Error)]
pub enum SeedsError {
    /// The list cannot be read.
    #[error("manifest: expected CSV with name, licence, mated (yes, no), photo, captures")]
    Manifest(#[source] csv::Error),
    /// The folder cannot be opened.
    #[error("photos: expected a folder")]
    Photos(#[source] io::Error),
    /// A row was refused; those before it are added.
    #[error("{name}: not added; those before it are")]
    Row {
        /// The pair.
        name: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A field is not in order.
    #[error("{0}: expected {1}")]
    Field(&'static str, &'static str),
    /// There is no such pair.
    #[error("name: expected a pair that is shown")]
    Unknown,
    /// The store failed.
    #[error("the store could not be asked")]
    Store(#[source] StoreError),
    /// The output failed.
    #[error("could not print")]
    Print(#[source] io::Error),
}

/// Runs `matcher seeds`; `networks` loads them where they are needed.
///
/// # Errors
/// When the list, a picture, the store or the output cannot be used.
pub async fn run(command: &SeedsCommand, center: &Center, networks: impl FnOnce() -> anyhow::Result<Pipeline>) -> anyhow::Result<()> {
    let said = match command {
        SeedsCommand::Add(args) => format!("added: {}", add(args, center, &networks()?).await?),
        SeedsCommand::List { json } => {
            let pairs = center.store.seed_pairs().await.map_err(SeedsError::Store)?;
            if *json { as_json(&pairs) } else { as_table(&pairs) }
        }
        SeedsCommand::Retire { name, by } => {
            let by = named(by)?;
            let retired = center.store.retire_seed_pair(name, by, System.now_ms()).await.map_err(SeedsError::Store)?;
            if !retired {
                return Err(SeedsError::Unknown.into());
            }
            format!("retired: {name}")
        }
    };
    out::line(&said).map_err(|error| SeedsError::Print(error).into())
}

fn named(by: &str) -> Result<&str, SeedsError> {
    let by = by.trim();
    if (1..=64).contains(&by.chars().count()) { Ok(by) } else { Err(SeedsError::Field("by", "a name of 1 to 64 characters")) }
}

async fn add(args: &AddArgs, center: &Center, pipeline: &Pipeline) -> Result<u64, SeedsError> {
    let by = named(&args.by)?;
    let bytes = fs::read(&args.manifest).map_err(|error| SeedsError::Manifest(error.into()))?;
    let rows: Vec<Row> =
        csv::Reader::from_reader(bytes.as_slice()).deserialize().collect::<Result<_, _>>().map_err(SeedsError::Manifest)?;
    let photos = Photos::open(&args.photos).map_err(SeedsError::Photos)?;
    let mut added = 0;
    for row in rows {
        let refused = |source: Box<dyn std::error::Error + Send + Sync>| SeedsError::Row { name: row.name.clone(), source };
        let read = |name: &str| photos.read(name.trim()).map_err(|error| refused(error.into()));
        let all = |names: &str| names.split(';').filter(|name| !name.trim().is_empty()).map(read).collect::<Result<Vec<_>, _>>();
        let mated = match row.mated.trim() {
            "yes" => true,
            "no" => false,
            _ => return Err(refused(SeedsError::Field("mated", "yes or no").into())),
        };
        let (photo, captures, own) = (read(&row.photo)?, all(&row.captures)?, all(&row.own)?);
        let new = NewPair { name: row.name.clone(), licence: row.licence.clone(), mated, photo, captures, own };
        let done = seeds::add(center, &System, pipeline, &new, by).await;
        done.map_err(|error: SeedError| refused(error.into()))?;
        added += 1;
    }
    Ok(added)
}

fn as_json(pairs: &[SeedUse]) -> String {
    let one = |of: &SeedUse| {
        json!({
            "name": of.pair.name,
            "licence": of.pair.licence,
            "mated": of.pair.mated,
            "score": of.pair.score,
            "model": of.pair.model,
            "captures": of.captures.1,
            "own_captures": of.captures.0,
            "cases": of.cases,
            "open": of.open,
            "answers": of.answers,
            "retired": of.pair.retired_at.is_some(),
        })
    };
    format!("{:#}", serde_json::Value::Array(pairs.iter().map(one).collect()))
}

fn as_table(pairs: &[SeedUse]) -> String {
    let mut table = Table::new();
    table
        .load_style(UTF8_FULL_CONDENSED)
        .set_header(["pair", "licence", "mated", "score", "captures", "own", "cases", "open", "answers", "retired"]);
    for of in pairs {
        let word = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
        let numbers = [of.captures.1, of.captures.0, of.cases, of.open, of.answers].map(|number| number.to_string());
        let head = [of.pair.name.clone(), of.pair.licence.clone(), word(of.pair.mated), format!("{:.3}", of.pair.score)];
        table.add_row([&head[..], &numbers[..], &[word(of.pair.retired_at.is_some())]].concat());
    }
    table.to_string()
}
