//! Ways beside the holder's own face, by the same path: live and late, with receipts, flags and what is kept.

use std::process::Command;

use matcher::{
    app::subjects,
    surroundings::{Surroundings, System},
};
use matcher_core::{Decision, NoDecision, Policy};
use proto::v1::{self, UploadOutcome, capture::Outcome};
use tonic::Code;

use crate::support::{TestCenter, TestDevice, attempt, capture, live, models, template};

const CARD: &str = "A10020001";
const OTHERS: [&str; 3] = ["A10020002", "A10020003", "A10020004"];

fn document(same_person: bool) -> Outcome {
    Outcome::DocumentCheck(v1::DocumentCheck { same_person, document_kind: v1::DocumentKind::ResidentIdentity.into() })
}

fn other_way() -> Outcome {
    Outcome::OtherWay(v1::OtherWay {})
}

/// The template of a chip whose cosine with the probe for 1.0 is about this.
fn chip(cosine: f32) -> Option<v1::ChipReference> {
    let models = models();
    let (model, recipe) = (models.current().model.as_str(), models.current().recipe.as_str());
    let features_f16 = template(model, recipe, cosine).to_f16_le_bytes();
    let template = Some(v1::Template { model_id: model.to_owned(), recipe_id: recipe.to_owned(), features_f16 });
    Some(v1::ChipReference { template, document_kind: v1::DocumentKind::ResidentIdentity.into() })
}

/// A demonstration policy of this number.
fn policy(number: u32) -> String {
    Policy::demonstration().replacen("demonstration-1", &format!("demonstration-{number}"), 1)
}

/// Somebody with a passport of this number.
fn proxy(number: &str) -> Option<v1::Proxy> {
    Some(v1::Proxy { document_kind: v1::DocumentKind::Passport.into(), document_number: number.into(), name: "孙浩".into() })
}

#[track_caller]
fn check(answer: &v1::VerifyResponse, decision: v1::Decision, disposition: v1::Disposition, reasons: &[&str]) {
    assert_eq!((answer.decision(), answer.disposition()), (decision, disposition), "{answer:?}");
    assert_eq!(answer.reasons, reasons);
    assert!(!answer.receipt.is_empty() && !answer.receipt_number.is_empty(), "every way has its receipt");
}

async fn nth(device: &TestDevice, transaction: &str, attempt: u32, capture: &v1::Capture) -> v1::VerifyResponse {
    device.send(device.seal(&device.address(transaction, attempt), capture)).await.unwrap()
}

#[tokio::test]
async fn another_way_settles_without_a_reason_or_a_flag() {
    let (center, device) = TestCenter::with_device().await;
    center.enrol(CARD).await;
    for (transaction, card) in [("T-1", CARD), ("T-2", "B999999")] {
        let answer = device.verify(transaction, &attempt(card, other_way())).await.unwrap();
        check(&answer, v1::Decision::NoDecision, v1::Disposition::Settle, &["other_way"]);
    }
    let again = device.seal(&device.address("T-3", 1), &attempt(CARD, other_way()));
    assert!(!device.send(again.clone()).await.unwrap().repeated_answer && device.send(again).await.unwrap().repeated_answer);
    assert_eq!(center.flag_words().await, [] as [&str; 0]);
    assert_eq!(center.count("SELECT count(*) FROM probe"), 0);
}

#[tokio::test]
async fn what_an_operator_sees_on_a_document_is_recorded_by_name() {
    let (center, device) = TestCenter::with_device().await;
    center.enrol(CARD).await;
    check(
        &device.verify("T-1", &attempt(CARD, document(true))).await.unwrap(),
        v1::Decision::NoDecision,
        v1::Disposition::Settle,
        &["document_checked"],
    );
    let not = device.verify("T-2", &attempt(CARD, document(false))).await.unwrap();
    check(&not, v1::Decision::NoDecision, v1::Disposition::Hold, &["document_not_the_person"]);
    assert_eq!(center.flag_words().await, ["card_person_mismatch"]);
    assert!(center.verifications().await.iter().all(|record| record.operator == "0417"));
    let nobody = v1::Capture { operator: String::new(), ..attempt(CARD, document(true)) };
    let refused = device.verify("T-3", &nobody).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("capture.operator: expected the name"), "{refused}");
}

#[tokio::test]
async fn overruling_more_non_matches_than_the_policy_grants_is_flagged() {
    let (center, device) = TestCenter::with_device().await;
    center.enrol(CARD).await;
    center.apply(&policy(2).replace("per_operator_per_day_max = 10", "per_operator_per_day_max = 2")).await;
    for i in 0..3 {
        let transaction = format!("T-{i}");
        nth(&device, &transaction, 1, &capture(CARD, 0.1)).await;
        let settled = nth(&device, &transaction, 2, &attempt(CARD, document(true))).await;
        check(&settled, v1::Decision::NoDecision, v1::Disposition::Settle, &["document_checked"]);
        let overrides = center.flag_words().await.into_iter().filter(|word| *word == "override_used").count();
        assert_eq!(overrides, usize::from(i == 2));
    }
}

