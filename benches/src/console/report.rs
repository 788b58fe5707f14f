//! What a run of the console gave: each page's median and 95th percentile, beside the empty page of the same run.

use comfy_table::{CellAlignment, Table, presets::NOTHING};
use serde::Serialize;

use super::apart::Twins;

/// Times of one page.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    /// The page.
    pub page: String,
    /// How often it was read.
    pub reads: usize,
    /// Median, in milliseconds.
    pub median_ms: f64,
    /// 95th percentile, in milliseconds.
    pub p95_ms: f64,
    /// 95th percentile beside the empty page's.
    pub ratio: f64,
    /// Median beside the empty page's.
    pub ratio_of_medians: f64,
}

/// A run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The engine.
    pub engine: String,
    /// Verifications, flags and cases.
    pub size: [usize; 3],
    /// The build's profile.
    pub profile: &'static str,
    /// The empty page.
    pub empty: Line,
    /// All others, the slowest first.
    pub pages: Vec<Line>,
    /// Pages of real and of known-answer cases.
    pub twins: Vec<Twins>,
    /// Routes that were left out.
    pub left_out: Vec<String>,
}

/// A number of sorted ones, by its share from below; 0 of none.
#[must_use]
pub fn at(sorted: &[f64], share: f64) -> f64 {
    let place = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(place.saturating_sub(1)).copied().unwrap_or(0.0)
}

impl Line {
    /// From times in milliseconds.
    #[must_use]
    pub fn of(page: &str, mut times: Vec<f64>, empty: Option<&Self>) -> Self {
        times.sort_by(f64::total_cmp);
        let (median_ms, p95_ms) = (at(&times, 0.5), at(&times, 0.95));
        let ratio = empty.map_or(1.0, |empty| p95_ms / empty.p95_ms);
        let ratio_of_medians = empty.map_or(1.0, |empty| median_ms / empty.median_ms);
        Self { page: page.to_owned(), reads: times.len(), median_ms, p95_ms, ratio, ratio_of_medians }
    }
}

impl Report {
    /// Whether every page is within limits: its time, beside the empty page's, and how far a known-answer case's share of longer reads is
    /// from a half.
    #[must_use]
    pub fn within(&self, p95_max_ms: f64, ratio_max: f64, apart_max: f64) -> bool {
        let quick = self.pages.iter().all(|line| line.p95_ms <= p95_max_ms && line.ratio <= ratio_max);
        quick && self.twins.iter().all(|twins| (twins.longer - 0.5).abs() <= apart_max)
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut table = Table::new();
        table.load_style(NOTHING).set_header(["page", "median ms", "95 % ms", "× empty", "× by medians"]);
        for line in [&self.empty].into_iter().chain(&self.pages) {
            let numbers = [line.median_ms, line.p95_ms, line.ratio, line.ratio_of_medians].map(|number| format!("{number:.2}"));
            table.add_row([vec![line.page.clone()], numbers.to_vec()].concat());
        }
        table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
        let [verifications, flags, cases] = self.size;
        let left_out = if self.left_out.is_empty() { String::new() } else { format!("not read: {}\n", self.left_out.join(", ")) };
        let mut apart = Table::new();
        apart.load_style(NOTHING).set_header(["page of a case", "reads", "median ms", "known answer", "longer"]);
        for Twins { page, reads, longer, medians_ms: [real, known] } in &self.twins {
            apart.add_row([page.clone(), reads.to_string(), format!("{real:.2}"), format!("{known:.2}"), format!("{longer:.2}")]);
        }
        apart.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
        let Self { engine, profile, .. } = self;
        format!("{engine}, {verifications} verifications, {flags} flags, {cases} cases, {profile} build\n{table}\n{apart}\n{left_out}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_numbers_that_were_seen() {
        let times: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!((at(&times, 0.5), at(&times, 0.95), at(&[], 0.5), at(&[7.0], 0.95)), (50.0, 95.0, 0.0, 7.0));
    }

    #[test]
    fn a_page_beyond_a_limit_is_told() {
        let empty = Line::of("empty", vec![2.0; 20], None);
        let report = |page: Vec<f64>| Report {
            engine: "SQLite".into(),
            size: [1, 1, 1],
            profile: "dev",
            pages: vec![Line::of("page", page, Some(&empty))],
            empty: empty.clone(),
            twins: vec![Twins { page: "case".into(), reads: 20, longer: 0.41, medians_ms: [1.0, 0.9] }],
            left_out: vec![],
        };
        assert!(report(vec![19.0; 20]).within(150.0, 10.0, 0.1) && !report(vec![21.0; 20]).within(150.0, 10.0, 0.1));
        assert!(!report(vec![19.0; 20]).within(18.0, 10.0, 0.1) && !report(vec![19.0; 20]).within(150.0, 10.0, 0.08));
    }
}
