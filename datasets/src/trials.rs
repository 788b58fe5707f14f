//! Files that say what is to be compared: pairs, labels of presentations, galleries and probes, captures.
//!
//! Every reader checks the whole file before anything is processed. A malformed file is an error that names
//! file, line and column; so is a picture that is not there. A picture that is there and cannot be used is
//! none: that is a failure to acquire, counted by the evaluation.

mod captures;
mod gallery;
mod labels;
mod pairs;
mod subjects;
mod table;

pub use captures::{Capture, Reference, Stock, read_stock};
pub use gallery::{GalleryEntry, Probe, SearchTrials, read_searches};
pub use labels::{Presentation, Presentations, read_labels};
pub use pairs::{Pairs, Trial, read_pairs};
pub use subjects::{SubjectSource, name_of};
pub use table::{Pictures, TrialsError};
