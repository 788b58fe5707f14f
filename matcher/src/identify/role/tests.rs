//! The role.
