//! The bodies of requests: read, checked field by field, and described.

use capture_core::{
    Attempt, Consent, DocumentKind, FieldError, IdentifierKind, IdentifierNumber, Notice, OpenedBy, Operator, Region, Scene, Settlement,
    TransactionId,
};
use schemars::JsonSchema;
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    command::{By, Proxy, VerifyCommand},
    till::{Asked, AskedWay, Opening},
};

/// The largest amount, in hundredths of a yuan.
const AMOUNT_MAX: u64 = 1_000_000_000_000;

/// One verification in one call.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct VerifyRequest {
    /// The institution's transaction, 1 to 64 printable ASCII characters.
    transaction: String,
    /// Which attempt within it, 1 to 99; 1 when left out.
    #[serde(default)]
    attempt: Option<u32>,
    /// `registration`, `reception`, `settlement`, `admission`, `discharge` or `transfer`.
    scene: String,
    /// Number of the card or document, 1 to 64 characters.
    card: String,
    /// `social_security_card` (when left out) or `resident_identity`.
    #[serde(default)]
    id_kind: Option<String>,
    /// Administrative division that issued the card, 6 digits; the center's own when left out.
    #[serde(default)]
    region: String,
    /// Who operates the counter, at most 64 characters.
    #[serde(default)]
    operator: String,
    /// Version of the notice shown; the policy's when left out.
    #[serde(default)]
    notice: String,
    /// Version of the consent given, where the scene asks for one.
    #[serde(default)]
    consent: String,
}

/// A transaction to open.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OpenRequest {
    /// The institution's transaction, 1 to 64 printable ASCII characters.
    transaction: String,
    /// What opens it: `till` (when left out), `card_swipe` or `cashier`.
    #[serde(default)]
    opened_by: Option<String>,
    /// `registration`, `reception`, `settlement`, `admission`, `discharge` or `transfer`.
    scene: String,
    /// Number of the card or document, 1 to 64 characters.
    card: String,
    /// `social_security_card` (when left out) or `resident_identity`.
    #[serde(default)]
    id_kind: Option<String>,
    /// Administrative division that issued the card, 6 digits; the center's own when left out.
    #[serde(default)]
    region: String,
    /// Who operates the counter; the current operator when left out.
    #[serde(default)]
    operator: String,
    /// Version of the notice shown; the policy's when left out.
    #[serde(default)]
    notice: String,
    /// Version of the consent given, where the scene asks for one.
    #[serde(default)]
    consent: String,
}

/// An attempt. The same number again gives the same answer.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AttemptRequest {
    /// Its number: the transaction's `next_attempt`, or one made before. The next when left out.
    #[serde(default)]
    attempt: Option<u32>,
    /// Who operates the counter; as before when left out.
    #[serde(default)]
    operator: String,
    /// Version of the consent given since; as before when left out.
    #[serde(default)]
    consent: String,
}

/// What the operator saw on a document.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DocumentCheckRequest {
    /// Its number, as of any attempt.
    #[serde(default)]
    attempt: Option<u32>,
    /// Who looked, by name; the current operator when left out.
    #[serde(default)]
    operator: String,
    /// True: the same person. False: not the person of the document.
    same_person: bool,
    /// `resident_identity`, `social_security_card`, `passport`, `travel_permit`, `permanent_residence`, `household_register`,
    /// `service` or `other`.
    document_kind: String,
}

/// Who came in the holder's place.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProxyRequest {
    /// Which identity document they show; as in a document check.
    document_kind: String,
    /// Its number, 4 to 64 characters.
    document_number: String,
    /// The name in it, at most 64 characters.
    #[serde(default)]
    name: String,
}

/// A settlement that was made.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfirmRequest {
    /// The settlement, as the institution names it, 1 to 64 printable ASCII characters.
    settlement: String,
    /// Its amount in hundredths of a yuan, at most 10^12.
    amount_fen: u64,
    /// Where the disposition is `document_check`: who looked at the document and says that it is the same person.
    #[serde(default)]
    document_checked_by: String,
}

/// A settlement that was taken back.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReverseRequest {
    /// The settlement; all of the transaction's when left out.
    #[serde(default)]
    settlement: Option<String>,
}

/// Who operates the counter from now on.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OperatorRequest {
    /// As the institution names them, at most 64 characters; empty when nobody does.
    operator: String,
}

/// Nothing is said.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NoRequest {}

