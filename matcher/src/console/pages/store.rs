//! What a store manager sees: cases the own institution is asked about, without any face, and the reply.

use askama::Template;
use axum::response::Response;
use matcher_core::console::{CaseCode, Statement, StatementKind};

use super::{Frame, go, page};
use crate::{
    app::review::CaseFile,
    console::door::{Refusal, Visit},
    store::{RecordId, Verification, desk::StoreCase},
};

/// Cases that are listed.
const LISTED: u32 = 200;

struct Asked {
    case: StoreCase,
    code: String,
}

#[derive(Template)]
#[template(path = "console/store.html")]
struct StorePage {
    f: Frame,
    institution: String,
    cases: Vec<Asked>,
}

#[derive(Template)]
#[template(path = "console/store_case.html")]
struct StoreCasePage<'a> {
    f: Frame,
    id: RecordId,
    code: String,
    institution: &'a str,
    said: Vec<(&'a Statement, &'static str)>,
    captures: Vec<Verification>,
    may_reply: bool,
}

/// The cases.
///
/// # Errors
/// When the store fails.
pub async fn list(visit: Visit) -> Result<Response, Refusal> {
    let institution = visit.user()?.institution.clone();
    let cases = visit.console.store().cases_asked(&institution, LISTED).await.map_err(Refusal::Store)?;
    let cases = cases.into_iter().map(|case| Asked { code: CaseCode::of(&case.id.0).to_string(), case }).collect();
    page(&StorePage { f: Frame::of(&visit), institution, cases })
}

/// One of them.
///
/// # Errors
/// [`Refusal::NotFound`] where the own institution was not asked about it.
pub async fn show(visit: Visit) -> Result<Response, Refusal> {
    let file = own(&visit).await?;
    let institution = &visit.user()?.institution;
    let members = file.view.stored.case.members.iter().map(|member| (file.subject(), member.verification)).collect();
    let records = visit.console.store().verifications_at(members).await.map_err(Refusal::Store)?;
    let said = file.statements.iter().filter(|said| said.institution == *institution);
    let shown = StoreCasePage {
        f: Frame::of(&visit),
        id: file.id(),
        code: CaseCode::of(&file.id().0).to_string(),
        institution,
        said: said.map(|said| (said, said.kind.word())).collect(),
        captures: records.into_iter().flatten().filter(|record| record.request.institution == *institution).collect(),
        may_reply: waits(&file, institution),
    };
    page(&shown)
}

/// Replies for the own institution.
///
/// # Errors
/// [`Refusal::NotFound`] where it was not asked.
pub async fn reply(visit: Visit) -> Result<Response, Refusal> {
    let file = own(&visit).await?;
    let (id, institution) = (file.id(), &visit.user()?.institution);
    let said = visit.console.review.say(id, visit.name(), StatementKind::StoreReply, institution, visit.form.get("text"));
    said.await.map_err(Refusal::Review)?;
    Ok(go(&format!("/store/{id}")))
}

/// A case that the own institution was asked about; of all others not even that there are such.
async fn own(visit: &Visit) -> Result<CaseFile, Refusal> {
    let institution = &visit.user()?.institution;
    let file = visit.console.review.file(visit.id(0)?).await.map_err(|_| Refusal::NotFound)?;
    // Where nothing happened, nobody is asked.
    let real = !visit.console.store().is_seed(file.id()).await.map_err(Refusal::Store)?;
    if real && !institution.is_empty() && file.hearing().was_asked(institution) { Ok(file) } else { Err(Refusal::NotFound) }
}

/// Whether the latest word between center and institution is a question.
fn waits(file: &CaseFile, institution: &str) -> bool {
    let last = file.statements.iter().rfind(|said| said.institution == institution);
    last.is_some_and(|said| said.kind == StatementKind::StoreAsked)
}
