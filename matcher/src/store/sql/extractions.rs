//! Photos that lack a reference of some model and recipe, and what was made of them.

use async_trait::async_trait;

use super::{
    Connection, SqlStore, audit,
    columns::{Columns, execute, query, query_one},
    params,
};
use crate::store::{
    MadeBy, RecordId, Sealed, StoreError, SubjectId, TimeMs,
    audit::events,
    extractions::{Extraction, Extractions, ModelReferences, PhotoToExtract},
    subjects::Count,
};

/// Of photos in use (`e`), those without a reference by `?1` `?2` and without a failure.
const LACKING: &str = "e.state = 'active'
     AND NOT EXISTS (SELECT 1 FROM reference AS r WHERE r.subject_id = e.subject_id AND r.photo_id = e.photo_id
         AND r.model = ?1 AND r.recipe = ?2)
     AND NOT EXISTS (SELECT 1 FROM extraction_failure AS f WHERE f.subject_id = e.subject_id AND f.photo_id = e.photo_id
         AND f.model = ?1 AND f.recipe = ?2)";

#[async_trait]
impl Extractions for SqlStore {
    async fn lacking(&self, made_by: &MadeBy, after: Option<(SubjectId, RecordId)>, limit: u32) -> Result<Vec<PhotoToExtract>, StoreError> {
        let made_by = made_by.clone();
        self.readers.read(move |connection| lacking(connection, &made_by, after, limit)).await
    }

    async fn lacking_count(&self, made_by: &MadeBy) -> Result<u64, StoreError> {
        let sql = format!("SELECT count(*) AS n FROM enrolment AS e WHERE {LACKING}");
        self.count_by(made_by, sql).await
    }

    async fn put_extractions(&self, made_by: &MadeBy, extractions: Vec<Extraction>) -> Result<(), StoreError> {
        let made_by = made_by.clone();
        let put = move |connection: &Connection| extractions.iter().try_for_each(|extraction| put(connection, &made_by, extraction));
        self.writer.write(put).await
    }

    async fn extraction_failures(&self, made_by: &MadeBy) -> Result<Vec<Count>, StoreError> {
        let MadeBy { model, recipe } = made_by.clone();
        let sql = "SELECT reason, count(*) AS n FROM extraction_failure JOIN enrolment USING (subject_id, photo_id)
             WHERE model = ?1 AND recipe = ?2 AND state = 'active' GROUP BY reason ORDER BY reason";
        let decode = |columns: &Columns<'_>| Ok((columns.get("reason")?, columns.unsigned("n")?));
        self.readers.read(move |connection| query(connection, sql, params![model, recipe], "extraction_failure", decode)).await
    }

    async fn references_by_model(&self) -> Result<Vec<ModelReferences>, StoreError> {
        let sql =
            "SELECT model, recipe, count(*) FILTER (WHERE state = 'active') AS in_use, count(*) FILTER (WHERE state <> 'active') AS ended
             FROM reference JOIN enrolment USING (subject_id, photo_id) GROUP BY model, recipe ORDER BY model, recipe";
        let decode = |columns: &Columns<'_>| {
            let made_by = MadeBy { model: columns.get("model")?, recipe: columns.get("recipe")? };
            Ok(ModelReferences { made_by, in_use: columns.unsigned("in_use")?, ended: columns.unsigned("ended")? })
        };
        self.readers.read(move |connection| query(connection, sql, (), "reference", decode)).await
    }

    async fn dependent_on(&self, made_by: &MadeBy) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) AS n FROM enrolment AS e WHERE e.state = 'active'
             AND EXISTS (SELECT 1 FROM reference AS r WHERE r.subject_id = e.subject_id AND r.photo_id = e.photo_id
                 AND r.model = ?1 AND r.recipe = ?2)
             AND NOT EXISTS (SELECT 1 FROM reference AS r WHERE r.subject_id = e.subject_id AND r.photo_id = e.photo_id
                 AND (r.model, r.recipe) <> (?1, ?2))";
        self.count_by(made_by, sql.to_owned()).await
    }

    async fn retire(&self, made_by: &MadeBy, limit: u32) -> Result<u64, StoreError> {
        let MadeBy { model, recipe } = made_by.clone();
        let sql = "DELETE FROM reference WHERE (subject_id, record_id) IN
             (SELECT subject_id, record_id FROM reference WHERE model = ?1 AND recipe = ?2 LIMIT ?3)";
        self.writer.write(move |connection| Ok(execute(connection, sql, params![model, recipe, limit], "reference")? as u64)).await
    }

    async fn note_extractions(&self, made_by: &MadeBy, made: u64, retired: u64, at: TimeMs) -> Result<(), StoreError> {
        let event = events::references_reextracted(made_by, made, retired, at);
        self.writer.write(move |connection| audit::append(connection, &event)).await
    }
}

