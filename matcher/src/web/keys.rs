//! The published keys of receipts, for anybody who checks one.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{HeaderName, header},
    response::IntoResponse,
    routing::get,
};

use crate::{
    receipt_keys::{ReceiptKeys, ReceiptKind},
    surroundings::Surroundings,
};

/// Longest time that a checker may keep a key set, in seconds.
const KEEP_SECONDS_MAX: i64 = 300;

/// Where the keys come from.
#[derive(Clone)]
struct Published {
    keys: Arc<ReceiptKeys>,
    surroundings: Arc<dyn Surroundings>,
    cache_control: String,
}

/// `/.well-known/jwks.json`, and `/.well-known/drill-jwks.json` for receipts of drills.
pub fn router(keys: Arc<ReceiptKeys>, surroundings: Arc<dyn Surroundings>, publish_ahead_ms: i64) -> Router {
    // Fetched twice before a new key signs, or not kept at all.
    let seconds = (publish_ahead_ms / 2000).clamp(0, KEEP_SECONDS_MAX);
    let state = Published { keys, surroundings, cache_control: format!("public, max-age={seconds}") };
    Router::new()
        .route("/.well-known/jwks.json", get(|State(published): State<Published>| async move { published.set(ReceiptKind::Production) }))
        .route("/.well-known/drill-jwks.json", get(|State(published): State<Published>| async move { published.set(ReceiptKind::Drill) }))
        .with_state(state)
}

impl Published {
    fn set(self, kind: ReceiptKind) -> impl IntoResponse {
        let headers: [(HeaderName, String); 2] =
            [(header::CONTENT_TYPE, "application/jwk-set+json".to_owned()), (header::CACHE_CONTROL, self.cache_control)];
        (headers, self.keys.published(kind, self.surroundings.now_ms()).to_jwks())
    }
}
