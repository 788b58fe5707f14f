//! `matcher user`: who may sign in to the review console.
//!
//! A password never stands on the command line, where other users of the machine could read it: it comes from the standard
//! input, or is made and printed once. Not here: what is done (`crate::app::accounts`).

use std::{
    io::{self, BufRead, IsTerminal, Read},
    sync::Arc,
};

use clap::{Args, Subcommand};
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use matcher_core::console::Role;
use serde_json::json;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{
    app::accounts::{AccountError, Accounts, NewUser, generated_password},
    center::{Center, OpenError},
    config::Config,
    data_dir::DataDir,
    out,
    store::{TimeMs, accounts::User},
    surroundings::{Surroundings, System},
};

/// Bytes of a password that are read, at most.
const PASSWORD_LEN_MAX: u64 = 1024;

/// What can be done with users of the review console.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Add a user; the first password is read from the standard input when it is a pipe, and made and printed otherwise
    Add {
        /// Name to sign in with: a-z, 0-9, '.', '_' and '-'
        name: String,
        /// What the user may do.
        #[command(flatten)]
        role: RoleArgs,
    },
    /// List users
    List {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Change what a user may do; ends the user's sessions
    Role {
        /// Whom
        name: String,
        /// What the user may do.
        #[command(flatten)]
        role: RoleArgs,
    },
    /// Put a user out, or let one in again; ends the user's sessions
    Disable {
        /// Whom
        name: String,
        /// Let in again instead
        #[arg(long)]
        undo: bool,
    },
    /// Give a user a new password, read or made as at `add`; it is to be changed at the next sign-in
    Password {
        /// Whom
        name: String,
    },
    /// Give a user a second factor and print its key once, or take it away
    Totp {
        /// Whom
        name: String,
        /// Take it away; the next sign-in asks for a new one
        #[arg(long)]
        off: bool,
    },
    /// Forget failures to sign in, and the lock that followed
    Unlock {
        /// Whom
        name: String,
    },
}

/// A role.
#[derive(Debug, Clone, Args)]
pub struct RoleArgs {
    /// reviewer, supervisor, auditor, administrator or store_manager
    #[arg(long, value_parser = role)]
    role: Role,
    /// The institution of a store manager
    #[arg(long, value_name = "ID", default_value = "")]
    institution: String,
}

/// A command about users that failed.
#[derive(Debug, Error)]
pub enum UserError {
    /// The center cannot be opened.
    #[error(transparent)]
    Open(OpenError),
    /// It was not done.
    #[error(transparent)]
    Account(AccountError),
    /// The password cannot be read.
    #[error("could not read the password")]
    Read(#[source] io::Error),
    /// The output failed.
    #[error("could not print")]
    Print(#[source] io::Error),
}

/// Runs `matcher user`.
///
/// # Errors
/// When the center cannot be opened, or a name, role or password is not taken.
pub async fn run((dir, config): &(DataDir, Config), command: &UserCommand) -> Result<(), UserError> {
    let center = Center::open(dir).await.map_err(UserError::Open)?;
    let accounts = Accounts::new(center, Arc::new(System), config.console.lock(), config.console.session());
    let by = "";
    let said = match command {
        UserCommand::Add { name, role } => {
            let (password, said) = password()?;
            let new = NewUser { name: name.clone(), role: role.role, institution: role.institution.clone(), must_change: true };
            accounts.add(new, password, by).await.map_err(UserError::Account)?;
            said
        }
        UserCommand::List { json } => {
            let users = accounts.users().await.map_err(UserError::Account)?;
            Some(Zeroizing::new(if *json { as_json(&users) } else { as_table(&users, System.now_ms()) }))
        }
        UserCommand::Role { name, role } => {
            accounts.set_role(name, role.role, &role.institution, by).await.map_err(UserError::Account)?;
            None
        }
        UserCommand::Disable { name, undo } => {
            accounts.set_disabled(name, !undo, by).await.map_err(UserError::Account)?;
            None
        }
        UserCommand::Password { name } => {
            let (password, said) = password()?;
            accounts.set_password(name, (password, true), None, by).await.map_err(UserError::Account)?;
            said
        }
        UserCommand::Totp { name, off: true } => {
            accounts.drop_second_factor(name, by).await.map_err(UserError::Account)?;
            None
        }
        UserCommand::Totp { name, off: false } => Some(accounts.new_second_factor(name, by).await.map_err(UserError::Account)?),
        UserCommand::Unlock { name } => {
            accounts.unlock(name, by).await.map_err(UserError::Account)?;
            None
        }
    };
    said.map_or(Ok(()), |said| out::line(&said)).map_err(UserError::Print)
}

fn role(word: &str) -> Result<Role, String> {
    let words: Vec<&str> = Role::ALL.iter().map(|role| role.word()).collect();
    Role::from_word(&word.replace('-', "_")).ok_or_else(|| format!("expected one of {}", words.join(", ")))
}

/// The password of the standard input, or one that is made and is to be printed.
fn password() -> Result<(Zeroizing<String>, Option<Zeroizing<String>>), UserError> {
    let input = io::stdin();
    if !input.is_terminal() {
        let mut line = Zeroizing::new(String::new());
        input.lock().take(PASSWORD_LEN_MAX).read_line(&mut line).map_err(UserError::Read)?;
        let typed = Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned());
        if !typed.is_empty() {
            return Ok((typed, None));
        }
    }
    let made = generated_password();
    Ok((made.clone(), Some(made)))
}

fn as_table(users: &[User], now: TimeMs) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(["name", "role", "institution", "second factor", "state"]);
    for user in users {
        let factor = if user.totp.is_some() { "yes" } else { "no" };
        table.add_row([user.name.as_str(), user.role.word(), &user.institution, factor, state(user, now)]);
    }
    table.to_string()
}

fn state(user: &User, now: TimeMs) -> &'static str {
    match user.disabled_at {
        Some(_) => "disabled",
        None if user.locked_until > now => "locked",
        None => "active",
    }
}

fn as_json(users: &[User]) -> String {
    let all: Vec<_> = users
        .iter()
        .map(|user| {
            json!({
                "name": user.name, "role": user.role.word(), "institution": user.institution,
                "second_factor": user.totp.is_some(), "disabled": user.disabled_at.is_some(), "locked_until": user.locked_until,
            })
        })
        .collect();
    format!("{:#}", serde_json::Value::Array(all))
}
