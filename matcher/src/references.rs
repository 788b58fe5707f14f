//! `matcher references`: how many there are of each model, making them again under another, and retiring the old ones.

use std::{io, process::ExitCode, sync::Arc};

use clap::{Args, Subcommand};
use comfy_table::{Cell, CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use indicatif::{ProgressBar, ProgressStyle};
use matcher_core::Policy;
use serde_json::{Value, json};
use thiserror::Error;

use crate::{
    app::reextract::{self, ReextractError},
    center::{Center, OpenError},
    config::Config,
    data_dir::DataDir,
    import::stop_on_ctrl_c,
    networks::{self, NetworksError},
    out,
    store::{MadeBy, StoreError},
    surroundings::{Surroundings, System},
};

/// References of one commit when they are retired.
const BATCH_LEN: u32 = 1_000;
/// Stopped by Ctrl-C, as a shell says it.
const INTERRUPTED: u8 = 130;

/// What can be done with references.
#[derive(Debug, Subcommand)]
pub enum ReferencesCommand {
    /// Count references by model and recipe, those the policy serves, and numbers that are not sealed yet
    Status {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Make references of all photos in use under the networks of the settings ([models]); start again to go on
    #[command(
        after_help = "Both models serve meanwhile and afterwards. Apply a policy with thresholds for the new one to switch over, and\n\
                            the policy before it to switch back. Exit codes: 0 every photo has a reference or a reason, 1 failed or some\n\
                            photos failed, 130 stopped by Ctrl-C."
    )]
    ReExtract {
        /// The model and recipe that are expected; anything else is refused
        #[command(flatten)]
        expected: Expected,
    },
    /// Delete the references of a model and recipe that no policy in force has thresholds for; photos stay
    Retire {
        /// The model
        #[arg(long)]
        model: String,
        /// The recipe
        #[arg(long)]
        recipe: String,
        /// Even where photos in use are left without any reference
        #[arg(long)]
        force: bool,
    },
}

/// A model and recipe that the settings must have.
#[derive(Debug, Clone, Args)]
pub struct Expected {
    /// The model
    #[arg(long)]
    pub model: Option<String>,
    /// The recipe
    #[arg(long)]
    pub recipe: Option<String>,
}

