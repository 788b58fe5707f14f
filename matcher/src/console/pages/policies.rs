//! The history of policies: who applied which, when and why, and what each changed.

use askama::Template;
use axum::response::Response;
use matcher_core::{
    Policy,
    policy::difference::{Change, difference},
};

use super::{Frame, page};
use crate::{
    console::door::{Refusal, Visit},
    policy::signatures_hold,
    store::AppliedPolicy,
};

/// A policy, as it is listed.
struct Line {
    applied: AppliedPolicy,
    mode: &'static str,
    accepted: String,
    holds: bool,
}

impl Line {
    fn of(visit: &Visit, applied: AppliedPolicy) -> Self {
        let policy = Policy::from_toml(&applied.policy.text).ok();
        let accepted = policy.as_ref().and_then(Policy::accepted);
        Self {
            mode: policy.as_ref().map_or("", |policy| policy.mode().word()),
            accepted: accepted.map_or_else(String::new, |accepted| format!("{} ({})", accepted.by, accepted.on)),
            holds: signatures_hold(visit.console.review.center.policies.key(), &applied.policy),
            applied,
        }
    }
}

#[derive(Template)]
#[template(path = "console/policies.html")]
struct List {
    f: Frame,
    lines: Vec<Line>,
}

/// All policies, the last first.
///
/// # Errors
/// When the store fails.
pub async fn list(visit: Visit) -> Result<Response, Refusal> {
    let policies = visit.console.store().policies().await.map_err(Refusal::Store)?;
    let lines = policies.into_iter().map(|applied| Line::of(&visit, applied)).collect();
    page(&List { f: Frame::of(&visit), lines })
}

#[derive(Template)]
#[template(path = "console/policy.html")]
struct One {
    f: Frame,
    line: Line,
    changes: Option<Vec<Change>>,
}

/// One policy: its text, and what it changed.
///
/// # Errors
/// When there is none of this number, or the store fails.
pub async fn one(visit: Visit) -> Result<Response, Refusal> {
    let number: u64 = visit.parts.first().and_then(|part| part.parse().ok()).ok_or(Refusal::NotFound)?;
    let policies = visit.console.store().policies().await.map_err(Refusal::Store)?;
    let find = |number: u64| policies.iter().find(|applied| applied.number == number);
    let applied = find(number).ok_or(Refusal::NotFound)?;
    let before = number.checked_sub(1).and_then(find);
    let changes = before.and_then(|before| difference(&before.policy.text, &applied.policy.text).ok());
    page(&One { changes, line: Line::of(&visit, applied.clone()), f: Frame::of(&visit) })
}
