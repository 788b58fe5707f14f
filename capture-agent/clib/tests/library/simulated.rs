//! What the simulator does, through the local API: every outcome of the shipped script, the true state machine behind it, and
//! receipts that no check in production takes.

use std::fs;

use capture_agent::simulate::receipt::{ISSUER, SETTLEMENT_KEY};
use matcher_core::{
    decision::Scene,
    identifier::{Identifier, IdentifierKind, Region},
    receipt::{Checker, Drill, KeySet, Refusal, Settlement, SettlementKey, check},
};
use serde_json::{Value, json};

use crate::simulator::Simulator;

impl Simulator {
    /// Posts a body; without one, gets.
    fn ask(&self, path: &str, body: Option<Value>) -> (u16, Value) {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let (uri, bearer) = (format!("http://{}{path}", self.address), format!("Bearer {}", self.token()));
        let answered = match body {
            Some(body) => agent.post(uri).header("authorization", bearer).header("content-type", "application/json").send(body.to_string()),
            None => agent.get(uri).header("authorization", bearer).call(),
        };
        let mut response = answered.unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        (response.status().as_u16(), serde_json::from_str(&text).unwrap())
    }

    fn verify(&self, card: &str, scene: &str) -> (u16, Value) {
        let transaction = format!("V-{card}-{scene}");
        self.ask("/v1/verifications", Some(json!({ "transaction": transaction, "scene": scene, "card": card })))
    }

    #[track_caller]
    fn decides(&self, card: &str, decision: &str, disposition: &str) -> Value {
        let (status, answer) = self.verify(card, "settlement");
        let said = (status, answer["decision"].as_str(), answer["disposition"].as_str());
        assert_eq!(said, (200, Some(decision), Some(disposition)), "{card}: {answer}");
        answer
    }

    #[track_caller]
    fn refuses(&self, card: &str, scene: &str, code: &str) {
        let (_, answer) = self.verify(card, scene);
        assert_eq!(answer["error"]["code"].as_str(), Some(code), "{card}: {answer}");
    }
}

#[test]
fn the_end_of_the_card_number_says_what_comes_of_it() {
    let simulator = Simulator::start();
    simulator.decides("A10020000", "match", "settle");
    simulator.decides("A10020001", "review", "settle_flagged");
    simulator.decides("A10020002", "non_match", "document_check");
    assert_eq!(simulator.decides("A10020003", "no_decision", "document_check")["reasons"], json!(["no_reference"]));
    assert_eq!(simulator.decides("A10020004", "no_decision", "document_check")["reasons"], json!(["attack_suspected"]));
    simulator.decides("A10020005", "non_match", "hold");
    simulator.decides("A10020006", "review", "retry");
    simulator.decides("A10020011", "no_decision", "other_way");
    assert_eq!(simulator.decides("A10020012", "no_decision", "retry")["reasons"], json!(["several_faces"]));
    simulator.decides("A10020013", "no_decision", "other_way");
    let alone = simulator.decides("A10020020", "no_decision", "settle_flagged");
    assert_eq!((&alone["degraded"], &alone["reasons"]), (&true.into(), &json!(["center_unreachable"])));
    assert!(simulator.decides("A10020021", "match", "settle")["elapsed_ms"].as_u64().unwrap() >= 3_000);
    let lost = simulator.decides("A10020022", "match", "settle");
    assert_eq!((&lost["repeated_answer"], &lost["degraded"]), (&true.into(), &false.into()));
    simulator.refuses("A10020023", "settlement", "request_refused");
    simulator.refuses("A10020024", "settlement", "device_refused");
    simulator.refuses("A10020025", "settlement", "center_failed");
    simulator.refuses("A10020030", "settlement", "camera_absent");
    simulator.refuses("A10020031", "settlement", "camera_busy");
    simulator.refuses("A10020032", "settlement", "camera_lost");
    simulator.refuses("A10020033", "settlement", "camera_stalled");
    simulator.refuses("A10020034", "settlement", "camera_black");
    simulator.refuses("A10020020", "reception", "lease_expired");
    simulator.refuses("A10020020", "registration", "center_unreachable");
    // Whatever came before, the next one is well.
    simulator.decides("A10020100", "match", "settle");
}

#[test]
fn a_way_without_a_face_is_recorded_while_nothing_may_be_answered() {
    let simulator = Simulator::start();
    let open = json!({ "transaction": "R1", "scene": "reception", "card": "A10020020" });
    assert_eq!(simulator.ask("/v1/transactions", Some(open)).0, 201);
    let (status, recorded) = simulator.ask("/v1/transactions/R1/other-way", Some(json!({})));
    assert_eq!((status, recorded["error"]["code"].as_str()), (503, Some("recorded_only")), "{recorded}");
}

