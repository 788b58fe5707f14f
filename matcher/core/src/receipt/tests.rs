//! Receipts as settlement sides meet them: those that hold, and every way not to.

use std::{collections::HashMap, convert::Infallible};

use proptest::prelude::*;

use super::*;
use crate::{Identifier, IdentifierKind, LookupKey, NoDecision, Region};

const NOW: i64 = 1_800_000_000;
const ISSUER: &str = "countersign-center";
const AUDIENCE: &str = "settlement";

fn center() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

fn drills() -> SigningKey {
    SigningKey::from_bytes(&[2; 32])
}

fn stranger() -> SigningKey {
    SigningKey::from_bytes(&[3; 32])
}

fn card(number: &str) -> CardMac {
    let identifier = Identifier::new(IdentifierKind::SocialSecurityCard, Region::default(), number).unwrap();
    identifier.card_mac(&SettlementKey::new([9; 32]))
}

pub(super) fn claims() -> Claims {
    Claims {
        issuer: ISSUER.into(),
        audience: AUDIENCE.into(),
        number: ReceiptNumber::from_random([0x5a; 16]),
        issued_at: NOW - 30,
        expires_at: NOW + 270,
        institution: "P330212".into(),
        transaction: "20261122-0001".into(),
        attempt: 1,
        scene: Scene::Settlement,
        scenes: Vec::new(),
        decision: ReceiptDecision::Match,
        disposition: Disposition::Settle,
        policy: "provisional-1".into(),
        card: card("A10020001"),
        uses: 1,
        amount_max_fen: None,
    }
}

fn settlement() -> Settlement<'static> {
    Settlement {
        id: "S-1",
        institution: "P330212",
        transaction: "20261122-0001",
        scene: Scene::Settlement,
        card: card("A10020001"),
        amount_fen: 12_345,
        document_checked_by: "",
        at_ms: NOW * 1000 + 999,
    }
}

/// Burned numbers in memory.
#[derive(Debug, Default)]
struct Memory(HashMap<ReceiptNumber, (Option<i64>, Vec<ReceiptUse>)>);

impl Burned for Memory {
    type Error = Infallible;

    fn burn(&mut self, take: &Take<'_>) -> Result<Burn, Infallible> {
        let (reversed_at, uses) = self.0.entry(take.number).or_default();
        let life = Life { uses_max: take.uses_max, reversed_at: *reversed_at, uses };
        Ok(match life.confirm(take.settlement, take.amount_fen) {
            Ok(Step::Before) => Burn::Before,
            Err(refusal) => Burn::Refused(refusal),
            Ok(Step::New) => {
                let (settlement, amount_fen) = (take.settlement.to_owned(), take.amount_fen);
                uses.push(ReceiptUse { settlement, amount_fen, document_checked_by: String::new(), confirmed_at: 1, reversed_at: None });
                Burn::Now
            }
        })
    }
}

fn ask(compact: &str, settlement: &Settlement<'_>, burned: &mut Memory) -> Result<Claims, Refusal> {
    let (keys, drill_keys) = (KeySet::new([center().verifying_key()]), KeySet::new([drills().verifying_key()]));
    let drill = Some(Drill { issuer: "countersign-drill", keys: &drill_keys });
    let checker = Checker { issuer: ISSUER, audience: AUDIENCE, keys: &keys, drill };
    checker.check(compact, settlement, burned).map_err(|error| match error {
        CheckError::Refused(refusal) => refusal,
        CheckError::Burned(never) => match never {},
    })
}

/// A receipt of these claims by the center, for this settlement, with nothing burned yet.
#[track_caller]
fn check(claims: &Claims, settlement: &Settlement<'_>, expected: Result<(), Refusal>) {
    check_compact(&claims.sign(&center()), settlement, expected);
}

#[track_caller]
fn check_compact(compact: &str, settlement: &Settlement<'_>, expected: Result<(), Refusal>) {
    let mut burned = Memory::default();
    assert_eq!(ask(compact, settlement, &mut burned).map(drop), expected);
    assert_eq!(burned.0.len(), usize::from(expected.is_ok()), "only what holds is burned");
}

