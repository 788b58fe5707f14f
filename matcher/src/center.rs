//! A center opened from its data folder: what every command and the server share.

use std::sync::Arc;

use matcher_core::{LookupKey, Policy};

use crate::{store::Store, vault::Vault};

/// The parts that use cases work with.
#[derive(Clone)]
pub struct Center {
    /// Records.
    pub store: Arc<dyn Store>,
    /// Encryption at rest.
    pub vault: Arc<Vault>,
    /// Key of identifier look-ups.
    pub lookup: Arc<LookupKey>,
    /// The policy in force.
    pub policy: Arc<Policy>,
}