#[test]
fn transactions_are_the_agents_own() {
    let simulator = Simulator::start();
    let open = json!({ "transaction": "T1", "scene": "settlement", "card": "A10020000" });
    assert_eq!(simulator.ask("/v1/transactions", Some(open.clone())).0, 201);
    assert_eq!(simulator.ask("/v1/transactions", Some(open)).0, 200, "the same again finds it");
    let other = json!({ "transaction": "T1", "scene": "settlement", "card": "A10020001" });
    assert_eq!(simulator.ask("/v1/transactions", Some(other)).1["error"]["code"], "transaction_conflict");
    let settle = json!({ "settlement": "S1", "amount_fen": 1250 });
    assert_eq!(simulator.ask("/v1/transactions/T1/confirm", Some(settle.clone())).1["error"]["code"], "not_to_be_settled");
    let first = simulator.ask("/v1/transactions/T1/attempts", Some(json!({ "attempt": 1 }))).1;
    let again = simulator.ask("/v1/transactions/T1/attempts", Some(json!({ "attempt": 1 }))).1;
    assert_eq!((&again["receipt"], &again["repeated_answer"]), (&first["receipt"], &true.into()));
    let confirmed = simulator.ask("/v1/transactions/T1/confirm", Some(settle)).1;
    assert_eq!((&confirmed["state"], &confirmed["settlements"][0]["state"]), (&"confirmed".into(), &"done".into()), "{confirmed}");
    let burnt = simulator.ask("/v1/transactions/T1/confirm", Some(json!({ "settlement": "S2", "amount_fen": 9 }))).1;
    assert_eq!((&burnt["settlements"][1]["state"], &burnt["settlements"][1]["refusal"]), (&"refused".into(), &"used".into()), "{burnt}");
    let reversed = simulator.ask("/v1/transactions/T1/reverse", Some(json!({}))).1;
    assert_eq!(reversed["state"], "reversed", "{reversed}");
    assert_eq!(simulator.ask("/v1/transactions/T1", None).1["state"], "reversed");
}

#[test]
fn somebody_elses_folder_is_left_alone() {
    use capture_agent::simulate::{SimulateError, Simulation, script::Script, simulate};
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("device.key"), "a real one").unwrap();
    let simulation = Simulation {
        folder: folder.path().to_owned(),
        listen: ([127, 0, 0, 1], 0).into(),
        requests_per_s: 20,
        script: Script::read("").unwrap(),
    };
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let refused = runtime.block_on(simulate(simulation, stopped, |_| Ok(())));
    assert!(matches!(refused, Err(SimulateError::Foreign(_))), "{refused:?}");
    assert_eq!(fs::read_to_string(folder.path().join("device.key")).unwrap(), "a real one");
}

/// A check as a settlement side makes it, with another center's keys.
#[track_caller]
fn refused(receipt: &str, keys: &KeySet, drill: Option<Drill<'_>>, expected: Refusal) {
    let production = Checker { issuer: "https://center.example", audience: "settlement", keys, drill };
    assert_eq!(production.verify(receipt).unwrap_err(), expected);
}

#[test]
fn no_check_in_production_takes_its_receipts() {
    let simulator = Simulator::start();
    let answer = simulator.decides("A10020000", "match", "settle");
    let receipt = answer["receipt"].as_str().unwrap();
    let own = KeySet::from_jwks(&fs::read_to_string(simulator.state().join("jwks.json")).unwrap()).unwrap();
    refused(receipt, &KeySet::default(), None, Refusal::UnknownKey);
    refused(receipt, &KeySet::default(), Some(Drill { issuer: ISSUER, keys: &own }), Refusal::Drill);
    // Even where somebody put its key among those of the center.
    refused(receipt, &own, None, Refusal::ForeignIssuer);
    let named = Checker { issuer: ISSUER, audience: "settlement", keys: &own, drill: None };
    assert_eq!(named.verify(receipt).unwrap_err(), Refusal::ForeignAudience);
    let alone = simulator.decides("A10020020", "no_decision", "settle_flagged");
    refused(alone["receipt"].as_str().unwrap(), &own, None, Refusal::Provisional);
}

#[test]
fn a_check_that_is_told_to_expect_them_finds_every_claim() {
    let simulator = Simulator::start();
    let answer = simulator.decides("A10020000", "match", "settle");
    let own = KeySet::from_jwks(&fs::read_to_string(simulator.state().join("jwks.json")).unwrap()).unwrap();
    let checker = Checker { issuer: ISSUER, audience: ISSUER, keys: &own, drill: None };
    let claims = checker.verify(answer["receipt"].as_str().unwrap()).unwrap();
    let card = |number| Identifier::new(IdentifierKind::SocialSecurityCard, Region::default(), number).unwrap();
    let settlement = |number| Settlement {
        id: "S1",
        institution: "SIMULATOR",
        transaction: "V-A10020000-settlement",
        scene: Scene::Settlement,
        card: card(number).card_mac(&SettlementKey::new(SETTLEMENT_KEY)),
        amount_fen: 1,
        document_checked_by: "",
        at_ms: claims.issued_at * 1000,
    };
    assert_eq!(check::compare(&claims, &settlement("A10020000")), Ok(()));
    assert_eq!(check::compare(&claims, &settlement("A10020001")), Err(Refusal::OtherCard));
    let short = receipt_form::short::of(claims.number);
    assert_eq!((answer["receipt_number"].as_str(), answer["receipt_short"].as_str()), (Some(&*claims.number.to_string()), Some(&*short)));
}
