//! The folder on this machine that holds the files of weights, and reading one that is what it should be.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use thiserror::Error;

use crate::{digest::Digest, manifest::Model};

/// Overrides the folder for weights.
pub const DIR_VARIABLE: &str = "COUNTERSIGN_MODELS";

/// `$COUNTERSIGN_MODELS`, or `countersign/models` in the user's cache folder (`$XDG_CACHE_HOME`, `~/.cache`).
#[must_use]
pub fn default_dir() -> PathBuf {
    dir_for(DIR_VARIABLE, "models")
}

/// The folder that an environment variable names, or one of that name in the user's cache folder.
#[must_use]
pub fn dir_for(variable: &str, name: &str) -> PathBuf {
    let given = |variable: &str| env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    given(variable).unwrap_or_else(|| {
        let home = || given("HOME").or_else(|| given("USERPROFILE")).unwrap_or_default().join(".cache");
        given("XDG_CACHE_HOME").unwrap_or_else(home).join("countersign").join(name)
    })
}

/// A file of weights that cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FileError {
    /// It is not there.
    #[error("model {model}: expected the file {}; run `models fetch`", path.display())]
    Missing {
        /// The model's id.
        model: String,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// It cannot be read.
    #[error("model {model}: could not read {}", path.display())]
    Read {
        /// The model's id.
        model: String,
        /// Where it is.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is another file than the manifest says, and is not used.
    #[error("model {model}: sha256 of {}: expected {expected}, got {got}; the file is not used", path.display())]
    Differs {
        /// The model's id.
        model: String,
        /// Where it is.
        path: PathBuf,
        /// The manifest's digest.
        expected: Digest,
        /// The file's.
        got: Digest,
    },
}

/// Reads a model's file and checks it. What is returned are the very bytes that were checked.
///
/// # Errors
/// When the file is missing, unreadable, or not the one the manifest names.
pub fn read(model: &Model, cache_dir: &Path) -> Result<Vec<u8>, FileError> {
    let path = model.path(cache_dir);
    let id = || model.id.to_string();
    let bytes = fs::read(&path).map_err(|source| {
        if source.kind() == io::ErrorKind::NotFound {
            FileError::Missing { model: id(), path: path.clone() }
        } else {
            FileError::Read { model: id(), path: path.clone(), source }
        }
    })?;
    let got = Digest::of(&bytes);
    if got == model.sha256 { Ok(bytes) } else { Err(FileError::Differs { model: id(), path, expected: model.sha256, got }) }
}
