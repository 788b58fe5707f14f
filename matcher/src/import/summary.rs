//! What an import did: as a table, as JSON, and the refused rows as a CSV file.
//!
//! Rows are named by number and masked card; the operator has the list itself.

use std::{collections::BTreeMap, fmt, time::Duration};

use comfy_table::{Cell, CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use serde::Serialize;

/// A row that gave no reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// Row in the file, from 1, the row of column names.
    pub row: u64,
    /// The card, masked; empty where it was no card number.
    pub card: String,
    /// Why, in a closed word.
    pub reason: &'static str,
    /// Why, for people.
    pub detail: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {}", self.row)?;
        if !self.card.is_empty() {
            write!(f, ", card {}", self.card)?;
        }
        write!(f, ": refused, {}: {}", self.reason, self.detail)
    }
}

/// What an import did.
#[derive(Debug, Default)]
pub struct Summary {
    /// Persons who had no reference and have one now.
    pub enrolled: u64,
    /// Persons whose reference was replaced.
    pub replaced: u64,
    /// Persons who have one more reference, beside those of other sources.
    pub added: u64,
    /// Persons whose reference was made from the same photo before.
    pub unchanged: u64,
    /// Rows that gave no reference, by row.
    pub refused: Vec<Refused>,
    /// Rows that were not reached before the import was stopped.
    pub not_reached: u64,
    /// How long it took.
    pub took: Duration,
}

#[derive(Serialize)]
struct Json<'a> {
    enrolled: u64,
    replaced: u64,
    added: u64,
    unchanged: u64,
    refused: usize,
    refused_by_reason: BTreeMap<&'static str, u64>,
    not_reached: u64,
    seconds: f64,
    rows_per_second: f64,
    refusals: &'a [Refused],
}

impl Summary {
    /// Rows that something became of.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.enrolled + self.replaced + self.added + self.unchanged + self.refused.len() as u64
    }

    /// Rows a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.done() as f64 / self.took.as_secs_f64().max(1e-3)
    }

    fn by_reason(&self) -> BTreeMap<&'static str, u64> {
        let mut reasons = BTreeMap::new();
        for refused in &self.refused {
            *reasons.entry(refused.reason).or_default() += 1;
        }
        reasons
    }

    /// For people.
    #[must_use]
    pub fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED).set_header(["outcome", "rows"]);
        let mut line = |outcome: String, rows: u64| {
            table.add_row([Cell::new(outcome), Cell::new(rows).set_alignment(CellAlignment::Right)]);
        };
        line("enrolled".into(), self.enrolled);
        line("replaced".into(), self.replaced);
        line("added".into(), self.added);
        line("unchanged".into(), self.unchanged);
        line("refused".into(), self.refused.len() as u64);
        for (reason, rows) in self.by_reason() {
            line(format!("  {reason}"), rows);
        }
        if self.not_reached > 0 {
            line("not reached".into(), self.not_reached);
        }
        format!("{table}\n{} rows in {:.1} s, {:.1} rows/s", self.done(), self.took.as_secs_f64(), self.rate())
    }

    /// For programs, as one object.
    ///
    /// # Errors
    /// None in practice; the encoder's.
    pub fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(&Json {
            enrolled: self.enrolled,
            replaced: self.replaced,
            added: self.added,
            unchanged: self.unchanged,
            refused: self.refused.len(),
            refused_by_reason: self.by_reason(),
            not_reached: self.not_reached,
            seconds: self.took.as_secs_f64(),
            rows_per_second: self.rate(),
            refusals: &self.refused,
        })
    }

    /// The refused rows as CSV: row, card (masked), reason, detail.
    ///
    /// # Errors
    /// None in practice; the encoder's.
    pub fn report(&self) -> Result<Vec<u8>, csv::Error> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["row", "card", "reason", "detail"])?;
        for Refused { row, card, reason, detail } in &self.refused {
            writer.write_record([&row.to_string(), card, *reason, detail])?;
        }
        writer.into_inner().map_err(|error| error.into_error().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary() -> Summary {
        let refused = |row, reason| Refused { row, card: "****1234".into(), reason, detail: "a, \"detail\"".into() };
        let refused = vec![refused(3, "no_face"), refused(7, "malformed_row"), refused(9, "no_face")];
        Summary { enrolled: 10, unchanged: 7, refused, took: Duration::from_secs(4), ..Summary::default() }
    }

    #[test]
    fn the_table_counts_by_reason() {
        let table = summary().table();
        for line in
            ["│ enrolled        ┆   10 │", "│ refused         ┆    3 │", "│   no_face       ┆    2 │", "20 rows in 4.0 s, 5.0 rows/s"]
        {
            assert!(table.contains(line), "{line}\n{table}");
        }
        assert!(!table.contains("not reached"));
    }

    #[test]
    fn json_holds_each_refusal() {
        let json: serde_json::Value = serde_json::from_str(&summary().json().unwrap()).unwrap();
        assert_eq!(json["refused_by_reason"]["no_face"], 2);
        assert_eq!(json["refusals"][1]["row"], 7);
        assert_eq!(json["refusals"][1]["reason"], "malformed_row");
    }

    #[test]
    fn the_report_is_csv() {
        let report = String::from_utf8(summary().report().unwrap()).unwrap();
        assert_eq!(report.lines().next(), Some("row,card,reason,detail"));
        assert_eq!(report.lines().nth(2), Some("7,****1234,malformed_row,\"a, \"\"detail\"\"\""));
    }
}
