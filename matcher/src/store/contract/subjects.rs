//! Persons: what every store must do about numbers, photos, holds, and forgetting.

use std::sync::Arc;

use matcher_core::ReferenceSource;

use super::{bound, card, enrolment, flag, verification};
use crate::store::{
    Enrolled, NewEnrolment, RecordId, Sealed, SealedProbe, Store, StoreError, StoredReference, SubjectId,
    subjects::{Forget, Forgotten, Hold, Withdrawal},
};

const WHO: SubjectId = SubjectId([1; 16]);

fn hold(until: Option<i64>) -> Hold {
    Hold { id: RecordId([9; 16]), reason: "court".into(), placed_by: "auditor".into(), placed_at: 5, until, released: None }
}

fn forget_at(at: i64) -> Forget {
    Forget { subject: WHO, at, tombstones: vec![([7; 32], "key-1".into())], pseudonym: [8; 32] }
}

/// A person with a card, a verification with its probe and a flag, and a decision from before there was a person.
async fn person(store: &Arc<dyn Store>) {
    let mut before = verification("T0", 9);
    before.record.identifier = card(1);
    store.record_verification(before).await.unwrap();
    store.put_enrolments(vec![enrolment(1, &[1], 4)]).await.unwrap();
    let mut new = verification("T1", 1);
    new.record.subject = Some(WHO);
    new.probe = Some(SealedProbe { template: Sealed(vec![1; 1053]), sample: Sealed(vec![2; 100]) });
    new.flags = vec![flag(1, 1_001)];
    store.record_verification(new).await.unwrap();
}

pub(super) async fn photos_stand_beside_each_other_and_the_oldest_beyond_the_cap_goes(store: Arc<dyn Store>) {
    let from = |source, photo: u8| {
        let new = enrolment(1, &[1], photo);
        NewEnrolment { reference: StoredReference { source, ..new.reference.clone() }, ..new }
    };
    let sources =
        [(ReferenceSource::CardPhoto, 1), (ReferenceSource::DocumentChip, 2), (ReferenceSource::Counter, 3), (ReferenceSource::Other, 4)];
    let batch = sources.map(|(source, photo)| from(source, photo)).to_vec();
    let written: Vec<Enrolled> = store.put_enrolments(batch).await.unwrap().into_iter().map(Result::unwrap).collect();
    assert_eq!(written, [Enrolled::New, Enrolled::Added, Enrolled::Added, Enrolled::Added]);
    let states: Vec<&str> =
        store.subject_of(&card(1)).await.unwrap().unwrap().references.iter().map(|found| found.life.state.word()).collect();
    assert_eq!(states, ["superseded", "active", "active", "active"]);
    assert!(store.revoke_photo(WHO, RecordId([2; 16]), 50).await.unwrap());
    assert!(!store.revoke_photo(WHO, RecordId([2; 16]), 60).await.unwrap(), "once");
    assert_eq!(store.subject_of(&card(1)).await.unwrap().unwrap().references.len(), 3, "a revoked photo is not compared with");
    assert_eq!(store.subject_file(WHO).await.unwrap().unwrap().photos.len(), 4, "and is still there");
}

pub(super) async fn a_number_is_found_under_each_look_up_key(store: Arc<dyn Store>) {
    person(&store).await;
    let second = bound(card(2));
    store.add_identifiers(WHO, vec![second.clone()]).await.unwrap();
    assert_eq!(store.identifiers_of(WHO).await.unwrap(), [bound(card(1)), second]);
    assert_eq!(store.subject_of(&card(2)).await.unwrap().unwrap().number, bound(card(2)).number);
    store.put_enrolments(vec![enrolment(2, &[3], 5)]).await.unwrap();
    let taken = store.add_identifiers(WHO, vec![bound(card(3))]).await;
    assert!(matches!(taken, Err(StoreError::Conflict("identifier"))), "{taken:?}");
    assert_eq!(store.subjects_after(None, 10).await.unwrap(), [WHO, SubjectId([2; 16])]);
    assert_eq!(store.subjects_after(Some(WHO), 10).await.unwrap(), [SubjectId([2; 16])]);
}

