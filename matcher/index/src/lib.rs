//! Searching many templates at once.
//!
//! Not here: where templates come from, what a candidate means, and the files an index is kept in.
