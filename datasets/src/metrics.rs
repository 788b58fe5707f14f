//! The arithmetic of an evaluation, after ISO/IEC 19795-1 and ISO/IEC 30107-3: pure functions of scores.
//!
//! The conventions, once for all: a comparison is a match when its score is **at or above** the threshold.
//! The threshold for a false match rate is the smallest one whose observed rate does not exceed the target;
//! scores that tie with the first one to be kept out are kept out with it. Rates are shares of executed
//! comparisons. Intervals resample subjects, not comparisons: comparisons of one person are not independent.
//!
//! Not here: pictures, files and what the figures are called in a report.

mod bootstrap;
mod eer;
mod folds;
mod rate;
mod scores;
mod separation;

pub use bootstrap::{Bootstrap, Interval};
pub use eer::equal_error_rate;
pub use folds::{FoldTrial, Folds, accuracy_by_folds};
pub use rate::{Rate, combined_false_accept, combined_false_reject, per_comparison_fmr, per_transaction_fmr};
pub use scores::{Comparison, LOWEST, Ranked, Scores};
pub use separation::separation;

/// Errors that a rate must rest on before it is called resolved (the "rule of 30").
pub const RESOLVED_ERRORS: u64 = 30;
