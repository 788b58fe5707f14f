//! How fast the review console answers when the store holds a city: every page that a role may read, beside an empty page of the
//! same run.
//!
//! The empty page is one of the console's own, with all that every page has and nothing else ([`pages::empty`]). What writes before it answers
//! (pictures and searches are in the audit log first, durably) is held against it all the same. [`apart`] asks whether time tells
//! a known-answer case from a real one.
//!
//! [`fill`] writes the store in bulk, [`sink`] says how for each engine, [`pages`] makes addresses from the console's own list of
//! routes, [`visit`] reads pages as a browser does. Nobody's face is behind any of it.

pub mod apart;
pub mod fill;
pub mod pages;
pub mod report;
pub mod run;
pub mod sink;
pub mod visit;
