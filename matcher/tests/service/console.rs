//! The review console over its real HTTPS: who gets in, what each role may open, in which order a case is told, and what is
//! refused. Pages are read as a browser without a script reads them.

mod attacks;
mod browser;
mod journey;
mod roles;
mod seeds;
mod signing;
mod supervision;
mod words;

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use matcher::{
    app::accounts::{Accounts, NewUser},
    config::Config,
    surroundings::System,
};
use matcher_core::console::{LockRule, Role, SessionRule};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use crate::{cases::Town, support::TestCenter};

/// A password of everybody.
const PASSWORD: &str = "a pass phrase for tests";

/// A center with its console; nobody needs a second factor.
async fn center() -> TestCenter {
    center_with(|_| {}).await
}

async fn center_with(change: impl FnOnce(&mut Config)) -> TestCenter {
    TestCenter::init_with(|config| {
        config.console.listen = Some("127.0.0.1:0".parse().unwrap());
        config.console.second_factor = false;
        config.console.sign_ins_a_minute = 1_000;
        change(config);
    })
    .await
}

/// Accounts of a center, past its pages.
fn accounts(center: &TestCenter) -> Accounts {
    let lock = LockRule { free: 5, first_ms: 30_000, max_ms: 3_600_000 };
    let session = SessionRule { idle_ms: 900_000, absolute_ms: 36_000_000 };
    Accounts::new(center.center.clone(), Arc::new(System), lock, session)
}

async fn add(center: &TestCenter, name: &str, role: Role) {
    let institution = if role == Role::StoreManager { "P1" } else { "" };
    let new = NewUser { name: name.into(), role, institution: institution.into(), must_change: false };
    accounts(center).add(new, PASSWORD.to_owned().into(), "").await.unwrap();
}

/// A center with a case about two faces, and people of every role.
async fn desk() -> (Town, String) {
    let mut town = Town::with(center().await).await;
    town.pictured([&JPEG, &JPEG, &JPEG]);
    town.shared_card("A10020001").await;
    town.run().await;
    for (name, role) in [
        ("anna", Role::Reviewer),
        ("ben", Role::Reviewer),
        ("susan", Role::Supervisor),
        ("otto", Role::Auditor),
        ("adam", Role::Administrator),
        ("mia", Role::StoreManager),
    ] {
        add(&town.center, name, role).await;
    }
    let id = town.cases().await[0].case.id.to_string();
    (town, id)
}

/// A file that begins and ends as a JPEG does.
static JPEG: [u8; 600] = {
    let mut jpeg = [0x55; 600];
    (jpeg[0], jpeg[1], jpeg[2]) = (0xff, 0xd8, 0xff);
    (jpeg[598], jpeg[599]) = (0xff, 0xd9);
    jpeg
};

/// An answer.
#[derive(Debug, Clone)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .find_map(|line| line.split_once(": ").filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value))
    }

    fn location(&self) -> &str {
        self.header("location").unwrap_or_default()
    }

    /// The token that the page's forms carry.
    fn csrf(&self) -> String {
        let mark = "name=\"csrf\" value=\"";
        self.body.split(mark).nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default().to_owned()
    }
}

/// Somebody with a browser, without a script.
#[derive(Clone)]
struct Visitor {
    address: SocketAddr,
    tls: TlsConnector,
    cookies: BTreeMap<String, String>,
    csrf: String,
}

impl Visitor {
    fn new(center: &TestCenter) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(center.dir.console_authority_certificate()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = builder.with_root_certificates(roots).with_no_client_auth();
        let tls = TlsConnector::from(Arc::new(config));
        Self { address: center.console.unwrap(), tls, cookies: BTreeMap::new(), csrf: String::new() }
    }

    /// Somebody who has signed in.
    async fn signed_in(center: &TestCenter, name: &str) -> Self {
        let mut visitor = Self::new(center);
        let answer = visitor.sign_in(name, PASSWORD, "").await;
        assert_eq!((answer.status, answer.location()), (303, "/"), "{answer:?}");
        visitor.get("/account/password").await;
        visitor
    }

    async fn sign_in(&mut self, name: &str, password: &str, code: &str) -> Answer {
        self.get("/sign-in").await;
        self.post("/sign-in", &[("name", name), ("password", password), ("code", code)]).await
    }

    /// Sends bytes and reads the answer; cookies are kept as a browser keeps them.
    async fn send(&mut self, request: &str) -> Answer {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let mut stream = self.tls.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap();
        let mut bytes = Vec::new();
        // A server that has said what it has to say may close without ceremony, before it has read everything.
        let _ = stream.write_all(request.as_bytes()).await;
        let _ = stream.read_to_end(&mut bytes).await;
        let answer = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        let answer = Answer { status, head: head.to_owned(), body: body.to_owned() };
        for line in answer.head.lines().filter_map(|line| line.strip_prefix("set-cookie: ")) {
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            assert!(
                line.contains("Secure") && line.contains("HttpOnly") && line.contains("SameSite=Strict") && line.contains("Path=/"),
                "{line}"
            );
            if line.contains("Max-Age=0") {
                self.cookies.remove(name)
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned())
            };
        }
        if !answer.csrf().is_empty() {
            self.csrf = answer.csrf();
        }
        answer
    }

    fn cookie_header(&self) -> String {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if cookies.is_empty() { String::new() } else { format!("Cookie: {}\r\n", cookies.join("; ")) }
    }

    async fn get(&mut self, path: &str) -> Answer {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nAccept-Language: en\r\n{}Connection: close\r\n\r\n",
            self.address,
            self.cookie_header()
        );
        self.send(&request).await
    }

    /// A form of the last page.
    async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let csrf = self.csrf.clone();
        let fields: Vec<(&str, &str)> = fields.iter().copied().chain([("csrf", csrf.as_str())]).collect();
        let origin = format!("https://{}", self.address);
        self.post_raw(path, &fields, &[("Origin", &origin), ("Content-Type", "application/x-www-form-urlencoded")]).await
    }

    async fn post_raw(&mut self, path: &str, fields: &[(&str, &str)], headers: &[(&str, &str)]) -> Answer {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nAccept-Language: en\r\n{}{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.address,
            self.cookie_header(),
            body.len()
        );
        self.send(&request).await
    }
}
