//! Codes, certificates that follow one another, health reports.

use std::{future::Future, sync::Arc};

use super::device;
use crate::store::{
    Device, DeviceRole, Store,
    registry::{Invitation, IssuedCertificate, Joined, Renewal, Report},
};

/// Runs the registry's part of the contract.
pub(super) async fn check_all<F: Future<Output = Arc<dyn Store>>>(fresh: impl Fn() -> F) {
    a_code_is_spent_once_with_its_device(fresh().await).await;
    a_code_does_not_take_a_name_unless_it_is_meant_to(fresh().await).await;
    a_renewed_certificate_leaves_the_one_before(fresh().await).await;
    reports_are_kept_up_to_a_number(fresh().await).await;
}

fn invitation(locator: &str) -> Invitation {
    Invitation {
        locator: locator.into(),
        digest: [7; 32],
        device: "counter-1".into(),
        institution: "pharmacy-1".into(),
        counter: "1".into(),
        role: DeviceRole::Counter,
        replaces: false,
        made_at: 1_000,
        expires_at: 2_000,
        wrong: 0,
        used: None,
    }
}

fn certificate(byte: u8) -> IssuedCertificate {
    IssuedCertificate { sha256: [byte; 32], pem: format!("certificate {byte}"), issued_at: i64::from(byte), previous_sha256: None }
}

async fn a_code_is_spent_once_with_its_device(store: Arc<dyn Store>) {
    store.invite(invitation("K7QF")).await.unwrap();
    assert!(store.invite(invitation("K7QF")).await.is_err(), "a locator names one code");
    assert_eq!(store.invitation("K7QF").await.unwrap(), Some(invitation("K7QF")));
    assert_eq!(store.count_wrong("K7QF", 1_100).await.unwrap().unwrap().wrong, 1);
    assert_eq!(store.count_wrong("none", 1_100).await.unwrap(), None);
    let joining = Device { certificate_sha256: [5; 32], ..device("counter-1") };
    assert_eq!(store.join("K7QF", joining.clone(), certificate(5)).await.unwrap(), Joined::Now);
    assert_eq!(store.device("counter-1").await.unwrap(), Some(joining.clone()));
    let spent = store.invitation("K7QF").await.unwrap().unwrap();
    assert_eq!(spent.used, Some((5, joining.public_key)));
    assert_eq!(store.join("K7QF", joining.clone(), certificate(6)).await.unwrap(), Joined::CodeSpent);
    assert_eq!(store.join("none", joining, certificate(6)).await.unwrap(), Joined::CodeSpent);
    assert_eq!(store.issued_certificate("counter-1").await.unwrap(), Some(certificate(5)));
}

async fn a_code_does_not_take_a_name_unless_it_is_meant_to(store: Arc<dyn Store>) {
    store.put_device(device("counter-1")).await.unwrap();
    store.invite(invitation("AAAA")).await.unwrap();
    store.invite(Invitation { replaces: true, ..invitation("BBBB") }).await.unwrap();
    let joining = Device { certificate_sha256: [5; 32], ..device("counter-1") };
    assert_eq!(store.join("AAAA", joining.clone(), certificate(5)).await.unwrap(), Joined::NameTaken);
    assert_eq!(store.invitation("AAAA").await.unwrap().unwrap().used, None);
    assert_eq!(store.join("BBBB", joining, certificate(5)).await.unwrap(), Joined::Now);
}

async fn a_renewed_certificate_leaves_the_one_before(store: Arc<dyn Store>) {
    let first = device("counter-1");
    store.put_device(first.clone()).await.unwrap();
    let renewal =
        |from: [u8; 32], to: u8| Renewal { device: "counter-1".into(), from_sha256: from, certificate: certificate(to), expires_at: 3_000 };
    assert!(!store.renew(renewal([1; 32], 9)).await.unwrap(), "not its certificate");
    assert!(store.renew(renewal(first.certificate_sha256, 9)).await.unwrap());
    let renewed = Device { certificate_sha256: [9; 32], certificate_expires_at: 3_000, ..first.clone() };
    for sha256 in [first.certificate_sha256, [9; 32]] {
        assert_eq!(store.device_of_certificate(&sha256).await.unwrap(), Some(renewed.clone()));
    }
    let issued = IssuedCertificate { previous_sha256: Some(first.certificate_sha256), ..certificate(9) };
    assert_eq!(store.issued_certificate("counter-1").await.unwrap(), Some(issued));
    assert!(store.renew(renewal([9; 32], 10)).await.unwrap());
    assert_eq!(store.device_of_certificate(&first.certificate_sha256).await.unwrap(), None, "one before the last opens nothing");
    store.revoke_device("counter-1", 5).await.unwrap();
    assert!(!store.renew(renewal([10; 32], 11)).await.unwrap());
    store.put_device(first.clone()).await.unwrap();
    assert_eq!(store.device_of_certificate(&[9; 32]).await.unwrap(), None, "a device that is entered anew has one certificate");
}

async fn reports_are_kept_up_to_a_number(store: Arc<dyn Store>) {
    let report = |device: &str, at: i64| Report {
        device: device.into(),
        received_at: at,
        behind_ms: -5,
        step_ms: 7,
        instance: (at % 2 == 0).then_some([3; 16]),
        detail: "{}".into(),
    };
    for at in 1..=5 {
        store.put_report(report("counter-1", at), 3).await.unwrap();
    }
    store.put_report(report("counter-2", 1), 3).await.unwrap();
    let kept = store.reports("counter-1", 10).await.unwrap();
    assert_eq!(kept, [5, 4, 3].map(|at| report("counter-1", at)));
    assert_eq!(store.reports("counter-1", 1).await.unwrap(), [report("counter-1", 5)]);
    assert_eq!(store.last_reports().await.unwrap(), [report("counter-1", 5), report("counter-2", 1)]);
}
