//! `evaluate calibrate`: bands from trials, written as a policy.

use std::process::ExitCode;

use datasets::{
    evaluation::{
        Calibration, CalibrationError, CrossError, CrossOptions, Setup, Target, calibrate, calibrate_cross, evaluate_verification,
        policy_text,
    },
    metrics::{Comparison, Scores},
    trials::{read_pairs, read_stock},
};
use matcher_core::Scene;

use crate::{
    arguments::{Calibrate, Ready},
    failure::{EXIT_MALFORMED, EXIT_REFUSED, EXIT_UNUSABLE, Exit, Failure},
    output,
};

pub(crate) fn run(command: &Calibrate) -> Result<ExitCode, Failure> {
    let (calibration, ready) = match (&command.captures, &command.references, &command.pairs) {
        (Some(captures), Some(references), _) => {
            let stock = read_stock(captures, references).exit(EXIT_MALFORMED)?;
            let ready = command.common.ready(false)?;
            let options = CrossOptions { per_capture: command.per_capture as usize };
            let bar = output::progress(stock.pictures.len());
            let result = calibrate_cross(&ready.setup, &stock, options, target(command, &ready.setup), &|| bar.inc(1));
            bar.finish_and_clear();
            let result = match result {
                Err(CrossError::Acquisition(error)) => Err(error).exit(EXIT_REFUSED)?,
                Err(CrossError::Calibration(error)) => Err(error).exit(EXIT_REFUSED)?,
                Ok(result) => result,
            };
            output::json(command.common.json.as_deref(), "calibrate", &result)?;
            (result.calibration, ready)
        }
        (_, _, Some(pairs)) => {
            let pairs = read_pairs(pairs).exit(EXIT_MALFORMED)?;
            let ready = command.common.ready(false)?;
            let bar = output::progress(pairs.pictures.len());
            let result = evaluate_verification(&ready.setup, &pairs, &|| bar.inc(1)).exit(EXIT_REFUSED)?;
            bar.finish_and_clear();
            let scores = |scores: &[f32]| Scores::new(scores.iter().map(|score| Comparison { score: *score, subjects: [0, 0] }).collect());
            let calibration = calibrate(&scores(&result.mated), &scores(&result.nonmated), target(command, &ready.setup));
            let calibration = calibration.exit(EXIT_REFUSED)?;
            output::json(command.common.json.as_deref(), "calibrate", &calibration)?;
            (calibration, ready)
        }
        _ => return Err(anyhow::anyhow!("expected --pairs, or --cross with --captures and --references")).exit(EXIT_MALFORMED),
    };
    deliver(command, &calibration, &ready)
}

fn target(command: &Calibrate, setup: &Setup) -> Target {
    let attempts = command.attempts.unwrap_or_else(|| setup.policy.scene(Scene::Settlement).attempts_max);
    Target { fmr: command.fmr, attempts, fnmr: command.fnmr, source: command.source.into(), accept_unresolved: command.accept_unresolved }
}

fn deliver(command: &Calibrate, calibration: &Calibration, ready: &Ready) -> Result<ExitCode, Failure> {
    let (model, recipe) = (ready.setup.pipeline.feature_model(), ready.setup.pipeline.recipe());
    let text: Result<String, CalibrationError> =
        policy_text(&ready.policy_text, model, recipe, calibration, command.policy_version.as_deref());
    let text = text.exit(EXIT_UNUSABLE)?;
    output::complain(&format!(
        "match from {}: {} of {} non-mated comparisons reach it{}",
        calibration.match_at_least,
        calibration.false_matches,
        calibration.comparisons_nonmated,
        if calibration.resolved { "" } else { "; fewer than 30 errors, so the policy may not be made live" }
    ));
    output::complain(&match calibration.non_match_below {
        Some(below) => {
            format!(
                "non-match below {below}: {} of {} mated comparisons lie there",
                calibration.false_non_matches, calibration.comparisons_mated
            )
        }
        None => format!(
            "no non-match band: it takes 30 local errors, and {} of {} mated comparisons lie below its target; below the match band there is \
             only review",
            calibration.false_non_matches, calibration.comparisons_mated
        ),
    });
    match &command.out {
        Some(path) => output::write(path, &text).map(|()| ExitCode::SUCCESS),
        None => output::print(&text),
    }
}
