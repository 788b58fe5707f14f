//! Loopback HTTP, within bounds: connecting, one request, the whole call, and the size of what comes.
//!
//! Where the agent's state folder is known its address and token are read for each call, so that an agent that was started anew
//! is found again. No name is looked up, no proxy is asked and no redirection is followed.

use std::{
    fs,
    io::Read,
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::Value;
use ureq::{
    Agent, Error,
    config::Config as HttpConfig,
    http::Uri,
    unversioned::{
        resolver::{ResolvedSocketAddrs, Resolver},
        transport::{DefaultConnector, NextTimeout},
    },
};

use crate::{
    answer::Failure,
    calls::Request,
    config::{Config, Place, is_key, loopback},
};

/// The largest answer taken, in bytes: several times an agent's largest.
const ANSWER_LEN_MAX: u64 = 1024 * 1024;
/// The largest request sent, in bytes: what an agent takes.
const BODY_LEN_MAX: usize = 16 * 1024;
/// Connections that are kept for the next call.
const KEPT_MAX: usize = 16;
/// Between two tries to find an agent that is being started anew.
const PAUSE: Duration = Duration::from_millis(50);

/// Calls one agent.
#[derive(Debug)]
pub(crate) struct Client {
    config: Config,
    http: Agent,
}

/// Where it is now, and what it is told.
struct Found {
    address: SocketAddr,
    bearer: String,
}

/// Takes an address for what it is.
#[derive(Debug)]
struct Literal;

impl Resolver for Literal {
    fn resolve(&self, uri: &Uri, _: &HttpConfig, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let address = uri.authority().and_then(|authority| authority.as_str().parse::<SocketAddr>().ok());
        let address = address.filter(|address| address.ip().is_loopback()).ok_or(Error::HostNotFound)?;
        let mut found = self.empty();
        found.push(address);
        Ok(found)
    }
}

impl Client {
    pub(crate) fn new(config: Config) -> Self {
        let settings = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(KEPT_MAX)
            .max_idle_connections_per_host(KEPT_MAX)
            .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")))
            .build();
        Self { config, http: Agent::with_parts(settings, DefaultConnector::new(), Literal) }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Sends a request, and gives the body of its answer.
    pub(crate) fn call(&self, request: &Request) -> Result<String, Failure> {
        let body = request.body.as_ref().map(ToString::to_string);
        if body.as_ref().is_some_and(|body| body.len() > BODY_LEN_MAX) {
            return Err(Failure::Invalid(format!("in_json: expected at most {BODY_LEN_MAX} bytes")));
        }
        let started = Instant::now();
        let left = || self.config.call.saturating_sub(started.elapsed());
        loop {
            let found = self.found()?;
            let outcome = self.once(&found, &request.path, body.as_deref(), left());
            // Nothing was done in either case. A token that is not known is of a run that has ended.
            let gone = match &outcome {
                Err(Failure::NoAgent(_)) => true,
                Err(Failure::Said { status: 401, .. }) => matches!(&self.config.place, Place::Folder { key: None, .. }),
                Ok(_) | Err(_) => false,
            };
            if !gone || started.elapsed() >= self.config.connect.min(self.config.call) {
                return outcome;
            }
            std::thread::sleep(PAUSE.min(self.config.connect).min(left()));
        }
    }

    fn once(&self, found: &Found, path: &str, body: Option<&str>, left: Duration) -> Result<String, Failure> {
        let within = self.config.request.min(left).max(Duration::from_millis(1));
        let uri = format!("http://{}{path}", found.address);
        let sent = match body {
            Some(body) => {
                let request = self.http.post(uri).header("authorization", format!("Bearer {}", found.bearer));
                let request = request.config().timeout_global(Some(within)).timeout_connect(Some(self.config.connect)).build();
                request.content_type("application/json").send(body)
            }
            None => {
                let request = self.http.get(uri).header("authorization", format!("Bearer {}", found.bearer));
                request.config().timeout_global(Some(within)).timeout_connect(Some(self.config.connect)).build().call()
            }
        };
        let mut response = sent.map_err(|error| failed(&error, found, within))?;
        let status = response.status().as_u16();
        let mut bytes = Vec::new();
        let mut reader = response.body_mut().as_reader().take(ANSWER_LEN_MAX + 1);
        // An answer that breaks off is none: what was asked for may have been done.
        reader.read_to_end(&mut bytes).map_err(|_| Failure::TimedOut(within.as_millis()))?;
        if bytes.len() as u64 > ANSWER_LEN_MAX {
            return Err(Failure::NotUnderstood(format!("expected an answer of at most {ANSWER_LEN_MAX} bytes")));
        }
        understood(status, bytes)
    }

    fn found(&self) -> Result<Found, Failure> {
        match &self.config.place {
            Place::Fixed { address, key } => Ok(Found { address: *address, bearer: key.clone() }),
            Place::Folder { dir, key } => {
                let address = loopback(&small(dir, "api.addr")?)?;
                let bearer = match key {
                    Some(key) => key.clone(),
                    None => small(dir, "api.token")?.trim().to_owned(),
                };
                if is_key(&bearer) { Ok(Found { address, bearer }) } else { Err(Failure::NoAgent(dir.display().to_string())) }
            }
        }
    }
}

/// A small file of the running agent; none where it is not running.
fn small(dir: &Path, name: &str) -> Result<String, Failure> {
    let mut text = String::new();
    let file = fs::File::open(dir.join(name)).map_err(|_| Failure::NoAgent(dir.display().to_string()))?;
    file.take(512).read_to_string(&mut text).map_err(|_| Failure::NoAgent(dir.display().to_string()))?;
    Ok(text)
}

/// The agent's JSON, or its refusal.
fn understood(status: u16, bytes: Vec<u8>) -> Result<String, Failure> {
    let foreign = || Failure::NotUnderstood("expected the JSON of an agent".to_owned());
    let text = String::from_utf8(bytes).map_err(|_| foreign())?;
    let body: Value = serde_json::from_str(&text).map_err(|_| foreign())?;
    match status {
        200..=299 if body.is_object() => Ok(text),
        400..=599 if body.pointer("/error/code").is_some_and(Value::is_string) => Err(Failure::Said { status, body }),
        _ => Err(foreign()),
    }
}

fn failed(error: &Error, found: &Found, within: Duration) -> Failure {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, TimedOut, UnexpectedEof, WouldBlock};
    let is = |kinds: &[std::io::ErrorKind]| matches!(error, Error::Io(error) if kinds.contains(&error.kind()));
    if matches!(error, Error::Timeout(ureq::Timeout::Connect) | Error::ConnectionFailed | Error::HostNotFound) || is(&[ConnectionRefused]) {
        return Failure::NoAgent(found.address.to_string());
    }
    // An agent that was stopped in between: nobody knows how far it came.
    let stopped = [TimedOut, WouldBlock, BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof];
    if matches!(error, Error::Timeout(_)) || is(&stopped) {
        return Failure::TimedOut(within.as_millis());
    }
    Failure::NotUnderstood(format!("no answer of an agent: {error}"))
}

#[cfg(test)]
mod tests {
    use std::{io::Write, net::TcpListener};

    use super::*;
    use crate::answer::code;

    /// Calls whoever listens there, and gives the code it ended with; the whole call took less than a second.
    fn called(address: SocketAddr) -> i32 {
        let config =
            format!(r#"{{"address":"{address}","key":"k","connect_timeout_ms":100,"request_timeout_ms":200,"call_timeout_ms":300}}"#);
        let (client, started) = (Client::new(Config::read(&config).unwrap()), Instant::now());
        let outcome = client.call(&Request::new("health", "").unwrap());
        assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
        outcome.map_or_else(|failure| failure.code(), |_| code::OK)
    }

    /// A listener that answers every connection with these bytes, and then says nothing more.
    #[track_caller]
    fn check(answer: &[u8], expected: i32) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, sent) = (listener.local_addr().unwrap(), answer.to_vec());
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(&sent);
            std::thread::sleep(Duration::from_millis(400));
        });
        assert_eq!(called(address), expected, "{}", String::from_utf8_lossy(&answer[..answer.len().min(80)]));
        serving.join().unwrap();
    }

    fn with_body(status: &str, body: &str) -> Vec<u8> {
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
    }

    #[test]
    fn whoever_does_not_answer_is_waited_for_no_longer_than_was_said() {
        check(b"", code::TIMED_OUT);
        check(b"HTTP/1.1 200 OK\r\n", code::TIMED_OUT);
        check(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"a\":", code::TIMED_OUT);
    }

    #[test]
    fn nobody_there_is_told_from_a_stranger() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert_eq!(called(free), code::NO_AGENT);
        check(&with_body("200 OK", "<html>"), code::NOT_UNDERSTOOD);
        check(&with_body("200 OK", "[1]"), code::NOT_UNDERSTOOD);
        check(&with_body("404 Not Found", "{}"), code::NOT_UNDERSTOOD);
        check(b"HTTP/1.1 302 Found\r\nlocation: http://example.org/\r\ncontent-length: 0\r\n\r\n", code::NOT_UNDERSTOOD);
        check(&with_body("200 OK", &format!("{{\"a\":\"{}\"}}", "x".repeat(2 * 1024 * 1024))), code::NOT_UNDERSTOOD);
        check(b"SSH-2.0-OpenSSH\r\n\r\n", code::NOT_UNDERSTOOD);
    }

    #[test]
    fn an_agents_answers_are_passed_on() {
        check(&with_body("200 OK", r#"{"a":1}"#), code::OK);
        check(&with_body("409 Conflict", r#"{"error":{"code":"x"}}"#), code::REFUSED);
        check(&with_body("503 Service Unavailable", r#"{"error":{"code":"x"}}"#), code::FAILED);
    }
}
