//! The load generator: captures of synthetic people, signed beforehand, sent to a real center as fast or as often as is
//! said, and every answer held against the store afterwards.
//!
//! In an [open](drive::open) run captures are due at [times](arrivals) that are fixed before the clock starts, and latency
//! counts from when a capture was due: a slow answer slows nothing down and hides nothing. A [closed](drive::closed) run
//! asks how many answers so many callers get. The same bytes go to an [empty call](empty) over the same mutual TLS in
//! the same run, so that what the center costs stands beside what the line costs; and to the [plainest] service that checks,
//! opens, seals, signs and writes durably, and does nothing else.

pub mod arrivals;
pub mod center;
pub mod costs;
pub mod drive;
pub mod empty;
pub mod envelopes;
pub mod ledger;
pub mod machine;
pub mod people;
pub mod plainest;
pub mod report;
