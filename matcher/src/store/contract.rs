//! What every store must do, as functions that take one: the same tests for every engine.
//!
//! [`check_all`] runs them against one store after another; each starts with an empty one.

mod receipts;

use std::{future::Future, sync::Arc};

use matcher_core::{
    AgeBand, Decision, Disposition, FlagKind, IdentifierKind, Life, Mode, NoDecision, PhotoState, RecheckOutcome, ReferenceFacts,
    ReferenceSource, Scene,
};

use super::{
    BoundIdentifier, Device, DeviceRole, Enrolled, Flag, IdentifierKey, Listing, MadeBy, NewEnrolment, NewVerification, RecheckDone,
    RecordId, Recorded, RequestKey, Sealed, SealedProbe, Store, StoreError, StoredReference, SubjectId, Verification,
};

mod batch;
mod cases;
mod console;
mod deferred;
mod feed;
mod leases;
mod live;
mod registry;
mod statistics;
mod subjects;
mod ways;
mod webhook;

/// Runs the whole contract; `fresh` makes an empty store each time.
pub(crate) async fn check_all<F: Future<Output = Arc<dyn Store>>>(fresh: impl Fn() -> F) {
    devices_are_kept_and_revoked(fresh().await).await;
    a_certificate_belongs_to_one_device(fresh().await).await;
    an_enrolment_is_found_by_each_identifier(fresh().await).await;
    a_second_enrolment_supersedes_the_first(fresh().await).await;
    an_identifier_never_moves_to_another_person(fresh().await).await;
    subjects::photos_stand_beside_each_other_and_the_oldest_beyond_the_cap_goes(fresh().await).await;
    subjects::a_number_is_found_under_each_look_up_key(fresh().await).await;
    subjects::forgetting_keeps_decisions_without_the_number(fresh().await).await;
    subjects::withdrawal_takes_the_data_key_and_the_faces(fresh().await).await;
    a_verification_comes_back_as_it_went_in(fresh().await).await;
    the_same_envelope_has_one_answer(fresh().await).await;
    another_envelope_does_not_take_a_request_or_a_sequence_number(fresh().await).await;
    a_verification_is_written_whole_or_not_at_all(fresh().await).await;
    decisions_come_by_attempt(fresh().await).await;
    listings_are_newest_first_and_bounded(fresh().await).await;
    many_writers_collide_and_each_request_has_one_record(fresh().await).await;
    neighbours_of_a_bad_item_are_written(fresh().await).await;
    a_recheck_is_taken_by_one_and_finished_once(fresh().await).await;
    live::a_device_comes_with_the_answer_of_its_institution(fresh().await).await;
    live::circumstances_name_the_person_or_that_there_was_one(fresh().await).await;
    ways::a_proxy_takes_one_place_for_each_holder_of_a_day(fresh().await).await;
    ways::the_register_goes_with_the_person_and_its_keys_are_rewrapped(fresh().await).await;
    ways::overruled_non_matches_and_other_ways_are_found(fresh().await).await;
    receipts::check_all(&fresh).await;
    cases::check(&fresh).await;
    console::check(&fresh).await;
    webhook::check(&fresh).await;
    deferred::check_all(&fresh).await;
    batch::check_all(&fresh).await;
    feed::check(&fresh).await;
    leases::check_all(&fresh).await;
    registry::check_all(&fresh).await;
    statistics::check_all(&fresh).await;
}

/// A device at counter 1 of an institution.
pub(crate) fn device(id: &str) -> Device {
    let byte = id.bytes().fold(0_u8, u8::wrapping_add);
    Device {
        id: id.into(),
        institution: "pharmacy-1".into(),
        counter: "1".into(),
        role: DeviceRole::Counter,
        public_key: [byte; 32],
        certificate_sha256: [byte; 32],
        certificate_expires_at: 2_000,
        issued_at: 1_000,
        revoked_at: None,
    }
}

/// The key of a card.
pub(crate) fn card(byte: u8) -> IdentifierKey {
    IdentifierKey { kind: IdentifierKind::SocialSecurityCard, region: "330200".into(), hash: [byte; 32] }
}

/// A number under its seal.
pub(crate) fn bound(key: IdentifierKey) -> BoundIdentifier {
    BoundIdentifier { number: Some(Sealed(vec![key.hash[0]; 40])), key, lookup_key_id: "key-1".into() }
}

