//! Supervision on a seeded history: a camera that drifts, an institution that was unlike the others from the first day, and what
//! pages, tables and reports say about them. Then the same in a browser.

use std::{fmt::Write as _, fs, path::Path, process::Command, sync::Arc};

use jiff::tz::TimeZone;
use matcher::{
    app::supervision::{Statistician, Turn, day_of, start_of},
    surroundings::{Surroundings, System},
};
use matcher_core::{console::Role, drift::DriftRule};

use super::{JPEG, PASSWORD, Visitor, add, browser::serve, center_with, desk};
use crate::{cases::Town, support::TestCenter};

const STORES: u64 = 12;
const DAYS: i64 = 60;
const CAPTURES: u64 = 60;
/// Whose camera drifts by half a standard deviation, for the last days.
const DRIFTING: u64 = 3;
const DRIFTS_FOR: i64 = 4;
/// Who lets three times as many strangers through as the others, from the first day.
const BAD: u64 = 7;

/// Numbers that look random and are the same every time.
struct Numbers(u64);

impl Numbers {
    fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as f64 + 0.5) / 2_f64.powi(31)
    }

    fn normal(&mut self) -> f64 {
        let (u, v) = (self.share(), self.share());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }
}

/// Writes weeks of decisions into the store of a center: whole days up to yesterday.
pub(super) fn history(center: &TestCenter) {
    let (zone, mut numbers) = (TimeZone::system(), Numbers(11));
    let today = day_of(System.now_ms(), &zone);
    let mut number = 0_u64;
    for day in today - DAYS..today {
        let mut rows = String::new();
        let start = start_of(day, &zone);
        for store in 1..=STORES {
            let of_day = 0.05 * numbers.normal();
            for place in 0..CAPTURES {
                number += 1;
                let drift = if store == DRIFTING && day >= today - DRIFTS_FOR { -0.5 } else { 0.0 };
                let stranger = numbers.share() < if store == BAD { 0.24 } else { 0.08 };
                let no_face = numbers.share() < 0.02;
                let score = 0.62 + 0.12 * (numbers.normal() + of_day + drift) - if stranger { 0.3 } else { 0.0 };
                let decision = if no_face {
                    "failure_to_acquire"
                } else if stranger {
                    "review"
                } else {
                    "match"
                };
                let at = start + 8 * 3_600_000 + place as i64 * 480_000;
                let scored = if no_face { "NULL, NULL, ''".to_owned() } else { format!("{score:.4}, 0.45, 'm@1'") };
                let comma = if rows.is_empty() { "" } else { ", " };
                let _ = write!(
                    rows,
                    "{comma}(x'{number:032x}', x'{number:032x}', 0, 'S{store:02}', 'H-{number}', 1, x'{number:064x}', 'S{store:02}-till', '1',
                     {number}, 'settlement', 'clerk-{store}', 'N', 'social_security_card', '', x'{number:064x}', '******{:04}', {}, {at},
                     '{decision}', '[]', 'settle', {scored}, 'p', 'live', '60-74')",
                    number % 10_000,
                    at - 400 - (numbers.share() * 500.0) as i64
                );
            }
        }
        center.meddle(&format!(
            "INSERT INTO verification (subject_id, id, known, institution, transaction_id, attempt, envelope_digest, device_id, counter, sequence, scene,
                 operator, notice, identifier_kind, identifier_region, identifier_hash, identifier_masked, captured_at, decided_at, decision, reasons,
                 disposition, score, match_threshold, model, policy_version, mode, age_band) VALUES {rows}"
        ));
    }
}

async fn count(center: &TestCenter) -> Turn {
    let statistician = Statistician {
        store: Arc::clone(&center.center.store),
        surroundings: Arc::new(System),
        zone: TimeZone::system(),
        rule: DriftRule::default(),
        kept_days: 1_095,
    };
    let first = statistician.turn(&|_, _| {}).await.unwrap();
    let again = statistician.turn(&|_, _| {}).await.unwrap();
    assert_eq!((again.judged, again.alarms), (0, 0), "a whole day is judged once");
    statistician.forget().await.unwrap();
    let anew = statistician.turn(&|_, _| {}).await.unwrap();
    assert_eq!(anew, first, "what is deleted comes back the same");
    first
}

