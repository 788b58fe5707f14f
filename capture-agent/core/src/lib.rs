//! What happens at a counter, as values and state machines.
//!
//! Here: [`acquisition`] (frames in, one instruction at a time out, then a face or the reason there is
//! none), [`request`] (the checked words of a request: transaction, attempt, scene, identifier) and
//! [`moment`] (time, which is always passed in). Not here: cameras, networks, files, clocks.

pub mod acquisition;
pub mod moment;
pub mod request;

pub use acquisition::{Acquired, Acquisition, AcquisitionFailure, AcquisitionRule, Fingerprint, Instruction, Observation, Progress};
pub use moment::Moment;
pub use request::{Attempt, FieldError, IdentifierKind, IdentifierNumber, Notice, Operator, Region, Scene, TransactionId};
