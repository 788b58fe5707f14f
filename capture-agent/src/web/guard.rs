//! Who may call the API: this machine's programs that can read the state folder, and no web page.

use std::{fmt, net::SocketAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::Response,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::refusal;

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

pub(super) struct Guard {
    hosts: Vec<String>,
    origins: Vec<String>,
    token: Token,
}

impl Guard {
    pub(super) fn new(address: SocketAddr, token: Token, origins: Vec<String>) -> Self {
        let hosts = vec![address.to_string(), format!("localhost:{}", address.port())];
        Self { hosts, origins, token }
    }

    /// The refusal of a request, or nothing when it may pass.
    fn refuse(&self, headers: &HeaderMap) -> Option<Response> {
        let host = text(headers, header::HOST).unwrap_or_default();
        if !self.hosts.iter().any(|known| known.eq_ignore_ascii_case(host)) {
            let message = format!("host: expected {}", self.hosts.join(" or "));
            return Some(refusal(StatusCode::FORBIDDEN, "foreign_host", message, "call the address in api.addr of the state folder"));
        }
        if headers.contains_key(header::ORIGIN) {
            let origin = text(headers, header::ORIGIN).unwrap_or_default();
            if !self.origins.iter().any(|known| known == origin) {
                let message = "origin: expected none, or one of api.allowed_origins";
                return Some(refusal(
                    StatusCode::FORBIDDEN,
                    "foreign_origin",
                    message,
                    "web pages may call only if the configuration says so",
                ));
            }
        }
        let borne = text(headers, header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        if !bool::from(borne.as_bytes().ct_eq(self.token.text().as_bytes())) {
            let message = "authorization: expected the bearer token of this run";
            return Some(refusal(StatusCode::UNAUTHORIZED, "bad_token", message, "read api.token of the state folder again"));
        }
        None
    }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(first)
}

pub(super) async fn check(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    match guard.refuse(request.headers()) {
        None => next.run(request).await,
        Some(response) => response,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(headers: &[(&'static str, &str)], expected: StatusCode) {
        let token = Token(Zeroizing::new("secret".into()));
        let guard = Guard::new(([127, 0, 0, 1], 8080).into(), token, vec!["http://till.example".into()]);
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let status = guard.refuse(&map).map_or(StatusCode::OK, |response| response.status());
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
}
