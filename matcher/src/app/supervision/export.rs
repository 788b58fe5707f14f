//! Tables of figures and records, as CSV, page by page. Numbers are masked, there are no faces; a cell that a spreadsheet would
//! take for a formula is made a text.

use axum::body::Bytes;
use matcher_core::{drift::Day, figures::Dimension};
use thiserror::Error;
use tokio::sync::mpsc::Sender;

use super::date_of;
use crate::store::{RecordId, Store, StoreError, TimeMs};

/// Rows of a table at most.
pub const ROWS_MAX: usize = 100_000;
/// Records that are read at once.
const PAGE: u32 = 2_000;

/// What can be taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// Figures by day, of institutions, counters, cameras, scenes, hours and bands of age.
    Figures,
    /// Drift alarms.
    Alarms,
    /// Cases, with where they stand.
    Cases,
    /// Verifications.
    Verifications,
}

impl Table {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Figures, Self::Alarms, Self::Cases, Self::Verifications];

    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Figures => "figures",
            Self::Alarms => "drift_alarms",
            Self::Cases => "cases",
            Self::Verifications => "verifications",
        }
    }

    /// The table of a word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.word() == word)
    }
}

/// The time of a table.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// First and last day.
    pub days: (Day, Day),
    /// When the first begins.
    pub from: TimeMs,
    /// When the last ends.
    pub until: TimeMs,
}

