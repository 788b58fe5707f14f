//! What happens at a counter, as values and state machines.
//!
//! Here: [`acquisition`] (frames in, one instruction at a time out, then the best samples or the reason there are
//! none), [`transaction`] (what may happen at a counter from opening to refund), [`degraded`] (what is answered while
//! the line is down), [`line`] (which way to the center is taken), [`request`] (the checked words of a request:
//! transaction, attempt, scene, identifier) and [`moment`] (time, which is always passed in). Not here: cameras,
//! networks, files, clocks.

pub mod acquisition;
pub mod degraded;
pub mod line;
pub mod moment;
pub mod request;
pub mod transaction;

pub use acquisition::{
    Acquisition, AcquisitionFailure, AcquisitionRule, Fingerprint, GoodFrame, Instruction, Observation, Progress, Search, Seen,
};
pub use moment::Moment;
pub use request::{
    Attempt, Consent, DocumentKind, DocumentNumber, FieldError, IdentifierKind, IdentifierNumber, Notice, Operator, PersonName, Region,
    Scene, Settlement, TransactionId,
};
pub use transaction::{Answered, Begun, OpenedBy, State, Told, Transaction, TransactionError, TransactionRule, Way};
