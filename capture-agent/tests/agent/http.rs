//! The local API, through its port.

use std::{fs, sync::Arc, time::Duration};

use capture_agent::{config, serve};
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};

use crate::{
    center::{Center, Fault},
    eyes::ONE_PERSON,
    folder::Folder,
    verify::agent,
};

/// A serving agent, and a client that has its token.
pub(crate) struct Api {
    pub(crate) address: String,
    pub(crate) token: String,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Api {
    pub(crate) async fn start(folder: &Folder, center: &str, more: &str) -> Self {
        let verifier = Arc::new(agent(folder, center, more));
        let (dir, config) = (folder.path().to_owned(), config::load(folder.path()).unwrap());
        let (stop, stopped) = watch::channel(false);
        let (tell, told) = oneshot::channel();
        let task = tokio::spawn(async move {
            serve::serve(&dir, &config, verifier, stopped, |address| {
                tell.send(address).unwrap();
                Ok(())
            })
            .await
            .unwrap();
        });
        let address = told.await.unwrap().to_string();
        assert_eq!(fs::read_to_string(folder.path().join("api.addr")).unwrap(), address);
        let token = fs::read_to_string(folder.path().join("api.token")).unwrap();
        Self { address, token, stop, task }
    }

    pub(crate) async fn stop(self) {
        self.stop.send(true).unwrap();
        self.task.await.unwrap();
    }

    /// Posts a body to a path.
    pub(crate) async fn to(&self, path: &str, body: Value) -> (u16, Value) {
        let request = ureq::http::Request::post(format!("http://{}{path}", self.address))
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {}", self.token));
        call(request.body(body.to_string()).unwrap()).await
    }

    async fn post(&self, body: Value) -> (u16, Value) {
        self.send("application/json", body.to_string(), &[]).await
    }

    async fn send(&self, content_type: &'static str, body: String, headers: &[(&'static str, &'static str)]) -> (u16, Value) {
        let mut request =
            ureq::http::Request::post(format!("http://{}/v1/verifications", self.address)).header("content-type", content_type);
        if !headers.iter().any(|(name, _)| *name == "authorization") {
            request = request.header("authorization", format!("Bearer {}", self.token));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        call(request.body(body).unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        let request =
            ureq::http::Request::get(format!("http://{}{path}", self.address)).header("authorization", format!("Bearer {}", self.token));
        call(request.body(String::new()).unwrap()).await
    }
}

pub(crate) async fn call(request: ureq::http::Request<String>) -> (u16, Value) {
    let work = move || {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut response = agent.run(request).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        (response.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text)))
    };
    tokio::task::spawn_blocking(work).await.unwrap()
}

fn request(transaction: &str) -> Value {
    json!({ "transaction": transaction, "scene": "settlement", "card": "100" })
}

#[track_caller]
pub(crate) fn check(answer: &(u16, Value), status: u16, code: &str) {
    assert_eq!((answer.0, answer.1["error"]["code"].as_str()), (status, Some(code)), "{}", answer.1);
    for field in ["message", "message_zh", "action", "action_zh"] {
        assert!(answer.1["error"][field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {}", answer.1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_till_gets_its_answer_and_the_same_again() {
    let mut center = Center::new();
    let folder = center.folder();
    let api = Api::start(&folder, &center.start(&folder), "").await;
    folder.show(ONE_PERSON);
    let (status, answer) = api.post(request("T1")).await;
    assert_eq!(status, 200, "{answer}");
    let fields = [
        "transaction",
        "attempt",
        "decision",
        "reasons",
        "disposition",
        "score",
        "match_threshold",
        "non_match_threshold",
        "policy_version",
        "model_id",
        "verification_id",
        "decided_at",
        "repeated_answer",
        "provisional",
        "receipt",
        "receipt_number",
        "receipt_short",
        "degraded",
        "elapsed_ms",
    ];
    assert!(fields.iter().all(|field| answer.get(field).is_some()) && answer.as_object().unwrap().len() == fields.len(), "{answer}");
    assert_eq!((&answer["decision"], &answer["repeated_answer"]), (&json!("match"), &json!(false)));
    let again = api.post(request("T1")).await.1;
    assert_eq!(again["repeated_answer"], true);
    for answer in [&answer, &again] {
        let receipt = (&answer["receipt"], &answer["receipt_number"]);
        assert_eq!(receipt, (&json!("header.claims.signature"), &json!("28T5CY4TQKFF00938NKRG0")), "passed on as it came");
    }
    let mut other = request("T1");
    other["card"] = json!("101");
    check(&api.post(other).await, 409, "transaction_conflict");
    let (status, health) = api.get("/v1/health").await;
    assert_eq!((status, &health["device"], &health["camera"]), (200, &json!("counter-1"), &json!("ready")), "{health}");
    api.stop().await;
    assert!(!folder.path().join("api.addr").exists() && !folder.path().join("api.token").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_without_the_token_from_pages_or_by_another_name_are_refused() {
    let mut center = Center::new();
    let folder = center.folder();
    let api = Api::start(&folder, &center.start(&folder), "").await;
    let body = || request("T1").to_string();
    check(&api.send("application/json", body(), &[("authorization", "Bearer no")]).await, 401, "bad_token");
    check(&api.send("application/json", body(), &[("origin", "http://page.example")]).await, 403, "foreign_origin");
    check(&api.send("application/json", body(), &[("host", "page.example")]).await, 403, "foreign_host");
    assert!(center.records.lock().unwrap().received.is_empty());
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_are_named() {
    let mut center = Center::new();
    let folder = center.folder();
    let api = Api::start(&folder, &center.start(&folder), "").await;
    check(&api.send("text/plain", request("T1").to_string(), &[]).await, 415, "not_json");
    check(&api.send("application/json", "{".into(), &[]).await, 400, "invalid_request");
    check(&api.send("application/json", " ".repeat(17 * 1024), &[]).await, 413, "body_too_large");
    let answer = api.post(json!({ "transaction": "T1", "scene": "settlement", "card": "100", "colour": 1 })).await;
    check(&answer, 400, "invalid_request");
    assert!(answer.1["error"]["message"].as_str().unwrap().contains("unknown field `colour`"));
    check(&api.get("/v1/other").await, 404, "not_found");
    check(&api.get("/v1/verifications").await, 405, "method_not_allowed");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_center_is_said_and_the_request_may_be_repeated() {
    let mut center = Center::new();
    let folder = center.folder();
    let address = center.start(&folder);
    center.stop().await;
    let api = Api::start(&folder, &address, "").await;
    folder.show(ONE_PERSON);
    check(&api.post(request("T1")).await, 503, "center_unreachable");
    assert_eq!(api.get("/v1/health").await.1["unanswered_envelopes"], 1);
    center.start(&folder);
    assert_eq!(api.post(request("T1")).await.1["decision"], "match");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn time_is_bounded_and_a_stop_waits_for_what_runs() {
    let mut center = Center::new();
    let folder = center.folder();
    let address = center.start(&folder);
    let api = Api::start(&folder, &address, "[api]\nrequest_timeout_ms = 1000\n").await;
    folder.show(ONE_PERSON);
    center.next(&[Fault::Silent(Duration::from_secs(60)); 3]);
    let (answer, ()) = tokio::join!(api.post(request("T1")), async {
        while center.records.lock().unwrap().received.is_empty() {
            tokio::task::yield_now().await;
        }
        api.stop.send(true).unwrap();
    });
    check(&answer, 504, "timed_out");
    api.task.await.unwrap();
}
