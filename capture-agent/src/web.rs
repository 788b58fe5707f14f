//! The loopback HTTP API for till and HIS software, version 1.
//!
//! Every resource is an [`Operation`], of which both the router and the served description (`GET /v1/openapi.json`) are made. Every
//! request must name this listener in `Host` (a page that had a name point here does not), bear a program's key or the token of
//! the state folder, and come from no web page or one of the program's origins. Bodies, times and rates are bounded. Not here: what
//! a transaction is ([`till`](crate::till)).

mod body;
mod guard;
mod handlers;
mod openapi;
mod operation;
mod stream;

pub(crate) use handlers::camera_word;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    http::{HeaderMap, StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use tokio::sync::Semaphore;
use tracing::{Instrument, error, warn};

pub use guard::Token;
pub use operation::Operation;

use crate::{
    config::ApiConfig,
    keys::Keys,
    problem::{self, ErrorBody},
    till::{Till, TillError},
};

/// The largest body taken, in bytes.
const BODY_LEN_MAX: usize = 16 * 1024;
/// Streams of events at a time.
const WATCHERS_MAX: usize = 32;

#[derive(Clone)]
struct Api {
    till: Arc<Till>,
    request_timeout: Duration,
    watchers: Arc<Semaphore>,
}

/// The API, for a listener bound to `address`.
pub fn router(till: Arc<Till>, callers: (Token, Keys), config: &ApiConfig, address: SocketAddr) -> Router {
    let request_timeout = Duration::from_millis(config.request_timeout_ms);
    let api = Api { till, request_timeout, watchers: Arc::new(Semaphore::new(WATCHERS_MAX)) };
    let guard = Arc::new(guard::Guard::new(address, callers, config));
    Operation::ALL
        .iter()
        .fold(Router::new(), |router, operation| router.route(operation.path(), handlers::of(*operation)))
        .fallback(async || refusal("not_found", problem::of("not_found").en))
        .method_not_allowed_fallback(async || refusal("method_not_allowed", problem::of("method_not_allowed").en))
        .layer(middleware::from_fn_with_state(guard, guard::check))
        .with_state(api)
}

impl Api {
    /// The body of a request, within its bounds; JSON, or nothing at all.
    async fn bytes(&self, headers: &HeaderMap, body: Body) -> Result<Bytes, Response> {
        let bytes = match tokio::time::timeout(self.request_timeout, axum::body::to_bytes(body, BODY_LEN_MAX)).await {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(_)) => return Err(refusal("body_too_large", format!("body: expected at most {BODY_LEN_MAX} bytes"))),
            Err(_) => return Err(refusal("timed_out", "the request did not arrive within api.request_timeout_ms")),
        };
        let is_json = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(body::is_json);
        if is_json || bytes.is_empty() { Ok(bytes) } else { Err(refusal("not_json", problem::of("not_json").en)) }
    }

    /// Does the work on a task of its own: a till that hangs up stops neither the capture nor its record.
    async fn answer<T: Serialize + Send + 'static>(
        &self,
        status: StatusCode,
        work: impl Future<Output = Result<T, TillError>> + Send + 'static,
    ) -> Response {
        match tokio::time::timeout(self.request_timeout, tokio::spawn(work.in_current_span())).await {
            Ok(Ok(Ok(answer))) => (status, Json(answer)).into_response(),
            Ok(Ok(Err(error))) => failed(&error),
            Ok(Err(_)) => refusal("internal", "a part of the agent broke down: the request"),
            Err(_) => refusal("timed_out", "no answer within api.request_timeout_ms"),
        }
    }
}

fn failed(error: &TillError) -> Response {
    let (code, chain) = (error.code(), error as &dyn std::error::Error);
    if problem::of(code).status >= 500 {
        error!(error.code = code, error = chain, "a request came to nothing");
    } else {
        warn!(error.code = code, error = chain, "a request was refused");
    }
    refusal(code, error.to_string())
}

fn refusal(code: &'static str, message: impl Into<String>) -> Response {
    let status = StatusCode::from_u16(problem::of(code).status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(ErrorBody::new(code, message))).into_response()
}
