//! Known-answer cases: they look like all others, are answered like all others, and nothing follows from them.

mod everywhere;

use matcher::{
    app::{
        cases::seeding::capture_id,
        sample::{Sample, quality_to_bytes, samples_to_bytes},
        seeds::{NewPair, SeedError, add as add_pair},
    },
    store::{
        RecordId, SealedProbe, SubjectId,
        desk::QueueFilter,
        seeds::{SeedCapture, SeedPair, SeedPictures},
        webhook::ToTellIn,
    },
    surroundings::{Surroundings, System},
    vault::RecordContext,
};
use matcher_core::{
    console::Role,
    evidence::{CaseEvent, CaseStep},
};
use models_core::{Component, Quality};

use super::{Answer, JPEG, Visitor, add, center};
use crate::{cases::Town, recheck::Eyes};

/// A pair with pictures that can be opened, as `matcher seeds add` makes them of files.
async fn pair(town: &Town, name: &str, mated: bool) {
    let id = System.new_record();
    let leading = SubjectId(id.0);
    let vault = &town.center.center.vault;
    let (key, data_key) = vault.new_data_key(leading);
    let mut seen = Quality::default();
    seen.set(Component::Sharpness, 0.5, 61);
    let sample = Sample {
        jpeg: JPEG.to_vec(),
        landmarks: [70.0, 80.0, 130.0, 80.0, 100.0, 110.0, 80.0, 140.0, 120.0, 140.0],
        face_box: [40.0, 40.0, 160.0, 180.0],
        quality: seen,
    };
    let capture = |(number, own): (usize, bool)| SeedCapture {
        own,
        score: if own { 0.79 } else { 0.01 },
        live: Some(0.9),
        sample: key.seal(&RecordContext::probe_sample(leading, capture_id(number)), &samples_to_bytes(std::slice::from_ref(&sample))),
    };
    let mut quality = Quality::default();
    quality.set(Component::InterEyeDistance, 60.0, 80);
    let photo = SealedProbe {
        sample: key.seal(&RecordContext::enrolment_photo(leading, id), &JPEG),
        template: key.seal(&RecordContext::enrolment_quality(leading, id), &quality_to_bytes(&quality)),
    };
    let captures = [false, false, true, true].into_iter().enumerate().map(capture).collect();
    let pair = SeedPair {
        id,
        name: name.into(),
        licence: "CC BY 4.0".into(),
        mated,
        score: 0.01,
        model: "m@1".into(),
        recipe: "r@1".into(),
        added_at: System.now_ms(),
        added_by: "adam".into(),
        retired_at: None,
    };
    assert!(town.center.center.store.add_seed_pair(pair, SeedPictures { data_key, photo, captures }).await.unwrap());
}

/// A center with eight cases of evidence and two known-answer ones beside them.
async fn town() -> Town {
    let mut town = Town::with(center().await).await;
    town.runner.settings.seed_share = 0.2;
    town.pictured([&JPEG, &JPEG, &JPEG]);
    for (name, role) in [("anna", Role::Reviewer), ("ben", Role::Reviewer), ("susan", Role::Supervisor), ("mia", Role::StoreManager)] {
        add(&town.center, name, role).await;
    }
    for card in 0..8 {
        town.shared_card(&format!("A1002000{card}")).await;
    }
    pair(&town, "one", true).await;
    pair(&town, "two", false).await;
    let before = town.center.count("SELECT count(*) FROM verification");
    assert_eq!(town.run().await.opened, 8);
    assert_eq!(town.center.count("SELECT count(*) FROM seed_case"), 2);
    assert_eq!(town.center.count("SELECT count(*) FROM verification"), before);
    town
}

/// Known-answer cases and all others.
async fn told_apart(town: &Town) -> (Vec<RecordId>, Vec<RecordId>) {
    let store = &town.center.center.store;
    let (mut seeds, mut real) = (Vec::new(), Vec::new());
    for row in store.queue(QueueFilter::default(), None, 50).await.unwrap() {
        if store.is_seed(row.id).await.unwrap() { seeds.push(row.id) } else { real.push(row.id) }
    }
    (seeds, real)
}

/// A page without what differs between any two cases: ids, codes, numbers.
fn bare(text: &str) -> String {
    let mut bare = String::new();
    let mut token = String::new();
    for c in text.chars().chain(['\n']) {
        if c.is_ascii_alphanumeric() || c == '-' || c == '*' {
            token.push(c);
            continue;
        }
        let digits = token.chars().any(|c| c.is_ascii_digit() || c == '*');
        let code = token.len() > 8 && token.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-');
        bare.push_str(if digits || code || token.len() > 30 { "N" } else { &token });
        bare.push(c);
        token.clear();
    }
    bare
}

