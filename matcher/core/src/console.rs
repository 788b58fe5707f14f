//! The review console's rules: who may do what, how sign-in is slowed down, how cases are ordered, judged, reviewed a
//! second time and heard, and what is said about reviewers.
//!
//! Everything is pure: times, draws and counts come in. Not here: pages, sessions and passwords (`matcher::console`), and
//! the way of a case (`crate::evidence::case`).

pub mod account;
pub mod code;
pub mod figures;
pub mod hearing;
pub mod judgement;
pub mod permission;
pub mod rank;
pub mod second;
pub mod seeds;
pub mod told;

pub use account::{LockRule, PasswordError, SessionRule, check_name, check_password};
pub use code::CaseCode;
pub use figures::{ReviewerFigures, SHOWN_FROM, SeedFigures, shown_share};
pub use hearing::{Hearing, HearingError, Statement, StatementKind};
pub use judgement::{Judgement, JudgementError};
pub use permission::{Action, Role, permits};
pub use rank::rank;
pub use second::{SecondLook, SecondLookError};
pub use seeds::{DonorScore, choose_pair};
pub use told::{Told, told_after};
