//! Tables to take out, as CSV: made page by page as they are read, without faces, numbers masked, each written down first.

use std::sync::Arc;

use askama::Template;
use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures_util::StreamExt;
use matcher_core::AuditAction;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{
    Frame,
    figures::{Period, day_of_date},
    page,
};
use crate::{
    app::supervision::{
        date_of,
        export::{self, Table},
        start_of,
    },
    console::door::{Refusal, Visit},
    store::audit::AuditEvent,
};

/// Longest purpose, in characters.
const REASON_MAX: usize = 200;
/// Longest time, in days.
const DAYS_MAX: i64 = 366;

#[derive(Template)]
#[template(path = "console/exports.html")]
struct Page {
    f: Frame,
    period: Period,
    tables: Vec<(&'static str, &'static str)>,
    message: &'static str,
}

fn shown(visit: &Visit, failed: bool) -> Result<Response, Refusal> {
    let f = Frame::of(visit);
    let s = f.s;
    let name = |table: Table| match table {
        Table::Figures => s.export_figures,
        Table::Alarms => s.export_alarms,
        Table::Cases => s.export_cases,
        Table::Verifications => s.export_verifications,
    };
    let tables = Table::ALL.map(|table| (table.word(), name(table))).into();
    let message = if failed { f.w.problem_words } else { "" };
    page(&Page { period: Period::of(visit, 30), tables, message, f })
}

/// The form.
///
/// # Errors
/// When the page cannot be made.
pub async fn form(visit: Visit) -> Result<Response, Refusal> {
    shown(&visit, false)
}

/// A table.
///
/// # Errors
/// When the store fails before it begins.
pub async fn take(visit: Visit) -> Result<Response, Refusal> {
    let date = |name| visit.form.get(name).parse().ok().map(day_of_date);
    let reason = visit.form.get("reason").trim();
    let (Some(table), Some(from), Some(until)) = (Table::from_word(visit.form.get("table")), date("from"), date("until")) else {
        return shown(&visit, true);
    };
    if reason.is_empty() || reason.chars().count() > REASON_MAX || !(from..from + DAYS_MAX).contains(&until) {
        return shown(&visit, true);
    }
    let detail = json!({ "table": table.word(), "from": date_of(from).to_string(), "until": date_of(until).to_string(), "reason": reason });
    let event = AuditEvent {
        at: visit.console.review.now(),
        action: AuditAction::TableExported,
        by: visit.name().to_owned(),
        object: table.word().to_owned(),
        detail: detail.to_string(),
    };
    visit.console.store().record_audit(event).await.map_err(Refusal::Store)?;
    let zone = visit.console.zone().clone();
    let span = export::Span { days: (from, until), from: start_of(from, &zone), until: start_of(until + 1, &zone) };
    let (parts, made) = mpsc::channel::<Result<Bytes, std::io::Error>>(2);
    let store = Arc::clone(&visit.console.review.center.store);
    tokio::spawn(async move {
        if let Err(error) = export::write(store.as_ref(), table, span, &parts).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "a table broke off");
            // What was sent must not look whole.
            let _ = parts.send(Err(std::io::Error::other("broken off"))).await;
        }
    });
    let name = format!("attachment; filename=\"{}_{}_{}.csv\"", table.word(), date_of(from), date_of(until));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8")),
        (header::CONTENT_DISPOSITION, HeaderValue::from_str(&name).unwrap_or(HeaderValue::from_static("attachment"))),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    Ok((headers, Body::from_stream(ReceiverStream::new(made).map(|part| part))).into_response())
}
