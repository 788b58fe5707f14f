//! The page with the counters' health: for people in Chinese and English, and as JSON. It shows no capture, and no person.
//!
//! On loopback it is plain HTTP, and only under its own address (a page elsewhere that had a name point here is refused);
//! on any other address, and where the configuration says so, it is HTTPS with a [`certificate`] of its own and asks for the
//! password in `page.token`.

use std::{net::SocketAddr, sync::Arc};

use askama::Template;
use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, Uri, header},
    middleware::{self, Next},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;
use subtle::ConstantTimeEq;

pub use self::certificate::PageCertificateError;
use super::counters::Counter;
use crate::web::Token;

pub mod certificate;

/// The page is read again by itself after so many seconds.
const AGAIN_S: u32 = 10;
/// A counter that was not heard for so long is shown as silent, in milliseconds: two of its reports are missing.
pub const SILENT_AFTER_MS: i64 = 150_000;

const STYLE: &str = include_str!("../../static/relay.css");
const SCRIPT: &str = include_str!("../../static/relay.js");
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// How a relay stands. Times are milliseconds since 1970-01-01 UTC by its clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The relay's name in the registry.
    pub relay: String,
    /// Its version.
    pub version: String,
    /// When this was so.
    pub at_ms: i64,
    /// Since when it runs.
    pub started_at_ms: i64,
    /// The line in use.
    pub line: String,
    /// Whether every line is down.
    pub is_down: bool,
    /// The lines, the wanted one first.
    pub lines: Vec<Line>,
    /// Envelopes that wait here.
    pub waiting: u64,
    /// Their bytes.
    pub waiting_bytes: u64,
    /// Room for them, in bytes.
    pub room_bytes: u64,
    /// When the oldest of them came.
    pub oldest_ms: Option<i64>,
    /// Free bytes of the disk; nothing where the system does not say.
    pub disk_free_bytes: Option<u64>,
    /// When the relay's certificate ends.
    pub certificate_until_ms: i64,
    /// The counters, by device.
    pub counters: Vec<Row>,
}

/// A line to the center.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Its name in the configuration.
    pub name: String,
    /// Whether the last call over it was answered; nothing when none was made.
    pub answers: Option<bool>,
}

/// A counter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The device.
    pub device: String,
    /// What is known of it.
    #[serde(flatten)]
    pub counter: Counter,
    /// Envelopes of it that wait here.
    pub waiting_here: u64,
    /// When the oldest of them came.
    pub oldest_here_ms: Option<i64>,
    /// Whether it was not heard for so long that something is wrong.
    pub is_silent: bool,
}

/// Where the page's content comes from.
pub type Look = Arc<dyn Fn() -> Status + Send + Sync>;

#[derive(Clone)]
struct Page {
    look: Look,
    address: SocketAddr,
    token: Option<Arc<Token>>,
}

/// The page, for a listener bound to `address`; with a token it asks for it.
pub fn router(look: Look, address: SocketAddr, token: Option<Token>) -> Router {
    let page = Page { look, address, token: token.map(Arc::new) };
    Router::new()
        .route("/", get(show))
        .route("/status.json", get(async |State(page): State<Page>| axum::Json((page.look)())))
        .route("/relay.js", get(async || ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], SCRIPT)))
        .route("/relay.css", get(async || ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE)))
        .layer(middleware::from_fn_with_state(page.clone(), guard))
        .with_state(page)
}

async fn guard(State(page): State<Page>, request: Request, next: Next) -> Response {
    let refusal = match &page.token {
        Some(token) if !knows(request.headers(), token) => Some(
            (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Basic realm=\"relay\", charset=\"UTF-8\"")], "page.token")
                .into_response(),
        ),
        None if !is_named(request.headers(), page.address) => Some(StatusCode::FORBIDDEN.into_response()),
        Some(_) | None => None,
    };
    let mut response = match refusal {
        Some(refusal) => refusal,
        None => next.run(request).await,
    };
    let set = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in set {
        response.headers_mut().insert(name, header::HeaderValue::from_static(value));
    }
    response
}

/// Whether a request names this listener and nothing else.
fn is_named(headers: &HeaderMap, address: SocketAddr) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    host == address.to_string() || host == format!("localhost:{}", address.port())
}

/// Whether a request has the password.
fn knows(headers: &HeaderMap, token: &Token) -> bool {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let decoded = given.strip_prefix("Basic ").and_then(|text| STANDARD.decode(text).ok()).unwrap_or_default();
    let decoded = String::from_utf8(decoded).unwrap_or_default();
    let password = given.strip_prefix("Bearer ").or(decoded.split_once(':').map(|(_, password)| password)).unwrap_or_default();
    bool::from(password.as_bytes().ct_eq(token.text().as_bytes()))
}