#[test]
fn a_receipt_holds_for_its_own_settlement() {
    check(&claims(), &settlement(), Ok(()));
    check(&claims(), &Settlement { at_ms: (NOW - 30) * 1000, ..settlement() }, Ok(()));
    check(&claims(), &Settlement { at_ms: (NOW + 270) * 1000 - 1, ..settlement() }, Ok(()));
    check(&Claims { issued_at: NOW + 60, ..claims() }, &settlement(), Ok(()));
    check(&Claims { disposition: Disposition::SettleFlagged, decision: ReceiptDecision::Review, ..claims() }, &settlement(), Ok(()));
    check(&Claims { amount_max_fen: Some(12_345), ..claims() }, &settlement(), Ok(()));
}

#[test]
fn a_valid_signature_alone_is_not_enough() {
    let compact = Claims { institution: "P330299".into(), ..claims() }.sign(&center());
    let keys = KeySet::new([center().verifying_key()]);
    assert!(Claims::verified(&compact, &keys).is_ok(), "the center signed it");
    check_compact(&compact, &settlement(), Err(Refusal::OtherInstitution));
    let expired = Claims { issued_at: NOW - 900, expires_at: NOW, ..claims() }.sign(&center());
    assert!(Claims::verified(&expired, &keys).is_ok(), "the center signed it");
    check_compact(&expired, &settlement(), Err(Refusal::Expired));
}

#[test]
fn every_claim_is_compared_and_each_has_its_own_refusal() {
    let with = |change: fn(&mut Claims)| {
        let mut claims = claims();
        change(&mut claims);
        claims
    };
    check(&with(|c| c.issuer = "another-center".into()), &settlement(), Err(Refusal::ForeignIssuer));
    check(&with(|c| c.issuer = "countersign-drill".into()), &settlement(), Err(Refusal::Drill));
    check(&with(|c| c.audience = "pharmacy".into()), &settlement(), Err(Refusal::ForeignAudience));
    check(&with(|c| c.expires_at = c.issued_at + 901), &settlement(), Err(Refusal::TooLongLived));
    check(&with(|c| c.expires_at = c.issued_at + 900), &settlement(), Ok(()));
    check(&with(|c| c.issued_at = NOW + 61), &settlement(), Err(Refusal::NotYetValid));
    check(&with(|c| c.expires_at = NOW), &settlement(), Err(Refusal::Expired));
    check(&with(|c| c.institution = "P330213".into()), &settlement(), Err(Refusal::OtherInstitution));
    check(&with(|c| c.transaction = "20261122-0002".into()), &settlement(), Err(Refusal::OtherTransaction));
    check(&with(|c| c.scene = Scene::Reception), &settlement(), Err(Refusal::OtherScene));
    check(&with(|c| c.card = card("A10020002")), &settlement(), Err(Refusal::OtherCard));
    check(&with(|c| c.amount_max_fen = Some(12_344)), &settlement(), Err(Refusal::OtherAmount));
    check(&with(|c| c.disposition = Disposition::Hold), &settlement(), Err(Refusal::NotForSettlement));
    check(&with(|c| c.disposition = Disposition::OtherWay), &settlement(), Err(Refusal::NotForSettlement));
    check(&with(|c| c.disposition = Disposition::Retry), &settlement(), Err(Refusal::NotForSettlement));
    let to_check = with(|c| c.disposition = Disposition::DocumentCheck);
    check(&to_check, &settlement(), Err(Refusal::DocumentNotChecked));
    check(&to_check, &Settlement { document_checked_by: "0417", ..settlement() }, Ok(()));
}

