//! Pages: each reads a request, calls a use case and fills a template. What all have in common is here.

pub mod account;
pub mod assets;
pub mod case;
pub mod drift;
pub mod exports;
pub mod faces;
pub mod figures;
pub mod log;
pub mod parties;
pub mod peers;
pub mod policies;
pub mod queue;
pub mod report;
pub mod reviewers;
pub mod search;
pub mod seeds;
pub mod sign_in;
pub mod store;
pub mod trial;
pub mod users;

use std::sync::Arc;

use askama::Template;
use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use jiff::tz::TimeZone;
use matcher_core::{
    console::{Action, HearingError, Role, permits},
    evidence::CaseError,
};

use super::{
    Console,
    door::{Member, Refusal, Visit},
    form,
    labels::label,
    locale::Language,
    words::{EN, Words, ZH, supervision},
};
use crate::{
    app::{accounts::Token, cases::desk::DeskError, review::ReviewError},
    store::{RecordId, TimeMs},
};

/// What every template has: words, who reads, and what forms carry.
pub struct Frame {
    /// The words.
    pub w: &'static Words,
    /// The words of supervision.
    pub s: &'static supervision::Words,
    /// The language.
    pub language: Language,
    /// Who reads; empty where nobody signed in.
    pub name: String,
    /// As what.
    pub role: Option<Role>,
    /// The token of forms.
    pub csrf: String,
    /// The page's path and query, for coming back to it.
    pub here: String,
    zone: TimeZone,
    now: TimeMs,
}

impl Frame {
    /// The frame of a visit.
    #[must_use]
    pub fn of(visit: &Visit) -> Self {
        let query = visit.query.with(&[]);
        let here = if query.is_empty() { visit.path.clone() } else { format!("{}?{query}", visit.path) };
        Self::new(&visit.console, visit.language, visit.member.as_ref(), here, visit.csrf())
    }

    fn new(console: &Console, language: Language, member: Option<&Member>, here: String, csrf: String) -> Self {
        Self {
            w: words(language),
            s: match language {
                Language::Zh => &supervision::ZH,
                Language::En => &supervision::EN,
            },
            language,
            name: member.map_or_else(String::new, |member| member.user.name.clone()),
            role: member.map(|member| member.user.role),
            csrf,
            here,
            zone: console.zone.clone(),
            now: console.review.now(),
        }
    }

    /// The language's code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.language.code()
    }

    /// Where the other language is chosen.
    #[must_use]
    pub fn switch(&self) -> String {
        let other = match self.language {
            Language::Zh => Language::En,
            Language::En => Language::Zh,
        };
        format!("/language/{}?back={}", other.code(), escaped(&self.here))
    }

    /// Whether the reader may do something, by its word.
    #[must_use]
    pub fn may(&self, action: &str) -> bool {
        Action::from_word(action).is_some_and(|action| permits(self.role, action))
    }

    /// What the reader is called.
    #[must_use]
    pub fn role_label(&self) -> &'static str {
        self.role.map_or("", |role| label(self.language, "role", role.word()))
    }

    /// The label of a word.
    #[must_use]
    pub fn label<'a>(&self, group: &str, word: &'a str) -> &'a str {
        label(self.language, group, word)
    }

    /// A time.
    #[must_use]
    pub fn time(&self, at: &TimeMs) -> String {
        self.language.time(*at, &self.zone)
    }

    /// How long ago.
    #[must_use]
    pub fn ago(&self, at: &TimeMs) -> String {
        self.language.span(self.now - at)
    }

    /// How long a day, `YYYY-MM-DD`, is ago; the day itself where it is none.
    #[must_use]
    pub fn since(&self, day: &str) -> String {
        let at = day.parse::<jiff::civil::Date>().ok().and_then(|day| day.to_zoned(self.zone.clone()).ok());
        at.map_or_else(|| day.to_owned(), |at| self.ago(&at.timestamp().as_millisecond()))
    }

    /// A day, counted from 1970-01-01.
    #[must_use]
    pub fn day(&self, day: &i64) -> String {
        self.language.day(crate::app::supervision::start_of(*day, &self.zone), &self.zone)
    }

    /// A day on an axis.
    #[must_use]
    pub fn short_day(&self, day: &i64) -> String {
        let format = match self.language {
            Language::Zh => "%-m月%-d日",
            Language::En => "%-d %b",
        };
        crate::app::supervision::date_of(*day).strftime(format).to_string()
    }

    /// A share, 0–1, in hundredths; a dash where there is none.
    #[must_use]
    pub fn percent(&self, share: &Option<f64>) -> String {
        share.map_or_else(|| "–".to_owned(), |share| format!("{:.1} %", 100.0 * share).replace('-', "−"))
    }

    /// A number.
    #[must_use]
    pub fn number(&self, number: &u64) -> String {
        self.language.number(*number)
    }

    /// A score, as it is.
    #[must_use]
    pub fn score(&self, score: &Option<f32>) -> String {
        score.map_or_else(|| "–".to_owned(), |score| format!("{score:.3}").replace('-', "−"))
    }
}

