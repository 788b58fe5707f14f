//! How fast the review console answers when the store holds a city: every page that a role may read, beside an empty page of the
//! same run.
//!
//! [`fill`] writes the store in bulk, [`sink`] says how for each engine, [`pages`] makes addresses from the console's own list of
//! routes, [`visit`] reads pages as a browser does. Nobody's face is behind any of it.

pub mod fill;
pub mod pages;
pub mod report;
pub mod run;
pub mod sink;
pub mod visit;
