//! Known-answer cases.

/// Of cases `c`: they are about somebody. What statistics and exports count is joined with this; the view `real_case` is the same.
pub(super) const NOT_A_SEED: &str = "NOT EXISTS (SELECT 1 FROM seed_case AS seed WHERE seed.case_id = c.id)";

/// Of a case's id: it shows a user (a parameter) no pair of faces that they have judged in another case.
pub(super) fn met_before(case_id: &str, user: &str) -> String {
    format!(
        "NOT EXISTS (SELECT 1 FROM seed_case AS s JOIN seed_case AS o ON o.pair_id = s.pair_id AND o.case_id <> s.case_id
             JOIN case_judgement AS j ON j.subject_id = o.subject_id AND j.case_id = o.case_id AND j.actor = {user}
             WHERE s.case_id = {case_id})"
    )
}
