//! Writing: JSON, pages, tables, progress.

use std::{
    fs,
    io::{self, Write},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use anyhow::Context;
use comfy_table::{CellAlignment, Table, presets};
use datasets::trials::Pairs;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::{Value, json};

use crate::failure::{EXIT_UNUSABLE, Exit, Failure};

/// Writes figures as JSON with the command's name in front; without a path nothing is written.
pub(crate) fn json(path: Option<&Path>, command: &str, result: &impl Serialize) -> Result<(), Failure> {
    let Some(path) = path else { return Ok(()) };
    let mut document = json!({ "command": command });
    let value = serde_json::to_value(result).context("could not write JSON").exit(EXIT_UNUSABLE)?;
    if let (Value::Object(document), Value::Object(fields)) = (&mut document, value) {
        document.extend(fields);
    }
    let text = format!("{document:#}\n");
    if path == Path::new("-") { print(&text).map(|_| ()) } else { write(path, &text) }
}

/// Writes a page into a folder, which is made where it is missing.
pub(crate) fn page(folder: &Path, name: &str, html: &str) -> Result<(), Failure> {
    fs::create_dir_all(folder).with_context(|| format!("could not make {}", folder.display())).exit(EXIT_UNUSABLE)?;
    write(&folder.join(name), html)
}

/// Writes a file.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).with_context(|| format!("could not write {}", path.display())).exit(EXIT_UNUSABLE)
}

/// Writes the score of each trial, empty where nothing was compared.
pub(crate) fn scores(path: &Path, pairs: &Pairs, scores: &[Option<f32>]) -> Result<(), Failure> {
    let failed = || format!("could not write {}", path.display());
    let mut file = csv::Writer::from_path(path).with_context(failed).exit(EXIT_UNUSABLE)?;
    file.write_record(["label", "image_a", "image_b", "score"]).with_context(failed).exit(EXIT_UNUSABLE)?;
    let id = |picture: usize| pairs.pictures.id(picture);
    for (trial, score) in pairs.trials.iter().zip(scores) {
        let score = score.map_or_else(String::new, |score| score.to_string());
        let record = [if trial.mated { "1" } else { "0" }, id(trial.reference), id(trial.probe), &score];
        file.write_record(record).with_context(failed).exit(EXIT_UNUSABLE)?;
    }
    file.flush().with_context(failed).exit(EXIT_UNUSABLE)
}

/// A table whose columns but the first are set to the right.
pub(crate) fn table(header: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(header.to_vec());
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{table}\n")
}

/// A bar on standard error; not there when that is no terminal.
pub(crate) fn progress(pictures: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {pos}/{len} pictures  {bar:30}  {elapsed} of about {duration}");
    let bar = ProgressBar::new(pictures as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// A share as a percentage, or a dash.
pub(crate) fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "–".into(), |share| format!("{:.3} %", share * 100.0))
}

/// An interval in brackets, or nothing.
pub(crate) fn interval(interval: Option<[f64; 2]>) -> String {
    interval.map_or_else(String::new, |[lower, upper]| format!("{:.3} to {:.3} %", lower * 100.0, upper * 100.0))
}

/// Writes to standard output; a reader that went away is no error.
pub(crate) fn print(text: &str) -> Result<ExitCode, Failure> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("could not write to standard output").exit(EXIT_UNUSABLE)
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Writes a line to standard error.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
