//! Leases, provisional receipts, and when devices were heard.

use async_trait::async_trait;
use matcher_core::{
    Decision, Scene,
    tampering::{LeaseScene, LeaseTerms, Tail},
};
use serde::{Deserialize, Serialize};

use super::{
    Connection, SqlStore,
    columns::{Columns, execute, query, query_one},
    params,
};
use crate::store::{
    RecordId, RequestKey, StoreError, TimeMs,
    leases::{Beside, HeardDevice, Leases, NewLease, Provisional, Resolved},
};

const LEASE: &str = "lease";
const TABLE: &str = "provisional";
const HEARD: &str = "device_heard";

#[async_trait]
impl Leases for SqlStore {
    async fn put_lease(&self, new: NewLease) -> Result<(), StoreError> {
        self.writer.write_beside(move |connection| put_lease(connection, &new)).await
    }

    async fn put_provisional(&self, new: Provisional) -> Result<Option<Beside>, StoreError> {
        self.writer.write_beside(move |connection| put(connection, &new)).await
    }

    async fn provisional(&self, number: &str) -> Result<Option<Provisional>, StoreError> {
        let number = number.to_owned();
        let sql = "SELECT number, institution, transaction_id, attempt, device_id, sequence, lease_serial, scene, answered_at, received_at, compact
             FROM provisional WHERE number = ?1";
        self.readers.read(move |connection| query_one(connection, sql, [number.as_str()], TABLE, decode)).await
    }

    async fn resolved(&self, request: &RequestKey) -> Result<Option<Resolved>, StoreError> {
        let request = request.clone();
        self.readers.read(move |connection| resolved(connection, &request)).await
    }

    async fn heard(&self, device: &str, at: TimeMs, nothing_waits: Option<u64>) -> Result<(), StoreError> {
        let device = device.to_owned();
        let sql = "INSERT INTO device_heard (device_id, heard_at, nothing_waited_at, highest_then) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (device_id) DO UPDATE SET heard_at = excluded.heard_at,
                 nothing_waited_at = coalesce(excluded.nothing_waited_at, device_heard.nothing_waited_at),
                 highest_then = CASE WHEN excluded.nothing_waited_at IS NULL THEN device_heard.highest_then ELSE excluded.highest_then END";
        let write = move |connection: &Connection| {
            let values = params![device, at, nothing_waits.map(|_| at), nothing_waits.unwrap_or_default().cast_signed()];
            execute(connection, sql, values, HEARD).map(drop)
        };
        self.writer.write_beside(write).await
    }

    async fn last_heard(&self, device: &str) -> Result<Option<(TimeMs, Option<TimeMs>)>, StoreError> {
        let device = device.to_owned();
        let sql = "SELECT heard_at, nothing_waited_at FROM device_heard WHERE device_id = ?1";
        let decode = |columns: &Columns<'_>| Ok((columns.get("heard_at")?, columns.get("nothing_waited_at")?));
        self.readers.read(move |connection| query_one(connection, sql, [device.as_str()], HEARD, decode)).await
    }

    async fn heard_devices(&self) -> Result<Vec<HeardDevice>, StoreError> {
        let sql = "SELECT h.device_id, d.institution, h.heard_at, h.nothing_waited_at, h.complete_up_to, h.gap_since FROM device_heard AS h
             JOIN device AS d ON d.id = h.device_id WHERE d.revoked_at IS NULL ORDER BY h.device_id";
        let decode = |columns: &Columns<'_>| {
            let complete: Option<i64> = columns.get("complete_up_to")?;
            let gap_since = columns.get("gap_since")?;
            Ok(HeardDevice {
                device: columns.get("device_id")?,
                institution: columns.get("institution")?,
                heard_at: columns.get("heard_at")?,
                nothing_waited_at: columns.get("nothing_waited_at")?,
                tail: complete.map(|complete| Tail { complete_up_to: complete.cast_unsigned(), gap_since }),
            })
        };
        self.readers.read(move |connection| query(connection, sql, (), HEARD, decode)).await
    }

    async fn numbers_beyond(&self, device: &str, beyond: u64, limit: u32) -> Result<Vec<u64>, StoreError> {
        let device = device.to_owned();
        let sql = "SELECT sequence FROM device_sequence WHERE device_id = ?1 AND sequence > ?2 ORDER BY sequence LIMIT ?3";
        let read = move |connection: &Connection| {
            let values = params![device, beyond.cast_signed(), limit];
            query(connection, sql, values, "device_sequence", |columns| columns.unsigned("sequence"))
        };
        self.readers.read(read).await
    }

    async fn put_tail(&self, device: &str, tail: Tail) -> Result<(), StoreError> {
        let device = device.to_owned();
        let sql = "UPDATE device_heard SET complete_up_to = ?2, gap_since = ?3 WHERE device_id = ?1";
        let write = move |connection: &Connection| {
            execute(connection, sql, params![device, tail.complete_up_to.cast_signed(), tail.gap_since], HEARD).map(drop)
        };
        self.writer.write_beside(write).await
    }

    async fn settled_since(&self, since: TimeMs) -> Result<Vec<(String, TimeMs)>, StoreError> {
        let sql = "SELECT r.institution, max(u.confirmed_at) AS settled_at FROM receipt_use AS u JOIN receipt AS r ON r.number = u.number
             WHERE u.confirmed_at >= ?1 GROUP BY r.institution ORDER BY r.institution";
        let decode = |columns: &Columns<'_>| Ok((columns.get("institution")?, columns.get("settled_at")?));
        self.readers.read(move |connection| query(connection, sql, [since], "receipt_use", decode)).await
    }
}

