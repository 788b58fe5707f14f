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
