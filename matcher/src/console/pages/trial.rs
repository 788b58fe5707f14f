//! A dry run: a policy tried on recorded comparisons, in the background, one at a time. Nothing is applied.

use std::sync::{Arc, PoisonError};

use askama::Template;
use axum::response::Response;
use matcher_core::{
    AuditAction, Policy,
    dry_run::{Estimate, Outcome},
};
use serde_json::json;

use super::{Frame, go, page};
use crate::{
    console::{
        Console,
        door::{Refusal, Visit},
    },
    policy::dry_run,
    store::{AppliedPolicy, TimeMs, audit::AuditEvent},
};

const DAY_MS: TimeMs = 86_400_000;
/// Days back at most.
const DAYS_MAX: TimeMs = 366;
/// The largest policy text, in bytes.
const TEXT_LEN_MAX: usize = 256 * 1024;
/// Institutions that are listed.
const LISTED: usize = 100;

/// What the last dry run found.
#[derive(Debug, Clone, Default)]
pub enum Tried {
    /// Nothing was tried yet.
    #[default]
    Never,
    /// It runs.
    Running(String),
    /// It ended.
    Done(Arc<Trial>),
    /// It broke off.
    Failed,
}

/// A dry run that ended.
#[derive(Debug)]
pub struct Trial {
    /// When it ended.
    pub at: TimeMs,
    /// Who asked.
    pub by: String,
    /// Version of the policy.
    pub version: String,
    /// Days back.
    pub days: TimeMs,
    /// What came of it.
    pub outcome: Outcome,
}

#[derive(Template)]
#[template(path = "console/trial.html")]
struct Page {
    f: Frame,
    tried: Tried,
    policies: Vec<AppliedPolicy>,
    message: String,
    text: String,
    days: TimeMs,
}

impl Page {
    fn estimate(&self, estimate: &Estimate) -> String {
        let percent = |share| self.f.percent(&Some(share));
        format!(
            "{} ({}–{}; n = {})",
            percent(estimate.share),
            percent(estimate.interval.low),
            percent(estimate.interval.high),
            estimate.count
        )
    }

    /// The institutions whose decisions change most.
    fn stores<'a>(&self, trial: &'a Trial) -> Vec<(&'a String, &'a matcher_core::dry_run::Counts)> {
        let mut stores: Vec<_> = trial.outcome.institutions.iter().collect();
        stores.sort_by_key(|(name, counts)| (std::cmp::Reverse(counts.flips), (*name).clone()));
        stores.truncate(LISTED);
        stores
    }
}

async fn shown(visit: &Visit, message: String) -> Result<Response, Refusal> {
    let policies = visit.console.store().policies().await.map_err(Refusal::Store)?;
    let tried = visit.console.tried().lock().unwrap_or_else(PoisonError::into_inner).clone();
    let text = visit.form.get("text").to_owned();
    page(&Page { f: Frame::of(visit), tried, policies, message, text, days: days(visit) })
}

fn days(visit: &Visit) -> TimeMs {
    visit.form.get("days").parse().unwrap_or(30).clamp(1, DAYS_MAX)
}

/// The form, and what the last dry run found.
///
/// # Errors
/// When the store fails.
pub async fn show(visit: Visit) -> Result<Response, Refusal> {
    shown(&visit, String::new()).await
}

/// Begins a dry run, unless one runs.
///
/// # Errors
/// When the store fails.
pub async fn begin(visit: Visit) -> Result<Response, Refusal> {
    let console = Arc::clone(&visit.console);
    let own = visit.form.get("text").trim();
    let text = if own.is_empty() {
        let number: u64 = visit.form.get("number").parse().unwrap_or_default();
        let policies = console.store().policies().await.map_err(Refusal::Store)?;
        policies.into_iter().find(|applied| applied.number == number).map(|applied| applied.policy.text).unwrap_or_default()
    } else {
        own.to_owned()
    };
    if text.len() > TEXT_LEN_MAX {
        return Err(Refusal::TooLarge);
    }
    let policy = match Policy::from_toml(&text) {
        Ok(policy) => policy,
        Err(error) => {
            let said = format!("{} {error}", Frame::of(&visit).s.try_wrong);
            return shown(&visit, said).await;
        }
    };
    let (days, now, by) = (days(&visit), console.review.now(), visit.name().to_owned());
    let begins = {
        let mut tried = console.tried().lock().unwrap_or_else(PoisonError::into_inner);
        let runs = matches!(*tried, Tried::Running(_));
        if !runs {
            *tried = Tried::Running(policy.version().to_owned());
        }
        !runs
    };
    if !begins {
        return Ok(go("/policy-trial"));
    }
    let detail = json!({ "version": policy.version(), "days": days, "sha256": sha256(&text) }).to_string();
    let event = AuditEvent { at: now, action: AuditAction::PolicyTried, by: by.clone(), object: policy.version().to_owned(), detail };
    if let Err(error) = console.store().record_audit(event).await {
        set(&console, Tried::Failed);
        return Err(Refusal::Store(error));
    }
    tokio::spawn(async move {
        let outcome = dry_run::run(console.store(), &policy, now - days * DAY_MS).await;
        let tried = match outcome {
            Ok(outcome) => {
                let trial = Trial { at: console.review.now(), by, version: policy.version().to_owned(), days, outcome };
                Tried::Done(Arc::new(trial))
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a dry run broke off");
                Tried::Failed
            }
        };
        set(&console, tried);
    });
    Ok(go("/policy-trial"))
}

fn set(console: &Console, tried: Tried) {
    *console.tried().lock().unwrap_or_else(PoisonError::into_inner) = tried;
}

fn sha256(text: &str) -> String {
    use sha2::{Digest, Sha256};
    crate::keys::hex(&Sha256::digest(text.as_bytes()))
}
