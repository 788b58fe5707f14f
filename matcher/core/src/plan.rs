//! How much of everything a center of some size takes: from what one of each costs, as it was measured.
//!
//! Sums and shares only, so that each number can be followed. What the measurements are and where they were made is with
//! the [`UnitCosts`]. Not here: the question's wording and the table (`matcher plan`).

mod costs;

use serde::Serialize;

pub use costs::{Basis, Cost, CostError, UnitCosts};

use crate::retention::RetentionRule;

const SECONDS_A_DAY: f64 = 86_400.0;
const DAYS_A_YEAR: f64 = 365.0;
/// Changes in one commit at most, as the store's writer has it.
const BATCH_MAX: f64 = 256.0;
/// Share of a process's cores that is planned for: the rest is for what comes at once.
const LOAD_MAX: f64 = 0.6;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Question {
    /// People enrolled.
    pub people: f64,
    /// Captures a day.
    pub per_day: f64,
    /// Captures in the busiest seconds ÷ the day's mean.
    pub peak_factor: f64,
    /// Share of captures that are no match and are kept longer, 0 to 1.
    pub disputed: f64,
    /// Share of captures that come late and are compared at night, 0 to 1.
    pub deferred: f64,
    /// Bytes of a sample.
    pub sample_bytes: f64,
    /// Bytes of an enrolled photo.
    pub photo_bytes: f64,
    /// Cores of one process's machine, at least 1.
    pub cores: f64,
}

/// Bytes on disks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bytes {
    /// Enrolled people: numbers, keys, references, photos.
    pub people: f64,
    /// Samples and templates of captures, once as many are deleted as come.
    pub faces: f64,
    /// Decision records of a year.
    pub decisions_a_year: f64,
    /// Audit entries of a year.
    pub audit_a_year: f64,
    /// All of it when decisions are as old as they get.
    pub when_full: f64,
}

/// The busiest seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Peak {
    /// Captures a second.
    pub per_second: f64,
    /// Commits a second of one writer, each of which is one flush of the disk.
    pub commits_a_second: f64,
    /// Bytes written a second: to the log and then to the tables.
    pub written_a_second: f64,
    /// Bytes a second that come in.
    pub received_a_second: f64,
    /// Cores that are busy with it.
    pub cores: f64,
    /// Processes, on machines of their own, one of which may fail.
    pub processes: f64,
}

/// Memory in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Memory {
    /// Of one serving process.
    pub process: f64,
    /// Of the index of all references, in the process that has this role.
    pub index_of_references: f64,
    /// Of the index of the probes of the last days, likewise.
    pub index_of_probes: f64,
}

/// Hours of one process's machine.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Hours {
    /// Enrolling everybody from photos.
    pub enrolment: f64,
    /// Building the index of all references anew.
    pub index: f64,
    /// A night's deferred captures.
    pub deferred: f64,
    /// Comparing all captures of a day again, as after a change of policy or model.
    pub recomparison_of_a_day: f64,
}

/// What it takes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Plan {
    /// Bytes on disks.
    pub bytes: Bytes,
    /// The busiest seconds.
    pub peak: Peak,
    /// Memory.
    pub memory: Memory,
    /// Hours.
    pub hours: Hours,
}

/// Works out a plan.
#[must_use]
pub fn plan(question: &Question, keep: &RetentionRule, costs: &UnitCosts) -> Plan {
    let Question { people, per_day, peak_factor, .. } = *question;
    let per_second = per_day / SECONDS_A_DAY * peak_factor;
    let cores = per_second * costs.verification_core_ms.value / 1000.0;
    let written = costs.verification_bytes.value + question.sample_bytes + costs.template_bytes.value;
    let peak = Peak {
        per_second,
        commits_a_second: commits(per_second, costs.commit_ms.value),
        written_a_second: 2.0 * per_second * written,
        received_a_second: per_second * (question.sample_bytes + costs.envelope_bytes.value),
        cores,
        processes: (cores / (question.cores * LOAD_MAX)).ceil() + 1.0,
    };
    let index = costs.index_bytes.value;
    let memory = Memory {
        process: costs.process_bytes.value,
        index_of_references: people * index,
        index_of_probes: per_day * f64::from(keep.evidence_days) * index,
    };
    let core_hours = |number: f64, core_ms: f64| number * core_ms / 3_600_000.0 / question.cores;
    let hours = Hours {
        enrolment: core_hours(people, costs.enrolment_core_ms.value),
        index: core_hours(people, costs.index_core_ms.value),
        deferred: core_hours(per_day * question.deferred, costs.verification_core_ms.value),
        recomparison_of_a_day: core_hours(per_day, costs.comparison_core_ms.value),
    };
    Plan { bytes: bytes(question, keep, costs), peak, memory, hours }
}

fn bytes(question: &Question, keep: &RetentionRule, costs: &UnitCosts) -> Bytes {
    let Question { people, per_day, disputed, .. } = *question;
    let days = |match_days: u32, disputed_days: u32| (1.0 - disputed) * f64::from(match_days) + disputed * f64::from(disputed_days);
    let samples = per_day * days(keep.match_sample_days, keep.disputed_days) * question.sample_bytes;
    let templates = per_day * days(keep.evidence_days, keep.disputed_days) * costs.template_bytes.value;
    let a_year = |of_one: f64| per_day * DAYS_A_YEAR * of_one;
    let (decisions, audit) = (a_year(costs.verification_bytes.value), a_year(costs.audit_bytes.value));
    let years = f64::from(keep.decision_days) / DAYS_A_YEAR;
    let of_people = people * (costs.record_bytes.value + question.photo_bytes);
    let faces = samples + templates;
    Bytes {
        people: of_people,
        faces,
        decisions_a_year: decisions,
        audit_a_year: audit,
        when_full: of_people + faces + years * (decisions + audit),
    }
}

/// One commit takes all that came while the last was written, so that there are never more than fit into a second.
fn commits(per_second: f64, commit_ms: f64) -> f64 {
    let one_after_another = 1000.0 / commit_ms;
    per_second.min(one_after_another).max(per_second / BATCH_MAX)
}

#[cfg(test)]
mod tests;
