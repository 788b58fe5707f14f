//! Figures: what was verified and decided in a time, by one dimension after another.

use askama::Template;
use axum::response::Response;
use matcher_core::{
    drift::{Day, latency::quantile},
    figures::{Dimension, Figures, Place},
};

use super::{Frame, page};
use crate::{
    app::supervision::{
        date_of, day_of,
        sums::{Asked, Summed},
    },
    console::{
        door::{Refusal, Visit},
        plots,
    },
    store::statistics::{CountedDay, DayFigures},
};

/// Rows of a table.
const ROWS: u32 = 200;
/// Longest time, in days.
const DAYS_MAX: Day = 400;
/// Longest time by counter, camera or operator of all institutions: thousands of them a day.
const DAYS_OF_MANY_MAX: Day = 31;
/// Days by whose institutions one is chosen.
const NAMED_DAYS: Day = 7;
/// Institutions to choose from.
const INSTITUTIONS_MAX: u32 = 500;

/// A time that is chosen: its first and last day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// The first day.
    pub from: Day,
    /// The last day.
    pub until: Day,
}

impl Period {
    /// The time a query asks for: `from` and `until` as dates, or so many `days` up to today; a week otherwise.
    #[must_use]
    pub fn of(visit: &Visit, days: Day) -> Self {
        let today = day_of(visit.console.review.now(), visit.console.zone());
        let date = |name| visit.query.get(name).parse::<jiff::civil::Date>().ok().map(|date| day_of_date(date).min(today));
        let until = date("until").unwrap_or(today);
        let days = visit.query.get("days").parse::<Day>().unwrap_or(days).clamp(1, DAYS_MAX);
        let from = date("from").unwrap_or(until - days + 1).clamp(until - DAYS_MAX + 1, until);
        Self { from, until }
    }

    /// The days.
    #[must_use]
    pub fn days(self) -> (Day, Day) {
        (self.from, self.until)
    }

    /// The first day, as a form has it.
    #[must_use]
    pub fn from_text(&self) -> String {
        date_of(self.from).to_string()
    }

    /// The last day, likewise.
    #[must_use]
    pub fn until_text(&self) -> String {
        date_of(self.until).to_string()
    }
}

/// The day of a date.
#[must_use]
pub fn day_of_date(date: jiff::civil::Date) -> Day {
    date.since(jiff::civil::Date::constant(1970, 1, 1)).map_or(0, |span| span.get_days().into())
}

/// A row, as it is shown.
pub struct Row {
    /// Of what.
    pub place: Place,
    /// The counts.
    pub figures: Figures,
    name: String,
    cases: Option<String>,
    chart: Option<String>,
}

