//! Whole imports into a real store, with the enrolment tests' model of mean colours.

use std::{path::Path, time::Duration};

use super::*;
use crate::{
    app::enrol::tests::{MeanColour, center, photo},
    store::sql::SqlStore,
    surroundings::Fixed,
};
use matcher_core::{Identifier, IdentifierKind, Region};

/// A folder of photos, a center, and the lists that are imported into it.
struct Desk {
    dir: tempfile::TempDir,
    center: Center,
    model: MeanColour,
    surroundings: Arc<Fixed>,
}

impl Desk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("photos")).unwrap();
        let center = center(&dir);
        Self { dir, center, model: MeanColour::new("m@1"), surroundings: Arc::new(Fixed::at(1_000)) }
    }

    fn photo(&self, name: &str, bytes: &[u8]) {
        fs::write(self.dir.path().join("photos").join(name), bytes).unwrap();
    }

    /// Photos `0.pnm`… and a list of cards for them.
    fn people(&self, count: u8) -> String {
        for i in 0..count {
            self.photo(&format!("{i}.pnm"), &photo([200, i, 10]));
        }
        (0..count).map(|i| format!("33020300{i:03},{i}.pnm\n")).fold("card,photo\n".to_owned(), |list, row| list + &row)
    }

    async fn import(&self, list: &str) -> Result<Summary, ImportFailure> {
        self.import_until(list, Arc::default()).await
    }

    async fn import_until(&self, list: &str, stop: Arc<AtomicBool>) -> Result<Summary, ImportFailure> {
        let manifest = Manifest::read(list.as_bytes(), Encoding::Auto, Date::constant(2026, 11, 22)).unwrap();
        let import = Import {
            center: self.center.clone(),
            model: self.model.clone(),
            surroundings: Arc::clone(&self.surroundings) as Arc<dyn Surroundings>,
            photos: Photos::open(&self.dir.path().join("photos")).unwrap(),
        };
        import.run(manifest, &mut Progress::new(0), stop).await
    }

    fn runs(&self) -> usize {
        self.model.runs.load(Ordering::SeqCst)
    }

    async fn is_enrolled(&self, card: &str) -> bool {
        let card = Identifier::new(IdentifierKind::SocialSecurityCard, Region::default(), card).unwrap();
        let key = self.center.lookup.row(&card);
        self.center.store.subject_of(&key).await.unwrap().is_some_and(|subject| !subject.references.is_empty())
    }
}

