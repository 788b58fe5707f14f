//! Telling the center's own systems, to a real server that fails, delays, leads elsewhere and forgets to answer.

mod tls;

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use matcher::{
    app::webhook::{Patience, Teller, send::Receiver, signature::Secret},
    store::{
        RecordId, TimeMs,
        webhook::{Replay, ToTellIn},
    },
    surroundings::{Surroundings, System},
};
use matcher_core::evidence::{CaseEvent, CaseStep, CaseVerdict};

use crate::{cases::Town, support::TestCenter};

const SECRET: [u8; 32] = [7; 32];

/// What the server does with a message.
#[derive(Clone, Copy)]
enum Does {
    Takes,
    Fails,
    Sleeps,
    LeadsElsewhere,
    IsGone,
}

#[derive(Clone, Default)]
struct Desk {
    does: Arc<Mutex<VecDeque<Does>>>,
    taken: Arc<Mutex<Vec<(String, serde_json::Value)>>>,
    asked: Arc<AtomicUsize>,
    elsewhere: Arc<AtomicUsize>,
}

impl Desk {
    async fn open() -> (Self, SocketAddr) {
        let desk = Self::default();
        let elsewhere = Arc::clone(&desk.elsewhere);
        let away = move || async move {
            elsewhere.fetch_add(1, Ordering::SeqCst);
            StatusCode::OK
        };
        let router = Router::new().route("/told", post(told)).route("/elsewhere", post(away)).with_state(desk.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, router));
        (desk, address)
    }

    fn will(&self, does: &[Does]) {
        self.does.lock().unwrap().extend(does);
    }

    fn kinds(&self) -> Vec<String> {
        self.taken.lock().unwrap().iter().map(|(_, body)| body["type"].as_str().unwrap().to_owned()).collect()
    }
}

async fn serve(listener: tokio::net::TcpListener, router: Router) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let service = hyper_util::service::TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let stream = hyper_util::rt::TokioIo::new(stream);
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await;
        });
    }
}

async fn told(State(desk): State<Desk>, headers: HeaderMap, body: String) -> Response {
    desk.asked.fetch_add(1, Ordering::SeqCst);
    let does = desk.does.lock().unwrap().pop_front().unwrap_or(Does::Takes);
    match does {
        Does::Fails => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Does::LeadsElsewhere => return (StatusCode::TEMPORARY_REDIRECT, [("location", "/elsewhere")]).into_response(),
        Does::IsGone => return StatusCode::GONE.into_response(),
        Does::Sleeps => tokio::time::sleep(Duration::from_secs(30)).await,
        Does::Takes => {}
    }
    let header = |name| headers.get(name).unwrap().to_str().unwrap().to_owned();
    let (id, at) = (header("webhook-id"), header("webhook-timestamp").parse::<i64>().unwrap());
    let expected = Secret::read(&Secret::written(SECRET)).unwrap().sign(&id, at, &body);
    assert_eq!(header("webhook-signature"), expected);
    desk.taken.lock().unwrap().push((id, serde_json::from_str(&body).unwrap()));
    StatusCode::NO_CONTENT.into_response()
}

/// A clock that is put on.
#[derive(Clone)]
struct Clock(Arc<AtomicI64>);

impl Surroundings for Clock {
    fn now_ms(&self) -> TimeMs {
        self.0.load(Ordering::SeqCst)
    }

    fn random_id(&self) -> [u8; 16] {
        System.random_id()
    }
}

impl Clock {
    fn pass(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000, Ordering::SeqCst);
    }
}

fn teller(center: &TestCenter, address: SocketAddr, clock: &Clock) -> Teller {
    let secret = Secret::read(&Secret::written(SECRET)).unwrap();
    let receiver = Receiver::new(&format!("http://{address}/told"), None, secret, Duration::from_millis(400)).unwrap();
    Teller {
        store: Arc::clone(&center.center.store),
        surroundings: Arc::new(clock.clone()),
        receiver: Arc::new(receiver),
        patience: Patience { tries_max: 4, first: Duration::from_secs(1), longest: Duration::from_secs(8) },
    }
}

/// A center with a case that ended confirmed.
async fn confirmed() -> (Town, RecordId, Clock) {
    let mut town = Town::with(TestCenter::init().await).await;
    town.shared_card("A10020001").await;
    town.run().await;
    let id = town.cases().await[0].case.id;
    steps(&town, id, &[("anna", CaseEvent::Claimed), ("anna", CaseEvent::Decided(CaseVerdict::Confirmed, "two".into()))]).await;
    steps(&town, id, &[("ben", CaseEvent::Reviewed(CaseVerdict::Confirmed, "two".into())), ("ben", CaseEvent::Closed)]).await;
    (town, id, Clock(Arc::new(AtomicI64::new(System.now_ms() + 1_000))))
}

