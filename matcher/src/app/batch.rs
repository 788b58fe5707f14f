//! Works on what waits, for as long as a process runs: captures that came late first, re-comparisons then.
//!
//! Live verifications go before all of it: while they wait or are refused, workers rest. Several processes may work on
//! one store; what each takes, nobody else has. Not here: what is done with a chunk.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use jiff::{Timestamp, civil::Time, tz::TimeZone};
use matcher_core::JobKind;
use tracing::{debug, info, warn};

use super::{
    deferred::worker::{WorkError, Worker},
    recompare::{Asked, Recomparer},
};
use crate::{
    store::TimeMs,
    surroundings::{Surroundings, System},
};

/// How long to wait when nothing is due.
const IDLE: Duration = Duration::from_secs(1);
/// How long to wait after a failure.
const AFTER_FAILURE: Duration = Duration::from_secs(15);
/// How long work rests after a live call had to wait or was refused, in milliseconds.
const REST_MS: i64 = 1_000;
/// How often it is looked whether the night has come.
const LOOK: Duration = Duration::from_secs(60);
const DAY_MS: i64 = 86_400_000;

/// Whether live calls had to wait or were refused just now. What can wait looks here first.
#[derive(Debug, Clone, Default)]
pub struct Pressure(Arc<AtomicI64>);

impl Pressure {
    /// A live call had to wait, or was refused.
    pub fn felt(&self) {
        self.0.fetch_max(System.now_ms(), Ordering::Relaxed);
    }

    /// Waits until no live call has had to wait for a while.
    pub async fn rest(&self) {
        while self.is_felt() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Whether a live call had to wait or was refused just now.
    #[must_use]
    pub fn is_felt(&self) -> bool {
        self.is_on(System.now_ms())
    }

    fn is_on(&self, now: TimeMs) -> bool {
        (0..REST_MS).contains(&now.saturating_sub(self.0.load(Ordering::Relaxed)))
    }
}

/// Works on what waits.
#[derive(Debug, Clone)]
pub struct Runner {
    /// Compares captures that came late.
    pub worker: Worker,
    /// Compares captures again.
    pub recomparer: Recomparer,
    /// Chunks at once.
    pub workers: u32,
    /// When the captures of the last day are compared again, in local time.
    pub nightly_at: Option<Time>,
    /// Whether live calls have to wait.
    pub pressure: Pressure,
}

impl Runner {
    /// Works until it is dropped.
    pub async fn run(self) {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..self.workers {
            let runner = self.clone();
            tasks.spawn(async move { runner.work().await });
        }
        tasks.spawn(async move { self.nights().await });
        // Dropping the set ends them.
        while tasks.join_next().await.is_some() {}
    }

    async fn work(&self) {
        loop {
            self.pressure.rest().await;
            match self.next().await {
                Ok(true) => {}
                Ok(false) => tokio::time::sleep(IDLE).await,
                Err(error) => {
                    warn!(error = &error as &dyn std::error::Error, "a chunk could not be worked on now");
                    tokio::time::sleep(AFTER_FAILURE).await;
                }
            }
        }
    }

    /// Works on a chunk, or a few; false when nothing is due.
    ///
    /// # Errors
    /// When the store fails; what was taken is due again later.
    pub async fn next(&self) -> Result<bool, WorkError> {
        if let Some(done) = self.worker.next().await? {
            debug!(?done, "captures that came late compared");
            return Ok(true);
        }
        let done = self.recomparer.next(None).await?;
        for (chunk, tally) in &done {
            debug!(job.id = %chunk.job, chunk = chunk.number, ?tally, "captures compared again");
        }
        Ok(!done.is_empty())
    }

    async fn nights(&self) {
        let mut last = String::new();
        while let Some(at) = self.nightly_at {
            if let Some((name, until)) = night(System.now_ms(), at, &TimeZone::system())
                && name != last
            {
                let asked = Asked {
                    kind: JobKind::Rematch,
                    name: name.clone(),
                    since: until - DAY_MS,
                    until,
                    by: String::new(),
                    reason: "every night".to_owned(),
                };
                match self.recomparer.request(asked).await {
                    Ok(job) => {
                        job.inspect(|job| info!(job.id = %job, "the last day's captures are compared again"));
                        last = name;
                    }
                    Err(error) => warn!(error = &error as &dyn std::error::Error, "the nightly re-match could not be added now"),
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// The name of the night that has come last within an hour, and the moment of it; nothing at other hours, so that a process
/// that is started at noon begins with the next night.
fn night(now: TimeMs, at: Time, zone: &TimeZone) -> Option<(String, TimeMs)> {
    let local = Timestamp::from_millisecond(now).ok()?.to_zoned(zone.clone());
    let moment = local.date().to_datetime(at).to_zoned(zone.clone()).ok()?.timestamp().as_millisecond();
    (0..3_600_000).contains(&(now - moment)).then(|| (format!("nightly {}", local.date()), moment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_night(now: &str, expected: Option<(&str, &str)>) {
        let ms = |text: &str| text.parse::<Timestamp>().unwrap().as_millisecond();
        let zone = TimeZone::fixed(jiff::tz::offset(8));
        let expected = expected.map(|(name, at)| (name.to_owned(), ms(at)));
        assert_eq!(night(ms(now), jiff::civil::time(2, 30, 0, 0), &zone), expected, "{now}");
    }

    #[test]
    fn a_night_comes_once_and_at_its_hour() {
        let tonight = Some(("nightly 2026-11-22", "2026-11-21T18:30:00Z"));
        check_night("2026-11-21T18:29:59Z", None);
        check_night("2026-11-21T18:30:00Z", tonight);
        check_night("2026-11-21T19:29:59Z", tonight);
        check_night("2026-11-21T19:30:00Z", None);
    }

    #[test]
    fn pressure_passes_and_a_clock_that_is_set_back_does_not_keep_it_up() {
        let pressure = Pressure::default();
        assert!(!pressure.is_felt());
        pressure.felt();
        let now = pressure.0.load(Ordering::Relaxed);
        assert!(pressure.is_on(now) && pressure.is_on(now + REST_MS - 1));
        assert!(!pressure.is_on(now + REST_MS) && !pressure.is_on(now - 1));
    }
}
