//! Known-answer cases.

use super::{Connection, columns::query_one};
use crate::store::{RecordId, StoreError};

/// Whether a case has a known answer.
pub(super) fn is_seed(connection: &Connection, id: RecordId) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM seed_case WHERE case_id = ?1) AS found";
    Ok(query_one(connection, sql, [id.0], "seed_case", |columns| columns.get("found"))?.unwrap_or_default())
}

/// Of a case's id: it shows a user (a parameter) no pair of faces that they have judged in another case. A count, so that no engine
/// makes a join of it.
pub(super) fn not_met_before(case_id: &str, user: &str) -> String {
    format!(
        "(SELECT count(*) FROM seed_case AS s JOIN seed_case AS o ON o.pair_id = s.pair_id AND o.case_id <> s.case_id
             JOIN case_judgement AS j ON j.subject_id = o.subject_id AND j.case_id = o.case_id AND j.actor = {user}
             WHERE s.case_id = {case_id}) = 0"
    )
}