/// A command that could not be carried out.
#[derive(Debug, Error)]
pub enum CommandError {
    /// The center cannot be opened.
    #[error(transparent)]
    Open(OpenError),
    /// The manifest is not in order.
    #[error("could not read the models' manifest")]
    Manifest(#[source] models::manifest::ManifestError),
    /// There are no networks.
    #[error("no networks to make references with (`models fetch` brings them)")]
    Networks(#[source] NetworksError),
    /// The networks are others than were expected.
    #[error("--{what}: expected {expected}, but the settings have {found}; name another manifest under [models]")]
    OtherModel {
        /// Model or recipe.
        what: &'static str,
        /// As given.
        expected: String,
        /// As loaded.
        found: String,
    },
    /// The policy in force has thresholds for what was to be retired.
    #[error("the policy in force has thresholds for this model and recipe; apply one without them first")]
    Served,
    /// Photos would be left without a reference.
    #[error("{0} photos in use would be left without any reference; re-extract first, or give --force")]
    Dependent(u64),
    /// The run broke off.
    #[error(transparent)]
    Run(ReextractError),
    /// The store failed.
    #[error("the store could not be asked")]
    Store(#[source] StoreError),
    /// The output failed.
    #[error("could not print")]
    Print(#[source] io::Error),
}

/// Runs the command.
///
/// # Errors
/// When the center or the networks cannot be had, the store fails, or something forbids it.
pub async fn run(command: &ReferencesCommand, dir: &DataDir, config: &Config) -> Result<ExitCode, CommandError> {
    let center = Center::open(dir).await.map_err(CommandError::Open)?;
    match command {
        ReferencesCommand::Status { json } => {
            let status = Status::of(&center).await.map_err(CommandError::Store)?;
            print(&if *json { format!("{:#}", status.json()) } else { status.table() })?;
            Ok(ExitCode::SUCCESS)
        }
        ReferencesCommand::ReExtract { expected } => re_extract(&center, config, expected).await,
        ReferencesCommand::Retire { model, recipe, force } => {
            let made_by = MadeBy { model: model.clone(), recipe: recipe.clone() };
            let retired = retire(&center, &made_by, *force).await?;
            print(&format!("{retired} references by {model} {recipe} are deleted; their photos stay"))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn re_extract(center: &Center, config: &Config, expected: &Expected) -> Result<ExitCode, CommandError> {
    let manifest = config.models.manifest().map_err(CommandError::Manifest)?;
    let pipeline = networks::load(&manifest, &config.models.cache_dir()).map_err(CommandError::Networks)?;
    let made_by = reextract::made_by(&pipeline);
    for (what, expected, found) in [("model", &expected.model, &made_by.model), ("recipe", &expected.recipe, &made_by.recipe)] {
        if let Some(expected) = expected.as_ref().filter(|expected| *expected != found) {
            return Err(CommandError::OtherModel { what, expected: expected.clone(), found: found.clone() });
        }
    }
    let bar = ProgressBar::new(center.store.lacking_count(&made_by).await.map_err(CommandError::Store)?);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} photos · {per_sec} · {eta} left") {
        bar.set_style(style);
    }
    let stop = stop_on_ctrl_c();
    let done = reextract::reextract(center, &pipeline, Arc::new(System), &stop, |done| bar.set_position(done)).await;
    bar.finish_and_clear();
    let done = done.map_err(CommandError::Run)?;
    let stopped = if done.stopped { "; stopped, start the same command again to go on" } else { "" };
    print(&format!("{} references made, {} photos gave none, {} failed{stopped}", done.made, done.refused, done.failed))?;
    Ok(match (done.stopped, done.failed) {
        (true, _) => ExitCode::from(INTERRUPTED),
        (false, 0) => ExitCode::SUCCESS,
        (false, _) => ExitCode::FAILURE,
    })
}

async fn retire(center: &Center, made_by: &MadeBy, force: bool) -> Result<u64, CommandError> {
    if serves(&center.policies.current().policy, made_by) {
        return Err(CommandError::Served);
    }
    let dependent = center.store.dependent_on(made_by).await.map_err(CommandError::Store)?;
    if dependent > 0 && !force {
        return Err(CommandError::Dependent(dependent));
    }
    let mut retired = 0;
    loop {
        let batch = center.store.retire(made_by, BATCH_LEN).await.map_err(CommandError::Store)?;
        retired += batch;
        if batch < u64::from(BATCH_LEN) {
            break;
        }
    }
    center.store.note_extractions(made_by, 0, retired, System.now_ms()).await.map_err(CommandError::Store)?;
    center.store.settle().await.map_err(CommandError::Store)?;
    Ok(retired)
}

/// Whether a policy has thresholds for a model and recipe, so that probes of it are decided on.
fn serves(policy: &Policy, made_by: &MadeBy) -> bool {
    policy.models().any(|(model, recipe)| model.as_str() == made_by.model && recipe.as_str() == made_by.recipe)
}

/// One line of the status.
struct Line {
    made_by: MadeBy,
    in_use: u64,
    ended: u64,
    lacking: u64,
    refused: u64,
    served: bool,
}

struct Status {
    lines: Vec<Line>,
    unbound: u64,
}

impl Status {
    /// Models of references and of the policy in force.
    async fn of(center: &Center) -> Result<Self, StoreError> {
        let in_force = center.policies.current();
        let stored = center.store.references_by_model().await?;
        let mut models: Vec<(MadeBy, u64, u64)> = stored.into_iter().map(|found| (found.made_by, found.in_use, found.ended)).collect();
        for (model, recipe) in in_force.policy.models() {
            let made_by = MadeBy { model: model.to_string(), recipe: recipe.to_string() };
            if !models.iter().any(|(known, ..)| *known == made_by) {
                models.push((made_by, 0, 0));
            }
        }
        let mut lines = Vec::new();
        for (made_by, in_use, ended) in models {
            let lacking = center.store.lacking_count(&made_by).await?;
            let refused = center.store.extraction_failures(&made_by).await?.iter().map(|(_, photos)| photos).sum();
            let served = serves(&in_force.policy, &made_by);
            lines.push(Line { made_by, in_use, ended, lacking, refused, served });
        }
        Ok(Self { lines, unbound: center.store.unbound_identifiers().await? })
    }

    fn json(&self) -> Value {
        let line = |line: &Line| {
            json!({ "model": line.made_by.model, "recipe": line.made_by.recipe, "in_use": line.in_use, "ended": line.ended,
                    "lacking": line.lacking, "refused": line.refused, "served": line.served })
        };
        json!({ "models": self.lines.iter().map(line).collect::<Vec<_>>(), "identifiers_not_sealed": self.unbound })
    }

    fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED).set_header(["model", "recipe", "policy", "in use", "lacking", "refused", "ended"]);
        for line in &self.lines {
            let number = |number: u64| Cell::new(number).set_alignment(CellAlignment::Right);
            let served = if line.served { "serves" } else { "candidate or old" };
            let (model, recipe) = (Cell::new(&line.made_by.model), Cell::new(&line.made_by.recipe));
            let numbers = [line.in_use, line.lacking, line.refused, line.ended].map(number);
            table.add_row([model, recipe, Cell::new(served)].into_iter().chain(numbers));
        }
        format!("{table}\n{} numbers are not sealed yet; enrolling their persons again seals them", self.unbound)
    }
}

fn print(text: &str) -> Result<(), CommandError> {
    out::line(text).map_err(CommandError::Print)
}
