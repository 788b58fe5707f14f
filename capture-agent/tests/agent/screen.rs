//! The counter's screen through its port: who gets in, what is shown to whom and when, and that it tells no decision from another.

mod browser;
mod rest;
mod walk;

use std::time::Duration;

use serde_json::json;

use crate::{
    center::Center,
    eyes::{NOBODY, ONE_PERSON},
    folder::Folder,
    http::Api,
};

/// A card with digits enough to show some.
const CARD: &str = "330203194910010027";

/// A browser without a script: it has the cookie, and says where it comes from.
struct Visitor {
    base: String,
    cookie: String,
}

struct Answer {
    status: u16,
    kind: String,
    body: Vec<u8>,
    cookies: Vec<String>,
}

impl Answer {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Visitor {
    /// Comes in by the link of a state folder.
    async fn enter(folder: &Folder, api: &Api) -> Self {
        let link = std::fs::read_to_string(folder.path().join("screen.url")).unwrap();
        let stranger = Self { base: format!("http://{}", api.address), cookie: String::new() };
        let path = link.trim().strip_prefix(&stranger.base).unwrap().to_owned();
        let entered = stranger.get(&path).await;
        assert_eq!(entered.status, 303);
        assert_eq!(stranger.get(&path).await.status, 401, "a link works once");
        let cookie = entered.cookies.iter().find(|cookie| cookie.starts_with("countersign_screen")).unwrap();
        Self { cookie: cookie.split(';').next().unwrap().to_owned(), ..stranger }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(ureq::http::Request::get(format!("{}{path}", self.base)), String::new()).await
    }

    async fn post(&self, path: &str, form: &str) -> Answer {
        let request = ureq::http::Request::post(format!("{}{path}", self.base)).header("origin", self.base.clone());
        self.ask(request.header("content-type", "application/x-www-form-urlencoded"), form.to_owned()).await
    }

    async fn ask(&self, request: ureq::http::request::Builder, body: String) -> Answer {
        let request = request.header("cookie", self.cookie.clone()).body(body).unwrap();
        let is_screen = request.uri().path().starts_with("/screen");
        let work = move || {
            let config = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).max_redirects_will_error(false);
            let agent: ureq::Agent = config.build().into();
            let mut response = agent.run(request).unwrap();
            let texts =
                |name: &str| response.headers().get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect::<Vec<_>>();
            let (cookies, kind) = (texts("set-cookie"), texts("content-type").pop().unwrap_or_default());
            assert!(!is_screen || texts("content-security-policy")[0].starts_with("default-src 'none'"));
            let status = response.status().as_u16();
            Answer { status, kind, cookies, body: response.body_mut().read_to_vec().unwrap() }
        };
        tokio::task::spawn_blocking(work).await.unwrap()
    }

