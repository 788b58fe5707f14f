//! Notes, questions to the store, complaints, and the slip with the case's code.

use askama::Template;
use axum::response::Response;
use matcher_core::console::{CaseCode, StatementKind};

use super::{Frame, case_path, go, page};
use crate::console::door::{Refusal, Visit};

/// Adds a note.
///
/// # Errors
/// When it says nothing.
pub async fn note(visit: Visit) -> Result<Response, Refusal> {
    say(visit, StatementKind::Note).await
}

/// Asks an institution of the case.
///
/// # Errors
/// When it is none of the case's.
pub async fn ask(visit: Visit) -> Result<Response, Refusal> {
    say(visit, StatementKind::StoreAsked).await
}

/// Writes down what the patient says.
///
/// # Errors
/// When it says nothing.
pub async fn complaint(visit: Visit) -> Result<Response, Refusal> {
    say(visit, StatementKind::Complaint).await
}

/// Answers the patient.
///
/// # Errors
/// When there is no complaint.
pub async fn answer(visit: Visit) -> Result<Response, Refusal> {
    say(visit, StatementKind::ComplaintAnswered).await
}

async fn say(visit: Visit, kind: StatementKind) -> Result<Response, Refusal> {
    let id = visit.id(0)?;
    let institution = if kind == StatementKind::StoreAsked { visit.form.get("institution") } else { "" };
    visit.console.review.say(id, visit.name(), kind, institution, visit.form.get("text")).await.map_err(Refusal::Review)?;
    Ok(go(&case_path(id)))
}

#[derive(Template)]
#[template(path = "console/slip.html")]
struct Slip {
    f: Frame,
    code: String,
    path: String,
    opened_at: i64,
    institutions: String,
    controller: String,
    complaints: String,
    days: i64,
    now: i64,
}

/// The slip that is handed to the patient, to be printed.
///
/// # Errors
/// When there is no such case.
pub async fn slip(visit: Visit) -> Result<Response, Refusal> {
    let id = visit.id(0)?;
    let review = &visit.console.review;
    let file = review.file(id).await.map_err(Refusal::Review)?;
    let law = &visit.console.config.law;
    let slip = Slip {
        f: Frame::of(&visit),
        code: CaseCode::of(&id.0).to_string(),
        path: case_path(id),
        opened_at: file.view.stored.case.opened_at,
        institutions: file.view.stored.institutions.join(", "),
        controller: law.controller.clone(),
        complaints: law.complaints.clone(),
        days: review.rules.complaint_ms / 86_400_000,
        now: review.now(),
    };
    page(&slip)
}
