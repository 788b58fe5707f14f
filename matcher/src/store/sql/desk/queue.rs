//! Pages of the queue, by keyset: a page costs the same however many cases stand before it.

use matcher_core::evidence::{CaseKind, CaseState};

use super::{
    super::{
        Connection,
        columns::{Columns, query, query_one},
        params,
        value::AsValue,
    },
    TABLE,
};
use crate::store::{
    RecordId, StoreError, SubjectId, TimeMs,
    desk::{QueueCounts, QueueFilter, QueueRow, QueueState},
};

const SELECT: &str = "SELECT d.subject_id, d.case_id, d.kind, d.opened_at, d.rank, d.state, d.assignee, d.second_due,
     (SELECT count(*) FROM case_member AS m WHERE m.subject_id = d.subject_id AND m.case_id = d.case_id) AS captures,
     (SELECT min(p.institution) FROM case_place AS p WHERE p.subject_id = d.subject_id AND p.case_id = d.case_id) AS institution,
     (SELECT count(DISTINCT p.institution) FROM case_place AS p WHERE p.subject_id = d.subject_id AND p.case_id = d.case_id) AS institutions,
     (SELECT v.identifier_masked FROM case_member AS m
         JOIN verification AS v ON v.subject_id = m.subject_id AND v.id = m.verification_id
         WHERE m.subject_id = d.subject_id AND m.case_id = d.case_id ORDER BY v.decided_at DESC LIMIT 1) AS masked
     FROM case_desk AS d";

fn decode(columns: &Columns<'_>) -> Result<QueueRow, StoreError> {
    Ok(QueueRow {
        subject: SubjectId(columns.get("subject_id")?),
        id: RecordId(columns.get("case_id")?),
        kind: columns.word("kind", CaseKind::from_word)?,
        opened_at: columns.get("opened_at")?,
        rank: columns.get("rank")?,
        state: columns.word("state", CaseState::from_word)?,
        assignee: columns.get("assignee")?,
        second_due: columns.get("second_due")?,
        captures: columns.unsigned("captures")?,
        institutions: (columns.get::<Option<String>>("institution")?.unwrap_or_default(), columns.unsigned("institutions")?),
        identifier_masked: columns.get::<Option<String>>("masked")?.unwrap_or_default(),
    })
}

/// Conditions with their parameters.
#[derive(Default)]
struct Conditions<'a> {
    texts: Vec<String>,
    values: Vec<&'a dyn AsValue>,
}

