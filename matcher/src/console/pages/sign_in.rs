//! Signing in and out, and the language.

use askama::Template;
use axum::{http::StatusCode, response::Response};
use matcher_core::console::{Action, permits};
use zeroize::Zeroizing;

use super::{Frame, go, page, set_cookie, set_token};
use crate::{
    app::accounts::{AccountError, Credentials},
    console::{
        door::{LANGUAGE, Refusal, SESSION, VISITOR, Visit},
        form::local,
        locale::Language,
        words::Words,
    },
};

/// Longest name or password that is looked at, in bytes.
const TYPED_MAX: usize = 512;

#[derive(Template)]
#[template(path = "console/sign_in.html")]
struct SignIn {
    f: Frame,
    next: String,
    message: &'static str,
    refused: bool,
}

/// Where somebody begins.
///
/// # Errors
/// None.
pub async fn start(visit: Visit) -> Result<Response, Refusal> {
    let role = visit.member.as_ref().map(|member| member.user.role);
    let first =
        [(Action::SeeQueue, "/queue"), (Action::AnswerForStore, "/store"), (Action::SeeLooks, "/looks"), (Action::ManageUsers, "/users")];
    let of_role = first.into_iter().find(|(action, _)| permits(role, *action));
    Ok(go(of_role.map_or("/sign-in", |(_, path)| path)))
}

/// The form.
///
/// # Errors
/// When the page cannot be made.
pub async fn form(visit: Visit) -> Result<Response, Refusal> {
    if visit.member.is_some() {
        return Ok(go("/"));
    }
    let out = visit.query.get("out") == "1";
    answer(&visit, local(visit.query.get("next")).to_owned(), StatusCode::OK, |w| if out { w.signed_out } else { "" })
}

/// Signs in, under a new token whatever the browser brought.
///
/// # Errors
/// When the store fails.
pub async fn enter(visit: Visit) -> Result<Response, Refusal> {
    let next = local(visit.form.get("next")).to_owned();
    if visit.console.guard.take(visit.address).is_err() {
        return answer(&visit, next, StatusCode::TOO_MANY_REQUESTS, |w| w.too_many);
    }
    let (name, password) = (visit.form.get("name").trim(), visit.form.get("password"));
    let refused = |visit: &Visit| answer(visit, next.clone(), StatusCode::FORBIDDEN, |w| w.sign_in_refused);
    if name.len() > TYPED_MAX || password.len() > TYPED_MAX {
        return refused(&visit);
    }
    let credentials =
        Credentials { name: name.to_lowercase(), password: Zeroizing::new(password.to_owned()), code: visit.form.get("code").to_owned() };
    let token = match visit.console.accounts.sign_in(&credentials, &visit.address.to_string()).await {
        Ok(token) => token,
        Err(AccountError::Refused) => return refused(&visit),
        Err(error) => return Err(Refusal::Account(error)),
    };
    if let Some(before) = &visit.member {
        visit.console.accounts.sign_out(&before.token).await.map_err(Refusal::Account)?;
    }
    let mut response = go(&next);
    set_token(&mut response, SESSION, &token);
    set_cookie(&mut response, VISITOR, "", "; Max-Age=0");
    Ok(response)
}

/// Signs out.
///
/// # Errors
/// When the store fails.
pub async fn leave(visit: Visit) -> Result<Response, Refusal> {
    if let Some(member) = &visit.member {
        visit.console.accounts.sign_out(&member.token).await.map_err(Refusal::Account)?;
    }
    let mut response = go("/sign-in?out=1");
    set_cookie(&mut response, SESSION, "", "; Max-Age=0");
    Ok(response)
}

/// Chooses a language.
///
/// # Errors
/// When there is no such language.
pub async fn language(visit: Visit) -> Result<Response, Refusal> {
    let to = visit.parts.first().and_then(|code| Language::from_code(code)).ok_or(Refusal::NotFound)?;
    let mut response = go(local(visit.query.get("back")));
    set_cookie(&mut response, LANGUAGE, to.code(), "; Max-Age=31536000");
    Ok(response)
}

fn answer(visit: &Visit, next: String, status: StatusCode, message: impl Fn(&'static Words) -> &'static str) -> Result<Response, Refusal> {
    let f = Frame::of(visit);
    let message = message(f.w);
    let mut response = page(&SignIn { f, next, message, refused: status != StatusCode::OK })?;
    *response.status_mut() = status;
    // The form's token follows from this cookie.
    set_token(&mut response, VISITOR, &visit.visitor);
    Ok(response)
}
