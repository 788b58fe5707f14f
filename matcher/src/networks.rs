//! The networks, loaded when they are first needed, once for all who need them.
//!
//! Verifying compares two templates and runs without them, so that a server starts at once; enrolling and
//! checking agents need them.

use std::{fmt, path::Path, path::PathBuf, sync::Arc};

use models::{
    manifest::Manifest,
    pipeline::{LoadError, Pipeline},
    selftest::SelfTestFailure,
};
use thiserror::Error;
use tokio::sync::OnceCell;
use tracing::info;

/// The networks cannot be had. Not kept: once the files are there the next call finds them.
#[derive(Debug, Error)]
pub enum NetworksError {
    /// They cannot be loaded.
    #[error("the models could not be loaded")]
    Load(#[source] LoadError),
    /// They run, and not as they should.
    #[error("the models do not work as they should; `models check` shows what was tested")]
    SelfTest(#[source] SelfTestFailure),
    /// The thread that loaded them ended without an answer.
    #[error("loading the models was interrupted")]
    Interrupted,
}

/// Where the networks are, and the networks once they are loaded. Cheap to clone.
#[derive(Clone)]
pub struct Networks(Arc<Parts>);

struct Parts {
    manifest: Manifest,
    cache_dir: PathBuf,
    loaded: OnceCell<Pipeline>,
}

impl fmt::Debug for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Networks({})", if self.0.loaded.initialized() { "loaded" } else { "not loaded" })
    }
}

impl Networks {
    /// The networks of a manifest; loads nothing yet.
    #[must_use]
    pub fn new(manifest: Manifest, cache_dir: PathBuf) -> Self {
        Self(Arc::new(Parts { manifest, cache_dir, loaded: OnceCell::new() }))
    }

    /// The networks.
    ///
    /// # Errors
    /// When a file is missing or is not what the manifest says.
    pub async fn get(&self) -> Result<&Pipeline, NetworksError> {
        let (manifest, cache_dir) = (self.0.manifest.clone(), self.0.cache_dir.clone());
        let load = || async move {
            let load = move || load(&manifest, &cache_dir);
            tokio::task::spawn_blocking(load).await.map_err(|_| NetworksError::Interrupted)?
        };
        self.0.loaded.get_or_try_init(load).await
    }
}

/// Loads the networks and tests them: better none than wrong templates.
///
/// # Errors
/// When a file is missing or not the manifest's, or the self-test fails.
pub fn load(manifest: &Manifest, cache_dir: &Path) -> Result<Pipeline, NetworksError> {
    let pipeline = Pipeline::load(manifest, cache_dir).map_err(NetworksError::Load)?;
    let report = pipeline.self_test(manifest, cache_dir).map_err(NetworksError::SelfTest)?;
    info!(models.self_test = %report, "models loaded and tested");
    Ok(pipeline)
}
