//! What drifts: the alarms of a day, the charts of a camera or an institution, and saying that a state is the new one.

use std::collections::BTreeSet;

use askama::Template;
use axum::response::Response;
use matcher_core::{
    drift::{
        Chart, Day, DriftRule, Reading,
        history::History,
        traffic::{DAYS_MAX, Traffic, typical},
    },
    figures::{Dimension, Place},
};

use super::{Frame, escaped, figures::day_of_date, go, page};
use crate::{
    app::supervision::{READ_DAYS, begins, date_of, day_of, whole},
    console::{
        door::{Refusal, Visit},
        plots::{self, Point},
    },
    store::statistics::{Accepted, Alarm, ChartOf},
};

/// Days of a chart.
const SHOWN_DAYS: Day = 60;
/// Days before one whose alarms are told with it.
const WEEK: Day = 7;
/// Longest reason, in characters.
const REASON_MAX: usize = 200;

/// Where the charts of a place are.
#[must_use]
pub fn chart_path(place: &Place) -> String {
    format!("/drift/chart?by={}&store={}&item={}", place.dimension.word(), escaped(&place.institution), escaped(&place.key))
}

/// An alarm, as it is shown.
struct Shown {
    alarm: Alarm,
    path: String,
    cases: String,
    since: Day,
}

#[derive(Template)]
#[template(path = "console/drift.html")]
struct Page {
    f: Frame,
    day: Day,
    before: String,
    after: Option<String>,
    charts: Option<u64>,
    alarms: Vec<Shown>,
    earlier: Vec<Shown>,
    /// Scores a day, and what so many can show.
    traffic: Vec<(u64, String)>,
    whole: String,
}

/// Scores a day of which the page says what they can show.
const TRAFFIC: [u64; 7] = [20, 40, 60, 80, 120, 200, 400];

/// What so many scores a day can show, of as many charts as were judged together, in words.
fn traffic_of(f: &Frame, charts: u64) -> Vec<(u64, String)> {
    let rule = DriftRule::default();
    let days = |scores: u64| match typical(scores as f64, charts, &rule).days {
        Some(days) => days.to_string(),
        None => format!("> {DAYS_MAX}"),
    };
    if charts == 0 { Vec::new() } else { TRAFFIC.map(|scores| (scores, format!("{} {}", days(scores), f.s.traffic_unit))).into() }
}

impl Page {
    fn seen(&self, chart: &Chart, value: &f64) -> String {
        seen(&self.f, *chart, *value)
    }

    fn effect(&self, alarm: &Alarm) -> String {
        match alarm.of.chart {
            Chart::Score => format!("{} {}", signed(alarm.effect, 2), self.f.s.drift_effect_score),
            Chart::NoFace | Chart::NotMatched | Chart::OtherWay => {
                format!("{} {}", signed(100.0 * alarm.effect, 1), self.f.s.drift_effect_points)
            }
        }
    }

    fn p(&self, alarm: &Alarm) -> String {
        if alarm.p < 1e-9 { "< 0.000000001".to_owned() } else { format!("{:.9}", alarm.p).trim_end_matches('0').to_owned() }
    }
}

fn seen(f: &Frame, chart: Chart, value: f64) -> String {
    match chart {
        Chart::Score => f.score(&Some(value as f32)),
        Chart::NoFace | Chart::NotMatched | Chart::OtherWay => f.percent(&Some(value)),
    }
}

fn signed(value: f64, digits: usize) -> String {
    format!("{value:+.digits$}").replace('-', "−")
}

