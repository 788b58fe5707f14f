//! Work on cases: where each stands, what was seen and said. The queue, and what belongs to a case, are in files of their own.

use async_trait::async_trait;
use matcher_core::{
    AuditAction,
    console::{Judgement, ReviewerFigures, Statement, StatementKind, rank},
    evidence::{Case, CaseEvent, CaseState, CaseStep},
};
use serde_json::json;

use super::{
    Connection, SqlStore, audit, cases,
    columns::{Columns, execute, query, query_one},
    params,
};
use crate::store::{
    RecordId, Sealed, StoreError, SubjectId, TimeMs,
    audit::AuditEvent,
    cases::NewCase,
    desk::{
        CaseContents, CasePictures, CaseSheet, CaseSurroundings, ClearWords, Desk, Judged, Look, LookFilter, QueueFilter, QueuePage,
        QueueRow, SealedPair, SealedPicture, SealedWords, StoreCase, StoredStatement,
    },
};

mod around;
mod looks;
mod queue;
pub(super) mod reviewers;

const TABLE: &str = "case_desk";
const JUDGEMENT: &str = "case_judgement";
const STATEMENT: &str = "case_statement";

/// Puts a new case into the queue. Its captures are written already.
pub(super) fn put(connection: &Connection, case: &NewCase) -> Result<(), StoreError> {
    let sql = "SELECT count(*) AS before FROM case_desk WHERE subject_id = ?1";
    let before: u32 = query_one(connection, sql, [case.subject.0], TABLE, |columns| columns.unsigned("before"))?.unwrap_or_default();
    let sql = "INSERT INTO case_desk (subject_id, case_id, kind, opened_at, rank, state, assignee, second_due, changed_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, NULL, 0, ?4)";
    let rank = rank(case.opening, case.log_odds, before);
    let values = params![case.subject.0, case.id.0, case.kind.word(), case.opened_at, rank, CaseState::Open.word()];
    execute(connection, sql, values, TABLE)?;
    for log in ["verification", "seed_verification"] {
        let sql = format!(
            "INSERT INTO case_place (subject_id, case_id, institution, transaction_id, scene)
             SELECT DISTINCT m.subject_id, m.case_id, v.institution, v.transaction_id, v.scene FROM case_member AS m
             JOIN {log} AS v ON v.subject_id = m.subject_id AND v.id = m.verification_id
             WHERE m.subject_id = ?1 AND m.case_id = ?2"
        );
        execute(connection, &sql, params![case.subject.0, case.id.0], "case_place")?;
    }
    described(connection, case.subject, case.id)
}

/// Writes down what a line of the queue shows of a new case, and what it is filtered by.
pub(super) fn described(connection: &Connection, subject: SubjectId, id: RecordId) -> Result<(), StoreError> {
    let here = params![subject.0, id.0];
    let sql = "UPDATE case_desk SET captures = (SELECT count(*) FROM case_member AS m WHERE m.subject_id = ?1 AND m.case_id = ?2),
             institution = coalesce((SELECT min(p.institution) FROM case_place AS p WHERE p.subject_id = ?1 AND p.case_id = ?2), ''),
             institutions = (SELECT count(DISTINCT p.institution) FROM case_place AS p WHERE p.subject_id = ?1 AND p.case_id = ?2),
             identifier_masked = coalesce((SELECT v.identifier_masked FROM case_member AS m
                 JOIN verification AS v ON v.subject_id = m.subject_id AND v.id = m.verification_id
                 WHERE m.subject_id = ?1 AND m.case_id = ?2 ORDER BY v.decided_at DESC LIMIT 1), (SELECT max(s.identifier_masked)
                 FROM seed_verification AS s JOIN case_member AS m ON m.subject_id = s.subject_id AND m.verification_id = s.id
                 WHERE m.subject_id = ?1 AND m.case_id = ?2), '')
         WHERE subject_id = ?1 AND case_id = ?2";
    execute(connection, sql, here, TABLE)?;
    for values in ["'kind', d.kind, d.standing, d.rank, d.opened_at FROM case_desk AS d", FACET_INSTITUTION, FACET_SCENE] {
        let sql = format!(
            "INSERT INTO case_facet (subject_id, case_id, facet, value, standing, rank, opened_at)
             SELECT DISTINCT d.subject_id, d.case_id, {values} WHERE d.subject_id = ?1 AND d.case_id = ?2"
        );
        execute(connection, &sql, here, "case_facet")?;
    }
    let sql = "INSERT INTO case_institution (name) SELECT DISTINCT institution FROM case_place WHERE subject_id = ?1 AND case_id = ?2
         ON CONFLICT (name) DO NOTHING";
    execute(connection, sql, here, "case_institution").map(drop)
}

