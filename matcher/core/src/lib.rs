//! What the center decides with: identifiers, policy and bands, decisions and dispositions, flags, receipts, evidence and
//! cases, audit, the review console, and who is served first under overload.
//!
//! Here: rules, without I/O; time, randomness and keys are passed in. Not here: where records live
//! (`matcher::store`), how they are encrypted (`matcher::vault`), how they travel (`proto`), and the
//! comparison itself (`models_core::compare`, shared with agents and the evaluation).

pub mod audit;
pub mod birth;
pub mod console;
pub mod decision;
pub mod deferred;
pub mod device_health;
pub mod drift;
pub mod dry_run;
pub mod evidence;
pub mod figures;
pub mod flag;
pub mod identification;
pub mod identifier;
pub mod overload;
pub mod plan;
pub mod policy;
pub mod proxy;
pub mod receipt;
pub mod recheck;
pub mod reference;
pub mod retention;
pub mod statistics;
pub mod tampering;
mod words;

pub use audit::AuditAction;
pub use birth::{AgeBand, Birth, BirthError};
pub use decision::{
    AcquisitionFailure, Compared, Comparison, Decision, Disposition, Earlier, Evidence, Finding, NoDecision, Reference, ReferenceFacts,
    ReferenceState, Scene, Verdict, Way, decide, judge, told,
};
pub use deferred::{Doubt, JobKind, JobState, RetryRule, UploadRefusal};
pub use device_health::Suspicion;
pub use flag::{FlagKind, flags_for};
pub use identifier::{Identifier, IdentifierError, IdentifierKind, LookupKey, Region};
pub use policy::{AttackRule, Basis, Mode, Policy, PolicyError, ScenePolicy};
pub use proxy::{DocumentKind, DocumentNumber, ProxyRefusal, Slot};
pub use recheck::{RecheckOutcome, RecheckRule};
pub use reference::{Life, PhotoState, REFERENCES_MAX, ReferenceSource};
pub use retention::{RetentionKind, RetentionRule};
