//! What `matcher audit verify` says.

use serde_json::json;

use super::{Verified, VerifyError};

/// The outcome for people, or as a JSON object.
#[must_use]
pub fn text(outcome: &Result<Verified, VerifyError>, json: bool) -> String {
    match outcome {
        Ok(done) if json => json!({ "in_order": true, "verified": done }).to_string(),
        Ok(done) => in_order(done),
        Err(error) if json => json!({ "in_order": false, "fault": chain(error) }).to_string(),
        Err(error) => format!("NOT IN ORDER: {}", chain(error)),
    }
}

fn in_order(done: &Verified) -> String {
    let at = done.checkpoint_at.and_then(|at| jiff::Timestamp::from_millisecond(at).ok()).map(|at| at.to_string()).unwrap_or_default();
    let Verified { epochs, links, entries, emptied, unsealed, checkpoint, records, .. } = done;
    let records = if *records > 0 { format!("\n{records} records are what their entries cover") } else { String::new() };
    format!(
        "in order: {entries} entries in {links} links of {epochs} epochs, against {checkpoint} checkpoints, the last of {at}\n\
         {emptied} entries without content (retention); {unsealed} since the last checkpoint, which could still be cut{records}"
    )
}

/// The message with its causes.
fn chain(error: &VerifyError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
