//! What is asked and changed about one person, beside enrolling and forgetting.

use async_trait::async_trait;
use matcher_core::{PhotoState, ReferenceSource};

use super::{
    Connection, Location, SqlStore, audit,
    columns::{Columns, execute, query, query_one},
    enrolments, flags, forgetting, params, postgres, sqlite, unavailable, verifications,
};
use crate::store::{
    BoundIdentifier, Enrolled, Flag, IdentifierKey, NewEnrolment, RecordId, Sealed, SealedProbe, StoreError, StoredSubject, SubjectId,
    Subjects, TimeMs, Verification,
    audit::events,
    subjects::{Count, Forget, Forgotten, Hold, StoredPhoto, SubjectFile, Withdrawal},
};

#[async_trait]
impl Subjects for SqlStore {
    async fn subject_of(&self, identifier: &IdentifierKey) -> Result<Option<StoredSubject>, StoreError> {
        let identifier = identifier.clone();
        self.readers.read(move |connection| enrolments::subject_of(connection, &identifier)).await
    }

    async fn put_enrolments(&self, enrolments: Vec<NewEnrolment>) -> Result<Vec<Result<Enrolled, StoreError>>, StoreError> {
        self.writer.write(move |connection| enrolments::put_all(connection, &enrolments)).await
    }

    async fn subject_file(&self, subject: SubjectId) -> Result<Option<SubjectFile>, StoreError> {
        self.readers.read(move |connection| file(connection, subject)).await
    }

    async fn identifiers_of(&self, subject: SubjectId) -> Result<Vec<BoundIdentifier>, StoreError> {
        self.readers.read(move |connection| enrolments::identifiers_of(connection, subject)).await
    }

    async fn add_identifiers(&self, subject: SubjectId, identifiers: Vec<BoundIdentifier>) -> Result<(), StoreError> {
        let put = move |connection: &Connection| {
            identifiers.iter().try_for_each(|identifier| enrolments::put_identifier(connection, subject, identifier))
        };
        self.writer.write(put).await
    }

    async fn unbound_identifiers(&self) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) AS n FROM identifier WHERE number IS NULL";
        self.readers.read(move |connection| count(connection, sql)).await
    }

    async fn subjects_after(&self, after: Option<SubjectId>, limit: u32) -> Result<Vec<SubjectId>, StoreError> {
        self.readers.read(move |connection| page(connection, after, limit)).await
    }

    async fn subjects_with_references(
        &self,
        after: Option<SubjectId>,
        limit: u32,
    ) -> Result<Vec<(StoredSubject, Vec<BoundIdentifier>, u64)>, StoreError> {
        self.readers.read(move |connection| with_references(connection, after, limit)).await
    }

    async fn revoke_photo(&self, subject: SubjectId, photo: RecordId, at: TimeMs) -> Result<bool, StoreError> {
        let revoke = move |connection: &Connection| {
            let revoked = enrolments::set_state(connection, subject, photo, PhotoState::Revoked, at)?;
            if revoked {
                audit::append(connection, &events::reference_revoked(subject, photo, at))?;
            }
            Ok(revoked)
        };
        self.writer.write(revoke).await
    }

    async fn place_hold(&self, subject: SubjectId, hold: Hold) -> Result<bool, StoreError> {
        self.writer.write(move |connection| forgetting::place_hold(connection, subject, &hold)).await
    }

    async fn release_holds(&self, subject: SubjectId, by: &str, at: TimeMs) -> Result<u64, StoreError> {
        let by = by.to_owned();
        self.writer.write(move |connection| forgetting::release_holds(connection, subject, &by, at)).await
    }

    async fn forget(&self, forget: Forget) -> Result<Forgotten, StoreError> {
        self.writer.write(move |connection| forgetting::forget(connection, &forget)).await
    }

    async fn withdraw(&self, withdrawal: Withdrawal) -> Result<Forgotten, StoreError> {
        self.writer.write(move |connection| forgetting::withdraw(connection, &withdrawal)).await
    }

    async fn consent_again(&self, subject: SubjectId) -> Result<bool, StoreError> {
        let sql = "UPDATE subject SET withdrawn_at = NULL WHERE subject_id = ?1 AND withdrawn_at IS NOT NULL";
        self.writer.write(move |connection| Ok(execute(connection, sql, [subject.0], "subject")? == 1)).await
    }

    async fn is_forgotten(&self, tombstones: &[[u8; 32]]) -> Result<bool, StoreError> {
        let tombstones = tombstones.to_vec();
        self.readers.read(move |connection| is_forgotten(connection, &tombstones)).await
    }

    async fn readmit(&self, tombstones: &[[u8; 32]]) -> Result<u64, StoreError> {
        let tombstones = tombstones.to_vec();
        let remove = move |connection: &Connection| {
            let each = |tombstone| Ok(execute(connection, "DELETE FROM forgotten WHERE tombstone = ?1", [tombstone], "forgotten")? as u64);
            tombstones.iter().map(each).sum()
        };
        self.writer.write(remove).await
    }

    async fn traces(&self, subject: SubjectId) -> Result<Vec<Count>, StoreError> {
        self.readers.read(move |connection| forgetting::traces(connection, subject)).await
    }

    async fn settle(&self) -> Result<bool, StoreError> {
        match &self.location {
            Location::File(path) => {
                let path = path.clone();
                tokio::task::spawn_blocking(move || sqlite::settle(&path)).await.map_err(unavailable)?
            }
            Location::Postgres(url) => {
                let url = url.clone();
                tokio::task::spawn_blocking(move || postgres::settle(&url)).await.map_err(unavailable)?.map(|()| true)
            }
        }
    }
}

