//! Transactions through the local API: every way, settlements, events, keys, and the description held against all of it.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    time::Duration,
};

use capture_agent::{keys, problem, web::Operation};
use proto::v1::{self, capture::Outcome};
use serde_json::{Value, json};

use crate::{
    center::Center,
    eyes::ONE_PERSON,
    folder::Folder,
    http::{Api, call, check},
};

fn opening(transaction: &str) -> Value {
    json!({ "transaction": transaction, "scene": "settlement", "card": "100", "operator": "0417" })
}

struct Counter {
    center: Center,
    folder: Folder,
    address: String,
    api: Api,
}

impl Counter {
    async fn new() -> Self {
        Self::with("").await
    }

    async fn with(more: &str) -> Self {
        let mut center = Center::new();
        let folder = center.folder();
        let address = center.start(&folder);
        let api = Api::start(&folder, &address, more).await;
        folder.show(ONE_PERSON);
        Self { center, folder, address, api }
    }

    async fn to(&self, path: &str, body: Value) -> (u16, Value) {
        self.api.to(&format!("/v1/transactions{path}"), body).await
    }

    async fn open(&self, transaction: &str) {
        let (status, view) = self.to("", opening(transaction)).await;
        assert_eq!((status, &view["state"]), (201, &json!("open")), "{view}");
    }

    async fn show(&self, transaction: &str) -> Value {
        self.api.get(&format!("/v1/transactions/{transaction}")).await.1
    }

    fn captures(&self) -> Vec<v1::Capture> {
        self.center.records.lock().unwrap().captures.clone()
    }

    /// Puts a document on the reader whose chip's photo shows one face.
    fn lay(folder: &Folder, kind: &str, number: &str) {
        let reader = folder.path().join("reader");
        fs::create_dir_all(&reader).unwrap();
        let mut ppm = b"P6\n320 240\n255\n".to_vec();
        ppm.extend(std::iter::repeat_n(ONE_PERSON, 320 * 240).flatten());
        fs::write(reader.join("photo.ppm"), ppm).unwrap();
        let text = format!("kind = \"{kind}\"\nnumber = \"{number}\"\nname = \"n\"\nphoto = \"photo.ppm\"\n");
        fs::write(reader.join("document.toml"), text).unwrap();
    }