async fn steps(town: &Town, id: RecordId, events: &[(&str, CaseEvent)]) {
    let store = &town.center.center.store;
    for (by, event) in events {
        let before = store.case(id).await.unwrap().unwrap().steps.len();
        let step = CaseStep { at: System.now_ms(), by: (*by).into(), event: event.clone() };
        assert!(store.add_case_step(id, before, step).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_told_again_in_order_and_nowhere_else() {
    let (town, id, clock) = confirmed().await;
    steps(&town, id, &[("susan", CaseEvent::Reopened("an appeal".into()))]).await;
    let (desk, address) = Desk::open().await;
    desk.will(&[Does::Fails, Does::LeadsElsewhere, Does::Sleeps]);
    let teller = teller(&town.center, address, &clock);
    for expected in ["answered 503", "answered 307", "took longer"] {
        assert_eq!(teller.once().await.unwrap(), 0);
        let waiting = town.center.center.store.to_tell(ToTellIn::Waiting, 0, 9).await.unwrap();
        assert!(waiting.len() == 2 && waiting.iter().any(|event| event.said.contains(expected)), "{waiting:?}");
        assert_eq!(teller.once().await.unwrap(), 0, "not before its time");
        clock.pass(17);
    }
    assert_eq!((desk.asked.load(Ordering::SeqCst), desk.elsewhere.load(Ordering::SeqCst)), (3, 0));
    assert_eq!(teller.once().await.unwrap(), 1);
    assert_eq!(teller.once().await.unwrap(), 1);
    assert_eq!(teller.once().await.unwrap(), 0);
    assert_eq!(desk.kinds(), ["case.confirmed", "case.withdrawn"]);
    let taken = desk.taken.lock().unwrap().clone();
    assert_eq!(taken[0].1["data"]["case"].as_str(), Some(id.to_string().as_str()));
    let said = taken[0].1.to_string();
    assert!(!said.contains("A1002") && !said.contains('*'), "{said}");
    assert_ne!(taken[0].0, taken[1].0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_put_aside_is_seen_and_told_when_somebody_asks() {
    let (town, _, clock) = confirmed().await;
    let (desk, address) = Desk::open().await;
    let teller = teller(&town.center, address, &clock);
    desk.will(&[Does::Fails; 4]);
    for _ in 0..8 {
        assert_eq!(teller.once().await.unwrap(), 0);
        clock.pass(17);
    }
    assert_eq!(desk.asked.load(Ordering::SeqCst), 4, "no more than so many tries");
    let store = &town.center.center.store;
    assert_eq!(store.to_tell(ToTellIn::Dead, 0, 9).await.unwrap()[0].tries, 4);
    assert_eq!(store.tell_again(Replay::Dead, "adam", clock.now_ms()).await.unwrap(), 1);
    assert_eq!(teller.once().await.unwrap(), 1);
    desk.will(&[Does::IsGone]);
    store.tell_again(Replay::Since(0), "adam", clock.now_ms()).await.unwrap();
    assert_eq!(teller.once().await.unwrap(), 0);
    assert_eq!(store.to_tell(ToTellIn::Dead, 0, 9).await.unwrap().len(), 1, "a receiver that is gone is not asked again");
    assert_eq!(town.center.count("SELECT count(*) FROM audit_entry WHERE action = 'webhook_replayed'"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_while_it_tells_loses_nothing_and_several_tell_once() {
    let (town, _, clock) = confirmed().await;
    let (desk, address) = Desk::open().await;
    desk.will(&[Does::Sleeps]);
    let dying = teller(&town.center, address, &clock);
    let (other, slow) = (dying.clone(), tokio::spawn(async move { dying.once().await }));
    while desk.asked.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    slow.abort();
    assert_eq!(other.once().await.unwrap(), 0, "it is another's for now");
    clock.pass(60);
    let (second, third) = (other.clone(), other.clone());
    let done = tokio::join!(other.once(), second.once(), third.once());
    assert_eq!(done.0.unwrap() + done.1.unwrap() + done.2.unwrap(), 1);
    assert_eq!(desk.taken.lock().unwrap().len(), 1);
}