/// Whether a content type is JSON's, parameters aside.
pub(super) fn is_json(content_type: &str) -> bool {
    content_type.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// Reads a body and turns it into what it asks for; the error names the field and what was expected of it, and holds none of
/// its values. No body at all is one without fields.
pub(super) fn read<T: DeserializeOwned, A>(bytes: &[u8], turn: impl FnOnce(T) -> Result<A, FieldError>) -> Result<A, String> {
    let bytes = if bytes.is_empty() { b"{}" } else { bytes };
    let request: T = serde_json::from_slice(bytes).map_err(|error| described(&error))?;
    turn(request).map_err(|error| error.to_string())
}

/// Messages about types quote the value that was sent, and it may be a card number.
fn described(error: &serde_json::Error) -> String {
    let message = error.to_string();
    if message.starts_with("missing field") || message.starts_with("unknown field") {
        message
    } else {
        format!("line {} column {}: expected a JSON object with the fields of the description", error.line(), error.column())
    }
}

fn number(attempt: Option<u32>) -> Result<Option<Attempt>, FieldError> {
    attempt.map(Attempt::new).transpose()
}

fn kind(word: Option<String>) -> Result<IdentifierKind, FieldError> {
    word.map_or(Ok(IdentifierKind::SocialSecurityCard), |word| word.parse())
}

impl VerifyRequest {
    pub(super) fn command(self) -> Result<VerifyCommand, FieldError> {
        Ok(VerifyCommand {
            transaction: self.transaction.parse()?,
            attempt: number(self.attempt)?.unwrap_or(Attempt::FIRST),
            scene: self.scene.parse()?,
            id_kind: kind(self.id_kind)?,
            number: self.card.parse()?,
            region: Region::new(&self.region)?,
            operator: Operator::new(&self.operator)?,
            notice: Notice::new(&self.notice)?,
            consent: Consent::new(&self.consent)?,
            by: By::Face,
            proxy: None,
        })
    }
}

impl OpenRequest {
    pub(super) fn opening(self) -> Result<Opening, FieldError> {
        let opened_by = FieldError { field: "opened_by", expected: "till, card_swipe or cashier" };
        Ok(Opening {
            transaction: TransactionId::new(&self.transaction)?,
            opened_by: self.opened_by.map_or(Some(OpenedBy::Till), |word| OpenedBy::from_word(&word)).ok_or(opened_by)?,
            scene: self.scene.parse::<Scene>()?,
            id_kind: kind(self.id_kind)?,
            number: IdentifierNumber::new(&self.card)?,
            region: Region::new(&self.region)?,
            operator: Operator::new(&self.operator)?,
            notice: Notice::new(&self.notice)?,
            consent: Consent::new(&self.consent)?,
        })
    }
}

impl AttemptRequest {
    pub(super) fn asked(self, way: AskedWay) -> Result<Asked, FieldError> {
        let (operator, consent) = (Operator::new(&self.operator)?, Consent::new(&self.consent)?);
        Ok(Asked { way, attempt: number(self.attempt)?, operator, consent })
    }
}

impl DocumentCheckRequest {
    pub(super) fn asked(self) -> Result<Asked, FieldError> {
        let way = AskedWay::Document { kind: self.document_kind.parse::<DocumentKind>()?, same_person: self.same_person };
        AttemptRequest { attempt: self.attempt, operator: self.operator, consent: String::new() }.asked(way)
    }
}

impl ProxyRequest {
    pub(super) fn proxy(self) -> Result<Proxy, FieldError> {
        Ok(Proxy { kind: self.document_kind.parse()?, number: self.document_number.parse()?, name: self.name.parse()? })
    }
}

impl ConfirmRequest {
    pub(super) fn checked(self) -> Result<(Settlement, u64, Operator), FieldError> {
        if self.amount_fen > AMOUNT_MAX {
            return Err(FieldError { field: "amount_fen", expected: "at most 1000000000000 hundredths of a yuan" });
        }
        Ok((self.settlement.parse()?, self.amount_fen, Operator::new(&self.document_checked_by)?))
    }
}

impl ReverseRequest {
    pub(super) fn settlement(self) -> Result<Option<Settlement>, FieldError> {
        self.settlement.filter(|text| !text.is_empty()).map(|text| text.parse()).transpose()
    }
}

impl OperatorRequest {
    pub(super) fn operator(self) -> Result<Operator, FieldError> {
        Operator::new(&self.operator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8]) -> Result<VerifyCommand, String> {
        read(bytes, VerifyRequest::command)
    }

    #[track_caller]
    fn check(body: &str, expected: &str) {
        assert_eq!(parse(body.as_bytes()).map(|command| format!("{command:?}")).unwrap_or_else(|message| message), expected);
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let command = parse(br#"{"transaction":"T1","scene":"settlement","card":"100"}"#).unwrap();
        assert_eq!(command, crate::command::tests::command("T1", "100"));
        let asked = read(b"", |request: AttemptRequest| request.asked(AskedWay::OtherWay)).unwrap();
        assert_eq!((asked.attempt, asked.operator.as_str()), (None, ""));
    }

    #[test]
    fn fields_are_named_and_values_are_not() {
        check("", "missing field `transaction` at line 1 column 2");
        check(r#"{"transaction":"T1","scene":"settlement"}"#, "missing field `card` at line 1 column 41");
        check(
            r#"{"transaction":"T1","scene":"settlement","card":330203194910010027}"#,
            "line 1 column 66: expected a JSON object with the fields of the description",
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
    fn amounts_and_documents_are_bounded() {
        let confirm = |text: &str| read(text.as_bytes(), ConfirmRequest::checked).map(|(_, amount, _)| amount);
        assert_eq!(confirm(r#"{"settlement":"S1","amount_fen":1000000000000}"#), Ok(AMOUNT_MAX));
        assert!(confirm(r#"{"settlement":"S1","amount_fen":1000000000001}"#).unwrap_err().starts_with("amount_fen: expected"));
        let proxy = |text: &str| read(text.as_bytes(), ProxyRequest::proxy).map(drop).unwrap_err();
        assert!(proxy(r#"{"document_kind":"card","document_number":"E1234567"}"#).starts_with("document_kind: expected"));
        assert!(proxy(r#"{"document_kind":"passport","document_number":"E1"}"#).starts_with("document_number: expected"));
    }

    #[test]
    fn content_types_of_forms_are_not_json() {
        assert!(is_json("application/json") && is_json("Application/JSON; charset=utf-8"));
        assert!(!is_json("text/plain") && !is_json("application/x-www-form-urlencoded"));
    }
}
