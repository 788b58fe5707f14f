//! Searching the face of a case that one works on among other people's, with a reason. Candidates are pseudonyms.

use askama::Template;
use axum::response::Response;
use matcher_core::console::CaseCode;

use super::{Frame, page};
use crate::{
    app::review::{CaseFile, faces::pair},
    console::door::{Refusal, Visit},
    identify::ask::{Answer, AskError, Question, Scope},
    index_command,
    store::RecordId,
};

/// Longest reason, in characters.
const REASON_MAX: usize = 200;

#[derive(Template)]
#[template(path = "console/search_faces.html")]
struct Page {
    f: Frame,
    here: bool,
    case: String,
    scope: String,
    region: bool,
    message: String,
    answer: Option<Answer>,
}

fn shown(visit: &Visit, message: String, answer: Option<Answer>) -> Result<Response, Refusal> {
    let form = if visit.form.filled("case").is_some() { &visit.form } else { &visit.query };
    page(&Page {
        f: Frame::of(visit),
        here: visit.console.searches(),
        case: form.get("case").to_owned(),
        scope: form.get("scope").to_owned(),
        region: form.get("among") == "region",
        message,
        answer,
    })
}

/// The form.
///
/// # Errors
/// When the page cannot be made.
pub async fn form(visit: Visit) -> Result<Response, Refusal> {
    shown(&visit, String::new(), None)
}

/// The case that a code or an id names, if the reader works on it and has judged its faces.
async fn case(visit: &Visit) -> Result<Option<CaseFile>, Refusal> {
    let text = visit.form.get("case").trim();
    let id = match (text.parse::<RecordId>(), CaseCode::read(text)) {
        (Ok(id), _) => Some(id),
        (Err(_), Some(code)) => {
            let rows = visit.console.store().cases_of_prefix(code.prefix()).await.map_err(Refusal::Store)?;
            rows.first().filter(|_| rows.len() == 1).map(|row| row.id)
        }
        (Err(_), None) => None,
    };
    let Some(id) = id else { return Ok(None) };
    let Ok(file) = visit.console.review.file(id).await else { return Ok(None) };
    Ok(Some(file).filter(|file| file.held_by(visit.name()) && file.told_to(visit.name())))
}

/// Searches, and shows who it may be.
///
/// # Errors
/// When the store fails.
pub async fn ask(visit: Visit) -> Result<Response, Refusal> {
    let f = Frame::of(&visit);
    if !visit.console.searches() {
        return shown(&visit, f.s.identify_absent.to_owned(), None);
    }
    let (scope, reason) = (visit.form.get("scope").trim(), visit.form.get("reason").trim());
    if reason.is_empty() || reason.chars().count() > REASON_MAX || scope.len() > 64 {
        return shown(&visit, f.w.problem_words.to_owned(), None);
    }
    let Some(file) = case(&visit).await? else { return shown(&visit, f.s.identify_no_case.to_owned(), None) };
    let pictures = visit.console.review.pictures_of(&file).await.map_err(Refusal::Review)?;
    let Some(record) = pair(&file, &pictures.photos, &pictures.with_sample).capture else {
        return shown(&visit, f.w.picture_gone.to_owned(), None);
    };
    let scope =
        if visit.form.get("among") == "institution" { Scope::Institution(scope.to_owned()) } else { Scope::Region(scope.to_owned()) };
    let question = Question { subject: file.subject(), record, scope, by: visit.name().to_owned(), reason: reason.to_owned() };
    match searched(&visit, &question).await {
        Ok(answer) => shown(&visit, String::new(), Some(answer)),
        Err(why) => shown(&visit, format!("{} {why}", f.s.identify_refused), None),
    }
}

/// One search at a time: the saved index is opened for it and let go again.
async fn searched(visit: &Visit, question: &Question) -> Result<Answer, String> {
    let console = &visit.console;
    let _alone = console.searching.lock().await;
    let searcher =
        index_command::searcher(console.review.center.clone(), &console.dir, &console.config).map_err(|error| error.to_string())?;
    let mut held = searcher.held(question.scope.kind()).await.map_err(|error| error.to_string())?;
    searcher.ask(&mut held, question).await.map_err(|error: AskError| error.to_string())
}
