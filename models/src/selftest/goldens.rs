//! The drawn picture through every network, against what was recorded of the shipped models.

use serde::Deserialize;

use super::{SelfTestReport, drawing};
use crate::{
    manifest::Manifest,
    network::EngineError,
    pipeline::{Pipeline, RunError, Trace},
};

/// Numbers kept of each network's outputs.
const PROJECTIONS: usize = 8;
/// What engines and processors may differ by; a projection is of the order of 1.
const TOLERANCE: f32 = 0.03;
/// What was recorded, compiled in.
const RECORD: &str = include_str!("goldens.toml");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    golden: Vec<Golden>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    model: String,
    projections: [f32; PROJECTIONS],
}

pub(super) fn check(pipeline: &Pipeline, manifest: &Manifest, report: &mut SelfTestReport) -> Result<(), RunError> {
    let record: Record = toml::from_str(RECORD).unwrap_or_else(|_| Record { golden: Vec::new() });
    for (model, got) in run(pipeline, manifest)? {
        let name = format!("{model} on the drawn picture");
        match record.golden.iter().find(|golden| golden.model == model) {
            None => report.skip(name, "no record of this model"),
            Some(golden) => {
                let apart = golden.projections.iter().zip(&got).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                report.check(name, format!("within {TOLERANCE} of the record"), format!("{apart:.4}"), apart <= TOLERANCE);
            }
        }
    }
    Ok(())
}

/// The id of each model that is run, and the projections of its outputs.
fn run(pipeline: &Pipeline, manifest: &Manifest) -> Result<Vec<(String, [f32; PROJECTIONS])>, RunError> {
    let drawn = |_| RunError::Engine { model: "(drawn picture)".into(), source: EngineError::new("it cannot be drawn") };
    let traces = pipeline.trace(&drawing::picture().map_err(drawn)?, Some(&drawing::face()))?;
    let id = |trace: &Trace| manifest.model(trace.role).map_or_else(String::new, |model| model.id.to_string());
    Ok(traces.iter().map(|trace| (id(trace), projections(trace))).collect())
}

/// Sums of the outputs with signs from a fixed generator (xorshift64*), over the outputs' length.
fn projections(trace: &Trace) -> [f32; PROJECTIONS] {
    let values: Vec<f32> = trace.outputs.iter().flat_map(|(_, values)| values.iter().copied()).collect();
    let length = values.iter().map(|value| value * value).sum::<f32>().sqrt().max(1e-6);
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut sign = || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        if state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 63 == 0 { 1.0 } else { -1.0 }
    };
    std::array::from_fn(|_| values.iter().map(|value| value * sign()).sum::<f32>() / length)
}

#[cfg(test)]
mod tests {
    use std::{env, fmt::Write as _, fs};

    use super::*;
    use crate::cache;

    #[test]
    fn every_model_that_is_run_has_a_record() {
        let record: Record = toml::from_str(RECORD).unwrap();
        for model in Manifest::shipped().models().iter().filter(|model| model.runner) {
            assert!(record.golden.iter().any(|golden| golden.model == model.id.as_str()), "{}", model.id);
        }
    }

    /// With `COUNTERSIGN_WRITE_GOLDEN=1` writes the record anew, after an intended change.
    #[test]
    fn the_record_can_be_written_anew() {
        if env::var_os("COUNTERSIGN_WRITE_GOLDEN").is_none() {
            return;
        }
        let manifest = Manifest::shipped();
        let pipeline = Pipeline::load(&manifest, &cache::default_dir()).unwrap();
        let mut text = String::from("# Projections of each network's outputs on the drawn picture. Written by the test in goldens.rs.\n");
        for (model, projections) in run(&pipeline, &manifest).unwrap() {
            let numbers = projections.map(|number| format!("{number:.4}")).join(", ");
            write!(text, "\n[[golden]]\nmodel = \"{model}\"\nprojections = [{numbers}]\n").unwrap();
        }
        fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/src/selftest/goldens.toml"), text).unwrap();
    }
}