const FACET_INSTITUTION: &str = "'institution', p.institution, d.standing, d.rank, d.opened_at FROM case_desk AS d
     JOIN case_place AS p ON p.subject_id = d.subject_id AND p.case_id = d.case_id";
const FACET_SCENE: &str = "'scene', p.scene, d.standing, d.rank, d.opened_at FROM case_desk AS d
     JOIN case_place AS p ON p.subject_id = d.subject_id AND p.case_id = d.case_id";

/// Writes down where a case stands as the queue shows it.
fn stands(connection: &Connection, subject: SubjectId, id: RecordId) -> Result<(), StoreError> {
    let here = params![subject.0, id.0];
    let sql = "UPDATE case_desk SET standing = CASE WHEN state = 'decided' AND second_due = 1 THEN 'second_due'
             WHEN state IN ('decided', 'second_review') THEN 'decided' ELSE state END WHERE subject_id = ?1 AND case_id = ?2";
    execute(connection, sql, here, TABLE)?;
    let sql = "UPDATE case_facet SET standing = (SELECT d.standing FROM case_desk AS d WHERE d.subject_id = ?1 AND d.case_id = ?2)
         WHERE subject_id = ?1 AND case_id = ?2";
    execute(connection, sql, here, "case_facet").map(drop)
}

/// Notes where a case stands after its steps.
pub(super) fn moved(
    connection: &Connection,
    subject: SubjectId,
    id: RecordId,
    steps: impl Iterator<Item = CaseStep>,
) -> Result<(), StoreError> {
    let mut last = None;
    let case = Case::replay(steps.inspect(|step| last = Some((step.at, step.event.clone()))));
    // A step that does not follow is refused before it comes here; what stands in the log decides.
    let Ok(case) = case else { return Ok(()) };
    let Some((at, event)) = last else { return Ok(()) };
    let sql = "UPDATE case_desk SET state = ?3, assignee = ?4, changed_at = ?5,
         second_due = CASE WHEN ?6 IS NULL THEN second_due ELSE ?6 END WHERE subject_id = ?1 AND case_id = ?2";
    let second_due = match event {
        CaseEvent::Decided(verdict, _) => Some(verdict.asks_for_second_review()),
        CaseEvent::Reviewed(..) | CaseEvent::Closed | CaseEvent::Reopened(_) => Some(false),
        CaseEvent::Claimed | CaseEvent::Released => None,
    };
    let values = params![subject.0, id.0, case.state().word(), case.claimed_by(), at, second_due];
    execute(connection, sql, values, TABLE)?;
    stands(connection, subject, id)
}

fn decide(connection: &Connection, id: RecordId, before: usize, step: &CaseStep, second_due: bool) -> Result<bool, StoreError> {
    if !cases::add_step(connection, id, before, step)? {
        return Ok(false);
    }
    let sql = "UPDATE case_desk SET second_due = ?2 WHERE case_id = ?1 RETURNING subject_id";
    let subject = query_one(connection, sql, params![id.0, second_due], TABLE, |columns| Ok(SubjectId(columns.get("subject_id")?)))?;
    stands(connection, subject.ok_or(StoreError::Corrupt { table: TABLE, field: "case_id" })?, id)?;
    Ok(true)
}

