//! The matcher through its public gRPC: real mutual TLS on port 0, real SQLite, envelopes sealed by a
//! device's own key. Templates are synthetic but in `recheck`, so that only it needs networks and pictures.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod batch;
mod cases;
mod console;
mod deferred;
mod devices;
mod dishonest;
mod enrolments;
mod example;
mod fields;
mod forgetting;
mod health;
mod joining;
mod leases;
mod outcomes;
mod overload;
mod policies;
mod policy_command;
mod published;
mod receipt_command;
mod receipts;
mod recheck;
mod references;
mod relays;
mod replays;
mod retention;
mod rotation;
mod shared;
mod support;
mod tampering;
mod ways;
mod webhook;
