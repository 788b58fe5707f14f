//! `matcher receipt`: look at receipts and check them, against the store or with a key set alone.
//!
//! A check here burns nothing: it says what a check at the settlement side would say now. Not here: the check itself
//! (`matcher_core::receipt`).

mod find;
mod provisional;
mod says;
mod verify;

use std::{io, path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use jiff::Timestamp;
use matcher_core::receipt::{Claims, KeySetError, NumberError, ReceiptNumber};
use serde_json::{Value, json};
use thiserror::Error;

use crate::{
    keys::KeyError,
    out,
    store::{Store, StoreError, TimeMs, receipts::StoredReceipt},
};

pub use find::{FindArgs, find};
pub(crate) use says::says;
pub(crate) use verify::amount;
pub use verify::{VerifyArgs, verify, verify_offline};

/// What can be done with receipts.
#[derive(Debug, Subcommand)]
pub enum ReceiptCommand {
    /// Check a receipt: does it hold, and for this settlement?
    Verify(Box<VerifyArgs>),
    /// Show what a receipt says and what became of it; a provisional one as well, once its capture is here
    Show(ShowArgs),
    /// Find receipts by their short number of 16 digits
    Find(FindArgs),
}

/// Which receipt to show.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Number of the receipt; hyphens and small letters do not matter
    #[arg(value_name = "NUMBER")]
    pub number: String,
    /// Print a JSON object
    #[arg(long)]
    pub json: bool,
}

/// A command about receipts that failed. A receipt that does not hold is no failure.
#[derive(Debug, Error)]
pub enum ReceiptError {
    /// A file cannot be read.
    #[error("could not read {}", .path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The receipt cannot be read from the standard input.
    #[error("could not read the receipt from the standard input")]
    Input(#[source] io::Error),
    /// The key set is not in order.
    #[error(transparent)]
    KeySet(KeySetError),
    /// A key cannot be used.
    #[error(transparent)]
    Key(KeyError),
    /// The number is none.
    #[error(transparent)]
    Number(NumberError),
    /// There is no receipt of the number.
    #[error("there is no receipt of this number")]
    Unknown,
    /// An option is missing or out of order.
    #[error("{0}: expected {1}")]
    Option(&'static str, String),
    /// The store failed.
    #[error("the store could not be asked")]
    Store(#[source] StoreError),
    /// The output failed.
    #[error("could not print")]
    Print(#[source] io::Error),
}

/// Runs `matcher receipt show`.
///
/// # Errors
/// When there is no such receipt, or the store or the output fails.
pub async fn show(args: &ShowArgs, store: &dyn Store) -> Result<ExitCode, ReceiptError> {
    let number: ReceiptNumber = args.number.parse().map_err(ReceiptError::Number)?;
    let Some(stored) = store.receipt(number).await.map_err(ReceiptError::Store)? else {
        return provisional::show(number, args.json, store).await;
    };
    let text = if args.json { format!("{:#}", record(&stored)) } else { table(&stored) };
    out::line(&text).map_err(ReceiptError::Print)?;
    Ok(ExitCode::SUCCESS)
}

/// A receipt and what became of it, for programs.
pub(crate) fn record(stored: &StoredReceipt) -> Value {
    let receipt = &stored.receipt;
    let uses: Vec<Value> = stored.uses.iter().map(used).collect();
    json!({
        "receipt_number": receipt.number.to_string(),
        "state": stored.state().word(),
        "drill": receipt.drill,
        "verification_id": receipt.verification.to_string(),
        "device": receipt.device,
        "issued_at": utc(receipt.issued_at),
        "expires_at": utc(receipt.expires_at),
        "reversed_at": stored.reversed_at.map(utc),
        "claims": claims(&receipt.compact),
        "uses": uses,
        "receipt": receipt.compact,
    })
}

fn used(taken: &matcher_core::receipt::ReceiptUse) -> Value {
    json!({
        "settlement": taken.settlement,
        "amount_fen": taken.amount_fen,
        "document_checked_by": taken.document_checked_by,
        "confirmed_at": utc(taken.confirmed_at),
        "reversed_at": taken.reversed_at.map(utc),
    })
}

/// The claims as they are written; nothing where they cannot be read.
pub(crate) fn claims(compact: &str) -> Value {
    Claims::unverified(compact).ok().and_then(|claims| serde_json::from_str(&claims.to_json()).ok()).unwrap_or(Value::Null)
}

fn table(stored: &StoredReceipt) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(["what", "is"]);
    let receipt = &stored.receipt;
    table.add_row(["number", &receipt.number.grouped()]);
    table.add_row(["state", stored.state().word()]);
    for (name, value) in claim_rows(&claims(&receipt.compact)) {
        table.add_row([name, value]);
    }
    table.add_row(["verification", &receipt.verification.to_string()]);
    table.add_row(["device", &receipt.device]);
    for taken in &stored.uses {
        let reversed = taken.reversed_at.map(|at| format!(", reversed {}", utc(at))).unwrap_or_default();
        let checked = if taken.document_checked_by.is_empty() {
            String::new()
        } else {
            format!(", document checked by {}", taken.document_checked_by)
        };
        let text =
            format!("{}: {} yuan, confirmed {}{checked}{reversed}", taken.settlement, yuan(taken.amount_fen), utc(taken.confirmed_at));
        table.add_row(["settlement".to_owned(), text]);
    }
    if let Some(at) = stored.reversed_at {
        table.add_row(["reversed", &utc(at)]);
    }
    table.to_string()
}

/// Claims for people, times readable; the card's name is of no use to them.
pub(crate) fn claim_rows(claims: &Value) -> Vec<(String, String)> {
    let Value::Object(members) = claims else { return Vec::new() };
    let shown = members.iter().filter(|(name, _)| !matches!(name.as_str(), "card_mac" | "jti"));
    let text = |name: &str, value: &Value| match (name, value) {
        ("iat" | "exp", Value::Number(seconds)) => seconds.as_i64().map(|seconds| utc(seconds.saturating_mul(1000))).unwrap_or_default(),
        (_, Value::String(text)) => text.clone(),
        (_, other) => other.to_string(),
    };
    shown.map(|(name, value)| (name.clone(), text(name, value))).collect()
}

pub(crate) fn yuan(fen: u64) -> String {
    format!("{}.{:02}", fen / 100, fen % 100)
}

pub(crate) fn utc(time: TimeMs) -> String {
    Timestamp::from_millisecond(time).unwrap_or(if time < 0 { Timestamp::MIN } else { Timestamp::MAX }).to_string()
}