/// The words of a language.
#[must_use]
pub fn words(language: Language) -> &'static Words {
    match language {
        Language::Zh => &ZH,
        Language::En => &EN,
    }
}

/// A page that was made.
///
/// # Errors
/// When it cannot be written down.
pub fn page(template: &impl Template) -> Result<Response, Refusal> {
    Ok(html(template.render().map_err(Refusal::Page)?))
}

fn html(text: String) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))], text).into_response()
}

/// Sends the browser on; `path` is one of this console.
#[must_use]
pub fn go(path: &str) -> Response {
    let to = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, to)], Body::empty()).into_response()
}

/// A value for a query.
#[must_use]
pub fn escaped(text: &str) -> String {
    ::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// The page of a case.
#[must_use]
pub fn case_path(id: RecordId) -> String {
    format!("/cases/{id}")
}

#[derive(Template)]
#[template(path = "console/problem.html")]
struct Problem {
    f: Frame,
    message: &'static str,
}

/// A page that says what cannot be done, and nothing else.
///
/// # Errors
/// When it cannot be written down.
pub fn problem(
    console: &Arc<Console>,
    language: Language,
    member: Option<Member>,
    path: &str,
    status: StatusCode,
    refusal: &Refusal,
) -> Result<Response, Refusal> {
    let csrf = member.as_ref().map_or_else(String::new, |member| form::encode(&member.token.derive("form")));
    let f = Frame::new(console, language, member.as_ref(), form::local(path).to_owned(), csrf);
    let message = message(f.w, refusal);
    let mut response = page(&Problem { f, message })?;
    *response.status_mut() = status;
    Ok(response)
}

fn message(w: &'static Words, refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::SignIn | Refusal::Forbidden => w.problem_forbidden,
        Refusal::Form => w.problem_form,
        Refusal::NotFound => w.problem_not_found,
        Refusal::TooLarge => w.problem_too_large,
        Refusal::Busy => w.too_many,
        Refusal::Review(error) => review_message(w, error),
        Refusal::Account(_) => w.users_refused,
        Refusal::Store(_) | Refusal::Page(_) => w.problem_unavailable,
    }
}

fn review_message(w: &'static Words, error: &ReviewError) -> &'static str {
    match error {
        ReviewError::Desk(DeskError::UnknownCase) => w.problem_not_found,
        ReviewError::Desk(DeskError::Step(CaseError::NoReason)) | ReviewError::Hearing(HearingError::Empty) => w.problem_words,
        ReviewError::Desk(DeskError::Step(CaseError::JudgedBefore)) => w.case_judged_before,
        ReviewError::Desk(DeskError::Step(CaseError::SecondReviewDue(_))) | ReviewError::SecondDue => w.problem_second,
        ReviewError::Desk(DeskError::Step(CaseError::NotYours)) | ReviewError::NotYours => w.problem_not_yours,
        ReviewError::Desk(DeskError::Store(_)) | ReviewError::Store(_) => w.problem_unavailable,
        ReviewError::Desk(_) => w.problem_order,
        ReviewError::NotJudged => w.problem_not_judged,
        ReviewError::JudgedBefore => w.problem_judged,
        ReviewError::Hearing(HearingError::NotAsked) => w.problem_not_asked,
        ReviewError::Hearing(HearingError::ReplyDue(_)) => w.problem_reply,
        ReviewError::Hearing(HearingError::ComplaintOpen(_)) => w.problem_complaint,
        ReviewError::Hearing(HearingError::NothingAsked) | ReviewError::Institution => w.problem_nothing,
        ReviewError::TooLong => w.problem_too_large,
    }
}

/// Sets a cookie that belongs to this host alone.
fn set_cookie(response: &mut Response, name: &str, value: &str, rest: &str) {
    if let Ok(cookie) = HeaderValue::from_str(&format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Strict{rest}")) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

/// Gives a token to a browser, for as long as it is open.
fn set_token(response: &mut Response, name: &str, token: &Token) {
    set_cookie(response, name, &form::encode(token.bytes()), "");
}
