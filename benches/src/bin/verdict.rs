//! From the trigger to the verdict: how long a till waits when the patient already faces the camera.
//!
//! Workload: the real agent and the real center as processes on this machine, mutual TLS between them, the shipped settings of
//! acquisition, a playback at 30 frames/s of a person who stands there; a till asks over the local API, one transaction after
//! the other. Counted from the request to the answer. Where the time goes is in the agent's own words: the camera (opening it,
//! and waiting for frames), finding faces, their quality, features and attack score of the fused frames; the rest is sealing,
//! the disk, the line and the center. Exits 1 beyond a limit.

use std::{fs, process::ExitCode, time::Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use serde_json::Value;
use tests::{people, site::Site};

#[derive(Parser)]
struct Arguments {
    /// Verifications.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(5..=10_000))]
    verifications: u32,
    /// Longest median, in milliseconds.
    #[arg(long, default_value_t = 600)]
    median_max_ms: u64,
    /// Longest 95th percentile, in milliseconds.
    #[arg(long, default_value_t = 1_000)]
    p95_max_ms: u64,
}

/// As shipped, whatever the harness sets for quick tests.
const SHIPPED: [(&str, &str); 7] = [
    ("ACQUISITION__GOOD_FRAMES", "4"),
    ("ACQUISITION__DEADLINE_MS", "8000"),
    ("CAMERA__FRAME_INTERVAL_MS", "33"),
    ("LOG__FORMAT", "json"),
    ("LOG__FILTER", "info"),
    ("CENTER__HEALTH_EVERY_S", "60"),
    ("CAMERA__WIDTH_PX", "1280"),
];
const CARD: &str = "A10020001";
const STAGES: [&str; 6] = ["open", "camera", "decode", "detect", "quality", "features"];
/// The first ones warm the networks' plans and the connection up.
const WARM_UP: u32 = 3;

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let folder = tempfile::tempdir()?;
    let site = Site::new(folder.path())?;
    site.init_center()?;
    site.join_counter("P330212", "1")?;
    site.enrol(&[(CARD, people::picture("cl_franck_01829.jpg")?)])?;
    let center = site.start_center("127.0.0.1:0")?;
    site.stand_before_the_camera(&[people::picture("cl_franck_02221.jpg")?])?;
    let gap = shipped_gap()?;
    let settings = [&SHIPPED[..], &[("ACQUISITION__FRAME_GAP_MS", gap.as_str())]].concat();
    let counter = site.start_counter_with(center.address(), &settings)?;
    let mut totals = Vec::new();
    for number in 0..arguments.verifications + WARM_UP {
        let asked = Instant::now();
        let answer = counter.verified(CARD, "settlement", &format!("T-{number}"))?;
        if number >= WARM_UP {
            totals.push(u64::try_from(asked.elapsed().as_millis())?);
        }
        ensure!(answer.get("decision").is_some_and(|decision| decision == "match"), "expected a match: {answer}");
    }
    counter.stop()?;
    let stages = stages(&fs::read_to_string(site.log("counter"))?)?;
    let (median, p95) = (percentile(&mut totals, 50), percentile(&mut totals, 95));
    benches::print(&format!("trigger to verdict, {} verifications, 30 frames/s, a face in view, medians\n", totals.len()))?;
    let mut accounted = 0;
    for (name, mut spent) in STAGES.into_iter().zip(stages) {
        let median = percentile(&mut spent, 50);
        accounted += median;
        benches::print(&format!("{name:<10} {median:>5} ms\n"))?;
    }
    benches::print(&format!("{:<10} {:>5} ms  (seal, disk, line, center, local API)\n", "the rest", median.saturating_sub(accounted)))?;
    let (median_max, p95_max) = (arguments.median_max_ms, arguments.p95_max_ms);
    benches::print(&format!("median     {median:>5} ms  (limit {median_max})\n95 %       {p95:>5} ms  (limit {p95_max})\n"))?;
    Ok(if median <= median_max && p95 <= p95_max { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The gap between frames in the shipped configuration.
fn shipped_gap() -> Result<String> {
    let shipped: toml::Table = include_str!("../../../capture-agent/agent.toml").parse()?;
    Ok(shipped.get("acquisition").and_then(|table| table.get("frame_gap_ms")).context("acquisition.frame_gap_ms")?.to_string())
}

/// What the agent said of each acquisition, by stage, without the first ones.
fn stages(log: &str) -> Result<[Vec<u64>; 6]> {
    let mut stages: [Vec<u64>; 6] = Default::default();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let acquired = lines.filter(|line| line.pointer("/fields/message").is_some_and(|message| message == "acquired")).skip(WARM_UP as usize);
    for line in acquired {
        for (name, spent) in STAGES.iter().zip(&mut stages) {
            spent.push(
                line.get("fields")
                    .and_then(|fields| fields.get(format!("stage.{name}_ms"))?.as_u64())
                    .with_context(|| format!("{name}: {line}"))?,
            );
        }
    }
    Ok(stages)
}

fn percentile(values: &mut [u64], percent: usize) -> u64 {
    values.sort_unstable();
    values.get((values.len() * percent / 100).min(values.len().saturating_sub(1))).copied().unwrap_or_default()
}