/// A table that broke off.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The store failed.
    #[error("the store could not be asked")]
    Store(#[source] StoreError),
    /// The cases do not follow from their steps, or could not be read.
    #[error("the cases could not be read")]
    Cases(#[source] crate::app::cases::desk::DeskError),
    /// A row could not be written.
    #[error("a row could not be written")]
    Row(#[source] csv::Error),
}

/// Where parts of a table go.
type Parts = Sender<Result<Bytes, std::io::Error>>;

/// A part of a table, in memory.
struct Part(csv::Writer<Vec<u8>>);

impl Part {
    fn new() -> Self {
        Self(csv::Writer::from_writer(Vec::new()))
    }

    fn row<I: IntoIterator<Item = String>>(&mut self, cells: I) -> Result<(), ExportError> {
        self.0.write_record(cells.into_iter().map(guarded)).map_err(ExportError::Row)
    }

    /// Sends it; false when nobody reads any more.
    async fn send(self, to: &Parts) -> bool {
        let bytes = self.0.into_inner().unwrap_or_default();
        to.send(Ok(Bytes::from(bytes))).await.is_ok()
    }
}

/// A cell that begins as a formula does is quoted, so that a spreadsheet shows it and does not run it. Numbers stay.
#[must_use]
pub fn guarded(cell: String) -> String {
    let runs = cell.starts_with(['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠']) && cell.parse::<f64>().is_err();
    if runs { format!("'{cell}") } else { cell }
}

fn time(at: TimeMs) -> String {
    jiff::Timestamp::from_millisecond(at).map_or_else(|_| String::new(), |at| at.to_string())
}

fn header(names: &[&str]) -> Result<Part, ExportError> {
    let mut part = Part::new();
    // Spreadsheets take a file for UTF-8 when it says so.
    part.row(names.iter().enumerate().map(|(place, name)| if place == 0 { format!("\u{feff}{name}") } else { (*name).to_owned() }))?;
    Ok(part)
}

/// Writes a table.
///
/// # Errors
/// When the store fails.
pub async fn write(store: &dyn Store, table: Table, span: Span, to: &Parts) -> Result<(), ExportError> {
    match table {
        Table::Figures => figures(store, span, to).await,
        Table::Alarms => alarms(store, span, to).await,
        Table::Cases => cases(store, span, to).await,
        Table::Verifications => verifications(store, span, to).await,
    }
}

const FIGURES: [&str; 23] = [
    "day",
    "by",
    "institution",
    "key",
    "answers",
    "match",
    "review",
    "non_match",
    "no_reference",
    "no_face",
    "attack",
    "other_way",
    "document_checked",
    "document_not_the_person",
    "proxy",
    "other",
    "provisional_receipts",
    "flags",
    "scores",
    "mean_score",
    "wait_p50_ms",
    "wait_p95_ms",
    "wait_p99_ms",
];

async fn figures(store: &dyn Store, span: Span, to: &Parts) -> Result<(), ExportError> {
    let mut left = ROWS_MAX;
    let mut part = header(&FIGURES)?;
    for dimension in Dimension::ALL {
        for day in span.days.0..=span.days.1 {
            let rows = store.series(*dimension, (day, day), None).await.map_err(ExportError::Store)?;
            for row in rows.into_iter().take(left) {
                left -= 1;
                let f = row.figures;
                let counts = [
                    f.captures,
                    f.matched,
                    f.review,
                    f.non_match,
                    f.no_reference,
                    f.no_face,
                    f.attack,
                    f.other_way,
                    f.document,
                    f.not_the_person,
                    f.proxy,
                    f.other,
                    f.provisional,
                    f.flags,
                    f.scores.count,
                ];
                let wait =
                    |share| matcher_core::drift::latency::quantile(&f.waits, share).map_or_else(String::new, |ms| format!("{ms:.0}"));
                let mean = f.scores.mean().map_or_else(String::new, |mean| format!("{mean:.4}"));
                let names = [date_of(day).to_string(), dimension.word().to_owned(), row.place.institution, row.place.key];
                let waits = [mean, wait(0.5), wait(0.95), wait(0.99)];
                part.row(names.into_iter().chain(counts.map(|count| count.to_string())).chain(waits))?;
            }
            if !std::mem::replace(&mut part, Part::new()).send(to).await || left == 0 {
                return Ok(());
            }
        }
    }
    Ok(())
}

async fn alarms(store: &dyn Store, span: Span, to: &Parts) -> Result<(), ExportError> {
    let mut part = header(&["day", "by", "institution", "key", "chart", "seen", "expected", "change", "p"])?;
    for alarm in store.drift_alarms(span.days).await.map_err(ExportError::Store)?.into_iter().take(ROWS_MAX) {
        let place = alarm.of.place;
        let numbers = [alarm.value, alarm.expected, alarm.effect].map(|number| format!("{number:.4}"));
        let names = [
            date_of(alarm.day).to_string(),
            place.dimension.word().to_owned(),
            place.institution,
            place.key,
            alarm.of.chart.word().to_owned(),
        ];
        part.row(names.into_iter().chain(numbers).chain([format!("{:.3e}", alarm.p)]))?;
    }
    part.send(to).await;
    Ok(())
}

async fn cases(store: &dyn Store, span: Span, to: &Parts) -> Result<(), ExportError> {
    let names = ["case", "opened_at", "kind", "state", "verdict", "card", "institutions", "days", "captures", "steps", "changed_at"];
    let mut part = header(&names)?;
    let cases = crate::app::cases::desk::cases(store, span.from, u32::try_from(ROWS_MAX).unwrap_or(u32::MAX)).await;
    let cases = cases.map_err(ExportError::Cases)?;
    for view in cases.into_iter().filter(|view| view.stored.case.opened_at < span.until) {
        let stored = &view.stored;
        let changed = stored.steps.last().map_or(stored.case.opened_at, |step| step.at);
        part.row([
            stored.case.id.to_string(),
            time(stored.case.opened_at),
            stored.case.kind.word().to_owned(),
            view.case.state().word().to_owned(),
            view.case.verdict().map_or_else(String::new, |verdict| verdict.word().to_owned()),
            stored.identifier_masked.clone(),
            stored.institutions.join(" "),
            stored.case.days.to_string(),
            stored.case.members.len().to_string(),
            stored.steps.len().to_string(),
            time(changed),
        ])?;
    }
    part.send(to).await;
    Ok(())
}

async fn verifications(store: &dyn Store, span: Span, to: &Parts) -> Result<(), ExportError> {
    let names = [
        "verification",
        "decided_at",
        "captured_at",
        "institution",
        "counter",
        "device",
        "operator",
        "scene",
        "transaction",
        "attempt",
        "card",
        "decision",
        "reasons",
        "disposition",
        "score",
        "match_threshold",
        "non_match_threshold",
        "model",
        "policy",
        "mode",
    ];
    let mut part = header(&names)?;
    let (mut after, mut left): (Option<(TimeMs, RecordId)>, usize) = (None, ROWS_MAX);
    loop {
        let page = store.verifications_from(span.from, after, PAGE).await.map_err(ExportError::Store)?;
        let last = page.last().map(|record| (record.decided_at, record.id));
        let number = |score: Option<f32>| score.map_or_else(String::new, |score| format!("{score:.4}"));
        for record in page.iter().filter(|record| record.decided_at < span.until).take(left) {
            left -= 1;
            part.row([
                record.id.to_string(),
                time(record.decided_at),
                time(record.captured_at),
                record.request.institution.clone(),
                record.counter.clone(),
                record.device.clone(),
                record.operator.clone(),
                record.scene.word().to_owned(),
                record.request.transaction.clone(),
                record.request.attempt.to_string(),
                record.identifier_masked.clone(),
                record.decision.policy_key().to_owned(),
                record.reasons.join(" "),
                record.disposition.word().to_owned(),
                number(record.score),
                number(record.match_threshold),
                number(record.non_match_threshold),
                record.model.clone(),
                record.policy_version.clone(),
                record.mode.word().to_owned(),
            ])?;
        }
        let goes_on = std::mem::replace(&mut part, Part::new()).send(to).await;
        match last {
            Some(last) if goes_on && left > 0 && last.0 < span.until => after = Some(last),
            _ => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(cell: &str, expected: &str) {
        assert_eq!(guarded(cell.to_owned()), expected);
    }

    #[test]
    fn formulas_are_texts_and_numbers_stay_numbers() {
        check("=1+1", "'=1+1");
        check("@SUM(A1)", "'@SUM(A1)");
        check("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0");
        check("-2+3", "'-2+3");
        check("\t=1", "'\t=1");
        check("-0.5", "-0.5");
        check("P1", "P1");
        check("", "");
    }
}