/// An enrolment of a person under some cards.
pub(crate) fn enrolment(person: u8, cards: &[u8], photo: u8) -> NewEnrolment {
    let subject = SubjectId([person; 16]);
    NewEnrolment {
        identifiers: cards.iter().map(|byte| bound(card(*byte))).collect(),
        data_key: Sealed(vec![person; 61]),
        strict_data_key: None,
        birth: None,
        reference: StoredReference {
            subject,
            record: RecordId([photo; 16]),
            photo: RecordId([photo; 16]),
            model: "m@1".into(),
            recipe: "r@1".into(),
            template: Sealed(vec![photo; 1053]),
            source: ReferenceSource::CardPhoto,
            life: Life::begun(1_000 + i64::from(photo)),
            photo_mac: [photo; 32],
            photo_taken_on: photo.is_multiple_of(2).then(|| "2020-02-29".into()),
        },
        photo: Sealed(vec![photo; 300]),
        quality: Sealed(vec![photo; 90]),
    }
}

/// Attempt 1 of a transaction, answered by an envelope; id and sequence number follow from it.
pub(crate) fn verification(transaction: &str, envelope: u8) -> NewVerification {
    let record = Verification {
        id: RecordId([envelope; 16]),
        request: RequestKey { institution: "pharmacy-1".into(), transaction: transaction.into(), attempt: 1 },
        request_digest: [envelope; 32],
        device: "counter-1".into(),
        counter: "1".into(),
        sequence: u64::from(envelope),
        scene: Scene::Settlement,
        operator: "收银员 3".into(),
        notice: "N-2026-1".into(),
        consent: "C-1".into(),
        identifier: card(1),
        identifier_masked: "*****1234".into(),
        subject: None,
        captured_at: 900 + i64::from(envelope),
        decided_at: 1_000 + i64::from(envelope),
        decision: Decision::NonMatch,
        reasons: Vec::new(),
        disposition: Disposition::DocumentCheck,
        score: Some(0.123_456_79),
        match_threshold: Some(0.5),
        non_match_threshold: Some(0.3),
        model: "m@1".into(),
        recipe: "r@1".into(),
        live: Some(0.9),
        policy_version: "test-1".into(),
        mode: Mode::Demonstration,
        facts: ReferenceFacts { minor: false, childhood_photo: true, photo_age_days: Some(400), age: AgeBand::Sixties },
        reference: Some(RecordId([envelope; 16])),
    };

    NewVerification { record, probe: None, flags: Vec::new(), recheck: None, made_by: None, receipt: None, proxy: None }
}

/// A flag of an id, raised at a time.
pub(crate) fn flag(id: u8, raised_at: i64) -> Flag {
    Flag {
        id: RecordId([id; 16]),
        kind: FlagKind::CardPersonMismatch,
        raised_at,
        verification: Some(RecordId([id; 16])),
        institution: "pharmacy-1".into(),
        device: "counter-1".into(),
        transaction: "T1".into(),
        identifier_masked: "*****1234".into(),
        reason: String::new(),
    }
}

async fn devices_are_kept_and_revoked(store: Arc<dyn Store>) {
    let (first, second) = (device("counter-1"), Device { role: DeviceRole::Enrolment, ..device("counter-2") });
    store.put_device(second.clone()).await.unwrap();
    store.put_device(first.clone()).await.unwrap();
    assert_eq!(store.devices().await.unwrap(), [first.clone(), second.clone()]);
    assert_eq!(store.device("counter-2").await.unwrap(), Some(second));
    assert_eq!(store.device_of_certificate(&first.certificate_sha256).await.unwrap(), Some(first.clone()));
    assert_eq!(store.device("counter-3").await.unwrap(), None);
    assert!(!store.revoke_device("counter-3", 5).await.unwrap());
    assert!(store.revoke_device("counter-1", 5).await.unwrap());
    assert!(store.revoke_device("counter-1", 9).await.unwrap());
    assert_eq!(store.device("counter-1").await.unwrap().unwrap().revoked_at, Some(5), "the first time stays");
    let renewed = Device { certificate_sha256: [99; 32], role: DeviceRole::Relay, ..first.clone() };
    store.put_device(renewed.clone()).await.unwrap();
    assert_eq!(store.device("counter-1").await.unwrap(), Some(renewed));
    assert_eq!(store.device_of_certificate(&first.certificate_sha256).await.unwrap(), None, "an older certificate is no longer current");
}

