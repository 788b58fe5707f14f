//! Audit: what happened at the center, in an order that cannot be changed unnoticed.
//!
//! Here: the closed words of what can happen, the [chain] that entries are put in, the [checkpoint]s that sign
//! its heads, and the [check] of a stored chain against them. Everything is pure: salts, times, keys and lines
//! come in and go out. Not here: where entries are kept (`matcher::store`) and checkpoints (`matcher::audit`).

use crate::decision::words;

pub mod chain;
pub mod check;
pub mod checkpoint;
pub mod fault;
pub mod history;

pub use chain::{EntryContent, EpochId, EpochOpening, Hash, Head, Salt};
pub use check::{EpochCheck, StoredContent, StoredEntry, StoredLink, all_there};
pub use checkpoint::{Checkpoint, CheckpointError};
pub use fault::{Fault, Named};
pub use history::History;

words! {
    /// What happened.
    AuditAction {
        /// A device was let in, or its certificate renewed.
        DeviceIssued = "device_issued",
        /// A code was handed out that a device may join with.
        DeviceInvited = "device_invited",
        /// A code was tried wrongly, or after its time.
        InvitationTried = "invitation_tried",
        /// A device was put out.
        DeviceRevoked = "device_revoked",
        /// A reference was written.
        Enrolled = "enrolled",
        /// A reference was withdrawn without another in its place.
        ReferenceRevoked = "reference_revoked",
        /// A verification was decided.
        Verified = "verified",
        /// A flag was raised.
        FlagRaised = "flag_raised",
        /// An agent's template was made again from its sample.
        Rechecked = "rechecked",
        /// Somebody looked at a face.
        FaceViewed = "face_viewed",
        /// Somebody searched for a face among several cards.
        FaceSearched = "face_searched",
        /// A policy came into force.
        PolicyApplied = "policy_applied",
        /// The policy's mode changed.
        ModeChanged = "mode_changed",
        /// A receipt was issued.
        ReceiptIssued = "receipt_issued",
        /// A receipt was confirmed by its settlement.
        ReceiptConfirmed = "receipt_confirmed",
        /// A receipt was reversed.
        ReceiptReversed = "receipt_reversed",
        /// A case was opened.
        CaseOpened = "case_opened",
        /// A case was claimed by somebody.
        CaseClaimed = "case_claimed",
        /// A case was decided.
        CaseDecided = "case_decided",
        /// A case was closed.
        CaseClosed = "case_closed",
        /// A case was opened again.
        CaseReopened = "case_reopened",
        /// Somebody judged a case's faces before anything else was shown.
        CaseJudged = "case_judged",
        /// Something was said in a case: a note, a store's reply, a complaint.
        CaseHeard = "case_heard",
        /// Somebody looked for cases by a number, a transaction or a code.
        CaseSearched = "case_searched",
        /// Somebody said that a drifted state is the new one.
        DriftAccepted = "drift_accepted",
        /// Figures or records were handed out as a table.
        TableExported = "table_exported",
        /// A case was handed out as a report.
        CaseReported = "case_reported",
        /// A policy was tried on recorded comparisons; nothing was applied.
        PolicyTried = "policy_tried",
        /// What was told to the center's own systems is to be told again.
        WebhookReplayed = "webhook_replayed",
        /// Pairs of faces with a known answer were added.
        SeedsAdded = "seeds_added",
        /// A pair of faces with a known answer is shown to nobody any more.
        SeedRetired = "seed_retired",
        /// Somebody signed in to the console.
        SignedIn = "signed_in",
        /// A sign-in was refused.
        SignInRefused = "sign_in_refused",
        /// A user of the console was added or changed.
        UserChanged = "user_changed",
        /// A blind draw was judged.
        DrawJudged = "draw_judged",
        /// Everything about a person was handed out.
        SubjectExported = "subject_exported",
        /// A person was forgotten.
        SubjectForgotten = "subject_forgotten",
        /// A consent was withdrawn.
        ConsentWithdrawn = "consent_withdrawn",
        /// A legal hold was placed.
        HoldPlaced = "hold_placed",
        /// A legal hold was lifted.
        HoldLifted = "hold_lifted",
        /// Retention deleted what its time was over for.
        RetentionRun = "retention_run",
        /// References were made again under another model or recipe.
        ReferencesReextracted = "references_reextracted",
        /// The model in use was switched, or switched back.
        ModelSwitched = "model_switched",
        /// A key was rotated, or an older one dropped.
        KeyRotated = "key_rotated",
        /// Keys were written to a backup, or put back from one.
        KeysBackedUp = "keys_backed_up",
        /// The store was copied.
        StoreBackedUp = "store_backed_up",
        /// A capture that came late was stored, to be compared.
        CaptureStored = "capture_stored",
        /// A capture that came late was put aside: it could not be compared as often as is tried.
        CaptureParked = "capture_parked",
        /// Captures that were put aside were to be tried again.
        CapturesRetried = "captures_retried",
        /// A re-comparison of many captures was asked for.
        BatchRequested = "batch_requested",
        /// A re-comparison ended.
        BatchFinished = "batch_finished",
        /// A re-comparison was called off.
        BatchCancelled = "batch_cancelled",
        /// Chunks of a re-comparison that were put aside were to be tried again.
        BatchRetried = "batch_retried",
        /// All records were copied into another store.
        StoreCopied = "store_copied",
        /// The register of proxies was handed out.
        ProxiesExported = "proxies_exported",
        /// The audit log itself was handed out.
        AuditExported = "audit_exported",
    }
}
