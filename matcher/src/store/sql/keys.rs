//! Data keys by the key-encryption key that wrapped them, numbers by the look-up key that hashed them.

use async_trait::async_trait;
use matcher_core::AuditAction;

use super::{
    Connection, SqlStore, audit,
    columns::{Columns, execute, query, query_one},
    params,
};
use crate::{
    keys::hex,
    store::{
        Sealed, StoreError, SubjectId, TimeMs,
        audit::AuditEvent,
        keys::{KeyStore, Rehashed, RetiredLookup, Rewrap, ToRehash, UnderLookup, WrappedPrefix},
    },
};

mod lookup;

const TABLE: &str = "data_key";

#[async_trait]
impl KeyStore for SqlStore {
    async fn data_key_counts(&self) -> Result<Vec<(Option<WrappedPrefix>, u64)>, StoreError> {
        let read = |connection: &Connection| {
            let sql = "SELECT CASE WHEN substr(wrapped, 1, 1) = ?1 THEN substr(wrapped, 1, 9) END AS prefix, count(*) AS count
                 FROM (SELECT wrapped FROM data_key UNION ALL SELECT wrapped FROM proxy_register
                     UNION ALL SELECT wrapped FROM console_user UNION ALL SELECT wrapped FROM seed_pair
                     UNION ALL SELECT wrapped FROM seed_case UNION ALL SELECT wrapped FROM case_statement WHERE wrapped IS NOT NULL) AS keys
                 GROUP BY 1 ORDER BY 1 NULLS FIRST";
            let decode = |columns: &Columns<'_>| Ok((columns.get("prefix")?, columns.unsigned("count")?));
            query(connection, sql, [[0x80_u8]], TABLE, decode)
        };
        self.readers.read(read).await
    }

    async fn data_keys_not_of(
        &self,
        prefix: WrappedPrefix,
        after: Option<SubjectId>,
        limit: u32,
    ) -> Result<Vec<(SubjectId, Sealed)>, StoreError> {
        let read = move |connection: &Connection| {
            // Whoever has several keys comes with all of them, so that a page begins after a person and not among their keys.
            let sql = "WITH keys AS (SELECT subject_id, wrapped FROM data_key WHERE substr(wrapped, 1, 9) <> ?1 AND subject_id > ?2
                     UNION ALL SELECT subject_id, wrapped FROM proxy_register WHERE substr(wrapped, 1, 9) <> ?1 AND subject_id > ?2
                     UNION ALL SELECT id, wrapped FROM console_user WHERE substr(wrapped, 1, 9) <> ?1 AND id > ?2
                     UNION ALL SELECT id, wrapped FROM seed_pair WHERE substr(wrapped, 1, 9) <> ?1 AND id > ?2
                     UNION ALL SELECT subject_id, wrapped FROM seed_case WHERE substr(wrapped, 1, 9) <> ?1 AND subject_id > ?2
                     UNION ALL SELECT subject_id, wrapped FROM case_statement WHERE substr(wrapped, 1, 9) <> ?1 AND subject_id > ?2)
                 SELECT subject_id, wrapped FROM keys
                 WHERE subject_id IN (SELECT DISTINCT subject_id FROM keys ORDER BY subject_id LIMIT ?3) ORDER BY subject_id";
            let after = after.map(|subject| subject.0.to_vec()).unwrap_or_default();
            let decode = |columns: &Columns<'_>| Ok((SubjectId(columns.get("subject_id")?), Sealed(columns.get("wrapped")?)));
            query(connection, sql, params![prefix, after, limit], TABLE, decode)
        };
        self.readers.read(read).await
    }

    async fn rewrap_data_keys(&self, keys: Vec<Rewrap>) -> Result<u64, StoreError> {
        let write = move |connection: &Connection| {
            let mut changed = 0;
            for Rewrap { subject, from, to } in &keys {
                for (table, key) in [
                    (TABLE, "subject_id"),
                    ("proxy_register", "subject_id"),
                    ("console_user", "id"),
                    ("seed_pair", "id"),
                    ("seed_case", "subject_id"),
                    ("case_statement", "subject_id"),
                ] {
                    let sql = format!("UPDATE {table} SET wrapped = ?3 WHERE {key} = ?1 AND wrapped = ?2");
                    changed += execute(connection, &sql, params![subject.0, from.0, to.0], "data key")? as u64;
                }
            }
            Ok(changed)
        };
        self.writer.write(write).await
    }

    async fn retire_key_encryption(&self, newest: WrappedPrefix, retired: Vec<WrappedPrefix>, at: TimeMs) -> Result<u64, StoreError> {
        self.writer.write(move |connection| retire(connection, &newest, &retired, at)).await
    }

    async fn lookup_counts(&self) -> Result<Vec<UnderLookup>, StoreError> {
        self.readers.read(lookup::counts).await
    }

    async fn to_rehash(&self, newest: &str, after: Option<SubjectId>, limit: u32) -> Result<Vec<ToRehash>, StoreError> {
        let newest = newest.to_owned();
        self.readers.read(move |connection| lookup::to_rehash(connection, &newest, after, limit)).await
    }

    async fn rehash(&self, persons: Vec<Rehashed>) -> Result<u64, StoreError> {
        self.writer.write(move |connection| lookup::rehash(connection, &persons)).await
    }

    async fn retire_lookup(&self, newest: &str, retired: Vec<String>, force: bool, at: TimeMs) -> Result<RetiredLookup, StoreError> {
        let newest = newest.to_owned();
        self.writer.write(move |connection| lookup::retire(connection, &newest, &retired, force, at)).await
    }
}

