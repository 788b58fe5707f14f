//! Who comes in: every request passes here before a page sees it.
//!
//! In this order: the form is read within bounds; a change comes from a page of this very console (`Origin`) and carries the
//! token of its session; the session holds and its role may do what the route names; whoever still owes a password or a second
//! factor gets no further than that. What is refused says no more than that it is.

use std::{net::IpAddr, sync::Arc};

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use matcher_core::console::{Action, Role, permits};
use subtle::ConstantTimeEq;
use thiserror::Error;
use tracing::error;

use super::{
    Console,
    form::{self, Form},
    locale::Language,
    pages,
    routes::Route,
};
use crate::{
    app::{accounts::AccountError, accounts::Token, review::ReviewError},
    store::{StoreError, accounts::User},
    web::Peer,
};

/// Cookie of a session. Its prefix binds it to this host and to TLS.
pub const SESSION: &str = "__Host-session";
/// Cookie of somebody who has not signed in: what the token of the sign-in form follows from.
pub const VISITOR: &str = "__Host-visitor";
/// Cookie of the language.
pub const LANGUAGE: &str = "__Host-language";
/// Longest form, in bytes.
pub const FORM_LEN_MAX: usize = 32 * 1024;
/// Longest form with the text of a policy, in bytes as they are sent: each of the text may take three.
pub const POLICY_FORM_LEN_MAX: usize = 800 * 1024;
/// Longest query, in bytes.
const QUERY_LEN_MAX: usize = 2 * 1024;

/// Somebody who signed in.
#[derive(Debug, Clone)]
pub struct Member {
    /// Who.
    pub user: User,
    /// The session's token.
    pub token: Token,
}

/// A request that was let in.
#[derive(Debug)]
pub struct Visit {
    /// What pages are made from.
    pub console: Arc<Console>,
    /// Who, once they signed in.
    pub member: Option<Member>,
    /// Somebody who has not signed in.
    pub visitor: Token,
    /// In which language.
    pub language: Language,
    /// The path, without the query.
    pub path: String,
    /// The parts of the path that the route names, in order.
    pub parts: Vec<String>,
    /// The query.
    pub query: Form,
    /// The form; empty for everything but a change.
    pub form: Form,
    /// Where it comes from.
    pub address: IpAddr,
}

impl Visit {
    /// The user.
    ///
    /// # Errors
    /// When nobody signed in, which the door rules out for all but open routes.
    pub fn user(&self) -> Result<&User, Refusal> {
        self.member.as_ref().map(|member| &member.user).ok_or(Refusal::SignIn)
    }

    /// The user's name; empty where nobody signed in.
    #[must_use]
    pub fn name(&self) -> &str {
        self.member.as_ref().map_or("", |member| &member.user.name)
    }

    /// A part of the path as an id.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] when it is none.
    pub fn id(&self, place: usize) -> Result<crate::store::RecordId, Refusal> {
        let part = self.parts.get(place).ok_or(Refusal::NotFound)?;
        // One spelling of each id: what is in the log is what was asked.
        let id: crate::store::RecordId = part.parse().map_err(|_| Refusal::NotFound)?;
        if id.to_string() == *part { Ok(id) } else { Err(Refusal::NotFound) }
    }

    /// The token that this visitor's forms carry.
    #[must_use]
    pub fn csrf(&self) -> String {
        form::encode(&self.member.as_ref().map_or(&self.visitor, |member| &member.token).derive("form"))
    }
}

