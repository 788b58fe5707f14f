//! Ways beside the holder's own face: who came in the holder's place, and what operators overrule.
//!
//! Both are asked of the store before a capture is judged and written with its record. Not here: the rules
//! (`matcher_core::proxy`, policies), and how the register is listed ([`crate::proxies`]).

use matcher_core::{Decision, DocumentKind, DocumentNumber, FlagKind, NoDecision, Policy, ProxyRefusal, Slot, proxy};
use serde::{Deserialize, Serialize};

use crate::{
    center::Center,
    store::{
        Flag, StoreError, SubjectId, Verification,
        proxies::{NewProxy, StoredProxy},
    },
    surroundings::Surroundings,
    vault::{RecordContext, Vault},
};

use super::{
    flags,
    judging::Facts,
    verify::{Capture, Proxy},
};

/// What was found about who came in a holder's place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Proxied {
    proxy: [u8; 32],
    holder: [u8; 32],
    day: i32,
    admitted: Result<Slot, ProxyRefusal>,
    face_against_document: bool,
}

impl Proxied {
    /// Why they may not come.
    pub(super) fn refusal(&self) -> Option<ProxyRefusal> {
        self.admitted.err()
    }

    /// What a face is called that there is no chip for.
    pub(super) fn without_chip(&self) -> NoDecision {
        if self.face_against_document { NoDecision::ProxyNotCompared } else { NoDecision::Proxy }
    }

    /// The register's entry; nothing for who was not let through.
    pub(super) fn entry(&self, vault: &Vault, capture: &Capture, record: &Verification) -> Option<NewProxy> {
        let (slot, proxy) = (self.admitted.ok()?, capture.proxy.as_ref()?);
        let leading = record.subject.unwrap_or(SubjectId(record.id.0));
        let (key, wrapped) = vault.new_data_key(leading);
        let entry = Entry::new(proxy, &record.identifier_masked).to_bytes();
        let slot = match slot {
            Slot::Held => None,
            Slot::Next(place) => Some(place),
        };
        let sealed = key.seal(&RecordContext::proxy(leading, record.id), &entry);
        Some(NewProxy { proxy: self.proxy, holder: self.holder, day: self.day, slot, wrapped, sealed })
    }
}

/// Looks up who came in the holder's place, where somebody did.
pub(super) async fn proxied(
    center: &Center,
    capture: &Capture,
    facts: &Facts,
    subject: Option<SubjectId>,
    policy: &Policy,
) -> Result<Option<Proxied>, StoreError> {
    let Some(who) = &capture.proxy else { return Ok(None) };
    let (rule, day) = (policy.scene(facts.scene).proxy, proxy::day_of(facts.captured_at));
    let person = center.lookup.document_hash(&who.document);
    let known = subject.map_or_else(|| facts.identifier.hash.to_vec(), |subject| subject.0.to_vec());
    let holder = center.lookup.holder_of_day(&known, day);
    let request = &facts.request;
    let standing = center.store.proxy_standing(day, person, &request.institution, &request.transaction).await?;
    let admitted = proxy::admit(rule, (&person, &holder), &standing.today, &standing.transaction);
    Ok(Some(Proxied { proxy: person, holder, day, admitted, face_against_document: rule.face_against_document }))
}

/// The flag of an operator who overrules more non-matches in a day than the policy takes for granted.
pub(super) async fn override_flag(
    center: &Center,
    policy: &Policy,
    record: &Verification,
    earlier: &[Decision],
    surroundings: &dyn Surroundings,
) -> Result<Option<Flag>, StoreError> {
    let overrules = record.decision == Decision::NoDecision(NoDecision::DocumentChecked) && earlier.contains(&Decision::NonMatch);
    if !overrules {
        return Ok(None);
    }
    const DAY_MS: i64 = 86_400_000;
    let from = i64::from(proxy::day_of(record.captured_at)) * DAY_MS - 8 * 3_600_000;
    let before = center.store.overrides_of(&record.request.institution, &record.operator, from, from + DAY_MS).await?;
    let max = policy.scene(record.scene).overrides.per_operator_per_day_max;
    Ok((before >= u64::from(max)).then(|| flags::of_verification(FlagKind::OverrideUsed, surroundings.new_record(), record)))
}

/// The first character of a name, and a star for each other.
#[must_use]
pub fn masked_name(name: &str) -> String {
    name.chars().enumerate().map(|(i, c)| if i == 0 { c } else { '*' }).collect()
}

/// What the register says of a proxy, in the form it is sealed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Which document, as a word.
    pub document_kind: String,
    /// Its number.
    pub document_number: String,
    /// The name in it; may be empty.
    pub name: String,
    /// The holder's number, masked.
    pub holder_masked: String,
}

impl Entry {
    fn new(proxy: &Proxy, holder_masked: &str) -> Self {
        Self {
            document_kind: proxy.document.kind().word().to_owned(),
            document_number: proxy.document.value().to_owned(),
            name: proxy.name.clone(),
            holder_masked: holder_masked.to_owned(),
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Opens an entry; nothing where it is not this verification's.
    #[must_use]
    pub fn open(vault: &Vault, stored: &StoredProxy) -> Option<Self> {
        let key = vault.unwrap_data_key(stored.leading, &stored.wrapped).ok()?;
        let bytes = key.open(&RecordContext::proxy(stored.leading, stored.record.id), &stored.sealed).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// The document's number, masked.
    #[must_use]
    pub fn masked(&self) -> String {
        let kind = DocumentKind::from_word(&self.document_kind).unwrap_or(DocumentKind::Other);
        DocumentNumber::new(kind, &self.document_number).map(|number| number.masked()).unwrap_or_default()
    }
}
