//! Receipts over the wire: issued with the answer, confirmed and reversed for their institution, and what a
//! settlement side makes of them.

use std::convert::Infallible;

use matcher::{
    receipt_keys::{ReceiptKeys, ReceiptKind},
    surroundings::{Surroundings, System},
};
use matcher_core::{
    Disposition, Identifier, IdentifierKind, Policy, Region, Scene,
    receipt::{Burn, Burned, CheckError, Checker, Claims, Drill, ReceiptDecision, Refusal, Settlement, Take},
};
use proto::v1::{self, ReceiptState, capture::Outcome};
use tonic::Code;

use crate::support::{TestCenter, attempt, capture};

const CARD: &str = "A10020001";

/// Forgets what it burns.
struct Forgetful;

impl Burned for Forgetful {
    type Error = Infallible;

    fn burn(&mut self, _: &Take<'_>) -> Result<Burn, Infallible> {
        Ok(Burn::Now)
    }
}

/// Checks a receipt as the settlement side does, for a settlement of now.
fn check(center: &TestCenter, compact: &str, transaction: &str, card: &str) -> Result<Claims, Refusal> {
    let config = matcher::config::Config::load(&center.dir).unwrap().receipts;
    let keys = ReceiptKeys::load(&center.dir, &config).unwrap();
    let now = System.now_ms();
    let (production, drill) = (keys.published(ReceiptKind::Production, now), keys.published(ReceiptKind::Drill, now));
    let card = Identifier::new(IdentifierKind::SocialSecurityCard, Region::default(), card).unwrap().card_mac(keys.settlement());
    let settlement = Settlement {
        id: "S-1",
        institution: "P1",
        transaction,
        scene: Scene::Settlement,
        card,
        amount_fen: 100,
        document_checked_by: "",
        at_ms: now,
    };
    let drill = Some(Drill { issuer: &config.drill_issuer, keys: &drill });
    let checker = Checker { issuer: &config.issuer, audience: &config.audience, keys: &production, drill };
    checker.check(compact, &settlement, &mut Forgetful).map_err(|error| match error {
        CheckError::Refused(refusal) => refusal,
        CheckError::Burned(never) => match never {},
    })
}

fn confirm(number: &str, settlement: &str) -> v1::ConfirmReceiptRequest {
    let (receipt_number, settlement) = (number.to_owned(), settlement.to_owned());
    v1::ConfirmReceiptRequest { receipt_number, settlement, amount_fen: 4_250, document_checked_by: String::new() }
}

fn refused(word: &str) -> (String, ReceiptState, bool) {
    (word.to_owned(), ReceiptState::Unspecified, false)
}

#[tokio::test]
async fn every_answer_brings_a_receipt_that_says_what_the_till_was_told() {
    let (center, device) = TestCenter::live().await;
    center.enrol(CARD).await;
    let matched = device.verify("T-1", &capture(CARD, 0.8)).await.unwrap();
    let claims = check(&center, &matched.receipt, "T-1", CARD).unwrap();
    assert_eq!((claims.decision, claims.disposition), (ReceiptDecision::Match, Disposition::Settle));
    assert_eq!((claims.institution.as_str(), claims.transaction.as_str(), claims.attempt), ("P1", "T-1", 1));
    assert_eq!((claims.policy.as_str(), claims.uses), (matched.policy_version.as_str(), 1));
    assert_eq!(claims.number.to_string(), matched.receipt_number);
    assert_eq!((claims.issued_at, claims.expires_at), (matched.decided_at_ms / 1000, matched.decided_at_ms / 1000 + 900));
    assert_eq!(check(&center, &matched.receipt, "T-2", CARD), Err(Refusal::OtherTransaction));
    assert_eq!(check(&center, &matched.receipt, "T-1", "A10020002"), Err(Refusal::OtherCard));
    let mismatch = device.verify("T-2", &capture(CARD, 0.1)).await.unwrap();
    assert_eq!(check(&center, &mismatch.receipt, "T-2", CARD), Err(Refusal::DocumentNotChecked));
    for receipt in [&matched.receipt, &mismatch.receipt] {
        assert!(!receipt.contains(CARD) && Claims::unverified(receipt).is_ok_and(|claims| !claims.to_json().contains(CARD)));
    }
}

#[tokio::test]
async fn a_repeated_answer_brings_the_same_receipt() {
    let (center, device) = TestCenter::live().await;
    center.enrol(CARD).await;
    let envelope = device.seal(&device.address("T-1", 1), &capture(CARD, 0.8));
    let first = device.send(envelope.clone()).await.unwrap();
    assert!(!first.receipt.is_empty() && first.receipt_number.len() == 22);
    assert_eq!(device.send(envelope.clone()).await.unwrap(), v1::VerifyResponse { repeated_answer: true, ..first.clone() });
    let later = TestCenter::reopen(center.stop().await, |_| {}).await;
    let device = device.connect(&later.address);
    assert_eq!(device.send(envelope).await.unwrap(), v1::VerifyResponse { repeated_answer: true, ..first });
}

