//! Evidence over visits, through the service: faces are synthetic, days are put back in the database.

use std::sync::Arc;

use jiff::tz::TimeZone;
use matcher::{
    app::cases::{CaseRunSummary, CaseRunner, desk},
    config::Config,
    store::{RecordId, cases::StoredCase},
    surroundings::{Surroundings, System},
};
use matcher_core::{
    Policy,
    evidence::{CaseKind, CaseState, CaseVerdict, Drawn, EvidenceFile},
};
use models_core::{ModelId, RecipeId, Template};
use proto::v1::{self, capture::Outcome};

use crate::support::{TestCenter, TestDevice, attempt, models, probe};

const DAY_MS: i64 = 86_400_000;

/// A person's face: how like the reference, and in which direction it is like nobody else.
#[derive(Clone, Copy)]
struct Face(f32, usize);

const HOLDER: Face = Face(0.8, 1);
const STRANGER: Face = Face(0.0, 2);
const OLD_PHOTO: Face = Face(0.1, 3);

fn face(Face(likeness, direction): Face) -> v1::Template {
    let models = models();
    let current = models.current();
    let mut features = vec![0.0; current.dimension];
    features[0] = likeness;
    features[direction] = (1.0 - likeness * likeness).sqrt();
    let (model, recipe) = (current.model.as_str(), current.recipe.as_str());
    let template = Template::from_features(ModelId::new(model).unwrap(), RecipeId::new(recipe).unwrap(), &features).unwrap();
    v1::Template { model_id: model.into(), recipe_id: recipe.into(), features_f16: template.to_f16_le_bytes() }
}

/// A center with a device, and what gathers evidence there.
pub(crate) struct Town {
    pub(crate) center: TestCenter,
    device: TestDevice,
    pub(crate) runner: CaseRunner,
    visits: u32,
    pictures: Option<[Vec<u8>; 3]>,
}

impl Town {
    async fn new() -> Self {
        Self::with(TestCenter::init().await).await
    }

    /// The town of a center.
    pub(crate) async fn with(center: TestCenter) -> Self {
        let device = center.device("1").await;
        let settings = Config::shipped().unwrap().cases.settings().unwrap();
        let evidence = EvidenceFile::from_toml(EvidenceFile::SHIPPED).unwrap().check().unwrap();
        let runner = CaseRunner {
            center: center.center.clone(),
            surroundings: Arc::new(System),
            settings,
            evidence: Arc::new(evidence),
            zone: TimeZone::UTC,
        };
        Self { center, device, runner, visits: 0, pictures: None }
    }

    /// Pictures from now on: of photos, of holders and of strangers.
    pub(crate) fn pictured(&mut self, pictures: [&[u8]; 3]) {
        self.pictures = Some(pictures.map(<[u8]>::to_vec));
    }

    /// Somebody shows a card so many days ago.
    async fn visit(&mut self, card: &str, who: Face, days_ago: i64) {
        self.visits += 1;
        let transaction = format!("T-{}", self.visits);
        let mut sample = v1::ProbeSample { template: Some(face(who)), ..probe(0.8) };
        if let (Some(pictures), Some(first)) = (&self.pictures, &mut sample.sample) {
            first.jpeg.clone_from(&pictures[who.1.min(2)]);
            first.landmarks = vec![70.0, 80.0, 130.0, 80.0, 100.0, 110.0, 80.0, 140.0, 120.0, 140.0];
            sample.further_samples.clear();
        }
        self.device.verify(&transaction, &attempt(card, Outcome::Sample(sample))).await.unwrap();
        let at = System.now_ms() - days_ago * DAY_MS;
        self.center.meddle(&format!(
            "UPDATE verification SET captured_at = {at}, decided_at = {at} WHERE transaction_id = '{transaction}';
             UPDATE visit SET decided_at = {at} WHERE verification_id IN (SELECT id FROM verification WHERE transaction_id = '{transaction}');
             UPDATE case_run SET gathered_until = 0;"
        ));
    }

