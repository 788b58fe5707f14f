//! The capture agent: one per counter PC.
//!
//! Camera → acquisition (`capture-core`) → models → envelope → [`outbox`] → center, behind a command line and
//! a loopback HTTP API.

pub mod command;
pub mod config;
pub mod durable;
pub mod identity;
pub mod outbox;
