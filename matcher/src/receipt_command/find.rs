//! Receipts by their short number, which finds and does not name: several may answer, and whoever asks compares the rest.

use std::process::ExitCode;

use clap::Args;
use receipt_form::short;

use super::{ReceiptError, record, table};
use crate::{
    out,
    store::{
        Store, TimeMs,
        receipts::{ReceiptPage, StoredReceipt},
    },
};

const DAY_MS: TimeMs = 86_400_000;
const PAGE: u32 = 1_000;

/// Which receipts to find.
#[derive(Debug, Args)]
pub struct FindArgs {
    /// The short number: 16 digits; hyphens and spaces do not matter
    #[arg(value_name = "DIGITS")]
    pub short: String,
    /// Only of this institution
    #[arg(long)]
    pub institution: Option<String>,
    /// Issued within so many days until now
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=3650))]
    pub days: u16,
    /// Print a JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// Runs `matcher receipt find`. Provisional receipts have short numbers too, and are not among those that are looked at.
///
/// # Errors
/// When the number is none, no receipt has it, or the store or the output fails.
pub async fn find(args: &FindArgs, store: &dyn Store, now: TimeMs) -> Result<ExitCode, ReceiptError> {
    if !short::is_short(&args.short) {
        return Err(ReceiptError::Option("short number", "16 digits of which the last follows from the others".to_owned()));
    }
    let wanted: String = args.short.chars().filter(char::is_ascii_digit).collect();
    let of_institution =
        |stored: &StoredReceipt| args.institution.as_ref().is_none_or(|institution| *institution == stored.receipt.request.institution);
    let from = now.saturating_sub(TimeMs::from(args.days) * DAY_MS);
    let (mut after, mut found) = (None, false);
    loop {
        let page = ReceiptPage { from, until: now.saturating_add(1), after, limit: PAGE };
        let receipts = store.receipts_issued(page).await.map_err(ReceiptError::Store)?;
        for stored in receipts.iter().filter(|stored| short::of(stored.receipt.number) == wanted && of_institution(stored)) {
            found = true;
            out::line(&if args.json { record(stored).to_string() } else { table(stored) }).map_err(ReceiptError::Print)?;
        }
        match receipts.last() {
            Some(last) => after = Some((last.receipt.issued_at, last.receipt.number)),
            None => break,
        }
    }
    if found { Ok(ExitCode::SUCCESS) } else { Err(ReceiptError::Unknown) }
}
