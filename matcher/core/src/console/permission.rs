//! Who may do what: one table of roles and actions.
//!
//! Every page and picture of the console names its [`Action`]; a role that is not in the action's row is refused. Not
//! here: which case somebody may look at, which follows from the case (`matcher::console`).

use crate::words::words;

words! {
    /// What somebody is to the console.
    Role {
        /// Works on cases.
        Reviewer = "reviewer",
        /// Works on cases, opens them again, and sees how reviewers judge, what drifts, and what another policy would do.
        Supervisor = "supervisor",
        /// Sees who looked at what, and whether the log is whole; no face.
        Auditor = "auditor",
        /// Lets people in and out; no case.
        Administrator = "administrator",
        /// Answers for one institution; no face.
        StoreManager = "store_manager",
    }
}

words! {
    /// What can be done.
    Action {
        /// What needs no sign-in: the form itself, style and script.
        Anyone = "anyone",
        /// One's own password, second factor and sign-out.
        Oneself = "oneself",
        /// The queue and its counts.
        SeeQueue = "see_queue",
        /// Find cases by a card's number, a transaction or a code.
        Search = "search",
        /// See a case.
        SeeCase = "see_case",
        /// Claim, judge, decide, note.
        WorkOnCase = "work_on_case",
        /// See a face of a case that one works on.
        SeeFace = "see_face",
        /// Ask a store, write down a complaint and its answer, print the slip.
        HearParties = "hear_parties",
        /// Close a case.
        CloseCase = "close_case",
        /// Open a case again.
        ReopenCase = "reopen_case",
        /// See what one's institution is asked, and answer.
        AnswerForStore = "answer_for_store",
        /// See who looked at which face.
        SeeLooks = "see_looks",
        /// Have the audit log checked.
        CheckLog = "check_log",
        /// See how reviewers judge.
        SeeReviewers = "see_reviewers",
        /// See figures of days, what drifts, and institutions beside their peers.
        SeeFigures = "see_figures",
        /// Say that a drifted state is the new one.
        AcceptDrift = "accept_drift",
        /// See the policies that were applied.
        SeePolicies = "see_policies",
        /// Try a policy on recorded comparisons; nothing is applied.
        TryPolicy = "try_policy",
        /// Search a face of a case that one works on among other people's.
        SearchFaces = "search_faces",
        /// Take figures and records out as tables, without faces, numbers masked.
        ExportTables = "export_tables",
        /// Make a report of a case, without faces.
        ReportCase = "report_case",
        /// See which pairs of faces have a known answer.
        SeeSeeds = "see_seeds",
        /// Add, change and disable users.
        ManageUsers = "manage_users",
    }
}

/// Whether somebody may do something; `None` is somebody who has not signed in.
#[must_use]
pub fn permits(role: Option<Role>, action: Action) -> bool {
    use Role::{Administrator, Auditor, Reviewer, StoreManager, Supervisor};
    let roles: &[Role] = match action {
        Action::Anyone => return true,
        Action::Oneself => Role::ALL,
        Action::SeeQueue
        | Action::Search
        | Action::SeeCase
        | Action::WorkOnCase
        | Action::SeeFace
        | Action::HearParties
        | Action::CloseCase => &[Reviewer, Supervisor],
        Action::ReopenCase | Action::AcceptDrift | Action::TryPolicy | Action::ReportCase => &[Supervisor],
        Action::AnswerForStore => &[StoreManager],
        Action::SeeLooks | Action::CheckLog => &[Auditor],
        Action::SeeReviewers | Action::SeeFigures | Action::SeePolicies | Action::ExportTables => &[Supervisor, Auditor],
        Action::SearchFaces => &[Reviewer, Supervisor],
        Action::SeeSeeds => &[Auditor, Administrator],
        Action::ManageUsers => &[Administrator],
    };
    role.is_some_and(|role| roles.contains(&role))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a role may do, beside what everybody who signed in may.
    #[track_caller]
    fn check(role: Option<Role>, expected: &[Action]) {
        let everybody = |action: &Action| matches!(action, Action::Anyone | Action::Oneself);
        let may: Vec<Action> = Action::ALL.iter().copied().filter(|action| permits(role, *action) && !everybody(action)).collect();
        assert_eq!(may, expected, "{role:?}");
        assert_eq!((permits(role, Action::Anyone), permits(role, Action::Oneself)), (true, role.is_some()));
    }

    #[test]
    fn the_table_is_this_one() {
        use Action::{
            AcceptDrift, AnswerForStore, CheckLog, CloseCase, ExportTables, HearParties, ManageUsers, ReopenCase, ReportCase, Search,
            SearchFaces, SeeCase, SeeFace, SeeFigures, SeeLooks, SeePolicies, SeeQueue, SeeReviewers, SeeSeeds, TryPolicy, WorkOnCase,
        };
        check(None, &[]);
        check(Some(Role::Reviewer), &[SeeQueue, Search, SeeCase, WorkOnCase, SeeFace, HearParties, CloseCase, SearchFaces]);
        let cases = [SeeQueue, Search, SeeCase, WorkOnCase, SeeFace, HearParties, CloseCase, ReopenCase, SeeReviewers];
        let figures = [SeeFigures, AcceptDrift, SeePolicies, TryPolicy, SearchFaces, ExportTables, ReportCase];
        check(Some(Role::Supervisor), &[cases.as_slice(), &figures].concat());
        check(Some(Role::Auditor), &[SeeLooks, CheckLog, SeeReviewers, SeeFigures, SeePolicies, ExportTables, SeeSeeds]);
        check(Some(Role::Administrator), &[SeeSeeds, ManageUsers]);
        check(Some(Role::StoreManager), &[AnswerForStore]);
    }
}
