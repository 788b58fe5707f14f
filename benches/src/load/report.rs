//! What a run is printed as.

use hdrhistogram::Histogram;
use serde::Serialize;

use super::{drive::Outcome, ledger::Checked, machine::Machine};

/// Latencies in milliseconds.
#[derive(Debug, Clone, Serialize)]
pub struct Latency {
    /// Half of all are shorter.
    pub p50: f64,
    /// 90 % are shorter.
    pub p90: f64,
    /// 99 %.
    pub p99: f64,
    /// 99.9 %.
    pub p999: f64,
    /// The longest.
    pub max: f64,
}

impl From<&Histogram<u64>> for Latency {
    fn from(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0;
        Self { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: histogram.max() as f64 / 1000.0 }
    }
}

/// One run.
#[derive(Debug, Clone, Serialize)]
pub struct Run {
    /// Answers.
    pub answered: u64,
    /// Told to come again.
    pub refused: u64,
    /// Failed otherwise.
    pub failed: u64,
    /// Answers a second.
    pub per_second: f64,
    /// Latencies of answers.
    pub latency_ms: Latency,
    /// What one failed call was told.
    pub failure: Option<String>,
}

impl From<&Outcome> for Run {
    fn from(outcome: &Outcome) -> Self {
        Self {
            answered: outcome.answered,
            refused: outcome.refused,
            failed: outcome.failed,
            per_second: outcome.rate(),
            latency_ms: (&outcome.latency).into(),
            failure: outcome.failure.clone(),
        }
    }
}

impl Run {
    fn line(&self, name: &str) -> String {
        let Latency { p50, p90, p99, p999, max } = self.latency_ms;
        let failure = self.failure.as_ref().map(|failure| format!(" ({failure})")).unwrap_or_default();
        format!(
            "{name:<22}{:>8.0}/s  {p50:>7.1} {p90:>7.1} {p99:>7.1} {p999:>7.1} {max:>7.1} ms  {} answered, {} refused, {} failed{failure}\n",
            self.per_second, self.answered, self.refused, self.failed
        )
    }
}

/// All runs of one call of the program.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Where.
    pub machine: Machine,
    /// Engine of the store.
    pub store: String,
    /// People enrolled.
    pub enrolled: u64,
    /// Callers of closed runs.
    pub callers: usize,
    /// Bytes of a sample.
    pub sample_bytes: usize,
    /// Empty calls, of which the median round.
    pub empty: Run,
    /// Plainest calls, likewise.
    pub plainest: Run,
    /// Verifications, likewise.
    pub verify: Run,
    /// Verifications a second ÷ empty calls a second, of the medians.
    pub ratio: f64,
    /// Plainest calls a second ÷ empty calls a second: what durable rows, signatures and seals alone leave on this machine.
    pub plainest_ratio: f64,
    /// Rate asked for in the open run, per second.
    pub open_rate: f64,
    /// The open run.
    pub open: Option<Run>,
    /// Core time of the center for a verification, in milliseconds.
    pub core_ms: f64,
    /// Memory of the center's process at the end, in bytes.
    pub resident_bytes: u64,
    /// Bytes that a verification added to the store and its log.
    pub bytes_per_verification: u64,
    /// What became of what was acknowledged.
    pub ledger: Checked,
}

impl Report {
    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let Machine { processor, cores, optimised } = &self.machine;
        let profile = if *optimised { "release" } else { "development build" };
        let mut text = format!(
            "{processor}, {cores} cores, {profile}; {}, {} enrolled, {} callers, samples of {} bytes\n",
            self.store, self.enrolled, self.callers, self.sample_bytes
        );
        text += &format!("{:<22}{:>10}  {:>7} {:>7} {:>7} {:>7} {:>7}\n", "", "", "p50", "p90", "p99", "p99.9", "max");
        text += &self.empty.line("empty call");
        text += &self.plainest.line("plainest call");
        text += &self.verify.line("verification");
        text += &format!("{:<22}{:>8.2} x the empty call; the plainest {:.2} x\n", "ratio", self.ratio, self.plainest_ratio);
        text +=
            &format!("center                {:.2} ms of a core a verification, {} MiB resident\n", self.core_ms, self.resident_bytes >> 20);
        if let Some(open) = &self.open {
            text += &open.line(&format!("open loop {:.0}/s", self.open_rate));
        }
        let Checked { acknowledged, lost, doubled, stored, audit_verifies } = &self.ledger;
        let audit = if *audit_verifies { "verifies" } else { "DOES NOT VERIFY" };
        text += &format!(
            "ledger: {acknowledged} acknowledged, {lost} lost, {doubled} doubled, {stored} in the store; the audit log {audit}; {} bytes a verification\n",
            self.bytes_per_verification
        );
        text
    }
}
