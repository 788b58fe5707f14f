//! Policies, and verifications in the order of their time.

use async_trait::async_trait;

use super::{
    Connection, SqlStore, audit,
    columns::{Columns, execute, query, query_one},
    params, verifications,
};
use crate::store::{AppliedPolicy, NewPolicy, Policies, RecordId, StoreError, TimeMs, Verification, audit::events::policy_applied};

const TABLE: &str = "policy";
const SELECT: &str =
    "SELECT number, version, text, text_signature, device_policy, device_signature, key_id, applied_at, applied_by, reason FROM policy";

#[async_trait]
impl Policies for SqlStore {
    async fn apply_policy(&self, after: u64, policy: NewPolicy) -> Result<u64, StoreError> {
        self.writer.write(move |connection| apply(connection, after, &policy)).await
    }

    async fn policy_in_force(&self) -> Result<Option<AppliedPolicy>, StoreError> {
        self.readers.read(|connection| query_one(connection, &format!("{SELECT} ORDER BY number DESC LIMIT 1"), (), TABLE, decode)).await
    }

    async fn policy_number(&self) -> Result<u64, StoreError> {
        self.readers.read(last).await
    }

    async fn policies(&self) -> Result<Vec<AppliedPolicy>, StoreError> {
        self.readers.read(|connection| query(connection, &format!("{SELECT} ORDER BY number DESC"), (), TABLE, decode)).await
    }

    async fn verifications_from(
        &self,
        since: TimeMs,
        after: Option<(TimeMs, RecordId)>,
        limit: u32,
    ) -> Result<Vec<Verification>, StoreError> {
        self.readers.read(move |connection| verifications::from(connection, since, after, limit)).await
    }
}

fn last(connection: &Connection) -> Result<u64, StoreError> {
    let sql = "SELECT coalesce(max(number), 0) AS number FROM policy";
    Ok(query_one(connection, sql, (), TABLE, |columns| columns.unsigned("number"))?.unwrap_or_default())
}

fn apply(connection: &Connection, after: u64, policy: &NewPolicy) -> Result<u64, StoreError> {
    let last = last(connection)?;
    if last != after {
        return Err(StoreError::Conflict("policy number"));
    }
    let sql = "SELECT text FROM policy WHERE version = ?1 LIMIT 1";
    let same: Option<String> = query_one(connection, sql, [&policy.version], TABLE, |columns| columns.get("text"))?;
    if same.is_some_and(|text| text != policy.text) {
        return Err(StoreError::Conflict("policy version with another text"));
    }
    let number = last + 1;
    let values = params![
        i64::try_from(number).map_err(|_| StoreError::Corrupt { table: TABLE, field: "number" })?,
        policy.version,
        policy.text,
        policy.text_signature,
        policy.device_policy,
        policy.device_signature,
        policy.key_id,
        policy.applied_at,
        policy.applied_by,
        policy.reason,
    ];
    let sql = "INSERT INTO policy (number, version, text, text_signature, device_policy, device_signature, key_id, applied_at, applied_by, reason)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    execute(connection, sql, values, TABLE)?;
    audit::append(connection, &policy_applied(number, policy))?;
    Ok(number)
}

fn decode(columns: &Columns<'_>) -> Result<AppliedPolicy, StoreError> {
    Ok(AppliedPolicy {
        number: columns.unsigned("number")?,
        policy: NewPolicy {
            version: columns.get("version")?,
            text: columns.get("text")?,
            text_signature: columns.get("text_signature")?,
            device_policy: columns.get("device_policy")?,
            device_signature: columns.get("device_signature")?,
            key_id: columns.get("key_id")?,
            applied_at: columns.get("applied_at")?,
            applied_by: columns.get("applied_by")?,
            reason: columns.get("reason")?,
        },
    })
}