    /// The screen, once it is in a state.
    async fn sees(&self, state: &str) -> String {
        let sought = format!("data-state=\"{state}\"");
        let mut tries = 0;
        loop {
            let page = self.get("/screen").await.text();
            if page.contains(&sought) {
                return page;
            }
            tries += 1;
            assert!(tries < 500, "never {state}: {page}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

struct Shop {
    center: Center,
    folder: Folder,
    api: Api,
}

impl Shop {
    async fn open(stage: impl FnOnce(&Folder)) -> Self {
        let staged = |folder: &Folder| {
            stage(folder);
            String::new()
        };
        Self::open_with(staged).await
    }

    /// With what the stage adds to the configuration.
    async fn open_with(stage: impl FnOnce(&Folder) -> String) -> Self {
        let mut center = Center::new();
        let folder = center.folder();
        let more = stage(&folder);
        let address = center.start(&folder);
        let api = Api::start(&folder, &address, &more).await;
        folder.show(ONE_PERSON);
        Self { center, folder, api }
    }

    /// A card is swiped.
    async fn swipe(&self, transaction: &str, card: &str) {
        self.swiped(transaction, card, "0417").await;
    }

    /// The same card once more: the till finds its transaction as it is.
    async fn swiped_again(&self, transaction: &str) {
        let opening =
            json!({ "transaction": transaction, "scene": "settlement", "card": CARD, "opened_by": "card_swipe", "operator": "0417" });
        assert_eq!(self.api.to("/v1/transactions", opening).await.0, 200);
    }

    async fn swiped(&self, transaction: &str, card: &str, operator: &str) {
        let (scene, by) = ("settlement", "card_swipe");
        let opening = json!({ "transaction": transaction, "scene": scene, "card": card, "opened_by": by, "operator": operator });
        assert_eq!(self.api.to("/v1/transactions", opening).await.0, 201);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_see_nothing_and_do_nothing() {
    let shop = Shop::open(|_| {}).await;
    let stranger = Visitor { base: format!("http://{}", shop.api.address), cookie: String::new() };
    shop.swipe("T1", CARD).await;
    for path in ["/screen", "/screen/events", "/screen/picture", "/screen/display?as=en"] {
        let answer = stranger.get(path).await;
        assert_eq!(answer.status, 401, "{path}");
        assert!(!answer.text().contains("0027"), "{path}");
    }
    assert_eq!(stranger.post("/screen/do/other-way", "transaction=T1").await.status, 401);
    assert_eq!(stranger.get("/screen/open?link=guessed").await.status, 401);
    let visitor = Visitor::enter(&shop.folder, &shop.api).await;
    assert_eq!(visitor.get("/screen").await.status, 200);
    // The cookie opens the screen alone, and a program's token does not open the screen.
    assert_eq!(visitor.get("/v1/health").await.status, 401);
    assert_eq!(shop.api.get("/screen").await.0, 401);
    assert!(shop.center.records.lock().unwrap().captures.is_empty());
    let link = shop.folder.path().join("screen.url");
    shop.api.stop().await;
    assert!(!link.exists(), "the link ends with the run");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_picture_is_there_while_somebody_is_looked_at_and_never_else() {
    let shop = Shop::open(Folder::longer).await;
    let visitor = Visitor::enter(&shop.folder, &shop.api).await;
    shop.folder.plays(&[NOBODY, ONE_PERSON], 2_000, "repeat");
    assert_eq!(visitor.get("/screen/picture").await.status, 204, "no transaction");
    shop.swipe("T1", CARD).await;
    let page = visitor.sees("ready").await;
    assert!(!page.contains("<img") && page.contains("0027") && !page.contains(CARD), "{page}");
    assert_eq!(visitor.get("/screen/picture").await.status, 204, "open, and nobody is looked at");
    assert_eq!(visitor.post("/screen/do/begin", "transaction=T1").await.status, 204);
    visitor.sees("look_at_camera").await;
    let mut picture = visitor.get("/screen/picture").await;
    for _ in 0..50 {
        if picture.status == 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        picture = visitor.get("/screen/picture").await;
    }
    assert_eq!((picture.status, picture.kind.as_str(), &picture.body[..2]), (200, "image/jpeg", &b"\xff\xd8"[..]));
    let settled = visitor.sees("settled").await;
    assert!(!settled.contains("<img"));
    assert_eq!(visitor.get("/screen/picture").await.status, 204, "it was taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_way_is_open_while_the_camera_looks() {
    let shop = Shop::open(Folder::staged).await;
    let visitor = Visitor::enter(&shop.folder, &shop.api).await;
    shop.folder.show(NOBODY);
    for (transaction, act) in [("T1", "other-way"), ("T2", "end")] {
        shop.swipe(transaction, CARD).await;
        visitor.sees("ready").await;
        assert_eq!(visitor.post("/screen/do/begin", &format!("transaction={transaction}")).await.status, 204);
        let page = visitor.sees("look_at_camera").await;
        assert!(page.contains("id=\"other-way\"") && page.contains("id=\"end\""), "{page}");
        assert_eq!(visitor.post(&format!("/screen/do/{act}"), &format!("transaction={transaction}")).await.status, 204);
        visitor.sees(if act == "end" { "cancelled" } else { "settled" }).await;
        assert_eq!(visitor.get("/screen/picture").await.status, 204);
    }
    let ways = |view: serde_json::Value| view["attempts"].as_array().unwrap().iter().map(|made| made["way"].clone()).collect::<Vec<_>>();
    assert_eq!(ways(shop.api.get("/v1/transactions/T1").await.1), [json!("other_way")], "what was given up took no number");
    assert_eq!(shop.api.get("/v1/health").await.1["camera"], "ready", "nothing is wrong with the camera");
    assert_eq!(shop.center.records.lock().unwrap().captures.len(), 1, "nobody was captured");
}

#[tokio::test(flavor = "multi_thread")]
async fn review_looks_like_match_and_a_non_match_like_a_document_check() {
    let shop = Shop::open(|_| {}).await;
    let visitor = Visitor::enter(&shop.folder, &shop.api).await;
    let mut pages = Vec::new();
    for (transaction, card) in [("T1", "100"), ("T2", "unsure")] {
        shop.swipe(transaction, card).await;
        let answer = shop.api.to(&format!("/v1/transactions/{transaction}/attempts"), json!({})).await.1;
        pages.push((answer["decision"].clone(), visitor.sees("settled").await.replace(transaction, "T")));
    }
    assert_eq!((&pages[0].0, &pages[1].0), (&json!("match"), &json!("review")));
    assert_eq!(pages[0].1, pages[1].1, "to the last byte");
    shop.swipe("T3", "other").await;
    assert_eq!(shop.api.to("/v1/transactions/T3/attempts", json!({})).await.1["decision"], "non_match");
    let page = visitor.sees("document_check").await;
    assert!(page.contains("请出示您的身份证件"));
    // The operator says by name what the document shows, and a touch for another transaction is about nobody here.
    assert_eq!(visitor.post("/screen/do/document", "transaction=T1&document_kind=passport&same_person=no").await.status, 204);
    assert_eq!(visitor.post("/screen/do/document", "transaction=T3&document_kind=card&same_person=yes").await.text(), "请检查填写的内容。");
    assert_eq!(visitor.post("/screen/do/document", "transaction=T3&document_kind=passport").await.text(), "请检查填写的内容。");
    assert_eq!(visitor.post("/screen/do/document", "transaction=T3&document_kind=passport&same_person=yes").await.status, 204);
    visitor.sees("settled").await;
    let view = shop.api.get("/v1/transactions/T3").await.1;
    assert_eq!((&view["attempts"][1]["way"], &view["attempts"][1]["disposition"]), (&json!("document_check"), &json!("settle")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_screen_that_is_left_open_does_not_keep_the_agent_from_stopping() {
    let shop = Shop::open(|_| {}).await;
    let visitor = Visitor::enter(&shop.folder, &shop.api).await;
    let base = visitor.base.clone();
    let mut stream = tokio::net::TcpStream::connect(base.trim_start_matches("http://")).await.unwrap();
    let request =
        format!("GET /screen/events HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\n\r\n", base.trim_start_matches("http://"), visitor.cookie);
    tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("\"state\":\"idle\"") {
        let mut part = [0; 4096];
        let count = tokio::io::AsyncReadExt::read(&mut stream, &mut part).await.unwrap();
        assert!(count > 0, "{}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&part[..count]);
    }
    tokio::time::timeout(Duration::from_secs(5), shop.api.stop()).await.expect("the stream ends with the agent");
}
