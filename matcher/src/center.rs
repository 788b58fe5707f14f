//! A center opened from its data folder: what every command and the server share.

use std::sync::Arc;

use matcher_core::Identifier;
use thiserror::Error;

use crate::{
    config::{Config, ConfigError, StoreConfig},
    data_dir::DataDir,
    keys::KeyError,
    lookup::Lookup,
    policy::{InForceError, Policies, PolicyKey},
    store::{IdentifierKey, Store, StoreError, StoredSubject, sql::SqlStore},
    vault::Vault,
};

/// A center that cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// There is no policy in force, or it is not in order.
    #[error(transparent)]
    Policy(InForceError),
    /// The settings are not in order.
    #[error(transparent)]
    Config(ConfigError),
    /// A key cannot be used.
    #[error(transparent)]
    Key(KeyError),
    /// The store cannot be opened.
    #[error("could not open the store")]
    Store(#[source] StoreError),
}

impl OpenError {
    /// Whether a file that people write is at fault.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::Policy(InForceError::None | InForceError::Policy(_)) | Self::Config(_) => true,
            Self::Policy(InForceError::Signature { .. } | InForceError::Store(_)) | Self::Key(_) | Self::Store(_) => false,
        }
    }
}

/// Opens the store that the settings of a data folder name.
///
/// # Errors
/// When it cannot be opened.
pub fn open_store(dir: &DataDir, config: &StoreConfig) -> Result<SqlStore, StoreError> {
    SqlStore::open_at(&config.location(&dir.store())?)
}

/// The parts that use cases work with.
#[derive(Clone)]
pub struct Center {
    /// Records.
    pub store: Arc<dyn Store>,
    /// Encryption at rest.
    pub vault: Arc<Vault>,
    /// Keys of identifier look-ups.
    pub lookup: Arc<Lookup>,
    /// The policy in force.
    pub policies: Arc<Policies>,
}

impl Center {
    /// Opens the center of an initialised data folder. Several processes may have it open at once.
    ///
    /// # Errors
    /// When the policy, a key or the store is not in order.
    pub async fn open(dir: &DataDir) -> Result<Self, OpenError> {
        let lookup = Lookup::load(&dir.lookup_key()).map_err(OpenError::Key)?;
        let config = Config::load(dir).map_err(OpenError::Config)?;
        let store: Arc<dyn Store> = Arc::new(open_store(dir, &config.store).map_err(OpenError::Store)?);
        let vault = Vault::of(config.keys.key_encryption).map_err(OpenError::Key)?;
        let key = PolicyKey::load(&dir.policy_key()).map_err(OpenError::Key)?.public();
        let policies = Policies::open(Arc::clone(&store), key).await.map_err(OpenError::Policy)?;
        Ok(Self { store, vault: Arc::new(vault), lookup: Arc::new(lookup), policies: Arc::new(policies) })
    }

    /// The person of a number, and the row that led there: under the newest look-up key first, then under older ones.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn subject_of(&self, identifier: &Identifier) -> Result<Option<(StoredSubject, IdentifierKey)>, StoreError> {
        for (row, _) in self.lookup.rows(identifier) {
            if let Some(stored) = self.store.subject_of(&row).await? {
                return Ok(Some((stored, row)));
            }
        }
        Ok(None)
    }
}