#[derive(Template)]
#[template(path = "console/figures.html")]
struct Page {
    f: Frame,
    period: Period,
    total: Figures,
    rows: Vec<Row>,
    more: bool,
    shortened: bool,
    by: Dimension,
    tabs: Vec<(String, &'static str, bool)>,
    periods: Vec<(String, &'static str, bool)>,
    institution: String,
    institutions: Vec<String>,
    plot: String,
    hours: String,
    counted: Option<i64>,
}

impl Page {
    fn wait(&self, figures: &Figures) -> String {
        let one = |share| quantile(&figures.waits, share).map_or_else(|| "–".to_owned(), |ms| self.f.number(&(ms.round() as u64)));
        [0.5, 0.95, 0.99].map(one).join(" · ")
    }

    fn mean(&self, figures: &Figures) -> String {
        self.f.score(&figures.scores.mean().map(|mean| mean as f32))
    }

    fn parts(&self, figures: &Figures) -> Vec<(&'static str, u64)> {
        let s = self.f.s;
        vec![
            (s.captures, figures.captures),
            (s.matched, figures.matched),
            (s.review, figures.review),
            (s.non_match, figures.non_match),
            (s.no_reference, figures.no_reference),
            (s.no_face, figures.no_face),
            (s.attack, figures.attack),
            (s.other_way, figures.other_way),
            (s.document, figures.document),
            (s.not_the_person, figures.not_the_person),
            (s.proxy, figures.proxy),
            (s.other, figures.other),
            (s.provisional, figures.provisional),
            (s.flags, figures.flags),
        ]
    }
}

/// The page.
///
/// # Errors
/// When the store fails.
pub async fn show(visit: Visit) -> Result<Response, Refusal> {
    let store = visit.console.store();
    let mut period = Period::of(&visit, 7);
    let by = Dimension::from_word(visit.query.get("by")).unwrap_or(Dimension::Store);
    let institution = visit.query.filled("store").map(str::to_owned);
    let many = matches!(by, Dimension::Counter | Dimension::Camera | Dimension::Operator);
    let shortened = many && institution.is_none() && period.until - period.from >= DAYS_OF_MANY_MAX;
    if shortened {
        period.from = period.until - DAYS_OF_MANY_MAX + 1;
    }
    let of = institution.as_deref();
    let (days, whole) = (period.days(), if of.is_some() { Dimension::Store } else { Dimension::Total });
    let daily = store.series(whole, days, Some(&place(whole, of))).await.map_err(Refusal::Store)?;
    let mut total = Figures::default();
    for day in &daily {
        total.add(&day.figures);
    }
    let counted = store.counted_days(period.from).await.map_err(Refusal::Store)?;
    let mut rows = summed(&visit, &counted, (by, days), of, ROWS + 1).await?.to_vec();
    let more = rows.len() > ROWS as usize;
    rows.truncate(ROWS as usize);
    let hourly = summed(&visit, &counted, (Dimension::Hour, days), of, 24).await?;
    let named = (period.from.max(period.until - NAMED_DAYS + 1), period.until);
    let names = summed(&visit, &counted, (Dimension::Store, named), None, INSTITUTIONS_MAX).await?;
    let mut institutions: Vec<String> = names.iter().map(|(place, _)| place.institution.clone()).collect();
    institutions.sort();
    let f = Frame::of(&visit);
    if matches!(by, Dimension::Hour | Dimension::Scene | Dimension::Age) {
        rows.sort_by(|(a, _), (b, _)| a.key.cmp(&b.key));
    }
    let page_of = Page {
        period,
        total,
        rows: rows.into_iter().map(|(place, figures)| row(&f, place, figures)).collect(),
        more,
        shortened,
        by,
        tabs: tabs(&visit, &f, by),
        periods: periods(&visit, &f),
        plot: days_plot(&f, period, &daily),
        hours: hours_plot(&f, &hourly),
        institution: institution.unwrap_or_default(),
        institutions,
        counted: counted.iter().filter(|day| day.day <= period.until).map(|day| day.counted_at).max(),
        f,
    };
    page(&page_of)
}

/// Sums by place, the largest first, of days of which these are counted.
///
/// # Errors
/// When the store fails.
pub async fn summed(
    visit: &Visit,
    counted: &[CountedDay],
    (dimension, days): (Dimension, (Day, Day)),
    institution: Option<&str>,
    limit: u32,
) -> Result<Summed, Refusal> {
    let asked = Asked { dimension, days, institution: institution.map(str::to_owned), limit };
    visit.console.sums.of(visit.console.store(), counted, asked).await.map_err(Refusal::Store)
}

fn place(dimension: Dimension, institution: Option<&str>) -> Place {
    Place { dimension, institution: institution.unwrap_or_default().to_owned(), key: String::new() }
}

fn row(f: &Frame, place: Place, figures: Figures) -> Row {
    let name = match place.dimension {
        Dimension::Total => f.label("dimension", "total").to_owned(),
        Dimension::Store => place.institution.clone(),
        Dimension::Scene => f.label("scene", &place.key).to_owned(),
        Dimension::Age => f.label("age", &place.key).to_owned(),
        Dimension::Hour => format!("{}:00", place.key),
        Dimension::Counter | Dimension::Camera | Dimension::Operator if place.key.is_empty() => "–".to_owned(),
        Dimension::Counter | Dimension::Camera | Dimension::Operator => place.key.clone(),
    };
    let query = |name, value: &str| format!("/queue?{name}={}", super::escaped(value));
    let cases = match place.dimension {
        Dimension::Scene => Some(query("scene", &place.key)),
        Dimension::Total | Dimension::Hour | Dimension::Age => None,
        Dimension::Store | Dimension::Counter | Dimension::Camera | Dimension::Operator => Some(query("store", &place.institution)),
    };
    let chart = matches!(place.dimension, Dimension::Store | Dimension::Camera).then(|| super::drift::chart_path(&place));
    Row { name, cases: cases.filter(|_| f.may("see_queue")), chart, place, figures }
}

fn tabs(visit: &Visit, f: &Frame, by: Dimension) -> Vec<(String, &'static str, bool)> {
    let tab = |dimension: &Dimension| {
        let label = super::label(f.language, "dimension", dimension.word());
        (format!("/figures?{}", visit.query.with(&[("by", dimension.word())])), label, *dimension == by)
    };
    Dimension::ALL.iter().filter(|dimension| **dimension != Dimension::Total).map(tab).collect()
}

fn periods(visit: &Visit, f: &Frame) -> Vec<(String, &'static str, bool)> {
    let chosen = if visit.query.filled("from").is_some() { "" } else { visit.query.filled("days").unwrap_or("7") };
    let period =
        |(days, label)| (format!("/figures?{}", visit.query.with(&[("days", days), ("from", ""), ("until", "")])), label, days == chosen);
    [("1", f.s.period_today), ("7", f.s.period_week), ("30", f.s.period_month), ("90", f.s.period_quarter)].map(period).into()
}

fn parts(figures: &Figures) -> Vec<u64> {
    vec![figures.matched, figures.review, figures.non_match, figures.captures - figures.compared().min(figures.captures)]
}

fn days_plot(f: &Frame, period: Period, daily: &[DayFigures]) -> String {
    let of = |day: Day| daily.iter().find(|row| row.day == day).map_or_else(|| vec![0; 4], |row| parts(&row.figures));
    let bars: Vec<(String, Vec<u64>)> = (period.from..=period.until).map(|day| (f.short_day(&day), of(day))).collect();
    plots::bars(f.s.plot_days, &bars, |value| f.number(&(value.round() as u64)))
}

fn hours_plot(f: &Frame, hourly: &[(Place, Figures)]) -> String {
    let of = |hour: String| {
        let found = hourly.iter().find(|(place, _)| place.key == hour);
        let parts = found.map_or_else(|| vec![0; 4], |(_, figures)| parts(figures));
        (hour, parts)
    };
    let bars: Vec<(String, Vec<u64>)> = (0..24).map(|hour| of(format!("{hour:02}"))).collect();
    plots::bars(f.s.plot_hours, &bars, |value| f.number(&(value.round() as u64)))
}