impl<'a> Conditions<'a> {
    /// Adds a condition whose `?` are these values.
    fn add(&mut self, text: &str, values: &[&'a dyn AsValue]) {
        let mut numbered = String::new();
        let mut next = self.values.len();
        for part in text.split_inclusive('?') {
            numbered.push_str(part);
            if part.ends_with('?') {
                next += 1;
                numbered.push_str(&next.to_string());
            }
        }
        self.texts.push(numbered);
        self.values.extend_from_slice(values);
    }
}

/// A page, the most pressing first.
pub(super) fn page(
    connection: &Connection,
    filter: &QueueFilter,
    after: Option<(f64, RecordId)>,
    limit: u32,
) -> Result<Vec<QueueRow>, StoreError> {
    let after = after.map(|(rank, id)| (rank, id.0));
    let (kind, scene) = (filter.kind.map(CaseKind::word), filter.scene.map(matcher_core::Scene::word));
    let mut conditions = Conditions::default();
    match filter.state {
        QueueState::Working => conditions.add("d.state <> 'closed'", &[]),
        // Both words stand for a verdict that nobody waits for.
        QueueState::In(CaseState::Decided | CaseState::SecondReview) => {
            conditions.add("d.state IN ('decided', 'second_review') AND d.second_due = 0", &[]);
        }
        QueueState::In(state) => conditions.add(&format!("d.state = '{}'", state.word()), &[]),
        QueueState::SecondDue => conditions.add("d.state = 'decided' AND d.second_due = 1", &[]),
    }
    if let Some(kind) = &kind {
        conditions.add("d.kind = ?", &[kind]);
    }
    if let Some(assignee) = &filter.assignee {
        conditions.add("d.assignee = ?", &[assignee]);
    }
    if let Some(from) = &filter.opened_from {
        conditions.add("d.opened_at >= ?", &[from]);
    }
    if let Some(before) = &filter.opened_before {
        conditions.add("d.opened_at < ?", &[before]);
    }
    const OF_CASE: &str = "p.subject_id = d.subject_id AND p.case_id = d.case_id";
    match (&filter.institution, &scene) {
        (Some(institution), Some(scene)) => {
            let text = format!("EXISTS (SELECT 1 FROM case_place AS p WHERE {OF_CASE} AND p.institution = ? AND p.scene = ?)");
            conditions.add(&text, &[institution, scene]);
        }
        (Some(institution), None) => {
            conditions.add(&format!("EXISTS (SELECT 1 FROM case_place AS p WHERE {OF_CASE} AND p.institution = ?)"), &[institution]);
        }
        (None, Some(scene)) => conditions.add(&format!("EXISTS (SELECT 1 FROM case_place AS p WHERE {OF_CASE} AND p.scene = ?)"), &[scene]),
        (None, None) => {}
    }
    if let Some((rank, id)) = &after {
        conditions.add("(d.rank, d.case_id) < (?, ?)", &[rank, id]);
    }
    conditions.add("?", &[&limit]);
    let limit = conditions.texts.pop().unwrap_or_default();
    let sql = format!("{SELECT} WHERE {} ORDER BY d.rank DESC, d.case_id DESC LIMIT {limit}", conditions.texts.join(" AND "));
    query(connection, &sql, conditions.values.as_slice(), TABLE, decode)
}

/// How many cases stand where.
pub(super) fn counts(connection: &Connection, user: &str, day_start: TimeMs) -> Result<QueueCounts, StoreError> {
    let sql = "SELECT state, second_due, count(*) AS n FROM case_desk GROUP BY state, second_due";
    let decode = |columns: &Columns<'_>| {
        Ok((columns.word("state", CaseState::from_word)?, columns.get::<bool>("second_due")?, columns.unsigned::<u64>("n")?))
    };
    let mut counts = QueueCounts::default();
    for (state, second_due, n) in query(connection, sql, (), TABLE, decode)? {
        match state {
            CaseState::Open => counts.open += n,
            CaseState::Claimed => counts.claimed += n,
            CaseState::Decided if second_due => counts.second_due += n,
            CaseState::Decided | CaseState::SecondReview => counts.decided += n,
            CaseState::Closed => counts.closed += n,
        }
    }
    let n = |columns: &Columns<'_>| columns.unsigned("n");
    let sql = "SELECT count(*) AS n FROM case_desk WHERE assignee = ?1";
    counts.mine = query_one(connection, sql, params![user], TABLE, n)?.unwrap_or_default();
    let sql = "SELECT count(*) AS n FROM case_file WHERE opened_at >= ?1";
    counts.opened_today = query_one(connection, sql, [day_start], TABLE, n)?.unwrap_or_default();
    Ok(counts)
}

/// Institutions, by name: one step through the index for each.
pub(super) fn institutions(connection: &Connection, limit: u32) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT min(institution) AS institution FROM case_place WHERE institution > ?1";
    let (mut found, mut last) = (Vec::new(), String::new());
    while (found.len() as u64) < u64::from(limit) {
        let next = query_one(connection, sql, params![last], TABLE, |columns| columns.get::<Option<String>>("institution"))?.flatten();
        let Some(next) = next else { break };
        last.clone_from(&next);
        found.push(next);
    }
    Ok(found)
}

/// Cases about captures of a transaction.
pub(super) fn of_transaction(connection: &Connection, transaction: &str, limit: u32) -> Result<Vec<QueueRow>, StoreError> {
    let sql = format!(
        "{SELECT} WHERE (d.subject_id, d.case_id) IN (SELECT subject_id, case_id FROM case_place WHERE transaction_id = ?1)
         ORDER BY d.opened_at DESC, d.case_id LIMIT ?2"
    );
    query(connection, &sql, params![transaction, limit], TABLE, decode)
}

/// Cases of a person, the latest first.
pub(super) fn of_subject(connection: &Connection, subject: SubjectId, limit: u32) -> Result<Vec<QueueRow>, StoreError> {
    let sql = format!("{SELECT} WHERE d.subject_id = ?1 ORDER BY d.opened_at DESC, d.case_id LIMIT ?2");
    query(connection, &sql, params![subject.0, limit], TABLE, decode)
}

/// Cases whose id begins so: one, but for chance.
pub(super) fn of_prefix(connection: &Connection, prefix: [u8; 5]) -> Result<Vec<QueueRow>, StoreError> {
    let ends = |fill: u8| {
        let mut id = [fill; 16];
        id.iter_mut().zip(prefix).for_each(|(to, from)| *to = from);
        id
    };
    let sql = format!(
        "{SELECT} JOIN case_file AS f ON f.subject_id = d.subject_id AND f.id = d.case_id WHERE f.id BETWEEN ?1 AND ?2 ORDER BY d.case_id LIMIT 8"
    );
    query(connection, &sql, params![ends(0), ends(0xff)], TABLE, decode)
}