/// Scenes of a lease as they are kept, in JSON.
#[derive(Serialize, Deserialize)]
struct SceneForm {
    scene: String,
    captures_max: u32,
    until: TimeMs,
}

fn put_lease(connection: &Connection, new: &NewLease) -> Result<(), StoreError> {
    let scenes = new.terms.scenes.iter().map(|terms| SceneForm {
        scene: terms.scene.word().to_owned(),
        captures_max: terms.captures_max,
        until: terms.until,
    });
    let scenes = serde_json::to_string(&scenes.collect::<Vec<_>>()).unwrap_or_default();
    let sql = "INSERT INTO lease (serial, device_id, policy_version, issued_at, scenes) VALUES (?1, ?2, ?3, ?4, ?5)";
    execute(connection, sql, params![new.serial, new.terms.device, new.policy_version, new.terms.issued_at, scenes], LEASE).map(drop)
}

fn put(connection: &Connection, new: &Provisional) -> Result<Option<Beside>, StoreError> {
    let request = &new.request;
    let values = params![
        new.number,
        request.institution,
        request.transaction,
        request.attempt,
        new.device,
        new.sequence.cast_signed(),
        new.lease_serial,
        new.scene.word(),
        new.answered_at,
        new.received_at,
        new.compact,
    ];
    let sql =
        "INSERT INTO provisional (number, institution, transaction_id, attempt, device_id, sequence, lease_serial, scene, answered_at,
             received_at, compact)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT (number) DO NOTHING";
    if execute(connection, sql, values, TABLE)? == 0 {
        return Ok(None);
    }
    let sql = "SELECT device_id, issued_at, scenes FROM lease WHERE serial = ?1";
    let lease = query_one(connection, sql, [new.lease_serial.as_str()], LEASE, lease_of)?;
    let sql = "SELECT count(*) AS n FROM provisional WHERE lease_serial = ?1 AND scene = ?2";
    let answers = query_one(connection, sql, params![new.lease_serial, new.scene.word()], TABLE, |columns| columns.unsigned("n"))?;
    let sql = "SELECT max(answered_at) AS latest FROM provisional WHERE device_id = ?1 AND sequence < ?2";
    let latest = query_one(connection, sql, params![new.device, new.sequence.cast_signed()], TABLE, |columns| columns.get("latest"))?;
    let sql = "SELECT nothing_waited_at, highest_then FROM device_heard WHERE device_id = ?1 AND nothing_waited_at IS NOT NULL";
    let heard = |columns: &Columns<'_>| Ok((columns.get("nothing_waited_at")?, columns.unsigned("highest_then")?));
    let nothing_waited = query_one(connection, sql, [new.device.as_str()], HEARD, heard)?;
    Ok(Some(Beside { lease, answers: answers.unwrap_or_default(), latest_before: latest.flatten(), nothing_waited }))
}

fn lease_of(columns: &Columns<'_>) -> Result<LeaseTerms, StoreError> {
    let corrupt = StoreError::Corrupt { table: LEASE, field: "scenes" };
    let scenes: Vec<SceneForm> = serde_json::from_str(&columns.get::<String>("scenes")?).map_err(|_| corrupt)?;
    let known =
        |form: SceneForm| Some(LeaseScene { scene: Scene::from_word(&form.scene)?, captures_max: form.captures_max, until: form.until });
    Ok(LeaseTerms {
        device: columns.get("device_id")?,
        issued_at: columns.get("issued_at")?,
        scenes: scenes.into_iter().filter_map(known).collect(),
    })
}

fn resolved(connection: &Connection, request: &RequestKey) -> Result<Option<Resolved>, StoreError> {
    let sql = "SELECT r.verification_id, coalesce(v.decision, '') AS decision, coalesce(v.identifier_masked, '') AS identifier_masked
         FROM request AS r
         LEFT JOIN verification AS v ON v.subject_id = r.subject_id AND v.id = r.verification_id AND v.decided_at = r.decided_at
         WHERE r.institution = ?1 AND r.transaction_id = ?2 AND r.attempt = ?3";
    let decode = |columns: &Columns<'_>| {
        let decision: String = columns.get("decision")?;
        let decision = (!decision.is_empty()).then(|| columns.word("decision", Decision::from_policy_key)).transpose()?;
        Ok(Resolved {
            verification: RecordId(columns.get("verification_id")?),
            decision,
            identifier_masked: columns.get("identifier_masked")?,
        })
    };
    query_one(connection, sql, params![request.institution, request.transaction, request.attempt], "request", decode)
}

fn decode(columns: &Columns<'_>) -> Result<Provisional, StoreError> {
    Ok(Provisional {
        number: columns.get("number")?,
        request: RequestKey {
            institution: columns.get("institution")?,
            transaction: columns.get("transaction_id")?,
            attempt: columns.unsigned("attempt")?,
        },
        device: columns.get("device_id")?,
        sequence: columns.unsigned("sequence")?,
        lease_serial: columns.get("lease_serial")?,
        scene: columns.word("scene", Scene::from_word)?,
        answered_at: columns.get("answered_at")?,
        received_at: columns.get("received_at")?,
        compact: columns.get("compact")?,
    })
}
