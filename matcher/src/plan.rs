//! `matcher plan`: what a center of some size takes, from the unit costs that the benches measured.
//!
//! It opens no center and asks nothing. The costs are embedded, each with the command, machine and day it comes from,
//! and can be replaced by a file of one's own. Not here: the sums (`matcher_core::plan`).

use std::{fs, io, path::PathBuf, str::FromStr};

use clap::Args;
use comfy_table::{Cell, CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use matcher_core::plan::{Basis, CostError, Plan, Question, UnitCosts, plan};
use serde::Serialize;
use thiserror::Error;

use crate::{
    config::{Config, ConfigError},
    out,
};

/// The costs as the benches wrote them.
const MEASURED: &str = include_str!("../../benches/data/unit_costs.json");

/// A number as people say it: 350, 3M, 1.5k.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Number(pub f64);

impl FromStr for Number {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (digits, factor) = match text.char_indices().last() {
            Some((at, 'k' | 'K')) => (text.get(..at), 1e3),
            Some((at, 'M')) => (text.get(..at), 1e6),
            Some((at, 'G')) => (text.get(..at), 1e9),
            Some(_) | None => (Some(text), 1.0),
        };
        let number = digits.and_then(|digits| digits.parse::<f64>().ok()).map(|number| number * factor);
        let in_range = number.filter(|number| (1.0..=1e12).contains(number));
        in_range.map(Self).ok_or_else(|| "expected a number from 1 to 1000G, such as 350, 1.5k or 3M".to_owned())
    }
}

/// What is planned for.
#[derive(Debug, Clone, Args)]
pub struct PlanArgs {
    /// People enrolled, such as 10M
    #[arg(long, value_name = "NUMBER")]
    pub people: Number,
    /// Captures a day, such as 3M
    #[arg(long, value_name = "NUMBER")]
    pub per_day: Number,
    /// Captures in the busiest seconds ÷ the day's mean
    #[arg(long, default_value = "10", value_name = "NUMBER")]
    pub peak_factor: Number,
    /// Share of captures that are no match and are kept longer
    #[arg(long, default_value_t = 0.02, value_parser = share)]
    pub disputed: f64,
    /// Share of captures that come late and are compared at night
    #[arg(long, default_value_t = 0.1, value_parser = share)]
    pub deferred: f64,
    /// Bytes of a sample
    #[arg(long, default_value = "20480", value_name = "NUMBER")]
    pub sample_bytes: Number,
    /// Bytes of an enrolled photo
    #[arg(long, default_value = "30k", value_name = "NUMBER")]
    pub photo_bytes: Number,
    /// Cores of one process's machine
    #[arg(long, default_value = "8", value_name = "NUMBER")]
    pub cores: Number,
    /// Unit costs of your own machine, as `make bench` writes them
    #[arg(long, value_name = "FILE")]
    pub costs: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

fn share(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|share| (0.0..=1.0).contains(share)).ok_or_else(|| "expected a number from 0 to 1".to_owned())
}

