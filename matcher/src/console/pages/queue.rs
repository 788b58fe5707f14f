//! The queue, taking the next case, and finding one.

use askama::Template;
use axum::response::Response;
use matcher_core::{
    AuditAction, Identifier, IdentifierKind, Region, Scene,
    console::CaseCode,
    evidence::{CaseKind, CaseState},
};
use serde_json::json;

use super::{Frame, case_path, go, page};
use crate::{
    app::{cases::desk::DeskError, review::ReviewError},
    console::door::{Refusal, Visit},
    store::{
        RecordId, TimeMs,
        audit::AuditEvent,
        desk::{QueueCounts, QueueFilter, QueuePage, QueueRow, QueueState},
    },
};

/// Cases of a page.
const PAGE: u32 = 50;
/// Cases that a search shows.
const FOUND_MAX: u32 = 50;
/// Institutions to choose from.
const INSTITUTIONS_MAX: u32 = 500;
/// Cases that are tried when others take them at the same moment.
const TRIED: u32 = 20;
const DAY_MS: i64 = 86_400_000;

/// A line of the queue, as it is shown.
struct Line {
    row: QueueRow,
    code: String,
    path: String,
}

impl From<QueueRow> for Line {
    fn from(row: QueueRow) -> Self {
        Self { code: CaseCode::of(&row.id.0).to_string(), path: case_path(row.id), row }
    }
}

impl Line {
    /// The word of where it stands.
    fn state(&self) -> &'static str {
        if self.row.second_due && self.row.state == CaseState::Decided { "second_due" } else { self.row.state.word() }
    }

    fn assignee(&self) -> &str {
        self.row.assignee.as_deref().unwrap_or("–")
    }
}

/// A choice of a filter: its value, its label, whether it is chosen.
struct Choice<'a> {
    value: String,
    label: &'a str,
    chosen: bool,
}

