//! What tables a store has, and their columns: the same in both engines, which a test holds.

use super::{Connection, columns::query, connection::Kind, params};
use crate::store::StoreError;

/// All tables, in an order in which each refers only to earlier ones.
pub(super) const TABLES: [&str; 67] = [
    "device",
    "device_authority",
    "device_certificate",
    "device_invitation",
    "device_report",
    "device_sequence",
    "policy",
    "subject",
    "data_key",
    "identifier",
    "former_identifier",
    "forgotten",
    "legal_hold",
    "enrolment",
    "enrolment_photo",
    "reference",
    "extraction_failure",
    "verification",
    "request",
    "proxy_register",
    "proxy_slot",
    "probe",
    "recheck",
    "visit",
    "finding",
    "search_finding",
    "flag",
    "receipt",
    "receipt_use",
    "lease",
    "provisional",
    "device_heard",
    "case_file",
    "case_member",
    "case_event",
    "case_desk",
    "case_place",
    "case_facet",
    "case_institution",
    "reviewer_day",
    "case_judgement",
    "case_statement",
    "seed_pair",
    "seed_capture",
    "seed_case",
    "seed_answer",
    "seed_photo",
    "seed_probe",
    "seed_flag",
    "seed_verification",
    "webhook_event",
    "console_user",
    "console_session",
    "drift_accepted",
    "case_run",
    "draw_day",
    "blind_draw",
    "deferred",
    "deferred_sample",
    "batch_job",
    "batch_chunk",
    "recomparison",
    "retention_run",
    "audit_epoch",
    "audit_link",
    "audit_entry",
    "retired_key_encryption",
];
/// Tables whose rows forbid other rows, which were there before: they come last.
pub(super) const LAST: [&str; 1] = ["retired_lookup"];
/// Tables that the schema itself puts a row into.
pub(super) const SEEDED: [&str; 1] = ["case_run"];

/// Tables that a store fills by itself and that mean nothing in another: what changed, and how far searches are. A store that
/// is copied into writes its own.
pub(super) const DERIVED: [&str; 7] = ["feed", "feed_trimmed", "search_job", "statistic", "statistic_day", "drift_alarm", "case_count"];

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Column {
    /// Its name.
    pub(super) name: String,
    /// What it holds.
    pub(super) kind: Kind,
    /// Its place in the primary key, from 1; 0 when it has none.
    pub(super) key: u32,
}

/// The columns of a table, by name.
pub(super) fn columns(connection: &Connection, table: &'static str) -> Result<Vec<Column>, StoreError> {
    let mut columns = query(connection, connection.columns_of_a_table(), params![table], table, |columns| {
        Ok(Column { name: columns.get("name")?, kind: columns.word("kind", Kind::from_word)?, key: columns.unsigned("place")? })
    })?;
    columns.sort();
    Ok(columns)
}

/// The names of all tables, sorted.
pub(super) fn tables(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let mut names: Vec<String> = query(connection, connection.all_tables(), (), "catalogue", |columns| columns.get("name"))?;
    names.sort();
    Ok(names)
}
