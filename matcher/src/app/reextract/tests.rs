//! Re-extraction against a real store, with the enrolment tests' model of mean colours.

use matcher_core::{Identifier, IdentifierKind, Region};

use super::*;
use crate::{
    app::{
        enrol::{
            EnrolCommand, PhotoFacts, enrol_one,
            tests::{MeanColour, center, photo},
        },
        person::{Met, Person},
        subjects::row_of,
    },
    surroundings::Fixed,
};

struct Site {
    dir: tempfile::TempDir,
    center: Center,
    surroundings: Arc<Fixed>,
}

fn card(i: u8) -> Identifier {
    Identifier::new(IdentifierKind::SocialSecurityCard, Region::default(), &format!("330203{i:03}")).unwrap()
}

impl Site {
    /// People enrolled by the first model.
    async fn with_people(count: u8) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let site = Self { center: center(&dir), dir, surroundings: Arc::new(Fixed::at(1_000)) };
        for i in 0..count {
            let command =
                EnrolCommand { identifiers: vec![card(i)], photo: photo([200, i, 10]), about: PhotoFacts::default(), birth: None };
            enrol_one(&site.center, &MeanColour::new("m@1"), command, site.surroundings.as_ref()).await.unwrap();
        }
        site
    }

    async fn run(&self, model: &MeanColour) -> Reextracted {
        self.run_until(model, &AtomicBool::new(false), |_| {}).await
    }

    async fn run_until(&self, model: &MeanColour, stop: &AtomicBool, advance: impl FnMut(u64)) -> Reextracted {
        let surroundings = Arc::clone(&self.surroundings) as Arc<dyn Surroundings>;
        reextract(&self.center, model, surroundings, stop, advance).await.unwrap()
    }

    async fn counts(&self) -> Vec<(String, u64)> {
        let references = self.center.store.references_by_model().await.unwrap();
        references.into_iter().map(|references| (references.made_by.model, references.in_use)).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn references_of_both_models_serve_until_one_is_retired() {
    let site = Site::with_people(70).await;
    let second = MeanColour::new("m@2");
    assert_eq!(site.center.store.lacking_count(&made_by(&second)).await.unwrap(), 70);
    let done = site.run(&second).await;
    assert_eq!(done, Reextracted { made: 70, ..Reextracted::default() });
    assert_eq!(site.counts().await, [("m@1".to_owned(), 70), ("m@2".to_owned(), 70)]);
    let identifier = card(7);
    let key = row_of(&site.center, &identifier);
    let stored = site.center.store.subject_of(&key).await.unwrap().unwrap();
    let person = Person::open(&site.center.vault, &stored, Met { identifier: &identifier, key: &key, captured_at: 2_000 });
    let references = person.references(2_000);
    for model in ["m@1", "m@2"] {
        let made = MeanColour::new(model).extract(&photo([200, 7, 10])).unwrap().unwrap().template;
        let same = references.iter().filter(|reference| reference.template.model().as_str() == model);
        assert_eq!(same.map(|reference| reference.template.to_f16_le_bytes()).collect::<Vec<_>>(), [made.to_f16_le_bytes()]);
    }
    assert_eq!(site.run(&second).await, Reextracted::default(), "nothing lacks one");
    let first = MadeBy { model: "m@1".into(), recipe: "mean@1".into() };
    assert_eq!(site.center.store.dependent_on(&first).await.unwrap(), 0);
    assert_eq!(site.center.store.retire(&first, 50).await.unwrap(), 50);
    assert_eq!(site.center.store.retire(&first, 50).await.unwrap(), 20);
    assert_eq!(site.counts().await, [("m@2".to_owned(), 70)]);
    assert_eq!(site.center.store.dependent_on(&made_by(&second)).await.unwrap(), 70);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_stopped_goes_on_where_it_was() {
    let site = Site::with_people(150).await;
    let (second, stop) = (MeanColour::new("m@2"), AtomicBool::new(false));
    let first_run = site.run_until(&second, &stop, |_| stop.store(true, Ordering::Relaxed)).await;
    assert_eq!(first_run, Reextracted { made: 64, stopped: true, ..Reextracted::default() });
    let rest = site.run(&second).await;
    assert_eq!((rest.made, second.runs.load(Ordering::SeqCst)), (86, 150), "no photo is worked on twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn photos_that_give_nothing_are_noted_and_not_tried_again() {
    let site = Site::with_people(3).await;
    let second = MeanColour::new("m@2");
    let database = rusqlite::Connection::open(site.dir.path().join("center.db")).unwrap();
    database.execute("UPDATE enrolment_photo SET photo = zeroblob(99) WHERE photo_id = (SELECT min(photo_id) FROM enrolment)", []).unwrap();
    let done = site.run(&second).await;
    assert_eq!((done.made, done.refused), (2, 1));
    assert_eq!(site.center.store.extraction_failures(&made_by(&second)).await.unwrap(), [("photo_unreadable".to_owned(), 1)]);
    assert_eq!(site.run(&second).await, Reextracted::default());
    let first = MadeBy { model: "m@1".into(), recipe: "mean@1".into() };
    assert_eq!(site.center.store.dependent_on(&first).await.unwrap(), 1, "retiring the first model would leave this one without");
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_was_forgotten_meanwhile_is_passed_over() {
    let site = Site::with_people(2).await;
    let made_by = MadeBy { model: "m@2".into(), recipe: "mean@1".into() };
    let taken = site.center.store.lacking(&made_by, None, 10).await.unwrap();
    let who = taken[0].subject;
    crate::app::subjects::forget(&site.center, site.surroundings.as_ref(), who, None).await.unwrap();
    let of = |photo: &PhotoToExtract| extract(&site.center, &MeanColour::new("m@2"), site.surroundings.as_ref(), photo).unwrap();
    site.center.store.put_extractions(&made_by, taken.iter().map(of).collect()).await.unwrap();
    assert_eq!(site.counts().await, [("m@1".to_owned(), 1), ("m@2".to_owned(), 1)]);
}
