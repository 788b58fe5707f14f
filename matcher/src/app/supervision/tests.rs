//! Counting a day that goes on, and one that is over.

use std::sync::atomic::Ordering;

use matcher_core::figures::Dimension;

use super::*;
use crate::{
    store::{contract::verification, sql::SqlStore},
    surroundings::Fixed,
};

const DAY_MS: TimeMs = 86_400_000;

async fn decided(store: &dyn Store, envelope: u8, at: TimeMs) {
    let mut new = verification(&format!("T{envelope}"), envelope);
    (new.record.decided_at, new.record.captured_at) = (at, at - 500);
    store.record_verification(new).await.unwrap();
}

#[tokio::test]
async fn a_day_that_goes_on_is_counted_further_and_a_day_that_is_over_anew() {
    let dir = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(SqlStore::open(&dir.path().join("matcher.db")).unwrap());
    let noon = 100 * DAY_MS + DAY_MS / 2;
    let clock = Arc::new(Fixed::at(noon));
    let surroundings = Arc::clone(&clock) as Arc<dyn Surroundings>;
    let statistician =
        Statistician { store: Arc::clone(&store), surroundings, zone: TimeZone::UTC, rule: DriftRule::default(), kept_days: 1_095 };
    let answers =
        || async { store.figures(Dimension::Total, (100, 100), None, 1).await.unwrap().first().map_or(0, |(_, all)| all.captures) };
    let mut today = None;
    let turn = async |today: &mut Option<Today>| statistician.next(Some(today), &|_, _| {}).await.unwrap();
    decided(store.as_ref(), 1, noon - 600_000).await;
    turn(&mut today).await;
    assert_eq!(answers().await, 1);
    // One that was committed late is missed for now, one that came since is not.
    decided(store.as_ref(), 2, noon - 300_000).await;
    decided(store.as_ref(), 3, noon + 10).await;
    clock.now_ms.store(noon + 600_000, Ordering::SeqCst);
    turn(&mut today).await;
    assert_eq!(answers().await, 2);
    // Whoever asks at once is told all there is, and so is everybody once the day is whole.
    statistician.turn(&|_, _| {}).await.unwrap();
    assert_eq!(answers().await, 3);
    clock.now_ms.store(101 * DAY_MS + WHOLE_AFTER_MS, Ordering::SeqCst);
    let done = turn(&mut today).await;
    assert_eq!((answers().await, done.judged, store.counted_days(100).await.unwrap()[0].complete), (3, 1, true));
}