#[tokio::test]
async fn a_receipt_is_confirmed_and_reversed_by_its_institution() {
    let (center, device) = TestCenter::live().await;
    center.enrol(CARD).await;
    let number = device.verify("T-1", &capture(CARD, 0.8)).await.unwrap().receipt_number;
    let typed = format!("{}-{}", &number[..5], &number[5..]).to_lowercase();
    let done = |state, repeated| (String::new(), state, repeated);
    assert_eq!(device.confirm(confirm(&typed, "S-1")).await.unwrap(), done(ReceiptState::Confirmed, false));
    assert_eq!(device.confirm(confirm(&number, "S-1")).await.unwrap(), done(ReceiptState::Confirmed, true));
    assert_eq!(device.confirm(confirm(&number, "S-2")).await.unwrap(), refused("used"));
    let other_amount = v1::ConfirmReceiptRequest { amount_fen: 4_251, ..confirm(&number, "S-1") };
    assert_eq!(device.confirm(other_amount).await.unwrap(), refused("other_amount"));
    let elsewhere = center.device_of("P2").await;
    assert_eq!(elsewhere.confirm(confirm(&number, "S-1")).await.unwrap(), refused("other_institution"));
    assert_eq!(elsewhere.reverse(&number, "").await.unwrap(), refused("other_institution"));
    let found = elsewhere.find_receipt(&number).await.unwrap();
    assert_eq!((found.refusal.as_str(), found.receipt.as_str()), ("other_institution", ""));
    assert_eq!(device.reverse(&number, "S-2").await.unwrap(), refused("not_confirmed"));
    assert_eq!(device.reverse(&number, "S-1").await.unwrap(), done(ReceiptState::Reversed, false));
    assert_eq!(device.reverse(&number, "S-1").await.unwrap(), done(ReceiptState::Reversed, true));
    let again = device.confirm(confirm(&number, "S-1")).await.unwrap();
    assert_eq!(again, ("reversed".to_owned(), ReceiptState::Reversed, false));
}

#[tokio::test]
async fn a_number_finds_its_receipt() {
    let (center, device) = TestCenter::live().await;
    center.enrol(CARD).await;
    let answer = device.verify("T-1", &capture(CARD, 0.8)).await.unwrap();
    let found = device.find_receipt(&answer.receipt_number).await.unwrap();
    assert_eq!((found.state(), found.receipt, found.refusal), (ReceiptState::Issued, answer.receipt, String::new()));
    let unknown = device.find_receipt("28T5CY4TQKFF00938NKRG0").await.unwrap();
    assert_eq!((unknown.state(), unknown.refusal.as_str()), (ReceiptState::Unspecified, "unknown_number"));
    let wrong = device.find_receipt("28T5CY4TQKFF00938NKRG1").await.unwrap_err();
    assert_eq!(wrong.code(), Code::InvalidArgument);
    assert!(wrong.message().contains("receipt_number"), "{}", wrong.message());
}

#[tokio::test]
async fn a_document_check_is_confirmed_under_the_operators_name() {
    let (center, device) = TestCenter::live().await;
    center.enrol(CARD).await;
    let number = device.verify("T-1", &capture(CARD, 0.1)).await.unwrap().receipt_number;
    assert_eq!(device.confirm(confirm(&number, "S-1")).await.unwrap(), refused("document_not_checked"));
    let blank = v1::ConfirmReceiptRequest { document_checked_by: "  ".into(), ..confirm(&number, "S-1") };
    assert_eq!(device.confirm(blank).await.unwrap(), refused("document_not_checked"));
    let named = v1::ConfirmReceiptRequest { document_checked_by: "0417".into(), ..confirm(&number, "S-1") };
    assert_eq!(device.confirm(named).await.unwrap(), (String::new(), ReceiptState::Confirmed, false));
}

#[tokio::test]
async fn receipts_of_a_drill_fail_a_production_check() {
    let center = TestCenter::live_with(|config| config.receipts.drill = true).await;
    let device = center.device("1").await;
    center.enrol(CARD).await;
    let answer = device.verify("T-1", &capture(CARD, 0.8)).await.unwrap();
    assert_eq!(Claims::unverified(&answer.receipt).unwrap().issuer, "countersign-drill");
    assert_eq!(check(&center, &answer.receipt, "T-1", CARD), Err(Refusal::Drill));
}

