//! `matcher coverage`: who has a reference that counts, by region and age.

use std::io;

use clap::Args;
use comfy_table::{Cell, CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use thiserror::Error;

use crate::{
    app::coverage::{self, Line},
    center::{Center, OpenError},
    data_dir::DataDir,
    out,
    store::StoreError,
    surroundings::{Surroundings, System},
};

/// How the report is printed.
#[derive(Debug, Clone, Args)]
pub struct CoverageArgs {
    /// Print a JSON array
    #[arg(long)]
    pub json: bool,
}

/// A report that could not be made.
#[derive(Debug, Error)]
pub enum CommandError {
    /// The center cannot be opened.
    #[error(transparent)]
    Open(OpenError),
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
/// When the center cannot be opened, or the store or the output fails.
pub async fn run(args: &CoverageArgs, dir: &DataDir) -> Result<(), CommandError> {
    let center = Center::open(dir).await.map_err(CommandError::Open)?;
    let lines = coverage::coverage(&center, System.now_ms()).await.map_err(CommandError::Store)?;
    let text = if args.json { serde_json::to_string_pretty(&lines).map_err(io::Error::other) } else { Ok(table(&lines)) };
    text.and_then(|text| out::line(&text)).map_err(CommandError::Print)
}

fn table(lines: &[Line]) -> String {
    let mut table = Table::new();
    let header =
        ["region", "age", "persons", "with reference", "withdrawn", "refused", "photo's day known", "median days", "over 10 years"];
    table.load_style(UTF8_FULL_CONDENSED).set_header(header);
    for Line { region, age, cell } in lines {
        let number = |number: u64| Cell::new(number).set_alignment(CellAlignment::Right);
        let share = (cell.with_reference * 100).checked_div(cell.persons).unwrap_or_default();
        let median = cell.photo_age_median_days.map_or_else(|| "–".to_owned(), |days| days.to_string());
        table.add_row([
            Cell::new(if region.is_empty() { "own" } else { region }),
            Cell::new(age),
            number(cell.persons),
            Cell::new(format!("{} ({share} %)", cell.with_reference)).set_alignment(CellAlignment::Right),
            number(cell.withdrawn),
            number(cell.refused),
            number(cell.photo_age_known),
            Cell::new(median).set_alignment(CellAlignment::Right),
            number(cell.photo_older_than_ten_years),
        ]);
    }
    format!("{table}\nPhotos that were refused before anybody was enrolled are in the reports of `matcher enrol`.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_whole_and_nobody_divides_by_nobody() {
        let cell = coverage::Cell { persons: 3, with_reference: 2, ..coverage::Cell::default() };
        let text = table(&[
            Line { region: String::new(), age: "all", cell },
            Line { region: "330200".into(), age: "75+", cell: coverage::Cell::default() },
        ]);
        assert!(text.contains("2 (66 %)") && text.contains("0 (0 %)") && text.contains("own"), "{text}");
    }
}
