//! The C library of the counter: a thin client of the agent's local API, in the pattern till software knows.
//!
//! [`boundary`] is all that is unsafe: pointers, lengths, and no unwinding into the caller. Behind it [`session`] holds what
//! `countersign_init` set up, [`calls`] turns a code into a request, [`client`] sends it over loopback HTTP within its bounds,
//! [`text`] reads and writes the caller's encoding, and [`answer`] is what a call ends with. Not here: any rule of a
//! transaction (the agent's) and any decision (the center's).

mod answer;
pub mod boundary;
mod calls;
mod client;
mod config;
mod session;
mod text;

pub use answer::code;