fn has(body: &str, words: &[&str]) {
    for word in words {
        assert!(body.contains(word), "{word:?} is not in {body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drifting_camera_and_a_store_that_was_bad_from_the_start_are_found() {
    let (town, case) = desk().await;
    history(&town.center);
    let turn = count(&town.center).await;
    assert!(turn.counted >= DAYS as u64 && turn.judged >= 40 && (1..=20).contains(&turn.alarms), "{turn:?}");
    let mut susan = Visitor::signed_in(&town.center, "susan").await;
    let drift = susan.get("/drift").await;
    has(&drift.body, &["camera S03-till", "mean score", "standard deviations of scores"]);
    has(&drift.body, &["What traffic can show", "Scores a day", "Charts of the whole center"]);
    assert!(!drift.body.contains("S07-till"), "a steady history is no drift");
    let whole = susan.get("/drift/chart?by=total&store=&item=").await;
    assert!(whole.status == 200 && whole.body.matches("class=\"plot control\"").count() == 4, "{}", whole.body);
    let chart = susan.get("/drift/chart?by=camera&store=S03&item=S03-till").await;
    has(
        &chart.body,
        &["class=\"plot control\"", "class=\"alarm\"", "This is the new state", "An ordinary day has 5", "half a standard deviation"],
    );
    let peers = susan.get("/peers").await;
    has(&peers.body, &[">S07<", "so from the first day", "class=\"plot funnel\""]);
    assert!(!peers.body.contains(">S03</a>"), "the drifting camera's store is not outside");
    let figures = susan.get("/figures?by=camera&days=30").await;
    has(&figures.body, &["S12-till", "/queue?store=S12", "class=\"plot bars\"", "Wait in ms"]);
    has(&susan.get("/figures?by=age&days=30").await.body, &["60–74"]);
    has(&susan.get("/figures?by=operator&store=S02&days=30").await.body, &["clerk-2"]);
    let whole = susan.get("/figures?days=400").await;
    assert!(whole.status == 200 && susan.get("/drift/chart?by=operator&store=S03&item=x").await.status == 404);
    // Said to be the new state: the past begins anew, and the log says who said so.
    let from = jiff::Timestamp::from_millisecond(System.now_ms() - 4 * 86_400_000).unwrap().to_zoned(TimeZone::system()).date().to_string();
    let accept = [("by", "camera"), ("store", "S03"), ("item", "S03-till"), ("chart", "score"), ("from", from.as_str())];
    assert_eq!(susan.post("/drift/accept", &accept).await.status, 409, "not without a reason");
    let said: Vec<(&str, &str)> = accept.into_iter().chain([("reason", "another <camera>")]).collect();
    assert_eq!(susan.post("/drift/accept", &said).await.status, 303);
    let chart = susan.get("/drift/chart?by=camera&store=S03&item=S03-till").await;
    has(&chart.body, &["another &#60;camera&#62;"]);
    assert_eq!(town.center.count("SELECT count(*) FROM audit_entry WHERE action = 'drift_accepted' AND actor = 'susan'"), 1);
    // The auditor sees the same and says nothing about it.
    let mut otto = Visitor::signed_in(&town.center, "otto").await;
    has(&otto.get("/drift").await.body, &["S03-till"]);
    assert_eq!(otto.post("/drift/accept", &said).await.status, 403);
    let _ = case;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_masked_guarded_and_written_down() {
    let (town, _) = desk().await;
    town.center.meddle("UPDATE verification SET operator = '=1+1' WHERE transaction_id = 'T-1'");
    count_only(&town.center).await;
    let mut susan = Visitor::signed_in(&town.center, "susan").await;
    let today = jiff::Timestamp::from_millisecond(System.now_ms()).unwrap().to_zoned(TimeZone::system()).date();
    let (from, until) = (today.checked_sub(jiff::Span::new().days(30)).unwrap().to_string(), today.to_string());
    let fields = |table| vec![("table", table), ("from", from.as_str()), ("until", until.as_str()), ("reason", "the month's report")];
    let table = susan.post("/exports", &fields("verifications")).await;
    assert_eq!(table.header("content-type"), Some("text/csv; charset=utf-8"), "{table:?}");
    assert!(table.header("content-disposition").unwrap().starts_with("attachment; filename=\"verifications_"));
    has(&table.body, &["transaction,attempt,card,decision", "T-1", "T-4", "'=1+1", "*"]);
    assert!(!table.body.contains("A10020001"), "no whole number");
    for (table, word) in [("figures", "camera"), ("cases", "card_shared"), ("drift_alarms", "chart")] {
        has(&susan.post("/exports", &fields(table)).await.body, &[word]);
    }
    let refused: Vec<(&str, &str)> = fields("figures").into_iter().filter(|(name, _)| *name != "reason").collect();
    has(&susan.post("/exports", &refused).await.body, &["Please write a few words."]);
    let long = [("table", "figures"), ("from", "2000-01-01"), ("until", until.as_str()), ("reason", "all")];
    has(&susan.post("/exports", &long).await.body, &["Please write a few words."]);
    assert_eq!(town.center.count("SELECT count(*) FROM audit_entry WHERE action = 'table_exported' AND actor = 'susan'"), 4);
}

async fn count_only(center: &TestCenter) -> Turn {
    let statistician = Statistician {
        store: Arc::clone(&center.center.store),
        surroundings: Arc::new(System),
        zone: TimeZone::system(),
        rule: DriftRule::default(),
        kept_days: 1_095,
    };
    statistician.turn(&|_, _| {}).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_holds_digests_and_no_face_and_only_what_the_reader_may_know() {
    let (town, case) = desk().await;
    let mut susan = Visitor::signed_in(&town.center, "susan").await;
    let path = format!("/cases/{case}/report");
    assert_eq!(susan.get(&path).await.status, 403, "whoever may judge next reads no report");
    let mut anna = Visitor::signed_in(&town.center, "anna").await;
    for (step, fields) in [
        ("claim", vec![]),
        ("judge", vec![("judgement", "2")]),
        ("decide", vec![("verdict", "false_alarm"), ("reason", "a haircut, <b>no</b> more")]),
    ] {
        assert_eq!(anna.post(&format!("/cases/{case}/{step}"), &fields).await.status, 303);
    }
    town.center.meddle("UPDATE case_desk SET second_due = 0");
    let report = susan.get(&path).await;
    has(
        &report.body,
        &["Case report", "a haircut, &#60;b&#62;no", "SHA-256 of what the device signed", "1:", "Position of the audit log", "T-4"],
    );
    assert!(!report.body.contains("<img") && !report.body.contains("A10020001"), "{}", report.body);
    assert_eq!(anna.get(&path).await.status, 403, "a reviewer makes none");
    let digest = town.center.text("SELECT lower(hex(envelope_digest)) FROM verification WHERE transaction_id = 'T-1'");
    has(&report.body, &[&digest]);
    assert_eq!(town.center.count("SELECT count(*) FROM audit_entry WHERE action = 'case_reported' AND actor = 'susan'"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_tried_and_nothing_is_applied() {
    let (town, _) = desk().await;
    let mut susan = Visitor::signed_in(&town.center, "susan").await;
    has(&susan.get("/policies").await.body, &["holds", "Dry run"]);
    has(&susan.get("/policies/1").await.body, &["[scene", "match_at_least"]);
    assert_eq!(susan.get("/policies/99").await.status, 404);
    susan.get("/policy-trial").await;
    has(&susan.post("/policy-trial", &[("text", "version = <3")]).await.body, &["The text is no policy:", "&#60;3"]);
    let text = town.center.text("SELECT text FROM policy ORDER BY number DESC LIMIT 1");
    let lower = text.replace("match_at_least = 0.", "match_at_least = 0.9");
    assert_ne!(lower, text);
    assert_eq!(susan.post("/policy-trial", &[("text", &lower), ("days", "90")]).await.status, 303);
    let mut page = susan.get("/policy-trial").await;
    for _ in 0..200 {
        if page.body.contains("What came of it") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        page = susan.get("/policy-trial").await;
    }
    has(&page.body, &["What came of it", "Decisions that change", "By institution"]);
    assert_eq!(town.center.count("SELECT count(*) FROM policy"), 1, "nothing is applied");
    assert_eq!(town.center.count("SELECT count(*) FROM audit_entry WHERE action = 'policy_tried' AND actor = 'susan'"), 1);
    let long = "x".repeat(900 * 1024);
    assert_eq!(susan.post("/policy-trial", &[("text", &long)]).await.status, 413);
}

#[tokio::test(flavor = "multi_thread")]
async fn faces_are_searched_only_where_the_indexes_are() {
    let (town, case) = desk().await;
    let mut anna = Visitor::signed_in(&town.center, "anna").await;
    has(&anna.get("/face-search").await.body, &["This process does not keep the indexes of faces"]);
    let asked = anna.post("/face-search", &[("case", &case), ("reason", "who else?"), ("scope", "P1"), ("among", "institution")]).await;
    has(&asked.body, &["This process does not keep the indexes of faces"]);
    assert_eq!(town.center.count("SELECT count(*) FROM audit_entry WHERE action = 'face_searched'"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_face_is_searched_for_whoever_works_on_its_case_and_only_with_a_basis() {
    let mut town = Town::with(center_with(|config| config.identification.here = true).await).await;
    town.pictured([&JPEG, &JPEG, &JPEG]);
    town.shared_card("A10020001").await;
    town.run().await;
    add(&town.center, "anna", Role::Reviewer).await;
    let case = town.cases().await[0].case.id.to_string();
    let mut anna = Visitor::signed_in(&town.center, "anna").await;
    let fields = [("case", case.as_str()), ("reason", "who else?"), ("scope", "P1"), ("among", "institution")];
    has(&anna.get("/face-search").await.body, &["name=\"reason\""]);
    has(&anna.post("/face-search", &fields).await.body, &["There is no such case that you work on."]);
    for (step, fields) in [("claim", vec![]), ("judge", vec![("judgement", "-2")])] {
        assert_eq!(anna.post(&format!("/cases/{case}/{step}"), &fields).await.status, 303);
    }
    anna.get("/face-search").await;
    has(&anna.post("/face-search", &fields).await.body, &["Nothing was searched:", "cross_card_search"]);
    has(&anna.post("/face-search", &fields[..1]).await.body, &["Please write a few words."]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_and_an_auditor_do_their_work_in_a_browser() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/browser");
    let pictures = datasets::default_dir().join("registry-mini");
    if !tests.join("node_modules").is_dir() || !pictures.is_dir() {
        assert!(std::env::var_os("COUNTERSIGN_REQUIRE_MODELS").is_none(), "run .ci/setup test, and datasets fetch registry-mini");
        eprintln!("SKIPPED: no browser tests without `npm ci` in tests/browser and the pictures of registry-mini");
        return;
    }
    let picture = |name: &str| fs::read(pictures.join(name)).unwrap();
    let (photo, holder, stranger) = (picture("cl_franck_02888.jpg"), picture("cl_franck_04035.jpg"), picture("cl_sean_guru2_crop.jpg"));
    let mut town = Town::with(TestCenter::init().await).await;
    town.pictured([&photo, &holder, &stranger]);
    town.shared_card("A10020001").await;
    town.run().await;
    for (name, role) in [("anna", Role::Reviewer), ("susan", Role::Supervisor), ("otto", Role::Auditor)] {
        add(&town.center, name, role).await;
    }
    history(&town.center);
    count_only(&town.center).await;
    let folder = town.center.stop().await;
    let (_program, address) = serve(&folder.path().join("center")).await;
    let shots = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/screenshots");
    fs::create_dir_all(&shots).unwrap();
    let mut node = Command::new("node");
    node.arg("supervision.mjs").args([address.trim(), PASSWORD]).arg(&shots).current_dir(&tests);
    let output = tokio::task::spawn_blocking(move || node.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    for done in
        ["the drifting camera was found", "the store that was bad from the start was found", "the look was found and the log is whole"]
    {
        assert!(said.contains(done), "{said}");
    }
}
