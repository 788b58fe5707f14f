//! The device registry, and the sequence numbers devices have used.

use super::{
    Connection, audit,
    columns::{Columns, execute, execute_later, query, query_one},
    params,
};
use crate::store::{Device, DeviceRole, StoreError, Taken, TimeMs, audit::events};

const SELECT: &str =
    "SELECT id, institution, counter, role, public_key, certificate_sha256, certificate_expires_at, issued_at, revoked_at, relay
     FROM device";

/// Adds or replaces a device. Certificates it had open nothing from now on.
pub(super) fn put(connection: &Connection, device: &Device) -> Result<(), StoreError> {
    execute(connection, "DELETE FROM device_certificate WHERE device_id = ?1", [&device.id], "device certificate")?;
    let values = params![
        device.id,
        device.institution,
        device.counter,
        word(device.role),
        device.public_key,
        device.certificate_sha256,
        device.certificate_expires_at,
        device.issued_at,
        device.revoked_at,
        relay(device.role),
    ];
    let sql =
        "INSERT INTO device (id, institution, counter, role, public_key, certificate_sha256, certificate_expires_at, issued_at, revoked_at, relay)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT (id) DO UPDATE SET
             institution = excluded.institution, counter = excluded.counter, role = excluded.role,
             public_key = excluded.public_key, certificate_sha256 = excluded.certificate_sha256,
             certificate_expires_at = excluded.certificate_expires_at, issued_at = excluded.issued_at,
             revoked_at = excluded.revoked_at, relay = excluded.relay";
    execute(connection, sql, values, "device certificate")?;
    audit::append(connection, &events::device_issued(device))
}

/// Marks a device revoked; the first time it was stays.
pub(super) fn revoke(connection: &Connection, id: &str, at: TimeMs) -> Result<bool, StoreError> {
    let sql = "UPDATE device SET revoked_at = coalesce(revoked_at, ?2) WHERE id = ?1";
    let found = execute(connection, sql, params![id, at], "device")? == 1;
    if found {
        audit::append(connection, &events::device_revoked(id, at))?;
    }
    Ok(found)
}

/// The device of a name.
pub(super) fn by_id(connection: &Connection, id: &str) -> Result<Option<Device>, StoreError> {
    query_one(connection, &format!("{SELECT} WHERE id = ?1"), [id], "device", decode)
}

/// The device of a certificate: its current one, or the one before a renewal.
pub(super) fn by_certificate(connection: &Connection, sha256: &[u8; 32]) -> Result<Option<Device>, StoreError> {
    let sql =
        format!("{SELECT} WHERE certificate_sha256 = ?1 OR id = (SELECT device_id FROM device_certificate WHERE previous_sha256 = ?1)");
    query_one(connection, &sql, [sha256], "device", decode)
}

/// The device of a certificate, and whether a request of its institution was answered.
pub(super) fn by_certificate_asking(
    connection: &Connection,
    sha256: &[u8; 32],
    transaction: &str,
    attempt: u32,
) -> Result<Option<(Device, bool)>, StoreError> {
    let sql = "SELECT d.id AS id, d.institution AS institution, d.counter AS counter, d.role AS role, d.relay AS relay,
             d.public_key AS public_key, d.certificate_sha256 AS certificate_sha256, d.certificate_expires_at AS certificate_expires_at,
             d.issued_at AS issued_at, d.revoked_at AS revoked_at, coalesce(r.decided_at, 0) AS answered_at
         FROM device AS d LEFT JOIN request AS r ON r.institution = d.institution AND r.transaction_id = ?2 AND r.attempt = ?3
         WHERE d.certificate_sha256 = ?1 OR d.id = (SELECT device_id FROM device_certificate WHERE previous_sha256 = ?1)";
    // A request without a time waits.
    let decode = |columns: &Columns<'_>| Ok((decode(columns)?, columns.get::<TimeMs>("answered_at")? != 0));
    query_one(connection, sql, params![sha256, transaction, attempt], "device", decode)
}

