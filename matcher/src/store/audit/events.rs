//! The entries that the store's own writes append, and the digests by which an entry covers a record.
//!
//! A digest is over the record's values, not over its row: a column that is added later changes nothing. What
//! names the person stands apart, because forgetting a person takes it out of a record that stays.

use matcher_core::{AuditAction, JobState};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::AuditEvent;
use crate::{
    keys::hex,
    store::{
        Device, Enrolled, Flag, MadeBy, NewEnrolment, NewPolicy, RecheckDone, RecordId, SubjectId, TimeMs, Verification,
        batch::{NewJob, Tally},
        deferred::NewDeferred,
        receipts::{ConfirmReceipt, Receipt, ReverseReceipt},
        subjects::{Count, Hold},
    },
};

/// First of a covering digest: which values of a record it is over, and in which order.
const VERSION: &str = "1:";

/// A device was let in, or its certificate renewed.
pub(crate) fn device_issued(device: &Device) -> AuditEvent {
    let detail = json!({
        "institution": device.institution,
        "counter": device.counter,
        "certificate": hex(&device.certificate_sha256),
    });
    event(device.issued_at, AuditAction::DeviceIssued, device.id.clone(), &detail)
}

/// A device was put out.
pub(crate) fn device_revoked(id: &str, at: TimeMs) -> AuditEvent {
    event(at, AuditAction::DeviceRevoked, id.to_owned(), &Value::Null)
}

/// A reference was written.
pub(crate) fn enrolled(new: &NewEnrolment, done: Enrolled) -> AuditEvent {
    let reference = &new.reference;
    let detail = json!({
        "subject": id(reference.subject),
        "model": reference.model,
        "source": reference.source.word(),
        "replaced": done == Enrolled::Replaced,
    });
    event(reference.life.enrolled_at, AuditAction::Enrolled, reference.record.to_string(), &detail)
}

/// A photo and what was made of it were revoked.
pub(crate) fn reference_revoked(subject: SubjectId, photo: RecordId, at: TimeMs) -> AuditEvent {
    event(at, AuditAction::ReferenceRevoked, photo.to_string(), &json!({ "subject": id(subject) }))
}

/// Everything about a person was handed out.
pub(crate) fn subject_exported(subject: SubjectId, at: TimeMs) -> AuditEvent {
    event(at, AuditAction::SubjectExported, id(subject), &Value::Null)
}

/// A person was forgotten, or what is biometric was destroyed because consent was withdrawn.
pub(crate) fn deleted(action: AuditAction, subject: SubjectId, deleted: &[Count], at: TimeMs) -> AuditEvent {
    let counts: serde_json::Map<String, Value> = deleted.iter().map(|(table, rows)| (table.clone(), (*rows).into())).collect();
    event(at, action, id(subject), &json!({ "deleted": counts }))
}

/// References were made again, or older ones retired.
pub(crate) fn references_reextracted(made_by: &MadeBy, made: u64, retired: u64, at: TimeMs) -> AuditEvent {
    let detail = json!({ "recipe": made_by.recipe, "made": made, "retired": retired });
    event(at, AuditAction::ReferencesReextracted, made_by.model.clone(), &detail)
}

/// Retention deleted what was over.
pub(crate) fn retention_run(run: RecordId, counts: &str, at: TimeMs) -> AuditEvent {
    AuditEvent { detail: counts.to_owned(), ..event(at, AuditAction::RetentionRun, run.to_string(), &Value::Null) }
}

/// A hold was placed.
pub(crate) fn hold_placed(subject: SubjectId, hold: &Hold) -> AuditEvent {
    let detail = json!({ "hold": hold.id.to_string(), "until": hold.until });
    AuditEvent { by: hold.placed_by.clone(), ..event(hold.placed_at, AuditAction::HoldPlaced, id(subject), &detail) }
}

/// All holds of a person were lifted.
pub(crate) fn holds_lifted(subject: SubjectId, by: &str, holds: u64, at: TimeMs) -> AuditEvent {
    AuditEvent { by: by.to_owned(), ..event(at, AuditAction::HoldLifted, id(subject), &json!({ "holds": holds })) }
}

