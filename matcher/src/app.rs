//! Use cases: what the center does for those who call it.
//!
//! Between the fronts (`crate::grpc`, commands) and the ports (`crate::store`); rules are in `matcher-core`.
//! Nothing here knows the wire, apart from the envelope, whose three states are the protocol itself.

pub mod accounts;
pub mod admission;
pub mod batch;
pub mod callers;
pub mod cases;
pub mod coverage;
pub mod deferred;
pub mod enrol;
mod flags;
pub mod freshness;
pub mod health;
pub mod joining;
mod judging;
pub mod leases;
pub mod person;
pub mod receipts;
pub mod recheck;
pub mod recompare;
pub mod reextract;
pub mod retention;
pub mod review;
pub mod sample;
pub mod seeds;
pub mod subjects;
pub mod supervision;
pub mod tampering;
pub mod verify;
pub mod ways;
pub mod webhook;
