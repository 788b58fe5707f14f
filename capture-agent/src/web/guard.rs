//! Who may call the API: programs with a key, whoever can read the state folder, and web pages of origins that were named.

use std::{
    collections::HashMap,
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::Response,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::refusal;
use crate::{config::ApiConfig, keys::Keys, problem};

/// What a caller must bear: 32 random bytes in base64url, made at each start.
#[derive(Clone)]
pub struct Token(Zeroizing<String>);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token([redacted])")
    }
}

impl Token {
    /// Makes a token.
    ///
    /// # Errors
    /// When the operating system gives no random numbers.
    pub fn make() -> Result<Self, getrandom::Error> {
        let mut bytes = Zeroizing::new([0_u8; 32]);
        getrandom::fill(&mut *bytes)?;
        Ok(Self(Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_slice()))))
    }

    /// The token's text, for the file it is kept in.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// Who a request is from.
struct Caller {
    /// The program, or the holder of the token of this run.
    name: String,
    /// Origins of its web pages.
    origins: Vec<String>,
}

pub(super) struct Guard {
    hosts: Vec<String>,
    origins: Vec<String>,
    token: Token,
    keys: Keys,
    rate: Rate,
}

impl Guard {
    pub(super) fn new(address: SocketAddr, (token, keys): (Token, Keys), config: &ApiConfig) -> Self {
        let hosts = vec![address.to_string(), format!("localhost:{}", address.port())];
        let rate = Rate::new(f64::from(config.requests_per_s));
        Self { hosts, origins: config.allowed_origins.clone(), token, keys, rate }
    }

    /// The refusal of a request, or nothing when it may pass.
    fn refuse(&self, headers: &HeaderMap, now: Instant) -> Option<Response> {
        let host = text(headers, header::HOST).unwrap_or_default();
        if !self.hosts.iter().any(|known| known.eq_ignore_ascii_case(host)) {
            return Some(refusal("foreign_host", format!("host: expected {}", self.hosts.join(" or "))));
        }
        let Some(caller) = self.caller(headers) else {
            let known = origin(headers).is_none_or(|origin| self.knows(origin));
            let code = if known { "bad_token" } else { "foreign_origin" };
            return Some(refusal(code, problem::of(code).en));
        };
        if headers.contains_key(header::ORIGIN) && origin(headers).is_none_or(|origin| !caller.origins.iter().any(|known| known == origin))
        {
            return Some(refusal("foreign_origin", "origin: expected none, or one of this program's"));
        }
        if !self.rate.takes(&caller.name, now) {
            let mut response = refusal("too_many_requests", problem::of("too_many_requests").en);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            return Some(response);
        }
        None
    }