/// All devices, by name.
pub(super) fn all(connection: &Connection) -> Result<Vec<Device>, StoreError> {
    query(connection, &format!("{SELECT} ORDER BY id"), (), "device", decode)
}

/// The highest sequence number of a device; 0 when none.
pub(super) fn last_sequence(connection: &Connection, device: &str) -> Result<u64, StoreError> {
    let sql = "SELECT coalesce(max(sequence), 0) AS sequence FROM device_sequence WHERE device_id = ?1";
    let last = query_one(connection, sql, [device], "device_sequence", |columns| columns.unsigned("sequence"))?;
    Ok(last.unwrap_or_default())
}

/// Takes a sequence number for an envelope, unless it is taken; one row changes if it was free.
pub(super) fn use_sequence(connection: &Connection, device: &str, sequence: u64, digest: &[u8; 32]) -> Result<usize, StoreError> {
    let sql = "INSERT INTO device_sequence (device_id, sequence, envelope_digest) VALUES (?1, ?2, ?3)
         ON CONFLICT (device_id, sequence) DO NOTHING";
    execute_later(connection, sql, params![device, number(sequence)?, digest], "device sequence")
}

/// Frees a sequence number that was taken in this very transaction.
pub(super) fn free_sequence(connection: &Connection, device: &str, sequence: u64) -> Result<(), StoreError> {
    let sql = "DELETE FROM device_sequence WHERE device_id = ?1 AND sequence = ?2";
    execute(connection, sql, params![device, number(sequence)?], "device sequence").map(drop)
}

/// Whether a sequence number was taken for this envelope.
pub(super) fn is_sequence_of(connection: &Connection, device: &str, sequence: u64, digest: &[u8; 32]) -> Result<bool, StoreError> {
    let sql = "SELECT envelope_digest FROM device_sequence WHERE device_id = ?1 AND sequence = ?2";
    let taken: Option<[u8; 32]> =
        query_one(connection, sql, params![device, number(sequence)?], "device_sequence", |columns| columns.get("envelope_digest"))?;
    Ok(taken == Some(*digest))
}

fn number(sequence: u64) -> Result<i64, StoreError> {
    i64::try_from(sequence).map_err(|_| StoreError::Corrupt { table: "device_sequence", field: "sequence" })
}

/// Takes a sequence number for an envelope.
pub(super) fn take_sequence(connection: &Connection, device: &str, sequence: u64, digest: &[u8; 32]) -> Result<Taken, StoreError> {
    let place = use_sequence(connection, device, sequence, digest)?;
    if connection.counts()?.get(place) == Some(&1) {
        return Ok(Taken::Now);
    }
    Ok(if is_sequence_of(connection, device, sequence, digest)? { Taken::Before } else { Taken::ForAnother })
}

fn decode(columns: &Columns<'_>) -> Result<Device, StoreError> {
    Ok(Device {
        id: columns.get("id")?,
        institution: columns.get("institution")?,
        counter: columns.get("counter")?,
        role: role_of(columns)?,
        public_key: columns.get("public_key")?,
        certificate_sha256: columns.get("certificate_sha256")?,
        certificate_expires_at: columns.get("certificate_expires_at")?,
        issued_at: columns.get("issued_at")?,
        revoked_at: columns.get("revoked_at")?,
    })
}

pub(super) fn word(role: DeviceRole) -> &'static str {
    match role {
        // A relay is told by a column of its own.
        DeviceRole::Counter | DeviceRole::Relay => "counter",
        DeviceRole::Enrolment => "enrolment",
    }
}

/// What the column `relay` holds for a role.
pub(super) fn relay(role: DeviceRole) -> i64 {
    i64::from(role == DeviceRole::Relay)
}

/// The role of a row with the columns `role` and `relay`.
pub(super) fn role_of(columns: &Columns<'_>) -> Result<DeviceRole, StoreError> {
    let role = columns.word("role", role)?;
    Ok(if columns.get::<i64>("relay")? == 1 { DeviceRole::Relay } else { role })
}

fn role(word: &str) -> Option<DeviceRole> {
    [DeviceRole::Counter, DeviceRole::Enrolment].into_iter().find(|role| self::word(*role) == word)
}
