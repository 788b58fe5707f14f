//! Real pictures through the whole pipeline: what must hold for any model, also one without a record.

use std::{fs, path::Path};

use models_core::{FaceRule, Template, compare, dominant_face};

use super::SelfTestReport;
use crate::{
    digest::Digest,
    manifest::{KnownPicture, Manifest, Role},
    picture::Picture,
    pipeline::{Pipeline, RunError},
};

/// Live score that every bona fide picture must reach where the manifest gives no threshold.
const LIVE_MIN: f32 = 0.5;
/// By how much the least alike pictures of one person must be more alike than the most alike of two.
const MARGIN_MIN: f32 = 0.2;

pub(super) fn check(pipeline: &Pipeline, manifest: &Manifest, cache_dir: &Path, report: &mut SelfTestReport) -> Result<(), RunError> {
    let threshold = |role: Role, purpose: &str| manifest.model(role).and_then(|model| model.threshold(purpose)).map(|found| found.score);
    let live_min = threshold(Role::Attack, "retry").unwrap_or(LIVE_MIN);
    let mut templates = Vec::new();
    for known in manifest.pictures() {
        let Some(picture) = read(known, cache_dir) else {
            report.skip(known.id.clone(), "the picture is not in the cache; `models fetch` obtains it");
            continue;
        };
        let faces = pipeline.detect(&picture)?;
        let face = dominant_face(&faces, picture.width() as f32, picture.height() as f32, &FaceRule::default());
        let got = face.as_ref().map_or_else(|refusal| refusal.word().to_owned(), |_| "one".to_owned());
        report.check(format!("face of {}", known.id), "one".into(), got, face.is_ok());
        let Ok(face) = face else { continue };
        let live = pipeline.attack_score(&picture, &face)?.map(|score| score.live);
        report.check(
            format!("live score of {}", known.id),
            format!("at least {live_min}"),
            live.map_or_else(|| "none".into(), |live| format!("{live:.3}")),
            live.is_some_and(|live| live >= live_min),
        );
        templates.push((known, pipeline.template(&picture, &face)?));
    }
    compare_people(&templates, threshold(Role::Features, "fmr_1e-3"), report);
    Ok(())
}

/// Holds the least alike pictures of one person against the most alike of two.
fn compare_people(templates: &[(&KnownPicture, Template)], threshold: Option<f32>, report: &mut SelfTestReport) {
    let (mut same, mut other) = (f32::INFINITY, f32::NEG_INFINITY);
    for (at, (known, template)) in templates.iter().enumerate() {
        for (against, second) in templates.iter().skip(at + 1) {
            let score = compare(template, second).map_or(f32::NAN, |score| score.get());
            if known.person == against.person {
                same = same.min(score);
            } else {
                other = other.max(score);
            }
        }
    }
    let name = "pictures of one person and of two".to_owned();
    if !same.is_finite() || !other.is_finite() {
        return report.skip(name, "too few pictures");
    }
    let apart = same - other >= MARGIN_MIN && threshold.is_none_or(|threshold| other < threshold && same >= threshold);
    let sides = threshold.map_or_else(String::new, |threshold| format!(", on either side of {threshold}"));
    report.check(name, format!("at least {MARGIN_MIN} apart{sides}"), format!("{same:.3} and {other:.3}"), apart);
}

/// The picture, if it is in the cache and the very one.
fn read(known: &KnownPicture, cache_dir: &Path) -> Option<Picture> {
    let bytes = fs::read(known.path(cache_dir)).ok()?;
    (Digest::of(&bytes) == known.sha256).then(|| Picture::decode(&bytes).ok()).flatten()
}
