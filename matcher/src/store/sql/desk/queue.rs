//! Pages of the queue, by keyset: a page costs the same however many cases stand before it.

use matcher_core::evidence::{CaseKind, CaseState};

use super::{
    super::{
        Connection,
        columns::{Columns, query, query_one},
        params, seeds,
        value::AsValue,
    },
    TABLE,
};
use crate::store::{
    RecordId, StoreError, SubjectId, TimeMs,
    desk::{QueueCounts, QueueFilter, QueueRow, QueueState},
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

/// Where the rows of a page come from, so that they are a range of one index.
enum Driver {
    /// All cases, by rank.
    Rank,
    /// Those of one value, by rank.
    Facet,
    /// Those that were opened of late, of which there are few: they are put in order afterwards.
    Opening,
}

/// A page, the most pressing first.
pub(super) fn page(
    connection: &Connection,
    filter: &QueueFilter,
    after: Option<(f64, RecordId)>,
    limit: u32,
) -> Result<Vec<QueueRow>, StoreError> {
    let after = after.map(|(rank, id)| (rank, id.0));
    let kind = filter.kind.map(|kind| kind.word().to_owned());
    let scene = filter.scene.map(|scene| scene.word().to_owned());
    // The one with the fewest cases first.
    let facets = [("institution", &filter.institution), ("kind", &kind), ("scene", &scene)];
    let mut facets = facets.iter().filter_map(|(facet, value)| Some((facet, value.as_ref()?)));
    let mut conditions = Conditions::default();
    let driver = match (&filter.opened_from, &filter.institution) {
        (Some(_), None) => Driver::Opening,
        _ => match facets.next() {
            Some((facet, value)) => {
                conditions.add("k.facet = ? AND k.value = ?", &[facet, value]);
                Driver::Facet
            }
            None => Driver::Rank,
        },
    };
    let of = if matches!(driver, Driver::Facet) { "k" } else { "d" };
    conditions.add(&format!("{of}.{}", standing(filter.state)), &[]);
    for (facet, value) in facets {
        let text = "EXISTS (SELECT 1 FROM case_facet AS x WHERE x.subject_id = d.subject_id AND x.case_id = d.case_id
             AND x.facet = ? AND x.value = ?)";
        conditions.add(text, &[facet, value]);
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
    if let Some(reader) = &filter.reader {
        conditions.add(&seeds::met_before("d.case_id", "?"), &[reader]);
    }
    if let Some((rank, id)) = &after {
        conditions.add(&format!("({of}.rank, {of}.case_id) < (?, ?)"), &[rank, id]);
    }
    conditions.add("?", &[&limit]);
    let limit = conditions.texts.pop().unwrap_or_default();
    let (join, order) = match driver {
        Driver::Rank => ("", "d.rank DESC, d.case_id DESC"),
        Driver::Facet => {
            (" JOIN case_facet AS k ON k.subject_id = d.subject_id AND k.case_id = d.case_id", "k.rank DESC, k.case_id DESC")
        }
        // What is calculated is in no index, so that none is taken for its order.
        Driver::Opening => ("", "d.rank + 0 DESC, d.case_id DESC"),
    };
    let sql = format!("{SELECT}{join} WHERE {} ORDER BY {order} LIMIT {limit}", conditions.texts.join(" AND "));
    query(connection, &sql, conditions.values.as_slice(), TABLE, decode)
}

/// The condition of a state; in the words of the partial indexes.
fn standing(state: QueueState) -> String {
    match state {
        QueueState::Working => "standing <> 'closed'".to_owned(),
        QueueState::SecondDue => "standing = 'second_due'".to_owned(),
        // Both words stand for a verdict that nobody waits for.
        QueueState::In(CaseState::Decided | CaseState::SecondReview) => "standing = 'decided'".to_owned(),
        QueueState::In(state) => format!("standing = '{}'", state.word()),
    }
}

/// How many cases stand where.
pub(super) fn counts(connection: &Connection, user: &str, day_start: TimeMs) -> Result<QueueCounts, StoreError> {
    let sql = "SELECT standing, cases FROM case_count";
    let decode = |columns: &Columns<'_>| Ok((columns.get::<String>("standing")?, columns.unsigned::<u64>("cases")?));
    let mut counts = QueueCounts::default();
    for (standing, n) in query(connection, sql, (), "case_count", decode)? {
        let count = match standing.as_str() {
            "open" => &mut counts.open,
            "claimed" => &mut counts.claimed,
            "second_due" => &mut counts.second_due,
            "decided" => &mut counts.decided,
            "closed" => &mut counts.closed,
            _ => return Err(StoreError::Corrupt { table: "case_count", field: "standing" }),
        };
        *count = n;
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
    let sql = "WITH RECURSIVE step (name) AS (
             SELECT min(value) FROM case_facet WHERE facet = 'institution'
             UNION ALL
             SELECT (SELECT min(f.value) FROM case_facet AS f WHERE f.facet = 'institution' AND f.value > step.name) FROM step
             WHERE step.name IS NOT NULL)
         SELECT name FROM step WHERE name IS NOT NULL LIMIT ?1";
    query(connection, sql, [limit], "case_facet", |columns| columns.get("name"))
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