async fn a_certificate_belongs_to_one_device(store: Arc<dyn Store>) {
    store.put_device(device("counter-1")).await.unwrap();
    let second = Device { certificate_sha256: device("counter-1").certificate_sha256, ..device("counter-2") };
    assert!(matches!(store.put_device(second).await, Err(StoreError::Conflict("device certificate"))));
    assert_eq!(store.devices().await.unwrap().len(), 1);
}

async fn an_enrolment_is_found_by_each_identifier(store: Arc<dyn Store>) {
    let new = enrolment(1, &[10, 11], 4);
    assert_eq!(store.put_enrolments(vec![new.clone()]).await.unwrap().remove(0).unwrap(), Enrolled::New);
    for byte in [10, 11] {
        let found = store.subject_of(&card(byte)).await.unwrap().unwrap();
        assert_eq!((found.subject, &found.data_key), (new.reference.subject, &new.data_key));
        assert_eq!((found.references.as_slice(), found.number), (&[new.reference.clone()][..], bound(card(byte)).number));
    }
    let elsewhere = [
        card(12),
        IdentifierKey { region: String::new(), ..card(10) },
        IdentifierKey { kind: IdentifierKind::ResidentIdentity, ..card(10) },
    ];
    for identifier in elsewhere {
        assert_eq!(store.subject_of(&identifier).await.unwrap(), None, "{identifier:?}");
    }
}

async fn a_second_enrolment_supersedes_the_first(store: Arc<dyn Store>) {
    let older = enrolment(1, &[10], 4).reference;
    store.put_enrolments(vec![enrolment(1, &[10], 4)]).await.unwrap();
    let newer = enrolment(1, &[10, 12], 5);
    assert_eq!(store.put_enrolments(vec![newer.clone()]).await.unwrap().remove(0).unwrap(), Enrolled::Replaced);
    for byte in [10, 12] {
        let references = store.subject_of(&card(byte)).await.unwrap().unwrap().references;
        let life = Life { state: PhotoState::Superseded, changed_at: newer.reference.life.enrolled_at, ..older.life };
        assert_eq!(references, [StoredReference { life, ..older.clone() }, newer.reference.clone()]);
    }
}

async fn an_identifier_never_moves_to_another_person(store: Arc<dyn Store>) {
    store.put_enrolments(vec![enrolment(1, &[10], 4)]).await.unwrap();
    let other_key = NewEnrolment { data_key: Sealed(vec![7; 61]), ..enrolment(1, &[10], 8) };
    let batch = vec![enrolment(2, &[20, 10], 5), enrolment(3, &[30], 6), other_key];
    let written = store.put_enrolments(batch).await.unwrap();
    assert!(matches!(written[0], Err(StoreError::Conflict("identifier"))), "{written:?}");
    assert!(matches!(written[1], Ok(Enrolled::New)), "{written:?}");
    assert!(matches!(written[2], Err(StoreError::Conflict("data key"))), "{written:?}");
    assert_eq!(store.subject_of(&card(10)).await.unwrap().unwrap().references, [enrolment(1, &[], 4).reference]);
    assert_eq!(store.subject_of(&card(20)).await.unwrap(), None, "nothing is left of the one that failed");
}

async fn a_verification_comes_back_as_it_went_in(store: Arc<dyn Store>) {
    store.put_enrolments(vec![enrolment(1, &[1], 4)]).await.unwrap();
    let mut of_a_person = verification("T1", 1);
    of_a_person.record.subject = Some(SubjectId([1; 16]));
    of_a_person.probe = Some(SealedProbe { template: Sealed(vec![1; 1053]), sample: Sealed(vec![2; 60_000]) });
    of_a_person.flags = vec![flag(1, 1_001)];
    let mut of_nobody = verification("T2", 2);
    let no_reference = NoDecision::NoReference;
    of_nobody.record = Verification {
        decision: Decision::NoDecision(no_reference),
        reasons: vec![no_reference.word().into(), "second".into()],
        disposition: Disposition::OtherWay,
        scene: Scene::Reception,
        score: None,
        match_threshold: None,
        non_match_threshold: None,
        live: None,
        model: String::new(),
        recipe: String::new(),
        consent: String::new(),
        mode: Mode::Live,
        facts: ReferenceFacts::default(),
        reference: None,
        ..of_nobody.record
    };
    for new in [&of_a_person, &of_nobody] {
        assert_eq!(store.record_verification(new.clone()).await.unwrap(), Recorded::Stored);
        assert_eq!(store.answer(&new.record.request).await.unwrap().as_ref(), Some(&new.record));
    }
    assert_eq!(store.verifications(&all()).await.unwrap(), [of_nobody.record, of_a_person.record]);
    assert_eq!(store.flags(&all()).await.unwrap(), of_a_person.flags);
    let unknown = RequestKey { attempt: 2, ..verification("T1", 1).record.request };
    assert_eq!(store.answer(&unknown).await.unwrap(), None);
}

