//! What people do at the screen: each a form, done as the till would do it, on a task of its own.
//!
//! What comes of an attempt is told by the transaction's events. Answered here is only a note where nothing could be begun.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use capture_core::{Consent, DocumentKind, DocumentNumber, FieldError, Operator, PersonName, TransactionError, Way};

use super::{Screen, settings, state::ScreenState};
use crate::{
    command::Proxy,
    till::{Asked, AskedWay, Till, TillError},
};

/// The largest form taken, in bytes.
const FORM_MAX: usize = 4 * 1024;
/// How long a form waits for a refusal before the events are trusted to tell.
const REFUSED_WITHIN: Duration = Duration::from_millis(400);

/// Something done at the screen.
enum Act {
    Attempt(Asked),
    Proxy(Proxy),
    End,
}

/// Why it was not done.
enum Refused {
    Field,
    Till(TillError),
}

impl From<FieldError> for Refused {
    fn from(_: FieldError) -> Self {
        Self::Field
    }
}

struct Form(Vec<(String, String)>);

impl Form {
    fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.trim())
    }
}

pub(super) async fn act(State(screen): State<Screen>, Path(what): Path<String>, headers: HeaderMap, body: Body) -> Response {
    let Ok(Ok(bytes)) = tokio::time::timeout(Duration::from_secs(5), axum::body::to_bytes(body, FORM_MAX)).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let form = Form(form_urlencoded::parse(&bytes).into_owned().collect());
    let language = settings(&headers).language;
    // A touch that comes too late is about nobody who stands here now.
    let Some(shown) = screen.till.shown().filter(|shown| shown.transaction == form.get("transaction")) else {
        return StatusCode::NO_CONTENT.into_response();
    };
    let refused = match read(&what, &form, shown.way) {
        Ok(Some(act)) => carried_out(&screen.till, shown.transaction, act).await,
        Ok(None) => return StatusCode::NOT_FOUND.into_response(),
        Err(refused) => Some(refused),
    };
    let note = match refused {
        None => return StatusCode::NO_CONTENT.into_response(),
        Some(Refused::Field) => language.words().form_incomplete,
        Some(Refused::Till(error)) if is_told_otherwise(&error) => return StatusCode::NO_CONTENT.into_response(),
        Some(Refused::Till(error)) => language.of(ScreenState::of_problem(error.code()).next()),
    };
    note.into_response()
}

fn read(what: &str, form: &Form, waiting: Option<Way>) -> Result<Option<Act>, Refused> {
    let attempt = |way| -> Result<Option<Act>, Refused> {
        let (operator, consent) = (Operator::new(form.get("operator"))?, Consent::new(form.get("consent"))?);
        Ok(Some(Act::Attempt(Asked { way, attempt: None, operator, consent })))
    };
    match what {
        "begin" => attempt(AskedWay::Face),
        "other-way" => attempt(AskedWay::OtherWay),
        "chip" => attempt(AskedWay::Chip),
        "document" => {
            let same_person = match form.get("same_person") {
                "yes" => true,
                "no" => false,
                _ => return Err(Refused::Field),
            };
            attempt(AskedWay::Document { kind: form.get("document_kind").parse::<DocumentKind>()?, same_person })
        }
        // The same attempt again: what it said is known by its number.
        "again" => match waiting {
            Some(Way::Face) => attempt(AskedWay::Face),
            Some(Way::Chip) => attempt(AskedWay::Chip),
            Some(Way::OtherWay) => attempt(AskedWay::OtherWay),
            Some(Way::DocumentCheck) => attempt(AskedWay::Document { kind: DocumentKind::Other, same_person: true }),
            None => Ok(None),
        },
        "proxy" => Ok(Some(Act::Proxy(Proxy {
            kind: form.get("document_kind").parse()?,
            number: DocumentNumber::new(form.get("document_number"))?,
            name: PersonName::new(form.get("name"))?,
        }))),
        "end" => Ok(Some(Act::End)),
        _ => Ok(None),
    }
}

/// Does it; a refusal that comes at once is given back.
async fn carried_out(till: &Arc<Till>, id: String, act: Act) -> Option<Refused> {
    let till = Arc::clone(till);
    let work = tokio::spawn(async move {
        match act {
            Act::Attempt(asked) if asked.way == AskedWay::OtherWay => till.attempt_instead(&id, asked).await.map(drop),
            Act::Attempt(asked) => till.attempt(&id, asked).await.map(drop),
            Act::Proxy(proxy) => till.proxy(&id, proxy).await.map(drop),
            Act::End => till.cancel(&id).await.map(drop),
        }
    });
    match tokio::time::timeout(REFUSED_WITHIN, work).await {
        Ok(Ok(Err(error))) => Some(Refused::Till(error)),
        Ok(Ok(Ok(())) | Err(_)) | Err(_) => None,
    }
}

/// Whether the screen shows it anyway: attempts tell by events, and a second touch of one button is none.
fn is_told_otherwise(error: &TillError) -> bool {
    match error {
        TillError::Verify(_)
        | TillError::Reader(_)
        | TillError::NoFaceOnChip
        | TillError::OtherDocument
        | TillError::Transaction(TransactionError::Busy | TransactionError::Settled | TransactionError::Over(_)) => true,
        TillError::Transaction(
            TransactionError::AttemptsSpent { .. }
            | TransactionError::OutOfOrder { .. }
            | TransactionError::NotSettled
            | TransactionError::NotConfirmed,
        )
        | TillError::Unknown
        | TillError::Conflict
        | TillError::NotOpen
        | TillError::TooManyOpen(_)
        | TillError::OperatorMissing
        | TillError::ProxyNotAllowed
        | TillError::OtherProxy
        | TillError::NoReceipt
        | TillError::Book(_) => false,
    }
}
