//! The page of presentation attacks.

use super::{
    DrawError,
    chart::{self, Series},
    html::{Page, interval, percent, score},
    verification::failures,
};
use crate::evaluation::AttackResult;

/// The page; `source` is what the presentations are called.
///
/// # Errors
/// When a drawing fails.
pub fn attack_page(result: &AttackResult, source: &str) -> Result<String, DrawError> {
    let mut page = Page::new("Presentation attacks", source);
    page.facts(&[
        ("Attacks taken for bona fide (worst species)", percent(result.apcer.worst), format!("APCER, {} attacks", result.attacks)),
        ("Bona fide taken for attacks", percent(result.bpcer), format!("BPCER, {}", interval(result.bpcer_ci95))),
        ("Attacks that pass and match", percent(result.iapar), "IAPAR, worst species".into()),
        ("Attacks that match, without detection", percent(result.attacks_that_match), "of those with a reference".into()),
        ("Subjects", result.attack_subjects.to_string(), format!("{} of bona fide presentations", result.bona_fide_subjects)),
        ("Failure to acquire", percent(Some(result.failure_to_acquire)), format!("and {} not assessable", result.not_assessable)),
    ]);
    page.heading("By species and threshold");
    let mut rows = Vec::new();
    for at in &result.thresholds {
        for (name, species) in &at.apcer.by_species {
            rows.push(vec![
                name.clone(),
                format!("{} {}", at.purpose, score(Some(at.threshold))),
                species.presentations.to_string(),
                species.no_response.to_string(),
                species.passed.to_string(),
                percent(species.apcer),
                interval(species.ci95),
                percent(at.bpcer),
            ]);
        }
    }
    page.table(&["species", "threshold", "attacks", "no score", "passed", "APCER", "95 % interval", "BPCER"], &rows);
    page.text(&format!("Nothing is claimed by the manifest about: {}.", result.not_claimed.join(", ")));
    page.heading("Scores");
    let bona_fide = Series { name: format!("bona fide ({})", result.bona_fide_scores.len()), scores: &result.bona_fide_scores };
    let species = result.attack_scores.iter().map(|(name, scores)| Series { name: format!("{name} ({})", scores.len()), scores });
    let series: Vec<Series<'_>> = std::iter::once(bona_fide).chain(species).collect();
    let marks: Vec<(String, f32)> = result.thresholds.iter().map(|at| (at.purpose.clone(), at.threshold)).collect();
    page.figure(
        &chart::histogram(&series, (0.0, 1.0), &marks, "live score")?,
        "Live scores of bona fide presentations and of each species, with thresholds.",
    );
    if let Some(quantiles) = &result.bona_fide_score_quantiles {
        page.text("Bona fide scores: this share of them lies at or below.");
        let rows: Vec<Vec<String>> = quantiles.iter().map(|(share, at)| vec![(*share).to_owned(), score(Some(*at))]).collect();
        page.table(&["share", "score"], &rows);
    }
    failures(&mut page, &result.failures);
    Ok(page.finish(&result.provenance))
}