#[test]
fn a_receipt_is_used_once_and_the_same_settlement_may_ask_again() {
    let (mut burned, compact) = (Memory::default(), claims().sign(&center()));
    for _ in 0..2 {
        assert_eq!(ask(&compact, &settlement(), &mut burned).map(drop), Ok(()));
    }
    let other_amount = Settlement { amount_fen: 12_346, ..settlement() };
    assert_eq!(ask(&compact, &other_amount, &mut burned), Err(Refusal::OtherAmount));
    let replayed = Settlement { id: "S-2", ..settlement() };
    assert_eq!(ask(&compact, &replayed, &mut burned), Err(Refusal::Used));
    burned.0.values_mut().for_each(|(reversed_at, _)| *reversed_at = Some(NOW));
    assert_eq!(ask(&compact, &settlement(), &mut burned), Err(Refusal::Reversed));
}

#[test]
fn a_receipt_of_a_visit_serves_the_scenes_and_the_number_of_settlements_it_says() {
    let visit = Claims { scene: Scene::Reception, scenes: vec![Scene::Settlement], uses: 2, ..claims() };
    let (mut burned, compact) = (Memory::default(), visit.sign(&center()));
    let with_id = |id| Settlement { id, ..settlement() };
    assert_eq!(ask(&compact, &with_id("S-1"), &mut burned), Ok(visit.clone()));
    assert_eq!(ask(&compact, &with_id("S-2"), &mut burned), Ok(visit));
    assert_eq!(ask(&compact, &with_id("S-3"), &mut burned), Err(Refusal::Used));
}

