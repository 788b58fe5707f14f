//! The report of a case, to be printed: what it is about, what was decided and said, and its evidence by digests. It holds no
//! face, and making it is written into the audit log.

use askama::Template;
use axum::response::Response;
use matcher_core::{AuditAction, audit::Head, console::CaseCode};
use serde_json::json;

use super::{Frame, page};
use crate::{
    app::review::{CaseFile, ReviewError, story::Story},
    console::door::{Refusal, Visit},
    keys::hex,
    store::{
        Verification,
        audit::{AuditEvent, events},
    },
};

/// A piece of evidence.
struct Evidence {
    record: Verification,
    suspect: bool,
    face: u32,
    digest: String,
    covered: String,
}

#[derive(Template)]
#[template(path = "console/report.html")]
struct Page<'a> {
    f: Frame,
    code: String,
    path: String,
    file: &'a CaseFile,
    story: &'a Story,
    evidence: Vec<Evidence>,
    policies: Vec<String>,
    heads: Vec<(String, u64, String)>,
    controller: String,
    complaints: String,
    now: i64,
}

/// The report, for whoever has judged the case's faces.
///
/// # Errors
/// When there is no such case, it is not told to the reader yet, or the store fails.
pub async fn show(visit: Visit) -> Result<Response, Refusal> {
    let id = visit.id(0)?;
    let (console, reader) = (&visit.console, visit.name());
    let file = console.review.file(id).await.map_err(Refusal::Review)?;
    // Whoever may judge next is told nothing of the first verdict, on paper neither.
    if file.blind_to(reader) {
        return Err(Refusal::Review(ReviewError::NotJudged));
    }
    let story = console.review.story(&file, reader).await.map_err(Refusal::Review)?;
    let piece = |capture: &crate::app::review::story::Capture| {
        let record = capture.record.clone()?;
        let (digest, covered) = (hex(&record.request_digest), events::verification_digest(&record));
        Some(Evidence { suspect: capture.member.suspect, face: capture.member.face, record, digest, covered })
    };
    let evidence: Vec<Evidence> = story.captures.iter().filter_map(piece).collect();
    let mut policies: Vec<String> = evidence.iter().map(|piece| piece.record.policy_version.clone()).collect();
    policies.sort();
    policies.dedup();
    let now = console.review.now();
    let detail = json!({ "captures": evidence.len(), "address": visit.address.to_string() }).to_string();
    let event = AuditEvent { at: now, action: AuditAction::CaseReported, by: reader.to_owned(), object: id.to_string(), detail };
    // The position is one of before or after this entry; either covers what the report shows.
    let (recorded, heads) = tokio::join!(console.store().record_audit(event), console.store().audit_heads());
    recorded.map_err(Refusal::Store)?;
    let mut heads = heads.map_err(Refusal::Store)?;
    heads.sort_by_key(|head| std::cmp::Reverse(head.link));
    let law = &console.config.law;
    let head = |head: &Head| (hex(&head.epoch), head.link, hex(&head.hash));
    let page_of = Page {
        code: CaseCode::of(&id.0).to_string(),
        path: super::case_path(id),
        evidence,
        policies,
        heads: heads.iter().map(head).collect(),
        controller: law.controller.clone(),
        complaints: law.complaints.clone(),
        now,
        f: Frame::of(&visit),
        file: &file,
        story: &story,
    };
    page(&page_of)
}
