//! The published keys over HTTPS: what is there, how it is bounded, and that a rotation needs no restart.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use matcher::{config::Config, receipt_keys, store::TimeMs};
use matcher_core::receipt::{Claims, KeySet};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::support::{TestCenter, capture};

const CARD: &str = "A10020001";

async fn connect(center: &TestCenter, address: SocketAddr) -> TlsStream<TcpStream> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(center.dir.authority_certificate()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = builder.with_root_certificates(roots).with_no_client_auth();
    let stream = TcpStream::connect(address).await.unwrap();
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap()
}

/// Head and body of the answer to a request.
async fn ask(center: &TestCenter, request: &str) -> (String, String) {
    let mut stream = connect(center, center.published).await;
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A server that has said what it has to say may close without ceremony.
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    (head.to_lowercase(), body.to_owned())
}

async fn get(center: &TestCenter, path: &str) -> (String, String) {
    ask(center, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")).await
}

async fn key_set(center: &TestCenter) -> KeySet {
    KeySet::from_jwks(&get(center, "/.well-known/jwks.json").await.1).unwrap()
}

#[tokio::test]
async fn the_published_keys_check_receipts_and_may_be_kept_a_while() {
    let (center, device) = TestCenter::live().await;
    center.enrol(CARD).await;
    let (head, body) = get(&center, "/.well-known/jwks.json").await;
    assert!(head.starts_with("http/1.1 200") && head.contains("content-type: application/jwk-set+json"), "{head}");
    assert!(head.contains("cache-control: public, max-age=300") && head.contains("x-content-type-options: nosniff"), "{head}");
    let keys = KeySet::from_jwks(&body).unwrap();
    let receipt = device.verify("T-1", &capture(CARD, 0.8)).await.unwrap().receipt;
    assert!(Claims::verified(&receipt, &keys).is_ok());
    let drills = KeySet::from_jwks(&get(&center, "/.well-known/drill-jwks.json").await.1).unwrap();
    assert!(Claims::verified(&receipt, &drills).is_err(), "drills have keys of their own");
}

#[tokio::test]
async fn nothing_else_is_served_and_nothing_is_written() {
    let center = TestCenter::init().await;
    assert!(get(&center, "/").await.0.starts_with("http/1.1 404"));
    assert!(get(&center, "/.well-known/../keys/receipt.pem").await.0.starts_with("http/1.1 404"));
    let post = "POST /.well-known/jwks.json HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
    assert!(ask(&center, post).await.0.starts_with("http/1.1 405"));
    let long = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(40_000));
    assert!(ask(&center, &long).await.0.starts_with("http/1.1 431"));
}

/// The file of keys with one of now in front, written so that its time changes.
fn rotate(center: &TestCenter, now: TimeMs) {
    let path = center.dir.receipt_key();
    let older = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{}{older}", *receipt_keys::new_key(now).unwrap())).unwrap();
}

#[tokio::test]
async fn a_rotated_key_is_published_at_once_and_signs_later() {
    let (center, device) = TestCenter::live().await;
    center.enrol(CARD).await;
    let before = key_set(&center).await;
    rotate(&center, matcher::surroundings::Surroundings::now_ms(&matcher::surroundings::System));
    // The file is looked at every two seconds; the test asks until it was.
    let after = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            let set = key_set(&center).await;
            if set != before {
                break set;
            }
        }
    });
    let after = after.await.unwrap();
    assert_eq!(after.ids().count(), 2);
    let receipt = device.verify("T-1", &capture(CARD, 0.8)).await.unwrap().receipt;
    assert!(Claims::verified(&receipt, &before).is_ok(), "the older key signs until checkers know the new one");
    // An hour passes while the center is down: the new key was made long enough ago.
    let folder = center.stop().await;
    let ahead = |config: &mut Config| {
        let text = toml::toml! {
            issuer = "countersign-center"
            drill_issuer = "countersign-drill"
            audience = "settlement"
            drill = false
            publish_ahead_minutes = 0
        };
        config.receipts = text.try_into().unwrap();
    };
    let center = TestCenter::reopen(folder, ahead).await;
    let device = device.connect(&center.address);
    let receipt = device.verify("T-2", &capture(CARD, 0.8)).await.unwrap().receipt;
    assert!(Claims::verified(&receipt, &before).is_err(), "the new key signs");
    assert!(Claims::verified(&receipt, &after).is_ok(), "and was published before");
    assert_eq!(key_set(&center).await, after, "the older one is published until its receipts have ended");
}

#[tokio::test]
async fn the_address_stands_in_a_file_while_the_center_serves() {
    let center = TestCenter::init().await;
    let file = center.dir.published_address();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("https://{}\n", center.published));
    let _folder = center.stop().await;
    assert!(!file.exists());
}
