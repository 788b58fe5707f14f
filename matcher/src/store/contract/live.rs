//! What a live verification reads.

use std::sync::Arc;

use matcher_core::Decision;

use super::{card, device, enrolment, verification};
use crate::store::{
    RequestKey, Store, SubjectId,
    live::{Circumstances, Known},
    subjects::{Forget, Forgotten},
};

/// The device of a certificate comes with the answer of its own institution.
pub(super) async fn a_device_comes_with_the_answer_of_its_institution(store: Arc<dyn Store>) {
    let (here, mut elsewhere) = (device("till-1"), device("till-2"));
    elsewhere.institution = "pharmacy-2".into();
    for device in [&here, &elsewhere] {
        store.put_device(device.clone()).await.unwrap();
    }
    let answered = verification("T1", 1);
    store.record_verification(answered.clone()).await.unwrap();
    let ask = async |sha256, transaction, attempt| store.device_and_answer(sha256, transaction, attempt).await.unwrap();
    assert_eq!(ask(here.certificate_sha256, "T1", 1).await, Some((here.clone(), Some(answered.record))));
    assert_eq!(ask(here.certificate_sha256, "T1", 2).await, Some((here.clone(), None)));
    assert_eq!(ask(elsewhere.certificate_sha256, "T1", 1).await, Some((elsewhere, None)));
    assert_eq!(ask([0; 32], "T1", 1).await, None);
    store.revoke_device("till-1", 5_000).await.unwrap();
    let (revoked, _) = ask(here.certificate_sha256, "T1", 1).await.unwrap();
    assert_eq!(revoked.revoked_at, Some(5_000), "the registry is read each time");
}

/// A person is found under the first row that leads to one; without a person the tombstones are asked.
pub(super) async fn circumstances_name_the_person_or_that_there_was_one(store: Arc<dyn Store>) {
    store.put_enrolments(vec![enrolment(1, &[1], 11)]).await.unwrap();
    store.record_verification(verification("T1", 1)).await.unwrap();
    let ask = async |rows: &[u8], tombstone: u8| -> Known {
        let request = RequestKey { institution: "pharmacy-1".into(), transaction: "T1".into(), attempt: 2 };
        let rows = rows.iter().map(|byte| card(*byte)).collect();
        store.circumstances(Circumstances { request, rows, tombstones: vec![[0; 32], [tombstone; 32]] }).await.unwrap()
    };
    let known = ask(&[9, 1], 7).await;
    let (stored, row) = known.subject.unwrap();
    assert_eq!((stored, row), (store.subject_of(&card(1)).await.unwrap().unwrap(), card(1)));
    assert_eq!((known.forgotten, known.decisions), (false, vec![(1, Decision::NonMatch)]));
    assert!(!ask(&[9], 7).await.forgotten);
    let forget = Forget { subject: SubjectId([1; 16]), at: 9_000, tombstones: vec![([7; 32], "key-1".into())], pseudonym: [8; 32] };
    assert!(matches!(store.forget(forget).await.unwrap(), Forgotten::Done { .. }));
    let known = ask(&[9, 1], 7).await;
    assert!(known.subject.is_none() && known.forgotten);
    assert!(!ask(&[1], 6).await.forgotten);
}
