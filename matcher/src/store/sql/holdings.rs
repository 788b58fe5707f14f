//! Counts of what is held.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::{
    Connection, SqlStore,
    columns::{query, query_one},
};
use crate::store::{
    StoreError,
    holdings::{Count, Holdings},
};

/// A data key is all that opens a face: persons without one have none that could be seen.
const PERSONS: &str = "SELECT count(*) AS n FROM data_key AS k
    WHERE EXISTS (SELECT 1 FROM reference AS r WHERE r.subject_id = k.subject_id)
       OR EXISTS (SELECT 1 FROM probe AS p WHERE p.subject_id = k.subject_id)";

#[async_trait]
impl Count for SqlStore {
    async fn holdings(&self) -> Result<Holdings, StoreError> {
        self.readers.read(holdings).await
    }

    async fn persons_with_face(&self) -> Result<u64, StoreError> {
        self.readers.read(|connection| count(connection, PERSONS)).await
    }
}

fn holdings(connection: &Connection) -> Result<Holdings, StoreError> {
    Ok(Holdings {
        persons_with_face: count(connection, PERSONS)?,
        references: count(connection, "SELECT count(*) AS n FROM reference")?,
        probes: count(connection, "SELECT count(*) AS n FROM probe")?,
        verifications: count(connection, "SELECT count(*) AS n FROM verification")?,
        notices: by(connection, "SELECT notice AS version, count(*) AS n FROM verification GROUP BY notice")?,
        consents: by(connection, "SELECT consent AS version, count(*) AS n FROM verification GROUP BY consent")?,
    })
}

fn count(connection: &Connection, sql: &str) -> Result<u64, StoreError> {
    Ok(query_one(connection, sql, (), "holdings", |columns| columns.unsigned("n"))?.unwrap_or_default())
}

fn by(connection: &Connection, sql: &str) -> Result<BTreeMap<String, u64>, StoreError> {
    let rows = query(connection, sql, (), "holdings", |columns| Ok((columns.get("version")?, columns.unsigned("n")?)))?;
    Ok(rows.into_iter().collect())
}