/// The alarms of a day: the one that is asked for, or the last that was judged.
///
/// # Errors
/// When the store fails.
pub async fn show(visit: Visit) -> Result<Response, Refusal> {
    let store = visit.console.store();
    let today = day_of(visit.console.review.now(), visit.console.zone());
    let asked = visit.query.get("day").parse().ok().map(day_of_date);
    let days = store.counted_days(asked.unwrap_or(today - 30)).await.map_err(Refusal::Store)?;
    let last = days.iter().rev().find(|day| day.charts.is_some()).map_or(today - 1, |day| day.day);
    let day = asked.unwrap_or(last).min(today);
    let charts = days.iter().find(|known| known.day == day).and_then(|day| day.charts);
    let all = store.drift_alarms((day - 60, day)).await.map_err(Refusal::Store)?;
    let (now, past): (Vec<Alarm>, Vec<Alarm>) = all.iter().cloned().partition(|alarm| alarm.day == day);
    let current: BTreeSet<&ChartOf> = now.iter().map(|alarm| &alarm.of).collect();
    let mut earlier: Vec<Alarm> = Vec::new();
    for alarm in past.into_iter().rev().filter(|alarm| alarm.day >= day - WEEK && !current.contains(&alarm.of)) {
        if earlier.iter().all(|known| known.of != alarm.of) {
            earlier.push(alarm);
        }
    }
    let shown = |alarm: &Alarm| Shown {
        path: chart_path(&alarm.of.place),
        cases: format!("/queue?store={}", escaped(&alarm.of.place.institution)),
        since: since(&all, alarm),
        alarm: alarm.clone(),
    };
    let at = |day: Day| format!("/drift?day={}", date_of(day));
    let f = Frame::of(&visit);
    let page_of = Page {
        before: at(day - 1),
        after: (day < last).then(|| at(day + 1)),
        day,
        charts,
        alarms: now.iter().map(shown).collect(),
        earlier: earlier.iter().map(shown).collect(),
        traffic: traffic_of(&f, charts.unwrap_or_default()),
        whole: chart_path(&whole()),
        f,
    };
    page(&page_of)
}

/// The first day of the alarms that an alarm belongs to: those with no week between them.
fn since(all: &[Alarm], alarm: &Alarm) -> Day {
    let mut first = alarm.day;
    for earlier in all.iter().rev().filter(|earlier| earlier.of == alarm.of && earlier.day < alarm.day) {
        if first - earlier.day > WEEK {
            break;
        }
        first = earlier.day;
    }
    first
}

/// A chart, as it is shown.
struct Charted {
    chart: Chart,
    plot: String,
    rows: Vec<(Day, Reading, bool)>,
    alarms: Vec<Day>,
}

#[derive(Template)]
#[template(path = "console/chart.html")]
struct ChartPage {
    f: Frame,
    place: Place,
    charts: Vec<Charted>,
    traffic: Option<Traffic>,
    accepted: Vec<Accepted>,
    cases: String,
}

impl ChartPage {
    fn seen(&self, chart: &Chart, value: &f64) -> String {
        seen(&self.f, *chart, *value)
    }

    /// What the traffic can show, in words.
    fn shows(&self, traffic: &Traffic) -> String {
        let a_day = self.f.number(&(traffic.scores.round() as u64));
        let words = &self.f.s;
        match traffic.days {
            Some(days) => words.traffic_days.replace("{scores}", &a_day).replace("{days}", &days.to_string()),
            None => words.traffic_longer.replace("{scores}", &a_day).replace("{days}", &DAYS_MAX.to_string()),
        }
    }

    fn date(&self, day: &Day) -> String {
        date_of(*day).to_string()
    }
}

/// The place that a query or a form names.
fn place_of(form: &crate::console::form::Form) -> Option<Place> {
    let dimension = Dimension::from_word(form.get("by"))?;
    if dimension == Dimension::Total {
        return Some(whole());
    }
    if !matches!(dimension, Dimension::Store | Dimension::Camera) {
        return None;
    }
    let (institution, key) = (form.get("store").to_owned(), form.get("item").to_owned());
    (!institution.is_empty() && institution.len() <= 128 && key.len() <= 128).then_some(Place { dimension, institution, key })
}

