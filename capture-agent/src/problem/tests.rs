//! The table held against the sources that use its codes.

use std::collections::BTreeSet;

use super::*;

/// The words that the sources use as codes.
fn codes_in(source: &str) -> BTreeSet<&str> {
    let word = |text: &&str| !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c == '_') && text.contains('_');
    source.split("=> \"").skip(1).filter_map(|rest| rest.split('"').next()).filter(word).collect()
}

#[test]
fn every_code_of_the_sources_has_its_row_and_every_row_both_languages() {
    let verify = codes_in(include_str!("../verify/error.rs"));
    let till = codes_in(include_str!("../till/error.rs"));
    assert!(verify.len() > 10 && till.len() > 10, "{verify:?} {till:?}");
    let alone: Vec<&str> = capture_core::degraded::Denied::ALL.iter().map(|denied| denied.word()).collect();
    for code in verify.iter().chain(&till).chain(&alone) {
        assert_eq!(of(code).code, *code, "a code without a row");
    }
    let mut seen = BTreeSet::new();
    for problem in PROBLEMS {
        assert!(seen.insert(problem.code), "{} twice", problem.code);
        assert!(problem.status == 0 || (400..600).contains(&problem.status), "{problem:?}");
        for chinese in [problem.zh, problem.do_zh] {
            assert!(chinese.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c)), "{problem:?}");
        }
        for english in [problem.en, problem.do_en] {
            assert!(english.is_ascii() && english.len() > 5, "{problem:?}");
        }
    }
}

#[test]
fn a_body_says_what_happened_and_what_to_do_in_both_languages() {
    let json = serde_json::to_value(ErrorBody::of(&VerifyError::QueueFull)).unwrap();
    let fields: Vec<&str> = json["error"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, ["action", "action_zh", "code", "message", "message_zh"]);
    assert_eq!((&json["error"]["code"], &json["error"]["message_zh"]), (&"camera_queue_full".into(), &"等待摄像头的核验太多".into()));
    assert_eq!(of("no_such_code").code, "internal");
}