#[test]
fn forgeries_have_their_own_reasons() {
    let key = |key: &SigningKey| claims().sign(key);
    check_compact(&key(&stranger()), &settlement(), Err(Refusal::UnknownKey));
    check_compact(&key(&drills()), &settlement(), Err(Refusal::Drill));
    check_compact(&Claims { issuer: "countersign-drill".into(), ..claims() }.sign(&drills()), &settlement(), Err(Refusal::Drill));
    let header = |text: &str| {
        let signed = key(&center());
        let (_, rest) = signed.split_once('.').unwrap();
        format!("{}.{rest}", jws::encode(text.as_bytes()))
    };
    let kid = key_id(&center().verifying_key());
    let named = |alg: &str, typ: &str| header(&format!(r#"{{"alg":"{alg}","kid":"{kid}","typ":"{typ}"}}"#));
    check_compact(&named("EdDSA", TYPE), &settlement(), Ok(()));
    for algorithm in ["none", "None", "HS256", "ES256", "Ed25519", ""] {
        check_compact(&named(algorithm, TYPE), &settlement(), Err(Refusal::WrongAlgorithm));
    }
    check_compact(&named("EdDSA", "JWT"), &settlement(), Err(Refusal::WrongType));
    check_compact(&named("EdDSA", provisional::TYPE), &settlement(), Err(Refusal::Provisional));
    check_compact(&header(&format!(r#"{{"alg":"EdDSA","kid":"{kid}"}}"#)), &settlement(), Err(Refusal::WrongType));
    check_compact(&header(&format!(r#"{{"alg":"EdDSA","typ":"{TYPE}"}}"#)), &settlement(), Err(Refusal::Malformed));
    for extra in [r#""crit":["x"]"#, r#""jwk":{}"#, r#""alg":"none""#, r#""x5c":["AA"]"#] {
        let text = format!(r#"{{"alg":"EdDSA","kid":"{kid}","typ":"{TYPE}",{extra}}}"#);
        check_compact(&header(&text), &settlement(), Err(Refusal::Malformed));
    }
}

/// The center's signature over claims as some text has them.
fn signed(claims: &str) -> String {
    let own = self::claims().sign(&center());
    let signed = format!("{}.{}", own.split('.').next().unwrap(), jws::encode(claims.as_bytes()));
    let signature = ed25519_dalek::Signer::sign(&center(), signed.as_bytes());
    format!("{signed}.{}", jws::encode(&signature.to_bytes()))
}

#[track_caller]
fn check_claims(from: &str, to: &str) {
    let text = claims().to_json();
    assert!(text.contains(from), "{text}");
    check_compact(&signed(&text.replace(from, to)), &settlement(), Err(Refusal::Malformed));
}

#[test]
fn claims_that_are_missing_unknown_twice_or_out_of_range_are_refused_even_when_signed() {
    check_compact(&signed(&claims().to_json()), &settlement(), Ok(()));
    check_claims(r#","policy":"provisional-1""#, "");
    check_claims(r#""policy":"#, r#""nbf":1,"policy":"#);
    check_claims(r#""policy":"#, r#""policy":"x","policy":"#);
    check_claims(r#""attempt":1"#, r#""attempt":0"#);
    check_claims(r#""attempt":1"#, r#""attempt":100"#);
    check_claims(r#""attempt":1"#, r#""attempt":1,"uses":0"#);
    check_claims(r#""attempt":1"#, r#""attempt":1,"uses":100"#);
    check_claims(r#""attempt":1"#, r#""attempt":1.0"#);
    check_claims(r#""iat":1799999970"#, r#""iat":"1799999970""#);
    check_claims(r#""iat":1799999970"#, r#""iat":1799999970.5"#);
    check_claims(r#""iat":1"#, r#""iat":9"#);
    check_claims(r#""iat":1799999970"#, r#""iat":1800000270"#);
    check_claims(r#""scene":"settlement""#, r#""scene":"anywhere""#);
    check_claims(r#""scene":"settlement""#, r#""scene":"settlement","scenes":["anywhere"]"#);
    check_claims(r#""decision":"match""#, r#""decision":"perhaps""#);
    check_claims(r#""disposition":"settle""#, r#""disposition":"wave_through""#);
    check_claims(r#""card_mac":""#, r#""card_mac":"AAAA"#);
    check_claims(r#""jti":""#, r#""jti":"-"#);
    check_claims(r#""institution":"P330212""#, r#""institution":"""#);
    check_claims(r#""institution":"P330212""#, r#""institution":"P\n1""#);
    check_claims("P330212", &"x".repeat(129));
}

#[test]
fn what_goes_without_saying_is_not_said() {
    let text = claims().to_json();
    assert!(!["uses", "scenes", "amount_max_fen"].iter().any(|name| text.contains(name)), "{text}");
    check_compact(&signed(&text.replace(r#""attempt":1"#, r#""attempt":1,"uses":1"#)), &settlement(), Ok(()));
}

/// The longest names make a receipt longer than any is.
#[test]
fn a_receipt_is_at_most_4096_bytes_long_however_well_it_is_signed() {
    let keys = KeySet::new([center().verifying_key()]);
    let name = "\u{10348}".repeat(128);
    let with = |last: usize| Claims {
        issuer: name.clone(),
        audience: name.clone(),
        institution: name.clone(),
        transaction: name.clone(),
        policy: format!("{}{}", "\u{10348}".repeat(last / 4), "x".repeat(last % 4)),
        scenes: Scene::ALL.to_vec(),
        uses: USES_MAX,
        amount_max_fen: Some(u64::MAX),
        ..claims()
    };
    let mut lens = Vec::new();
    for last in 400..=500 {
        let compact = with(last).sign(&center());
        let expected = if compact.len() <= 4096 { Ok(()) } else { Err(Refusal::Malformed) };
        assert_eq!(Claims::verified(&compact, &keys).map(drop), expected, "{} bytes", compact.len());
        lens.push(compact.len());
    }
    assert!(lens.contains(&4096) && lens.iter().any(|len| *len > 4096), "{:?}", lens.last());
}

#[test]
fn what_is_no_token_is_malformed() {
    let good = claims().sign(&center());
    assert!(good.len() < 1_000, "{}", good.len());
    let parts: Vec<&str> = good.split('.').collect();
    for text in
        ["", ".", "..", "...", "a.b.c", parts[0], &parts[..2].join("."), &format!("{good}."), &format!("{good}.x"), &format!(" {good}")]
    {
        check_compact(text, &settlement(), Err(Refusal::Malformed));
    }
    check_compact(&format!("{}.{}", parts[0], "A".repeat(5_000)), &settlement(), Err(Refusal::Malformed));
    check_compact(&format!("{good}="), &settlement(), Err(Refusal::Malformed));
}

#[test]
fn a_card_is_named_under_a_key_of_its_own() {
    let of = |kind, region: &str, number, key| {
        Identifier::new(kind, Region::new(region).unwrap(), number).unwrap().card_mac(&SettlementKey::new([key; 32]))
    };
    let kind = IdentifierKind::SocialSecurityCard;
    let base = of(kind, "", "A10020001", 9);
    assert_eq!(base, of(kind, "", "Ａ1002-0001", 9));
    for other in [of(kind, "330200", "A10020001", 9), of(kind, "", "A10020002", 9), of(kind, "", "A10020001", 8)] {
        assert_ne!(base, other);
    }
    let identifier = Identifier::new(kind, Region::default(), "A10020001").unwrap();
    assert_ne!(identifier.keyed_hash(&LookupKey::new([9; 32])), base.0, "even under the same bytes it is not the look-up's hash");
}

#[test]
fn debug_shows_neither_key_nor_card() {
    let text = format!("{:?} {:?}", SettlementKey::new([9; 32]), claims());
    assert!(text.contains("SettlementKey([redacted])") && text.contains("CardMac([redacted])"), "{text}");
}

#[test]
fn all_kinds_of_no_decision_share_one_word() {
    for decision in [Decision::Match, Decision::Review, Decision::NonMatch, Decision::NoDecision(NoDecision::NoReference)] {
        assert_eq!(ReceiptDecision::from(decision).word(), decision.word());
    }
}

fn any_claims() -> impl Strategy<Value = Claims> {
    let names = ("\\PC{1,64}", "\\PC{1,64}", "[ -~]{1,64}");
    let words = (prop::sample::select(Scene::ALL), prop::sample::select(ReceiptDecision::ALL), prop::sample::select(Disposition::ALL));
    let numbers = (1_u32..=99, 1_u32..=99, 1_i64..=900, any::<Option<u64>>(), any::<[u8; 16]>(), any::<[u8; 32]>());
    let scenes = prop::collection::vec(prop::sample::select(Scene::ALL), 0..=1);
    (names, words, numbers, scenes).prop_map(|(names, words, numbers, scenes)| Claims {
        institution: names.0,
        transaction: names.1,
        policy: names.2,
        scene: words.0,
        decision: words.1,
        disposition: words.2,
        attempt: numbers.0,
        uses: numbers.1,
        expires_at: NOW + numbers.2,
        issued_at: NOW,
        amount_max_fen: numbers.3,
        number: ReceiptNumber::from_random(numbers.4),
        card: CardMac(numbers.5),
        scenes,
        ..claims()
    })
}

proptest! {
    #[test]
    fn claims_come_back_as_they_were_signed(claims in any_claims()) {
        let compact = claims.sign(&center());
        prop_assert!(compact.len() <= jws::LEN_MAX);
        prop_assert_eq!(Claims::verified(&compact, &KeySet::new([center().verifying_key()])), Ok(claims.clone()));
        prop_assert_eq!(Claims::unverified(&compact), Ok(claims));
    }

    #[test]
    fn any_change_of_one_byte_is_refused(at in any::<prop::sample::Index>(), to in 0_u8..128) {
        let mut bytes = claims().sign(&center()).into_bytes();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != to);
        bytes[at] = to;
        let compact = String::from_utf8(bytes).unwrap();
        prop_assert!(ask(&compact, &settlement(), &mut Memory::default()).is_err());
    }

    #[test]
    fn any_bytes_are_taken_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let text = String::from_utf8_lossy(&bytes);
        prop_assert!(ask(&text, &settlement(), &mut Memory::default()).is_err());
        let dotted = format!("{}.{}.{}", jws::encode(&bytes), jws::encode(text.as_bytes()), jws::encode(&bytes));
        prop_assert!(ask(&dotted, &settlement(), &mut Memory::default()).is_err());
        prop_assert!(provisional::ProvisionalClaims::check(&text, AUDIENCE, |_| None).is_err());
    }
}
