//! A center opened from its data folder: what every command and the server share.

use std::{io, path::PathBuf, sync::Arc};

use matcher_core::{LookupKey, Policy, PolicyError};
use thiserror::Error;

use crate::{
    data_dir::DataDir,
    keys::{KeyError, load_secret},
    store::{Store, StoreError, sqlite::SqliteStore},
    vault::{KeyEncryptionKey, Vault},
};

/// A center that cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The policy cannot be read.
    #[error("could not read the policy {}", .path.display())]
    ReadPolicy {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The policy is not in order.
    #[error(transparent)]
    Policy(PolicyError),
    /// A key cannot be used.
    #[error(transparent)]
    Key(KeyError),
    /// The store cannot be opened.
    #[error("could not open the store {}", .path.display())]
    Store {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: StoreError,
    },
}

impl OpenError {
    /// Whether a file that people write is at fault.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::ReadPolicy { .. } | Self::Policy(_) => true,
            Self::Key(_) | Self::Store { .. } => false,
        }
    }
}

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

impl Center {
    /// Opens the center of an initialised data folder. Several processes may have it open at once.
    ///
    /// # Errors
    /// When the policy, a key or the store is not in order.
    pub fn open(dir: &DataDir) -> Result<Self, OpenError> {
        let path = dir.policy();
        let text = std::fs::read_to_string(&path).map_err(|source| OpenError::ReadPolicy { path, source })?;
        let policy = Policy::from_toml(&text).map_err(OpenError::Policy)?;
        let lookup = load_secret(&dir.lookup_key()).map_err(OpenError::Key)?;
        let kek = load_secret(&dir.key_encryption_key()).map_err(OpenError::Key)?;
        let path = dir.store();
        let store = SqliteStore::open(&path).map_err(|source| OpenError::Store { path, source })?;
        Ok(Self {
            store: Arc::new(store),
            vault: Arc::new(Vault::new(KeyEncryptionKey::new(*kek))),
            lookup: Arc::new(LookupKey::new(*lookup)),
            policy: Arc::new(policy),
        })
    }
}
