//! Policies through time: by which one a capture is judged that was made a while ago.
//!
//! All policies that were ever applied are in the store, signed. One that does not carry its signature, or that this
//! program cannot read, counts as unknown. Not here: the policy in force now ([`Policies`](super::Policies)).

use std::sync::{Arc, PoisonError, RwLock};

use ed25519_dalek::VerifyingKey;
use matcher_core::{Doubt, Policy, deferred::in_force_at};
use tracing::warn;

use super::{InForceError, read};
use crate::store::{Store, TimeMs};

/// The policies of a center in the order in which they were applied.
#[derive(Debug)]
pub struct Ages {
    number: u64,
    applied_at: Vec<TimeMs>,
    policies: Vec<Option<Arc<Policy>>>,
    last: Arc<Policy>,
}

impl Ages {
    /// The policy that was in force at a time. Where that cannot be known, the last one, and the doubt.
    #[must_use]
    pub fn at(&self, at: TimeMs) -> (&Policy, Option<Doubt>) {
        let known = in_force_at(&self.applied_at, at).and_then(|place| self.policies.get(place)?.as_deref());
        known.map_or((self.last.as_ref(), Some(Doubt::PolicyUnknown)), |policy| (policy, None))
    }

    /// The policy in force now.
    #[must_use]
    pub fn last(&self) -> &Policy {
        &self.last
    }
}

/// Reads the policies of a center, again when one was applied.
pub struct History {
    store: Arc<dyn Store>,
    key: VerifyingKey,
    known: RwLock<Option<Arc<Ages>>>,
}

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("History")
    }
}

impl History {
    /// Of a store, whose policies are checked with a key. Nothing is read yet.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, key: VerifyingKey) -> Self {
        Self { store, key, known: RwLock::new(None) }
    }

    /// The policies as of now.
    ///
    /// # Errors
    /// When the store cannot be asked, or the last policy is not in order.
    pub async fn ages(&self) -> Result<Arc<Ages>, InForceError> {
        let number = self.store.policy_number().await.map_err(InForceError::Store)?;
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(known) = known.filter(|known| known.number == number) {
            return Ok(known);
        }
        let ages = Arc::new(self.read().await?);
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&ages));
        Ok(ages)
    }

    async fn read(&self) -> Result<Ages, InForceError> {
        let mut applied = self.store.policies().await.map_err(InForceError::Store)?;
        applied.reverse();
        let number = applied.last().ok_or(InForceError::None)?.number;
        let applied_at = applied.iter().map(|applied| applied.policy.applied_at).collect();
        let count = applied.len();
        let (mut policies, mut last) = (Vec::with_capacity(count), Err(InForceError::None));
        for applied in applied {
            let (version, of) = (applied.policy.version.clone(), applied.number);
            last = read(&self.key, applied).map(|read| Arc::new(read.policy));
            if let Err(error) = &last {
                warn!(
                    policy.version = version,
                    policy.number = of,
                    error = error as &dyn std::error::Error,
                    "an earlier policy cannot be read"
                );
            }
            policies.push(last.as_ref().ok().cloned());
        }
        Ok(Ages { number, applied_at, policies, last: last? })
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    use super::*;
    use crate::{
        policy::PolicyKey,
        store::{NewPolicy, sql::SqlStore},
    };

    #[tokio::test]
    async fn a_time_has_the_policy_that_was_in_force_and_one_before_the_first_has_a_doubt() {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(SqlStore::open(&folder.path().join("center.db")).unwrap());
        let key = PolicyKey(SigningKey::from_bytes(&[1; 32]));
        let new = |text: &str, at| key.sign(&Policy::from_toml(text).unwrap(), text, at, "陈静", "a test");
        let history = History::new(Arc::clone(&store), key.public());
        assert!(matches!(history.ages().await, Err(InForceError::None)));
        store.apply_policy(0, new(Policy::SHIPPED, 10)).await.unwrap();
        let first = history.ages().await.unwrap();
        assert_eq!((first.at(9).1, first.at(10).0.version(), first.at(10).1), (Some(Doubt::PolicyUnknown), "shadow-1", None));
        assert!(Arc::ptr_eq(&first, &history.ages().await.unwrap()), "read once");
        let forged = NewPolicy { version: "x".into(), text: "version = 'x'".into(), ..new(Policy::SHIPPED, 20) };
        store.apply_policy(1, forged).await.unwrap();
        assert!(history.ages().await.is_err(), "the last one must be in order");
        store.apply_policy(2, new(&Policy::demonstration(), 30)).await.unwrap();
        let all = history.ages().await.unwrap();
        assert_eq!(
            (all.at(19).0.version(), all.at(30).0.version(), all.last().version()),
            ("shadow-1", "demonstration-1", "demonstration-1")
        );
        assert_eq!((all.at(25).0.version(), all.at(25).1), ("demonstration-1", Some(Doubt::PolicyUnknown)));
    }
}
