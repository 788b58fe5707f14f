//! `models check`: the self-test, and what is claimed about each kind of attack.

use std::process::ExitCode;

use anyhow::Context;
use comfy_table::{Table, presets};
use models::{
    manifest::{Manifest, Role},
    pipeline::Pipeline,
    selftest::{SelfTestFailure, SelfTestReport},
};
use serde_json::json;

use super::{Common, EXIT_INCOMPLETE, print};

pub(super) fn run(common: &Common) -> anyhow::Result<ExitCode> {
    let (manifest, cache) = (common.manifest()?, common.cache());
    let pipeline = Pipeline::load(&manifest, &cache)?;
    let report = match pipeline.self_test(&manifest, &cache) {
        Ok(report) | Err(SelfTestFailure::Failed(report)) => report,
        Err(failure) => return Err(failure.into()),
    };
    if common.json {
        show_json(&manifest, &report)?
    } else {
        show(&manifest, &report)?
    }
    let complete = report.failed().next().is_none() && report.skipped().next().is_none();
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::from(EXIT_INCOMPLETE) })
}

fn word(passed: Option<bool>) -> &'static str {
    match passed {
        Some(true) => "passed",
        Some(false) => "FAILED",
        None => "skipped",
    }
}

fn show(manifest: &Manifest, report: &SelfTestReport) -> anyhow::Result<()> {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(["check", "expected", "got", "result"]);
    for check in &report.checks {
        table.add_row([check.name.as_str(), &check.expected, &check.got, word(check.passed)]);
    }
    let mut species = Table::new();
    species.load_style(presets::UTF8_FULL_CONDENSED).set_header(["kind of attack", "claim", "presentations", "passed", "data"]);
    for kind in manifest.model(Role::Attack).map(|model| model.species.as_slice()).unwrap_or_default() {
        let counts = [kind.presentations.to_string(), kind.passed.to_string()];
        species.add_row([&kind.name, kind.claim.words(), &counts[0], &counts[1], kind.dataset.as_deref().unwrap_or("–")]);
    }
    print(&format!("{table}\n{report}\n\n{species}\n"))
}

fn show_json(manifest: &Manifest, report: &SelfTestReport) -> anyhow::Result<()> {
    let checks = report.checks.iter().map(
        |check| json!({"name": check.name, "expected": check.expected, "got": check.got, "result": word(check.passed).to_lowercase()}),
    );
    let species = manifest.model(Role::Attack).map(|model| model.species.as_slice()).unwrap_or_default().iter().map(|kind| {
        json!({"name": kind.name, "claim": kind.claim, "presentations": kind.presentations, "passed": kind.passed, "dataset": kind.dataset})
    });
    let all = json!({"checks": checks.collect::<Vec<_>>(), "species": species.collect::<Vec<_>>()});
    print(&format!("{}\n", serde_json::to_string_pretty(&all).context("could not write JSON")?))
}
