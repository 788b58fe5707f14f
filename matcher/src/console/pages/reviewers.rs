//! How reviewers judge: shares with intervals, and nothing of few cases.

use askama::Template;
use axum::response::Response;
use matcher_core::{
    console::{ReviewerFigures, SeedFigures},
    evidence::interval::Share,
};

use super::{Frame, page};
use crate::console::door::{Refusal, Visit};

const SINCE_MS: i64 = 90 * 86_400_000;

#[derive(Template)]
#[template(path = "console/reviewers.html")]
struct Reviewers {
    f: Frame,
    figures: Vec<ReviewerFigures>,
    seeds: Vec<SeedFigures>,
}

impl Reviewers {
    /// A share with its interval, 0–1, or that there are too few cases.
    fn share(&self, share: Option<Share>) -> String {
        share.map_or_else(
            || self.f.w.reviewers_few.to_owned(),
            |share| format!("{:.2} ({:.2}–{:.2})", share.value, share.lower, share.upper),
        )
    }
}

/// The figures of the last 90 days.
///
/// # Errors
/// When the store fails.
pub async fn show(visit: Visit) -> Result<Response, Refusal> {
    let since = visit.console.review.now() - SINCE_MS;
    let figures = visit.console.store().reviewer_figures(since).await.map_err(Refusal::Store)?;
    let seeds = visit.console.store().seed_figures(since).await.map_err(Refusal::Store)?;
    page(&Reviewers { f: Frame::of(&visit), figures, seeds })
}
