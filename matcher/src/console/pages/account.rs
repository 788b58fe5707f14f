//! One's own password and second factor.

use askama::Template;
use axum::{http::StatusCode, response::Response};
use zeroize::Zeroizing;

use super::{Frame, go, page};
use crate::{
    app::accounts::{AccountError, Accounts},
    console::{
        door::{Member, Refusal, Visit},
        qr,
    },
};

/// The page of the password.
pub const PASSWORD: &str = "/account/password";
/// The page of the second factor.
pub const SECOND_FACTOR: &str = "/account/second-factor";

#[derive(Template)]
#[template(path = "console/password.html")]
struct PasswordPage {
    f: Frame,
    must: bool,
    done: bool,
    message: &'static str,
}

#[derive(Template)]
#[template(path = "console/second_factor.html")]
struct SecondFactorPage {
    f: Frame,
    must: bool,
    there: bool,
    done: bool,
    picture: String,
    key: String,
    message: &'static str,
}

fn member(visit: &Visit) -> Result<&Member, Refusal> {
    visit.member.as_ref().ok_or(Refusal::SignIn)
}

/// The form for another password.
///
/// # Errors
/// When the page cannot be made.
pub async fn password(visit: Visit) -> Result<Response, Refusal> {
    let must = member(&visit)?.user.must_change;
    let f = Frame::of(&visit);
    page(&PasswordPage { done: visit.query.get("done") == "1", f, must, message: "" })
}

/// Changes the password. All other sessions end.
///
/// # Errors
/// When the store fails.
pub async fn change_password(visit: Visit) -> Result<Response, Refusal> {
    let member = member(&visit)?;
    let f = Frame::of(&visit);
    let typed = |name| Zeroizing::new(visit.form.get(name).to_owned());
    let (now, new) = (typed("now"), typed("new"));
    if visit.console.guard.take(visit.address).is_err() {
        return Err(Refusal::Busy);
    }
    let refused = if *new != visit.form.get("again") {
        f.w.password_differ
    } else {
        match visit.console.accounts.change_password(&member.user, (now, new), &member.token).await {
            Ok(()) => return Ok(go(if member.user.must_change { "/" } else { "/account/password?done=1" })),
            Err(AccountError::Refused) => f.w.password_wrong,
            Err(AccountError::Password(_)) => f.w.password_weak,
            Err(error) => return Err(Refusal::Account(error)),
        }
    };
    let mut response = page(&PasswordPage { must: member.user.must_change, f, done: false, message: refused })?;
    *response.status_mut() = StatusCode::BAD_REQUEST;
    Ok(response)
}

/// The key of a second factor, for one that is not set up yet.
///
/// # Errors
/// When the page cannot be made.
pub async fn second_factor(visit: Visit) -> Result<Response, Refusal> {
    factor_page(&visit, "")
}

/// Sets it up, once a code shows that the app has the key.
///
/// # Errors
/// When the store fails.
pub async fn confirm_second_factor(visit: Visit) -> Result<Response, Refusal> {
    let member = member(&visit)?;
    if member.user.totp.is_some() {
        return factor_page(&visit, "");
    }
    if visit.console.guard.take(visit.address).is_err() {
        return Err(Refusal::Busy);
    }
    match visit.console.accounts.confirm_second_factor(&member.user, &member.token, visit.form.get("code")).await {
        Ok(()) => Ok(go("/account/second-factor?done=1")),
        Err(AccountError::Code) => {
            let mut response = factor_page(&visit, Frame::of(&visit).w.factor_wrong)?;
            *response.status_mut() = StatusCode::BAD_REQUEST;
            Ok(response)
        }
        Err(error) => Err(Refusal::Account(error)),
    }
}

fn factor_page(visit: &Visit, message: &'static str) -> Result<Response, Refusal> {
    let member = member(visit)?;
    let there = member.user.totp.is_some();
    let key = if there { Zeroizing::default() } else { Accounts::offered_secret(&member.token) };
    let groups: Vec<&str> = key.as_bytes().chunks(4).filter_map(|group| std::str::from_utf8(group).ok()).collect();
    page(&SecondFactorPage {
        f: Frame::of(visit),
        must: visit.console.config.console.second_factor && !there,
        there,
        done: visit.query.get("done") == "1" && there,
        picture: if there { String::new() } else { qr::svg(&qr::address(&member.user.name, &key), Frame::of(visit).w.factor_picture) },
        key: groups.join(" "),
        message,
    })
}
