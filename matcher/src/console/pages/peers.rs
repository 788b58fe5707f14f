//! Institutions beside their peers, as a funnel: who was unlike the others from the first day does not drift.

use std::collections::BTreeMap;

use askama::Template;
use axum::response::Response;
use matcher_core::{
    drift::{
        Chart, Day,
        funnel::{Funnel, LIMITS},
        rates::Rate,
    },
    figures::{Dimension, Figures, Place},
};

use super::{
    Frame,
    drift::chart_path,
    figures::{Period, summed},
    page,
};
use crate::{
    console::{
        door::{Refusal, Visit},
        plots::{self, Limits, Peer},
    },
    store::statistics::CountedDay,
};

/// Institutions that are compared.
const INSTITUTIONS_MAX: u32 = 5_000;
/// Trials without which an institution says nothing.
const TRIALS_MIN: u64 = 30;
/// Parts of the time in each of which somebody must be outside to have been so from the start.
const PARTS: Day = 3;
/// Steps of a line of limits.
const STEPS: u32 = 60;

/// An institution outside the limits.
struct Outside {
    name: String,
    rate: Rate,
    share: Option<f64>,
    limits: (Option<f64>, Option<f64>),
    z: String,
    above: bool,
    steady: bool,
    path: String,
    cases: String,
}

