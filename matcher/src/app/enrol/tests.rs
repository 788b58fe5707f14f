//! Enrolment against a real store and vault, with a model whose features are the mean colours of the photo.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use matcher_core::{IdentifierKind, LookupKey, PhotoState, Region};
use models::picture::Picture;
use models_core::FaceRefusal;

use super::*;
use crate::{
    lookup::Lookup,
    policy::Policies,
    store::{Store, sql::SqlStore},
    surroundings::Fixed,
    vault::{KeyEncryptionKey, Numbers, Vault},
};

/// Mean of red, green and blue over the picture; a black one has no face. Counts how often it was asked.
#[derive(Clone)]
pub(crate) struct MeanColour {
    model: ModelId,
    recipe: RecipeId,
    /// How many photos it was given.
    pub(crate) runs: Arc<AtomicUsize>,
}

impl MeanColour {
    pub(crate) fn new(model: &str) -> Self {
        Self { model: ModelId::new(model).unwrap(), recipe: RecipeId::new("mean@1").unwrap(), runs: Arc::default() }
    }
}

impl PhotoModel for MeanColour {
    fn model(&self) -> &ModelId {
        &self.model
    }

    fn recipe(&self) -> &RecipeId {
        &self.recipe
    }

    fn extract(&self, photo: &[u8]) -> Result<Result<Extracted, PhotoRefusal>, RunError> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        let picture = match Picture::decode(photo) {
            Ok(picture) => picture,
            Err(error) => return Ok(Err(PhotoRefusal::Unreadable(error))),
        };
        let mean = |channel: usize| picture.pixels().iter().skip(channel).step_by(3).map(|x| f32::from(*x)).sum::<f32>();
        let template = Template::from_features(self.model.clone(), self.recipe.clone(), &[mean(0), mean(1), mean(2)]);
        let extracted = template.map(|template| Extracted { template, quality: Quality::default() });
        Ok(extracted.map_err(|_| PhotoRefusal::Face(FaceRefusal::NoFace)))
    }
}

/// A PNM photo of one colour.
pub(crate) fn photo(colour: [u8; 3]) -> Vec<u8> {
    let mut bytes = b"P6 32 32 255\n".to_vec();
    bytes.extend(colour.iter().cycle().take(32 * 32 * 3));
    bytes
}

/// A center on a new store.
pub(crate) fn center(dir: &tempfile::TempDir) -> Center {
    let store: Arc<dyn Store> = Arc::new(SqlStore::open(&dir.path().join("center.db")).unwrap());
    Center {
        policies: Arc::new(Policies::demonstration(Arc::clone(&store))),
        store,
        vault: Arc::new(Vault::new(KeyEncryptionKey::new([7; 32]))),
        lookup: Arc::new(Lookup::fixed(LookupKey::new([8; 32]))),
    }
}

fn card(number: &str) -> Identifier {
    Identifier::new(IdentifierKind::SocialSecurityCard, Region::default(), number).unwrap()
}

fn command(cards: &[&str], photo: Vec<u8>) -> EnrolCommand {
    EnrolCommand { identifiers: cards.iter().map(|number| card(number)).collect(), photo, about: PhotoFacts::default(), birth: None }
}

fn taken_on(day: Date) -> PhotoFacts {
    PhotoFacts { taken_on: Some(day), ..PhotoFacts::default() }
}

const RED: [u8; 3] = [200, 10, 10];
const BLUE: [u8; 3] = [10, 10, 200];

struct Desk {
    _dir: tempfile::TempDir,
    center: Center,
    model: MeanColour,
    surroundings: Fixed,
}

impl Desk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let center = center(&dir);
        Self { _dir: dir, center, model: MeanColour::new("m@1"), surroundings: Fixed::at(1_000) }
    }

    async fn enrol(&self, command: EnrolCommand) -> String {
        match enrol_one(&self.center, &self.model, command, &self.surroundings).await.unwrap() {
            EnrolOutcome::Enrolled => "enrolled".into(),
            EnrolOutcome::Replaced => "replaced".into(),
            EnrolOutcome::Added => "added".into(),
            EnrolOutcome::Unchanged => "unchanged".into(),
            EnrolOutcome::Refused(refusal) => refusal.word().into(),
        }
    }

    /// The template of a card as a verification would read it.
    async fn template(&self, number: &str) -> Option<Vec<u8>> {
        let claim = Claim::new(&self.center, &[card(number)]).unwrap();
        let stored = self.center.store.subject_of(claim.first_key()).await.unwrap()?;
        let key = self.center.vault.unwrap_data_key(stored.subject, &stored.data_key).unwrap();
        let reference = stored.references.into_iter().rfind(|reference| reference.life.state == PhotoState::Active)?;
        let place = RecordContext::reference_template(stored.subject, reference.record, &reference.model);
        Some(key.open(&place, &reference.template).unwrap().to_vec())
    }
}