pub(super) async fn forgetting_keeps_decisions_without_the_number(store: Arc<dyn Store>) {
    person(&store).await;
    assert!(store.place_hold(WHO, hold(Some(100))).await.unwrap());
    assert!(matches!(store.forget(forget_at(99)).await.unwrap(), Forgotten::Held(found) if found.reason == "court"));
    assert!(store.subject_of(&card(1)).await.unwrap().is_some(), "nothing was deleted");
    let Forgotten::Done { deleted, pseudonymised } = store.forget(forget_at(100)).await.unwrap() else { panic!("held") };
    let of = |counts: &[(String, u64)], table: &str| counts.iter().find(|(name, _)| name == table).map(|(_, rows)| *rows);
    assert_eq!(["subject", "reference", "probe", "identifier"].map(|table| of(&deleted, table)), [Some(1); 4]);
    assert_eq!([of(&pseudonymised, "flag"), of(&pseudonymised, "verification")], [Some(1), Some(2)]);
    assert!(store.subject_of(&card(1)).await.unwrap().is_none() && store.subject_file(WHO).await.unwrap().is_none());
    for record in store.verifications(&super::all()).await.unwrap() {
        assert_eq!((record.identifier.hash, record.identifier_masked.as_str()), ([8; 32], ""));
    }
    assert_eq!(store.flags(&super::all()).await.unwrap()[0].identifier_masked, "");
    let traces = store.traces(WHO).await.unwrap();
    // That records came and went is known until everybody has read it.
    let kept: Vec<_> = traces.iter().filter(|(table, _)| table != "feed").cloned().collect();
    assert_eq!(kept, [("request".to_owned(), 1), ("verification".to_owned(), 1)]);
    assert!(store.is_forgotten(&[[6; 32], [7; 32]]).await.unwrap() && !store.is_forgotten(&[[6; 32]]).await.unwrap());
    assert_eq!((store.readmit(&[[7; 32]]).await.unwrap(), store.readmit(&[[7; 32]]).await.unwrap()), (1, 0));
    assert_eq!(store.forget(forget_at(100)).await.unwrap(), Forgotten::Unknown);
    let mut late = verification("T2", 2);
    late.record.subject = Some(WHO);
    let refused = store.record_verification(late).await;
    assert!(matches!(refused, Err(StoreError::Conflict("person"))), "{refused:?}");
}

pub(super) async fn withdrawal_takes_the_data_key_and_the_faces(store: Arc<dyn Store>) {
    person(&store).await;
    let withdrawal = |old: u8| Withdrawal {
        subject: WHO,
        at: 50,
        old_key: Sealed(vec![old; 61]),
        data_key: Sealed(vec![5; 61]),
        birth: None,
        identifiers: vec![bound(card(1))],
    };
    let slow = store.withdraw(withdrawal(4)).await;
    assert!(matches!(slow, Err(StoreError::Conflict("data key"))), "{slow:?}");
    assert!(matches!(store.withdraw(withdrawal(1)).await.unwrap(), Forgotten::Done { .. }));
    let found = store.subject_of(&card(1)).await.unwrap().unwrap();
    assert_eq!((found.withdrawn_at, found.data_key, found.references.len()), (Some(50), Sealed(vec![5; 61]), 0));
    let again = store.put_enrolments(vec![NewEnrolment { data_key: Sealed(vec![5; 61]), ..enrolment(1, &[1], 6) }]).await.unwrap();
    assert!(matches!(again[0], Err(StoreError::Conflict(_))), "{again:?}");
    let mut with_face = verification("T3", 3);
    with_face.record.subject = Some(WHO);
    store.record_verification(with_face.clone()).await.unwrap();
    with_face.record.request.transaction = "T4".into();
    with_face.record.sequence = 44;
    with_face.record.id = RecordId([44; 16]);
    with_face.probe = Some(SealedProbe { template: Sealed(vec![1; 9]), sample: Sealed(vec![2; 9]) });
    let refused = store.record_verification(with_face).await;
    assert!(matches!(refused, Err(StoreError::Conflict("person"))), "{refused:?}");
    assert!(store.consent_again(WHO).await.unwrap() && !store.consent_again(WHO).await.unwrap());
}