fn headers(answer: &Answer) -> Vec<String> {
    answer.head.lines().map(|line| bare(line.split_once(": ").map_or(line, |(name, _)| name))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_picture_time_or_number_tells_which_cases_are_known() {
    let town = town().await;
    let (seeds, real) = told_apart(&town).await;
    assert_eq!((seeds.len(), real.len()), (2, 8));
    let mut anna = Visitor::signed_in(&town.center, "anna").await;
    let mut pages: Vec<[Answer; 4]> = Vec::new();
    for id in seeds.iter().chain(&real) {
        let path = format!("/cases/{id}");
        anna.post(&format!("{path}/claim"), &[]).await;
        let one = anna.get(&path).await;
        let pictures: Vec<String> = super::journey::pictures(&one);
        assert_eq!(pictures.len(), 2, "{id}");
        let picture = anna.get(&pictures[1]).await;
        anna.post(&format!("{path}/judge"), &[("judgement", "-2")]).await;
        let two = anna.get(&path).await;
        let slip = anna.get(&format!("{path}/slip")).await;
        pages.push([one, picture, two, slip]);
    }
    let [first, ..] = pages.as_slice() else { panic!() };
    for (place, of) in pages.iter().enumerate() {
        for (step, (page, like)) in of.iter().zip(first).enumerate() {
            assert_eq!(page.status, 200);
            assert_eq!(headers(page), headers(like), "{place} {step}");
            let differs = bare(&page.body).lines().zip(bare(&like.body).lines()).find(|(a, b)| a != b).map(|(a, b)| format!("{a}\n{b}"));
            assert_eq!(differs, None, "{place} {step}");
            let (len, other) = (page.body.len() as i64, like.body.len() as i64);
            assert!((len - other).abs() < 40, "{place} {step}: {len} {other}");
        }
    }
    let lines = anna.get("/queue").await.body;
    let lines: Vec<String> = lines.split("<tr").skip(2).map(bare).collect();
    assert!(lines.len() == 10 && lines.iter().all(|line| line.split("</tr>").next() == lines[0].split("</tr>").next()), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_times_and_numbers_are_of_the_same_kind() {
    let town = town().await;
    let (seeds, real) = told_apart(&town).await;
    let store = &town.center.center.store;
    let mut times: [Vec<i64>; 2] = [Vec::new(), Vec::new()];
    let (mut codes, mut opened) = (std::collections::BTreeSet::new(), std::collections::BTreeSet::new());
    for (known, ids) in [(0, &seeds), (1, &real)] {
        for id in ids {
            assert!(codes.insert(id.0[..5].to_vec()));
            let stored = store.case(*id).await.unwrap().unwrap();
            opened.insert(stored.case.opened_at);
            assert_eq!((stored.case.members.len(), &stored.institutions), (4, &store.case(real[0]).await.unwrap().unwrap().institutions));
            let keys = stored.case.members.iter().map(|member| (stored.case.subject, member.verification)).collect();
            for record in store.verifications_at(keys).await.unwrap() {
                let record = record.unwrap();
                assert!(record.request.transaction.starts_with("T-") && record.operator == "0417", "{record:?}");
                times[known].push(record.captured_at);
            }
        }
    }
    assert_eq!(opened.len(), 1, "opened in one turn");
    for time in &times[0] {
        assert!(times[1].iter().any(|other| (other - time).abs() < 10 * 60_000), "near a real capture's hour");
    }
}

async fn decide(visitor: &mut Visitor, id: RecordId, verdict: &str) {
    let path = format!("/cases/{id}");
    visitor.post(&format!("{path}/claim"), &[]).await;
    visitor.post(&format!("{path}/judge"), &[("judgement", "-2")]).await;
    let answer = visitor.post(&format!("{path}/decide"), &[("verdict", verdict), ("reason", "two people")]).await;
    assert_eq!(answer.status, 303, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_counted_by_person_and_nothing_follows() {
    let mut town = town().await;
    let (seeds, _) = told_apart(&town).await;
    let store = std::sync::Arc::clone(&town.center.center.store);
    let (mut anna, mut ben) = (Visitor::signed_in(&town.center, "anna").await, Visitor::signed_in(&town.center, "ben").await);
    for id in &seeds {
        decide(&mut anna, *id, "confirmed").await;
        decide(&mut ben, *id, "confirmed").await;
        let asked = [("institution", "P1"), ("text", "who was at the till")];
        assert_eq!(anna.post(&format!("/cases/{id}/ask"), &asked).await.status, 303);
        let before = store.case(*id).await.unwrap().unwrap().steps.len();
        let step = CaseStep { at: System.now_ms(), by: "anna".into(), event: CaseEvent::Closed };
        assert!(store.add_case_step(*id, before, step).await.unwrap());
    }
    let figures = store.seed_figures(0).await.unwrap();
    let counts: Vec<_> = figures.iter().map(|of| (of.name.as_str(), of.mated, of.false_confirms, of.nonmated, of.misses)).collect();
    assert_eq!(counts, [("anna", 1, 1, 1, 0), ("ben", 1, 1, 1, 0)]);
    assert!(store.reviewer_figures(0).await.unwrap().is_empty(), "not among what was decided about people");
    assert!(store.to_tell(ToTellIn::Any, 0, 9).await.unwrap().is_empty(), "nobody is told");
    assert!(store.cases_asked("P1", 9).await.unwrap().is_empty(), "no store is asked");
    assert_eq!((store.cases(0, 50).await.unwrap().len(), town.center.count("SELECT count(*) FROM real_case")), (8, 8));
    let mut mia = Visitor::signed_in(&town.center, "mia").await;
    assert_eq!(mia.get(&format!("/store/{}", seeds[0])).await.status, 404);
    let mut susan = Visitor::signed_in(&town.center, "susan").await;
    let page = susan.get("/reviewers").await.body;
    assert!(page.contains("fewer than 50") && page.contains("False confirms"), "{page}");
    // The same pairs come again in other cases: not to those who have met them.
    for card in 0..8 {
        town.shared_card(&format!("B1002000{card}")).await;
    }
    town.run().await;
    let known = store.seed_counts(0).await.unwrap();
    assert_eq!((known.real, known.mated, known.nonmated), (16, 2, 2));
    let seen = async |reader: Option<&str>| {
        let filter = QueueFilter { reader: reader.map(str::to_owned), ..QueueFilter::default() };
        let rows = store.queue(filter, None, 50).await.unwrap();
        rows.len()
    };
    assert_eq!((seen(Some("anna")).await, seen(Some("carl")).await, seen(None).await), (16, 18, 18));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_pair_is_readable_at_rest_and_a_retired_one_comes_no_more() {
    let mut town = town().await;
    let held = |table: &str, column: &str| {
        let mark: String = JPEG[3..40].iter().map(|byte| format!("{byte:02x}")).collect();
        town.center.count(&format!("SELECT count(*) FROM {table} WHERE instr(lower(hex({column})), '{mark}') > 0"))
    };
    for (table, column) in [("seed_pair", "photo"), ("seed_capture", "sample"), ("seed_photo", "photo"), ("seed_probe", "sample")] {
        assert!(town.center.count(&format!("SELECT count(*) FROM {table}")) > 0);
        assert_eq!(held(table, column), 0, "{table}");
    }
    let store = std::sync::Arc::clone(&town.center.center.store);
    for name in ["one", "two"] {
        assert!(store.retire_seed_pair(name, "adam", System.now_ms()).await.unwrap());
        assert!(!store.retire_seed_pair(name, "adam", System.now_ms()).await.unwrap());
    }
    for card in 0..8 {
        town.shared_card(&format!("C1002000{card}")).await;
    }
    town.run().await;
    assert_eq!(town.center.count("SELECT count(*) FROM seed_case"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn pairs_are_added_of_pictures_through_the_networks() {
    let Some(eyes) = Eyes::open() else { return };
    let center = center().await;
    let file = |id: &str| eyes.pack.picture(id).unwrap().read().unwrap();
    let new = |name: &str, mated, capture: &str| NewPair {
        name: name.into(),
        licence: "a test".into(),
        mated,
        photo: file("cl_franck_01829.jpg"),
        captures: vec![file(capture)],
        own: vec![],
    };
    let add = async |new: NewPair| add_pair(&center.center, &System, &eyes.pipeline, &new, "adam").await;
    let same = add(new("same", true, "cl_franck_02221.jpg")).await.unwrap();
    let other = add(new("other", false, "fr_obama.jpg")).await.unwrap();
    assert!(same > 0.5 && other < 0.3, "{same} {other}");
    assert!(matches!(add(new("same", true, "cl_franck_02221.jpg")).await, Err(SeedError::Twice)));
    assert!(matches!(
        add(NewPair { captures: vec![b"words".to_vec()], ..new("x", true, "fr_obama.jpg") }).await,
        Err(SeedError::Picture(..))
    ));
    assert!(matches!(add(NewPair { licence: " ".into(), ..new("x", true, "fr_obama.jpg") }).await, Err(SeedError::Missing("licence"))));
    let pairs = center.center.store.seed_pairs().await.unwrap();
    let said: Vec<_> = pairs.iter().map(|of| (of.pair.name.as_str(), of.pair.mated, of.captures)).collect();
    assert_eq!(said, [("other", false, (0, 1)), ("same", true, (0, 1))]);
    assert_eq!(center.count("SELECT count(*) FROM audit_entry WHERE action = 'seeds_added'"), 2);
}
