//! Leases: issued under the policy in force, and held against what devices answered under them.
//!
//! A device that answered without the center sends its provisional receipt with the capture. Whatever it says, the capture
//! is taken: a patient has gone home with it. What is more than the lease allows is flagged. Not here: the rules
//! (`matcher_core::tampering`).

use std::sync::Arc;

use ed25519_dalek::VerifyingKey;
use matcher_core::{
    Policy, Scene,
    receipt::provisional::{CertifiedDevice, ProvisionalClaims},
    tampering::{self, AnsweredAlone, KnownOfIt, LeaseScene, LeaseTerms, TamperingReason},
};
use prost::Message as _;
use proto::v1::{self, EnvelopeHeader};
use tracing::{info, warn};

use super::{
    admission::Admission,
    flags::{self, Sign},
};
use crate::{
    policy::{Policies, PolicyKey, device::wire_scene},
    store::{
        Device, RequestKey, StoreError, TimeMs,
        leases::{NewLease, Provisional},
    },
};

const HOUR_MS: TimeMs = 3_600_000;

/// Issues leases, and takes provisional receipts.
#[derive(Clone)]
pub struct Leases {
    /// Registry, store and clock.
    pub admission: Admission,
    /// The policy in force.
    pub policies: Arc<Policies>,
    /// Signs leases: the key that signs policies.
    pub key: Arc<PolicyKey>,
    /// Whom receipts are meant for.
    pub audience: String,
}

impl Leases {
    /// Issues a lease to a device; nothing where the policy allows nothing without the center.
    ///
    /// # Errors
    /// When it cannot be recorded: then nobody has it.
    pub async fn issue(&self, device: &Device) -> Result<Option<v1::SignedLease>, StoreError> {
        let (in_force, now) = (self.policies.current(), self.admission.surroundings.now_ms());
        let terms = LeaseTerms { device: device.id.clone(), issued_at: now, scenes: scenes(&in_force.policy, now) };
        if terms.scenes.is_empty() {
            return Ok(None);
        }
        let (serial, policy_version) = (self.admission.surroundings.new_record().to_string(), in_force.policy.version().to_owned());
        let lease = v1::Lease {
            serial: serial.clone(),
            device: device.id.clone(),
            policy_version: policy_version.clone(),
            issued_at_ms: now,
            scenes: terms.scenes.iter().map(wire).collect(),
            audience: self.audience.clone(),
        };
        self.admission.store.put_lease(NewLease { serial, terms, policy_version }).await?;
        info!(device.id, lease.serial, "lease issued");
        Ok(Some(self.key.lease(&lease)))
    }

    /// Takes the provisional receipt that came with a stored capture, given the header of its envelope.
    ///
    /// # Errors
    /// When the store fails; then the capture is to come again.
    pub async fn announced(&self, device: &Device, header: &[u8], compact: &str) -> Result<(), StoreError> {
        let now = self.admission.surroundings.now_ms();
        let Ok(header) = EnvelopeHeader::decode(header) else { return Ok(()) };
        let Some(claims) = self.claims(device, &header, compact) else {
            warn!(device.id, envelope.sequence = header.sequence, "a provisional receipt does not belong to its capture");
            return self.flag(device, TamperingReason::ReceiptAltered, &header.transaction, &header.sequence.to_be_bytes(), now).await;
        };
        let new = Provisional {
            number: claims.number.to_string(),
            request: RequestKey { institution: device.institution.clone(), transaction: claims.transaction, attempt: claims.attempt },
            device: device.id.clone(),
            sequence: claims.sequence,
            lease_serial: claims.lease,
            scene: claims.scene,
            answered_at: claims.issued_at.saturating_mul(1000),
            received_at: now,
            compact: compact.to_owned(),
        };
        let (serial, scene, answered_at) = (new.lease_serial.clone(), new.scene, new.answered_at);
        let Some(beside) = self.admission.store.put_provisional(new).await? else { return Ok(()) };
        let answer = AnsweredAlone { device: &device.id, scene, sequence: header.sequence, at: answered_at };
        let known = KnownOfIt {
            lease: beside.lease.as_ref(),
            answers: beside.answers,
            latest_before: beside.latest_before,
            nothing_waited: beside.nothing_waited,
        };
        for reason in tampering::of_answer(answer, known) {
            // One flag for all that was answered under one lease.
            self.flag(device, reason, &header.transaction, serial.as_bytes(), now).await?;
        }
        Ok(())
    }

    /// What the receipt says, where it is this device's and about this very capture.
    fn claims(&self, device: &Device, header: &EnvelopeHeader, compact: &str) -> Option<ProvisionalClaims> {
        let key = VerifyingKey::from_bytes(&device.public_key).ok()?;
        // The connection shows the certificate; whichever one the receipt brings, the key is what counts.
        let certified = CertifiedDevice { device: device.id.clone(), institution: device.institution.clone(), key };
        let claims = ProvisionalClaims::check(compact, &self.audience, |_| Some(certified)).ok()?;
        let same = claims.sequence == header.sequence
            && claims.transaction == header.transaction
            && claims.attempt == header.attempt
            && claims.capture_sha256 == *header.plaintext_sha256;
        same.then_some(claims)
    }

    async fn flag(
        &self,
        device: &Device,
        reason: TamperingReason,
        transaction: &str,
        episode: &[u8],
        now: TimeMs,
    ) -> Result<(), StoreError> {
        let sign = Sign { reason, institution: &device.institution, device: &device.id, transaction, episode };
        self.admission.raise(flags::tampering(&sign, now)).await
    }
}

/// What a policy allows without the center from now on.
fn scenes(policy: &Policy, now: TimeMs) -> Vec<LeaseScene> {
    let terms = |scene: &Scene| {
        let degraded = &policy.scene(*scene).degraded;
        let until = now.saturating_add(TimeMs::from(degraded.hours_max).saturating_mul(HOUR_MS));
        LeaseScene { scene: *scene, captures_max: degraded.captures_max, until }
    };
    Scene::ALL.iter().map(terms).filter(|terms| terms.captures_max > 0 && terms.until > now).collect()
}

fn wire(terms: &LeaseScene) -> v1::LeaseScene {
    v1::LeaseScene { scene: wire_scene(terms.scene).into(), captures_max: terms.captures_max, until_ms: terms.until }
}