/// Whether one of these is the tombstone of somebody who was forgotten.
pub(super) fn is_forgotten(connection: &Connection, tombstones: &[[u8; 32]]) -> Result<bool, StoreError> {
    let sql = "SELECT tombstone FROM forgotten WHERE tombstone = ?1";
    for tombstone in tombstones {
        if query_one(connection, sql, [tombstone], "forgotten", |columns| columns.get::<[u8; 32]>("tombstone"))?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn page(connection: &Connection, after: Option<SubjectId>, limit: u32) -> Result<Vec<SubjectId>, StoreError> {
    let after = after.map_or_else(Vec::new, |subject| subject.0.to_vec());
    let sql = "SELECT subject_id FROM subject WHERE subject_id > ?1 ORDER BY subject_id LIMIT ?2";
    let decode = |columns: &Columns<'_>| columns.get("subject_id").map(SubjectId);
    query(connection, sql, params![after, limit], "subject", decode)
}

fn with_references(
    connection: &Connection,
    after: Option<SubjectId>,
    limit: u32,
) -> Result<Vec<(StoredSubject, Vec<BoundIdentifier>, u64)>, StoreError> {
    let sql = "SELECT count(DISTINCT photo_id) AS n FROM extraction_failure JOIN enrolment USING (subject_id, photo_id)
         WHERE subject_id = ?1 AND state = 'active'";
    let mut found = Vec::new();
    for subject in page(connection, after, limit)? {
        let Some(stored) = enrolments::by_id(connection, subject)? else { continue };
        let failures = query_one(connection, sql, [subject.0], "extraction_failure", |columns| columns.unsigned("n"))?;
        found.push((stored, enrolments::identifiers_of(connection, subject)?, failures.unwrap_or_default()));
    }
    Ok(found)
}

/// The number a query counts as `n`.
pub(super) fn count(connection: &Connection, sql: &str) -> Result<u64, StoreError> {
    Ok(query_one(connection, sql, (), "count", |columns| columns.unsigned("n"))?.unwrap_or_default())
}

fn file(connection: &Connection, subject: SubjectId) -> Result<Option<SubjectFile>, StoreError> {
    let Some(stored) = enrolments::by_id(connection, subject)? else { return Ok(None) };
    let sql = "SELECT created_at FROM subject WHERE subject_id = ?1";
    let created_at = query_one(connection, sql, [subject.0], "subject", |columns| columns.get("created_at"))?.unwrap_or_default();
    let sql = "SELECT photo_id, source, state, changed_at, enrolled_at, valid_from, valid_until, photo_taken_on, photo, quality
         FROM enrolment JOIN enrolment_photo USING (subject_id, photo_id) WHERE subject_id = ?1 ORDER BY enrolled_at, photo_id";
    let photos = query(connection, sql, [subject.0], "enrolment_photo", decode_photo)?;
    Ok(Some(SubjectFile {
        subject: stored,
        created_at,
        identifiers: enrolments::identifiers_of(connection, subject)?,
        photos,
        verifications: verifications_of(connection, subject)?,
        flags: flags_of(connection, subject)?,
        holds: forgetting::holds_of(connection, subject)?,
    }))
}

fn decode_photo(columns: &Columns<'_>) -> Result<StoredPhoto, StoreError> {
    Ok(StoredPhoto {
        photo: RecordId(columns.get("photo_id")?),
        source: columns.word("source", ReferenceSource::from_word)?,
        life: enrolments::life(columns)?,
        photo_taken_on: columns.get("photo_taken_on")?,
        content: Sealed(columns.get("photo")?),
        quality: columns.get::<Option<_>>("quality")?.map(Sealed),
    })
}

fn verifications_of(connection: &Connection, subject: SubjectId) -> Result<Vec<(Verification, Option<SealedProbe>)>, StoreError> {
    let sql = "SELECT template, sample FROM probe WHERE subject_id = ?1 AND verification_id = ?2";
    let decode =
        |columns: &Columns<'_>| Ok(SealedProbe { template: Sealed(columns.get("template")?), sample: Sealed(columns.get("sample")?) });
    let with_probe = |record: Verification| {
        let probe = query_one(connection, sql, params![subject.0, record.id.0], "probe", decode)?;
        Ok((record, probe))
    };
    verifications::of_subject(connection, subject)?.into_iter().map(with_probe).collect()
}

fn flags_of(connection: &Connection, subject: SubjectId) -> Result<Vec<Flag>, StoreError> {
    let sql = format!("{} WHERE (institution, transaction_id) IN {} ORDER BY raised_at, id", flags::SELECT, forgetting::TRANSACTIONS);
    query(connection, &sql, [subject.0], "flag", flags::decode)
}

/// Tables that have a `subject_id`, by name.
pub(super) fn table_names(connection: &Connection) -> Result<Vec<String>, StoreError> {
    query(connection, connection.tables_of_persons(), (), "catalogue", |columns| columns.get("name"))
}