#[tokio::test]
async fn faces_are_capped_and_a_way_without_one_stays_open() {
    let (center, device) = TestCenter::with_device().await;
    center.enrol(CARD).await;
    for number in 1..=3 {
        nth(&device, "T-1", number, &capture(CARD, 0.1)).await;
    }
    let fourth = device.send(device.seal(&device.address("T-1", 4), &capture(CARD, 0.8))).await.unwrap_err();
    assert!(fourth.message().contains("expected at most 3"), "{fourth}");
    let chip = v1::Capture { chip: chip(1.0), ..capture(CARD, 1.0) };
    check(&nth(&device, "T-1", 4, &chip).await, v1::Decision::Match, v1::Disposition::Settle, &["chip_reference"]);
    check(&nth(&device, "T-1", 5, &attempt(CARD, other_way())).await, v1::Decision::NoDecision, v1::Disposition::Settle, &["other_way"]);
}

#[tokio::test]
async fn a_chip_serves_whom_nobody_enrolled_under_thresholds_of_its_own_and_is_kept_nowhere() {
    let (center, device) = TestCenter::with_device().await;
    center.enrol(CARD).await;
    let policy = policy(2);
    let (before, after) = policy.split_once("[[chip_thresholds]]").unwrap();
    center
        .apply(&format!(
            "{before}[[chip_thresholds]]{}",
            after.replacen("match_at_least = 0.50", "match_at_least = 0.7\nnon_match_below = 0.45", 1)
        ))
        .await;
    let ask = async |transaction: &str, card: &str, cosine: f32| {
        device.verify(transaction, &v1::Capture { chip: chip(1.0), ..capture(card, cosine) }).await.unwrap()
    };
    let matched = ask("T-1", "B999999", 0.8).await;
    check(&matched, v1::Decision::Match, v1::Disposition::Settle, &["chip_reference"]);
    assert_eq!((matched.match_threshold, matched.non_match_threshold), (Some(0.7), Some(0.45)));
    check(&ask("T-2", "B999999", 0.6).await, v1::Decision::Review, v1::Disposition::SettleFlagged, &["chip_reference"]);
    check(&ask("T-3", CARD, 0.4).await, v1::Decision::NonMatch, v1::Disposition::DocumentCheck, &["chip_reference"]);
    assert_eq!(center.flag_words().await, ["card_person_mismatch"]);
    let records = center.verifications().await;
    assert!(records.iter().all(|record| record.reference.is_none() && record.is_of_chip()));
    // The same numbers as the enrolled reference's would be: a value of the chip's own is looked for.
    let own = v1::Capture { chip: chip(0.123), ..capture(CARD, 0.123) };
    device.verify("T-4", &own).await.unwrap();
    let needle = own.chip.unwrap().template.unwrap().features_f16;
    let folder = center.dir.store().parent().unwrap().to_owned();
    let mut files = 0;
    for file in std::fs::read_dir(folder).unwrap().map(Result::unwrap).filter(|file| file.path().is_file()) {
        let bytes = std::fs::read(file.path()).unwrap();
        assert!(!bytes.windows(8).any(|window| window == &needle[..8]), "{:?} holds the chip's features", file.path());
        files += 1;
    }
    assert!(files > 2);
    assert_eq!(center.count("SELECT count(*) FROM reference"), 1, "only what was enrolled");
}

#[tokio::test]
async fn a_chip_without_a_face_and_one_of_another_model_are_refused() {
    let (_center, device) = TestCenter::with_device().await;
    let without = device.verify("T-1", &v1::Capture { chip: chip(1.0), ..attempt(CARD, other_way()) }).await.unwrap_err();
    assert!(without.message().contains("capture.chip: expected nothing"), "{without}");
    let mut other = chip(1.0).unwrap();
    other.template.as_mut().unwrap().model_id = "another@1".into();
    let unknown = device.verify("T-2", &v1::Capture { chip: Some(other), ..capture(CARD, 0.8) }).await.unwrap_err();
    assert!(unknown.message().contains("capture.chip.template.model_id"), "{unknown}");
}

