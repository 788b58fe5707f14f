//! More calls than can be worked on: who waits, who is refused, and what they are told.

use std::{sync::Arc, time::Duration};

use proto::v1;
use tokio::task::JoinSet;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::support::{TestCenter, TestDevice, capture};

const CARD: &str = "A10020001";

/// The time after which a refused caller is to come again.
#[track_caller]
fn told(status: &Status) -> Duration {
    assert_eq!(status.code(), Code::ResourceExhausted, "{}", status.message());
    status.get_details_retry_info().unwrap().retry_delay.unwrap()
}

async fn verify(device: &TestDevice, transaction: &str) -> Result<v1::VerifyResponse, Status> {
    device.verify(transaction, &capture(CARD, 0.8)).await
}

#[tokio::test]
async fn a_device_that_calls_too_often_is_told_when_to_come_again_and_others_are_not() {
    let center = TestCenter::live_with(|config| (config.overload.device_per_second, config.overload.device_burst) = (0.1, 2)).await;
    center.enrol(CARD).await;
    let (hasty, other) = (center.device("1").await, center.device("2").await);
    // The first call takes the turn of a stranger: the registry tells whose device it is.
    for number in 0..3 {
        verify(&hasty, &format!("T-{number}")).await.unwrap();
    }
    let refused = verify(&hasty, "T-3").await.unwrap_err();
    assert_eq!(refused.message(), "the device calls too often; try again later");
    let wait = told(&refused);
    assert!(wait > Duration::from_secs(4) && wait < Duration::from_secs(16), "{wait:?}");
    verify(&other, "U-1").await.unwrap();
    assert_eq!(center.verifications().await.len(), 4, "what was refused left no trace");
}

#[tokio::test]
async fn a_flood_of_one_institution_is_refused_and_another_is_served_meanwhile() {
    let center = TestCenter::live_with(|config| {
        config.server.requests_max = 2;
        (config.overload.waiting_max, config.overload.institution_max) = (8, 2);
        (config.overload.device_per_second, config.overload.device_burst) = (1000.0, 10_000);
    })
    .await;
    center.enrol(CARD).await;
    let (flooding, quiet) = (Arc::new(center.device("1").await), center.device_of("P2").await);
    verify(&flooding, "T-0").await.unwrap();
    verify(&quiet, "U-0").await.unwrap();
    let mut flood = JoinSet::new();
    for number in 1..=60 {
        let device = Arc::clone(&flooding);
        flood.spawn(async move { verify(&device, &format!("T-{number}")).await });
    }
    for number in 1..=10 {
        verify(&quiet, &format!("U-{number}")).await.unwrap();
    }
    let (mut served, mut refused) = (1, 0);
    while let Some(answer) = flood.join_next().await {
        match answer.unwrap() {
            Ok(_) => served += 1,
            Err(status) => {
                assert!(told(&status) >= Duration::from_millis(50));
                refused += 1;
            }
        }
    }
    assert!(refused > 0, "60 calls at once do not fit into 10 places");
    let of = |institution: &'static str| move |record: &&matcher::store::Verification| record.request.institution == institution;
    let records = center.verifications().await;
    assert_eq!((records.iter().filter(of("P1")).count(), records.iter().filter(of("P2")).count()), (served, 11));
}
