//! The same over HTTPS: a server that its authority has certified is told; one that it has not is told nothing, and what was to be told
//! waits for the right one, in its order.

use std::sync::{Arc, atomic::Ordering};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::{net::TcpListener, sync::watch};
use tokio_rustls::TlsAcceptor;

use super::*;

/// An authority of nobody else's.
struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self { certificate: params.self_signed(&key).unwrap().pem(), issuer: Issuer::new(params, key) }
    }

    /// A server's certificate of its, for a name or an address.
    fn server(&self, name: &str) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = builder.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// A desk behind TLS, whose certificate can be changed, and how many connections came to nothing.
struct Guarded {
    desk: Desk,
    address: SocketAddr,
    shows: Arc<Mutex<TlsAcceptor>>,
    broken: watch::Receiver<usize>,
}

impl Guarded {
    async fn open(shows: TlsAcceptor) -> Self {
        let desk = Desk::default();
        let router = Router::new().route("/told", post(told)).with_state(desk.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (shows, (counts, broken)) = (Arc::new(Mutex::new(shows)), watch::channel(0));
        let acceptor = Arc::clone(&shows);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let acceptor = acceptor.lock().unwrap().clone();
                let (service, counts) = (hyper_util::service::TowerToHyperService::new(router.clone()), counts.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else {
                        counts.send_modify(|broken| *broken += 1);
                        return;
                    };
                    let stream = hyper_util::rt::TokioIo::new(stream);
                    let _ = hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await;
                });
            }
        });
        Self { desk, address, shows, broken }
    }

    fn show(&self, certificate: TlsAcceptor) {
        *self.shows.lock().unwrap() = certificate;
    }

    fn teller(&self, center: &TestCenter, clock: &Clock, authority: &Authority) -> Teller {
        let secret = Secret::read(&Secret::written(SECRET)).unwrap();
        let url = format!("https://{}/told", self.address);
        let receiver = Receiver::new(&url, Some(authority.certificate.as_bytes()), secret, Duration::from_secs(5)).unwrap();
        Teller { receiver: Arc::new(receiver), ..teller(center, self.address, clock) }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_the_authority_has_certified_is_told_and_nobody_else() {
    let (town, id, clock) = confirmed().await;
    steps(&town, id, &[("susan", CaseEvent::Reopened("an appeal".into()))]).await;
    let (ours, theirs) = (Authority::new(), Authority::new());
    // The right name of another authority; then the right authority and another's name; then nobody's TLS at all.
    let guarded = Guarded::open(theirs.server("127.0.0.1")).await;
    let teller = guarded.teller(&town.center, &clock, &ours);
    for wrong in [theirs.server("127.0.0.1"), ours.server("fund.example")] {
        guarded.show(wrong);
        assert_eq!(teller.once().await.unwrap(), 0);
        let waiting = town.center.center.store.to_tell(ToTellIn::Waiting, 0, 9).await.unwrap();
        let said: Vec<&str> = waiting.iter().map(|event| event.said.as_str()).filter(|said| !said.is_empty()).collect();
        assert!(waiting.len() == 2 && said.len() == 1 && said[0].contains("certificate was not taken"), "{said:?}");
        assert_eq!(teller.once().await.unwrap(), 0, "not before its time");
        clock.pass(17);
    }
    // The sender hears of it first.
    let mut broken = guarded.broken.clone();
    let both = tokio::time::timeout(Duration::from_secs(30), broken.wait_for(|broken| *broken == 2)).await.is_ok();
    assert!(both && guarded.desk.asked.load(Ordering::SeqCst) == 0, "no byte of a message left");
    guarded.show(ours.server("127.0.0.1"));
    assert_eq!((teller.once().await.unwrap(), teller.once().await.unwrap(), teller.once().await.unwrap()), (1, 1, 0));
    assert_eq!(guarded.desk.kinds(), ["case.confirmed", "case.withdrawn"], "nothing lost, in the order of the case");
    assert_eq!(*guarded.broken.borrow(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_changed_in_between_loses_and_doubles_nothing() {
    let (town, id, clock) = confirmed().await;
    let ours = Authority::new();
    let guarded = Guarded::open(ours.server("127.0.0.1")).await;
    let teller = guarded.teller(&town.center, &clock, &ours);
    assert_eq!(teller.once().await.unwrap(), 1);
    // Case by case: what was withdrawn is told after what confirmed it, though the server was another's in between.
    steps(&town, id, &[("susan", CaseEvent::Reopened("an appeal".into()))]).await;
    guarded.show(Authority::new().server("127.0.0.1"));
    assert_eq!(teller.once().await.unwrap(), 0);
    clock.pass(17);
    guarded.show(ours.server("127.0.0.1"));
    guarded.desk.will(&[Does::Fails]);
    assert_eq!(teller.once().await.unwrap(), 0);
    clock.pass(17);
    assert_eq!((teller.once().await.unwrap(), teller.once().await.unwrap()), (1, 0));
    assert_eq!(guarded.desk.kinds(), ["case.confirmed", "case.withdrawn"]);
    assert!(town.center.center.store.to_tell(ToTellIn::Waiting, 0, 9).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_encryption_is_told_nothing() {
    let (town, _, clock) = confirmed().await;
    let (desk, address) = Desk::open().await;
    let ours = Authority::new();
    let secret = Secret::read(&Secret::written(SECRET)).unwrap();
    let url = format!("https://{address}/told");
    let receiver = Receiver::new(&url, Some(ours.certificate.as_bytes()), secret, Duration::from_secs(5)).unwrap();
    let teller = Teller { receiver: Arc::new(receiver), ..teller(&town.center, address, &clock) };
    assert_eq!(teller.once().await.unwrap(), 0);
    assert_eq!(desk.asked.load(Ordering::SeqCst), 0);
    assert_eq!(town.center.center.store.to_tell(ToTellIn::Waiting, 0, 9).await.unwrap().len(), 1);
}