#[tokio::test]
async fn a_proxy_comes_for_one_holder_at_a_time_and_so_many_a_day_over_all_stores() {
    let (center, device) = TestCenter::with_device().await;
    let elsewhere = center.device_of("P2").await;
    center.enrol(CARD).await;
    let come = async |device: &TestDevice, transaction: &str, card: &str, passport: &str| {
        device.verify(transaction, &v1::Capture { proxy: proxy(passport), ..capture(card, 0.1) }).await.unwrap()
    };
    // Their face is not the holder's: it is recorded and never compared with the holder's photo.
    check(&come(&device, "T-1", CARD, "E12345678").await, v1::Decision::NoDecision, v1::Disposition::Settle, &["proxy"]);
    check(&come(&elsewhere, "T-2", CARD, "e1234-5678").await, v1::Decision::NoDecision, v1::Disposition::Settle, &["proxy"]);
    let second = come(&elsewhere, "T-3", OTHERS[0], "E12345678").await;
    check(&second, v1::Decision::NoDecision, v1::Disposition::Hold, &["proxy_limit", "proxy"]);
    check(&come(&elsewhere, "T-4", OTHERS[0], "E87654321").await, v1::Decision::NoDecision, v1::Disposition::Settle, &["proxy"]);
    assert_eq!(center.flag_words().await, ["proxy_limit"]);
    // Nobody stands in for two in one transaction, whatever the day's limit.
    center.apply(&policy(2).replace("principals_per_day_max = 1", "principals_per_day_max = 2")).await;
    check(&come(&device, "T-5", OTHERS[1], "E87654321").await, v1::Decision::NoDecision, v1::Disposition::Settle, &["proxy"]);
    let changed = nth(&device, "T-5", 2, &v1::Capture { proxy: proxy("E99999999"), ..capture(OTHERS[1], 0.1) }).await;
    assert_eq!(changed.reasons, ["proxy_limit", "proxy"]);
    check(&come(&device, "T-6", OTHERS[2], "E87654321").await, v1::Decision::NoDecision, v1::Disposition::Hold, &["proxy_limit", "proxy"]);
    let reception = v1::Capture { scene: v1::Scene::Reception.into(), proxy: proxy("E55555555"), ..capture(CARD, 0.8) };
    let refused = device.verify("T-7", &reception).await.unwrap();
    check(&refused, v1::Decision::NoDecision, v1::Disposition::Hold, &["proxy_not_allowed", "proxy"]);
    assert_eq!(center.count("SELECT count(*) FROM proxy_register"), 4);
    assert_eq!(center.count("SELECT count(*) FROM visit WHERE explained = 0"), 0, "a proxy's face is no evidence about the holder");
    assert_eq!(center.count("SELECT count(*) FROM visit"), center.count("SELECT count(*) FROM probe"));
}

#[tokio::test]
async fn a_proxys_face_is_compared_with_their_document_where_the_policy_asks() {
    let (center, device) = TestCenter::with_device().await;
    center.enrol(CARD).await;
    let asks = "proxy = { allowed = true, principals_per_day_max = 1, face_against_document = true }";
    center.apply(&policy(2).replace("proxy = { allowed = true, principals_per_day_max = 1 }", asks)).await;
    let face = v1::Capture { proxy: proxy("E12345678"), ..capture(CARD, 0.9) };
    let without = nth(&device, "T-1", 1, &face).await;
    check(&without, v1::Decision::NoDecision, v1::Disposition::DocumentCheck, &["proxy_not_compared", "proxy"]);
    let with = nth(&device, "T-1", 2, &v1::Capture { chip: chip(1.0), ..face }).await;
    check(&with, v1::Decision::Match, v1::Disposition::Settle, &["chip_reference", "proxy"]);
    assert_eq!(center.count("SELECT count(*) FROM visit WHERE explained = 1"), 2);
}

#[tokio::test]
async fn two_stores_at_once_cannot_take_the_same_place() {
    let (center, device) = TestCenter::with_device().await;
    let elsewhere = center.device_of("P2").await;
    let mut cards = tokio::task::JoinSet::new();
    let (device, elsewhere) = (std::sync::Arc::new(device), std::sync::Arc::new(elsewhere));
    for i in 0..8 {
        let device = if i % 2 == 0 { device.clone() } else { elsewhere.clone() };
        let capture = v1::Capture { proxy: proxy("E12345678"), ..capture(&format!("B99999{i}"), 0.1) };
        let envelope = device.seal(&device.address(&format!("T-{i}"), 1), &capture);
        cards.spawn(async move { device.send(envelope).await });
    }
    let answers = cards.join_all().await;
    let let_through = answers.iter().flatten().filter(|answer| answer.reasons == ["proxy"]).count();
    assert_eq!(let_through, 1, "{answers:?}");
    assert_eq!(center.count("SELECT count(*) FROM proxy_slot"), 1);
}

/// A capture of an hour ago by a clock that was compared with the center's.
fn late(capture: v1::Capture) -> v1::Capture {
    v1::Capture { captured_at_ms: System.now_ms() - 3_600_000, clock_offset_ms: -1, ..capture }
}

