//! Policies at work: the one in force, read from the store and checked, and the key that signs them.
//!
//! A serving process holds the public half only as long as it needs it: policies are signed when they are applied
//! (`matcher policy apply`), and a text that was changed in the database afterwards is refused. Not here: what a policy
//! says (`matcher_core::policy`), and what devices are told of it ([`device`]).

use std::{
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};

use ed25519_dalek::{SigningKey, VerifyingKey};
use matcher_core::{
    Policy, PolicyError,
    policy::signature::{Part, holds, key_id, sign},
};
use thiserror::Error;
use tracing::{info, warn};

use crate::{
    keys::{KeyError, load_signing},
    store::{AppliedPolicy, NewPolicy, Store, StoreError, TimeMs},
};

pub mod command;
pub mod device;
pub mod dry_run;
pub mod history;

/// The policy in force cannot be had.
#[derive(Debug, Error)]
pub enum InForceError {
    /// None was ever applied.
    #[error("no policy is in force; `matcher policy apply FILE` applies one")]
    None,
    /// Its text or its form for devices is not what was signed.
    #[error("policy {version} (number {number}) in the store does not carry the signature of this center's policy key")]
    Signature {
        /// Its version.
        version: String,
        /// Its number.
        number: u64,
    },
    /// It is not in order for this program.
    #[error(transparent)]
    Policy(PolicyError),
    /// The store cannot be asked.
    #[error("the policy in force could not be read")]
    Store(#[source] StoreError),
}

/// Signs policies.
pub struct PolicyKey(SigningKey);

impl std::fmt::Debug for PolicyKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PolicyKey({})", key_id(&self.0.verifying_key()))
    }
}

impl PolicyKey {
    /// Reads the key of a file.
    ///
    /// # Errors
    /// When the file cannot be read or holds something else.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        load_signing(path).map(Self)
    }

    /// The public half, that devices and serving processes check with.
    #[must_use]
    pub fn public(&self) -> VerifyingKey {
        self.0.verifying_key()
    }

    /// Signs what became of an envelope that came late: devices have this key's public half.
    #[must_use]
    pub fn acknowledge(&self, acknowledgement: &proto::v1::Acknowledgement) -> proto::v1::SignedAcknowledgement {
        proto::acknowledgement::sign(acknowledgement, &self.0)
    }

    /// Signs a lease.
    #[must_use]
    pub fn lease(&self, lease: &proto::v1::Lease) -> proto::v1::SignedLease {
        proto::lease::sign(lease, &self.0)
    }

    /// Signs the answer to a health report with this clock.
    #[must_use]
    pub fn brief(&self, answer: proto::v1::ReportHealthResponse, device_clock_ms: i64) -> proto::v1::ReportHealthResponse {
        proto::briefing::sign(answer, device_clock_ms, &self.0)
    }

    /// A checked policy, signed, to be applied.
    #[must_use]
    pub fn sign(&self, policy: &Policy, text: &str, applied_at: TimeMs, applied_by: &str, reason: &str) -> NewPolicy {
        let device_policy = device::encode(policy, applied_at);
        NewPolicy {
            version: policy.version().to_owned(),
            text: text.to_owned(),
            text_signature: sign(&self.0, Part::Text, text.as_bytes()),
            device_signature: sign(&self.0, Part::Device, &device_policy),
            device_policy,
            key_id: key_id(&self.public()),
            applied_at,
            applied_by: applied_by.to_owned(),
            reason: reason.to_owned(),
        }
    }
}

/// Whether both signatures of an applied policy hold.
#[must_use]
pub fn signatures_hold(key: &VerifyingKey, policy: &NewPolicy) -> bool {
    holds(key, Part::Text, policy.text.as_bytes(), &policy.text_signature)
        && holds(key, Part::Device, &policy.device_policy, &policy.device_signature)
}

/// A policy that was applied, checked and read.
#[derive(Debug, Clone)]
pub struct InForce {
    /// As it stands in the store.
    pub applied: AppliedPolicy,
    /// What it says.
    pub policy: Policy,
}

/// Checks and reads a policy of the store.
///
/// # Errors
/// When its signature does not hold or it is not in order.
pub fn read(key: &VerifyingKey, applied: AppliedPolicy) -> Result<InForce, InForceError> {
    if !signatures_hold(key, &applied.policy) {
        return Err(InForceError::Signature { version: applied.policy.version, number: applied.number });
    }
    let policy = Policy::from_toml(&applied.policy.text).map_err(InForceError::Policy)?;
    Ok(InForce { applied, policy })
}

/// The policy in force, which may change while a process runs.
pub struct Policies {
    store: Arc<dyn Store>,
    key: VerifyingKey,
    current: RwLock<Arc<InForce>>,
}

impl std::fmt::Debug for Policies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Policies").field(&self.current().policy.version()).finish()
    }
}

