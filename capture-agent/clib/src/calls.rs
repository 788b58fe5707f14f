//! Codes to requests. One table; the agent checks what the JSON says.

use serde_json::{Map, Value};

use crate::answer::Failure;

/// The longest name of a transaction.
const NAME_LEN_MAX: usize = 64;

/// What is sent.
#[derive(Debug, PartialEq)]
pub(crate) struct Request {
    pub(crate) path: String,
    /// The body of a POST; nothing for a GET.
    pub(crate) body: Option<Value>,
}

/// Code, whether it is a POST, and the path; `{id}` is the transaction, taken out of the body.
const CALLS: &[(&str, bool, &str)] = &[
    ("verify", true, "/v1/verifications"),
    ("open", true, "/v1/transactions"),
    ("show", false, "/v1/transactions/{id}"),
    ("attempt", true, "/v1/transactions/{id}/attempts"),
    ("document_check", true, "/v1/transactions/{id}/document-checks"),
    ("chip", true, "/v1/transactions/{id}/chip"),
    ("other_way", true, "/v1/transactions/{id}/other-way"),
    ("proxy", true, "/v1/transactions/{id}/proxy"),
    ("confirm", true, "/v1/transactions/{id}/confirm"),
    ("reverse", true, "/v1/transactions/{id}/reverse"),
    ("cancel", true, "/v1/transactions/{id}/cancel"),
    ("operator", true, "/v1/operators/current"),
    ("health", false, "/v1/health"),
];

impl Request {
    /// The request of a code and its JSON.
    pub(crate) fn new(code: &str, json: &str) -> Result<Self, Failure> {
        let found = CALLS.iter().find(|(name, ..)| *name == code);
        let Some((_, posts, path)) = found else {
            let names: Vec<&str> = CALLS.iter().map(|(name, ..)| *name).collect();
            return Err(Failure::Invalid(format!("code: expected one of {}", names.join(", "))));
        };
        let mut fields: Map<String, Value> = match json.trim() {
            "" => Map::new(),
            text => serde_json::from_str(text).map_err(|error| {
                Failure::Invalid(format!("in_json: expected an object (line {}, column {})", error.line(), error.column()))
            })?,
        };
        let path = if path.contains("{id}") {
            let id = fields.remove("transaction");
            path.replace("{id}", &named(id.as_ref().and_then(Value::as_str).unwrap_or_default())?)
        } else {
            (*path).to_owned()
        };
        Ok(Self { path, body: posts.then(|| Value::Object(fields)) })
    }
}

impl Request {
    /// Asks how a transaction stands.
    pub(crate) fn of_transaction(name: &str) -> Result<Self, Failure> {
        Ok(Self { path: format!("/v1/transactions/{}", named(name)?), body: None })
    }
}

/// A transaction's name in a path: whatever is not a letter, digit, hyphen or underscore is escaped.
fn named(id: &str) -> Result<String, Failure> {
    if !(1..=NAME_LEN_MAX).contains(&id.len()) || !id.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
        return Err(Failure::Invalid(format!("transaction: expected 1 to {NAME_LEN_MAX} printable ASCII characters")));
    }
    let escaped = |byte: u8| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    Ok(id.bytes().map(escaped).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(code: &str, json: &str, path: &str, body: Option<Value>) {
        assert_eq!(Request::new(code, json).unwrap(), Request { path: path.into(), body });
    }

    #[track_caller]
    fn check_refused(code: &str, json: &str, expected: &str) {
        let error = Request::new(code, json).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn a_transaction_is_named_in_the_path() {
        check("health", "", "/v1/health", None);
        check("open", r#"{"transaction":"T1","card":"9"}"#, "/v1/transactions", Some(json!({ "transaction": "T1", "card": "9" })));
        check("attempt", r#"{"transaction":"T1","attempt":2}"#, "/v1/transactions/T1/attempts", Some(json!({ "attempt": 2 })));
        check("show", r#"{"transaction":"../a?b#c%d e"}"#, "/v1/transactions/%2E%2E%2Fa%3Fb%23c%25d%20e", None);
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        check_refused("pay", "", "code: expected one of verify, open");
        check_refused("open", "[1]", "in_json: expected an object");
        check_refused("show", "{}", "transaction: expected 1 to 64");
        check_refused("show", r#"{"transaction":7}"#, "transaction: expected 1 to 64");
        check_refused("show", "{\"transaction\":\"a\\nb\"}", "transaction: expected 1 to 64");
    }
}
