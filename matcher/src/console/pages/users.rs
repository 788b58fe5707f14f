//! For the administrator: who may sign in, and as what.

use askama::Template;
use axum::{http::StatusCode, response::Response};
use matcher_core::console::Role;

use super::{Frame, go, page};
use crate::{
    app::accounts::{AccountError, NewUser, generated_password},
    console::door::{Refusal, Visit},
    store::accounts::User,
};

#[derive(Template)]
#[template(path = "console/users.html")]
struct Users {
    f: Frame,
    users: Vec<User>,
    roles: Vec<&'static str>,
    now: i64,
    password: String,
    password_of: String,
    message: &'static str,
}

/// All users.
///
/// # Errors
/// When the store fails.
pub async fn list(visit: Visit) -> Result<Response, Refusal> {
    all(&visit, (String::new(), String::new()), "").await
}

async fn all(visit: &Visit, (password_of, password): (String, String), message: &'static str) -> Result<Response, Refusal> {
    let users = visit.console.accounts.users().await.map_err(Refusal::Account)?;
    let roles = Role::ALL.iter().map(|role| role.word()).collect();
    page(&Users { f: Frame::of(visit), users, roles, now: visit.console.review.now(), password, password_of, message })
}

/// Adds a user with a first password, which is shown once.
///
/// # Errors
/// When the store fails.
pub async fn add(visit: Visit) -> Result<Response, Refusal> {
    let (name, password) = (visit.form.get("name").trim().to_owned(), generated_password());
    let Some(role) = Role::from_word(visit.form.get("role")) else { return refused(&visit, AccountError::Institution).await };
    let institution = visit.form.get("institution").trim().to_owned();
    let new = NewUser { name: name.clone(), role, institution, must_change: true };
    match visit.console.accounts.add(new, password.clone(), visit.name()).await {
        Ok(()) => all(&visit, (name, password.to_string()), "").await,
        Err(error) => refused(&visit, error).await,
    }
}

async fn refused(visit: &Visit, error: AccountError) -> Result<Response, Refusal> {
    if matches!(error, AccountError::Store(_) | AccountError::Hash) {
        return Err(Refusal::Account(error));
    }
    let mut response = all(visit, (String::new(), String::new()), super::words(visit.language).users_refused).await?;
    *response.status_mut() = StatusCode::BAD_REQUEST;
    Ok(response)
}

fn of(visit: &Visit) -> Result<String, Refusal> {
    visit.parts.first().cloned().ok_or(Refusal::NotFound)
}

async fn done(visit: &Visit, done: Result<(), AccountError>) -> Result<Response, Refusal> {
    match done {
        Ok(()) => Ok(go("/users")),
        Err(AccountError::Unknown) => Err(Refusal::NotFound),
        Err(error) => refused(visit, error).await,
    }
}

/// Changes a role.
///
/// # Errors
/// When there is no such user, or the store fails.
pub async fn role(visit: Visit) -> Result<Response, Refusal> {
    let name = of(&visit)?;
    let Some(role) = Role::from_word(visit.form.get("role")) else { return refused(&visit, AccountError::Institution).await };
    let changed = visit.console.accounts.set_role(&name, role, visit.form.get("institution").trim(), visit.name()).await;
    done(&visit, changed).await
}

/// Gives a user a new first password, which is shown once.
///
/// # Errors
/// When there is no such user, or the store fails.
pub async fn password(visit: Visit) -> Result<Response, Refusal> {
    let (name, password) = (of(&visit)?, generated_password());
    match visit.console.accounts.set_password(&name, (password.clone(), true), None, visit.name()).await {
        // Whoever gave themselves a new one has signed themselves out.
        Ok(()) => all(&visit, (name, password.to_string()), "").await,
        other => done(&visit, other).await,
    }
}

/// Takes a second factor away.
///
/// # Errors
/// When there is no such user, or the store fails.
pub async fn second_factor(visit: Visit) -> Result<Response, Refusal> {
    let dropped = visit.console.accounts.drop_second_factor(&of(&visit)?, visit.name()).await;
    done(&visit, dropped).await
}

/// Puts a user out.
///
/// # Errors
/// When there is no such user, it is oneself, or the store fails.
pub async fn disable(visit: Visit) -> Result<Response, Refusal> {
    let name = of(&visit)?;
    if name == visit.name() {
        return refused(&visit, AccountError::Unknown).await;
    }
    let disabled = visit.console.accounts.set_disabled(&name, true, visit.name()).await;
    done(&visit, disabled).await
}

/// Lets a user in again.
///
/// # Errors
/// When there is no such user, or the store fails.
pub async fn enable(visit: Visit) -> Result<Response, Refusal> {
    let enabled = visit.console.accounts.set_disabled(&of(&visit)?, false, visit.name()).await;
    done(&visit, enabled).await
}

/// Forgets failures.
///
/// # Errors
/// When there is no such user, or the store fails.
pub async fn unlock(visit: Visit) -> Result<Response, Refusal> {
    let unlocked = visit.console.accounts.unlock(&of(&visit)?, visit.name()).await;
    done(&visit, unlocked).await
}
