//! The body of `POST /v1/verifications`.

use capture_core::{Attempt, Consent, IdentifierKind, Notice, Operator, Region};
use serde::Deserialize;

use crate::command::{By, VerifyCommand};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    transaction: String,
    #[serde(default)]
    attempt: Option<u32>,
    scene: String,
    card: String,
    #[serde(default)]
    id_kind: Option<String>,
    #[serde(default)]
    region: String,
    #[serde(default)]
    operator: String,
    #[serde(default)]
    notice: String,
    #[serde(default)]
    consent: String,
}

/// Whether a content type is JSON's, parameters aside.
pub(super) fn is_json(content_type: &str) -> bool {
    content_type.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// Reads a request; the error names the field and what was expected of it, and holds none of its values.
pub(super) fn parse(bytes: &[u8]) -> Result<VerifyCommand, String> {
    let request: Request = serde_json::from_slice(bytes).map_err(|error| described(&error))?;
    let told = |error: capture_core::FieldError| error.to_string();
    Ok(VerifyCommand {
        transaction: request.transaction.parse().map_err(told)?,
        attempt: request.attempt.map_or(Ok(Attempt::FIRST), Attempt::new).map_err(told)?,
        scene: request.scene.parse().map_err(told)?,
        id_kind: request.id_kind.map_or(Ok(IdentifierKind::SocialSecurityCard), |word| word.parse()).map_err(told)?,
        number: request.card.parse().map_err(told)?,
        region: Region::new(&request.region).map_err(told)?,
        operator: Operator::new(&request.operator).map_err(told)?,
        notice: Notice::new(&request.notice).map_err(told)?,
        consent: Consent::new(&request.consent).map_err(told)?,
        by: By::Face,
        proxy: None,
    })
}

/// Messages about types quote the value that was sent, and it may be a card number.
fn described(error: &serde_json::Error) -> String {
    let message = error.to_string();
    if message.starts_with("missing field") || message.starts_with("unknown field") {
        message
    } else {
        format!("line {} column {}: expected a JSON object with the fields of a verification", error.line(), error.column())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: &str) {
        assert_eq!(parse(body.as_bytes()).map(|command| format!("{command:?}")).unwrap_or_else(|message| message), expected);
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let command = parse(br#"{"transaction":"T1","scene":"settlement","card":"100"}"#).unwrap();
        assert_eq!(command, crate::command::tests::command("T1", "100"));
    }

    #[test]
    fn fields_are_named_and_values_are_not() {
        check("", "line 1 column 0: expected a JSON object with the fields of a verification");
        check(r#"{"transaction":"T1","scene":"settlement"}"#, "missing field `card` at line 1 column 41");
        check(
            r#"{"transaction":"T1","scene":"settlement","card":330203194910010027}"#,
            "line 1 column 66: expected a JSON object with the fields of a verification",
        );
        check(
            r#"{"transaction":"T 1","scene":"settlement","card":"1"}"#,
            "transaction: expected 1 to 64 printable ASCII characters without spaces",
        );
        check(
            r#"{"transaction":"T1","scene":"ward","card":"1"}"#,
            "scene: expected registration, reception, settlement, admission, discharge or transfer",
        );
        check(r#"{"transaction":"T1","scene":"settlement","card":"1","attempt":0}"#, "attempt: expected a number from 1 to 99");
    }

    #[test]
    fn content_types_of_forms_are_not_json() {
        assert!(is_json("application/json") && is_json("Application/JSON; charset=utf-8"));
        assert!(!is_json("text/plain") && !is_json("application/x-www-form-urlencoded"));
    }
}