impl SqlStore {
    async fn count_by(&self, made_by: &MadeBy, sql: String) -> Result<u64, StoreError> {
        let MadeBy { model, recipe } = made_by.clone();
        let count = move |connection: &Connection| {
            query_one(connection, &sql, params![model, recipe], "enrolment", |columns| columns.unsigned("n"))
        };
        Ok(self.readers.read(count).await?.unwrap_or_default())
    }
}

fn lacking(
    connection: &Connection,
    made_by: &MadeBy,
    after: Option<(SubjectId, RecordId)>,
    limit: u32,
) -> Result<Vec<PhotoToExtract>, StoreError> {
    let sql = format!(
        "SELECT e.subject_id, e.photo_id, wrapped, photo FROM enrolment AS e JOIN data_key USING (subject_id)
             JOIN enrolment_photo USING (subject_id, photo_id)
         WHERE (e.subject_id, e.photo_id) > (?3, ?4) AND {LACKING} ORDER BY e.subject_id, e.photo_id LIMIT ?5"
    );
    let (subject, photo) = after.map_or_else(Default::default, |(subject, photo)| (subject.0.to_vec(), photo.0.to_vec()));
    let decode = |columns: &Columns<'_>| {
        Ok(PhotoToExtract {
            subject: SubjectId(columns.get("subject_id")?),
            photo: RecordId(columns.get("photo_id")?),
            data_key: Sealed(columns.get("wrapped")?),
            content: Sealed(columns.get("photo")?),
        })
    };
    query(connection, &sql, params![made_by.model, made_by.recipe, subject, photo, limit], "enrolment_photo", decode)
}

/// Writes what was made of a photo that is still there, once.
fn put(connection: &Connection, made_by: &MadeBy, extraction: &Extraction) -> Result<(), StoreError> {
    let (subject, photo) = (extraction.subject.0, extraction.photo.0);
    match &extraction.made {
        Ok((record, template)) => {
            let sql = "INSERT INTO reference (subject_id, record_id, photo_id, model, recipe, template, made_at)
                 SELECT subject_id, ?3, photo_id, ?4, ?5, ?6, ?7 FROM enrolment WHERE subject_id = ?1 AND photo_id = ?2
                 ON CONFLICT DO NOTHING";
            let values = params![subject, photo, record.0, made_by.model, made_by.recipe, template.0, extraction.at];
            execute(connection, sql, values, "reference").map(drop)
        }
        Err(reason) => {
            let sql = "INSERT INTO extraction_failure (subject_id, photo_id, model, recipe, reason, failed_at)
                 SELECT subject_id, photo_id, ?3, ?4, ?5, ?6 FROM enrolment WHERE subject_id = ?1 AND photo_id = ?2
                 ON CONFLICT DO NOTHING";
            let values = params![subject, photo, made_by.model, made_by.recipe, reason, extraction.at];
            execute(connection, sql, values, "extraction failure").map(drop)
        }
    }
}
