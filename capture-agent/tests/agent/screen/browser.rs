//! The browser of `tests/browser/counter.mjs`, told line by line what to do and what to look at; and every state of the screen as
//! its templates draw it.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use axum::{
    Router,
    extract::RawQuery,
    http::header,
    response::{Html, sse::Sse},
    routing::get,
};
use capture_agent::screen::{self, ScreenState, Settings, View};
use serde_json::{Value, json};

/// Four screens in headless Chromium; ended with the test.
pub(super) struct Browser {
    child: Child,
    told: ChildStdin,
    said: BufReader<ChildStdout>,
}

impl Browser {
    /// Nothing where it is not installed.
    pub(super) fn start() -> Option<Self> {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/browser");
        if !tests.join("node_modules").is_dir() {
            assert!(std::env::var_os("COUNTERSIGN_REQUIRE_MODELS").is_none(), "run .ci/setup test");
            eprintln!("SKIPPED: no browser tests without `npm ci` in tests/browser");
            return None;
        }
        let shots = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/screenshots");
        std::fs::create_dir_all(&shots).unwrap();
        let mut node = Command::new("node");
        node.arg("counter.mjs").arg(&shots).current_dir(&tests).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = node.spawn().unwrap();
        let (told, said) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Some(Self { child, told, said })
    }

    /// Does one thing, and fails where anything was found.
    #[track_caller]
    pub(super) fn tell(&mut self, task: &Value) -> Value {
        writeln!(self.told, "{task}").unwrap();
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).expect("the browser goes on");
        assert_eq!(answer["faults"], json!([]), "{task}");
        answer["said"].clone()
    }

    pub(super) fn enter(&mut self, address: &str, links: PathBuf) {
        self.tell(&json!({ "do": "enter", "base": format!("http://{address}"), "links": links }));
    }

    #[track_caller]
    pub(super) fn look(&mut self, state: &str) {
        self.tell(&json!({ "do": "look", "state": state }));
    }

    #[track_caller]
    pub(super) fn look_closely(&mut self, state: &str) {
        self.tell(&json!({ "do": "look", "state": state, "closely": true }));
    }

    #[track_caller]
    pub(super) fn press(&mut self, keys: &[&str]) {
        self.tell(&json!({ "do": "press", "keys": keys }));
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn drawn(RawQuery(query): RawQuery) -> ([(header::HeaderName, &'static str); 1], Html<String>) {
    let query = query.unwrap();
    let (state, settings) = query.strip_prefix("state=").and_then(|rest| rest.split_once("&as=")).unwrap();
    let state = ScreenState::ALL.iter().copied().find(|known| known.word() == state).unwrap();
    let settings = Settings::from_word(settings);
    let notice = ["告知 Notice".to_owned()];
    let page = screen::page(&View::specimen(state), settings, &notice).unwrap();
    let policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'";
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(page))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_state_is_drawn_in_both_languages_and_sizes() {
    let Some(mut browser) = Browser::start() else { return };
    let silent = || async { Sse::new(futures_util::stream::pending::<Result<axum::response::sse::Event, std::convert::Infallible>>()) };
    let pages = Router::new().route("/screen", get(drawn)).route("/screen/events", get(silent)).merge(screen::assets());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(axum::serve(listener, pages).into_future());
    let states: Vec<&str> = ScreenState::ALL.iter().map(|state| state.word()).collect();
    assert!(states.len() > 50);
    browser.tell(&json!({ "do": "gallery", "base": base, "states": states }));
    server.abort();
}
