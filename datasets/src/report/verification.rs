//! The page of a verification.

use super::{
    DrawError,
    chart::{self, Series},
    html::{Page, interval, or_dash, percent, score},
};
use crate::evaluation::{AtPolicy, Group, Paired, Point, Shares, VerificationResult, WorstError};

/// The page; `bands` are the policy's thresholds by name, `source` is what the trials are called.
///
/// # Errors
/// When a drawing fails.
pub fn verification_page(result: &VerificationResult, source: &str, bands: &[(String, f32)]) -> Result<String, DrawError> {
    let mut page = Page::new("Verification", source);
    page.facts(&facts(result));
    page.heading("Error rates");
    page.table(
        &[
            "false match rate at most",
            "threshold",
            "false matches",
            "false non-match rate",
            "95 % interval",
            "false reject rate",
            "false accept rate",
            "resolved",
        ],
        &result.points.iter().map(point).collect::<Vec<_>>(),
    );
    page.text("Resolved: at least 30 false matches fix the threshold. Without any, the trials do not reach as far as the target.");
    page.figure(
        &chart::det(&result.curve, result.comparisons_mated, result.comparisons_nonmated)?,
        "False non-match rate over false match rate, with the 95 % interval over subjects. Where no error was seen, half of one is drawn.",
    );
    page.heading("Scores");
    let series = [
        Series { name: format!("mated ({})", result.mated.len()), scores: &result.mated },
        Series { name: format!("non-mated ({})", result.nonmated.len()), scores: &result.nonmated },
    ];
    page.figure(
        &chart::histogram(&series, (-0.4, 1.0), bands, "score")?,
        "Scores of mated and non-mated comparisons, with the policy's bands.",
    );
    if let Some(at_policy) = &result.at_policy {
        page.heading("What the policy makes of the trials");
        page.table(&POLICY_HEADER, &policy_rows("all", at_policy));
    }
    if !result.groups.is_empty() {
        groups(&mut page, &result.groups);
    }
    if let Some(paired) = &result.paired {
        paired_section(&mut page, paired);
    }
    if let Some(folds) = &result.accuracy_folds {
        page.heading("Accuracy by folds");
        let each = folds.by_fold.iter().map(|accuracy| percent(Some(*accuracy))).collect::<Vec<_>>().join(", ");
        page.text(&format!("Mean {}, standard deviation {}, folds: {each}.", percent(Some(folds.mean)), percent(Some(folds.sd))));
    }
    failures(&mut page, &result.failures);
    page.heading("Worst errors");
    page.text("By id only. Errors of the labels are often among them: look before you believe.");
    for (name, worst) in [
        ("Non-mated comparisons with the highest scores", &result.worst_nonmated),
        ("Mated comparisons with the lowest scores", &result.worst_mated),
    ] {
        page.text(name);
        page.table(&["#reference", "#probe", "score"], &worst.iter().map(worst_row).collect::<Vec<_>>());
    }
    Ok(page.finish(&result.provenance))
}

fn facts(result: &VerificationResult) -> Vec<(&'static str, String, String)> {
    let eer = result.eer.as_ref();
    let mut facts = vec![
        ("Equal error rate", percent(eer.map(|eer| eer.value)), interval(eer.and_then(|eer| eer.ci95))),
        ("Mated trials", result.trials_mated.to_string(), format!("{} executed", result.comparisons_mated)),
        ("Non-mated trials", result.trials_nonmated.to_string(), format!("{} executed", result.comparisons_nonmated)),
        ("Subjects", result.subjects.to_string(), format!("{} pictures", result.pictures)),
        ("Failure to acquire", percent(Some(result.failure_to_acquire)), format!("{} pictures", result.failures.count())),
    ];
    if let Some(folds) = &result.accuracy_folds {
        facts.push(("Accuracy by folds", percent(Some(folds.mean)), format!("± {} over {} folds", percent(Some(folds.sd)), folds.folds)));
    }
    facts
}

