//! Forgetting: a person who was enrolled from a real photo and verified with real faces is searched for afterwards, in
//! every file, in a backup and in the log; and captures that come late find nobody.
//!
//! The first test needs `models fetch` and `datasets fetch registry-mini`; without them it prints SKIPPED and passes,
//! unless `COUNTERSIGN_REQUIRE_MODELS=1`.

use std::{
    fs, io,
    path::Path,
    sync::{Arc, Mutex},
};

use matcher::{
    app::{
        enrol::{EnrolCommand, EnrolOutcome, PhotoFacts, Refusal, enrol_one},
        subjects::{self, SubjectError, export},
    },
    store::{RecordId, Sealed, SubjectId, subjects::Hold},
    surroundings::{Surroundings, System},
    vault::RecordContext,
};
use matcher_core::{Birth, Identifier, IdentifierKind, Region};
use proto::v1;

use crate::{
    recheck::{Eyes, claim},
    support::{TestCenter, TestDevice, capture},
};

const CARD: &str = "A10020001";
const IDENTITY: &str = "11010519491231002X";
const STRANGER: &str = "B70020007";

fn card(number: &str) -> Identifier {
    Identifier::new(IdentifierKind::SocialSecurityCard, Region::default(), number).unwrap()
}

fn command(card_number: &str, photo: Vec<u8>) -> EnrolCommand {
    let identity = Identifier::new(IdentifierKind::ResidentIdentity, Region::default(), IDENTITY).unwrap();
    let birth = Some(Birth::new("1949-12-31").unwrap());
    EnrolCommand { identifiers: vec![card(card_number), identity], photo, about: PhotoFacts::default(), birth }
}

/// What is logged by everything in this process.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn log_everything() -> Log {
    let log = Log::default();
    let writer = log.clone();
    // Another test of this process may have been first; then its log is looked at by that test.
    let _ = tracing_subscriber::fmt().with_ansi(false).with_env_filter("trace").with_writer(move || writer.clone()).try_init();
    log
}

/// Pieces of 20 bytes that are looked for, each with its name.
#[derive(Default)]
struct Wanted(Vec<(String, Vec<u8>)>);

impl Wanted {
    fn add(&mut self, name: &str, bytes: &[u8]) {
        for piece in bytes.chunks_exact(20.min(bytes.len())).step_by(16) {
            if piece.iter().any(|byte| *byte != piece[0]) {
                self.0.push((name.to_owned(), piece.to_vec()));
            }
        }
    }