    fn caller(&self, headers: &HeaderMap) -> Option<Caller> {
        let borne = text(headers, header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        if bool::from(borne.as_bytes().ct_eq(self.token.text().as_bytes())) {
            return Some(Caller { name: String::new(), origins: self.origins.clone() });
        }
        self.keys.owner(borne).map(|entry| Caller { name: entry.program, origins: entry.origins })
    }

    /// Whether pages of an origin may call at all.
    fn knows(&self, origin: &str) -> bool {
        self.origins.iter().any(|known| known == origin) || self.keys.knows_origin(origin)
    }

    /// The answer to a browser that asks whether a page may call; nothing for other requests.
    fn preflight(&self, request: &Request) -> Option<Response> {
        let headers = request.headers();
        let asks = request.method() == Method::OPTIONS && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        let origin = origin(headers).filter(|_| asks)?;
        if !self.hosts.iter().any(|known| text(headers, header::HOST).is_some_and(|host| known.eq_ignore_ascii_case(host))) {
            return Some(refusal("foreign_host", format!("host: expected {}", self.hosts.join(" or "))));
        }
        if !self.knows(origin) {
            return Some(refusal("foreign_origin", problem::of("foreign_origin").en));
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let fixed = [
            (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type, last-event-id"),
            (header::ACCESS_CONTROL_MAX_AGE, "600"),
        ];
        for (name, value) in fixed {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        // Pages of a public address ask this before they call this machine.
        if headers.contains_key("access-control-request-private-network") {
            response.headers_mut().insert("access-control-allow-private-network", HeaderValue::from_static("true"));
        }
        Some(response)
    }
}

fn origin(headers: &HeaderMap) -> Option<&str> {
    text(headers, header::ORIGIN)
}

/// How many requests each caller may make: so many a second, and ten times as many at once.
#[derive(Debug)]
struct Rate {
    a_second: f64,
    left: Mutex<HashMap<String, (f64, Instant)>>,
}

impl Rate {
    fn new(a_second: f64) -> Self {
        Self { a_second, left: Mutex::default() }
    }

    fn takes(&self, caller: &str, now: Instant) -> bool {
        let mut all = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let full = self.a_second * 10.0;
        let (left, at) = all.entry(caller.to_owned()).or_insert((full, now));
        *left = (*left + now.saturating_duration_since(*at).as_secs_f64() * self.a_second).min(full);
        *at = now;
        let takes = *left >= 1.0;
        if takes {
            *left -= 1.0;
        }
        takes
    }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(first)
}

pub(super) async fn check(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let known = origin(request.headers()).filter(|origin| guard.knows(origin)).and_then(|origin| HeaderValue::from_str(origin).ok());
    let refused = guard.preflight(&request).or_else(|| guard.refuse(request.headers(), Instant::now()));
    let mut response = match refused {
        None => next.run(request).await,
        Some(response) => response,
    };
    // A page may read what it was told, a refusal too.
    if let Some(origin) = known {
        response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        response.headers_mut().insert(header::VARY, HeaderValue::from_static("origin"));
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(headers: &[(&'static str, &str)], expected: StatusCode) {
        let token = Token(Zeroizing::new("secret".into()));
        let dir = tempfile::tempdir().unwrap();
        let mut config = crate::config::load(dir.path()).unwrap().api;
        config.allowed_origins = vec!["http://till.example".into()];
        let guard = Guard::new(([127, 0, 0, 1], 8080).into(), (token, Keys::of(dir.path()).unwrap()), &config);
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let status = guard.refuse(&map, Instant::now()).map_or(StatusCode::OK, |response| response.status());
        assert_eq!(status, expected, "{headers:?}");
    }

    const HOST: (&str, &str) = ("host", "127.0.0.1:8080");
    const BEARER: (&str, &str) = ("authorization", "Bearer secret");

    #[test]
    fn a_program_with_the_token_may_call() {
        check(&[HOST, BEARER], StatusCode::OK);
        check(&[("host", "LOCALHOST:8080"), BEARER], StatusCode::OK);
        check(&[HOST, BEARER, ("origin", "http://till.example")], StatusCode::OK);
    }

    #[test]
    fn other_names_for_this_machine_are_refused() {
        check(&[BEARER], StatusCode::FORBIDDEN);
        check(&[("host", "attacker.example:8080"), BEARER], StatusCode::FORBIDDEN);
        check(&[("host", "127.0.0.1"), BEARER], StatusCode::FORBIDDEN);
        check(&[HOST, ("host", "attacker.example"), BEARER], StatusCode::FORBIDDEN);
    }

    #[test]
    fn web_pages_are_refused_unless_allowed() {
        check(&[HOST, BEARER, ("origin", "http://attacker.example")], StatusCode::FORBIDDEN);
        check(&[HOST, BEARER, ("origin", "null")], StatusCode::FORBIDDEN);
    }

    #[test]
    fn a_call_without_the_token_is_refused() {
        check(&[HOST], StatusCode::UNAUTHORIZED);
        check(&[HOST, ("authorization", "Bearer secre")], StatusCode::UNAUTHORIZED);
        check(&[HOST, ("authorization", "Basic secret")], StatusCode::UNAUTHORIZED);
        check(&[HOST, ("authorization", "Bearer ")], StatusCode::UNAUTHORIZED);
    }

    #[test]
    fn tokens_differ_and_are_not_shown() {
        let (a, b) = (Token::make().unwrap(), Token::make().unwrap());
        assert!(a.text() != b.text() && a.text().len() == 43);
        assert_eq!(format!("{a:?}"), "Token([redacted])");
    }

    #[test]
    fn a_caller_may_make_so_many_requests_and_others_are_not_held_up() {
        let (rate, now) = (Rate::new(2.0), Instant::now());
        assert_eq!((0..25).filter(|_| rate.takes("his", now)).count(), 20);
        assert!(rate.takes("till", now));
        let later = now + std::time::Duration::from_secs(1);
        assert_eq!((0..25).filter(|_| rate.takes("his", later)).count(), 2);
    }
}
