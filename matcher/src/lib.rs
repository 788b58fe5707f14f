//! The center: enrol, verify, flag.

pub mod app;
pub mod center;
pub mod durable;
pub mod import;
pub mod listing;
pub mod out;
pub mod store;
pub mod surroundings;
pub mod vault;
