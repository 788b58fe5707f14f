//! Flags as records.

use matcher_core::FlagKind;
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
    }
}

/// A second capture came under a request that has its answer.
pub(super) fn transaction_reused(request: &Request, first: &Verification, now: TimeMs) -> Flag {
    let identifier_masked = first.identifier_masked.clone();
    Flag { verification: Some(first.id), identifier_masked, ..of_envelope(FlagKind::TransactionReused, request, now) }
}

/// A device used a sequence number for a second envelope.
pub(super) fn sequence_reused(request: &Request, identifier_masked: &str, now: TimeMs) -> Flag {
    Flag { identifier_masked: identifier_masked.to_owned(), ..of_envelope(FlagKind::TamperingSuspected, request, now) }
}

/// A flag about a refused envelope. Its id follows from the envelope, so that one envelope sent a thousand
/// times is one flag.
fn of_envelope(kind: FlagKind, request: &Request, now: TimeMs) -> Flag {
    let mut hash = Sha256::new_with_prefix(b"countersign flag\0");
    hash.update(kind.word().as_bytes());
    hash.update(request.digest);
    let mut id = [0; 16];
    for (to, from) in id.iter_mut().zip(hash.finalize()) {
        *to = from;
    }
    Flag {
        id: RecordId(id),
        kind,
        raised_at: now,
        verification: None,
        institution: request.key.institution.clone(),
        device: request.device.id.clone(),
        transaction: request.key.transaction.clone(),
        identifier_masked: String::new(),
    }
}