/// A case with what was seen and said in it, asked with two waits.
fn sheet(connection: &Connection, id: RecordId) -> Result<Option<CaseSheet>, StoreError> {
    let Some(case) = cases::opened(connection, id)? else { return Ok(None) };
    let subject = case.subject;
    let here = params![subject.0, id.0];
    connection.ahead(&[cases::MEMBERS, cases::STEPS, JUDGEMENTS, STATEMENTS, SECOND_DUE].map(|sql| (sql, here)))?;
    Ok(Some(CaseSheet {
        stored: cases::whole(connection, case)?,
        judgements: judgements(connection, subject, id)?,
        statements: statements(connection, subject, id)?,
        second_due: second_due(connection, subject, id)?,
    }))
}

const SECOND_DUE: &str = "SELECT second_due FROM case_desk WHERE subject_id = ?1 AND case_id = ?2";
const JUDGEMENTS: &str = "SELECT actor, at, verification_id, judgement, draw FROM case_judgement WHERE subject_id = ?1 AND case_id = ?2
     ORDER BY at, actor";
const STATEMENTS: &str = "SELECT at, actor, kind, institution, text, due_at, wrapped, sealed FROM case_statement
     WHERE subject_id = ?1 AND case_id = ?2 ORDER BY number";

fn second_due(connection: &Connection, subject: SubjectId, case: RecordId) -> Result<bool, StoreError> {
    let found = query_one(connection, SECOND_DUE, params![subject.0, case.0], TABLE, |columns| columns.get("second_due"))?;
    Ok(found.unwrap_or_default())
}

fn judgements(connection: &Connection, subject: SubjectId, case: RecordId) -> Result<Vec<Judged>, StoreError> {
    let decode = |columns: &Columns<'_>| {
        Ok(Judged {
            by: columns.get("actor")?,
            at: columns.get("at")?,
            verification: columns.get::<Option<_>>("verification_id")?.map(RecordId),
            judgement: Judgement::new(columns.get("judgement")?).map_err(|_| columns.corrupt("judgement"))?,
            draw: columns.get("draw")?,
        })
    };
    query(connection, JUDGEMENTS, params![subject.0, case.0], JUDGEMENT, decode)
}

fn put_judgement(connection: &Connection, subject: SubjectId, case: RecordId, judged: &Judged) -> Result<bool, StoreError> {
    let sql = "INSERT INTO case_judgement (subject_id, case_id, actor, at, verification_id, judgement, draw)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (subject_id, case_id, actor) DO NOTHING";
    let judgement = i64::from(judged.judgement.get());
    let verification = judged.verification.map(|verification| verification.0);
    let values = params![subject.0, case.0, judged.by, judged.at, verification, judgement, judged.draw];
    if execute(connection, sql, values, JUDGEMENT)? == 0 {
        return Ok(false);
    }
    let detail = json!({ "judgement": judgement, "verification": judged.verification.map(|id| id.to_string()) }).to_string();
    let (at, by, object) = (judged.at, judged.by.clone(), case.to_string());
    audit::append(connection, &AuditEvent { at, action: AuditAction::CaseJudged, by, object, detail })?;
    Ok(true)
}

fn statements(connection: &Connection, subject: SubjectId, case: RecordId) -> Result<Vec<StoredStatement>, StoreError> {
    let decode = |columns: &Columns<'_>| {
        let said = Statement {
            at: columns.get("at")?,
            by: columns.get("actor")?,
            kind: columns.word("kind", StatementKind::from_word)?,
            institution: columns.get("institution")?,
            text: columns.get("text")?,
            due_at: columns.get("due_at")?,
        };
        let (wrapped, sealed): (Option<Vec<u8>>, Option<Vec<u8>>) = (columns.get("wrapped")?, columns.get("sealed")?);
        let words = wrapped.zip(sealed).map(|(wrapped, sealed)| SealedWords { data_key: Sealed(wrapped), sealed: Sealed(sealed) });
        Ok(StoredStatement { said, words })
    };
    query(connection, STATEMENTS, params![subject.0, case.0], STATEMENT, decode)
}

