//! Who may see the screen: the browser that was opened with this run's link.
//!
//! The link is in a file that only the operator's account can read. It is good for one use, because whoever starts a browser shows
//! its arguments to the whole machine; another is in the file then. It becomes a cookie that no script reads, that goes to no other
//! site and only to the screen, and that ends with this run. Cookies do not tell ports apart, so each request must also name this
//! listener and come from no page of another port. Not here: what the screen does.

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use subtle::ConstantTimeEq;
use thiserror::Error;

use super::page;
use crate::{
    durable::{self, Readers, WriteError},
    web::Token,
};

/// Name of the file with the link that opens the screen.
pub const LINK_FILE: &str = "screen.url";

/// Nothing from elsewhere, nothing inline, and in nobody's frame.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";

/// The screen cannot be opened.
#[derive(Debug, Error)]
pub enum DoorError {
    /// No random numbers for the link.
    #[error("the operating system gave no random numbers: {0}")]
    Token(getrandom::Error),
    /// The link cannot be written.
    #[error("the screen's link cannot be written")]
    Write(#[source] WriteError),
}

/// The screen's door.
pub(super) struct Door {
    hosts: Vec<String>,
    origins: Vec<String>,
    cookie: String,
    session: Token,
    link: Mutex<Token>,
    address: SocketAddr,
    dir: PathBuf,
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Door {
    /// A door of this run, with its first link.
    pub(super) fn new(dir: &Path, address: SocketAddr) -> Result<Self, DoorError> {
        let hosts = vec![address.to_string(), format!("localhost:{}", address.port())];
        let origins = hosts.iter().map(|host| format!("http://{host}")).collect();
        let cookie = format!("countersign_screen_{}", address.port());
        let (session, link) = (Token::make().map_err(DoorError::Token)?, Token::make().map_err(DoorError::Token)?);
        let door = Self { hosts, origins, cookie, session, link: Mutex::new(link.clone()), address, dir: dir.to_owned() };
        door.write(&link)?;
        Ok(door)
    }

    fn write(&self, link: &Token) -> Result<(), DoorError> {
        let url = format!("http://{}/screen/open?link={}\n", self.address, link.text());
        durable::write(&self.dir.join(LINK_FILE), url.as_bytes(), Readers::Owner).map_err(DoorError::Write)
    }

    /// The cookie for whoever has the link; another link takes its place.
    pub(super) fn enter(&self, link: &str) -> Result<Option<String>, DoorError> {
        let next = Token::make().map_err(DoorError::Token)?;
        let mut expected = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        if !bool::from(link.as_bytes().ct_eq(expected.text().as_bytes())) {
            return Ok(None);
        }
        self.write(&next)?;
        *expected = next;
        Ok(Some(format!("{}={}; Path=/screen; HttpOnly; SameSite=Strict", self.cookie, self.session.text())))
    }

    fn has_entered(&self, headers: &HeaderMap) -> bool {
        let borne = cookie(headers, &self.cookie).unwrap_or_default();
        bool::from(borne.as_bytes().ct_eq(self.session.text().as_bytes()))
    }

    /// Why a request may not pass; nothing where it may.
    fn refuses(&self, path: &str, method: &Method, headers: &HeaderMap) -> Option<StatusCode> {
        let named = text(headers, &header::HOST).is_some_and(|host| self.hosts.iter().any(|known| known.eq_ignore_ascii_case(host)));
        if !named {
            return Some(StatusCode::FORBIDDEN);
        }
        if path.starts_with("/screen/static/") || path == "/screen/open" {
            return None;
        }
        let site = text(headers, &HeaderName::from_static("sec-fetch-site"));
        if site.is_some_and(|site| site != "same-origin" && site != "none") {
            return Some(StatusCode::FORBIDDEN);
        }
        let origin = text(headers, &header::ORIGIN);
        let is_own = origin.is_some_and(|origin| self.origins.iter().any(|known| known == origin));
        if (method != Method::GET || headers.contains_key(header::ORIGIN)) && !is_own {
            return Some(StatusCode::FORBIDDEN);
        }
        (!self.has_entered(headers)).then_some(StatusCode::UNAUTHORIZED)
    }
}

/// Lets requests in or not, and says to browsers what they may do with the answers.
pub(super) async fn check(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    let refused = door.refuses(request.uri().path(), request.method(), request.headers());
    let is_static = request.uri().path().starts_with("/screen/static/");
    let mut response = match refused {
        Some(status) => (status, html(page::shut())).into_response(),
        None => next.run(request).await,
    };
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, if is_static { "private, max-age=300" } else { "no-store" }),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    for (name, value) in fixed {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A page, or that it could not be made.
pub(super) fn html(page: Result<String, askama::Error>) -> Response {
    match page {
        Ok(page) => ([(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))], page).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// The cookie of a name.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies.flat_map(|value| value.split(';')).find_map(|pair| {
        let (known, value) = pair.trim().split_once('=')?;
        (known == name).then_some(value)
    })
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn door() -> (tempfile::TempDir, Door) {
        let dir = tempfile::tempdir().unwrap();
        let door = Door::new(dir.path(), "127.0.0.1:7".parse().unwrap()).unwrap();
        (dir, door)
    }

