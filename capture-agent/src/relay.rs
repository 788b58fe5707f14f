//! The relay of a front-end server that stands in two networks: counters reach it, and it reaches the center.
//!
//! To a counter the relay is one more endpoint: the same services by mutual TLS, the counter's certificate checked against
//! the center's authority. Each call goes on to the center over the line that answers, under the relay's own certificate and
//! naming the counter's ([`carrier`]); the center asks its registry about both. An envelope is checked for form, size, device
//! and signature with the key in the counter's certificate, which the center's authority signed: no list of keys is needed,
//! and none can be out of date. What cannot go on at once is kept, sealed as it came ([`store`]), and forwarded later
//! ([`forwarding`]). A counter deletes nothing before it has the center's signed acknowledgement, which the relay hands back
//! when it has one; by itself it acknowledges nothing. Without a line a live call is refused at once, and the counter goes on
//! under its lease as with any dead line.
//!
//! [`counters`] knows how counters do, [`page`] shows it, [`listener`] takes connections. Not here: opening envelopes (the
//! relay has no key for that), and who is revoked (the center says, on each call).

pub mod carrier;
pub mod config;
pub mod counters;
pub mod forwarding;
pub mod listener;
pub mod page;
pub mod peer;
pub mod serve;
pub mod store;
pub mod upload;
