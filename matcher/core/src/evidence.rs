//! Evidence: what visits say together, and what the center makes of it.
//!
//! One score proves nothing about anybody. Here scores become log-likelihood ratios ([`Calibration`]), a
//! card's visits are told apart by face ([`clusters`]), their evidence adds up with one day counted once
//! ([`judge_card`]), what is strong enough competes for a desk that reads so many cases a day ([`desk`]),
//! and a case goes its way without anything being overwritten ([`case`]). Beside it: who works the counters
//! otherwise than their peers ([`operators`]), and which matches are drawn for a blind look ([`draws`]).
//! Not here: where visits come from and how their templates are opened (`matcher`).

pub mod calibration;
pub mod card;
pub mod case;
pub mod clusters;
pub mod desk;
pub mod draws;
pub mod file;
pub mod interval;
pub mod operators;

pub use calibration::{Calibration, CalibrationError};
pub use card::{CardFinding, CardRule, CardRuleError, Visit, VisitId, judge_card};
pub use case::{Case, CaseError, CaseEvent, CaseKind, CaseState, CaseStep, CaseVerdict, Opening};
pub use desk::{Candidate, DeskDay, fill_desk};
pub use draws::{Draw, DrawKey, Drawn, MissEstimate, Reviewed, draw, estimate_misses};
pub use file::{EvidenceFile, EvidenceModel};