    /// Names of what some bytes hold.
    fn found_in(&self, bytes: &[u8]) -> Vec<&str> {
        let pieces: Vec<&[u8]> = self.0.iter().map(|(_, piece)| piece.as_slice()).collect();
        let automaton = aho_corasick::AhoCorasick::new(pieces).unwrap();
        let mut names: Vec<&str> = automaton.find_iter(bytes).map(|hit| self.0[hit.pattern().as_usize()].0.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// What the files of a folder hold, by name and file.
    fn found_below(&self, folder: &Path) -> Vec<String> {
        let mut found = Vec::new();
        for path in files(folder) {
            let names = self.found_in(&fs::read(&path).unwrap());
            found.extend(names.into_iter().map(|name| format!("{name} in {}", path.display())));
        }
        found
    }
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Everything of a person that is on the disk, as the database has it.
fn stored(center: &TestCenter) -> Wanted {
    let mut wanted = Wanted::default();
    let database = rusqlite::Connection::open(center.dir.store()).unwrap();
    let columns = [
        ("wrapped data key", "SELECT wrapped FROM data_key"),
        ("identifier hash", "SELECT hash FROM identifier"),
        ("hash in a decision", "SELECT identifier_hash FROM verification"),
        ("sealed number", "SELECT number FROM identifier"),
        ("sealed birth", "SELECT birth FROM subject WHERE birth IS NOT NULL"),
        ("sealed reference", "SELECT template FROM reference"),
        ("sealed photo", "SELECT photo FROM enrolment_photo"),
        ("sealed quality", "SELECT quality FROM enrolment_photo"),
        ("sealed probe", "SELECT template FROM probe"),
        ("sealed sample", "SELECT sample FROM probe"),
    ];
    for (name, sql) in columns {
        let mut statement = database.prepare(sql).unwrap();
        for bytes in statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap() {
            wanted.add(name, &bytes.unwrap());
        }
    }
    wanted
}

async fn subject(center: &TestCenter, number: &str) -> SubjectId {
    subjects::find(&center.center, &card(number)).await.unwrap()
}

/// A copy of the database, made as backups are made.
fn backup(center: &TestCenter) -> Vec<u8> {
    let path = center.dir.path().parent().unwrap().join("backup.db");
    center.meddle(&format!("VACUUM INTO '{}'", path.display()));
    fs::read(path).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_a_person_who_was_forgotten() {
    let Some(eyes) = Eyes::open() else { return };
    let log = log_everything();
    let (center, device) = TestCenter::with_device().await;
    let photo = eyes.pack.picture("cl_franck_01829.jpg").unwrap().read().unwrap();
    // A decision about the card from before there was a person.
    device.verify("T-0", &capture(CARD, 0.8)).await.unwrap();
    let enrolled = enrol_one(&center.center, &eyes.pipeline, command(CARD, photo.clone()), &System).await.unwrap();
    assert!(matches!(enrolled, EnrolOutcome::Enrolled), "{enrolled:?}");
    let (probe, sample) = (eyes.template("cl_franck_02221.jpg"), eyes.sample("cl_franck_02221.jpg"));
    let matched = device.verify("T-1", &claim(&probe, sample.clone())).await.unwrap();
    assert_eq!(matched.decision(), v1::Decision::Match);
    let stranger = eyes.template("fr_obama.jpg");
    device.verify("T-2", &claim(&stranger, eyes.sample("fr_obama.jpg"))).await.unwrap();

    let mut wanted = stored(&center);
    let sealed_pieces = wanted.0.len();
    assert!(sealed_pieces > 100, "{sealed_pieces}");
    wanted.add("photo", &photo);
    wanted.add("sample", &sample.jpeg);
    let reference = eyes.pipeline.enrol(&photo, &models::quality::reference_rule(), &models::quality::reference_gate()).unwrap().unwrap();
    for template in [&reference.template, &probe, &stranger] {
        wanted.add("template", &template.to_f16_le_bytes());
    }
    for number in [CARD, IDENTITY, &IDENTITY[6..14], "*****0001"] {
        wanted.add("number", number.as_bytes());
    }
    let before = wanted.found_below(center.dir.path());
    for sealed in ["wrapped data key", "sealed photo", "sealed sample", "identifier hash", "sealed number"] {
        assert!(before.iter().any(|found| found.starts_with(sealed)), "the search finds nothing: {before:?}");
    }

    let who = subject(&center, CARD).await;
    let (file, _) = subjects::open(&center.center, who).await.unwrap();
    let proof = subjects::forget(&center.center, &System, who, Some(center.dir.path())).await.unwrap();
    assert!(proof.holds(), "{proof:?}");
    assert_eq!((proof.deleted["reference"], proof.deleted["probe"], proof.deleted["identifier"]), (1, 2, 2));
    assert_eq!((proof.pseudonymised["verification"], proof.pseudonymised["flag"] >= 1), (3, true), "{proof:?}");
    assert_eq!(proof.kept.keys().map(String::as_str).collect::<Vec<_>>(), ["feed", "request", "verification"]);
    let searched = proof.search.as_ref().unwrap();
    assert!(searched.fragments > 50 && searched.files > 5, "{searched:?}");

    assert_eq!(wanted.found_below(center.dir.path()), [] as [String; 0]);
    assert_eq!(wanted.found_in(&backup(&center)), [] as [&str; 0]);
    let logged = log.0.lock().unwrap().clone();
    assert!(!logged.is_empty());
    assert_eq!(wanted.found_in(&logged), [] as [&str; 0]);
    assert_eq!(wanted.found_in(serde_json::to_string(&proof).unwrap().as_bytes()), [] as [&str; 0]);
    // The decisions are there for their time, under one pseudonym, with the operator.
    let records = center.verifications().await;
    assert_eq!(records.iter().map(|record| record.operator.as_str()).collect::<Vec<_>>(), ["0417"; 3]);
    assert!(records.iter().all(|record| record.identifier.hash == records[0].identifier.hash && record.identifier_masked.is_empty()));
    check_opens_nothing(&center, &file.photos[0].content, &file.subject.references[0].template, who).await;
    check_comes_late(&center, &device, &eyes, photo).await;
}

/// No data key that is left opens what was sealed, even for somebody who kept the ciphertexts.
async fn check_opens_nothing(center: &TestCenter, photo: &Sealed, template: &Sealed, who: SubjectId) {
    let database = rusqlite::Connection::open(center.dir.store()).unwrap();
    let mut statement = database.prepare("SELECT wrapped FROM data_key").unwrap();
    let left: Vec<Vec<u8>> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(left.len(), 0);
    for sealed in [photo, template] {
        assert!(center.center.vault.unwrap_data_key(who, sealed).is_err());
        let (key, _) = center.center.vault.new_data_key(who);
        assert!(key.open(&RecordContext::enrolment_photo(who, RecordId(who.0)), sealed).is_err());
    }
}

/// A capture that waited in a spool finds nobody, and a list does not bring the person back.
async fn check_comes_late(center: &TestCenter, device: &TestDevice, eyes: &Eyes, photo: Vec<u8>) {
    let late = device.verify("T-9", &capture(CARD, 0.8)).await.unwrap();
    assert_eq!((late.decision(), late.reasons.as_slice()), (v1::Decision::NoDecision, &["no_reference".to_owned()][..]));
    let records = center.verifications().await;
    assert!(records[0].request.transaction == "T-9" && records[0].identifier_masked.is_empty() && records[0].subject.is_none());
    let hash = subjects::row_of(&center.center, &card(CARD)).hash;
    assert!(records.iter().all(|record| record.identifier.hash != hash));
    assert_eq!(center.count("SELECT count(*) FROM probe"), 0);
    for number in [CARD, STRANGER] {
        // The stranger's row has the same identity number.
        let again = enrol_one(&center.center, &eyes.pipeline, command(number, photo.clone()), &System).await.unwrap();
        assert!(matches!(again, EnrolOutcome::Refused(Refusal::Forgotten)), "{again:?}");
    }
    assert_eq!(center.count("SELECT count(*) FROM subject"), 0);
    subjects::readmit(&center.center, &card(CARD)).await.unwrap();
    assert!(matches!(subjects::readmit(&center.center, &card(CARD)).await, Err(SubjectError::NotForgotten)));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_that_many_people_share_keep_nothing_of_those_who_were_forgotten() {
    let center = TestCenter::init().await;
    for i in 0..200 {
        center.enrol(&format!("A1002{i:04}")).await;
    }
    let all = stored(&center);
    assert!(!all.found_below(center.dir.path()).is_empty());
    for i in (0..200).filter(|i| i % 4 != 0) {
        let who = subject(&center, &format!("A1002{i:04}")).await;
        subjects::forget(&center.center, &System, who, None).await.unwrap();
    }
    let kept: Vec<Vec<u8>> = stored(&center).0.into_iter().map(|(_, piece)| piece).collect();
    let forgotten = Wanted(all.0.into_iter().filter(|(_, piece)| !kept.contains(piece)).collect());
    assert!(forgotten.0.len() > 1_000 && !kept.is_empty(), "{}", forgotten.0.len());
    assert_eq!(forgotten.found_below(center.dir.path()), [] as [String; 0]);
    assert_eq!(forgotten.found_in(&backup(&center)), [] as [&str; 0]);
}

#[tokio::test]
async fn a_hold_forbids_forgetting_until_it_ends() {
    let center = TestCenter::init().await;
    center.enrol(CARD).await;
    let who = subject(&center, CARD).await;
    let now = System.now_ms();
    let hold = |until, released| Hold {
        id: System.new_record(),
        reason: "court 2026/17".into(),
        placed_by: "auditor".into(),
        placed_at: now,
        until,
        released,
    };
    let store = &center.center.store;
    assert!(store.place_hold(who, hold(Some(now - 1), None)).await.unwrap(), "this one is over");
    assert!(store.place_hold(who, hold(None, None)).await.unwrap());
    assert!(!store.place_hold(SubjectId([9; 16]), hold(None, None)).await.unwrap());
    for error in [
        subjects::forget(&center.center, &System, who, None).await.map(drop).unwrap_err(),
        subjects::withdraw(&center.center, &System, who).await.map(drop).unwrap_err(),
    ] {
        assert_eq!(error.to_string(), "a legal hold forbids it (court 2026/17); nothing was deleted");
    }
    assert_eq!(center.count("SELECT count(*) FROM reference"), 1);
    assert_eq!(store.release_holds(who, "auditor", now).await.unwrap(), 2);
    let case = "INSERT INTO case_file SELECT subject_id, zeroblob(16), 'card_shared', 'evidence', 1, 1.0, 1, '' FROM subject;";
    center.meddle(case);
    let error = subjects::forget(&center.center, &System, who, None).await.map(drop).unwrap_err();
    assert_eq!(error.to_string(), "a legal hold forbids it (an open case); nothing was deleted");
    center.meddle("INSERT INTO case_event SELECT subject_id, id, 1, 2, 'auditor', 'closed', NULL, '' FROM case_file;");
    subjects::forget(&center.center, &System, who, None).await.unwrap();
    assert!(matches!(subjects::forget(&center.center, &System, who, None).await, Err(SubjectError::Unknown)));
}

#[tokio::test]
async fn whoever_withdraws_consent_is_offered_the_other_way_and_keeps_no_face() {
    let (center, device) = TestCenter::with_device().await;
    center.enrol(CARD).await;
    device.verify("T-1", &capture(CARD, 0.8)).await.unwrap();
    let who = subject(&center, CARD).await;
    let before = stored(&center);
    subjects::withdraw(&center.center, &System, who).await.unwrap();
    for table in ["reference", "enrolment", "enrolment_photo", "probe"] {
        assert_eq!(center.count(&format!("SELECT count(*) FROM {table}")), 0, "{table}");
    }
    let left = before.found_below(center.dir.path());
    let biometric = ["sealed reference", "sealed photo", "sealed probe", "sealed sample", "wrapped data key", "sealed number"];
    assert!(!left.iter().any(|found| biometric.iter().any(|kind| found.starts_with(kind))), "{left:?}");
    let answer = device.verify("T-2", &capture(CARD, 0.8)).await.unwrap();
    assert_eq!((answer.decision(), answer.reasons.last().map(String::as_str)), (v1::Decision::NoDecision, Some("consent_withdrawn")));
    assert_eq!(center.verifications().await[0].subject, Some(who), "it is still known who it was");
    assert_eq!(center.count("SELECT count(*) FROM probe"), 0, "and nothing is kept");
    assert!(center.flags().await.is_empty());
    subjects::consent_again(&center.center, who).await.unwrap();
    assert!(matches!(subjects::consent_again(&center.center, who).await, Err(SubjectError::ConsentStands)));
    let answer = device.verify("T-3", &capture(CARD, 0.8)).await.unwrap();
    assert_eq!(answer.reasons, ["no_reference"]);
}

#[tokio::test]
async fn a_person_is_handed_everything_that_is_held() {
    let (center, device) = TestCenter::with_device().await;
    center.enrol(CARD).await;
    device.verify("T-1", &capture(CARD, 0.1)).await.unwrap();
    let (file, key) = subjects::open(&center.center, subject(&center, CARD).await).await.unwrap();
    let (archive, unreadable) = export::archive(&file, &key, &[], System.now_ms()).unwrap();
    assert_eq!(unreadable, 0);
    let mut archive = zip::ZipArchive::new(io::Cursor::new(archive)).unwrap();
    let mut names: Vec<String> = archive.file_names().map(|name| name.unwrap().split('/').next().unwrap().to_owned()).collect();
    names.sort();
    assert_eq!(names, ["person.json", "photos", "probes", "references", "samples", "samples", "samples"]);
    let person: serde_json::Value = serde_json::from_reader(archive.by_name("person.json").unwrap()).unwrap();
    assert_eq!(person["identifiers"][0]["number"], CARD);
    assert_eq!((person["verifications"][0]["decision"].as_str(), person["flags"].as_array().unwrap().len()), (Some("non_match"), 1));
    assert_eq!(person["unreadable"].as_array().unwrap().len(), 0);
}
