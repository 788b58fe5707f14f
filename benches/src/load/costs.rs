//! Unit costs: measured on the way, and written where `matcher plan` reads them.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write,
    path::Path,
    time::Instant,
};

use anyhow::{Context, Result};
use matcher_core::plan::{Basis, UnitCosts};
use rusqlite::{Connection, OpenFlags};

use super::machine::Machine;

/// Flushes that one is the median of.
const FLUSHES: usize = 101;
/// Bytes before each flush: what a commit of one verification writes.
const FLUSHED_LEN: usize = 32 * 1024;

/// Bytes of a store by what they are for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// The audit log.
    pub audit: u64,
    /// Samples and templates of captures, with what is noted about them.
    pub probes: u64,
    /// Everything else.
    pub records: u64,
}

impl Held {
    /// What an SQLite file holds, indexes with their tables.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of_file(path: &Path) -> Result<Self> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let sql = "SELECT s.tbl_name, sum(d.pgsize) FROM dbstat AS d JOIN sqlite_schema AS s ON s.name = d.name GROUP BY s.tbl_name";
        let mut statement = connection.prepare(sql)?;
        let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
        let mut held = Self::default();
        for row in rows {
            let (table, bytes) = row?;
            let part = match table.as_str() {
                audit if audit.starts_with("audit") => &mut held.audit,
                "probe" | "visit" | "recheck" => &mut held.probes,
                _ => &mut held.records,
            };
            *part += u64::try_from(bytes).unwrap_or_default();
        }
        Ok(held)
    }
}

/// Milliseconds of one small write with its flush, in a folder; the median of many.
///
/// # Errors
/// When nothing can be written there.
pub fn flush_ms(folder: &Path) -> Result<f64> {
    let path = folder.join("flushes");
    let mut file = File::create(&path)?;
    let mut times = Vec::new();
    for _ in 0..FLUSHES {
        let began = Instant::now();
        file.write_all(&[7; FLUSHED_LEN])?;
        file.sync_data()?;
        times.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    fs::remove_file(path)?;
    times.sort_by(f64::total_cmp);
    times.get(FLUSHES / 2).copied().context("no flush was timed")
}

/// Writes measured values over those of a file of unit costs; the others stay.
///
/// # Errors
/// When the file cannot be read or written, or has no such cost.
pub fn write(file: &Path, command: &str, values: &BTreeMap<&str, f64>) -> Result<()> {
    let mut costs = UnitCosts::from_json(&fs::read_to_string(file).with_context(|| file.display().to_string())?)?;
    let machine = Machine::here();
    for (name, value) in values {
        let cost = costs.get_mut(name).with_context(|| format!("there is no cost named {name}"))?;
        cost.value = (value * 1000.0).round() / 1000.0;
        cost.basis = Basis::Measured;
        command.clone_into(&mut cost.command);
        cost.machine = machine.to_string();
        cost.date = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
    }
    // What is written can be read again.
    let text = format!("{}\n", serde_json::to_string_pretty(&costs)?);
    UnitCosts::from_json(&text)?;
    fs::write(file, text).with_context(|| file.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_measured_takes_the_place_of_what_was_assumed_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("costs.json");
        fs::write(&file, include_str!("../../data/unit_costs.json")).unwrap();
        write(&file, "load", &BTreeMap::from([("commit_ms", 3.25)])).unwrap();
        let costs = UnitCosts::from_json(&fs::read_to_string(&file).unwrap()).unwrap();
        assert_eq!((costs.commit_ms.value, costs.commit_ms.basis, costs.commit_ms.command.as_str()), (3.25, Basis::Measured, "load"));
        assert!(write(&file, "load", &BTreeMap::from([("charm", 1.0)])).is_err());
    }

    #[test]
    fn a_flush_takes_some_time() {
        assert!(flush_ms(tempfile::tempdir().unwrap().path()).unwrap() > 0.0);
    }
}
