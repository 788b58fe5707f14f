//! A transaction's events as server-sent events: numbered, so that a caller who lost the line goes on where it was.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::stream;

use super::{Api, failed, refusal};
use crate::problem;

/// A comment is sent this often, so that a dead line is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Events from the one after `Last-Event-ID` on, until the transaction has ended.
pub(super) async fn events(State(api): State<Api>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let last =
        headers.get("last-event-id").and_then(|value| value.to_str().ok()).and_then(|text| text.trim().parse().ok()).unwrap_or(0_u64);
    let watcher = match api.till.events(&id) {
        Ok(watcher) => watcher,
        Err(error) => return failed(&error),
    };
    let Ok(place) = api.watchers.try_acquire_owned() else {
        return refusal("too_many_watchers", problem::of("too_many_watchers").en);
    };
    let events = stream::unfold((watcher, last, place), |(mut watcher, last, place)| async move {
        let event = watcher.after(last).await?;
        let told = Event::default().id(event.id.to_string()).event(event.kind.word()).data(event.data.to_string());
        Some((Ok::<_, Infallible>(told), (watcher, event.id, place)))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}
