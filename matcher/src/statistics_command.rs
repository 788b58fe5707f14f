//! `matcher statistics`: count days anew from the log of decisions, show their figures and what stood out.

use std::{io, sync::Arc};

use clap::{Args, Subcommand};
use comfy_table::{Cell, CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use indicatif::ProgressBar;
use jiff::tz::TimeZone;
use matcher_core::{
    drift::{DriftRule, latency::quantile},
    figures::{Dimension, Figures, Place},
};
use serde_json::json;
use thiserror::Error;

use crate::{
    app::supervision::{Statistician, date_of, day_of},
    center::open_store,
    config::Config,
    data_dir::DataDir,
    listing::Since,
    out,
    store::{Store, StoreError, statistics::Alarm},
    surroundings::{Surroundings, System},
};

/// Rows that are shown.
const ROWS_MAX: u32 = 10_000;

/// What can be done with statistics.
#[derive(Debug, Subcommand)]
pub enum StatisticsCommand {
    /// Count and judge all days anew from the log of decisions; what was accepted as a new state stays
    Rebuild {
        /// Only what was not counted or judged yet
        #[arg(long)]
        missing: bool,
        /// Print a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Show the figures of a time, by one dimension
    Show(ShowArgs),
    /// List charts of cameras and institutions that stood out, by day
    Drift {
        /// From this time on: so long ago (24h, 30d), or a time (2026-01-31T08:00:00+08:00)
        #[arg(long, value_name = "TIME", default_value = "30d")]
        since: Since,
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
}

/// Which figures.
#[derive(Debug, Clone, Args)]
pub struct ShowArgs {
    /// By what: total, store, counter, camera, operator, scene, hour, age
    #[arg(long, value_name = "WHAT", default_value = "store", value_parser = parse_dimension)]
    pub by: Dimension,
    /// Only of this institution
    #[arg(long, value_name = "ID")]
    pub institution: Option<String>,
    /// From this time on: so long ago (24h, 30d), or a time (2026-01-31T08:00:00+08:00)
    #[arg(long, value_name = "TIME", default_value = "7d")]
    pub since: Since,
    /// Print a JSON array
    #[arg(long)]
    pub json: bool,
}

fn parse_dimension(word: &str) -> Result<Dimension, String> {
    let words = || Dimension::ALL.iter().map(|dimension| dimension.word()).collect::<Vec<_>>().join(", ");
    Dimension::from_word(word).ok_or_else(|| format!("expected one of {}", words()))
}

/// A command that failed.
#[derive(Debug, Error)]
pub enum CommandError {
    /// The store failed.
    #[error("the store could not be asked")]
    Store(#[source] StoreError),
    /// The output failed.
    #[error("could not print")]
    Print(#[source] io::Error),
}

/// What counts and judges, as things are set.
#[must_use]
pub fn statistician(store: Arc<dyn Store>, config: &Config) -> Statistician {
    Statistician {
        store,
        surroundings: Arc::new(System),
        zone: TimeZone::system(),
        rule: DriftRule::default(),
        kept_days: config.retention.rule().decision_days,
    }
}

/// Runs `matcher statistics`.
///
/// # Errors
/// When the store or the output fails.
pub async fn run((dir, config): &(DataDir, Config), command: &StatisticsCommand) -> Result<(), CommandError> {
    let store: Arc<dyn Store> = Arc::new(open_store(dir, &config.store).map_err(CommandError::Store)?);
    let statistician = statistician(Arc::clone(&store), config);
    let (now, zone) = (System.now_ms(), TimeZone::system());
    let text = match command {
        StatisticsCommand::Rebuild { missing, json } => rebuild(&statistician, *missing, *json).await?,
        StatisticsCommand::Show(args) => {
            let days = (day_of(args.since.time(now), &zone), day_of(now, &zone));
            let rows = store.figures(args.by, days, args.institution.as_deref(), ROWS_MAX).await.map_err(CommandError::Store)?;
            if args.json { text_of(&rows.iter().map(figures_json).collect::<Vec<_>>())? } else { figures_table(&rows) }
        }
        StatisticsCommand::Drift { since, json } => {
            let days = (day_of(since.time(now), &zone), day_of(now, &zone));
            let alarms = store.drift_alarms(days).await.map_err(CommandError::Store)?;
            if *json { text_of(&alarms.iter().map(alarm_json).collect::<Vec<_>>())? } else { alarms_table(&alarms) }
        }
    };
    out::line(&text).map_err(CommandError::Print)
}

async fn rebuild(statistician: &Statistician, missing: bool, as_json: bool) -> Result<String, CommandError> {
    if !missing {
        statistician.forget().await.map_err(CommandError::Store)?;
    }
    let bar = ProgressBar::new(0);
    let progress = |done, of| {
        bar.set_length(of);
        bar.set_position(done);
    };
    let turn = statistician.turn(&progress).await.map_err(CommandError::Store)?;
    bar.finish_and_clear();
    if as_json {
        return text_of(&json!({ "counted_days": turn.counted, "judged_days": turn.judged, "alarms": turn.alarms }));
    }
    Ok(format!("{} days counted, {} judged, {} alarms of charts on those days", turn.counted, turn.judged, turn.alarms))
}

fn text_of(value: &impl serde::Serialize) -> Result<String, CommandError> {
    serde_json::to_string_pretty(value).map_err(|error| CommandError::Print(io::Error::other(error)))
}

fn figures_json((place, figures): &(Place, Figures)) -> serde_json::Value {
    let wait = |share| quantile(&figures.waits, share).map(f64::round);
    json!({
        "by": place.dimension.word(), "institution": place.institution, "key": place.key,
        "captures": figures.captures, "match": figures.matched, "review": figures.review, "non_match": figures.non_match,
        "no_reference": figures.no_reference, "no_face": figures.no_face, "attack": figures.attack, "other_way": figures.other_way,
        "document_checked": figures.document, "document_not_the_person": figures.not_the_person, "proxy": figures.proxy, "other": figures.other,
        "provisional_receipts": figures.provisional, "flags": figures.flags, "scores": figures.scores.count, "mean_score": figures.scores.mean(),
        "wait_p50_ms": wait(0.5), "wait_p95_ms": wait(0.95), "wait_p99_ms": wait(0.99),
    })
}

fn figures_table(rows: &[(Place, Figures)]) -> String {
    let mut table = Table::new();
    let header = [
        "institution",
        "key",
        "captures",
        "match",
        "review",
        "non-match",
        "no face",
        "other way",
        "documents",
        "proxies",
        "provisional",
        "score",
        "p50 ms",
        "p95 ms",
    ];
    table.load_style(UTF8_FULL_CONDENSED).set_header(header);
    for (place, figures) in rows {
        let number = |number: u64| Cell::new(number).set_alignment(CellAlignment::Right);
        let wait = |share| Cell::new(quantile(&figures.waits, share).map_or_else(|| "–".to_owned(), |ms| format!("{ms:.0}")));
        table.add_row([
            Cell::new(&place.institution),
            Cell::new(&place.key),
            number(figures.captures),
            number(figures.matched),
            number(figures.review),
            number(figures.non_match),
            number(figures.no_face),
            number(figures.other_way),
            number(figures.document + figures.not_the_person),
            number(figures.proxy),
            number(figures.provisional),
            Cell::new(figures.scores.mean().map_or_else(|| "–".to_owned(), |mean| format!("{mean:.3}"))),
            wait(0.5),
            wait(0.95),
        ]);
    }
    table.to_string()
}

fn alarm_json(alarm: &Alarm) -> serde_json::Value {
    let (place, chart) = (&alarm.of.place, alarm.of.chart);
    json!({
        "day": date_of(alarm.day).to_string(), "by": place.dimension.word(), "institution": place.institution, "key": place.key,
        "chart": chart.word(), "value": alarm.value, "expected": alarm.expected, "effect": alarm.effect, "p": alarm.p,
    })
}

fn alarms_table(alarms: &[Alarm]) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(["day", "institution", "camera", "chart", "seen", "expected", "effect", "p"]);
    for alarm in alarms {
        let place = &alarm.of.place;
        table.add_row([
            date_of(alarm.day).to_string(),
            place.institution.clone(),
            place.key.clone(),
            alarm.of.chart.word().to_owned(),
            format!("{:.3}", alarm.value),
            format!("{:.3}", alarm.expected),
            format!("{:+.3}", alarm.effect),
            format!("{:.1e}", alarm.p),
        ]);
    }
    format!("{table}\nAn alarm is something to look at, and accuses nobody.")
}

#[cfg(test)]
mod tests {
    use matcher_core::drift::Chart;

    use super::*;
    use crate::store::statistics::ChartOf;

    #[test]
    fn figures_and_alarms_are_told_to_people_and_programs() {
        let place = Place { dimension: Dimension::Camera, institution: "P1".into(), key: "till-1".into() };
        let mut figures = Figures { captures: 7, matched: 5, document: 1, not_the_person: 1, ..Figures::default() };
        figures.scores.add(0.5);
        figures.waits[2] = 7;
        let row = (place.clone(), figures);
        let table = figures_table(std::slice::from_ref(&row));
        assert!(table.contains("till-1") && table.contains("0.500") && table.contains("250"), "{table}");
        let json = figures_json(&row);
        assert_eq!((json["by"].as_str(), json["captures"].as_u64(), json["wait_p50_ms"].as_f64()), (Some("camera"), Some(7), Some(250.0)));
        let alarm = Alarm { day: 20_000, of: ChartOf { place, chart: Chart::Score }, value: 0.5, expected: 0.6, effect: -0.4, p: 1e-6 };
        let table = alarms_table(std::slice::from_ref(&alarm));
        assert!(table.contains("2024-10-04") && table.contains("-0.400") && table.contains("1.0e-6"), "{table}");
        assert_eq!(alarm_json(&alarm)["day"], "2024-10-04");
        assert_eq!((parse_dimension("age").is_ok(), parse_dimension("weather").is_err()), (true, true));
    }
}