fn counts(summary: &Summary) -> (u64, u64, u64, usize, u64) {
    (summary.enrolled, summary.replaced, summary.unchanged, summary.refused.len(), summary.not_reached)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_is_enrolled_once_and_the_second_time_skipped() {
    let desk = Desk::new();
    let list = desk.people(200);
    assert_eq!(counts(&desk.import(&list).await.unwrap()), (200, 0, 0, 0, 0));
    assert_eq!(desk.runs(), 200);
    assert_eq!(counts(&desk.import(&list).await.unwrap()), (0, 0, 200, 0, 0));
    assert_eq!(desk.runs(), 200, "photos that are enrolled run no network");
    desk.photo("7.pnm", &photo([1, 2, 3]));
    assert_eq!(counts(&desk.import(&list).await.unwrap()), (0, 1, 199, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refused_row_has_its_reason_and_the_others_go_on() {
    let desk = Desk::new();
    let list = desk.people(3)
        + "330203101,none.pnm\n330203102,../center.db\n330203103,black.pnm\n330203104,text.jpg\n\
           33020300001,0.pnm\n1,0.pnm\n330203105\n330203106,cut.jpg\n";
    desk.photo("black.pnm", &photo([0; 3]));
    desk.photo("text.jpg", b"no picture");
    desk.photo("cut.jpg", b"\xff\xd8\xff\xe0");
    let summary = desk.import(&list).await.unwrap();
    assert_eq!(counts(&summary), (2, 0, 0, 9, 0));
    let refused: Vec<_> = summary.refused.iter().map(|refused| (refused.row, refused.reason)).collect();
    assert_eq!(
        refused,
        [
            (3, "duplicate_card"),
            (5, "missing"),
            (6, "outside_folder"),
            (7, "no_face"),
            (8, "unreadable"),
            (9, "duplicate_card"),
            (10, "malformed_row"),
            (11, "malformed_row"),
            (12, "unreadable"),
        ]
    );
    assert!(desk.is_enrolled("33020300000").await && !desk.is_enrolled("33020300001").await);
    let lines: String = summary.refused.iter().map(|refused| format!("{refused}\n")).collect();
    assert!(lines.contains("row 7, card *****3103: refused, no_face: no face"), "{lines}");
    assert!(!lines.contains("330203"), "{lines}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_was_stopped_goes_on_where_it_was() {
    let desk = Desk::new();
    let list = desk.people(200);
    let stop = Arc::new(AtomicBool::new(false));
    let watch = tokio::spawn({
        let (stop, runs) = (Arc::clone(&stop), Arc::clone(&desk.model.runs));
        async move {
            while runs.load(Ordering::SeqCst) < 20 {
                tokio::task::yield_now().await;
            }
            stop.store(true, Ordering::SeqCst);
        }
    });
    let first = desk.import_until(&list, stop).await.unwrap();
    watch.await.unwrap();
    assert!(first.enrolled >= 20 && first.not_reached > 0, "{first:?}");
    assert_eq!(first.enrolled + first.not_reached, 200);
    assert_eq!(usize::try_from(first.enrolled).unwrap(), desk.runs(), "what was begun was written");
    let second = desk.import(&list).await.unwrap();
    assert_eq!(counts(&second), (first.not_reached, 0, first.enrolled, 0, 0));
    assert_eq!(desk.runs(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_of_two_persons_refuse_the_row() {
    let desk = Desk::new();
    desk.people(2);
    desk.import("card,photo,identity_number\n330203001,0.pnm,11010519491231002X\n330203002,1.pnm,\n").await.unwrap();
    let summary = desk.import("card,photo,identity_number\n330203002,0.pnm,11010519491231002X\n").await.unwrap();
    assert_eq!(summary.refused.iter().map(|refused| refused.reason).collect::<Vec<_>>(), ["identifiers_disagree"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_ends_the_import_and_loses_nothing_that_was_counted() {
    let desk = Desk::new();
    let list = desk.people(40);
    let database = rusqlite::Connection::open(desk.dir.path().join("center.db")).unwrap();
    let trigger = "CREATE TRIGGER broken BEFORE INSERT ON reference WHEN (SELECT count(*) FROM reference) >= 10
                   BEGIN SELECT * FROM no_such_table; END";
    database.execute_batch(trigger).unwrap();
    let error = desk.import(&list).await.unwrap_err();
    assert!(matches!(&error, ImportFailure::Store { source: crate::store::StoreError::Unavailable(_), .. }), "{error:?}");
    database.execute_batch("DROP TRIGGER broken").unwrap();
    let rest = desk.import(&list).await.unwrap();
    assert_eq!(rest.enrolled + rest.unchanged, 40, "{rest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_race_for_one_person_make_one() {
    let desk = Desk::new();
    desk.people(100);
    // Two imports at a time, as of two operators who start the same list.
    let list = desk.people(100);
    let (a, b) = tokio::join!(desk.import(&list), desk.import(&list));
    let (a, b) = (a.unwrap(), b.unwrap());
    assert_eq!(a.enrolled + b.enrolled, 100, "{a:?} {b:?}");
    assert_eq!(a.done() + b.done(), 200);
    assert_eq!(a.refused.len() + b.refused.len(), 0);
    let store = SqlStore::open(&desk.dir.path().join("center.db")).unwrap();
    drop(store);
    let database = rusqlite::Connection::open(desk.dir.path().join("center.db")).unwrap();
    let rows = |table: &str| database.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(["subject", "data_key", "identifier", "reference", "enrolment_photo"].map(rows), [100; 5]);
}

fn args(dir: &Path) -> EnrolArgs {
    EnrolArgs {
        manifest: dir.join("people.csv"),
        photos: dir.join("photos"),
        encoding: Encoding::Auto,
        report: Some(dir.join("refused.csv")),
        json: true,
    }
}

#[test]
fn the_exit_code_says_whether_rows_were_refused_or_left() {
    let dir = tempfile::tempdir().unwrap();
    let refused = Refused { row: 2, card: "****1234".into(), reason: "no_face", detail: "no face".into() };
    let code = |summary: &Summary| format!("{:?}", conclude(&args(dir.path()), summary).unwrap());
    let all = Summary { enrolled: 3, took: Duration::from_secs(1), ..Summary::default() };
    assert_eq!(code(&all), format!("{:?}", ExitCode::SUCCESS));
    assert_eq!(fs::read_to_string(dir.path().join("refused.csv")).unwrap(), "row,card,reason,detail\n");
    let some = Summary { refused: vec![refused], ..all };
    assert_eq!(code(&some), format!("{:?}", ExitCode::from(2)));
    assert_eq!(fs::read_to_string(dir.path().join("refused.csv")).unwrap(), "row,card,reason,detail\n2,****1234,no_face,no face\n");
    let stopped = Summary { not_reached: 1, ..some };
    assert_eq!(code(&stopped), format!("{:?}", ExitCode::from(130)));
}
