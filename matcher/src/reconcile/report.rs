//! What a reconciliation says: as a table, and as JSON.

use std::collections::{BTreeMap, HashMap};

use comfy_table::{ContentArrangement, Table, presets::UTF8_FULL_CONDENSED};
use serde::Serialize;

use super::{Finding, FindingKind};
use crate::store::TimeMs;

/// Findings of a table at most; JSON has all of them.
const SHOWN_MAX: usize = 500;
const WIDTH: u16 = 140;

/// What was found.
#[derive(Debug, Default, Serialize)]
pub struct Summary {
    /// Rows of the list.
    pub rows: u64,
    /// Rows whose receipt holds.
    pub settled: u64,
    /// Rows with a provisional receipt that the center has not answered yet.
    pub waiting: u64,
    /// Receipts that were looked at for their use.
    pub receipts: u64,
    /// Everything to look at, in the order of the list, then the receipts without a settlement.
    pub findings: Vec<Finding>,
    /// When each institution last settled, by the list.
    #[serde(skip)]
    pub settled_at: HashMap<String, TimeMs>,
}

#[derive(Serialize)]
struct Json<'a> {
    found: BTreeMap<&'static str, u64>,
    #[serde(flatten)]
    summary: &'a Summary,
}

impl Summary {
    fn counts(&self) -> BTreeMap<FindingKind, u64> {
        let mut counts = BTreeMap::new();
        self.findings.iter().for_each(|finding| *counts.entry(finding.kind).or_default() += 1);
        counts
    }

    /// For programs.
    pub(super) fn json(&self) -> serde_json::Result<String> {
        let found = self.counts().into_iter().map(|(kind, count)| (kind.word(), count)).collect();
        serde_json::to_string_pretty(&Json { found, summary: self })
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut lines = vec![format!(
            "{} settlements: {} hold, {} wait for the center's answer to a provisional receipt; {} receipts of that time",
            self.rows, self.settled, self.waiting, self.receipts
        )];
        if self.findings.is_empty() {
            lines.push("nothing was found".to_owned());
            return lines.join("\n");
        }
        lines.extend(self.counts().into_iter().map(|(kind, count)| format!("{count:>7} {}: {}", kind.word(), kind.says())));
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
        table.set_header(["line", "finding", "settlement", "institution", "transaction", "card", "receipt number", "detail"]);
        for finding in self.findings.iter().take(SHOWN_MAX) {
            let line = finding.line.map(|line| line.to_string()).unwrap_or_default();
            table.add_row([
                line.as_str(),
                finding.kind.word(),
                &finding.settlement,
                &finding.institution,
                &finding.transaction,
                &finding.card,
                &finding.receipt_number,
                &finding.detail,
            ]);
        }
        lines.push(table.to_string());
        if self.findings.len() > SHOWN_MAX {
            lines.push(format!("{} more: see --json", self.findings.len() - SHOWN_MAX));
        }
        lines.join("\n")
    }
}
