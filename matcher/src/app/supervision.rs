//! Statistics: counts days from the log of decisions, judges each whole day by its charts, and forgets what is kept no longer.
//!
//! All of it is derived and may be done twice, by any process: a day is counted from the log and written in place of what
//! stood there. A day is judged once it is whole, after those before it, since an alarm is no past of later days. Not here:
//! the charts (`matcher_core::drift`).

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use matcher_core::{
    drift::{Chart, Day, DriftRule, Reading, alarms, history::History},
    figures::{Dimension, Observed, Place, Tally},
};
use tracing::{info, warn};

use crate::{
    store::{
        Store, StoreError, TimeMs,
        statistics::{Accepted, Alarm, ChartOf, CountedDay, DayFigures},
    },
    surroundings::Surroundings,
};

pub mod export;
pub mod sums;

/// Time between two turns.
const EVERY: Duration = Duration::from_secs(600);
/// How long after its end a day is whole: clocks of several processes differ, and commits take their time.
const WHOLE_AFTER_MS: TimeMs = 600_000;
/// How long before now decisions are committed for sure, as a rule.
const SETTLED_MS: TimeMs = 30_000;
const HOUR_MS: TimeMs = 3_600_000;
/// Days that are read for judging one: a past that is frozen reaches back further than one that rolls.
pub const READ_DAYS: Day = 420;
/// Days of figures that are read at once.
const PART_DAYS: Day = 30;
/// What is judged.
const WATCHED: [Dimension; 3] = [Dimension::Camera, Dimension::Store, Dimension::Total];

/// Counts and judges days.
#[derive(Clone)]
pub struct Statistician {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The clock.
    pub surroundings: Arc<dyn Surroundings>,
    /// Where days begin.
    pub zone: TimeZone,
    /// How days are judged.
    pub rule: DriftRule,
    /// Days that figures are kept, as long as decisions.
    pub kept_days: u32,
}

impl std::fmt::Debug for Statistician {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Statistician").field("rule", &self.rule).finish_non_exhaustive()
    }
}

/// The day that is not over, as far as it was counted: the next turn reads what came since.
#[derive(Debug)]
pub struct Today {
    day: Day,
    until: TimeMs,
    tally: Tally,
}

/// What a turn did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Turn {
    /// Days that were counted.
    pub counted: u64,
    /// Days that were judged.
    pub judged: u64,
    /// Alarms of those days.
    pub alarms: u64,
}

/// The day of a time.
#[must_use]
pub fn day_of(at: TimeMs, zone: &TimeZone) -> Day {
    let date = Timestamp::from_millisecond(at).unwrap_or_default().to_zoned(zone.clone()).date();
    date.since(Date::constant(1970, 1, 1)).map_or(0, |span| span.get_days().into())
}

/// The date of a day.
#[must_use]
pub fn date_of(day: Day) -> Date {
    let span = jiff::Span::new().try_days(day).unwrap_or_default();
    Date::constant(1970, 1, 1).checked_add(span).unwrap_or(Date::MAX)
}

/// When a day begins.
#[must_use]
pub fn start_of(day: Day, zone: &TimeZone) -> TimeMs {
    date_of(day).to_zoned(zone.clone()).map_or(0, |start| start.timestamp().as_millisecond())
}