/// A verification was decided.
pub(crate) fn verified(record: &Verification) -> AuditEvent {
    let detail = json!({
        "leads": hex(&leading_id(record)),
        "record": verification_digest(record),
        "person": person_digest(record),
    });
    let mut event = event(record.decided_at, AuditAction::Verified, record.id.to_string(), &detail);
    event.by.clone_from(&record.device);
    event
}

/// A capture that came late was stored. What is sealed is covered as it is stored.
pub(crate) fn capture_stored(new: &NewDeferred) -> AuditEvent {
    let mut sealed = Sha256::new();
    for part in [&new.facts, &new.probe.template, &new.probe.sample] {
        sealed.update((part.0.len() as u64).to_le_bytes());
        sealed.update(&part.0);
    }
    let detail = json!({
        "subject": id(new.subject),
        "envelope": hex(&new.digest),
        "sealed": hex(&sealed.finalize()),
        "captured_at": new.captured_at,
        "certificate_then": new.certificate_then,
    });
    let mut event = event(new.received_at, AuditAction::CaptureStored, new.id.to_string(), &detail);
    event.by.clone_from(&new.device);
    event
}

/// A capture that waited was put aside.
pub(crate) fn capture_parked(id: RecordId, reason: &str, at: TimeMs) -> AuditEvent {
    event(at, AuditAction::CaptureParked, id.to_string(), &json!({ "reason": reason }))
}

/// Captures that were put aside are tried again.
pub(crate) fn captures_retried(by: &str, captures: u64, at: TimeMs) -> AuditEvent {
    AuditEvent { by: by.to_owned(), ..event(at, AuditAction::CapturesRetried, String::new(), &json!({ "captures": captures })) }
}

/// A re-comparison was asked for.
pub(crate) fn batch_requested(job: &NewJob) -> AuditEvent {
    let detail = json!({ "kind": job.kind.word(), "since": job.since, "until": job.until, "reason": job.reason });
    let requested = event(job.requested_at, AuditAction::BatchRequested, job.id.to_string(), &detail);
    AuditEvent { by: job.requested_by.clone(), ..requested }
}

/// A re-comparison ended.
pub(crate) fn batch_finished(id: RecordId, state: JobState, tally: Tally, at: TimeMs) -> AuditEvent {
    let detail = json!({
        "state": state.word(),
        "compared": tally.compared,
        "differing": tally.differing,
        "unreadable": tally.unreadable,
    });
    event(at, AuditAction::BatchFinished, id.to_string(), &detail)
}

/// A re-comparison was called off.
pub(crate) fn batch_cancelled(id: RecordId, by: &str, at: TimeMs) -> AuditEvent {
    AuditEvent { by: by.to_owned(), ..event(at, AuditAction::BatchCancelled, id.to_string(), &Value::Null) }
}

/// Chunks of a re-comparison that were put aside are tried again.
pub(crate) fn batch_retried(id: RecordId, by: &str, chunks: u64, at: TimeMs) -> AuditEvent {
    AuditEvent { by: by.to_owned(), ..event(at, AuditAction::BatchRetried, id.to_string(), &json!({ "chunks": chunks })) }
}

/// A flag was raised.
pub(crate) fn flag_raised(flag: &Flag) -> AuditEvent {
    let detail = json!({ "kind": flag.kind.word(), "record": flag_digest(flag) });
    event(flag.raised_at, AuditAction::FlagRaised, flag.id.to_string(), &detail)
}

/// A policy came into force.
pub(crate) fn policy_applied(number: u64, policy: &NewPolicy) -> AuditEvent {
    let detail = json!({
        "version": policy.version,
        "text": hex(&Sha256::digest(policy.text.as_bytes())),
        "reason": policy.reason,
    });
    let mut event = event(policy.applied_at, AuditAction::PolicyApplied, number.to_string(), &detail);
    event.by.clone_from(&policy.applied_by);
    event
}

/// An agent's template was made again.
pub(crate) fn rechecked(done: &RecheckDone) -> AuditEvent {
    let detail = json!({ "outcome": done.outcome.word(), "agreement": done.agreement, "attempt": done.attempt });
    event(done.done_at, AuditAction::Rechecked, done.verification.to_string(), &detail)
}