    /// A card whose holder and a stranger show it on two days each.
    pub(crate) async fn shared_card(&mut self, card: &str) {
        match &self.pictures {
            Some([photo, ..]) => self.center.enrol_pictured(card, photo).await,
            None => self.center.enrol(card).await,
        }
        for (who, days_ago) in [(HOLDER, 12), (STRANGER, 9), (HOLDER, 6), (STRANGER, 3)] {
            self.visit(card, who, days_ago).await;
        }
    }

    pub(crate) async fn run(&self) -> CaseRunSummary {
        self.runner.once().await.unwrap().unwrap()
    }

    pub(crate) async fn cases(&self) -> Vec<StoredCase> {
        self.center.center.store.cases(0, 100).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_faces_on_a_card_become_a_case_once() {
    let mut town = Town::new().await;
    town.shared_card("A10020001").await;
    let done = town.run().await;
    assert_eq!((done.people, done.strong, done.opened, done.recorded), (1, 1, 1, 0));
    let cases = town.cases().await;
    assert_eq!((cases.len(), cases[0].case.kind, cases[0].case.days), (1, CaseKind::CardShared, 2));
    let faces: Vec<(u32, bool)> = cases[0].case.members.iter().map(|member| (member.face, member.suspect)).collect();
    assert_eq!(faces, [(0, false), (1, true), (0, false), (1, true)]);
    assert!(cases[0].identifier_masked.contains('*') && !cases[0].identifier_masked.contains("A1002"));
    let again = town.run().await;
    assert_eq!((again.opened, town.cases().await.len()), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_face_never_like_the_photo_is_a_stale_reference_and_an_honest_card_nothing() {
    let mut town = Town::new().await;
    town.center.enrol("A10020001").await;
    town.center.enrol("A10020002").await;
    for days_ago in [8, 4] {
        town.visit("A10020001", OLD_PHOTO, days_ago).await;
        town.visit("A10020002", HOLDER, days_ago).await;
    }
    let done = town.run().await;
    assert_eq!((done.people, done.opened), (2, 1));
    assert_eq!(town.cases().await[0].case.kind, CaseKind::ReferenceStale);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_day_opens_no_case() {
    let mut town = Town::new().await;
    town.center.enrol("A10020001").await;
    town.visit("A10020001", HOLDER, 9).await;
    for _ in 0..4 {
        town.visit("A10020001", STRANGER, 3).await;
    }
    let done = town.run().await;
    assert_eq!((done.people, done.strong, done.opened), (1, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_desk_s_day_bounds_what_is_opened_and_the_rest_stays_recorded() {
    let mut town = Town::new().await;
    for card in ["A10020001", "A10020002", "A10020003"] {
        town.shared_card(card).await;
    }
    town.runner.settings.desk_a_day = 2;
    let done = town.run().await;
    assert_eq!((done.strong, done.opened, done.recorded), (3, 2, 1));
    let done = town.run().await;
    assert_eq!((done.strong, done.opened, done.recorded), (1, 0, 1), "the same day has no more room");
    town.runner.settings.desk_a_day = 3;
    assert_eq!(town.run().await.opened, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_tells_nobody_opens_no_case() {
    let mut town = Town::new().await;
    town.center.apply(Policy::SHIPPED).await;
    town.shared_card("A10020001").await;
    town.runner.settings.open_in_shadow = false;
    let done = town.run().await;
    assert_eq!((done.strong, done.opened, done.recorded), (1, 0, 1));
    assert!(town.cases().await.is_empty());
    let findings = town.center.center.store.findings(0.0, 0, i64::MAX, 9).await.unwrap();
    assert_eq!(findings.len(), 1, "it stays recorded");
    town.runner.settings.open_in_shadow = true;
    assert_eq!(town.run().await.opened, 1, "unless the settings say so");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_one_process_gathers_at_a_time() {
    let mut town = Town::new().await;
    town.shared_card("A10020001").await;
    let turn = town.center.center.store.take_case_run(System.now_ms(), 60_000).await.unwrap().unwrap();
    assert_eq!(town.runner.once().await.unwrap(), None);
    assert!(town.center.center.store.finish_case_run(turn.fence, 0, 0).await.unwrap());
    assert_eq!(town.run().await.opened, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_closed_case_was_about_opens_no_other() {
    let mut town = Town::new().await;
    town.runner.settings.quiet_days = 0;
    town.shared_card("A10020001").await;
    town.run().await;
    let store = town.center.center.store.as_ref();
    let id = town.cases().await[0].case.id;
    let now = System.now_ms();
    let view = desk::decide(store, id, "anna", now, (CaseVerdict::Proxy, "her son, with papers")).await.unwrap();
    assert_eq!((view.case.state(), view.case.verdict()), (CaseState::Decided, Some(CaseVerdict::Proxy)));
    let close = matcher_core::evidence::CaseStep { at: now, by: "anna".into(), event: matcher_core::evidence::CaseEvent::Closed };
    assert_eq!(desk::step(store, id, close).await.unwrap().case.state(), CaseState::Closed);
    assert_eq!(town.run().await.opened, 0);
    for days_ago in [2, 1] {
        town.visit("A10020001", STRANGER, days_ago).await;
    }
    assert_eq!(town.run().await.opened, 1, "what comes after it counts");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accusation_is_reviewed_by_a_second_person() {
    let mut town = Town::new().await;
    town.shared_card("A10020001").await;
    town.run().await;
    let store = town.center.center.store.as_ref();
    let id = town.cases().await[0].case.id;
    let confirmed = (CaseVerdict::Confirmed, "two people");
    desk::decide(store, id, "anna", 1, confirmed).await.unwrap();
    assert!(desk::decide(store, id, "anna", 2, confirmed).await.is_err());
    assert_eq!(desk::decide(store, id, "ben", 3, confirmed).await.unwrap().case.state(), CaseState::SecondReview);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_complaint_opens_a_case_whatever_the_desk_has_room_for() {
    let mut town = Town::new().await;
    town.center.enrol("A10020001").await;
    town.visit("A10020001", HOLDER, 1).await;
    let record = town.center.verifications().await.remove(0);
    let store = town.center.center.store.as_ref();
    let about = Some((record.subject.unwrap(), vec![record.id]));
    let view = desk::complain(store, &System, about.clone(), ("anna", "was asked for her document twice"), 0.005).await.unwrap();
    assert_eq!((view.stored.case.kind, view.case.state()), (CaseKind::Complaint, CaseState::Open));
    assert!(desk::complain(store, &System, about, ("anna", " "), 0.005).await.is_err());
    assert!(desk::complain(store, &System, None, ("anna", "something"), 0.005).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn yesterdays_matches_are_drawn_once_and_a_doubted_one_becomes_a_case() {
    let mut town = Town::new().await;
    town.center.enrol("A10020001").await;
    for _ in 0..5 {
        town.visit("A10020001", HOLDER, 1).await;
    }
    town.visit("A10020001", HOLDER, 0).await;
    town.runner.settings.draws_a_day = 2;
    assert_eq!([town.run().await.drawn, town.run().await.drawn], [2, 0]);
    let store = town.center.center.store.as_ref();
    let draws = store.draws(0).await.unwrap();
    assert!(draws.len() == 2 && draws.iter().all(|draw| (draw.inclusion - 0.4).abs() < 1e-9), "{draws:?}");
    let opened = desk::judge_draw(store, &System, draws[0].verification, ("anna", true), 0.005).await.unwrap().unwrap();
    assert_eq!(opened.stored.case.kind, CaseKind::RandomAudit);
    assert!(desk::judge_draw(store, &System, draws[1].verification, ("anna", false), 0.005).await.unwrap().is_none());
    assert!(desk::judge_draw(store, &System, draws[1].verification, ("ben", false), 0.005).await.is_err(), "once");
    assert!(desk::judge_draw(store, &System, RecordId([9; 16]), ("ben", false), 0.005).await.is_err());
    let misses = desk::misses(store, 0).await.unwrap();
    assert!((misses.false_matches - 2.5).abs() < 1e-9 && (misses.stands_for - 5.0).abs() < 1e-9, "{misses:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_ways_are_drawn_by_chance_and_one_that_was_not_in_order_becomes_a_case() {
    let mut town = Town::new().await;
    town.center.enrol("A10020001").await;
    for _ in 0..4 {
        town.visit("A10020001", HOLDER, 1).await;
    }
    town.center.meddle("UPDATE verification SET decision = 'other_way', reasons = '[\"other_way\"]'");
    town.runner.settings.other_way_draws_a_day = 1;
    assert_eq!([town.run().await.drawn, town.run().await.drawn], [1, 0]);
    let store = town.center.center.store.as_ref();
    let draws = store.draws(0).await.unwrap();
    assert_eq!((draws[0].drawn, draws[0].inclusion), (Drawn::OtherWay, 0.25));
    let opened = desk::judge_draw(store, &System, draws[0].verification, ("anna", true), 0.005).await.unwrap().unwrap();
    assert_eq!(opened.stored.case.kind, CaseKind::RandomAudit);
    let misses = desk::misses(store, 0).await.unwrap();
    assert_eq!(misses.reviewed, 0, "another way says nothing about false matches");
    assert_eq!(town.center.flag_words().await, [] as [&str; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_that_is_not_its_rows_is_no_evidence() {
    let mut town = Town::new().await;
    town.shared_card("A10020001").await;
    town.center.meddle("UPDATE probe SET template = (SELECT template FROM probe ORDER BY verification_id LIMIT 1)");
    let done = town.run().await;
    assert_eq!((done.people, done.strong, done.opened), (1, 0, 0), "only the row it belongs to opens");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_unlike_their_peers_is_flagged_once_a_week() {
    let mut town = Town::new().await;
    town.center.enrol("A10020001").await;
    town.visit("A10020001", HOLDER, 1).await;
    // Forty captures each of six operators, one of whom always finds another way.
    let columns = columns(&town, "verification");
    let select = columns.iter().map(|column| match column.as_str() {
        "id" => "randomblob(16)".to_owned(),
        "operator" => "'op-' || (n.i % 6)".to_owned(),
        "disposition" => "CASE WHEN n.i % 6 = 0 THEN 'other_way' ELSE v.disposition END".to_owned(),
        column => format!("v.{column}"),
    });
    town.center.meddle(&format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 240)
         INSERT INTO verification ({}) SELECT {} FROM verification AS v, n",
        columns.join(", "),
        select.collect::<Vec<_>>().join(", ")
    ));
    assert_eq!(town.run().await.patterns, 1);
    assert_eq!(town.center.flag_words().await, ["operator_pattern"]);
    town.center.meddle("DELETE FROM blind_draw; DELETE FROM draw_day");
    assert_eq!((town.run().await.patterns, town.center.flags().await.len()), (0, 1));
    let watched = desk::operators(town.center.center.store.as_ref(), 0).await.unwrap();
    let flagged: Vec<_> = watched.iter().filter(|watched| watched.flagged).map(|watched| watched.tally.who.operator.as_deref()).collect();
    assert_eq!(flagged, [Some("op-0")]);
}

fn columns(town: &Town, table: &str) -> Vec<String> {
    let database = rusqlite::Connection::open(town.center.dir.store()).unwrap();
    let mut statement = database.prepare("SELECT name FROM pragma_table_info(?1)").unwrap();
    statement.query_map([table], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_front_closes_a_confirmed_case_before_the_store_was_asked() {
    let mut town = Town::new().await;
    town.shared_card("A10020001").await;
    town.run().await;
    let store = town.center.center.store.as_ref();
    let id = town.cases().await[0].case.id;
    for by in ["anna", "ben"] {
        desk::decide(store, id, by, 1, (CaseVerdict::Confirmed, "two people")).await.unwrap();
    }
    let close = matcher_core::evidence::CaseStep { at: 3, by: "ben".into(), event: matcher_core::evidence::CaseEvent::Closed };
    let refused = desk::step(store, id, close).await.unwrap_err();
    assert_eq!(refused.to_string(), "the store has not been asked");
    assert_eq!(town.cases().await[0].steps.len(), 3);
}
