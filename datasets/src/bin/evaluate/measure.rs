//! The subcommands that measure.

use std::{path::Path, process::ExitCode};

use anyhow::Context;
use datasets::{
    evaluation::{
        AttackResult, Failures, IdentificationResult, Setup, VerificationResult, evaluate_attacks, evaluate_identification,
        evaluate_verification,
    },
    report::{attack_page, identification_page, verification_page},
    trials::{read_labels, read_pairs, read_searches},
};
use matcher_core::Scene;
use models::manifest::Role;

use crate::{
    arguments::{Attacks, Identification, Ready, Verification},
    failure::{EXIT_MALFORMED, EXIT_REFUSED, EXIT_UNUSABLE, Exit, Failure},
    output::{self, interval, percent},
};

pub(crate) fn verification(command: &Verification) -> Result<ExitCode, Failure> {
    let pairs = read_pairs(&command.pairs).exit(EXIT_MALFORMED)?;
    let Ready { setup, .. } = command.common.ready(command.against.is_some())?;
    let bar = output::progress(pairs.pictures.len());
    let result = evaluate_verification(&setup, &pairs, &|| bar.inc(1)).exit(EXIT_REFUSED)?;
    bar.finish_and_clear();
    output::json(command.common.json.as_deref(), "verification", &result)?;
    if let Some(path) = &command.scores {
        output::scores(path, &pairs, &result.scores)?;
    }
    if let Some(folder) = &command.common.report {
        let page = verification_page(&result, &source(&command.pairs), &bands(&setup)).exit(EXIT_UNUSABLE)?;
        output::page(folder, "verification.html", &page)?;
    }
    unless_json_is_printed(command.common.json.as_deref(), || verification_text(&result))
}

fn verification_text(result: &VerificationResult) -> String {
    let rows = result.points.iter().map(|point| {
        let threshold = point.threshold.map_or_else(|| "–".into(), |threshold| format!("{threshold:.4}"));
        let resolved = point.resolved.map_or("not reached", |resolved| if resolved { "yes" } else { "no" });
        let cells =
            [format!("{:.0e}", point.fmr_target), threshold, point.false_matches.to_string(), percent(point.fnmr), interval(point.ci95)];
        cells.into_iter().chain([resolved.to_owned()]).collect()
    });
    let table = output::table(&["FMR", "threshold", "false matches", "FNMR", "95 % interval", "resolved"], rows.collect());
    let eer = result.eer.map_or_else(|| "–".into(), |eer| format!("{} ({})", percent(Some(eer.value)), interval(eer.ci95)));
    let folds = result.accuracy_folds.as_ref().map_or_else(String::new, |folds| {
        format!("accuracy by {} folds: {} ± {}\n", folds.folds, percent(Some(folds.mean)), percent(Some(folds.sd)))
    });
    let paired = result.paired.as_ref().map_or_else(String::new, |paired| {
        let rows = paired.points.iter().map(|point| {
            vec![
                format!("{:.0e}", point.fmr_target),
                percent(point.fnmr),
                percent(point.fnmr_against),
                percent(point.difference),
                interval(point.ci95),
            ]
        });
        let apart = paired.separation_difference.zip(paired.separation_ci95);
        let apart = apart.map_or_else(String::new, |(apart, [lower, upper])| {
            format!("mated and non-mated scores lie {apart:+.3} further apart than with a plain crop ({lower:+.3} to {upper:+.3}, d′)\n")
        });
        output::table(&["FMR", "FNMR", "plain crop", "difference", "95 % interval"], rows.collect()) + &apart
    });
    format!(
        "{} mated, {} non-mated trials, {} subjects, {} pictures\nequal error rate: {eer}\n{folds}{table}{paired}{}",
        result.trials_mated,
        result.trials_nonmated,
        result.subjects,
        result.pictures,
        failures(result.failure_to_acquire, &result.failures)
    )
}

pub(crate) fn attacks(command: &Attacks) -> Result<ExitCode, Failure> {
    let presentations = read_labels(&command.labels).exit(EXIT_MALFORMED)?;
    let Ready { setup, manifest, .. } = command.common.ready(false)?;
    let model = manifest.model(Role::Attack).context("manifest: expected a model in the role attack").exit(EXIT_UNUSABLE)?;
    let given = command.threshold.map(|threshold| threshold as f32);
    let bar = output::progress(presentations.pictures.len());
    let result = evaluate_attacks(&setup, model, &presentations, given, &|| bar.inc(1)).exit(EXIT_REFUSED)?;
    bar.finish_and_clear();
    output::json(command.common.json.as_deref(), "attacks", &result)?;
    if let Some(folder) = &command.common.report {
        let page = attack_page(&result, &source(&command.labels)).exit(EXIT_UNUSABLE)?;
        output::page(folder, "attacks.html", &page)?;
    }
    unless_json_is_printed(command.common.json.as_deref(), || attacks_text(&result))
}