impl Statistician {
    /// Works until it is dropped.
    pub async fn run(self) {
        let mut today = None;
        loop {
            match self.next(Some(&mut today), &|_, _| {}).await {
                Ok(Turn { judged: 0, .. }) => {}
                Ok(turn) => info!(days = turn.judged, alarms = turn.alarms, "days were judged for drift"),
                Err(error) => warn!(error = &error as &dyn std::error::Error, "statistics could not be brought up to date"),
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Counts days that are not whole yet, judges those that became whole. `progress` hears of days done and days to do.
    ///
    /// # Errors
    /// When the store fails; the next turn goes on.
    pub async fn turn(&self, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<Turn, StoreError> {
        self.next(None, progress).await
    }

    /// A turn that goes on with the day that was not over at the one before.
    async fn next(&self, mut kept: Option<&mut Option<Today>>, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<Turn, StoreError> {
        let now = self.surroundings.now_ms();
        let today = day_of(now, &self.zone);
        self.store.delete_statistics_before(today - Day::from(self.kept_days)).await?;
        let Some(first) = self.store.first_decided().await? else { return Ok(Turn::default()) };
        let first = day_of(first, &self.zone).max(today - Day::from(self.kept_days));
        let known: BTreeMap<Day, CountedDay> = self.store.counted_days(first).await?.into_iter().map(|day| (day.day, day)).collect();
        let open: Vec<Day> = (first..=today).filter(|day| known.get(day).is_none_or(|known| !known.complete)).collect();
        let mut turn = Turn::default();
        for day in &open {
            self.count(*day, now, kept.as_deref_mut()).await?;
            turn.counted += 1;
            progress(turn.counted, open.len() as u64);
        }
        let whole = |day: &Day| self.ends(*day) + WHOLE_AFTER_MS <= now;
        let unjudged: Vec<Day> =
            (first..today).filter(|day| whole(day) && known.get(day).is_none_or(|known| known.charts.is_none())).collect();
        self.judge(&unjudged, &mut turn).await?;
        Ok(turn)
    }

    /// Forgets all that follows from the log from a day on, so that the next turn counts and judges it anew.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn forget(&self) -> Result<(), StoreError> {
        // What the log no longer has stays as it was counted.
        let Some(first) = self.store.first_decided().await? else { return Ok(()) };
        self.store.delete_statistics(day_of(first, &self.zone)).await.map(drop)
    }

    fn ends(&self, day: Day) -> TimeMs {
        start_of(day + 1, &self.zone)
    }

    /// Counts a day from the log, an hour at a time. What is kept of today is gone on with; commits that were later than their
    /// time by more than [`SETTLED_MS`] are missed until the day is whole, and counted anew.
    async fn count(&self, day: Day, now: TimeMs, mut kept: Option<&mut Option<Today>>) -> Result<(), StoreError> {
        let ends = self.ends(day);
        let complete = ends + WHOLE_AFTER_MS <= now;
        let goes_on = kept.is_some() && !complete;
        let before = kept.as_deref_mut().and_then(Option::take).filter(|today| goes_on && today.day == day);
        let (mut at, mut tally) = before.map_or_else(|| (start_of(day, &self.zone), Tally::default()), |today| (today.until, today.tally));
        let last = if goes_on { ends.min(now - SETTLED_MS) } else { ends };
        while at < last {
            let until = (at + HOUR_MS).min(last);
            for (decided_at, observed) in self.store.observed(at, until).await? {
                tally.take(&Observed { hour: self.hour(decided_at), ..observed });
            }
            for beside in self.store.beside(at, until).await? {
                tally.beside(&beside.institution, &beside.device, beside.provisional, beside.flags);
            }
            at = until;
        }
        let (model, places) = tally.figures();
        let row = |(place, figures)| DayFigures { day, place, model: model.clone(), figures };
        let counted = CountedDay { day, counted_at: now, complete, charts: None };
        self.store.put_statistics(counted, places.into_iter().map(row).collect()).await?;
        if let Some(kept) = kept {
            *kept = goes_on.then_some(Today { day, until: at, tally });
        }
        Ok(())
    }

    fn hour(&self, at: TimeMs) -> u8 {
        let at = Timestamp::from_millisecond(at).unwrap_or_default().to_zoned(self.zone.clone());
        u8::try_from(at.hour()).unwrap_or_default()
    }

    /// Judges days, which rise.
    async fn judge(&self, days: &[Day], turn: &mut Turn) -> Result<(), StoreError> {
        let (Some(first), Some(last)) = (days.first(), days.last()) else { return Ok(()) };
        let mut watched = self.watched(first - READ_DAYS, first - 1).await?;
        let accepted = self.store.accepted_drifts().await?;
        let mut alarmed: HashMap<ChartOf, BTreeSet<Day>> = HashMap::new();
        for alarm in self.store.drift_alarms((first - READ_DAYS, first - 1)).await? {
            alarmed.entry(alarm.of).or_default().insert(alarm.day);
        }
        for day in *first..=*last {
            for (place, model, figures) in self.figures(day, day).await? {
                watched.entry(place).or_default().push(day, &model, &figures);
            }
            if !days.contains(&day) {
                continue;
            }
            let found = judge_day(day, &watched, &alarmed, &accepted, &self.rule);
            for alarm in &found.1 {
                alarmed.entry(alarm.of.clone()).or_default().insert(day);
            }
            turn.judged += 1;
            turn.alarms += found.1.len() as u64;
            self.store.put_alarms(day, found.0, found.1).await?;
        }
        Ok(())
    }

    async fn watched(&self, from: Day, until: Day) -> Result<HashMap<Place, History>, StoreError> {
        let mut watched: HashMap<Place, History> = HashMap::new();
        let mut at = from;
        while at <= until {
            for (day, rows) in by_day(self.figures_by_day(at, (at + PART_DAYS - 1).min(until)).await?) {
                for (place, model, figures) in rows {
                    watched.entry(place).or_default().push(day, &model, &figures);
                }
            }
            at += PART_DAYS;
        }
        Ok(watched)
    }

    async fn figures_by_day(&self, from: Day, until: Day) -> Result<Vec<DayFigures>, StoreError> {
        let mut rows = Vec::new();
        for dimension in WATCHED {
            rows.extend(self.store.series(dimension, (from, until), None).await?);
        }
        Ok(rows)
    }

    async fn figures(&self, from: Day, until: Day) -> Result<Vec<(Place, String, matcher_core::figures::Figures)>, StoreError> {
        Ok(self.figures_by_day(from, until).await?.into_iter().map(|row| (row.place, row.model, row.figures)).collect())
    }
}

type OfDay = Vec<(Place, String, matcher_core::figures::Figures)>;

fn by_day(rows: Vec<DayFigures>) -> BTreeMap<Day, OfDay> {
    let mut days: BTreeMap<Day, OfDay> = BTreeMap::new();
    for row in rows {
        days.entry(row.day).or_default().push((row.place, row.model, row.figures));
    }
    days
}

/// The place that the whole center is.
#[must_use]
pub fn whole() -> Place {
    Place { dimension: Dimension::Total, institution: String::new(), key: String::new() }
}

/// From which day on a chart's past counts, as of a day.
#[must_use]
pub fn begins(accepted: &[Accepted], of: &ChartOf, day: Day) -> Option<Day> {
    accepted.iter().filter(|accepted| accepted.of == *of && accepted.from <= day).map(|accepted| accepted.from).max()
}

/// Judges a day by all charts together: how many there were, and the alarms.
fn judge_day(
    day: Day,
    watched: &HashMap<Place, History>,
    alarmed: &HashMap<ChartOf, BTreeSet<Day>>,
    accepted: &[Accepted],
    rule: &DriftRule,
) -> (u64, Vec<Alarm>) {
    let (none, alone) = (BTreeSet::new(), History::default());
    let center = watched.get(&whole()).unwrap_or(&alone);
    let mut of_readings: Vec<(ChartOf, Reading)> = Vec::new();
    for (place, history) in watched {
        for chart in Chart::ALL {
            let of = ChartOf { place: place.clone(), chart: *chart };
            let begins = begins(accepted, &of, day);
            let reading = history.judge(*chart, day, center, alarmed.get(&of).unwrap_or(&none), begins, rule);
            of_readings.extend(reading.map(|reading| (of, reading)));
        }
    }
    let readings: Vec<Reading> = of_readings.iter().map(|(_, reading)| *reading).collect();
    let stand = alarms(&readings, rule);
    let mut alarms: Vec<Alarm> =
        of_readings.into_iter().zip(stand).filter(|(_, stands)| *stands).map(|((of, reading), _)| Alarm::new(day, of, &reading)).collect();
    alarms.sort_by(|a, b| a.p.total_cmp(&b.p).then_with(|| a.of.cmp(&b.of)));
    (readings.len() as u64, alarms)
}

#[cfg(test)]
mod tests;