#[tokio::test]
async fn a_demonstration_settles_nothing_and_shadow_mode_tells_nothing() {
    let (center, device) = TestCenter::with_device().await;
    center.enrol(CARD).await;
    let shown = device.verify("T-1", &capture(CARD, 0.8)).await.unwrap();
    assert_eq!(check(&center, &shown.receipt, "T-1", CARD), Err(Refusal::Drill));
    center.apply(Policy::SHIPPED).await;
    for (transaction, cosine) in [("T-2", 0.8), ("T-3", 0.1)] {
        let told = device.verify(transaction, &capture(CARD, cosine)).await.unwrap();
        let claims = check(&center, &told.receipt, transaction, CARD).unwrap();
        assert_eq!((claims.decision, claims.disposition), (ReceiptDecision::NoDecision, Disposition::Settle));
        assert_eq!(claims.policy, told.policy_version);
    }
}

#[tokio::test]
async fn the_receipt_of_a_visit_serves_several_settlements_where_that_is_allowed() {
    let (center, device) = TestCenter::live().await;
    center.enrol(CARD).await;
    let reception = v1::Capture { scene: v1::Scene::Reception.into(), ..capture(CARD, 0.8) };
    let visit = device.verify("V-1", &reception).await.unwrap();
    assert_eq!(check(&center, &visit.receipt, "V-1", CARD).unwrap().uses, 3);
    let done = |repeated| (String::new(), ReceiptState::Confirmed, repeated);
    assert_eq!(device.confirm(confirm(&visit.receipt_number, "S-1")).await.unwrap(), done(false));
    assert_eq!(device.confirm(confirm(&visit.receipt_number, "S-2")).await.unwrap(), done(false));
    assert_eq!(device.confirm(confirm(&visit.receipt_number, "S-3")).await.unwrap(), done(false));
    assert_eq!(device.confirm(confirm(&visit.receipt_number, "S-4")).await.unwrap(), refused("used"));
    let registration = v1::Capture { scene: v1::Scene::Registration.into(), ..capture(CARD, 0.8) };
    let registered = device.verify("V-2", &registration).await.unwrap();
    assert_eq!(check(&center, &registered.receipt, "V-2", CARD), Err(Refusal::OtherScene), "where the policy does not say so, it does not");
}

#[tokio::test]
async fn fields_that_are_not_in_order_are_named() {
    let (_center, device) = TestCenter::live().await;
    let number = "28T5CY4TQKFF00938NKRG0";
    let long = "x".repeat(65);
    for (request, field) in [
        (confirm("", "S-1"), "receipt_number: expected"),
        (confirm(number, ""), "settlement: expected 1 to 64"),
        (confirm(number, &long), "settlement: expected 1 to 64"),
        (confirm(number, "S\n1"), "settlement: expected 1 to 64"),
        (v1::ConfirmReceiptRequest { amount_fen: 1_000_000_000_001, ..confirm(number, "S-1") }, "amount_fen: expected at most"),
        (v1::ConfirmReceiptRequest { document_checked_by: long.clone(), ..confirm(number, "S-1") }, "document_checked_by: expected"),
    ] {
        let status = device.confirm(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains(field), "{}", status.message());
    }
    let bare = device.reverse(number, &long).await.unwrap_err();
    assert!(bare.message().contains("settlement: expected 1 to 64"), "{}", bare.message());
}

#[tokio::test]
async fn a_stranger_can_neither_confirm_nor_find() {
    let (center, device) = TestCenter::live().await;
    let device = device.connect_bare(&center.address);
    assert!(device.confirm(confirm("28T5CY4TQKFF00938NKRG0", "S-1")).await.is_err());
    assert!(device.find_receipt("28T5CY4TQKFF00938NKRG0").await.is_err());
}

/// A till that ignores `hold` has nothing in its hands that settles: neither the center nor the settlement side takes it, and
/// another way or another document check in the same transaction brings no better one.
#[tokio::test]
async fn a_refusal_does_not_depend_on_the_tills_goodwill() {
    let (center, device) = TestCenter::live().await;
    center.enrol(CARD).await;
    let said = |same_person| {
        let check = v1::DocumentCheck { same_person, document_kind: v1::DocumentKind::ResidentIdentity.into() };
        attempt(CARD, Outcome::DocumentCheck(check))
    };
    let ways = [said(false), attempt(CARD, Outcome::OtherWay(v1::OtherWay {})), said(true)];
    for (number, way) in (1..).zip(&ways) {
        let answer = device.send(device.seal(&device.address("T-1", number), way)).await.unwrap();
        assert_eq!(answer.disposition(), v1::Disposition::Hold, "attempt {number}");
        assert_eq!(check(&center, &answer.receipt, "T-1", CARD), Err(Refusal::NotForSettlement));
        let by_name = v1::ConfirmReceiptRequest { document_checked_by: "0417".into(), ..confirm(&answer.receipt_number, "S-1") };
        for request in [confirm(&answer.receipt_number, "S-1"), by_name] {
            let (refusal, state, _) = device.confirm(request).await.unwrap();
            assert_eq!((refusal.as_str(), state), (Refusal::NotForSettlement.word(), ReceiptState::Issued));
        }
    }
}