#[derive(Template)]
#[template(path = "console/queue.html")]
struct Queue<'a> {
    f: Frame,
    lines: Vec<Line>,
    counts: QueueCounts,
    capacity: u64,
    filters: Vec<(&'static str, &'static str, Vec<Choice<'a>>)>,
    next: Option<String>,
    later_page: bool,
    done: String,
    nothing: bool,
    tabs: Vec<(String, &'static str, u64, bool)>,
    state: String,
    assignee: String,
}

/// The queue.
///
/// # Errors
/// When the store fails.
pub async fn list(visit: Visit) -> Result<Response, Refusal> {
    let console = &visit.console;
    let filter = filter(&visit);
    let after = cursor(visit.query.get("after"));
    let counted_for = (visit.name(), console.day_start());
    let asked = console.store().queue_page((filter, after, PAGE + 1), counted_for, INSTITUTIONS_MAX);
    let QueuePage { mut rows, counts, institutions } = asked.await.map_err(Refusal::Store)?;
    let more = rows.len() > PAGE as usize;
    rows.truncate(PAGE as usize);
    let last = rows.last().filter(|_| more).map(|row| format!("{:016x}.{}", row.rank.to_bits(), row.id));
    let next = last.map(|last| format!("/queue?{}", visit.query.with(&[("after", &last), ("done", ""), ("nothing", "")])));
    let capacity = console.config.cases.settings().map_or(0, |settings| settings.desk_a_day).into();
    let f = Frame::of(&visit);
    let done = CaseCode::read(visit.query.get("done")).map_or_else(String::new, |code| code.to_string());
    let filters = filters(&visit, &f, &institutions);
    let tabs = tabs(&visit, &f, &counts);
    let (state, assignee) = (visit.query.get("state").to_owned(), visit.query.get("assignee").to_owned());
    let (nothing, later_page) = (visit.query.get("nothing") == "1", after.is_some());
    page(&Queue {
        lines: rows.into_iter().map(Line::from).collect(),
        counts,
        capacity,
        filters,
        next,
        later_page,
        done,
        nothing,
        tabs,
        f,
        state,
        assignee,
    })
}

/// Takes the most pressing case that is to be had, and opens it: an open one, or one that waits for a second look.
///
/// # Errors
/// When the store fails.
pub async fn next(visit: Visit) -> Result<Response, Refusal> {
    let name = visit.user()?.name.clone();
    let mine = QueueFilter { assignee: Some(name.clone()), ..QueueFilter::default() };
    let held = visit.console.store().queue(mine, None, 1).await.map_err(Refusal::Store)?;
    if let Some(row) = held.first() {
        return Ok(go(&case_path(row.id)));
    }
    for state in [QueueState::SecondDue, QueueState::In(CaseState::Open)] {
        let filter = QueueFilter { state, reader: Some(name.clone()), ..QueueFilter::default() };
        let rows = visit.console.store().queue(filter, None, TRIED).await.map_err(Refusal::Store)?;
        for row in rows.iter().filter(|row| row.assignee.is_none()) {
            match visit.console.review.claim(row.id, &name).await {
                Ok(()) => return Ok(go(&case_path(row.id))),
                // Somebody was faster, or has judged it: the next one.
                Err(ReviewError::Desk(DeskError::Changed | DeskError::Step(_)) | ReviewError::NotYours) => {}
                Err(error) => return Err(Refusal::Review(error)),
            }
        }
    }
    Ok(go("/queue?nothing=1"))
}

fn filter(visit: &Visit) -> QueueFilter {
    let (query, now) = (&visit.query, visit.console.review.now());
    let (opened_from, opened_before): (Option<TimeMs>, Option<TimeMs>) = match query.get("age") {
        "day" => (Some(now - DAY_MS), None),
        "week" => (Some(now - 7 * DAY_MS), Some(now - DAY_MS)),
        "older" => (None, Some(now - 7 * DAY_MS)),
        _ => (None, None),
    };
    QueueFilter {
        state: match query.get("state") {
            "second_due" => QueueState::SecondDue,
            word => CaseState::from_word(word).map_or(QueueState::Working, QueueState::In),
        },
        kind: CaseKind::from_word(query.get("kind")),
        institution: query.filled("store").map(str::to_owned),
        scene: Scene::from_word(query.get("scene")),
        assignee: query.filled("assignee").map(|name| if name == "me" { visit.name().to_owned() } else { name.to_owned() }),
        opened_from,
        opened_before,
        reader: Some(visit.name().to_owned()),
    }
}

/// Where a page begins: behind a rank and an id.
fn cursor(text: &str) -> Option<(f64, RecordId)> {
    let (rank, id) = text.split_once('.')?;
    let rank = f64::from_bits(u64::from_str_radix(rank, 16).ok()?);
    Some((rank, id.parse().ok()?)).filter(|(rank, _)| rank.is_finite())
}

fn filters<'a>(visit: &Visit, f: &Frame, institutions: &'a [String]) -> Vec<(&'static str, &'static str, Vec<Choice<'a>>)> {
    let w = f.w;
    let choice =
        |name: &str, value: &str, label: &'a str| Choice { chosen: visit.query.get(name) == value, value: value.to_owned(), label };
    let all = |name: &str| choice(name, "", w.filter_all);
    let of = |name: &'static str, group: &str, words: Vec<&'static str>| {
        let labelled = words.into_iter().map(|word| choice(name, word, super::label(f.language, group, word)));
        std::iter::once(all(name)).chain(labelled).collect::<Vec<_>>()
    };
    let ages = [("day", w.age_day), ("week", w.age_week), ("older", w.age_older)];
    vec![
        ("kind", w.filter_kind, of("kind", "kind", CaseKind::ALL.iter().map(|kind| kind.word()).collect())),
        ("scene", w.filter_scene, of("scene", "scene", Scene::ALL.iter().map(|scene| scene.word()).collect())),
        ("age", w.filter_age, std::iter::once(all("age")).chain(ages.map(|(value, label)| choice("age", value, label))).collect()),
        (
            "store",
            w.filter_store,
            std::iter::once(all("store")).chain(institutions.iter().map(|name| choice("store", name, name))).collect(),
        ),
    ]
}

