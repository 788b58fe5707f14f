//! What became of a provisional receipt: whether its capture waits or is decided, and how.

use std::process::ExitCode;

use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use matcher_core::receipt::ReceiptNumber;
use serde_json::{Value, json};

use super::{ReceiptError, utc};
use crate::{
    out,
    store::{
        Store,
        leases::{Provisional, Resolved},
    },
};

/// Shows the provisional receipt of a number.
pub(super) async fn show(number: ReceiptNumber, as_json: bool, store: &dyn Store) -> Result<ExitCode, ReceiptError> {
    let found = store.provisional(&number.to_string()).await.map_err(ReceiptError::Store)?.ok_or(ReceiptError::Unknown)?;
    let resolved = store.resolved(&found.request).await.map_err(ReceiptError::Store)?;
    let record = record(&found, resolved.as_ref());
    let text = if as_json { format!("{record:#}") } else { table(&record) };
    out::line(&text).map_err(ReceiptError::Print)?;
    Ok(ExitCode::SUCCESS)
}

/// `pending` until the capture is compared; `decided` then.
fn record(found: &Provisional, resolved: Option<&Resolved>) -> Value {
    let decision = resolved.and_then(|resolved| resolved.decision);
    json!({
        "receipt_number": found.number,
        "state": if decision.is_some() { "decided" } else { "pending" },
        "provisional": true,
        "institution": found.request.institution,
        "transaction": found.request.transaction,
        "attempt": found.request.attempt,
        "device": found.device,
        "sequence": found.sequence,
        "lease": found.lease_serial,
        "scene": found.scene.word(),
        "answered_at": utc(found.answered_at),
        "received_at": utc(found.received_at),
        "verification_id": resolved.map(|resolved| resolved.verification.to_string()),
        "decision": decision.map(matcher_core::Decision::policy_key),
        "card": resolved.map(|resolved| resolved.identifier_masked.as_str()),
        "receipt": found.compact,
    })
}

fn table(record: &Value) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(["what", "is"]);
    let members = record.as_object().into_iter().flatten();
    for (name, value) in members.filter(|(name, value)| *name != "receipt" && !value.is_null()) {
        table.add_row([name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)]);
    }
    table.to_string()
}