/// A receipt was issued.
pub(crate) fn receipt_issued(receipt: &Receipt) -> AuditEvent {
    let covered = hex(&Sha256::digest(&receipt.compact));
    let detail = json!({ "verification": receipt.verification.to_string(), "drill": receipt.drill, "receipt": covered });
    let mut event = event(receipt.issued_at, AuditAction::ReceiptIssued, receipt.number.to_string(), &detail);
    event.by.clone_from(&receipt.device);
    event
}

/// A receipt was confirmed by its settlement.
pub(crate) fn receipt_confirmed(confirm: &ConfirmReceipt) -> AuditEvent {
    let detail = json!({
        "settlement": confirm.settlement,
        "amount_fen": confirm.amount_fen,
        "document_checked_by": confirm.document_checked_by,
    });
    let mut event = event(confirm.at, AuditAction::ReceiptConfirmed, confirm.number.to_string(), &detail);
    event.by.clone_from(&confirm.device);
    event
}

/// A receipt, or a settlement on it, was reversed.
pub(crate) fn receipt_reversed(reverse: &ReverseReceipt) -> AuditEvent {
    let detail = json!({ "settlement": reverse.settlement });
    let mut event = event(reverse.at, AuditAction::ReceiptReversed, reverse.number.to_string(), &detail);
    event.by.clone_from(&reverse.device);
    event
}

fn event(at: TimeMs, action: AuditAction, object: String, detail: &Value) -> AuditEvent {
    let detail = if detail.is_null() { String::new() } else { detail.to_string() };
    AuditEvent { at, action, by: String::new(), object, detail }
}

fn id(subject: SubjectId) -> String {
    RecordId(subject.0).to_string()
}

/// What a verification's row is found under.
fn leading_id(record: &Verification) -> [u8; 16] {
    record.subject.map_or(record.id.0, |subject| subject.0)
}

/// Covers a verification, its person apart.
pub(crate) fn verification_digest(record: &Verification) -> String {
    let mut covered = Covered::new("verification");
    covered.bytes(&record.id.0).text(&record.request.institution).text(&record.request.transaction);
    covered.number(record.request.attempt.into()).bytes(&record.request_digest).text(&record.device).text(&record.counter);
    covered.bytes(&record.sequence.to_le_bytes()).text(record.scene.word()).text(&record.operator).text(&record.notice);
    covered.text(&record.consent).number(record.captured_at).number(record.decided_at).text(record.decision.policy_key());
    covered.number(i64::try_from(record.reasons.len()).unwrap_or(i64::MAX));
    for reason in &record.reasons {
        covered.text(reason);
    }
    covered.text(record.disposition.word());
    covered.single(record.score).single(record.match_threshold).single(record.non_match_threshold).text(&record.model);
    covered.text(&record.recipe).single(record.live).text(&record.policy_version).text(record.mode.word());
    covered.done()
}

/// Covers what names the person of a verification.
pub(crate) fn person_digest(record: &Verification) -> String {
    let mut covered = Covered::new("verification person");
    covered.bytes(&record.id.0).bytes(&leading_id(record)).number(record.subject.is_some().into());
    covered.text(record.identifier.kind.word()).text(&record.identifier.region).bytes(&record.identifier.hash);
    covered.text(&record.identifier_masked);
    covered.done()
}

/// Covers a flag.
pub(crate) fn flag_digest(flag: &Flag) -> String {
    let mut covered = Covered::new("flag");
    covered.bytes(&flag.id.0).text(flag.kind.word()).number(flag.raised_at);
    covered.bytes(flag.verification.as_ref().map_or(&[][..], |id| &id.0));
    covered.text(&flag.institution).text(&flag.device).text(&flag.transaction);
    if !flag.reason.is_empty() {
        covered.text(&flag.reason);
    }
    covered.done()
}

/// Hashes values one after another, each so that no two lists have the same bytes.
struct Covered(Sha256);

impl Covered {
    fn new(what: &str) -> Self {
        let mut covered = Self(Sha256::new());
        covered.text(what);
        covered
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    fn number(&mut self, number: i64) -> &mut Self {
        self.bytes(&number.to_le_bytes())
    }

    fn single(&mut self, number: Option<f32>) -> &mut Self {
        match number {
            Some(number) => self.bytes(&number.to_le_bytes()),
            None => self.bytes(&[]),
        }
    }

    fn done(self) -> String {
        format!("{VERSION}{}", hex(&self.0.finalize()))
    }
}