/// A plan that cannot be made.
#[derive(Debug, Error)]
pub enum PlanError {
    /// The file of costs cannot be read.
    #[error("could not read {}", .path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The costs are not in order.
    #[error(transparent)]
    Costs(CostError),
    /// The shipped settings are not in order, which a test rules out.
    #[error(transparent)]
    Config(ConfigError),
    /// The output failed.
    #[error("could not print")]
    Print(#[source] io::Error),
}

#[derive(Debug, Serialize)]
struct Answer {
    question: Question,
    plan: Plan,
    costs: UnitCosts,
}

/// Runs the command.
///
/// # Errors
/// When the costs are not in order or the output fails.
pub fn run(args: &PlanArgs) -> Result<(), PlanError> {
    let text = match &args.costs {
        Some(path) => fs::read_to_string(path).map_err(|source| PlanError::Read { path: path.clone(), source })?,
        None => MEASURED.to_owned(),
    };
    let costs = UnitCosts::from_json(&text).map_err(PlanError::Costs)?;
    // Times of keeping are those of the shipped settings.
    let keep = Config::shipped().map_err(PlanError::Config)?.retention.rule();
    let question = Question {
        people: args.people.0,
        per_day: args.per_day.0,
        peak_factor: args.peak_factor.0,
        disputed: args.disputed,
        deferred: args.deferred,
        sample_bytes: args.sample_bytes.0,
        photo_bytes: args.photo_bytes.0,
        cores: args.cores.0,
    };
    let answer = Answer { plan: plan(&question, &keep, &costs), question, costs };
    let text = if args.json { serde_json::to_string_pretty(&answer).map_err(io::Error::other) } else { Ok(table(&answer)) };
    text.and_then(|text| out::line(&text)).map_err(PlanError::Print)
}

fn table(answer: &Answer) -> String {
    let Answer { plan, costs, question } = answer;
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(["what", "how much"]);
    let Plan { bytes, peak, memory, hours } = plan;
    let rows = [
        ("busiest seconds: captures", format!("{:.0}/s", peak.per_second)),
        ("  received", format!("{}/s", size(peak.received_a_second))),
        ("  commits, each one flush of the disk", format!("{:.0}/s", peak.commits_a_second)),
        ("  written", format!("{}/s", size(peak.written_a_second))),
        ("  cores busy", format!("{:.1}", peak.cores)),
        ("processes, one of which may fail", format!("{:.0} with {:.0} cores each", peak.processes, question.cores)),
        ("store: people with their photos", size(bytes.people)),
        ("  samples and templates while they are kept", size(bytes.faces)),
        ("  decisions, a year", size(bytes.decisions_a_year)),
        ("  audit log, a year", size(bytes.audit_a_year)),
        ("  all of it, when decisions are deleted as fast as they come", size(bytes.when_full)),
        ("memory: a serving process", size(memory.process)),
        ("  index of references", size(memory.index_of_references)),
        ("  index of the probes that count as evidence", size(memory.index_of_probes)),
        ("hours of one machine: enrolling everybody", format!("{:.1}", hours.enrolment)),
        ("  index of references, built anew", format!("{:.2}", hours.index)),
        ("  a night's deferred captures", format!("{:.2}", hours.deferred)),
        ("  comparing a day's captures again", format!("{:.2}", hours.recomparison_of_a_day)),
    ];
    for (what, number) in rows {
        table.add_row([Cell::new(what), Cell::new(number).set_alignment(CellAlignment::Right)]);
    }
    let unmeasured: Vec<_> = costs.all().into_iter().filter(|(_, cost)| cost.basis != Basis::Measured).map(|(name, _)| name).collect();
    let from = &costs.verification_core_ms;
    format!(
        "{table}\nFrom unit costs of {} ({}). Not measured: {}. `--json` shows each cost and where it comes from.",
        from.machine,
        from.date,
        if unmeasured.is_empty() { "none".to_owned() } else { unmeasured.join(", ") }
    )
}

/// Bytes as people read them, in powers of 1000.
fn size(bytes: f64) -> String {
    let units = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    let (unit, name) = units.into_iter().find(|(unit, _)| bytes >= *unit).unwrap_or((1.0, "B"));
    let digits = if bytes / unit < 10.0 { 1 } else { 0 };
    format!("{:.digits$} {name}", bytes / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<f64>) {
        assert_eq!(text.parse::<Number>().ok().map(|number| number.0), expected, "{text}");
    }

    #[test]
    fn numbers_are_read_as_people_say_them() {
        check("350", Some(350.0));
        check("10M", Some(1e7));
        check("1.5k", Some(1500.0));
        check("2G", Some(2e9));
        for wrong in ["", "M", "0", "-3M", "3 M", "3MM", "NaN", "inf", "1e13", "3百"] {
            check(wrong, None);
        }
    }

    #[test]
    fn sizes_are_short() {
        assert_eq!([12.0, 1_500.0, 33e9, 5.61e12].map(size), ["12 B", "1.5 kB", "33 GB", "5.6 TB"]);
    }

    #[test]
    fn the_embedded_costs_are_in_order_and_say_where_they_come_from() {
        let costs = UnitCosts::from_json(MEASURED).unwrap();
        for (name, cost) in costs.all() {
            let said = [&cost.unit, &cost.command, &cost.machine];
            assert!(said.iter().all(|text| !text.is_empty()), "{name}");
            assert!(cost.date.parse::<jiff::civil::Date>().is_ok(), "{name}: {}", cost.date);
        }
    }
}
