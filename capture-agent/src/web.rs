//! The loopback HTTP API for the till's software: `POST /v1/verifications` and `GET /v1/health`.
//!
//! Every request must name this listener in `Host` (a page that had a name point here does not), come from
//! no web page or an allowed one (`Origin`), and bear the token of the state folder. Bodies and times are
//! bounded. Not here: what a verification is.

mod body;
mod guard;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use proto::v1::CameraState;
use serde::Serialize;
use tracing::{Instrument, error, warn};

pub use guard::Token;

use crate::{
    config::ApiConfig,
    output::ErrorBody,
    verify::{LineState, Verifier, VerifyError},
};

/// The largest body taken, in bytes.
const BODY_LEN_MAX: usize = 16 * 1024;

#[derive(Clone)]
struct Api {
    verifier: Arc<Verifier>,
    request_timeout: Duration,
}

/// The API, for a listener bound to `address`.
pub fn router(verifier: Arc<Verifier>, token: Token, config: &ApiConfig, address: SocketAddr) -> Router {
    let api = Api { verifier, request_timeout: Duration::from_millis(config.request_timeout_ms) };
    let guard = Arc::new(guard::Guard::new(address, token, config.allowed_origins.clone()));
    Router::new()
        .route("/v1/verifications", post(verify))
        .route("/v1/health", get(health))
        .fallback(async || refusal(StatusCode::NOT_FOUND, "not_found", "there is no such resource", "see the API's description"))
        .method_not_allowed_fallback(async || {
            refusal(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "the resource has no such method", "see the API's description")
        })
        .layer(middleware::from_fn_with_state(guard, guard::check))
        .with_state(api)
}

async fn verify(State(api): State<Api>, headers: HeaderMap, body: Body) -> Response {
    let is_json = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(body::is_json);
    if !is_json {
        let message = "content-type: expected application/json";
        return refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", message, "send the request as JSON");
    }
    let bytes = match tokio::time::timeout(api.request_timeout, axum::body::to_bytes(body, BODY_LEN_MAX)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => {
            let message = format!("body: expected at most {BODY_LEN_MAX} bytes");
            return refusal(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message, "send the fields of a verification only");
        }
        Err(_) => return timed_out("the request did not arrive within api.request_timeout_ms"),
    };
    let command = match body::parse(&bytes) {
        Ok(command) => command,
        Err(message) => return refusal(StatusCode::BAD_REQUEST, "invalid_request", message, "correct the field named"),
    };
    // On a task of its own: a till that hangs up stops neither the capture nor its record.
    let verifier = Arc::clone(&api.verifier);
    let work = async move {
        let outcome = verifier.verify(&command, Arc::new(|_| {})).await;
        if let Err(error) = &outcome {
            log(error);
        }
        outcome
    };
    match tokio::time::timeout(api.request_timeout, tokio::spawn(work.in_current_span())).await {
        Ok(Ok(Ok(answer))) => Json(answer).into_response(),
        Ok(Ok(Err(error))) => (status(&error), Json(ErrorBody::of(&error))).into_response(),
        Ok(Err(_)) => (StatusCode::INTERNAL_SERVER_ERROR, Json(ErrorBody::of(&VerifyError::Internal("verification")))).into_response(),
        Err(_) => timed_out("no answer within api.request_timeout_ms"),
    }
}

#[derive(Serialize)]
struct Health {
    device: String,
    agent_version: &'static str,
    camera: &'static str,
    center_known: bool,
    policy_version: Option<String>,
    unanswered_envelopes: u32,
    line: LineState,
}

async fn health(State(api): State<Api>) -> Response {
    let center = api.verifier.center();
    match api.verifier.line_state().await {
        Ok(line) => Json(Health {
            device: api.verifier.device().to_owned(),
            agent_version: env!("CARGO_PKG_VERSION"),
            camera: camera_word(api.verifier.camera_state()),
            center_known: center.is_some(),
            policy_version: center.map(|facts| facts.policy_version),
            unanswered_envelopes: line.waiting,
            line,
        })
        .into_response(),
        Err(error) => {
            let error = VerifyError::Outbox(error);
            log(&error);
            (status(&error), Json(ErrorBody::of(&error))).into_response()
        }
    }
}

fn camera_word(state: CameraState) -> &'static str {
    match state {
        CameraState::Unspecified => "not_used_yet",
        CameraState::Ready => "ready",
        CameraState::Absent => "absent",
        CameraState::Busy => "busy",
        CameraState::Stalled => "stalled",
    }
}

fn log(error: &VerifyError) {
    let (code, chain) = (error.code(), error as &dyn std::error::Error);
    if status(error).is_server_error() {
        error!(error.code = code, error = chain, "verification gave no answer");
    } else {
        warn!(error.code = code, error = chain, "verification refused");
    }
}

/// The one table from errors to HTTP status.
fn status(error: &VerifyError) -> StatusCode {
    match error.code() {
        "transaction_conflict" => StatusCode::CONFLICT,
        "answer_expired" => StatusCode::GONE,
        "camera_queue_full" => StatusCode::TOO_MANY_REQUESTS,
        "request_refused" | "consent_missing" | "attempts_spent" => StatusCode::UNPROCESSABLE_ENTITY,
        "device_refused" | "envelope_stale" | "center_failed" => StatusCode::BAD_GATEWAY,
        "lease_missing" | "lease_used_up" | "lease_expired" | "clock_set_back" | "spool_too_old" => StatusCode::SERVICE_UNAVAILABLE,
        "center_unreachable" | "model_mismatch" | "outbox_full" => StatusCode::SERVICE_UNAVAILABLE,
        "camera_absent" | "camera_busy" | "camera_lost" | "camera_stalled" | "camera_failed" => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn timed_out(message: &str) -> Response {
    let action = "send the same transaction and attempt again: what was captured is kept";
    refusal(StatusCode::GATEWAY_TIMEOUT, "timed_out", message, action)
}

fn refusal(status: StatusCode, code: &'static str, message: impl Into<String>, action: &'static str) -> Response {
    (status, Json(ErrorBody::new(code, message, action))).into_response()
}
