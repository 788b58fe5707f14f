//! For the auditor: who looked at which face, and whether the audit log is whole.

use std::sync::{Arc, PoisonError};

use askama::Template;
use axum::response::Response;

use super::{Frame, go, page};
use crate::{
    audit::verify::{Verified, Verifier, VerifyArgs},
    console::{
        Console,
        door::{Refusal, Visit},
    },
    store::{
        TimeMs,
        desk::{Look, LookFilter},
    },
};

/// Looks of a page.
const PAGE: u32 = 100;

/// What the last check of the log said.
#[derive(Debug, Clone, Default)]
pub enum Checked {
    /// Nothing was checked yet.
    #[default]
    Never,
    /// It runs.
    Running,
    /// It ended at a time.
    Whole(TimeMs, Verified),
    /// It found something, or could not be made.
    Broken(TimeMs, String),
}

/// A look, as it is shown.
struct Shown {
    look: Look,
    case: String,
    address: String,
    what: String,
    epoch: String,
}

#[derive(Template)]
#[template(path = "console/looks.html")]
struct Looks {
    f: Frame,
    looks: Vec<Shown>,
    by: String,
    about: String,
    older: Option<String>,
}

/// Who looked at which face.
///
/// # Errors
/// When the store fails.
pub async fn looks(visit: Visit) -> Result<Response, Refusal> {
    // Ids and nothing else: what is asked for becomes a pattern.
    let about = visit.query.filled("about").and_then(|text| text.parse::<crate::store::RecordId>().ok()).map(|id| id.to_string());
    let unreadable = about.is_none() && visit.query.filled("about").is_some();
    let by = visit.query.filled("by").map(str::to_owned);
    let before = visit.query.get("before").parse().ok();
    let filter = LookFilter { by: by.clone(), about: about.clone(), before };
    let mut looks = if unreadable { Vec::new() } else { visit.console.store().looks(filter, PAGE + 1).await.map_err(Refusal::Store)? };
    let more = looks.len() > PAGE as usize;
    looks.truncate(PAGE as usize);
    let last = looks.last().filter(|_| more).map(|look| look.at.to_string());
    let older = last.map(|last| format!("/looks?{}", visit.query.with(&[("before", &last)])));
    let shown = looks.into_iter().map(|look| {
        let detail: serde_json::Value = serde_json::from_str(&look.detail).unwrap_or_default();
        let text = |name: &str| detail.get(name).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
        Shown { case: text("case"), address: text("address"), what: text("what"), epoch: crate::keys::hex(&look.epoch), look }
    });
    let typed = visit.query.get("about").to_owned();
    page(&Looks { looks: shown.collect(), by: by.unwrap_or_default(), about: about.unwrap_or(typed), older, f: Frame::of(&visit) })
}

#[derive(Template)]
#[template(path = "console/log.html")]
struct Log {
    f: Frame,
    checked: Checked,
}

/// What the last check said.
///
/// # Errors
/// When the page cannot be made.
pub async fn log(visit: Visit) -> Result<Response, Refusal> {
    let checked = visit.console.checked.lock().unwrap_or_else(PoisonError::into_inner).clone();
    page(&Log { f: Frame::of(&visit), checked })
}

/// Begins a check, unless one runs.
///
/// # Errors
/// None.
pub async fn check(visit: Visit) -> Result<Response, Refusal> {
    let console = Arc::clone(&visit.console);
    let begins = {
        let mut checked = console.checked.lock().unwrap_or_else(PoisonError::into_inner);
        !matches!(std::mem::replace(&mut *checked, Checked::Running), Checked::Running)
    };
    if begins {
        tokio::spawn(async move {
            let result = verify(&console).await;
            *console.checked.lock().unwrap_or_else(PoisonError::into_inner) = result;
        });
    }
    Ok(go("/log"))
}

async fn verify(console: &Console) -> Checked {
    let now = console.review.now();
    let args = VerifyArgs { checkpoints: None, public_keys: None, records: false, json: false };
    let outcome = match Verifier::new(console.store(), &console.dir, &console.config.audit, &args, now) {
        Ok(verifier) => verifier.run(|_| {}).await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(verified) => Checked::Whole(now, verified),
        Err(error) => Checked::Broken(now, error.to_string()),
    }
}
