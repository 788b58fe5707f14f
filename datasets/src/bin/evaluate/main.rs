//! The `evaluate` command.
fn main() {}
