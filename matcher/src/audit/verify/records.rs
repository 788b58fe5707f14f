//! Records compared with what their entries cover.
//!
//! A record may outlive what names its person: where the log says that a person was forgotten, and the number is gone,
//! only the rest is compared. Nothing tells whose number a decision without a person was about: for these it is enough
//! that anybody was forgotten.

use matcher_core::{
    AuditAction,
    audit::{EpochId, Fault, Named, StoredEntry},
};
use serde::Deserialize;

use super::VerifyError;
use crate::{
    keys::from_hex,
    store::{
        AuditLog, Flag, RecordId, SubjectId, Verification,
        audit::events::{flag_digest, person_digest, verification_digest},
    },
};

/// What an entry's detail says about the record it covers. Other details are none of these.
#[derive(Debug, Deserialize)]
struct Covers {
    record: String,
    #[serde(default)]
    leads: String,
    #[serde(default)]
    person: String,
}

struct Covered<'a> {
    link: u64,
    id: RecordId,
    object: &'a str,
    covers: Covers,
}

/// Compares the records that these entries cover; says how many there were.
pub(super) async fn compare(store: &dyn AuditLog, epoch: EpochId, entries: &[(u64, &StoredEntry)]) -> Result<u64, VerifyError> {
    let verifications = covered(entries, AuditAction::Verified);
    let keys = verifications.iter().map(|covered| (SubjectId(from_hex(&covered.covers.leads).unwrap_or_default()), covered.id)).collect();
    let found = store.verifications_at(keys).await.map_err(VerifyError::Store)?;
    for (covered, record) in verifications.iter().zip(&found) {
        let forgotten = match record {
            Some(record) if record.identifier_masked.is_empty() && person_digest(record) != covered.covers.person => {
                store.was_forgotten(record.subject).await.map_err(VerifyError::Store)?
            }
            Some(_) | None => false,
        };
        let is_covered = |record: &Verification, covers: &Covers| {
            verification_digest(record) == covers.record && (forgotten || person_digest(record) == covers.person)
        };
        check("verification", epoch, covered, record.as_ref(), is_covered)?;
    }
    let flags = covered(entries, AuditAction::FlagRaised);
    let found = store.flags_at(flags.iter().map(|covered| covered.id).collect()).await.map_err(VerifyError::Store)?;
    for (covered, record) in flags.iter().zip(&found) {
        check("flag", epoch, covered, record.as_ref(), |flag: &Flag, covers| flag_digest(flag) == covers.record)?;
    }
    Ok((verifications.len() + flags.len()) as u64)
}

fn covered<'a>(entries: &[(u64, &'a StoredEntry)], action: AuditAction) -> Vec<Covered<'a>> {
    let covered = |(link, entry): &(u64, &'a StoredEntry)| {
        let content = entry.content.as_ref().filter(|content| content.action == action.word())?;
        let covers = serde_json::from_str(&content.detail).ok()?;
        let id = RecordId(from_hex(&content.object.replace('-', ""))?);
        Some(Covered { link: *link, id, object: &content.object, covers })
    };
    entries.iter().filter_map(covered).collect()
}

fn check<R>(
    what: &'static str,
    epoch: EpochId,
    covered: &Covered<'_>,
    record: Option<&R>,
    is_covered: impl Fn(&R, &Covers) -> bool,
) -> Result<(), VerifyError> {
    let (id, epoch, link) = (covered.object.to_owned(), Named(epoch), covered.link);
    match record {
        Some(record) if is_covered(record, &covered.covers) => Ok(()),
        Some(_) => Err(VerifyError::Fault(Fault::ChangedRecord { what, id, epoch, link })),
        None => Err(VerifyError::Fault(Fault::MissingRecord { what, id, epoch, link })),
    }
}
