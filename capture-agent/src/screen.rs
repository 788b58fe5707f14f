//! The counter's screen: pages on the loopback listener, for patient and cashier, that follow the running transaction.
//!
//! A page is made here whole (`templates/screen`) and kept current over server-sent events; one style sheet and one small script
//! are part of the program, and nothing comes from elsewhere. Every state is in one table ([`ScreenState`]) with its words in
//! Chinese and English. A screen stands beside the till: it does what the local API does, through the same [`Till`], and a counter
//! works without it. Not here: what is decided, and who may settle.

mod acts;
mod door;
mod notice;
mod page;
mod state;
mod stream;
mod view;
mod words;

#[cfg(test)]
mod tests;

use std::{fs::File, net::SocketAddr, path::PathBuf, sync::Arc};

use axum::{
    Router,
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use tokio::sync::Semaphore;
use tracing::{error, info};

pub use door::{DoorError, LINK_FILE};
pub use page::{Changing, Settings, changing, page};
pub use state::{ScreenState, Shape};
pub use view::{CameraSeen, Counter, LineSeen, Offers, SpoolSeen, View};
pub use words::{ALL as WORDS, Language, Words};

use crate::{
    config::{Config, ReaderKind},
    till::Till,
    verify::LineState,
};

/// Name of the file that a drill holds locked while it runs.
pub const DRILL_FILE: &str = "drill.lock";
/// Screens at a time.
const SCREENS_MAX: usize = 8;
/// Keeps how somebody wants the screen.
const DISPLAY: &str = "countersign_display";
const YEAR_S: u32 = 31_536_000;

const STYLE: &str = include_str!("../static/screen.css");
const SCRIPT: &str = include_str!("../static/screen.js");
const SHAPES: &str = include_str!("../static/shapes.svg");
const ICON: &str = include_str!("../static/screen.svg");

#[derive(Clone)]
struct Screen {
    till: Arc<Till>,
    door: Arc<door::Door>,
    dir: Arc<PathBuf>,
    places: Arc<Semaphore>,
    reader: bool,
    waiting_max: u32,
}

/// The screen's pages, for a listener bound to `address`.
///
/// # Errors
/// When the link that opens it cannot be made or written.
pub fn router(till: Arc<Till>, dir: &std::path::Path, config: &Config, address: SocketAddr) -> Result<Router, DoorError> {
    let door = Arc::new(door::Door::new(dir, address)?);
    let screen = Screen {
        till,
        door: Arc::clone(&door),
        dir: Arc::new(dir.to_owned()),
        places: Arc::new(Semaphore::new(SCREENS_MAX)),
        reader: config.reader.kind != ReaderKind::None,
        waiting_max: config.outbox.waiting_max,
    };
    let routes = Router::new()
        .route("/screen", get(whole))
        .route("/screen/open", get(open))
        .route("/screen/display", get(display))
        .route("/screen/events", get(stream::events))
        .route("/screen/picture", get(stream::picture))
        .route("/screen/do/{what}", post(acts::act))
        .merge(assets());
    Ok(routes.layer(middleware::from_fn_with_state(door, door::check)).with_state(screen))
}

/// What the pages are shown with.
pub fn assets<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let asset =
        |kind: &'static str, text: &'static str| get(async move || ([(header::CONTENT_TYPE, HeaderValue::from_static(kind))], text));
    Router::new()
        .route("/screen/static/screen.css", asset("text/css; charset=utf-8", STYLE))
        .route("/screen/static/screen.js", asset("text/javascript; charset=utf-8", SCRIPT))
        .route("/screen/static/shapes.svg", asset("image/svg+xml", SHAPES))
        .route("/screen/static/screen.svg", asset("image/svg+xml", ICON))
}

/// The notice in a language, as the screen shows it.
#[must_use]
pub fn notice(dir: &std::path::Path, language: Language) -> Vec<String> {
    notice::paragraphs(dir, language)
}

impl Screen {
    async fn view(&self) -> View {
        let verifier = self.till.verifier();
        let line = verifier.line_state().await.ok();
        let waiting = line.as_ref().map(|line| line.waiting);
        let counter = Counter {
            camera_open: verifier.camera().is_open(),
            camera: verifier.camera_state(),
            line: line.as_ref().map_or(LineSeen::Unknown, seen),
            spool: match waiting {
                None => SpoolSeen::Unknown,
                Some(waiting) if waiting >= self.waiting_max => SpoolSeen::Full(waiting),
                Some(waiting) => SpoolSeen::Waiting(waiting),
            },
            reader: self.reader,
            drill: is_drill(&self.dir),
            notice: verifier.policy().map(|policy| policy.notice_version.clone()).unwrap_or_default(),
        };
        View::of(self.till.shown().as_ref(), &counter)
    }
}

fn seen(line: &LineState) -> LineSeen {
    let alone = line.lease.as_ref().is_some_and(|lease| lease.scenes.iter().any(|scene| scene.alone == "allowed"));
    let wanted = line.endpoints.first();
    match (line.degraded, wanted) {
        (true, _) => LineSeen::Down { alone },
        (false, Some(wanted)) if !wanted.in_use => LineSeen::Backup,
        (false, Some(wanted)) if wanted.answers.is_none() => LineSeen::Unknown,
        (false, _) => LineSeen::Up,
    }
}

/// Whether somebody holds the drill's file.
fn is_drill(dir: &std::path::Path) -> bool {
    let Ok(file) = File::open(dir.join(DRILL_FILE)) else { return false };
    matches!(file.try_lock(), Err(std::fs::TryLockError::WouldBlock))
}

/// How this browser wants the screen.
fn settings(headers: &HeaderMap) -> Settings {
    door::cookie(headers, DISPLAY).map(Settings::from_word).unwrap_or_default()
}

async fn whole(State(screen): State<Screen>, headers: HeaderMap) -> Response {
    let (settings, view) = (settings(&headers), screen.view().await);
    door::html(page(&view, settings, &notice(&screen.dir, settings.language)))
}

async fn open(State(screen): State<Screen>, RawQuery(query): RawQuery) -> Response {
    let link = parameter(query.as_deref(), "link");
    match screen.door.enter(&link) {
        Ok(Some(cookie)) => {
            info!("a screen was opened");
            set_cookie(&cookie)
        }
        Ok(None) => (StatusCode::UNAUTHORIZED, door::html(page::shut())).into_response(),
        Err(error) => {
            error!(error = &error as &dyn std::error::Error, "a screen could not be opened");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn display(RawQuery(query): RawQuery) -> Response {
    let word = Settings::from_word(&parameter(query.as_deref(), "as")).word();
    set_cookie(&format!("{DISPLAY}={word}; Path=/screen; HttpOnly; SameSite=Strict; Max-Age={YEAR_S}"))
}

fn parameter(query: Option<&str>, name: &str) -> String {
    let mut pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    pairs.find(|(known, _)| known == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
}

fn set_cookie(cookie: &str) -> Response {
    let mut response = Redirect::to("/screen").into_response();
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    response
}