#[tokio::test]
async fn a_reference_is_made_and_replaced_and_left_alone() {
    let desk = Desk::new();
    assert_eq!(desk.enrol(command(&["330203001"], photo(RED))).await, "enrolled");
    let red = desk.template("330203001").await.unwrap();
    assert_eq!(red, desk.model.extract(&photo(RED)).unwrap().unwrap().template.to_f16_le_bytes());
    let runs = desk.model.runs.load(Ordering::SeqCst);
    assert_eq!(desk.enrol(command(&["330203001"], photo(RED))).await, "unchanged");
    assert_eq!(desk.model.runs.load(Ordering::SeqCst), runs, "the same photo runs no network");
    assert_eq!(desk.enrol(command(&["330203001"], photo(BLUE))).await, "replaced");
    assert_ne!(desk.template("330203001").await.unwrap(), red);
}

#[tokio::test]
async fn the_same_photo_is_enrolled_anew_when_something_else_changed() {
    let mut desk = Desk::new();
    desk.enrol(command(&["330203001"], photo(RED))).await;
    let dated = EnrolCommand { about: taken_on(Date::constant(2020, 2, 29)), ..command(&["330203001"], photo(RED)) };
    assert_eq!(desk.enrol(dated.clone()).await, "replaced");
    assert_eq!(desk.enrol(dated.clone()).await, "unchanged");
    let another_number = EnrolCommand { identifiers: vec![card("330203001"), card("330203002")], ..dated.clone() };
    assert_eq!(desk.enrol(another_number).await, "replaced");
    assert_eq!(desk.template("330203002").await, desk.template("330203001").await);
    desk.model = MeanColour::new("m@2");
    assert_eq!(desk.enrol(dated).await, "replaced");
}

#[tokio::test]
async fn photos_that_cannot_be_enrolled_are_named_and_leave_the_reference() {
    let desk = Desk::new();
    desk.enrol(command(&["330203001"], photo(RED))).await;
    assert_eq!(desk.enrol(command(&["330203001"], photo([0; 3]))).await, "no_face");
    assert_eq!(desk.enrol(command(&["330203001"], b"no picture".to_vec())).await, "unreadable");
    assert_eq!(desk.enrol(command(&["330203001"], photo(RED))).await, "unchanged");
    assert_eq!(desk.enrol(command(&["330203009"], photo([0; 3]))).await, "no_face");
    assert_eq!(desk.template("330203009").await, None);
}

#[tokio::test]
async fn numbers_of_two_persons_do_not_become_one() {
    let desk = Desk::new();
    desk.enrol(command(&["330203001"], photo(RED))).await;
    desk.enrol(command(&["330203002"], photo(BLUE))).await;
    let before = desk.template("330203001").await;
    assert_eq!(desk.enrol(command(&["330203001", "330203002"], photo(RED))).await, "identifiers_disagree");
    assert_eq!(desk.template("330203001").await, before);
    let none = enrol_one(&desk.center, &desk.model, command(&[], photo(RED)), &desk.surroundings).await;
    assert!(matches!(none, Err(EnrolError::Identifiers(0))));
}

#[tokio::test]
async fn a_reference_that_no_longer_opens_is_made_anew_from_the_same_photo() {
    let desk = Desk::new();
    desk.enrol(command(&["330203001"], photo(RED))).await;
    let database = rusqlite::Connection::open(desk._dir.path().join("center.db")).unwrap();
    database.execute("UPDATE reference SET template = zeroblob(35)", []).unwrap();
    assert_eq!(desk.enrol(command(&["330203001"], photo(RED))).await, "replaced");
    assert!(desk.template("330203001").await.is_some());
}