fn retire(connection: &Connection, newest: &WrappedPrefix, retired: &[WrappedPrefix], at: TimeMs) -> Result<u64, StoreError> {
    let sql = "SELECT (SELECT count(*) FROM data_key WHERE substr(wrapped, 1, 9) <> ?1)
             + (SELECT count(*) FROM proxy_register WHERE substr(wrapped, 1, 9) <> ?1)
             + (SELECT count(*) FROM console_user WHERE substr(wrapped, 1, 9) <> ?1)
             + (SELECT count(*) FROM seed_pair WHERE substr(wrapped, 1, 9) <> ?1)
             + (SELECT count(*) FROM seed_case WHERE substr(wrapped, 1, 9) <> ?1)
             + (SELECT count(*) FROM case_statement WHERE substr(wrapped, 1, 9) <> ?1) AS count";
    let left = query_one(connection, sql, [newest], TABLE, |columns| columns.unsigned("count"))?.unwrap_or_default();
    if left > 0 {
        return Ok(left);
    }
    for prefix in retired {
        let sql = "INSERT INTO retired_key_encryption (prefix, retired_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
        execute(connection, sql, params![prefix, at], "retired key")?;
        let object = format!("key_encryption {}", hex(prefix.get(1..).unwrap_or_default()));
        let detail = serde_json::json!({ "step": "dropped" }).to_string();
        audit::append(connection, &AuditEvent { at, action: AuditAction::KeyRotated, by: String::new(), object, detail })?;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Subjects, contract::enrolment};

    const OLD: WrappedPrefix = [0x80, 1, 1, 1, 1, 1, 1, 1, 1];
    const NEW: WrappedPrefix = [0x80, 2, 2, 2, 2, 2, 2, 2, 2];

    fn wrapped(prefix: WrappedPrefix, person: u8) -> Sealed {
        Sealed([&prefix[..], &[person; 61]].concat())
    }

    async fn put(store: &SqlStore, person: u8, data_key: Sealed) -> Result<(), StoreError> {
        let new = crate::store::NewEnrolment { data_key, ..enrolment(person, &[person], person) };
        store.put_enrolments(vec![new]).await.unwrap().remove(0).map(drop)
    }

    #[tokio::test]
    async fn data_keys_move_to_the_new_key_and_the_old_one_is_put_out_of_use() {
        let dir = tempfile::tempdir().unwrap();
        let store = SqlStore::open(&dir.path().join("center.db")).unwrap();
        put(&store, 1, wrapped(OLD, 1)).await.unwrap();
        put(&store, 2, wrapped(NEW, 2)).await.unwrap();
        put(&store, 3, Sealed(vec![1; 61])).await.unwrap();
        assert_eq!(store.data_key_counts().await.unwrap(), [(None, 1), (Some(OLD), 1), (Some(NEW), 1)]);
        let left = store.data_keys_not_of(NEW, None, 10).await.unwrap();
        assert_eq!(left.iter().map(|(subject, _)| subject.0[0]).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(store.data_keys_not_of(NEW, Some(left[0].0), 10).await.unwrap(), left[1..]);
        assert_eq!(store.retire_key_encryption(NEW, vec![OLD], 5).await.unwrap(), 2, "two are left");
        let anew = |(subject, from): &(SubjectId, Sealed)| Rewrap { subject: *subject, from: from.clone(), to: wrapped(NEW, subject.0[0]) };
        let mut keys: Vec<_> = left.iter().map(anew).collect();
        assert_eq!(store.rewrap_data_keys(keys.clone()).await.unwrap(), 2);
        keys[0].to = wrapped(NEW, 9);
        assert_eq!(store.rewrap_data_keys(keys).await.unwrap(), 0, "they are others meanwhile");
        assert_eq!(store.retire_key_encryption(NEW, vec![OLD], 5).await.unwrap(), 0);
        assert!(matches!(put(&store, 4, wrapped(OLD, 4)).await, Err(StoreError::Conflict("data key"))));
        put(&store, 5, wrapped(NEW, 5)).await.unwrap();
    }
}
