//! The ledger: what the center said it has, held against what it has.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use anyhow::Result;
use matcher::store::{RequestKey, Store};
use serde::Serialize;
use tests::process::run;

use super::center::Place;

/// A request: institution, transaction, attempt.
type Key = (String, String, u32);

/// Every request that was answered, and the id of its record.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<BTreeMap<Key, Vec<String>>>);

/// What became of what was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Requests that were answered.
    pub acknowledged: u64,
    /// Of them, those that the store has no record of, or another.
    pub lost: u64,
    /// Requests that were given two records.
    pub doubled: u64,
    /// Records in the store, those of earlier runs too.
    pub stored: u64,
    /// Whether the audit log verifies, record by record.
    pub audit_verifies: bool,
}

impl Checked {
    /// Whether all that was acknowledged is there once.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.lost == 0 && self.doubled == 0 && self.audit_verifies
    }
}

impl Ledger {
    /// Notes an answer.
    pub fn acknowledge(&self, request: RequestKey, verification_id: String) {
        let ids = &mut *self.entries();
        let ids = ids.entry((request.institution, request.transaction, request.attempt)).or_default();
        if !ids.contains(&verification_id) {
            ids.push(verification_id);
        }
    }

    /// Requests that were answered so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries().len()
    }

    /// Whether none was.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries().is_empty()
    }

    /// Holds every answer against the store, and lets the center check its audit log.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn check(&self, place: &Place, store: &dyn Store) -> Result<Checked> {
        let entries = self.entries().clone();
        let (mut lost, mut doubled) = (0, 0);
        for ((institution, transaction, attempt), ids) in &entries {
            doubled += u64::from(ids.len() > 1);
            let request = RequestKey { institution: institution.clone(), transaction: transaction.clone(), attempt: *attempt };
            let stored = store.answer(&request).await?;
            lost += u64::from(stored.is_none_or(|record| !ids.contains(&record.id.to_string())));
        }
        let stored = store.holdings().await?.verifications;
        let audit_verifies = run(&mut place.matcher(&["audit", "verify", "--records"])?).is_ok();
        Ok(Checked { acknowledged: entries.len() as u64, lost, doubled, stored, audit_verifies })
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<Key, Vec<String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
