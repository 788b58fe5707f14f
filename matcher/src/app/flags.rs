//! Flags as records.

use matcher_core::{FlagKind, evidence::operators::Tally, tampering::TamperingReason};
use sha2::{Digest, Sha256};

use crate::store::{Flag, RecordId, TimeMs, Verification};

use super::admission::Request;

/// A flag a verification raises.
pub(super) fn of_verification(kind: FlagKind, id: RecordId, record: &Verification) -> Flag {
    Flag {
        id,
        kind,
        raised_at: record.decided_at,
        verification: Some(record.id),
        institution: record.request.institution.clone(),
        device: record.device.clone(),
        transaction: record.request.transaction.clone(),
        identifier_masked: record.identifier_masked.clone(),
        reason: String::new(),
    }
}

/// A second capture came under a request that has its answer.
pub(super) fn transaction_reused(request: &Request, first: &Verification, now: TimeMs) -> Flag {
    let identifier_masked = first.identifier_masked.clone();
    Flag { verification: Some(first.id), identifier_masked, ..of_envelope(FlagKind::TransactionReused, request, now) }
}

/// A second capture came under a request that is taken by one that came late, answered or not.
pub(super) fn request_taken(request: &Request, verification: RecordId, identifier_masked: &str, now: TimeMs) -> Flag {
    let identifier_masked = identifier_masked.to_owned();
    Flag { verification: Some(verification), identifier_masked, ..of_envelope(FlagKind::TransactionReused, request, now) }
}

/// A device used a sequence number for a second envelope.
pub(super) fn sequence_reused(request: &Request, identifier_masked: &str, now: TimeMs) -> Flag {
    let reason = TamperingReason::SequenceRepeated.word().to_owned();
    Flag { identifier_masked: identifier_masked.to_owned(), reason, ..of_envelope(FlagKind::TamperingSuspected, request, now) }
}

/// What a sign of tampering is about.
pub(super) struct Sign<'a> {
    pub(super) reason: TamperingReason,
    pub(super) institution: &'a str,
    /// Empty where it is about all of the institution's.
    pub(super) device: &'a str,
    /// Empty where it is about none.
    pub(super) transaction: &'a str,
    /// Names the episode: the same reason, device and episode are one flag.
    pub(super) episode: &'a [u8],
}

/// A sign that a counter is tampered with.
pub(super) fn tampering(sign: &Sign<'_>, now: TimeMs) -> Flag {
    let kind = FlagKind::TamperingSuspected;
    let parts = [kind.word().as_bytes(), sign.reason.word().as_bytes(), sign.institution.as_bytes(), sign.device.as_bytes(), sign.episode];
    let parts: Vec<u8> = parts.iter().flat_map(|part| [&(part.len() as u64).to_be_bytes(), *part].concat()).collect();
    Flag {
        id: id_of(&[&parts]),
        kind,
        raised_at: now,
        verification: None,
        institution: sign.institution.to_owned(),
        device: sign.device.to_owned(),
        transaction: sign.transaction.to_owned(),
        identifier_masked: String::new(),
        reason: sign.reason.word().to_owned(),
    }
}

/// An operator or an institution works otherwise than its peers. The same one of a week is one flag; who and how is
/// in the counts it comes from.
pub(super) fn of_pattern(tally: &Tally, now: TimeMs) -> Flag {
    let kind = if tally.who.operator.is_some() { FlagKind::OperatorPattern } else { FlagKind::StorePattern };
    let week = now.div_euclid(7 * 86_400_000).to_be_bytes();
    let operator = tally.who.operator.as_deref().unwrap_or_default();
    let parts = [kind.word(), tally.measure.word(), &tally.who.institution, operator].map(str::as_bytes);
    let parts: Vec<u8> =
        parts.iter().chain(&[week.as_slice()]).flat_map(|part| [&(part.len() as u64).to_be_bytes(), *part].concat()).collect();
    Flag {
        id: id_of(&[&parts]),
        kind,
        raised_at: now,
        verification: None,
        institution: tally.who.institution.clone(),
        device: String::new(),
        transaction: String::new(),
        identifier_masked: String::new(),
        reason: String::new(),
    }
}

/// An id that follows from what a flag is about.
fn id_of(parts: &[&[u8]]) -> RecordId {
    let mut hash = Sha256::new_with_prefix(b"countersign flag\0");
    parts.iter().for_each(|part| hash.update(part));
    let mut id = [0; 16];
    for (to, from) in id.iter_mut().zip(hash.finalize()) {
        *to = from;
    }
    RecordId(id)
}

/// A flag about a refused envelope. Its id follows from the envelope, so that one envelope sent a thousand
/// times is one flag.
fn of_envelope(kind: FlagKind, request: &Request, now: TimeMs) -> Flag {
    Flag {
        id: id_of(&[kind.word().as_bytes(), &request.digest]),
        kind,
        raised_at: now,
        verification: None,
        institution: request.key.institution.clone(),
        device: request.device.id.clone(),
        transaction: request.key.transaction.clone(),
        identifier_masked: String::new(),
        reason: String::new(),
    }
}
