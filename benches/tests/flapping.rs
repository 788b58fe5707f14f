//! A minute of a line that comes and goes, in small; `flapping` runs it for half an hour.

use std::time::Duration;

use benches::flapping::{Flapping, flap};

#[tokio::test(flavor = "multi_thread")]
async fn a_minute_of_a_line_that_comes_and_goes_loses_and_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Flapping { transactions: 180, lasts: Duration::from_secs(60), seed: 7 };
    let outcome = flap(settings, folder.path()).await.unwrap();
    assert!(outcome.holds(), "{outcome:?}");
    assert!(outcome.by_center > 20 && outcome.alone > 5 && outcome.changes > 20, "the line hardly failed: {outcome:?}");
}
