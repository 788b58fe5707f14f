//! What `countersign_init` is told.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use serde::Deserialize;

use crate::{answer::Failure, text::Encoding};

const CONNECT_MS: u64 = 1_000;
const REQUEST_MS: u64 = 60_000;
const CALL_MS: u64 = 65_000;
const TIME_MS_MAX: u64 = 300_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    dir: Option<PathBuf>,
    address: Option<String>,
    key: Option<String>,
    #[serde(default)]
    encoding: Encoding,
    connect_timeout_ms: Option<u64>,
    request_timeout_ms: Option<u64>,
    call_timeout_ms: Option<u64>,
}

/// Where the agent is, and whom it takes the caller for.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// As the running agent says in its state folder; with a program's key, or the token of the folder.
    Folder {
        /// The folder.
        dir: PathBuf,
        /// The program's key.
        key: Option<String>,
    },
    /// An address and a program's key.
    Fixed {
        /// On loopback.
        address: SocketAddr,
        /// The key.
        key: String,
    },
}

/// The configuration.
#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) place: Place,
    pub(crate) encoding: Encoding,
    /// Bound of connecting.
    pub(crate) connect: Duration,
    /// Bound of one request.
    pub(crate) request: Duration,
    /// Bound of a whole call, repetition included.
    pub(crate) call: Duration,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config").field("encoding", &self.encoding).field("call", &self.call).finish_non_exhaustive()
    }
}

impl Config {
    /// Reads the JSON of `countersign_init`: UTF-8, whatever the encoding it names.
    pub(crate) fn read(text: &str) -> Result<Self, Failure> {
        let wrong = |what: &str| Failure::Configuration(format!("config_json: {what}"));
        // What serde says quotes values, and one of them is a key.
        let file: ConfigFile = serde_json::from_str(text).map_err(|error| {
            wrong(&format!(
                "expected an object with dir, or address and key, and at most encoding, connect_timeout_ms, request_timeout_ms and \
                 call_timeout_ms (line {}, column {})",
                error.line(),
                error.column()
            ))
        })?;
        let place = match (file.dir, file.address, file.key) {
            (Some(dir), None, key) => Place::Folder { dir, key },
            (None, Some(address), Some(key)) => Place::Fixed { address: loopback(&address)?, key },
            (None, Some(_), None) => return Err(wrong("key: expected a program's key beside address")),
            (None, None, _) | (Some(_), Some(_), _) => return Err(wrong("expected either dir or address")),
        };
        if let Place::Folder { key: Some(key), .. } | Place::Fixed { key, .. } = &place
            && !is_key(key)
        {
            return Err(wrong("key: expected 1 to 256 printable ASCII characters"));
        }
        let time = |name: &str, ms: Option<u64>, default: u64| match ms.unwrap_or(default) {
            ms @ 1..=TIME_MS_MAX => Ok(Duration::from_millis(ms)),
            _ => Err(wrong(&format!("{name}: expected 1 to {TIME_MS_MAX} milliseconds"))),
        };
        Ok(Self {
            place,
            encoding: file.encoding,
            connect: time("connect_timeout_ms", file.connect_timeout_ms, CONNECT_MS)?,
            request: time("request_timeout_ms", file.request_timeout_ms, REQUEST_MS)?,
            call: time("call_timeout_ms", file.call_timeout_ms, CALL_MS)?,
        })
    }
}

/// Whether a text may stand in a header.
pub(crate) fn is_key(text: &str) -> bool {
    (1..=256).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// An address of this machine alone.
pub(crate) fn loopback(text: &str) -> Result<SocketAddr, Failure> {
    let address = text.trim().parse::<SocketAddr>().ok().filter(|address| address.ip().is_loopback() && address.port() != 0);
    address.ok_or_else(|| Failure::Configuration("address: expected one of this machine such as 127.0.0.1:7788".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<(), &str>) {
        match (Config::read(text).map(drop).map_err(|error| error.to_string()), expected) {
            (Ok(()), Ok(())) => {}
            (Err(shown), Err(part)) => assert!(shown.contains(part) && !shown.contains("secret"), "{shown}"),
            (outcome, _) => panic!("{outcome:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn what_is_wrong_is_named_and_no_key_is_shown() {
        check(r#"{"dir":"/x"}"#, Ok(()));
        check(r#"{"dir":"/x","key":"secret","encoding":"gbk","call_timeout_ms":5}"#, Ok(()));
        check(r#"{"address":"127.0.0.1:1","key":"secret"}"#, Ok(()));
        check(r#"{"address":"[::1]:1","key":"secret"}"#, Ok(()));
        check(r#"{"address":"10.0.0.1:80","key":"secret"}"#, Err("address: expected one of this machine"));
        check(r#"{"address":"localhost:80","key":"secret"}"#, Err("address: expected"));
        check(r#"{"address":"127.0.0.1:1"}"#, Err("key: expected a program's key"));
        check(r#"{"address":"127.0.0.1:1","key":"secret\r\nX: y"}"#, Err("key: expected 1 to 256"));
        check(r#"{"dir":"/x","address":"127.0.0.1:1","key":"secret"}"#, Err("either dir or address"));
        check("{}", Err("either dir or address"));
        check(r#"{"dir":"/x","call_timeout_ms":0}"#, Err("call_timeout_ms: expected 1 to"));
        check(r#"{"dir":"/x","keys":"secret"}"#, Err("expected an object"));
        check(r#"{"dir":"/x","encoding":"secret"}"#, Err("expected an object"));
        check("", Err("expected an object"));
    }
}
