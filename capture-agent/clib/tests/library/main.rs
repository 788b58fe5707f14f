//! The C library as programs meet it: through its functions, against the simulator.
//!
//! [`simulator`] runs it, [`built`] compiles programs against library and header. [`header`]: the committed one is what the code
//! says. [`examples`], [`soak`] (many calls, and under valgrind), [`races`] (under helgrind), [`guide`] (every snippet of the
//! integration guide), [`simulated`] (what the simulator does).
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod built;
mod examples;
mod guide;
mod header;
mod races;
mod simulated;
mod simulator;
mod soak;
