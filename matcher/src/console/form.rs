//! What a browser sends: query, form and cookies, in one shape, bounded by whoever read them.

use axum::http::{HeaderMap, header};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::app::accounts::Token;

/// Names and values of a query or a form.
#[derive(Clone, Default)]
pub struct Form(Vec<(String, String)>);

/// Names alone: a value may be a password.
impl std::fmt::Debug for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl Form {
    /// Reads `application/x-www-form-urlencoded`.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Self {
        Self(form_urlencoded::parse(bytes).into_owned().collect())
    }

    /// The first value of a name; empty where there is none.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The first value of a name, trimmed, unless it is empty.
    #[must_use]
    pub fn filled(&self, name: &str) -> Option<&str> {
        Some(self.get(name).trim()).filter(|value| !value.is_empty())
    }

    /// The same with other values for some names, for a link.
    #[must_use]
    pub fn with(&self, changes: &[(&str, &str)]) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in &self.0 {
            if !changes.iter().any(|(changed, _)| changed == name) && !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        query.extend_pairs(changes.iter().filter(|(_, value)| !value.is_empty()));
        query.finish()
    }
}

/// The cookie of a name.
#[must_use]
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies.flat_map(|value| value.split(';')).find_map(|pair| {
        let (known, value) = pair.trim().split_once('=')?;
        (known == name).then_some(value)
    })
}

/// The token in a cookie.
#[must_use]
pub fn token(headers: &HeaderMap, name: &str) -> Option<Token> {
    let bytes = URL_SAFE_NO_PAD.decode(cookie(headers, name)?).ok()?;
    <[u8; 32]>::try_from(bytes).ok().map(Token::from_bytes)
}

/// A token as a cookie keeps it.
#[must_use]
pub fn encode(bytes: &[u8; 32]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A path of this console to go on to; the start where somebody slipped in another place.
#[must_use]
pub fn local(path: &str) -> &str {
    let strange = |c: char| c.is_control() || c == '\\' || c.is_whitespace();
    if path.starts_with('/') && !path.starts_with("//") && !path.contains(strange) && path.len() <= 512 { path } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_local(path: &str, expected: &str) {
        assert_eq!(local(path), expected);
    }

    #[test]
    fn only_paths_of_the_console_are_gone_on_to() {
        check_local("/queue?state=open", "/queue?state=open");
        for other in
            ["", "queue", "//evil.example", "/\\evil.example", "https://evil.example", "/a\r\nSet-Cookie: x", "javascript:alert(1)"]
        {
            check_local(other, "/");
        }
        check_local(&format!("/{}", "a".repeat(600)), "/");
    }

    #[test]
    fn forms_are_read_and_changed() {
        let form = Form::read("name=安娜&reason=two+faces&x=&name=ben".as_bytes());
        assert_eq!((form.get("name"), form.get("reason"), form.get("none")), ("安娜", "two faces", ""));
        assert_eq!((form.filled("x"), form.filled("reason")), (None, Some("two faces")));
        assert_eq!(form.with(&[("name", "c&d")]), "reason=two+faces&name=c%26d");
        assert_eq!(format!("{form:?}"), r#"["name", "reason", "x", "name"]"#);
    }

    #[test]
    fn cookies_are_found_by_their_whole_name() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, "a=1; __Host-session=xyz; b=2".parse().unwrap());
        assert_eq!(
            (cookie(&headers, "__Host-session"), cookie(&headers, "session"), cookie(&headers, "b")),
            (Some("xyz"), None, Some("2"))
        );
        assert!(token(&headers, "__Host-session").is_none(), "too short");
    }
}