    fn link(dir: &tempfile::TempDir) -> String {
        let url = fs::read_to_string(dir.path().join(LINK_FILE)).unwrap();
        url.trim().strip_prefix("http://127.0.0.1:7/screen/open?link=").unwrap().to_owned()
    }

    #[track_caller]
    fn check(method: &Method, path: &str, fields: &[(&'static str, &str)], expected: Option<u16>) {
        let (dir, door) = door();
        let cookie = door.enter(&link(&dir)).unwrap().unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let value = if *value == "COOKIE" { cookie.split(';').next().unwrap() } else { value };
            headers.append(*name, value.parse().unwrap());
        }
        assert_eq!(door.refuses(path, method, &headers).map(|status| status.as_u16()), expected, "{fields:?}");
    }

    const HOST: (&str, &str) = ("host", "127.0.0.1:7");
    const IN: (&str, &str) = ("cookie", "COOKIE");
    const OWN: (&str, &str) = ("origin", "http://127.0.0.1:7");

    #[test]
    fn only_the_browser_with_the_link_passes() {
        check(&Method::GET, "/screen", &[HOST, IN], None);
        check(&Method::GET, "/screen", &[("host", "localhost:7"), IN, ("sec-fetch-site", "none")], None);
        check(&Method::GET, "/screen", &[HOST], Some(401));
        check(&Method::GET, "/screen", &[HOST, ("cookie", "countersign_screen_7=secret")], Some(401));
        check(&Method::GET, "/screen/picture", &[HOST], Some(401));
        check(&Method::GET, "/screen/static/screen.css", &[HOST], None);
        check(&Method::GET, "/screen/static/screen.css", &[("host", "evil.example")], Some(403));
        check(&Method::GET, "/screen", &[("host", "evil.example:7"), IN], Some(403));
        check(&Method::GET, "/screen", &[IN], Some(403));
    }

    #[test]
    fn pages_of_other_ports_and_sites_do_nothing() {
        check(&Method::POST, "/screen/do/begin", &[HOST, IN, OWN], None);
        check(&Method::POST, "/screen/do/begin", &[HOST, IN], Some(403));
        check(&Method::POST, "/screen/do/begin", &[HOST, IN, ("origin", "http://127.0.0.1:8")], Some(403));
        check(&Method::POST, "/screen/do/begin", &[HOST, IN, ("origin", "null")], Some(403));
        check(&Method::GET, "/screen/picture", &[HOST, IN, ("sec-fetch-site", "same-site")], Some(403));
        check(&Method::GET, "/screen/events", &[HOST, IN, ("sec-fetch-site", "cross-site")], Some(403));
        check(&Method::GET, "/screen/events", &[HOST, IN, ("sec-fetch-site", "same-origin")], None);
    }

    #[test]
    fn a_link_works_once_and_another_takes_its_place() {
        let (dir, door) = door();
        let first = link(&dir);
        assert!(door.enter("").unwrap().is_none() && door.enter("guessed").unwrap().is_none());
        let cookie = door.enter(&first).unwrap().unwrap();
        assert!(cookie.ends_with("; Path=/screen; HttpOnly; SameSite=Strict"), "{cookie}");
        assert!(!cookie.contains(&first), "the link is not the cookie");
        assert!(door.enter(&first).unwrap().is_none());
        assert_ne!(link(&dir), first);
        assert!(door.enter(&link(&dir)).unwrap().is_some());
        assert!(!format!("{door:?}").contains(&link(&dir)));
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_on_the_machine_reads_the_link() {
        use std::os::unix::fs::PermissionsExt;
        let (dir, _door) = door();
        assert_eq!(fs::metadata(dir.path().join(LINK_FILE)).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
