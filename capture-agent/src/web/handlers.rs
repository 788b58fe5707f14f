//! Requests to use cases: read the body, do the work, give the answer. Nothing else.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
};
use proto::v1::CameraState;
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Api, Operation,
    body::{
        AttemptRequest, ConfirmRequest, DocumentCheckRequest, NoRequest, OpenRequest, OperatorRequest, ProxyRequest, ReverseRequest,
        VerifyRequest, read,
    },
    failed, openapi, refusal, stream,
};
use crate::{
    till::{AskedWay, TillError},
    verify::{LineState, VerifyError},
};

/// What answers an operation.
pub(super) fn of(operation: Operation) -> MethodRouter<Api> {
    match operation {
        Operation::Verify => post(verify),
        Operation::Open => post(open),
        Operation::Show => get(show),
        Operation::Attempt => post(attempt),
        Operation::DocumentCheck => post(document_check),
        Operation::Chip => post(chip),
        Operation::OtherWay => post(other_way),
        Operation::Proxy => post(proxy),
        Operation::Confirm => post(confirm),
        Operation::Reverse => post(reverse),
        Operation::Cancel => post(cancel),
        Operation::Events => get(stream::events),
        Operation::Operator => post(operator),
        Operation::Health => get(health),
        Operation::Description => get(async || Json(openapi::description())),
    }
}

/// The body as it was asked for, or a refusal from here.
macro_rules! body {
    ($api:expr, $headers:expr, $body:expr, $turn:expr) => {
        match $api.bytes(&$headers, $body).await {
            Err(refused) => return refused,
            Ok(bytes) => match read(&bytes, $turn) {
                Ok(asked) => asked,
                Err(message) => return refusal("invalid_request", message),
            },
        }
    };
}

async fn verify(State(api): State<Api>, headers: HeaderMap, body: Body) -> Response {
    let command = body!(api, headers, body, VerifyRequest::command);
    let verifier = Arc::clone(api.till.verifier());
    api.answer(StatusCode::OK, async move { verifier.verify(&command, Arc::new(|_| {})).await.map_err(TillError::Verify) }).await
}

async fn open(State(api): State<Api>, headers: HeaderMap, body: Body) -> Response {
    let opening = body!(api, headers, body, OpenRequest::opening);
    let till = Arc::clone(&api.till);
    match tokio::spawn(async move { till.open(opening).await }).await {
        Ok(Ok((view, new))) => (if new { StatusCode::CREATED } else { StatusCode::OK }, Json(view)).into_response(),
        Ok(Err(error)) => failed(&error),
        Err(_) => refusal("internal", "a part of the agent broke down: the request"),
    }
}

async fn show(State(api): State<Api>, Path(id): Path<String>) -> Response {
    let till = Arc::clone(&api.till);
    api.answer(StatusCode::OK, async move { till.show(&id).await }).await
}

async fn attempt(State(api): State<Api>, Path(id): Path<String>, headers: HeaderMap, body: Body) -> Response {
    let asked = body!(api, headers, body, |request: AttemptRequest| request.asked(AskedWay::Face));
    let till = Arc::clone(&api.till);
    api.answer(StatusCode::OK, async move { till.attempt(&id, asked).await }).await
}

async fn document_check(State(api): State<Api>, Path(id): Path<String>, headers: HeaderMap, body: Body) -> Response {
    let asked = body!(api, headers, body, DocumentCheckRequest::asked);
    let till = Arc::clone(&api.till);
    api.answer(StatusCode::OK, async move { till.attempt(&id, asked).await }).await
}

async fn chip(State(api): State<Api>, Path(id): Path<String>, headers: HeaderMap, body: Body) -> Response {
    let asked = body!(api, headers, body, |request: AttemptRequest| request.asked(AskedWay::Chip));
    let till = Arc::clone(&api.till);
    api.answer(StatusCode::OK, async move { till.attempt(&id, asked).await }).await
}