/// The charts of a camera or an institution, over the last weeks.
///
/// # Errors
/// When the place is none, or the store fails.
pub async fn chart(visit: Visit) -> Result<Response, Refusal> {
    let store = visit.console.store();
    let place = place_of(&visit.query).ok_or(Refusal::NotFound)?;
    let today = day_of(visit.console.review.now(), visit.console.zone());
    let days = (today - READ_DAYS - SHOWN_DAYS, today - 1);
    let series = store.series(place.dimension, days, Some(&place)).await.map_err(Refusal::Store)?;
    let of_center = store.series(Dimension::Total, days, Some(&whole())).await.map_err(Refusal::Store)?;
    let charts_judged = store.counted_days(today - WEEK).await.map_err(Refusal::Store)?.iter().rev().find_map(|day| day.charts);
    let alarms = store.drift_alarms_of(&place).await.map_err(Refusal::Store)?;
    let mut accepted = store.accepted_drifts().await.map_err(Refusal::Store)?;
    accepted.retain(|accepted| accepted.of.place == place);
    let (f, rule) = (Frame::of(&visit), DriftRule::default());
    let shown_from = series.last().map_or(0, |last| last.day) - SHOWN_DAYS;
    let mut center = History::default();
    for row in &of_center {
        center.push(row.day, &row.model, &row.figures);
    }
    let mut charts = Vec::new();
    let mut traffic = None;
    for chart in Chart::ALL {
        let of = ChartOf { place: place.clone(), chart: *chart };
        let alarmed: BTreeSet<Day> = alarms.iter().filter(|alarm| alarm.of == of).map(|alarm| alarm.day).collect();
        let mut history = History::default();
        let mut rows = Vec::new();
        for row in &series {
            history.push(row.day, &row.model, &row.figures);
            if row.day < shown_from {
                continue;
            }
            // As the day was judged: by the alarms that were known then.
            let known: BTreeSet<Day> = alarmed.range(..row.day).copied().collect();
            let reading = history.judge(*chart, row.day, &center, &known, begins(&accepted, &of, row.day), &rule);
            rows.extend(reading.map(|reading| (row.day, reading, alarmed.contains(&row.day))));
        }
        if let (Chart::Score, Some(row), Some(judged)) = (chart, series.last(), charts_judged) {
            traffic = history.traffic(row.day, &center, &alarmed, begins(&accepted, &of, row.day), judged, &rule);
        }
        charts.push(charted(&f, *chart, rows));
    }
    let cases = format!("/queue?store={}", escaped(&place.institution));
    page(&ChartPage { f, place, charts, traffic, accepted, cases })
}

fn charted(f: &Frame, chart: Chart, rows: Vec<(Day, Reading, bool)>) -> Charted {
    let point = |(day, reading, alarm): &(Day, Reading, bool)| Point {
        label: f.short_day(day),
        value: reading.value,
        average: reading.average,
        expected: reading.expected,
        limits: reading.limits,
        alarm: *alarm,
    };
    let points: Vec<Point> = rows.iter().map(point).collect();
    let label = f.label("chart", chart.word()).to_owned();
    let plot = plots::control(&label, &points, |value| match chart {
        Chart::Score => f.score(&Some(value as f32)),
        Chart::NoFace | Chart::NotMatched | Chart::OtherWay => f.percent(&Some(value)),
    });
    let alarms = rows.iter().filter(|(_, _, alarm)| *alarm).map(|(day, ..)| *day).collect();
    Charted { chart, plot, alarms, rows }
}

/// Takes the state of a chart from a day on as the new one.
///
/// # Errors
/// When it says nothing, or is no chart or day.
pub async fn accept(visit: Visit) -> Result<Response, Refusal> {
    let place = place_of(&visit.form).ok_or(Refusal::NotFound)?;
    let chart = Chart::from_word(visit.form.get("chart")).ok_or(Refusal::NotFound)?;
    let now = visit.console.review.now();
    let from = visit.form.get("from").parse().ok().map(day_of_date).ok_or(Refusal::NotFound)?;
    let reason = visit.form.get("reason").trim().to_owned();
    if reason.is_empty() || reason.chars().count() > REASON_MAX || from > day_of(now, visit.console.zone()) {
        return Err(Refusal::Review(crate::app::review::ReviewError::Hearing(matcher_core::console::HearingError::Empty)));
    }
    let back = chart_path(&place);
    let accepted = Accepted { of: ChartOf { place, chart }, from, at: now, by: visit.name().to_owned(), reason };
    visit.console.store().accept_drift(accepted).await.map_err(Refusal::Store)?;
    Ok(go(&back))
}