#[tokio::test]
async fn a_data_key_of_somebody_else_is_an_error_and_writes_nothing() {
    let desk = Desk::new();
    desk.enrol(command(&["330203001"], photo(RED))).await;
    desk.enrol(command(&["330203002"], photo(BLUE))).await;
    let database = rusqlite::Connection::open(desk._dir.path().join("center.db")).unwrap();
    database.execute("UPDATE data_key SET wrapped = (SELECT max(wrapped) FROM data_key)", []).unwrap();
    let results = [
        enrol_one(&desk.center, &desk.model, command(&["330203001"], photo(BLUE)), &desk.surroundings).await,
        enrol_one(&desk.center, &desk.model, command(&["330203002"], photo(RED)), &desk.surroundings).await,
    ];
    assert_eq!(results.iter().filter(|result| matches!(result, Err(EnrolError::DataKey(_)))).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_desks_that_enrol_one_person_at_a_time_make_one_person() {
    let desk = Arc::new(Desk::new());
    let at_once = (0..8_u8).map(|i| {
        let desk = Arc::clone(&desk);
        let cards = if i % 2 == 0 { ["330203001", "330203002"] } else { ["330203002", "330203001"] };
        tokio::spawn(async move { desk.enrol(command(&cards, photo([200, i, 10]))).await })
    });
    let mut outcomes = Vec::new();
    for enrolment in at_once.collect::<Vec<_>>() {
        outcomes.push(enrolment.await.unwrap());
    }
    assert_eq!(outcomes.iter().filter(|outcome| *outcome == "enrolled").count(), 1, "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(|outcome| *outcome == "replaced").count(), 7, "{outcomes:?}");
    assert_eq!(desk.template("330203001").await, desk.template("330203002").await);
}

/// A person as a release enrolled them whose numbers had no seal.
async fn unseal(desk: &Desk, number: &str) {
    let claim = Claim::new(&desk.center, &[card(number)]).unwrap();
    let stored = desk.center.store.subject_of(claim.first_key()).await.unwrap().unwrap();
    let key = desk.center.vault.unwrap_data_key(stored.subject, &stored.data_key).unwrap();
    let wrapped = desk.center.vault.wrap(stored.subject, &key.with_unsealed_numbers());
    let database = rusqlite::Connection::open(desk._dir.path().join("center.db")).unwrap();
    database.execute("UPDATE data_key SET wrapped = ?2 WHERE subject_id = ?1", rusqlite::params![stored.subject.0, wrapped.0]).unwrap();
    database.execute("UPDATE identifier SET number = NULL, lookup_key_id = '' WHERE subject_id = ?1", [stored.subject.0]).unwrap();
}

async fn numbers(desk: &Desk, number: &str) -> Numbers {
    let claim = Claim::new(&desk.center, &[card(number)]).unwrap();
    let stored = desk.center.store.subject_of(claim.first_key()).await.unwrap().unwrap();
    desk.center.vault.unwrap_data_key(stored.subject, &stored.data_key).unwrap().numbers()
}

#[tokio::test]
async fn numbers_of_an_older_release_are_sealed_when_the_person_is_enrolled_again() {
    let desk = Desk::new();
    desk.enrol(command(&["330203001", "330203002"], photo(RED))).await;
    unseal(&desk, "330203001").await;
    assert_eq!(desk.center.store.unbound_identifiers().await.unwrap(), 2);
    assert_eq!(desk.enrol(command(&["330203001"], photo(RED))).await, "replaced");
    let some = (desk.center.store.unbound_identifiers().await.unwrap(), numbers(&desk, "330203002").await);
    assert_eq!(some, (1, Numbers::MayBeUnsealed), "the other is still trusted");
    assert_eq!(desk.enrol(command(&["330203002", "330203001"], photo(RED))).await, "replaced");
    let all = (desk.center.store.unbound_identifiers().await.unwrap(), numbers(&desk, "330203001").await);
    assert_eq!(all, (0, Numbers::Sealed), "from now on no row without a seal is this person's");
    assert_eq!(desk.enrol(command(&["330203002", "330203001"], photo(RED))).await, "unchanged");
    let claim = Claim::new(&desk.center, &[card("330203001")]).unwrap();
    let stored = desk.center.store.subject_of(claim.first_key()).await.unwrap().unwrap();
    assert_eq!(stored.references.len(), 1, "the very same photo is kept once");
}

#[tokio::test]
async fn a_row_that_is_pointed_at_somebody_else_enrols_nobody() {
    let desk = Desk::new();
    desk.enrol(command(&["330203001"], photo(RED))).await;
    desk.enrol(command(&["330203002"], photo(BLUE))).await;
    let database = rusqlite::Connection::open(desk._dir.path().join("center.db")).unwrap();
    database.execute("UPDATE identifier SET subject_id = (SELECT max(subject_id) FROM subject)", []).unwrap();
    let outcomes = [
        enrol_one(&desk.center, &desk.model, command(&["330203001"], photo(RED)), &desk.surroundings).await,
        enrol_one(&desk.center, &desk.model, command(&["330203002"], photo(RED)), &desk.surroundings).await,
    ];
    assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, Err(EnrolError::Binding))).count(), 1, "{outcomes:?}");
}

#[tokio::test]
async fn photos_of_several_sources_stand_beside_each_other() {
    let desk = Desk::new();
    let of = |source, colour| {
        let about = PhotoFacts { source, ..PhotoFacts::default() };
        EnrolCommand { about, birth: Some(Birth::new("1949").unwrap()), ..command(&["330203001"], photo(colour)) }
    };
    assert_eq!(desk.enrol(of(ReferenceSource::CardPhoto, RED)).await, "enrolled");
    assert_eq!(desk.enrol(of(ReferenceSource::DocumentChip, RED)).await, "added");
    assert_eq!(desk.enrol(of(ReferenceSource::CardPhoto, RED)).await, "unchanged");
    assert_eq!(desk.enrol(of(ReferenceSource::CardPhoto, BLUE)).await, "replaced");
    let claim = Claim::new(&desk.center, &[card("330203001")]).unwrap();
    let stored = desk.center.store.subject_of(claim.first_key()).await.unwrap().unwrap();
    assert_eq!(stored.references.len(), 3);
    assert!(stored.birth.is_some());
}

#[test]
fn debug_of_a_command_shows_neither_photo_nor_number() {
    let shown = format!("{:?}", command(&["330203001"], vec![77; 5]));
    assert_eq!(shown, "EnrolCommand([Identifier(social_security_card, *****3001)], [5 bytes])");
}