fn add_statement(
    connection: &Connection,
    (subject, case): (SubjectId, RecordId),
    before: usize,
    new: &StoredStatement,
) -> Result<bool, StoreError> {
    if statements(connection, subject, case)?.len() != before {
        return Ok(false);
    }
    let said = &new.said;
    let number = i64::try_from(before + 1).map_err(|_| StoreError::Corrupt { table: STATEMENT, field: "number" })?;
    let sql = "INSERT INTO case_statement (subject_id, case_id, number, at, actor, kind, institution, text, due_at, wrapped, sealed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    let (at, kind, institution) = (said.at, said.kind.word(), &said.institution);
    let (wrapped, sealed) = (new.words.as_ref().map(|words| &words.data_key.0), new.words.as_ref().map(|words| &words.sealed.0));
    let values = params![subject.0, case.0, number, at, said.by, kind, institution, said.text, said.due_at, wrapped, sealed];
    execute(connection, sql, values, STATEMENT)?;
    let detail = json!({ "kind": kind, "number": number, "institution": institution, "due_at": said.due_at }).to_string();
    let (by, object) = (said.by.clone(), case.to_string());
    audit::append(connection, &AuditEvent { at, action: AuditAction::CaseHeard, by, object, detail })?;
    Ok(true)
}

fn clear_words(connection: &Connection, limit: u32) -> Result<Vec<ClearWords>, StoreError> {
    let sql =
        "SELECT subject_id, case_id, number, text FROM case_statement WHERE sealed IS NULL ORDER BY subject_id, case_id, number LIMIT ?1";
    query(connection, sql, [limit], STATEMENT, |columns| {
        Ok((SubjectId(columns.get("subject_id")?), RecordId(columns.get("case_id")?), columns.unsigned("number")?, columns.get("text")?))
    })
}

fn seal_words(connection: &Connection, words: &[(SubjectId, RecordId, u32, SealedWords)]) -> Result<(), StoreError> {
    for (subject, case, number, words) in words {
        let sql = "UPDATE case_statement SET text = '', wrapped = ?4, sealed = ?5
             WHERE subject_id = ?1 AND case_id = ?2 AND number = ?3 AND sealed IS NULL";
        execute(connection, sql, params![subject.0, case.0, number, words.data_key.0, words.sealed.0], STATEMENT)?;
    }
    Ok(())
}

#[async_trait]
impl Desk for SqlStore {
    async fn queue(&self, filter: QueueFilter, after: Option<(f64, RecordId)>, limit: u32) -> Result<Vec<QueueRow>, StoreError> {
        self.readers.read(move |connection| queue::page(connection, &filter, after, limit)).await
    }

    async fn queue_page(
        &self,
        (filter, after, limit): (QueueFilter, Option<(f64, RecordId)>, u32),
        (user, day_start): (&str, TimeMs),
        institutions: u32,
    ) -> Result<QueuePage, StoreError> {
        let user = user.to_owned();
        let read = move |connection: &Connection| queue::whole(connection, (&filter, after, limit), (&user, day_start), institutions);
        self.readers.read(|connection| connection.in_one_state(read)).await
    }

    async fn cases_of_transaction(&self, transaction: &str, limit: u32) -> Result<Vec<QueueRow>, StoreError> {
        let transaction = transaction.to_owned();
        self.readers.read(move |connection| queue::of_transaction(connection, &transaction, limit)).await
    }

    async fn cases_of_subject(&self, subject: SubjectId, limit: u32) -> Result<Vec<QueueRow>, StoreError> {
        self.readers.read(move |connection| queue::of_subject(connection, subject, limit)).await
    }

