//! Pairs of faces whose answer is known, for those who look after them; no face is shown, and no case named.

use askama::Template;
use axum::response::Response;

use super::{Frame, page};
use crate::{
    console::door::{Refusal, Visit},
    store::seeds::SeedUse,
};

#[derive(Template)]
#[template(path = "console/seeds.html")]
struct Seeds {
    f: Frame,
    pairs: Vec<SeedUse>,
    share: String,
}

impl Seeds {
    fn score(&self, of: &SeedUse) -> String {
        self.f.score(&Some(of.pair.score))
    }
}

/// The pairs.
///
/// # Errors
/// When the store fails.
pub async fn list(visit: Visit) -> Result<Response, Refusal> {
    let pairs = visit.console.store().seed_pairs().await.map_err(Refusal::Store)?;
    let share = visit.console.config.cases.settings().map_or(0.0, |settings| settings.seed_share);
    page(&Seeds { f: Frame::of(&visit), pairs, share: format!("{share:.2}") })
}
