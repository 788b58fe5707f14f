//! `matcher webhook`: what is told to the center's own systems, what could not be, and sending it again.

use std::{fs::OpenOptions, io, io::Write, os::unix::fs::OpenOptionsExt};

use clap::{Args, Subcommand, ValueEnum};
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use jiff::Timestamp;
use serde_json::json;
use thiserror::Error;

use crate::{
    app::webhook::{send::SendError, signature::Secret},
    center::{Center, OpenError},
    config::{Config, ConfigError},
    data_dir::DataDir,
    listing::Since,
    out,
    store::{
        RecordId, StoreError, TimeMs,
        webhook::{Replay, ToTell, ToTellIn},
    },
    surroundings::{Surroundings, System, os_random},
};

/// Messages that are listed, at most.
const LISTED_MAX: u32 = 10_000;

/// What can be done with messages.
#[derive(Debug, Subcommand)]
pub enum WebhookCommand {
    /// List messages, newest first
    List {
        /// Only these
        #[arg(long, value_enum, default_value_t = Which::Any)]
        state: Which,
        /// Only from this time on: so long ago (90m, 24h, 30d), or a time (2026-01-31T08:00:00+08:00)
        #[arg(long, value_name = "TIME")]
        since: Option<Since>,
        /// Print a JSON array, with what was sent
        #[arg(long)]
        json: bool,
    },
    /// Send messages again: those that were put aside, one, or all from a time on; each keeps its id
    Replay(ReplayArgs),
    /// Send a message that says it is a test, now; exit code 1 when it is not taken
    Test,
    /// Make the secret that both sides know and print it once
    Secret {
        /// Put it in the place of an older one
        #[arg(long)]
        replace: bool,
    },
}

/// What is sent again.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub struct What {
    /// This message
    id: Option<RecordId>,
    /// All that were put aside
    #[arg(long)]
    dead: bool,
    /// All from this time on
    #[arg(long, value_name = "TIME")]
    since: Option<Since>,
}

/// What is sent again, and who says so.
#[derive(Debug, Clone, Args)]
pub struct ReplayArgs {
    #[command(flatten)]
    what: What,
    /// Who says so
    #[arg(long, value_name = "NAME")]
    by: String,
}

/// Which messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Which {
    /// All
    Any,
    /// Those not taken yet
    Waiting,
    /// Those that were put aside
    Dead,
    /// Those that were taken
    Delivered,
}

/// A command that failed.
#[derive(Debug, Error)]
pub enum WebhookError {
    /// The center cannot be opened.
    #[error(transparent)]
    Open(OpenError),
    /// The settings are not in order.
    #[error(transparent)]
    Config(ConfigError),
    /// Nobody is to be told.
    #[error("webhook.url: expected an address in the settings")]
    Nobody,
    /// The test was not taken.
    #[error("the message was not taken")]
    Send(#[source] SendError),
    /// There is no such message.
    #[error("id: expected the id of a message")]
    Unknown,
    /// No name was given.
    #[error("by: expected a name of 1 to 64 characters")]
    Name,
    /// The secret could not be written.
    #[error("the secret could not be written (--replace puts it in the place of an older one)")]
    Secret(#[source] io::Error),
    /// The store failed.
    #[error("the store could not be asked")]
    Store(#[source] StoreError),
    /// The output failed.
    #[error("could not print")]
    Print(#[source] io::Error),
}

/// Runs `matcher webhook`.
///
/// # Errors
/// When the center cannot be opened, or it was not done.
pub async fn run((dir, config): &(DataDir, Config), command: &WebhookCommand) -> Result<(), WebhookError> {
    let said = match command {
        WebhookCommand::Secret { replace } => secret(config, *replace)?,
        WebhookCommand::Test => test(config).await?,
        WebhookCommand::List { state, since, json } => {
            let center = Center::open(dir).await.map_err(WebhookError::Open)?;
            let since = since.map_or(0, |since| since.before(System.now_ms()));
            let listed = center.store.to_tell(of(*state), since, LISTED_MAX).await.map_err(WebhookError::Store)?;
            if *json { as_json(&listed) } else { as_table(&listed) }
        }
        WebhookCommand::Replay(args) => {
            let center = Center::open(dir).await.map_err(WebhookError::Open)?;
            replay(&center, args).await?
        }
    };
    out::line(said.trim_end()).map_err(WebhookError::Print)
}

fn of(which: Which) -> ToTellIn {
    match which {
        Which::Any => ToTellIn::Any,
        Which::Waiting => ToTellIn::Waiting,
        Which::Dead => ToTellIn::Dead,
        Which::Delivered => ToTellIn::Delivered,
    }
}

async fn replay(center: &Center, args: &ReplayArgs) -> Result<String, WebhookError> {
    let by = args.by.trim();
    if by.is_empty() || by.chars().count() > 64 {
        return Err(WebhookError::Name);
    }
    let now = System.now_ms();
    let which = match (args.what.id, &args.what.since) {
        (Some(id), _) => Replay::One(id),
        (None, Some(since)) => Replay::Since(since.before(now)),
        (None, None) => Replay::Dead,
    };
    let again = center.store.tell_again(which, by, now).await.map_err(WebhookError::Store)?;
    if again == 0 && matches!(which, Replay::One(_)) { Err(WebhookError::Unknown) } else { Ok(format!("sent again: {again}\n")) }
}

async fn test(config: &Config) -> Result<String, WebhookError> {
    let receiver = config.webhook.receiver().map_err(WebhookError::Config)?.ok_or(WebhookError::Nobody)?;
    let now = System.now_ms();
    let body = json!({ "type": "test", "timestamp": time(now), "data": {} }).to_string();
    receiver.send(System.new_record(), &body, now).await.map_err(WebhookError::Send)?;
    Ok("taken\n".to_owned())
}

fn secret(config: &Config, replace: bool) -> Result<String, WebhookError> {
    let written = Secret::written(os_random());
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    if replace {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let mut file = options.open(&config.webhook.secret).map_err(WebhookError::Secret)?;
    file.write_all(written.as_bytes()).and_then(|()| file.sync_all()).map_err(WebhookError::Secret)?;
    Ok(format!("{}\n", written.as_str()))
}

fn time(at: TimeMs) -> String {
    Timestamp::from_millisecond(at).unwrap_or_default().to_string()
}

fn state(event: &ToTell) -> &'static str {
    match (event.delivered_at, event.dead_at) {
        (Some(_), _) => "delivered",
        (None, Some(_)) => "dead",
        (None, None) => "waiting",
    }
}

fn as_json(listed: &[ToTell]) -> String {
    let one = |event: &ToTell| {
        json!({
            "id": event.id.to_string(),
            "type": event.kind.word(),
            "case": event.case.to_string(),
            "number": event.number,
            "state": state(event),
            "made_at": time(event.made_at),
            "due_at": time(event.due_at),
            "delivered_at": event.delivered_at.map(time),
            "tries": event.tries,
            "said": event.said,
            "body": event.body,
        })
    };
    format!("{:#}\n", serde_json::Value::Array(listed.iter().map(one).collect()))
}

fn as_table(listed: &[ToTell]) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(["message", "made", "what", "case", "no.", "state", "tries", "said"]);
    for event in listed {
        let (number, tries) = (event.number.to_string(), event.tries.to_string());
        let (id, case, made) = (event.id.to_string(), event.case.to_string(), time(event.made_at));
        table.add_row([id.as_str(), &made, event.kind.word(), &case, &number, state(event), &tries, &event.said]);
    }
    format!("{table}\n")
}
