//! A simulated city: does the desk read the right cases?
//!
//! People visit pharmacies and clinics for some months; some cards are used by others. Scores are drawn from
//! [measured distributions](scores), everything else is an [assumption](assumptions) that is printed. What is
//! tried is the matcher's own [`evidence`](matcher_core::evidence), beside plain thresholding of the same captures at the
//! same desk. It shows whether the method can work under what is assumed, not that it works in a city.

pub mod assumptions;
pub mod captures;
pub mod report;
pub mod run;
pub mod scores;

pub use assumptions::Assumptions;
pub use report::Report;
pub use run::{Outcome, run};
