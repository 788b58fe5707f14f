//! A browser without a script: one connection, cookies, forms with their token.

use std::{collections::BTreeMap, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::Instant,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Longest answer that is read, in bytes.
const ANSWER_LEN_MAX: usize = 16 << 20;

/// How long a connection is used, and how long it may have rested.
const CONNECTION: Duration = Duration::from_secs(20);
const RESTED: Duration = Duration::from_secs(4);

async fn connect(connector: &TlsConnector, address: SocketAddr) -> Result<BufReader<TlsStream<TcpStream>>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(BufReader::new(connector.connect(ServerName::try_from("localhost")?, stream).await?))
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Where it leads to.
    pub location: String,
    /// What it says.
    pub body: Vec<u8>,
    /// How long it took.
    pub took: Duration,
}

/// Somebody with a browser.
pub struct Visitor {
    address: SocketAddr,
    connector: TlsConnector,
    stream: BufReader<TlsStream<TcpStream>>,
    since: Instant,
    used: Instant,
    cookies: BTreeMap<String, String>,
    csrf: String,
}

impl std::fmt::Debug for Visitor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Visitor({})", self.address)
    }
}

impl Visitor {
    /// Somebody who has signed in.
    ///
    /// # Errors
    /// When the console does not answer, or lets them not in.
    pub async fn signed_in(address: SocketAddr, authority: &Path, name: &str, password: &str) -> Result<Self> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(authority)?)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let connector = TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth()));
        let (stream, since) = (connect(&connector, address).await?, Instant::now());
        let mut visitor = Self { address, connector, stream, since, used: since, cookies: BTreeMap::new(), csrf: String::new() };
        visitor.get("/sign-in").await?;
        let answer = visitor.post("/sign-in", &[("name", name), ("password", password), ("code", "")]).await?;
        ensure!(answer.status == 303 && answer.location == "/", "{name} could not sign in: {}", answer.status);
        visitor.get("/account/password").await?;
        Ok(visitor)
    }

    /// Reads a page.
    ///
    /// # Errors
    /// When the connection fails.
    pub async fn get(&mut self, path: &str) -> Result<Answer> {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {}\r\nAccept-Language: en\r\nCookie: {}\r\n\r\n", self.address, self.cookie_header());
        self.send(&request).await
    }

    /// Sends a form of the last page.
    ///
    /// # Errors
    /// When the connection fails.
    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Result<Answer> {
        let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
        let csrf = self.csrf.clone();
        let pairs =
            fields.iter().copied().chain([("csrf", csrf.as_str())]).map(|(name, value)| format!("{}={}", encode(name), encode(value)));
        let body = pairs.collect::<Vec<_>>().join("&");
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {0}\r\nOrigin: https://{0}\r\nAccept-Language: en\r\nCookie: {1}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {2}\r\n\r\n{body}",
            self.address,
            self.cookie_header(),
            body.len()
        );
        self.send(&request).await
    }

    fn cookie_header(&self) -> String {
        self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    async fn send(&mut self, request: &str) -> Result<Answer> {
        // The console ends connections that rest, and those of a minute.
        if self.since.elapsed() > CONNECTION || self.used.elapsed() > RESTED {
            (self.stream, self.since) = (connect(&self.connector, self.address).await?, Instant::now());
        }
        let began = Instant::now();
        self.stream.get_mut().write_all(request.as_bytes()).await?;
        self.stream.get_mut().flush().await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.stream.read_u8().await?);
            ensure!(head.len() < 65_536, "a head without an end");
        }
        let head = String::from_utf8(head)?;
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("no status")?.parse()?;
        let (mut length, mut location) = (0, String::new());
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse()?,
                "location" => value.trim().clone_into(&mut location),
                "set-cookie" => {
                    let (name, of) = value.split(';').next().and_then(|pair| pair.split_once('=')).context("a cookie")?;
                    self.cookies.insert(name.to_owned(), of.to_owned());
                }
                _ => {}
            }
        }
        ensure!(length <= ANSWER_LEN_MAX, "an answer of {length} bytes");
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await?;
        let took = began.elapsed();
        self.used = Instant::now();
        if let Some(csrf) = String::from_utf8_lossy(&body).split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next()) {
            csrf.clone_into(&mut self.csrf);
        }
        Ok(Answer { status, location, body, took })
    }
}
