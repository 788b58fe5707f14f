//! What a hostile page, user or network may try: other people's forms, scripts in words, fixed sessions, strange paths, large
//! forms. All of it is refused.

use super::{PASSWORD, Visitor, add, center, desk};
use matcher_core::console::Role;

#[tokio::test(flavor = "multi_thread")]
async fn a_form_of_another_place_changes_nothing() {
    let (town, case) = desk().await;
    let mut anna = Visitor::signed_in(&town.center, "anna").await;
    let mut ben = Visitor::signed_in(&town.center, "ben").await;
    let path = format!("/cases/{case}/claim");
    let own = anna.csrf.clone();
    let others = ben.csrf.clone();
    assert_ne!(own, others);
    let origin = format!("https://{}", anna.address);
    let (here, form) = (("Origin", origin.as_str()), ("Content-Type", "application/x-www-form-urlencoded"));
    let tries: [(&str, &[(&str, &str)]); 8] = [
        ("", &[here, form]),
        ("guess", &[here, form]),
        (&others, &[here, form]),
        (&own, &[form]),
        (&own, &[("Origin", "https://evil.example"), form]),
        (&own, &[("Origin", "null"), form]),
        (&own, &[here, ("Content-Type", "text/plain")]),
        (&own, &[here, ("Content-Type", "multipart/form-data; boundary=x")]),
    ];
    for (csrf, headers) in tries {
        let answer = anna.post_raw(&path, &[("csrf", csrf)], headers).await;
        assert_eq!(answer.status, 403, "{csrf} {headers:?}");
    }
    assert!(anna.get(&path).await.status == 405, "and never by a link");
    assert!(town.cases().await[0].steps.is_empty());
    assert_eq!(anna.post_raw(&path, &[("csrf", &own)], &[here, form]).await.status, 303);
    // The sign-in form has a token too: nobody is signed in as somebody else by a foreign page.
    let mut stranger = Visitor::new(&town.center);
    let fields = [("name", "anna"), ("password", PASSWORD)];
    assert_eq!(stranger.post_raw("/sign-in", &fields, &[here, form]).await.status, 403);
    ben.cookies.clear();
    assert_eq!(ben.post_raw("/sign-in", &[("name", "anna"), ("password", PASSWORD), ("csrf", &others)], &[here, form]).await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_was_planted_is_not_taken_up() {
    let center = center().await;
    add(&center, "otto", Role::Auditor).await;
    let mut victim = Visitor::new(&center);
    let planted = "A".repeat(43);
    victim.cookies.insert("__Host-session".into(), planted.clone());
    assert_eq!(victim.sign_in("otto", PASSWORD, "").await.status, 303);
    assert_ne!(victim.cookies["__Host-session"], planted);
    let mut attacker = Visitor::new(&center);
    attacker.cookies.insert("__Host-session".into(), planted);
    assert_eq!(attacker.get("/looks").await.status, 303);
    // A second sign-in in one browser ends the first session.
    let mut first = victim.clone();
    victim.get("/looks").await;
    victim.post("/sign-in", &[("name", "otto"), ("password", PASSWORD)]).await;
    assert_eq!(first.get("/looks").await.status, 303);
    assert_eq!(victim.get("/looks").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn words_are_words_wherever_they_are_shown() {
    let (town, case) = desk().await;
    let evil = "\"><script>alert(1)</script><img src=x onerror=alert(2)>{{1234*5678}}";
    let (mut anna, mut mia) = (Visitor::signed_in(&town.center, "anna").await, Visitor::signed_in(&town.center, "mia").await);
    let at = |step: &str| format!("/cases/{case}/{step}");
    anna.post(&at("claim"), &[]).await;
    anna.post(&at("judge"), &[("judgement", "-3")]).await;
    for (step, more) in [("note", ("x", "")), ("ask", ("institution", "P1")), ("complaint", ("x", ""))] {
        assert_eq!(anna.post(&at(step), &[("text", evil), more]).await.status, 303, "{step}");
    }
    mia.get("/store").await;
    assert_eq!(mia.post(&format!("/store/{case}/reply"), &[("text", evil)]).await.status, 303);
    let mut otto = Visitor::signed_in(&town.center, "otto").await;
    let typed: String = form_urlencoded::byte_serialize(evil.as_bytes()).collect();
    let pages = [
        anna.get(&format!("/cases/{case}")).await,
        mia.get(&format!("/store/{case}")).await,
        anna.get(&format!("/queue?kind={typed}&store={typed}&assignee={typed}&after={typed}&done={typed}")).await,
        otto.get(&format!("/looks?by={typed}&about={typed}&before={typed}")).await,
        Visitor::new(&town.center).get(&format!("/sign-in?next={typed}")).await,
        anna.post("/search", &[("text", evil), ("reason", evil)]).await,
        anna.get(&format!("/{typed}")).await,
    ];
    for page in pages {
        assert!(page.status == 200 || page.status == 404, "{page:?}");
        assert!(!page.body.contains("<script>") && !page.body.contains("<img src=x") && !page.body.contains("7006652"), "{}", page.body);
        assert!(page.head.contains("content-security-policy: default-src 'none'; script-src 'self'"), "{}", page.head);
    }
    let shown = anna.get(&format!("/cases/{case}")).await.body;
    assert_eq!(shown.matches("alert(1)").count(), 4, "they are shown, as words");
}

#[tokio::test(flavor = "multi_thread")]
async fn strange_paths_lead_nowhere() {
    let (town, case) = desk().await;
    let mut anna = Visitor::signed_in(&town.center, "anna").await;
    anna.post(&format!("/cases/{case}/claim"), &[]).await;
    let paths = [
        "/static/../keys/policy.pem".to_owned(),
        "/static/..%2f..%2fkeys/policy.pem".to_owned(),
        "/static/%2e%2e/matcher.toml".to_owned(),
        "//evil.example/".to_owned(),
        "/cases/../users".to_owned(),
        format!("/cases/{case}/photo/..%2f..%2f..%2fetc%2fpasswd"),
        format!("/cases/{case}/photo/../../../etc/passwd"),
        format!("/cases/{case}/photo/{case}"),
        format!("/cases/{case}/capture/{case}"),
        format!("/cases/{}", case.replace('-', "")),
        format!("/cases/{}", case.to_uppercase()),
        format!("/cases/{case}%00"),
        "/cases/00000000-0000-0000-0000-000000000000".to_owned(),
    ];
    for path in paths {
        let answer = anna.get(&path).await;
        assert_eq!(answer.status, 404, "{path}: {answer:?}");
        assert!(!answer.body.contains("PRIVATE KEY") && !answer.body.contains("root:"), "{path}");
    }
    assert_eq!(town.center.count("SELECT count(*) FROM audit_entry WHERE action = 'face_viewed'"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_requests_are_refused() {
    let (town, case) = desk().await;
    let mut anna = Visitor::signed_in(&town.center, "anna").await;
    let long = "x".repeat(40_000);
    assert_eq!(anna.post(&format!("/cases/{case}/note"), &[("text", &long)]).await.status, 413);
    assert_eq!(anna.post(&format!("/cases/{case}/note"), &[("text", &long[..2_001])]).await.status, 413);
    assert_eq!(anna.get(&format!("/queue?x={}", &long[..3_000])).await.status, 413);
    assert_eq!(anna.get(&format!("/queue?x={long}")).await.status, 431);
    assert_eq!(Visitor::new(&town.center).sign_in(&long[..600], PASSWORD, "").await.status, 403);
    assert_eq!(town.center.count("SELECT count(*) FROM case_statement"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_careful() {
    let center = center().await;
    let mut visitor = Visitor::new(&center);
    for path in ["/", "/sign-in", "/static/console.css", "/queue", "/nothing"] {
        let answer = visitor.get(path).await;
        for header in ["strict-transport-security", "content-security-policy", "x-content-type-options", "referrer-policy", "cache-control"]
        {
            assert!(answer.header(header).is_some(), "{path} {header}: {}", answer.head);
        }
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{policy}");
        for inline in [" style=", " onclick=", "<style", "javascript:", "http://", "https://"] {
            assert!(!answer.body.replace("http://www.w3.org/2000/svg", "").contains(inline), "{path} {inline}");
        }
    }
}