/// Counts that are links: path, label, number, whether it is the present one.
fn tabs(visit: &Visit, f: &Frame, counts: &QueueCounts) -> Vec<(String, &'static str, u64, bool)> {
    let w = f.w;
    let working = counts.open + counts.claimed + counts.second_due + counts.decided;
    let present = (visit.query.get("state"), visit.query.get("assignee"));
    let tab = |state: &str, assignee: &str, label: &'static str, n: u64| {
        let changes = [("state", state), ("assignee", assignee), ("after", ""), ("done", ""), ("nothing", "")];
        (format!("/queue?{}", visit.query.with(&changes)), label, n, present == (state, assignee))
    };
    vec![
        tab("", "", w.state_working, working),
        tab("open", "", w.state_open, counts.open),
        tab("", "me", w.count_mine, counts.mine),
        tab("second_due", "", w.state_second, counts.second_due),
        tab("decided", "", w.state_decided, counts.decided),
        tab("closed", "", w.state_closed, counts.closed),
    ]
}

#[derive(Template)]
#[template(path = "console/search.html")]
struct Search {
    f: Frame,
    searched: bool,
    lines: Vec<Line>,
    message: &'static str,
}

/// The form of a search.
///
/// # Errors
/// When the page cannot be made.
pub async fn search_form(visit: Visit) -> Result<Response, Refusal> {
    page(&Search { f: Frame::of(&visit), searched: false, lines: Vec::new(), message: "" })
}

/// Finds cases by a code, a transaction or a full card number. The number is neither shown nor written down.
///
/// # Errors
/// When the store fails.
pub async fn search(visit: Visit) -> Result<Response, Refusal> {
    let f = Frame::of(&visit);
    let (text, reason) = (visit.form.get("text").trim(), visit.form.get("reason").trim());
    if text.is_empty() || text.len() > 128 || reason.is_empty() || reason.chars().count() > 200 {
        return page(&Search { message: f.w.problem_words, f, searched: false, lines: Vec::new() });
    }
    let (by_what, rows) = found(&visit, text).await?;
    let detail = json!({ "what": "cases", "by": by_what, "found": rows.len(), "reason": reason }).to_string();
    let event = AuditEvent {
        at: visit.console.review.now(),
        action: AuditAction::CaseSearched,
        by: visit.name().to_owned(),
        object: String::new(),
        detail,
    };
    visit.console.store().record_audit(event).await.map_err(Refusal::Store)?;
    if let (Some(row), 1) = (rows.first(), rows.len()) {
        return Ok(go(&case_path(row.id)));
    }
    page(&Search { f, searched: true, lines: rows.into_iter().map(Line::from).collect(), message: "" })
}

async fn found(visit: &Visit, text: &str) -> Result<(&'static str, Vec<QueueRow>), Refusal> {
    let store = visit.console.store();
    if let Some(code) = CaseCode::read(text) {
        let rows = store.cases_of_prefix(code.prefix()).await.map_err(Refusal::Store)?;
        if !rows.is_empty() {
            return Ok(("code", rows));
        }
    }
    let rows = store.cases_of_transaction(text, FOUND_MAX).await.map_err(Refusal::Store)?;
    if !rows.is_empty() {
        return Ok(("transaction", rows));
    }
    let kind = IdentifierKind::from_word(visit.form.get("kind")).unwrap_or(IdentifierKind::SocialSecurityCard);
    let region = Region::new(visit.form.get("region").trim()).unwrap_or_default();
    let Ok(identifier) = Identifier::new(kind, region, text) else { return Ok(("nothing", Vec::new())) };
    let subject = visit.console.review.center.subject_of(&identifier).await.map_err(Refusal::Store)?;
    match subject {
        Some((stored, _)) => Ok(("card", store.cases_of_subject(stored.subject, FOUND_MAX).await.map_err(Refusal::Store)?)),
        None => Ok(("card", Vec::new())),
    }
}
