//! Reports: one HTML page for each evaluation, complete in itself.
//!
//! A page holds tables, drawings as inline SVG, and ids of pictures; no picture, no script, nothing from
//! elsewhere. Everything that comes from a file of trials is escaped.

mod attacks;
mod chart;
mod html;
mod identification;
mod verification;

pub use attacks::attack_page;
pub use identification::identification_page;
pub use verification::verification_page;

/// What could not be drawn.
#[derive(Debug, thiserror::Error)]
#[error("could not draw the {chart}: {reason}")]
pub struct DrawError {
    chart: &'static str,
    reason: String,
}