    async fn with_reader() -> Self {
        let mut center = Center::new();
        let folder = center.folder();
        let address = center.start(&folder);
        let reader = format!("[reader]\nkind = \"simulator\"\nfolder = '{}'\n", folder.path().join("reader").display());
        let api = Api::start(&folder, &address, &reader).await;
        folder.show(ONE_PERSON);
        Self { center, folder, address, api }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_goes_from_opening_to_refund() {
    let counter = Counter::new().await;
    counter.open("T1").await;
    assert_eq!(counter.to("", opening("T1")).await.0, 200, "the same again finds it");
    let mut other = opening("T1");
    other["card"] = json!("101");
    check(&counter.to("", other).await, 409, "transaction_conflict");
    let (status, answer) = counter.to("/T1/attempts", json!({ "attempt": 1 })).await;
    assert_eq!((status, &answer["decision"], &answer["repeated_answer"]), (200, &json!("match"), &json!(false)), "{answer}");
    assert_eq!(counter.to("/T1/attempts", json!({ "attempt": 1 })).await.1["repeated_answer"], true);
    check(&counter.to("/T1/attempts", json!({})).await, 409, "already_settles");
    assert_eq!(counter.captures().len(), 1);
    let (status, view) = counter.to("/T1/confirm", json!({ "settlement": "S-1", "amount_fen": 1250 })).await;
    assert_eq!((status, &view["state"], &view["settlements"][0]["state"]), (200, &json!("confirmed"), &json!("done")), "{view}");
    check(&counter.to("/T1/cancel", json!({})).await, 409, "transaction_over");
    let again = counter.to("/T1/confirm", json!({ "settlement": "S-1", "amount_fen": 1250 })).await.1;
    assert_eq!(again["settlements"].as_array().unwrap().len(), 1, "told once");
    let (status, view) = counter.to("/T1/reverse", json!({})).await;
    assert_eq!((status, &view["state"], &view["settlements"][1]["kind"]), (200, &json!("reversed"), &json!("reverse")), "{view}");
    let records = counter.center.records.lock().unwrap();
    assert_eq!((records.confirmed.len(), records.reversed.len()), (1, 1));
    assert_eq!((records.confirmed[0].amount_fen, records.confirmed[0].receipt_number.as_str()), (1250, "28T5CY4TQKFF00938NKRG0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_way_is_open_from_the_start_and_asks_no_reason() {
    let counter = Counter::new().await;
    let view = counter.to("", opening("T1")).await.1;
    assert_eq!(view["ways"], json!(["face", "chip", "document_check", "other_way"]));
    let (status, answer) = counter.to("/T1/other-way", json!({})).await;
    assert_eq!((status, &answer["disposition"], &answer["reasons"]), (200, &json!("settle"), &json!(["other_way"])), "{answer}");
    assert!(matches!(counter.captures()[0].outcome, Some(Outcome::OtherWay(v1::OtherWay {}))));
    let refused = counter.to("/T1/other-way", json!({ "reason": "tired" })).await;
    check(&refused, 400, "invalid_request");
    assert_eq!(counter.show("T1").await["attempts"][0]["way"], "other_way");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_sees_is_recorded_by_name_and_a_hold_is_not_confirmed() {
    let counter = Counter::new().await;
    let mut nobody = opening("T1");
    nobody["operator"] = json!("");
    counter.to("", nobody).await;
    let body = json!({ "same_person": false, "document_kind": "resident_identity" });
    check(&counter.to("/T1/document-checks", body.clone()).await, 422, "operator_missing");
    let mut named = body;
    named["operator"] = json!("0418");
    let (status, answer) = counter.to("/T1/document-checks", named).await;
    assert_eq!((status, &answer["disposition"]), (200, &json!("hold")), "{answer}");
    let captures = counter.captures();
    let Some(Outcome::DocumentCheck(said)) = &captures[0].outcome else { panic!("{captures:?}") };
    assert_eq!((said.same_person, captures[0].operator.as_str()), (false, "0418"));
    check(&counter.to("/T1/confirm", json!({ "settlement": "S-1", "amount_fen": 1 })).await, 409, "not_to_be_settled");
    assert!(counter.center.records.lock().unwrap().confirmed.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn faces_are_capped_and_a_document_and_the_other_way_stay_open() {
    let counter = Counter::new().await;
    let mut other = opening("T1");
    other["card"] = json!("other");
    counter.to("", other).await;
    for number in 1..=3 {
        assert_eq!(counter.to("/T1/attempts", json!({ "attempt": number })).await.1["decision"], "non_match");
    }
    check(&counter.to("/T1/attempts", json!({})).await, 422, "attempts_spent");
    check(&counter.to("/T1/attempts", json!({ "attempt": 9 })).await, 409, "attempt_out_of_order");
    let same = json!({ "same_person": true, "document_kind": "passport" });
    assert_eq!(counter.to("/T1/document-checks", same).await.1["disposition"], "settle");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chip_is_read_compared_and_kept_nowhere() {
    let counter = Counter::with_reader().await;
    counter.open("T1").await;
    check(&counter.to("/T1/chip", json!({})).await, 422, "document_unreadable");
    Counter::lay(&counter.folder, "social_security_card", "99999");
    check(&counter.to("/T1/chip", json!({})).await, 409, "document_of_another");
    assert_eq!(counter.show("T1").await["next_attempt"], 1, "what came to nothing frees its number");
    Counter::lay(&counter.folder, "resident_identity", "330203194910010027");
    let (status, answer) = counter.to("/T1/chip", json!({})).await;
    assert_eq!((status, &answer["decision"]), (200, &json!("match")), "{answer}");
    let chip = counter.captures()[0].chip.clone().unwrap();
    assert_eq!((chip.document_kind(), chip.template.unwrap().model_id.as_str()), (v1::DocumentKind::ResidentIdentity, "colour@1"));
    let counter = Counter::new().await;
    counter.open("T1").await;
    check(&counter.to("/T1/chip", json!({})).await, 503, "reader_absent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_stands_in_for_one_holder_with_their_own_document() {
    let counter = Counter::with_reader().await;
    counter.open("T1").await;
    let proxy = |number: &str| json!({ "document_kind": "passport", "document_number": number, "name": "孙浩" });
    let (status, view) = counter.to("/T1/proxy", proxy("E12345678")).await;
    assert_eq!((status, &view["proxy"]), (200, &json!(true)));
    check(&counter.to("/T1/proxy", proxy("E87654321")).await, 409, "proxy_conflict");
    Counter::lay(&counter.folder, "passport", "E87654321");
    check(&counter.to("/T1/chip", json!({})).await, 409, "document_of_another");
    Counter::lay(&counter.folder, "passport", "E12345678");
    assert_eq!(counter.to("/T1/chip", json!({})).await.0, 200);
    let captures = counter.captures();
    let named = captures[0].proxy.clone().unwrap();
    assert_eq!((named.document_number.as_str(), named.name.as_str()), ("E12345678", "孙浩"));
    for file in ["till.db", "till.db-wal", "state.db", "state.db-wal"] {
        let bytes = fs::read(counter.folder.path().join(file)).unwrap_or_default();
        for secret in ["E12345678", "孙浩"] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret} in {file}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settlements_are_told_when_the_line_is_back_and_refusals_are_shown() {
    let mut counter = Counter::new().await;
    for transaction in ["T1", "T2"] {
        counter.open(transaction).await;
        counter.to(&format!("/{transaction}/attempts"), json!({})).await;
    }
    counter.center.stop().await;
    let (status, view) = counter.to("/T1/confirm", json!({ "settlement": "S-1", "amount_fen": 5 })).await;
    assert_eq!((status, &view["settlements"][0]["state"]), (200, &json!("queued")), "{view}");
    assert_eq!(counter.api.get("/v1/health").await.1["untold_settlements"], 1);
    counter.center.start(&counter.folder);
    let (_, refused) = counter.to("/T2/confirm", json!({ "settlement": "S-used", "amount_fen": 5 })).await;
    let first = counter.show("T1").await;
    assert_eq!(first["settlements"][0]["state"], "done", "in order: {first}");
    assert_eq!(
        (&refused["settlements"][0]["state"], &refused["settlements"][0]["refusal"]),
        (&json!("refused"), &json!("used")),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_loses_no_transaction_and_gives_no_further_attempts() {
    let counter = Counter::new().await;
    let mut other = opening("T1");
    other["card"] = json!("other");
    counter.to("", other.clone()).await;
    for _ in 0..2 {
        counter.to("/T1/attempts", json!({})).await;
    }
    counter.open("T2").await;
    counter.to("/T2/other-way", json!({})).await;
    counter.to("/T2/confirm", json!({ "settlement": "S-1", "amount_fen": 1 })).await;
    let Counter { center, folder, address, api } = counter;
    api.stop().await;
    let api = Api::start(&folder, &address, "").await;
    folder.show(ONE_PERSON);
    let counter = Counter { center, folder, address, api };
    let before = counter.show("T1").await;
    assert_eq!((before["attempts"].as_array().unwrap().len(), &before["next_attempt"]), (2, &json!(3)), "{before}");
    check(&counter.to("/T1/attempts", json!({})).await, 409, "transaction_not_open");
    assert_eq!(counter.to("", other).await.0, 200);
    assert_eq!(counter.to("/T1/attempts", json!({ "attempt": 2 })).await.1["repeated_answer"], true);
    counter.to("/T1/attempts", json!({})).await;
    check(&counter.to("/T1/attempts", json!({})).await, 422, "attempts_spent");
    assert_eq!(counter.captures().iter().filter(|capture| matches!(capture.outcome, Some(Outcome::Sample(_)))).count(), 3);
    let (status, view) = counter.to("/T2/reverse", json!({})).await;
    assert_eq!((status, &view["state"]), (200, &json!("reversed")), "a refund needs no card: {view}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shift_change_is_recorded_in_what_is_open() {
    let counter = Counter::new().await;
    counter.open("T1").await;
    let (status, said) = counter.api.to("/v1/operators/current", json!({ "operator": "0555" })).await;
    assert_eq!((status, &said["recorded_in"]), (200, &json!(1)));
    counter.to("/T1/attempts", json!({})).await;
    assert_eq!((counter.captures()[0].operator.as_str(), &counter.show("T1").await["operator_changes"]), ("0555", &json!(1)));
    let between = json!({ "transaction": "T2", "scene": "settlement", "card": "100" });
    counter.to("", between).await;
    counter.to("/T2/other-way", json!({})).await;
    assert_eq!(counter.captures()[1].operator, "0555");
}

/// Events of a stream from its start until it ends or a bound of lines.
fn watch(address: &str, token: &str, transaction: &str, last: u64) -> Vec<(u64, String, Value)> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(
        stream,
        "GET /v1/transactions/{transaction}/events HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nLast-Event-ID: {last}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let (mut events, mut id, mut kind) = (Vec::new(), 0, String::new());
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        if let Some(text) = line.strip_prefix("id: ") {
            id = text.parse().unwrap();
        } else if let Some(text) = line.strip_prefix("event: ") {
            text.clone_into(&mut kind);
        } else if let Some(text) = line.strip_prefix("data: ") {
            events.push((id, kind.clone(), serde_json::from_str(text).unwrap()));
        }
    }
    events
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_told_as_it_happens_and_again_from_where_it_was_lost() {
    let counter = Counter::new().await;
    counter.open("T1").await;
    let (address, token) = (counter.api.address.clone(), counter.api.token.clone());
    let watching = {
        let (address, token) = (address.clone(), token.clone());
        tokio::task::spawn_blocking(move || watch(&address, &token, "T1", 0))
    };
    counter.to("/T1/attempts", json!({})).await;
    counter.to("/T1/confirm", json!({ "settlement": "S-1", "amount_fen": 1 })).await;
    counter.to("/T1/reverse", json!({})).await;
    let events = watching.await.unwrap();
    let ids: Vec<u64> = events.iter().map(|(id, ..)| *id).collect();
    assert_eq!(ids, (1..=events.len() as u64).collect::<Vec<_>>(), "each once, in order: {events:?}");
    let of = |kind: &str| events.iter().filter(|(_, is, _)| is == kind).map(|(.., data)| data.clone()).collect::<Vec<_>>();
    let states: Vec<String> = of("state").iter().map(|data| data["state"].as_str().unwrap().to_owned()).collect();
    assert_eq!(states, ["open", "capturing", "answered", "confirmed", "reversed"]);
    assert_eq!(of("verdict")[0]["disposition"], "settle");
    assert!(of("instruction").iter().all(|data| data["text_zh"].is_string() && data["text_en"].is_string()));
    let rest = tokio::task::spawn_blocking(move || watch(&address, &token, "T1", 2)).await.unwrap();
    assert_eq!(rest, events[2..]);
    check(&counter.api.get("/v1/transactions/T9/events").await, 404, "transaction_unknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_call_with_keys_of_their_own_and_pages_from_their_origins() {
    let counter = Counter::new().await;
    let (dir, page) = (counter.folder.path().to_owned(), "http://his.example:8080");
    let key = keys::add(&dir, "his", &[page.to_owned()], "2026-11-22T00:00:00Z").unwrap();
    let till = keys::add(&dir, "till", &[], "2026-11-22T00:00:00Z").unwrap();
    let ask = async |method: &str, key: &str, origin: Option<&str>| {
        let mut request = ureq::http::Request::builder().method(method).uri(format!("http://{}/v1/health", counter.api.address));
        if !key.is_empty() {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        if method == "OPTIONS" {
            request = request.header("access-control-request-method", "POST");
        }
        let request = request.body(String::new()).unwrap();
        tokio::task::spawn_blocking(move || {
            let agent: ureq::Agent =
                ureq::Agent::config_builder().http_status_as_error(false).allow_non_standard_methods(true).build().into();
            let response = agent.run(request).unwrap();
            let allowed = response.headers().get("access-control-allow-origin").map(|value| value.to_str().unwrap().to_owned());
            (response.status().as_u16(), allowed)
        })
        .await
        .unwrap()
    };
    let allowed = Some(page.to_owned());
    assert_eq!(ask("GET", key.text(), None).await, (200, None));
    assert_eq!(ask("GET", key.text(), Some(page)).await, (200, allowed.clone()));
    assert_eq!(ask("OPTIONS", "", Some(page)).await, (204, allowed.clone()));
    assert_eq!(ask("OPTIONS", "", Some("http://page.example")).await, (403, None));
    assert_eq!(ask("GET", key.text(), Some("http://page.example")).await, (403, None));
    assert_eq!(ask("GET", till.text(), Some(page)).await, (403, allowed.clone()), "another program's origin");
    keys::revoke(&dir, "his").unwrap();
    assert_eq!(ask("GET", key.text(), None).await, (401, None), "out with the next call");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_requests_are_held_back() {
    let counter = Counter::with("[api]\nrequests_per_s = 1\n").await;
    let mut last = (0, Value::Null);
    for _ in 0..12 {
        last = counter.api.get("/v1/health").await;
    }
    check(&last, 429, "too_many_requests");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_is_what_the_api_does() {
    let counter = Counter::new().await;
    let (status, description) = counter.api.get("/v1/openapi.json").await;
    assert_eq!((status, &description["openapi"]), (200, &json!("3.1.0")));
    let paths = description["paths"].as_object().unwrap();
    assert_eq!(paths.len(), Operation::ALL.len());
    counter.open("T1").await;
    for (path, operations) in paths {
        let path = path.replace("{id}", "T1");
        for (method, operation) in operations.as_object().unwrap() {
            let url = format!("http://{}{path}", counter.api.address);
            let ask = async |method: &str| {
                let request = ureq::http::Request::builder().method(method).uri(&url).header("content-type", "application/json");
                let request = request.header("authorization", format!("Bearer {}", counter.api.token));
                call(request.body(if method == "POST" { "[]".to_owned() } else { String::new() }).unwrap()).await
            };
            let responses = operation["responses"].as_object().unwrap();
            if path.ends_with("/events") {
                assert!(responses.contains_key("404"));
            } else {
                let (status, body) = ask(&method.to_uppercase()).await;
                assert!(responses.contains_key(&status.to_string()), "{method} {path} gave {status}, which is not described");
                let code = body["error"]["code"].as_str();
                let codes = responses[&status.to_string()]["x-codes"].as_array();
                assert_eq!(code.is_some(), codes.is_some(), "{method} {path}: {body}");
                assert!(code.is_none_or(|code| codes.unwrap().contains(&json!(code))), "{method} {path}: {body}");
            }
            let other = if method == "get" { "POST" } else { "GET" };
            check(&ask(other).await, 405, "method_not_allowed");
            for (status, response) in responses {
                for code in response["x-codes"].as_array().into_iter().flatten() {
                    let problem = problem::of(code.as_str().unwrap());
                    assert_eq!((problem.code, problem.status.to_string()), (code.as_str().unwrap(), status.clone()));
                    let text = response["description"].as_str().unwrap();
                    assert!(text.contains(problem.do_zh) && text.contains(problem.do_en), "{text}");
                }
            }
        }
    }
    // What is answered has the fields that are described, all of them and no other.
    let held = |name: &str, value: &Value| {
        let properties = description["components"]["schemas"][name]["properties"].as_object().unwrap();
        let described: Vec<&String> = properties.keys().collect();
        let mut got: Vec<&String> = value.as_object().unwrap().keys().collect();
        got.sort_unstable();
        assert_eq!(got, described, "{name}");
    };
    counter.open("T5").await;
    let answer = counter.to("/T5/attempts", json!({})).await.1;
    held("VerifyAnswer", &answer);
    let view = counter.to("/T5/confirm", json!({ "settlement": "S-1", "amount_fen": 1 })).await.1;
    held("TransactionView", &view);
    held("AttemptView", &view["attempts"][0]);
    held("SettlementView", &view["settlements"][0]);
    held("Health", &counter.api.get("/v1/health").await.1);
    let error = counter.api.get("/v1/transactions/T404").await.1;
    held("ErrorBody", &error);
    held("ErrorFields", &error["error"]);
    // And every field of a request that is described is taken.
    let fields = description["components"]["schemas"]["OpenRequest"]["properties"].as_object().unwrap();
    let mut whole = json!({ "transaction": "T6", "opened_by": "card_swipe", "scene": "settlement", "card": "100", "id_kind": "social_security_card",
        "region": "330200", "operator": "0417", "notice": "N1", "consent": "C1" });
    assert_eq!(fields.len(), whole.as_object().unwrap().len());
    assert_eq!(counter.to("", whole.clone()).await.0, 201);
    whole["more"] = json!(1);
    check(&counter.to("", whole).await, 400, "invalid_request");
}