async fn other_way(State(api): State<Api>, Path(id): Path<String>, headers: HeaderMap, body: Body) -> Response {
    let asked = body!(api, headers, body, |request: AttemptRequest| request.asked(AskedWay::OtherWay));
    let till = Arc::clone(&api.till);
    api.answer(StatusCode::OK, async move { till.attempt(&id, asked).await }).await
}

async fn proxy(State(api): State<Api>, Path(id): Path<String>, headers: HeaderMap, body: Body) -> Response {
    let proxy = body!(api, headers, body, ProxyRequest::proxy);
    let till = Arc::clone(&api.till);
    api.answer(StatusCode::OK, async move { till.proxy(&id, proxy).await }).await
}

async fn confirm(State(api): State<Api>, Path(id): Path<String>, headers: HeaderMap, body: Body) -> Response {
    let (settlement, amount_fen, by) = body!(api, headers, body, ConfirmRequest::checked);
    let till = Arc::clone(&api.till);
    api.answer(StatusCode::OK, async move { till.confirm(&id, &settlement, amount_fen, &by).await }).await
}

async fn reverse(State(api): State<Api>, Path(id): Path<String>, headers: HeaderMap, body: Body) -> Response {
    let settlement = body!(api, headers, body, ReverseRequest::settlement);
    let till = Arc::clone(&api.till);
    api.answer(StatusCode::OK, async move { till.reverse(&id, settlement.as_ref()).await }).await
}

async fn cancel(State(api): State<Api>, Path(id): Path<String>, headers: HeaderMap, body: Body) -> Response {
    body!(api, headers, body, |_: NoRequest| Ok(()));
    let till = Arc::clone(&api.till);
    api.answer(StatusCode::OK, async move { till.cancel(&id).await }).await
}

/// What a shift change did.
#[derive(Serialize, JsonSchema)]
pub(super) struct ShiftView {
    /// Open transactions in which the change was recorded.
    recorded_in: u32,
}

async fn operator(State(api): State<Api>, headers: HeaderMap, body: Body) -> Response {
    let operator = body!(api, headers, body, OperatorRequest::operator);
    Json(ShiftView { recorded_in: api.till.shift(&operator) }).into_response()
}

/// How the agent is.
#[derive(Serialize, JsonSchema)]
pub(super) struct Health {
    /// The device's name at the center.
    device: String,
    /// This program's version.
    agent_version: &'static str,
    /// `not_used_yet`, `ready`, `absent`, `busy` or `stalled`.
    camera: &'static str,
    /// Whether the center has answered once.
    center_known: bool,
    /// The policy it named last.
    policy_version: Option<String>,
    /// Captures the center has not answered.
    unanswered_envelopes: u32,
    /// How line, lease and spool stand.
    line: LineState,
    /// Transactions that may still go on.
    open_transactions: u32,
    /// Settlements the center was not told of yet.
    untold_settlements: u32,
}

async fn health(State(api): State<Api>) -> Response {
    let verifier = api.till.verifier();
    let center = verifier.center();
    let (line, standing) = (verifier.line_state().await, api.till.standing().await);
    match (line.map_err(|error| TillError::Verify(VerifyError::Outbox(error))), standing) {
        (Ok(line), Ok((open_transactions, untold_settlements))) => Json(Health {
            device: verifier.device().to_owned(),
            agent_version: env!("CARGO_PKG_VERSION"),
            camera: camera_word(verifier.camera_state()),
            center_known: center.is_some(),
            policy_version: center.map(|facts| facts.policy_version),
            unanswered_envelopes: line.waiting,
            line,
            open_transactions,
            untold_settlements,
        })
        .into_response(),
        (Err(error), _) | (_, Err(error)) => failed(&error),
    }
}

pub(crate) fn camera_word(state: CameraState) -> &'static str {
    match state {
        CameraState::Unspecified => "not_used_yet",
        CameraState::Ready => "ready",
        CameraState::Absent => "absent",
        CameraState::Busy => "busy",
        CameraState::Stalled => "stalled",
        CameraState::Unplugged => "unplugged",
        CameraState::Frozen => "frozen",
        CameraState::Black => "black",
        CameraState::UpsideDown => "upside_down",
    }
}
