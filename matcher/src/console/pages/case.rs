//! The page of a case in two steps, and the steps that are taken with it.
//!
//! What is shown follows from the case file alone: before the reader's judgement is locked, nothing of step two is read.

use askama::Template;
use axum::response::Response;
use matcher_core::{
    console::{CaseCode, Judgement},
    evidence::{CaseState, CaseVerdict},
};

use super::{Frame, case_path, go, page};
use crate::{
    app::review::{
        CaseFile, ReviewError,
        faces::{Measured, Pair, pair},
        story::{Capture, Story},
    },
    console::{
        door::{Refusal, Visit},
        plot::{self, Mark},
    },
    store::RecordId,
};

/// What both steps show of a case.
struct Head {
    code: String,
    path: String,
    opened_at: i64,
    state: &'static str,
    assignee: String,
    held: bool,
    can_claim: bool,
    second: bool,
    judged_before: bool,
}

impl Head {
    fn of(file: &CaseFile, reader: &str) -> Self {
        let case = file.case();
        let state = case.state();
        let second = state == CaseState::Decided && file.second_due;
        let judged_before = case.judges().iter().any(|judge| judge == reader);
        Self {
            code: CaseCode::of(&file.id().0).to_string(),
            path: case_path(file.id()),
            opened_at: file.view.stored.case.opened_at,
            state: if second { "second_due" } else { state.word() },
            assignee: case.claimed_by().unwrap_or_default().to_owned(),
            held: file.held_by(reader),
            can_claim: (state == CaseState::Open || second) && case.claimed_by().is_none() && !judged_before,
            second,
            judged_before,
        }
    }
}

#[derive(Template)]
#[template(path = "console/case_faces.html")]
struct FacesPage {
    f: Frame,
    head: Head,
    pair: Pair,
    photo_eyes: String,
    capture_eyes: String,
    others: Vec<(usize, RecordId, bool)>,
    scale: Vec<(i8, &'static str)>,
}

#[derive(Template)]
#[template(path = "console/case.html")]
struct CasePage<'a> {
    f: Frame,
    head: Head,
    file: &'a CaseFile,
    story: &'a Story,
    pair: Pair,
    photo_eyes: String,
    capture_eyes: String,
    blind: bool,
    plot: String,
    live: Option<f32>,
    mine: i8,
    said: Vec<(&'a matcher_core::console::Statement, &'static str)>,
    reply_due: Option<i64>,
    complaint_due: Option<i64>,
    can_decide: bool,
    can_close: bool,
    can_reopen: bool,
}

impl CasePage<'_> {
    /// A capture's address within the case.
    fn at(&self, id: &RecordId) -> String {
        format!("{}/capture/{id}", self.head.path)
    }
}

/// The page: the faces alone, or the whole case for whoever judged them.
///
/// # Errors
/// When there is no such case, or the store fails.
pub async fn show(visit: Visit) -> Result<Response, Refusal> {
    let file = visit.console.review.file(visit.id(0)?).await.map_err(Refusal::Review)?;
    if file.told_to(visit.name()) { whole(&visit, &file).await } else { faces(&visit, &file).await }
}

async fn faces(visit: &Visit, file: &CaseFile) -> Result<Response, Refusal> {
    let review = &visit.console.review;
    let head = Head::of(file, visit.name());
    let mut shown = Pair::default();
    let mut others = Vec::new();
    if head.held {
        let pictures = review.pictures_of(file).await.map_err(Refusal::Review)?;
        shown = pair(file, &pictures.photos, &pictures.with_sample);
        let members = file.view.stored.case.members.iter().map(|member| member.verification);
        let pictured: Vec<RecordId> = members.filter(|id| pictures.with_sample.contains(id)).collect();
        let asked = visit.query.get("show").parse().ok();
        shown.capture = asked.filter(|asked| pictured.contains(asked)).or(shown.capture);
        others = (1..).zip(&pictured).map(|(place, id)| (place, *id, Some(*id) == shown.capture)).collect();
    }
    let f = Frame::of(visit);
    let w = f.w;
    let words = [w.judge_minus3, w.judge_minus2, w.judge_minus1, w.judge_zero, w.judge_plus1, w.judge_plus2, w.judge_plus3];
    let scale = Judgement::ALL.map(Judgement::get).into_iter().zip(words).collect();
    let measured = review.measured(file, shown).await.map_err(Refusal::Review)?;
    let (photo_eyes, capture_eyes) = eyes(&measured);
    page(&FacesPage { f, head, pair: shown, photo_eyes, capture_eyes, others, scale })
}

fn eyes(measured: &Measured) -> (String, String) {
    let written = |distance: Option<f32>| distance.map_or_else(String::new, |distance| format!("{distance:.1}"));
    (written(measured.eyes.0), written(measured.eyes.1))
}