impl Policies {
    /// Reads the policy in force.
    ///
    /// # Errors
    /// When there is none, or it is not in order.
    pub async fn open(store: Arc<dyn Store>, key: VerifyingKey) -> Result<Self, InForceError> {
        let applied = store.policy_in_force().await.map_err(InForceError::Store)?.ok_or(InForceError::None)?;
        let current = RwLock::new(Arc::new(read(&key, applied)?));
        Ok(Self { store, key, current })
    }

    /// A demonstration that stands in no store, for tests of what asks no policy.
    #[cfg(test)]
    pub(crate) fn demonstration(store: Arc<dyn Store>) -> Self {
        Self::of_text(store, &Policy::demonstration())
    }

    /// A policy of a text that stands in no store, likewise.
    #[cfg(test)]
    pub(crate) fn of_text(store: Arc<dyn Store>, text: &str) -> Self {
        let key = PolicyKey(SigningKey::from_bytes(&[7; 32]));
        let policy = Policy::from_toml(text).unwrap();
        let applied = AppliedPolicy { number: 1, policy: key.sign(&policy, text, 0, "a test", "a test") };
        Self { store, key: key.public(), current: RwLock::new(Arc::new(InForce { applied, policy })) }
    }

    /// The policy in force, as last looked at.
    #[must_use]
    pub fn current(&self) -> Arc<InForce> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The key that policies are checked with.
    #[must_use]
    pub fn key(&self) -> &VerifyingKey {
        &self.key
    }

    /// Looks whether another policy came into force. One that is not in order changes nothing: the last good one
    /// stays, and the log says so.
    pub async fn refresh(&self) {
        match self.newer().await {
            Ok(None) => {}
            Ok(Some(newer)) => {
                info!(policy.version = newer.policy.version(), policy.number = newer.applied.number, "another policy is in force");
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(newer);
            }
            Err(error) => warn!(error = &error as &dyn std::error::Error, "the policy in force could not be read; the last one stays"),
        }
    }

    async fn newer(&self) -> Result<Option<InForce>, InForceError> {
        let number = self.store.policy_number().await.map_err(InForceError::Store)?;
        if number == self.current().applied.number {
            return Ok(None);
        }
        let applied = self.store.policy_in_force().await.map_err(InForceError::Store)?.ok_or(InForceError::None)?;
        read(&self.key, applied).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sql::SqlStore;

    fn key(byte: u8) -> PolicyKey {
        PolicyKey(SigningKey::from_bytes(&[byte; 32]))
    }

    fn new(key: &PolicyKey, text: &str, at: TimeMs) -> NewPolicy {
        key.sign(&Policy::from_toml(text).unwrap(), text, at, "陈静", "a test")
    }

    #[track_caller]
    fn check_refused(change: impl FnOnce(&mut NewPolicy)) {
        let key = key(1);
        let mut policy = new(&key, Policy::SHIPPED, 1);
        assert!(signatures_hold(&key.public(), &policy));
        change(&mut policy);
        let refused = read(&key.public(), AppliedPolicy { number: 1, policy }).unwrap_err();
        assert!(matches!(refused, InForceError::Signature { .. }), "{refused}");
    }

    #[test]
    fn what_was_changed_in_the_store_is_refused() {
        check_refused(|policy| policy.text = policy.text.replace("match_at_least = 0.50", "match_at_least = 0.10"));
        check_refused(|policy| policy.device_policy.push(0));
        check_refused(|policy| std::mem::swap(&mut policy.text_signature, &mut policy.device_signature));
        let other = new(&key(2), Policy::SHIPPED, 1);
        check_refused(|policy| policy.text_signature = other.text_signature);
    }

    #[tokio::test]
    async fn another_policy_comes_into_force_and_one_not_in_order_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(SqlStore::open(&folder.path().join("center.db")).unwrap());
        let key = key(1);
        assert!(matches!(Policies::open(Arc::clone(&store), key.public()).await, Err(InForceError::None)));
        store.apply_policy(0, new(&key, Policy::SHIPPED, 1)).await.unwrap();
        let policies = Policies::open(Arc::clone(&store), key.public()).await.unwrap();
        assert_eq!(policies.current().policy.version(), "shadow-1");
        store.apply_policy(1, new(&key, &Policy::demonstration(), 2)).await.unwrap();
        policies.refresh().await;
        assert_eq!(policies.current().policy.version(), "demonstration-1");
        let forged = NewPolicy { text: "version = 'x'".into(), version: "x".into(), ..new(&key, Policy::SHIPPED, 3) };
        store.apply_policy(2, forged).await.unwrap();
        policies.refresh().await;
        assert_eq!((policies.current().policy.version(), policies.current().applied.number), ("demonstration-1", 2));
    }
}