/// A request that is refused.
#[derive(Debug, Error)]
pub enum Refusal {
    /// Somebody is to sign in first.
    #[error("not signed in")]
    SignIn,
    /// The role may not.
    #[error("not allowed")]
    Forbidden,
    /// There is no such thing, or none that this role may know of.
    #[error("not found")]
    NotFound,
    /// The form is not of a page of this session.
    #[error("the form is not of this session")]
    Form,
    /// The form or query is too long.
    #[error("too large")]
    TooLarge,
    /// Too many tries.
    #[error("too many tries")]
    Busy,
    /// A step with a case that does not follow.
    #[error(transparent)]
    Review(ReviewError),
    /// Something about an account.
    #[error(transparent)]
    Account(AccountError),
    /// The store failed.
    #[error("the store could not be asked")]
    Store(#[source] StoreError),
    /// A page could not be made.
    #[error("the page could not be made")]
    Page(#[source] askama::Error),
}

/// Lets a request in to a route, or says why not.
pub async fn enter(State((console, route)): State<(Arc<Console>, &'static Route)>, request: Request) -> Response {
    let language = Language::of(request.headers());
    let path = request.uri().path().to_owned();
    let mut answer = match visit(&console, route, language, request).await {
        Ok(visit) => {
            let member = visit.member.clone();
            let made = match owed(&visit, route) {
                Some(page) => Ok(pages::go(page)),
                None => (route.page)(visit).await,
            };
            made.unwrap_or_else(|refusal| refused(&console, &refusal, language, (&path, member)))
        }
        Err((refusal, member)) => refused(&console, &refusal, language, (&path, member)),
    };
    careful(answer.headers_mut());
    answer
}

/// What every answer of the console says to browsers.
fn careful(headers: &mut HeaderMap) {
    const ALWAYS: [(&str, &str); 5] = [
        ("strict-transport-security", "max-age=31536000"),
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", "camera=(), microphone=(), geolocation=()"),
    ];
    const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(POLICY));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

type Entered = Result<Visit, (Refusal, Option<Member>)>;

async fn visit(console: &Arc<Console>, route: &'static Route, language: Language, request: Request) -> Entered {
    let (head, body) = request.into_parts();
    let address = head.extensions.get::<Peer>().map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.0);
    let query = head.uri.query().unwrap_or_default();
    if query.len() > QUERY_LEN_MAX {
        return Err((Refusal::TooLarge, None));
    }
    let member = member(console, &head.headers).await.map_err(|refusal| (refusal, None))?;
    let role = member.as_ref().map(|member| member.user.role);
    let visit = Visit {
        console: Arc::clone(console),
        visitor: form::token(&head.headers, VISITOR).unwrap_or_else(Token::random),
        language,
        path: head.uri.path().to_owned(),
        parts: route.parts(head.uri.path()),
        query: Form::read(query.as_bytes()),
        form: Form::default(),
        address,
        member: member.clone(),
    };
    let allowed = |role: Option<Role>| permits(role, route.action);
    let checked = async {
        if !allowed(role) {
            // A stranger is asked to sign in; somebody who signed in is told.
            return Err(if role.is_none() && head.method == Method::GET { Refusal::SignIn } else { Refusal::Forbidden });
        }
        if head.method == Method::GET {
            return Ok(Form::default());
        }
        if !same_origin(&head.headers) || !is_form(&head.headers) {
            return Err(Refusal::Form);
        }
        let longest = if route.action == Action::TryPolicy { POLICY_FORM_LEN_MAX } else { FORM_LEN_MAX };
        let form = read(body, longest).await?;
        if bool::from(form.get("csrf").as_bytes().ct_eq(visit.csrf().as_bytes())) { Ok(form) } else { Err(Refusal::Form) }
    };
    match checked.await {
        Ok(form) => Ok(Visit { form, ..visit }),
        Err(refusal) => Err((refusal, member)),
    }
}

async fn read(body: Body, longest: usize) -> Result<Form, Refusal> {
    to_bytes(body, longest).await.map(|bytes| Form::read(&bytes)).map_err(|_| Refusal::TooLarge)
}

async fn member(console: &Console, headers: &HeaderMap) -> Result<Option<Member>, Refusal> {
    let Some(token) = form::token(headers, SESSION) else { return Ok(None) };
    let user = console.accounts.session(&token).await.map_err(Refusal::Account)?;
    Ok(user.map(|user| Member { user, token }))
}

/// Whether a change comes from a page of this console. Browsers say so with every form.
fn same_origin(headers: &HeaderMap) -> bool {
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    match (text(header::ORIGIN), text(header::HOST)) {
        (Some(origin), Some(host)) => origin.strip_prefix("https://") == Some(host),
        _ => false,
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// Where somebody is sent who owes something before anything else.
fn owed(visit: &Visit, route: &Route) -> Option<&'static str> {
    let user = &visit.member.as_ref()?.user;
    if matches!(route.action, Action::Oneself | Action::Anyone) {
        return None;
    }
    if user.must_change {
        return Some(pages::account::PASSWORD);
    }
    (visit.console.config.console.second_factor && user.totp.is_none()).then_some(pages::account::SECOND_FACTOR)
}

fn refused(console: &Arc<Console>, refusal: &Refusal, language: Language, (path, member): (&str, Option<Member>)) -> Response {
    let status = match refusal {
        Refusal::SignIn => return pages::go(&format!("/sign-in?next={}", pages::escaped(form::local(path)))),
        Refusal::Forbidden | Refusal::Form => StatusCode::FORBIDDEN,
        Refusal::NotFound => StatusCode::NOT_FOUND,
        Refusal::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Refusal::Busy => StatusCode::TOO_MANY_REQUESTS,
        Refusal::Review(error) => review_status(error),
        Refusal::Account(AccountError::Store(_) | AccountError::Hash) | Refusal::Store(_) | Refusal::Page(_) => {
            error!(error = refusal as &dyn std::error::Error, "a page of the console could not be made");
            StatusCode::SERVICE_UNAVAILABLE
        }
        Refusal::Account(_) => StatusCode::BAD_REQUEST,
    };
    pages::problem(console, language, member, path, status, refusal).unwrap_or_else(|_| status.into_response())
}

fn review_status(error: &ReviewError) -> StatusCode {
    use crate::app::cases::desk::DeskError;
    match error {
        ReviewError::Desk(DeskError::UnknownCase) => StatusCode::NOT_FOUND,
        ReviewError::Desk(DeskError::Store(_)) | ReviewError::Store(_) => {
            error!(error = error as &dyn std::error::Error, "a step with a case failed");
            StatusCode::SERVICE_UNAVAILABLE
        }
        ReviewError::NotYours | ReviewError::NotJudged => StatusCode::FORBIDDEN,
        ReviewError::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
        ReviewError::Desk(_) | ReviewError::JudgedBefore | ReviewError::SecondDue | ReviewError::Hearing(_) | ReviewError::Institution => {
            StatusCode::CONFLICT
        }
    }
}