#[derive(Template)]
#[template(path = "console/peers.html")]
struct Page {
    f: Frame,
    period: Period,
    measures: Vec<(String, &'static str, bool)>,
    chart: Chart,
    plot: String,
    outside: Vec<Outside>,
    target: Option<f64>,
    dispersion: String,
    peers: u64,
    few: bool,
}

/// The page.
///
/// # Errors
/// When the store fails.
pub async fn show(visit: Visit) -> Result<Response, Refusal> {
    let period = Period::of(&visit, 90);
    let chart = Chart::from_word(visit.query.get("of")).filter(|chart| *chart != Chart::Score).unwrap_or(Chart::NotMatched);
    // The time is read in parts, of which the whole is the sum.
    let parts = parts(&visit, period, chart).await?;
    let mut rates: BTreeMap<String, Rate> = BTreeMap::new();
    for (name, part) in parts.iter().flatten() {
        let rate = rates.entry(name.clone()).or_default();
        (rate.events, rate.trials) = (rate.events + part.events, rate.trials + part.trials);
    }
    rates.retain(|_, rate| rate.trials >= TRIALS_MIN);
    let f = Frame::of(&visit);
    let measure = |of: &Chart| {
        let label = super::label(f.language, "chart", of.word());
        (format!("/peers?{}", visit.query.with(&[("of", of.word())])), label, *of == chart)
    };
    let measures = Chart::ALL.iter().filter(|of| **of != Chart::Score).map(measure).collect();
    let all: Vec<Rate> = rates.values().copied().collect();
    let funnel = Funnel::of(&all);
    let mut page_of = Page {
        period,
        measures,
        chart,
        plot: String::new(),
        outside: Vec::new(),
        target: funnel.map(|funnel| funnel.target()),
        dispersion: funnel.map_or_else(String::new, |funnel| format!("{:.1}", funnel.dispersion)),
        peers: rates.len() as u64,
        few: funnel.is_none(),
        f,
    };
    if let Some(funnel) = funnel {
        let parts = funnels(parts);
        page_of.plot = plot(&page_of.f, chart, &funnel, &rates);
        let mut outside: Vec<Outside> =
            rates.iter().filter(|(_, rate)| is_outside(&funnel, rate)).map(|(name, rate)| outside(&funnel, name, *rate, &parts)).collect();
        outside.sort_by(|a, b| b.z.len().cmp(&a.z.len()).then_with(|| b.z.cmp(&a.z)));
        page_of.outside = outside;
    }
    page(&page_of)
}

fn is_outside(funnel: &Funnel, rate: &Rate) -> bool {
    funnel.z(rate).abs() > LIMITS.1
}

async fn rates(visit: &Visit, counted: &[CountedDay], days: (Day, Day), chart: Chart) -> Result<BTreeMap<String, Rate>, Refusal> {
    let rows = summed(visit, counted, (Dimension::Store, days), None, INSTITUTIONS_MAX).await?;
    let rate = |(place, figures): &(Place, Figures)| Some((place.institution.clone(), figures.rate(chart).filter(|rate| rate.trials > 0)?));
    Ok(rows.iter().filter_map(rate).collect())
}

/// The shares in each part of the time.
async fn parts(visit: &Visit, period: Period, chart: Chart) -> Result<Vec<BTreeMap<String, Rate>>, Refusal> {
    let length = ((period.until - period.from + 1) / PARTS).max(1);
    let counted = visit.console.store().counted_days(period.from).await.map_err(Refusal::Store)?;
    let mut parts = Vec::new();
    for part in 0..PARTS {
        let from = period.from + part * length;
        let until = if part == PARTS - 1 { period.until } else { from + length - 1 };
        if from <= until.min(period.until) {
            parts.push(rates(visit, &counted, (from, until.min(period.until)), chart).await?);
        }
    }
    Ok(parts)
}

/// Each part with its funnel, where enough institutions say enough.
fn funnels(parts: Vec<BTreeMap<String, Rate>>) -> Vec<(Funnel, BTreeMap<String, Rate>)> {
    let with_funnel = |mut rates: BTreeMap<String, Rate>| {
        rates.retain(|_, rate| rate.trials >= TRIALS_MIN);
        let all: Vec<Rate> = rates.values().copied().collect();
        Some((Funnel::of(&all)?, rates))
    };
    parts.into_iter().filter_map(with_funnel).collect()
}

fn outside(funnel: &Funnel, name: &str, rate: Rate, parts: &[(Funnel, BTreeMap<String, Rate>)]) -> Outside {
    let z = funnel.z(&rate);
    let (low, high) = funnel.limits(rate.trials as f64, LIMITS.1);
    // In every part that has it beyond 95 % on the same side: it did not become so.
    let mut there = parts.iter().filter_map(|(funnel, rates)| Some(funnel.z(rates.get(name)?))).peekable();
    let steady = there.peek().is_some() && there.all(|of_part| of_part.signum() == z.signum() && of_part.abs() > LIMITS.0);
    let place = Place { dimension: Dimension::Store, institution: name.to_owned(), key: String::new() };
    Outside {
        name: name.to_owned(),
        share: rate.share(),
        rate,
        limits: (Some(low), Some(high)),
        z: format!("{:.1}", z.abs()),
        above: z > 0.0,
        steady,
        path: chart_path(&place),
        cases: format!("/queue?store={}", super::escaped(name)),
    }
}

fn plot(f: &Frame, chart: Chart, funnel: &Funnel, rates: &BTreeMap<String, Rate>) -> String {
    let widest = rates.values().map(|rate| rate.trials).max().unwrap_or_default() as f64 * 1.08;
    let line = |deviations: f64| -> Limits {
        let at = |step: u32| {
            // Close together where the limits bend.
            let trials = (widest * (f64::from(step) / f64::from(STEPS)).powi(2)).max(1.0);
            let (low, high) = funnel.limits(trials, deviations);
            (trials, low, high)
        };
        (1..=STEPS).map(at).collect()
    };
    let peer = |(name, rate): (&String, &Rate)| {
        Some(Peer { name: name.clone(), trials: rate.trials as f64, share: rate.share()?, outside: is_outside(funnel, rate) })
    };
    let peers: Vec<Peer> = rates.iter().filter_map(peer).collect();
    let label = format!("{}: {}", f.s.peers_title, f.label("chart", chart.word()));
    plots::funnel(&label, &peers, funnel.target(), (&line(LIMITS.0), &line(LIMITS.1)), |value| f.percent(&Some(value)))
}
