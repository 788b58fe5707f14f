//! The line to the center: what waits for it, and the ways over it.
//!
//! [`spool`] keeps sealed envelopes until the center has them; [`client`] makes calls, each over the endpoint that
//! answers ([`endpoints`]); [`forwarder`] brings what waited. Nothing here captures, seals or opens: envelopes come in
//! sealed, and whoever carries other people's envelopes (a relay) uses the same module without a device's key. Not here:
//! what an answer means.

pub mod client;
pub mod endpoints;
pub mod forwarder;
pub mod spool;