fn point(point: &Point) -> Vec<String> {
    let resolved = point.resolved.map_or("not reached", |resolved| if resolved { "yes" } else { "no" });
    vec![
        percent(Some(point.fmr_target)),
        score(point.threshold),
        point.false_matches.to_string(),
        percent(point.fnmr),
        interval(point.ci95),
        percent(point.frr),
        percent(point.far),
        resolved.into(),
    ]
}

const POLICY_HEADER: [&str; 7] = ["group", "trials", "match", "review", "non-match", "attack suspected", "failure to acquire"];

fn policy_rows(name: &str, at_policy: &AtPolicy) -> Vec<Vec<String>> {
    let row = |side: &str, shares: &Shares| {
        let shares = [shares.matched, shares.review, shares.non_match, shares.attack_suspected, shares.failure_to_acquire];
        [name.to_owned(), side.to_owned()].into_iter().chain(shares.map(|share| percent(Some(share)))).collect()
    };
    let sides = [("mated", &at_policy.mated), ("non-mated", &at_policy.nonmated)];
    sides.into_iter().filter_map(|(side, shares)| Some(row(side, shares.as_ref()?))).collect()
}

fn groups(page: &mut Page, groups: &[Group]) {
    page.heading("By kind and group");
    page.text("At the thresholds that were set on all trials.");
    let mut rows = Vec::new();
    for group in groups {
        let name = format!("{}: {}", group.by, group.name);
        for (at, point) in group.points.iter().enumerate() {
            let once = |text: String| if at == 0 { text } else { String::new() };
            rows.push(vec![
                once(name.clone()),
                once(group.trials_mated.to_string()),
                once(group.trials_nonmated.to_string()),
                once(group.subjects.to_string()),
                once(percent(group.eer)),
                percent(Some(point.fmr_target)),
                percent(point.fmr),
                percent(point.fnmr),
            ]);
        }
    }
    page.table(
        &[
            "group",
            "mated",
            "non-mated",
            "subjects",
            "equal error rate",
            "false match rate at most",
            "false match rate",
            "false non-match rate",
        ],
        &rows,
    );
    let decided: Vec<Vec<String>> = groups
        .iter()
        .filter_map(|group| Some(policy_rows(&format!("{}: {}", group.by, group.name), group.at_policy.as_ref()?)))
        .flatten()
        .collect();
    if !decided.is_empty() {
        page.table(&POLICY_HEADER, &decided);
    }
}

fn paired_section(page: &mut Page, paired: &Paired) {
    page.heading("Against a plain single crop");
    page.text(
        "The same trials with templates of one unmirrored crop. Below zero the shipped recipe is better; both are resampled together.",
    );
    let rows: Vec<Vec<String>> = paired
        .points
        .iter()
        .map(|point| {
            vec![
                percent(Some(point.fmr_target)),
                percent(point.fnmr),
                percent(point.fnmr_against),
                percent(point.difference),
                interval(point.ci95),
            ]
        })
        .collect();
    page.table(&["false match rate at most", "shipped", "plain", "difference", "95 % interval"], &rows);
    page.text(&format!("Difference of the equal error rates: {}, {}.", percent(paired.eer_difference), interval(paired.eer_ci95)));
    if let (Some(apart), Some([lower, upper])) = (paired.separation_difference, paired.separation_ci95) {
        page.text(&format!("Mated and non-mated scores lie {apart:+.3} further apart (d′; 95 % interval {lower:+.3} to {upper:+.3})."));
    }
}

/// Failures by reason, and which pictures.
pub(super) fn failures(page: &mut Page, failures: &crate::evaluation::Failures) {
    page.heading("Failures to acquire");
    if failures.count() == 0 {
        return page.text("None.");
    }
    let reasons = failures.by_reason.iter().map(|(reason, count)| vec![(*reason).to_owned(), or_dash(Some(count))]);
    page.table(&["reason", "pictures"], &reasons.collect::<Vec<_>>());
    let pictures = failures.pictures.iter().map(|failed| vec![failed.id.clone(), failed.reason.to_owned()]);
    page.table(&["#picture", "reason"], &pictures.collect::<Vec<_>>());
}

fn worst_row(worst: &WorstError) -> Vec<String> {
    vec![worst.image_a.clone(), worst.image_b.clone(), score(Some(worst.score))]
}
