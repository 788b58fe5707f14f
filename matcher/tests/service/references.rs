//! Several references of one person through the service: which is compared, and which no more.

use matcher::{
    app::subjects,
    store::{BoundIdentifier, Enrolled, NewEnrolment, StoredReference},
    surroundings::{Surroundings, System},
    vault::{IdentifierContext, RecordContext},
};
use matcher_core::{Identifier, IdentifierKind, Life, PhotoState, ReferenceSource, Region};
use proto::v1;

use crate::support::{TestCenter, TestDevice, capture, models, template};

const CARD: &str = "A10020001";

fn card() -> Identifier {
    Identifier::new(IdentifierKind::SocialSecurityCard, Region::default(), CARD).unwrap()
}

/// Enrols one more photo of the card's person, whose cosine with the others' reference is this.
async fn add(center: &TestCenter, source: ReferenceSource, cosine: f32, life: Life) -> Enrolled {
    let models = models();
    let current = models.current();
    let template = template(current.model.as_str(), current.recipe.as_str(), cosine);
    let row = subjects::row_of(&center.center, &card());
    let stored = center.center.store.subject_of(&row).await.unwrap().unwrap();
    let key = center.center.vault.unwrap_data_key(stored.subject, &stored.data_key).unwrap();
    let (subject, record) = (stored.subject, System.new_record());
    let model = template.model().as_str().to_owned();
    let reference = StoredReference {
        subject,
        record,
        photo: record,
        template: key.seal(&RecordContext::reference_template(subject, record, &model), &template.to_f16_le_bytes()),
        model,
        recipe: template.recipe().as_str().to_owned(),
        source,
        life,
        photo_mac: key.photo_mac(&record.0),
        photo_taken_on: None,
    };
    let number = Some(key.seal_number(&IdentifierContext { subject, key: &row }, &card()));
    let new = NewEnrolment {
        identifiers: vec![BoundIdentifier { key: row, lookup_key_id: center.center.lookup.id(), number }],
        data_key: stored.data_key,
        strict_data_key: None,
        birth: None,
        reference,
        photo: key.seal(&RecordContext::enrolment_photo(subject, record), b"photo"),
        quality: key.seal(&RecordContext::enrolment_quality(subject, record), &[0]),
    };
    center.center.store.put_enrolments(vec![new]).await.unwrap().remove(0).unwrap()
}

async fn score(device: &TestDevice, transaction: &str) -> f32 {
    device.verify(transaction, &capture(CARD, 0.0)).await.unwrap().score.unwrap()
}

fn earlier() -> Life {
    Life::begun(System.now_ms() - 1_800_000)
}

#[track_caller]
fn check(score: f32, expected: f32) {
    assert!((score - expected).abs() < 5e-3, "{score} instead of {expected}");
}

#[tokio::test]
async fn the_reference_most_like_the_probe_is_compared_and_recorded() {
    let (center, device) = TestCenter::with_device().await;
    center.enrol(CARD).await;
    check(score(&device, "T-1").await, 0.0);
    assert_eq!(add(&center, ReferenceSource::DocumentChip, 0.0, earlier()).await, Enrolled::Added);
    check(score(&device, "T-2").await, 1.0);
    let records = center.verifications().await;
    let (file, _) = subjects::open(&center.center, records[0].subject.unwrap()).await.unwrap();
    let of = |source| file.subject.references.iter().find(|reference| reference.source == source).map(|reference| reference.record);
    assert_eq!((records[0].reference, records[1].reference), (of(ReferenceSource::DocumentChip), of(ReferenceSource::CardPhoto)));
}

#[tokio::test]
async fn a_newer_photo_of_one_source_supersedes_and_the_cap_holds() {
    let (center, device) = TestCenter::with_device().await;
    center.enrol(CARD).await;
    assert_eq!(add(&center, ReferenceSource::CardPhoto, 0.0, earlier()).await, Enrolled::Replaced);
    check(score(&device, "T-1").await, 1.0);
    for (source, age) in [(ReferenceSource::DocumentChip, 3), (ReferenceSource::Counter, 2), (ReferenceSource::Other, 1)] {
        let life = Life::begun(System.now_ms() - age * 60_000);
        assert_eq!(add(&center, source, 0.6, life).await, Enrolled::Added);
    }
    let states = "SELECT count(*) FROM enrolment WHERE state = ";
    assert_eq!((center.count(&format!("{states} 'active'")), center.count(&format!("{states} 'superseded'"))), (3, 2));
    check(score(&device, "T-2").await, 0.8);
}

#[tokio::test]
async fn a_photo_that_is_not_valid_or_was_revoked_is_not_compared() {
    let (center, device) = TestCenter::with_device().await;
    center.enrol(CARD).await;
    let over = Life { valid_until: Some(System.now_ms() - 60_000), ..earlier() };
    add(&center, ReferenceSource::DocumentChip, 0.0, over).await;
    check(score(&device, "T-1").await, 0.0);
    let valid = Life { valid_from: Some(System.now_ms() - 60_000), ..earlier() };
    add(&center, ReferenceSource::Counter, 0.0, valid).await;
    check(score(&device, "T-2").await, 1.0);
    let who = subjects::find(&center.center, &card()).await.unwrap();
    let (file, _) = subjects::open(&center.center, who).await.unwrap();
    let counter = file.photos.iter().find(|photo| photo.source == ReferenceSource::Counter).unwrap();
    subjects::revoke(&center.center, &System, who, counter.photo).await.unwrap();
    assert!(subjects::revoke(&center.center, &System, who, counter.photo).await.is_err());
    check(score(&device, "T-3").await, 0.0);
    let (file, _) = subjects::open(&center.center, who).await.unwrap();
    assert!(file.photos.iter().any(|photo| photo.life.state == PhotoState::Revoked), "it is still there to be looked at");
}

#[tokio::test]
async fn one_reference_that_does_not_open_is_tampering_whatever_the_others_say() {
    let (center, device) = TestCenter::with_device().await;
    center.enrol(CARD).await;
    add(&center, ReferenceSource::DocumentChip, 0.0, earlier()).await;
    center.meddle("UPDATE reference SET template = zeroblob(64) WHERE record_id = (SELECT min(record_id) FROM reference)");
    let answer = device.verify("T-1", &capture(CARD, 0.0)).await.unwrap();
    assert_eq!((answer.decision(), answer.reasons.as_slice()), (v1::Decision::NoDecision, &["reference_unreadable".to_owned()][..]));
    assert_eq!(center.flag_words().await, ["tampering_suspected"]);
}
