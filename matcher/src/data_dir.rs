//! The data folder: where everything a center keeps on disk has its place.
//!
//! Here: names of files. Not here: what is in them (`crate::keys`, `crate::pki`, `crate::config`, the store).

use std::path::{Path, PathBuf};

use thiserror::Error;

/// A data folder that cannot be worked with.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DataDirError {
    /// `matcher init` has not finished in it.
    #[error("{} is no initialised data folder; expected one made by `matcher init --data {}`", .0.display(), .0.display())]
    NotInitialised(PathBuf),
}

/// Path of a data folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataDir(PathBuf);

impl DataDir {
    /// Names a data folder; nothing is read yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Names a data folder that `matcher init` has finished.
    ///
    /// # Errors
    /// [`DataDirError::NotInitialised`].
    pub fn initialised(path: impl Into<PathBuf>) -> Result<Self, DataDirError> {
        let dir = Self::new(path);
        if dir.marker().is_file() { Ok(dir) } else { Err(DataDirError::NotInitialised(dir.0)) }
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Written last by `matcher init`; holds the version of the folder's layout.
    #[must_use]
    pub fn marker(&self) -> PathBuf {
        self.0.join("initialised")
    }

    /// Settings.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.0.join("matcher.toml")
    }

    /// Ed25519 key that signs policies; serving needs its public half alone.
    #[must_use]
    pub fn policy_key(&self) -> PathBuf {
        self.0.join("keys/policy.pem")
    }

    /// Certificate of the authority that signs servers and devices.
    #[must_use]
    pub fn authority_certificate(&self) -> PathBuf {
        self.0.join("authority/ca.crt")
    }

    /// Private key of an authority that is being made.
    #[must_use]
    pub fn authority_next_key(&self) -> PathBuf {
        self.0.join("authority/ca-next.key")
    }

    /// Private key of the authority.
    #[must_use]
    pub fn authority_key(&self) -> PathBuf {
        self.0.join("authority/ca.key")
    }

    /// Certificate of the gRPC service.
    #[must_use]
    pub fn server_certificate(&self) -> PathBuf {
        self.0.join("server/server.crt")
    }

    /// Private key of the gRPC service.
    #[must_use]
    pub fn server_key(&self) -> PathBuf {
        self.0.join("server/server.key")
    }

    /// Ed25519 keys that sign receipts, newest first.
    #[must_use]
    pub fn receipt_key(&self) -> PathBuf {
        self.0.join("keys/receipt.pem")
    }

    /// Ed25519 keys that sign checkpoints of the audit log.
    #[must_use]
    pub fn audit_key(&self) -> PathBuf {
        self.0.join("keys/audit.pem")
    }

    /// Ed25519 keys that sign receipts of drills, newest first.
    #[must_use]
    pub fn receipt_drill_key(&self) -> PathBuf {
        self.0.join("keys/receipt-drill.pem")
    }

    /// Key that names cards to the settlement side, which has it too.
    #[must_use]
    pub fn settlement_key(&self) -> PathBuf {
        self.0.join("keys/settlement.key")
    }

    /// Public halves of audit keys that were dropped: what they signed is still checked.
    #[must_use]
    pub fn audit_public_keys(&self) -> PathBuf {
        self.0.join("keys/audit.pub")
    }

    /// X25519 keys that open envelopes.
    #[must_use]
    pub fn opening_keys(&self) -> PathBuf {
        self.0.join("keys/opening.key")
    }

    /// Key that wraps the data keys of persons.
    #[must_use]
    pub fn key_encryption_key(&self) -> PathBuf {
        self.0.join("keys/key-encryption.key")
    }

    /// Key under which identifiers are hashed.
    #[must_use]
    pub fn lookup_key(&self) -> PathBuf {
        self.0.join("keys/lookup.key")
    }

    /// The embedded store.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.0.join("center.db")
    }

    /// Where indexes of faces are saved, sealed.
    #[must_use]
    pub fn indexes(&self) -> PathBuf {
        self.0.join("index")
    }

    /// Address of the published keys, while the server that started last runs.
    #[must_use]
    pub fn published_address(&self) -> PathBuf {
        self.0.join("published.addr")
    }

    /// Address that devices join at, while the server that started last runs.
    #[must_use]
    pub fn joining_address(&self) -> PathBuf {
        self.0.join("joining.addr")
    }

    /// Certificate of the authority of the console's certificate: what staff's browsers are to trust.
    #[must_use]
    pub fn console_authority_certificate(&self) -> PathBuf {
        self.0.join("console/ca.crt")
    }

    /// Private key of that authority.
    #[must_use]
    pub fn console_authority_key(&self) -> PathBuf {
        self.0.join("console/ca.key")
    }

    /// Certificate of the console.
    #[must_use]
    pub fn console_certificate(&self) -> PathBuf {
        self.0.join("console/console.crt")
    }

    /// Private key of the console.
    #[must_use]
    pub fn console_key(&self) -> PathBuf {
        self.0.join("console/console.key")
    }

    /// Address of the console, while the server that started last runs it.
    #[must_use]
    pub fn console_address(&self) -> PathBuf {
        self.0.join("console.addr")
    }

    /// Address of the server that started last, while it runs.
    #[must_use]
    pub fn serve_address(&self) -> PathBuf {
        self.0.join("serve.addr")
    }
}