async fn whole(visit: &Visit, file: &CaseFile) -> Result<Response, Refusal> {
    let (console, reader) = (&visit.console, visit.name());
    let story = console.review.story(file, reader).await.map_err(Refusal::Review)?;
    let head = Head::of(file, reader);
    let (photo_eyes, capture_eyes) = eyes(&story.measured);
    let f = Frame::of(visit);
    let blind = file.blind_to(reader);
    let own = |by: &str| !blind || by == reader || by.is_empty();
    let said = file.statements.iter().filter(|said| said.kind != matcher_core::console::StatementKind::Note || own(&said.by));
    let hearing = file.hearing();
    let main = story.captures.iter().find(|capture| Some(capture.member.verification) == story.pair.capture);
    let state = file.case().state();
    let decided = matches!(state, CaseState::Decided | CaseState::SecondReview) && !file.second_due;
    let page_of = CasePage {
        plot: plot(&f, &story, main),
        pair: story.pair,
        live: main.and_then(|capture| capture.record.as_ref()?.live),
        mine: file.judged_by(reader).map_or(0, |judged| judged.judgement.get()),
        said: said.map(|said| (said, said.kind.word())).collect(),
        reply_due: hearing.reply_due(),
        complaint_due: hearing.complaint_due(),
        can_decide: head.held && file.judged_by(reader).is_some(),
        can_close: decided,
        can_reopen: f.may("reopen_case") && (decided || state == CaseState::Closed),
        f,
        head,
        file,
        story: &story,
        photo_eyes,
        capture_eyes,
        blind,
    };
    page(&page_of)
}

fn plot(f: &Frame, story: &Story, main: Option<&Capture>) -> String {
    let mark = |capture: &Capture| {
        let score = capture.record.as_ref()?.score?;
        Some(Mark { score, main: Some(capture.member.verification) == story.pair.capture })
    };
    let mut marks: Vec<Mark> = story.captures.iter().filter_map(mark).collect();
    // The one that was judged is drawn last, above the others.
    marks.sort_by_key(|mark| mark.main);
    let of = main.or(story.captures.last()).and_then(|capture| capture.record.as_ref());
    plot::bands(f.w, &marks, of.and_then(|record| record.match_threshold), of.and_then(|record| record.non_match_threshold))
}

/// Takes the case.
///
/// # Errors
/// When it cannot be taken.
pub async fn claim(visit: Visit) -> Result<Response, Refusal> {
    let id = visit.id(0)?;
    visit.console.review.claim(id, visit.name()).await.map_err(Refusal::Review)?;
    Ok(go(&case_path(id)))
}

/// Gives it back.
///
/// # Errors
/// When it is somebody else's.
pub async fn release(visit: Visit) -> Result<Response, Refusal> {
    visit.console.review.release(visit.id(0)?, visit.name()).await.map_err(Refusal::Review)?;
    Ok(go("/queue"))
}

/// Locks what the reader sees in the faces.
///
/// # Errors
/// When the case is not theirs, or they judged it before.
pub async fn judge(visit: Visit) -> Result<Response, Refusal> {
    let id = visit.id(0)?;
    let number = visit.form.get("judgement").parse::<i64>().ok().and_then(|number| Judgement::new(number).ok());
    let judgement = number.ok_or(Refusal::Review(ReviewError::NotJudged))?;
    let shown = visit.form.get("capture").parse().ok();
    visit.console.review.judge(id, visit.name(), judgement, shown).await.map_err(Refusal::Review)?;
    Ok(go(&case_path(id)))
}

/// Gives a verdict.
///
/// # Errors
/// When it does not follow.
pub async fn decide(visit: Visit) -> Result<Response, Refusal> {
    let id = visit.id(0)?;
    let no_verdict = || Refusal::Review(ReviewError::Hearing(matcher_core::console::HearingError::Empty));
    let verdict = CaseVerdict::from_word(visit.form.get("verdict")).ok_or_else(no_verdict)?;
    visit.console.review.decide(id, visit.name(), verdict, visit.form.get("reason")).await.map_err(Refusal::Review)?;
    Ok(go(&format!("/queue?done={}", CaseCode::of(&id.0))))
}

/// Closes the case.
///
/// # Errors
/// When somebody is to be heard first.
pub async fn close(visit: Visit) -> Result<Response, Refusal> {
    let id = visit.id(0)?;
    visit.console.review.close(id, visit.name()).await.map_err(Refusal::Review)?;
    Ok(go(&case_path(id)))
}

/// Opens it again.
///
/// # Errors
/// When it is not decided.
pub async fn reopen(visit: Visit) -> Result<Response, Refusal> {
    let id = visit.id(0)?;
    visit.console.review.reopen(id, visit.name(), visit.form.get("reason")).await.map_err(Refusal::Review)?;
    Ok(go(&case_path(id)))
}
