//! The page of an identification.

use super::{
    DrawError,
    chart::{self, Series},
    html::{Page, interval, or_dash, percent, score},
    verification::failures,
};
use crate::evaluation::IdentificationResult;

/// The page; `source` is what the searches are called.
///
/// # Errors
/// When a drawing fails.
pub fn identification_page(result: &IdentificationResult, source: &str) -> Result<String, DrawError> {
    let mut page = Page::new("Identification", source);
    page.facts(&[
        ("Mate at rank 1", percent(result.rank1), interval(result.rank1_ci95)),
        ("Gallery", result.gallery_size.to_string(), format!("{} without a template", result.gallery_failures)),
        ("Mated searches", result.mated_searches.to_string(), format!("{} missed by a failure to acquire", result.missed_by_failure)),
        ("Non-mated searches", result.nonmated_searches.to_string(), format!("{} subjects in all", result.subjects)),
        ("Failure to acquire", percent(Some(result.failure_to_acquire)), format!("{} pictures", result.failures.count())),
    ]);
    page.heading("Error rates");
    let rows = result.points.iter().map(|point| {
        vec![
            percent(Some(point.fpir_target)),
            score(point.threshold),
            point.false_positives.to_string(),
            percent(point.fnir),
            interval(point.ci95),
            point.nonmated_searches.to_string(),
        ]
    });
    page.table(
        &["false positive rate at most", "threshold", "false positives", "false negative rate", "95 % interval", "non-mated searches"],
        &rows.collect::<Vec<_>>(),
    );
    page.text("A mated search is a false negative unless its mate is the first candidate and reaches the threshold.");
    page.heading("Scores");
    let series = [
        Series { name: format!("mates at rank 1 ({})", result.mated.len()), scores: &result.mated },
        Series { name: format!("highest of non-mated searches ({})", result.nonmated.len()), scores: &result.nonmated },
    ];
    let marks: Vec<(String, f32)> =
        result.points.iter().filter_map(|point| Some((format!("FPIR {}", percent(Some(point.fpir_target))), point.threshold?))).collect();
    page.figure(
        &chart::histogram(&series, (-0.2, 1.0), &marks, "score")?,
        "Scores of mates at rank 1, and the highest scores of non-mated searches.",
    );
    page.heading("Mates not at rank 1");
    let rows: Vec<Vec<String>> =
        result.misses.iter().map(|miss| vec![miss.probe.clone(), or_dash(miss.candidate.as_ref()), score(miss.score)]).collect();
    page.table(&["#probe", "#first candidate", "score"], &rows);
    failures(&mut page, &result.failures);
    Ok(page.finish(&result.provenance))
}
