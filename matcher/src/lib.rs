//! The center: enrol, verify, flag.

pub mod durable;
pub mod store;
pub mod surroundings;