async fn show(State(page): State<Page>, uri: Uri, headers: HeaderMap) -> Response {
    let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_english = match uri.query().and_then(|query| query.strip_prefix("lang=")) {
        Some(lang) => lang == "en",
        None => accepted.starts_with("en"),
    };
    match Shown::of(&(page.look)(), is_english).render() {
        Ok(page) => Html(page).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[derive(Template)]
#[template(path = "relay.html")]
struct Shown {
    words: &'static Words,
    relay: String,
    version: String,
    again_s: u32,
    is_down: bool,
    line: String,
    lines: Vec<(String, &'static str)>,
    waiting: u64,
    room: String,
    oldest: String,
    disk: String,
    certificate: String,
    rows: Vec<ShownRow>,
}

struct ShownRow {
    device: String,
    is_well: bool,
    state: &'static str,
    seen: String,
    here: u64,
    oldest_here: String,
    there: u32,
    oldest_there: String,
    line: String,
    version: String,
    findings: String,
}

macro_rules! words {
    ($($name:ident: $en:literal / $zh:literal,)*) => {
        /// The page's words in one language.
        struct Words { $($name: &'static str,)* }
        const EN: Words = Words { $($name: $en,)* };
        const ZH: Words = Words { $($name: $zh,)* };
    };
}

words! {
    lang: "en" / "zh-CN",
    other: "中文" / "English",
    other_href: "/?lang=zh" / "/?lang=en",
    title: "Relay" / "转发节点",
    line: "Line in use" / "当前线路",
    lines: "Lines" / "线路",
    down: "no line to the center; captures are kept here" / "与中心的线路全部中断，样本暂存于本机",
    answers: "answers" / "正常",
    silent_line: "does not answer" / "无应答",
    unknown_line: "not used yet" / "尚未使用",
    waiting: "Waiting here" / "本机待传",
    room: "Room taken" / "已用空间",
    oldest: "Oldest" / "最早一条",
    disk: "Free disk" / "磁盘剩余",
    certificate: "Certificate until" / "证书有效期至",
    counters: "Counters" / "柜台",
    counter: "Counter" / "柜台",
    state: "State" / "状态",
    seen: "Last seen" / "最近联系",
    here: "Waiting at the relay" / "转发节点待传",
    there: "Waiting at the counter" / "柜台待传",
    over: "Line" / "线路",
    version: "Version" / "版本",
    findings: "To look at" / "待处理",
    well: "well" / "正常",
    silent: "silent" / "失去联系",
    refused: "not let in by the center" / "中心未准入",
    never: "–" / "–",
    ago: " ago" / "前",
    no_answer: "The relay does not answer. What stands below is old." / "转发节点无应答，以下内容不是最新。",
    none: "No counter has called yet." / "尚无柜台连接。",
}

impl Shown {
    fn of(status: &Status, is_english: bool) -> Self {
        let words = if is_english { &EN } else { &ZH };
        let age = |at: Option<i64>| {
            at.map_or_else(|| words.never.to_owned(), |at| format!("{}{}", span(status.at_ms - at, is_english), words.ago))
        };
        let line = |line: &Line| {
            let state = match line.answers {
                Some(true) => words.answers,
                Some(false) => words.silent_line,
                None => words.unknown_line,
            };
            (line.name.clone(), state)
        };
        let until = jiff::Timestamp::from_millisecond(status.certificate_until_ms);
        Self {
            words,
            relay: status.relay.clone(),
            version: status.version.clone(),
            again_s: AGAIN_S,
            is_down: status.is_down,
            line: status.line.clone(),
            lines: status.lines.iter().map(line).collect(),
            waiting: status.waiting,
            room: format!("{} / {}", mebibytes(status.waiting_bytes), mebibytes(status.room_bytes)),
            oldest: age(status.oldest_ms),
            disk: status.disk_free_bytes.map_or_else(|| words.never.to_owned(), mebibytes),
            certificate: until.map(|until| until.strftime("%Y-%m-%d").to_string()).unwrap_or_default(),
            rows: status.counters.iter().map(|row| ShownRow::of(row, words, &age)).collect(),
        }
    }
}

impl ShownRow {
    fn of(row: &Row, words: &'static Words, age: &dyn Fn(Option<i64>) -> String) -> Self {
        let state = match (row.counter.let_in, row.is_silent) {
            (Some(false), _) => words.refused,
            (_, true) => words.silent,
            (Some(true) | None, false) => words.well,
        };
        Self {
            device: row.device.clone(),
            is_well: state == words.well,
            state,
            seen: age(row.counter.last_seen_ms),
            here: row.waiting_here,
            oldest_here: age(row.oldest_here_ms),
            there: row.counter.waiting_there,
            oldest_there: age(row.counter.oldest_there_ms),
            line: row.counter.line.clone(),
            version: row.counter.version.clone(),
            findings: row.counter.findings.join(", "),
        }
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

/// A time as people say it.
fn span(ms: i64, is_english: bool) -> String {
    let (minute, hour, day) = (60, 3_600, 86_400);
    let s = ms.max(0) / 1000;
    let (count, en, zh) = match s {
        s if s < 2 * minute => (s, "s", "秒"),
        s if s < 2 * hour => (s / minute, "min", "分钟"),
        s if s < 2 * day => (s / hour, "h", "小时"),
        s => (s / day, "d", "天"),
    };
    if is_english { format!("{count} {en}") } else { format!("{count}{zh}") }
}

#[cfg(test)]
mod tests;