fn attacks_text(result: &AttackResult) -> String {
    let rows = result.thresholds.iter().flat_map(|at| {
        at.apcer.by_species.iter().map(move |(name, species)| {
            vec![
                name.clone(),
                format!("{} {:.3}", at.purpose, at.threshold),
                format!("{} of {}", species.passed, species.presentations),
                percent(species.apcer),
                interval(species.ci95),
                percent(at.bpcer),
                interval(at.bpcer_ci95),
                percent(at.iapar),
            ]
        })
    });
    let table =
        output::table(&["species", "threshold", "passed", "APCER", "95 % interval", "BPCER", "95 % interval", "IAPAR"], rows.collect());
    format!(
        "{} attacks on {} subjects, {} bona fide presentations of {} subjects, {} not assessable\n{table}not claimed: {}\n{}",
        result.attacks,
        result.attack_subjects,
        result.bona_fide,
        result.bona_fide_subjects,
        result.not_assessable,
        result.not_claimed.join(", "),
        failures(result.failure_to_acquire, &result.failures)
    )
}

pub(crate) fn identification(command: &Identification) -> Result<ExitCode, Failure> {
    let trials = read_searches(&command.gallery, &command.probes).exit(EXIT_MALFORMED)?;
    let Ready { setup, .. } = command.common.ready(false)?;
    let bar = output::progress(trials.pictures.len());
    let result = evaluate_identification(&setup, &trials, &|| bar.inc(1)).exit(EXIT_REFUSED)?;
    bar.finish_and_clear();
    output::json(command.common.json.as_deref(), "identification", &result)?;
    if let Some(folder) = &command.common.report {
        let page = identification_page(&result, &source(&command.probes)).exit(EXIT_UNUSABLE)?;
        output::page(folder, "identification.html", &page)?;
    }
    unless_json_is_printed(command.common.json.as_deref(), || identification_text(&result))
}

fn identification_text(result: &IdentificationResult) -> String {
    let rows = result.points.iter().map(|point| {
        let threshold = point.threshold.map_or_else(|| "–".into(), |threshold| format!("{threshold:.4}"));
        vec![format!("{:.0e}", point.fpir_target), threshold, point.false_positives.to_string(), percent(point.fnir), interval(point.ci95)]
    });
    let table = output::table(&["FPIR", "threshold", "false positives", "FNIR", "95 % interval"], rows.collect());
    format!(
        "gallery of {}, {} mated and {} non-mated searches, {} subjects\nrank 1: {} ({})\n{table}{}",
        result.gallery_size,
        result.mated_searches,
        result.nonmated_searches,
        result.subjects,
        percent(result.rank1),
        interval(result.rank1_ci95),
        failures(result.failure_to_acquire, &result.failures)
    )
}

/// The policy's bands for the pipeline's model, by name.
fn bands(setup: &Setup) -> Vec<(String, f32)> {
    let bands = setup.policy.thresholds(Scene::Settlement, setup.pipeline.feature_model(), setup.pipeline.recipe());
    let lower = bands.and_then(|bands| bands.non_match_below).map(|score| ("non-match below".to_owned(), score));
    let upper = bands.map(|bands| ("match from".to_owned(), bands.match_at_least));
    lower.into_iter().chain(upper).collect()
}

fn failures(share: f64, failures: &Failures) -> String {
    let reasons: Vec<String> = failures.by_reason.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
    let reasons = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) };
    format!("failure to acquire: {}{reasons}\n", percent(Some(share)))
}

/// What a page calls the trials: the folder's and the file's name, without where they are on this machine.
fn source(path: &Path) -> String {
    let name = |path: Option<&Path>| path.and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    [name(path.parent()), name(Some(path))].into_iter().flatten().collect::<Vec<_>>().join("/")
}

fn unless_json_is_printed(json: Option<&Path>, text: impl FnOnce() -> String) -> Result<ExitCode, Failure> {
    if json == Some(Path::new("-")) { Ok(ExitCode::SUCCESS) } else { output::print(&text()) }
}
