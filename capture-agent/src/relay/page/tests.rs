//! What the page shows, to whom.

use super::*;

fn status() -> Status {
    let counter = Counter {
        last_seen_ms: Some(1_000_000),
        version: "0.1.0".into(),
        waiting_there: 3,
        let_in: Some(true),
        line: "backup".into(),
        findings: vec!["<disk>:full".into()],
        ..Counter::default()
    };
    let row = |device: &str, counter: Counter, is_silent| Row {
        device: device.into(),
        counter,
        waiting_here: 2,
        oldest_here_ms: Some(400_000),
        is_silent,
    };
    let refused = Counter { let_in: Some(false), ..counter.clone() };
    Status {
        relay: "P001-relay".into(),
        version: "0.1.0".into(),
        at_ms: 1_060_000,
        started_at_ms: 0,
        line: "backup".into(),
        is_down: true,
        lines: vec![Line { name: "primary".into(), answers: Some(false) }, Line { name: "backup".into(), answers: None }],
        waiting: 4,
        waiting_bytes: 5 << 20,
        room_bytes: 4096 << 20,
        oldest_ms: Some(400_000),
        disk_free_bytes: None,
        certificate_until_ms: 1_800_000_000_000,
        counters: vec![row("till-1", counter.clone(), false), row("till-2", counter, true), row("till-3", refused, false)],
    }
}

#[test]
fn counters_are_shown_in_both_languages_and_escaped() {
    let english = Shown::of(&status(), true).render().unwrap();
    for part in [
        "till-1",
        "60 s ago",
        "11 min ago",
        "5 MiB / 4096 MiB",
        "no line to the center",
        "silent",
        "not let in",
        "does not answer",
        "2027-01-15",
        "lang=\"en\"",
    ] {
        assert!(english.contains(part), "{part}:\n{english}");
    }
    assert!(!english.contains("<disk>") && english.contains("&#60;disk&#62;:full"), "{english}");
    let chinese = Shown::of(&status(), false).render().unwrap();
    for part in ["失去联系", "中心未准入", "60秒前", "本机待传", "lang=\"zh-CN\""] {
        assert!(chinese.contains(part), "{part}:\n{chinese}");
    }
}

#[test]
fn only_the_password_opens_the_page_elsewhere() {
    let token = Token::make().unwrap();
    let check = |given: String, expected| {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, given.parse().unwrap());
        assert_eq!(knows(&headers, &token), expected, "{given}");
    };
    check(format!("Basic {}", STANDARD.encode(format!("anybody:{}", token.text()))), true);
    check(format!("Bearer {}", token.text()), true);
    check(format!("Basic {}", STANDARD.encode("anybody:")), false);
    check("Basic !".into(), false);
    check("Bearer ".into(), false);
    assert!(!knows(&HeaderMap::new(), &token));
}

#[test]
fn on_loopback_the_page_has_no_other_name() {
    let address: SocketAddr = "127.0.0.1:7480".parse().unwrap();
    let check = |host: &str, expected| {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        assert_eq!(is_named(&headers, address), expected, "{host}");
    };
    check("127.0.0.1:7480", true);
    check("localhost:7480", true);
    check("evil.example:7480", false);
    check("127.0.0.1", false);
}
