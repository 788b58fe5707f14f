//! Enrols very many synthetic people through the store port, sealed by the vault, with the real writer: rate, bytes a
//! record, and whether memory stays flat. Exits 1 when it does not.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Result;
use benches::load::{
    center::{Kept, Place},
    costs,
    machine::{Machine, resident_bytes},
};
use clap::Parser;
use serde::Serialize;

/// Enrol synthetic people: random templates, nobody's faces.
///
/// Exit codes: 0 memory stays flat; 1 it does not, or it could not be run; 2 wrong arguments.
#[derive(Debug, Parser)]
struct Arguments {
    /// People in the center at the end
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    people: u64,
    /// Bytes of a photo; none is behind a record, but photos are kept with it
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=5_242_880))]
    photo_bytes: u32,
    /// Where the store is: "sqlite", "postgres" for a server of this run's own, or the address of an empty PostgreSQL database
    #[arg(long, default_value = "sqlite")]
    store: String,
    /// Folder of the center, kept, for `load --data`; without it a new one that is removed
    #[arg(long)]
    data: Option<PathBuf>,
    /// Most that memory may grow from the first tenth to the end, in MiB
    #[arg(long, default_value_t = 32)]
    growth_max_mib: u64,
    /// Write the bytes of a record over those of this file of unit costs; of SQLite alone
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    machine: Machine,
    people: u64,
    seconds: f64,
    per_second: f64,
    photo_bytes: u32,
    bytes_per_record: u64,
    resident_mib: Vec<(u64, u64)>,
    growth_mib: u64,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let report = tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(measure(&arguments))?;
    if let Some(file) = arguments.write.as_ref().filter(|_| report.bytes_per_record > 0) {
        let bytes = report.bytes_per_record.saturating_sub(report.photo_bytes.into()) as f64;
        let values = BTreeMap::from([("record_bytes", bytes.max(1.0))]);
        costs::write(file, &format!("enrol_synthetic --people {}", arguments.people), &values)?;
    }
    benches::print(&if arguments.json { format!("{}\n", serde_json::to_string_pretty(&report)?) } else { text(&report) })?;
    Ok(if report.growth_mib <= arguments.growth_max_mib { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn measure(arguments: &Arguments) -> Result<Report> {
    let folder = tempfile::tempdir()?;
    let root = arguments.data.clone().unwrap_or_else(|| folder.path().to_owned());
    std::fs::create_dir_all(&root)?;
    let kept = Kept::of(&arguments.store)?;
    let place = Place::new(&root, kept.url.clone());
    place.prepare().await?;
    let center = place.open().await?;
    let there = center.store.holdings().await?.references;
    let (before, began) = (place.store_bytes(), Instant::now());
    let mut resident = Vec::new();
    let mut next_mark = there;
    let step = (arguments.people.saturating_sub(there) / 20).max(1);
    let each = |enrolled: u64| {
        if enrolled >= next_mark {
            resident.push((enrolled, resident_bytes() >> 20));
            next_mark = enrolled + step;
        }
    };
    place.enrol(&center, arguments.people, arguments.photo_bytes as usize, each).await?;
    let lasted = began.elapsed().max(Duration::from_millis(1)).as_secs_f64();
    resident.push((arguments.people, resident_bytes() >> 20));
    let added = arguments.people.saturating_sub(there);
    // Closing writes the store's log back into its file.
    drop(center);
    let early = resident.get(resident.len() / 10).map_or(0, |(_, mib)| *mib);
    let late = resident.iter().skip(resident.len() / 10).map(|(_, mib)| *mib).max().unwrap_or(0);
    Ok(Report {
        machine: Machine::here(),
        people: added,
        seconds: lasted,
        per_second: added as f64 / lasted,
        photo_bytes: arguments.photo_bytes,
        bytes_per_record: place.store_bytes().saturating_sub(before) / added.max(1),
        growth_mib: late.saturating_sub(early),
        resident_mib: resident,
    })
}

fn text(report: &Report) -> String {
    let Report { machine, people, seconds, per_second, photo_bytes, bytes_per_record, resident_mib, growth_mib } = report;
    let marks: Vec<String> = resident_mib.iter().map(|(_, mib)| mib.to_string()).collect();
    format!(
        "{}, {} cores; {people} people in {seconds:.1} s: {per_second:.0}/s, {bytes_per_record} bytes a record with a photo of {photo_bytes}\n\
         resident MiB on the way: {}; grown by {growth_mib}\n",
        machine.processor,
        machine.cores,
        marks.join(" ")
    )
}
