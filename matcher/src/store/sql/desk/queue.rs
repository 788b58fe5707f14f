//! Pages of the queue, by keyset: a page costs the same however many cases stand before it.

use matcher_core::evidence::{CaseKind, CaseState};

use super::{
    super::{
        Connection,
        columns::{Columns, query},
        params, seeds,
        value::AsValue,
    },
    TABLE,
};
use crate::store::{
    RecordId, StoreError, SubjectId, TimeMs,
    desk::{QueueCounts, QueueFilter, QueuePage, QueueRow, QueueState},
};

const SELECT: &str = "SELECT d.subject_id, d.case_id, d.kind, d.opened_at, d.rank, d.state, d.assignee, d.second_due, d.captures,
     d.institution, d.institutions, d.identifier_masked AS masked FROM case_desk AS d";

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
        institutions: (columns.get("institution")?, columns.unsigned("institutions")?),
        identifier_masked: columns.get("masked")?,
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

/// The query of a page, the most pressing first.
///
/// The keys of the page come from a range of one index: of all cases, or of those of the value with the fewest. What was opened of late are
/// few: they are put in order afterwards. Conditions that look elsewhere are counts, so that no engine makes joins of them
/// and loses the order.
fn with_page<T>(
    filter: &QueueFilter,
    after: Option<(f64, RecordId)>,
    limit: u32,
    ask: impl FnOnce(&str, &[&dyn AsValue]) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let after = after.map(|(rank, id)| (rank, id.0));
    let kind = filter.kind.map(|kind| kind.word().to_owned());
    let scene = filter.scene.map(|scene| scene.word().to_owned());
    let facets = [("institution", &filter.institution), ("kind", &kind), ("scene", &scene)];
    let mut facets = facets.iter().filter_map(|(facet, value)| Some((facet, value.as_ref()?)));
    let mut conditions = Conditions::default();
    conditions.add(standing(filter.state), &[]);
    let table = match facets.next() {
        Some((facet, value)) => {
            conditions.add("k.facet = ? AND k.value = ?", &[facet, value]);
            "case_facet"
        }
        None => TABLE,
    };
    for (facet, value) in facets {
        let text = "(SELECT count(*) FROM case_facet AS x WHERE x.subject_id = k.subject_id AND x.case_id = k.case_id
             AND x.facet = ? AND x.value = ?) = 1";
        conditions.add(text, &[facet, value]);
    }
    match &filter.assignee {
        Some(assignee) if table == TABLE => conditions.add("k.assignee = ?", &[assignee]),
        Some(assignee) => {
            let text =
                "(SELECT count(*) FROM case_desk AS x WHERE x.subject_id = k.subject_id AND x.case_id = k.case_id AND x.assignee = ?) = 1";
            conditions.add(text, &[assignee]);
        }
        None => {}
    }
    if let Some(from) = &filter.opened_from {
        conditions.add("k.opened_at >= ?", &[from]);
    }
    if let Some(before) = &filter.opened_before {
        conditions.add("k.opened_at < ?", &[before]);
    }
    if let Some(reader) = &filter.reader {
        conditions.add(&seeds::not_met_before("k.case_id", "?"), &[reader]);
    }
    if let Some((rank, id)) = &after {
        conditions.add("(k.rank, k.case_id) < (?, ?)", &[rank, id]);
    }
    // The limit is part of the text, of which there are few: a server that is to plan for any limit reads the whole table for its lines.
    // What is calculated is in no index, so that none is taken for its order.
    let by = if filter.opened_from.is_some() { "k.rank + 0" } else { "k.rank" };
    let sql = format!(
        "{SELECT} JOIN (SELECT k.subject_id, k.case_id FROM {table} AS k WHERE {} ORDER BY {by} DESC, k.case_id DESC LIMIT {limit}) AS page
             ON page.subject_id = d.subject_id AND page.case_id = d.case_id
         ORDER BY d.rank DESC, d.case_id DESC",
        conditions.texts.join(" AND ")
    );
    ask(&sql, &conditions.values)
}

/// The lines of a page.
pub(super) fn page(
    connection: &Connection,
    filter: &QueueFilter,
    after: Option<(f64, RecordId)>,
    limit: u32,
) -> Result<Vec<QueueRow>, StoreError> {
    with_page(filter, after, limit, |sql, values| query(connection, sql, values, TABLE, decode))
}

/// The condition of a state; in the words of the partial indexes.
fn standing(state: QueueState) -> &'static str {
    match state {
        QueueState::Working => "k.standing <> 'closed'",
        QueueState::SecondDue => "k.standing = 'second_due'",
        QueueState::In(CaseState::Open) => "k.standing = 'open'",
        QueueState::In(CaseState::Claimed) => "k.standing = 'claimed'",
        // Both words stand for a verdict that nobody waits for.
        QueueState::In(CaseState::Decided | CaseState::SecondReview) => "k.standing = 'decided'",
        QueueState::In(CaseState::Closed) => "k.standing = 'closed'",
    }
}

/// Cases by where they stand, those of a user (?1), and those that were opened since a time (?2).
const COUNTS: &str = "SELECT standing, cases FROM case_count
     UNION ALL SELECT 'mine' AS standing, count(*) AS cases FROM case_desk WHERE assignee = ?1
     UNION ALL SELECT 'today' AS standing, count(*) AS cases FROM real_case WHERE opened_at >= ?2";
const INSTITUTIONS: &str = "SELECT name FROM case_institution ORDER BY name LIMIT ?1";

fn counts(connection: &Connection, user: &str, day_start: TimeMs) -> Result<QueueCounts, StoreError> {
    let decode = |columns: &Columns<'_>| Ok((columns.get::<String>("standing")?, columns.unsigned::<u64>("cases")?));
    let mut counts = QueueCounts::default();
    for (standing, n) in query(connection, COUNTS, params![user, day_start], "case_count", decode)? {
        let count = match standing.as_str() {
            "open" => &mut counts.open,
            "claimed" => &mut counts.claimed,
            "second_due" => &mut counts.second_due,
            "decided" => &mut counts.decided,
            "closed" => &mut counts.closed,
            "mine" => &mut counts.mine,
            "today" => &mut counts.opened_today,
            _ => return Err(StoreError::Corrupt { table: "case_count", field: "standing" }),
        };
        *count = n;
    }
    Ok(counts)
}

/// A page with what stands around it, asked with one wait.
pub(super) fn whole(
    connection: &Connection,
    (filter, after, limit): (&QueueFilter, Option<(f64, RecordId)>, u32),
    (user, day_start): (&str, TimeMs),
    institutions: u32,
) -> Result<QueuePage, StoreError> {
    with_page(filter, after, limit, |sql, values| {
        connection.ahead(&[(sql, values), (COUNTS, params![user, day_start]), (INSTITUTIONS, params![institutions])])?;
        Ok(QueuePage {
            rows: query(connection, sql, values, TABLE, decode)?,
            counts: counts(connection, user, day_start)?,
            institutions: query(connection, INSTITUTIONS, [institutions], "case_institution", |columns| columns.get("name"))?,
        })
    })
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
