//! The form of receipts, as both sides need it: centers sign receipts, counters sign provisional ones.
//!
//! Here: the [`number`] people read out, its [`short`] form for narrow fields, compact [`jws`], and the form of a [`provisional`] receipt. Not here: what a
//! receipt is worth, and every check of it (`matcher-core`).

pub mod jws;
pub mod number;
pub mod provisional;
pub mod short;
