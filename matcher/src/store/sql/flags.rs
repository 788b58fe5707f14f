//! Flags.

use matcher_core::FlagKind;

use super::{
    Connection, audit,
    columns::{self, Columns, execute, query, query_one},
    params,
};
use crate::store::{Flag, Listing, RecordId, StoreError, audit::events};

/// All columns.
pub(super) const SELECT: &str =
    "SELECT id, kind, raised_at, verification_id, institution, device_id, transaction_id, identifier_masked, reason FROM flag";

/// Writes a flag.
pub(super) fn put(connection: &Connection, flag: &Flag) -> Result<(), StoreError> {
    let values = params![
        flag.id.0,
        flag.kind.word(),
        flag.raised_at,
        flag.verification.map(|id| id.0),
        flag.institution,
        flag.device,
        flag.transaction,
        flag.identifier_masked,
        flag.reason,
    ];
    let sql = "INSERT INTO flag (id, kind, raised_at, verification_id, institution, device_id, transaction_id, identifier_masked, reason)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    execute(connection, sql, values, "flag")?;
    audit::append(connection, &events::flag_raised(flag))
}

/// The flag of an id.
pub(super) fn by_id(connection: &Connection, id: RecordId) -> Result<Option<Flag>, StoreError> {
    query_one(connection, &format!("{SELECT} WHERE id = ?1"), [id.0], "flag", decode)
}

/// Flags, newest first.
pub(super) fn list(connection: &Connection, listing: &Listing) -> Result<Vec<Flag>, StoreError> {
    let sql = format!("{SELECT} {}", columns::newest_first(listing, "raised_at"));
    query(connection, &sql, columns::listing_parameters(listing), "flag", decode)
}

/// A flag in all its columns.
pub(super) fn decode(columns: &Columns<'_>) -> Result<Flag, StoreError> {
    Ok(Flag {
        id: RecordId(columns.get("id")?),
        kind: columns.word("kind", FlagKind::from_word)?,
        raised_at: columns.get("raised_at")?,
        verification: columns.get::<Option<[u8; 16]>>("verification_id")?.map(RecordId),
        institution: columns.get("institution")?,
        device: columns.get("device_id")?,
        transaction: columns.get("transaction_id")?,
        identifier_masked: columns.get("identifier_masked")?,
        reason: columns.get("reason")?,
    })
}