async fn the_same_envelope_has_one_answer(store: Arc<dyn Store>) {
    let first = verification("T1", 1);
    assert_eq!(store.record_verification(first.clone()).await.unwrap(), Recorded::Stored);
    let mut again = verification("T1", 1);
    again.record.id = RecordId([9; 16]);
    again.record.decided_at += 60_000;
    again.flags = vec![flag(9, 1)];
    assert_eq!(store.record_verification(again).await.unwrap(), Recorded::AlreadyAnswered(Box::new(first.record.clone())));
    assert_eq!(store.verifications(&all()).await.unwrap(), [first.record]);
    assert_eq!(store.flags(&all()).await.unwrap(), []);
}

async fn another_envelope_does_not_take_a_request_or_a_sequence_number(store: Arc<dyn Store>) {
    assert_eq!(store.last_sequence("counter-1").await.unwrap(), 0);
    let first = verification("T1", 7);
    store.record_verification(first.clone()).await.unwrap();
    let same_request = verification("T1", 8);
    assert_eq!(store.record_verification(same_request).await.unwrap(), Recorded::RequestTaken(Box::new(first.record.clone())));
    let mut same_sequence = verification("T2", 9);
    same_sequence.record.sequence = 7;
    assert_eq!(store.record_verification(same_sequence.clone()).await.unwrap(), Recorded::SequenceTaken);
    assert_eq!(store.last_sequence("counter-1").await.unwrap(), 7);
    same_sequence.record.device = "counter-2".into();
    assert_eq!(store.record_verification(same_sequence).await.unwrap(), Recorded::Stored, "each device counts for itself");
    let mut elsewhere = verification("T1", 10);
    elsewhere.record.request.institution = "pharmacy-2".into();
    assert_eq!(store.record_verification(elsewhere).await.unwrap(), Recorded::Stored, "each institution names its own transactions");
}

async fn a_verification_is_written_whole_or_not_at_all(store: Arc<dyn Store>) {
    store.record_flag(flag(5, 1)).await.unwrap();
    let mut new = verification("T1", 1);
    new.flags = vec![flag(6, 2), flag(5, 3)];
    assert!(matches!(store.record_verification(new).await, Err(StoreError::Conflict("flag"))));
    assert_eq!(store.verifications(&all()).await.unwrap(), []);
    assert_eq!(store.flags(&all()).await.unwrap().len(), 1);
    assert_eq!(store.last_sequence("counter-1").await.unwrap(), 0);
    assert_eq!(store.record_verification(verification("T1", 1)).await.unwrap(), Recorded::Stored);
}

async fn decisions_come_by_attempt(store: Arc<dyn Store>) {
    for (attempt, decision) in [(2, Decision::Match), (1, Decision::NonMatch), (3, Decision::NoDecision(NoDecision::SeveralFaces))] {
        let mut new = verification("T1", u8::try_from(attempt).unwrap());
        new.record.request.attempt = attempt;
        new.record.decision = decision;
        store.record_verification(new).await.unwrap();
    }
    store.record_verification(verification("T2", 9)).await.unwrap();
    let expected = [(1, Decision::NonMatch), (2, Decision::Match), (3, Decision::NoDecision(NoDecision::SeveralFaces))];
    assert_eq!(store.decisions_of("pharmacy-1", "T1").await.unwrap(), expected);
    assert_eq!(store.decisions_of("pharmacy-2", "T1").await.unwrap(), []);
}