    async fn cases_of_prefix(&self, prefix: [u8; 5]) -> Result<Vec<QueueRow>, StoreError> {
        self.readers.read(move |connection| queue::of_prefix(connection, prefix)).await
    }

    async fn case_sheet(&self, id: RecordId) -> Result<Option<CaseSheet>, StoreError> {
        self.readers.read(move |connection| connection.in_one_state(|connection| sheet(connection, id))).await
    }

    async fn put_judgement(&self, subject: SubjectId, case: RecordId, judged: Judged) -> Result<bool, StoreError> {
        self.writer.write(move |connection| put_judgement(connection, subject, case, &judged)).await
    }

    async fn statements(&self, subject: SubjectId, case: RecordId) -> Result<Vec<StoredStatement>, StoreError> {
        self.readers.read(move |connection| statements(connection, subject, case)).await
    }

    async fn add_statement(&self, subject: SubjectId, case: RecordId, before: usize, new: StoredStatement) -> Result<bool, StoreError> {
        self.writer.write(move |connection| add_statement(connection, (subject, case), before, &new)).await
    }

    async fn clear_words(&self, limit: u32) -> Result<Vec<ClearWords>, StoreError> {
        self.readers.read(move |connection| clear_words(connection, limit)).await
    }

    async fn seal_words(&self, words: Vec<(SubjectId, RecordId, u32, SealedWords)>) -> Result<(), StoreError> {
        self.writer.write(move |connection| seal_words(connection, &words)).await
    }

    async fn decide_case(&self, id: RecordId, before: usize, step: CaseStep, second_due: bool) -> Result<bool, StoreError> {
        self.writer.write(move |connection| decide(connection, id, before, &step, second_due)).await
    }

    async fn second_due(&self, subject: SubjectId, case: RecordId) -> Result<bool, StoreError> {
        self.readers.read(move |connection| second_due(connection, subject, case)).await
    }

    async fn case_surroundings(&self, subject: SubjectId, case: RecordId) -> Result<CaseSurroundings, StoreError> {
        self.readers.read(move |connection| around::of(connection, subject, case)).await
    }

    async fn case_contents(&self, subject: SubjectId, case: RecordId, captures: Vec<RecordId>) -> Result<CaseContents, StoreError> {
        let read = move |connection: &Connection| around::contents(connection, subject, case, &captures);
        self.readers.read(|connection| connection.in_one_state(read)).await
    }

    async fn case_pictures(&self, subject: SubjectId, case: RecordId) -> Result<CasePictures, StoreError> {
        self.readers.read(move |connection| around::pictures_at_once(connection, subject, case)).await
    }

    async fn sealed_pair(&self, subject: SubjectId, photo: Option<RecordId>, capture: Option<RecordId>) -> Result<SealedPair, StoreError> {
        self.readers.read(move |connection| around::sealed_pair(connection, subject, photo, capture)).await
    }

    async fn sealed_sample(&self, subject: SubjectId, verification: RecordId) -> Result<Option<SealedPicture>, StoreError> {
        self.readers.read(move |connection| around::sample(connection, subject, verification)).await
    }

    async fn sealed_photo(&self, subject: SubjectId, photo: RecordId) -> Result<Option<SealedPicture>, StoreError> {
        self.readers.read(move |connection| around::photo(connection, subject, photo)).await
    }

    async fn cases_asked(&self, institution: &str, limit: u32) -> Result<Vec<StoreCase>, StoreError> {
        let institution = institution.to_owned();
        self.readers.read(move |connection| around::asked(connection, &institution, limit)).await
    }

    async fn reviewer_figures(&self, since: TimeMs) -> Result<Vec<ReviewerFigures>, StoreError> {
        self.readers.read(move |connection| reviewers::figures(connection, since)).await
    }

    async fn looks(&self, filter: LookFilter, limit: u32) -> Result<Vec<Look>, StoreError> {
        self.readers.read(move |connection| looks::list(connection, &filter, limit)).await
    }
}