#[tokio::test]
async fn every_way_comes_late_too_and_is_judged_as_live() {
    let (center, device) = TestCenter::live().await;
    center.enrol(CARD).await;
    center.apply_at(&live().replacen("live-1", "live-2", 1), System.now_ms() - 600 * 60_000).await;
    let captures = [
        attempt(CARD, other_way()),
        attempt(CARD, document(true)),
        attempt(CARD, document(false)),
        v1::Capture { chip: chip(1.0), ..capture(CARD, 0.8) },
        v1::Capture { proxy: proxy("E12345678"), ..capture(CARD, 0.1) },
        v1::Capture { proxy: proxy("E12345678"), ..capture(OTHERS[0], 0.1) },
    ];
    let seal = |(i, capture): (usize, &v1::Capture)| device.seal(&device.address(&format!("T-{i}"), 1), &late(capture.clone()));
    let said = device.upload(captures.iter().enumerate().map(seal).collect()).await.unwrap();
    assert!(said.iter().take(5).all(|said| said.outcome() == UploadOutcome::Stored), "{said:?}");
    if said[5].outcome() != UploadOutcome::Stored {
        // Both proxies came in one upload and met at one place: the device sends the second again.
        let again = device.seal(&device.address("T-5", 1), &late(captures[5].clone()));
        assert_eq!(device.upload(vec![again]).await.unwrap()[0].outcome(), UploadOutcome::Stored);
    }
    center.work().await;
    let mut records = center.verifications().await;
    records.sort_by(|a, b| a.request.transaction.cmp(&b.request.transaction));
    let no = Decision::NoDecision;
    let expected = [
        no(NoDecision::OtherWay),
        no(NoDecision::DocumentChecked),
        no(NoDecision::DocumentNotThePerson),
        Decision::Match,
        no(NoDecision::Proxy),
        no(NoDecision::ProxyLimit),
    ];
    assert_eq!(records.iter().map(|record| record.decision).collect::<Vec<_>>(), expected);
    assert_eq!(center.flag_words().await, ["card_person_mismatch", "proxy_limit"]);
    assert_eq!(center.count("SELECT count(*) FROM probe"), 2, "of the known person; the chip's and the proxy's");
}

fn matcher(center: &TestCenter, args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_matcher")).arg("--data").arg(center.dir.path()).args(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn the_register_is_listed_masked_and_handed_out_whole_by_name() {
    let (center, device) = TestCenter::with_device().await;
    center.enrol(CARD).await;
    for (transaction, card, passport) in [("T-1", CARD, "E12345678"), ("T-2", "B999999", "E87654321")] {
        device.verify(transaction, &v1::Capture { proxy: proxy(passport), ..capture(card, 0.1) }).await.unwrap();
    }
    for secret in ["E12345678", "孙浩"] {
        assert_eq!(center.count(&format!("SELECT count(*) FROM proxy_register WHERE instr(sealed, CAST('{secret}' AS BLOB)) > 0")), 0);
    }
    let listed: serde_json::Value = serde_json::from_str(&matcher(&center, &["proxies", "list", "--json"])).unwrap();
    assert_eq!(
        (listed.as_array().unwrap().len(), &listed[1]["document_number"], &listed[1]["name"]),
        (2, &"*****5678".into(), &"孙*".into())
    );
    assert!(matcher(&center, &["proxies", "list"]).contains("*****4321"));
    let out = center.dir.path().join("register.csv");
    matcher(&center, &["proxies", "export", "--out", out.to_str().unwrap(), "--by", "陈静"]);
    let text = std::fs::read_to_string(&out).unwrap();
    assert!(text.contains("passport,E12345678,孙浩,no_decision,proxy,settle,true"), "{text}");
    assert_eq!(text.lines().count(), 3);
    assert_eq!(center.count("SELECT count(*) FROM audit_entry WHERE action = 'proxies_exported' AND actor = '陈静'"), 1);
}

#[tokio::test]
async fn a_forgotten_holders_entries_go_and_a_withdrawn_ones_stay() {
    let (center, device) = TestCenter::with_device().await;
    center.enrol(CARD).await;
    device.verify("T-1", &v1::Capture { proxy: proxy("E12345678"), ..capture(CARD, 0.1) }).await.unwrap();
    let who = center.verifications().await[0].subject.unwrap();
    subjects::withdraw(&center.center, &System, who).await.unwrap();
    assert!(matcher(&center, &["proxies", "list"]).contains("*****5678"), "the register is no biometric");
    subjects::forget(&center.center, &System, who, None).await.unwrap();
    assert_eq!(center.count("SELECT count(*) FROM proxy_register"), 0);
}