async fn listings_are_newest_first_and_bounded(store: Arc<dyn Store>) {
    for byte in 1..=4_u8 {
        let mut new = verification(&format!("T{byte}"), byte);
        new.record.request.institution = format!("pharmacy-{}", byte % 2);
        new.flags = vec![Flag { institution: new.record.request.institution.clone(), ..flag(byte, new.record.decided_at) }];
        store.record_verification(new).await.unwrap();
    }
    for (listing, expected) in [
        (all(), &[4_u8, 3, 2, 1][..]),
        (Listing { limit: 2, ..all() }, &[4, 3]),
        (Listing { since: Some(1_003), ..all() }, &[4, 3]),
        (Listing { institution: Some("pharmacy-1".into()), ..all() }, &[3, 1]),
        (Listing { institution: Some("pharmacy-0".into()), since: Some(1_003), limit: 9 }, &[4]),
        (Listing { institution: Some("pharmacy-9".into()), ..all() }, &[]),
    ] {
        let verifications = store.verifications(&listing).await.unwrap();
        assert_eq!(verifications.iter().map(|v| v.id.0[0]).collect::<Vec<_>>(), expected, "{listing:?}");
        let flags = store.flags(&listing).await.unwrap();
        assert_eq!(flags.iter().map(|f| f.id.0[0]).collect::<Vec<_>>(), expected, "{listing:?}");
    }
}

/// Two hundred writers, four envelopes for each of fifty requests.
async fn many_writers_collide_and_each_request_has_one_record(store: Arc<dyn Store>) {
    let writers = (0..200_u8).map(|envelope| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.record_verification(verification(&format!("T{}", envelope % 50), envelope)).await.unwrap() })
    });
    let mut stored = 0;
    for writer in writers.collect::<Vec<_>>() {
        match writer.await.unwrap() {
            Recorded::Stored => stored += 1,
            Recorded::RequestTaken(_) => {}
            other @ (Recorded::AlreadyAnswered(_) | Recorded::RequestWaits(_) | Recorded::SequenceTaken) => panic!("{other:?}"),
        }
    }
    assert_eq!(stored, 50);
    assert_eq!(store.verifications(&all()).await.unwrap().len(), 50);
}

/// A hundred flags at a time, every tenth with an id that is taken.
async fn neighbours_of_a_bad_item_are_written(store: Arc<dyn Store>) {
    store.record_flag(flag(0, 1)).await.unwrap();
    let writers = (0..100_u8).map(|id| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.record_flag(flag(if id % 10 == 0 { 0 } else { id }, 1)).await })
    });
    let mut failed = 0;
    for writer in writers.collect::<Vec<_>>() {
        failed += usize::from(matches!(writer.await.unwrap(), Err(StoreError::Conflict("flag"))));
    }
    assert_eq!(failed, 10);
    assert_eq!(store.flags(&all()).await.unwrap().len(), 91);
}

async fn a_recheck_is_taken_by_one_and_finished_once(store: Arc<dyn Store>) {
    store.put_enrolments(vec![enrolment(1, &[1], 4)]).await.unwrap();
    let made_by = MadeBy { model: "m@1".into(), recipe: "r@1".into() };
    let mut new = verification("T1", 1);
    new.record.subject = Some(SubjectId([1; 16]));
    new.probe = Some(SealedProbe { template: Sealed(vec![1; 1053]), sample: Sealed(vec![2; 100]) });
    new.recheck = Some(made_by.clone());
    store.record_verification(new.clone()).await.unwrap();
    store.record_verification(verification("T2", 2)).await.unwrap();
    let now = new.record.decided_at;
    assert!(store.take_recheck(now - 1, 100).await.unwrap().is_none(), "not before it was decided");
    let first = store.take_recheck(now, 100).await.unwrap().unwrap();
    assert_eq!((&first.record, &first.made_by, first.attempt), (&new.record, &made_by, 1));
    assert_eq!((Some(&first.probe), &first.data_key), (new.probe.as_ref(), &Sealed(vec![1; 61])));
    assert!(store.take_recheck(now + 99, 100).await.unwrap().is_none(), "it is leased");
    let second = store.take_recheck(now + 100, 100).await.unwrap().unwrap();
    assert_eq!(second.attempt, 2);
    let done = |attempt, id| RecheckDone {
        subject: second.subject,
        verification: second.record.id,
        attempt,
        outcome: RecheckOutcome::Disagrees,
        agreement: Some(0.25),
        done_at: now + 110,
        flag: Some(flag(id, now)),
    };
    assert!(!store.finish_recheck(done(1, 1)).await.unwrap(), "whoever was too slow writes nothing");
    assert!(store.finish_recheck(done(2, 2)).await.unwrap());
    assert!(!store.finish_recheck(done(2, 3)).await.unwrap(), "once");
    assert_eq!(store.flags(&all()).await.unwrap().iter().map(|flag| flag.id.0[0]).collect::<Vec<_>>(), [2]);
    assert!(store.take_recheck(now + 10_000, 100).await.unwrap().is_none());
}

fn all() -> Listing {
    Listing { limit: 1_000, ..Listing::default() }
}
