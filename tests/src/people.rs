//! The pictures that stand before the camera: public ones, from the pack `registry-mini`, used in place.

use std::path::PathBuf;

use anyhow::{Context, Result};

/// The folder of `registry-mini`'s pictures.
///
/// # Errors
/// When the pack has not been fetched.
pub fn folder() -> Result<PathBuf> {
    let folder = datasets::default_dir().join("registry-mini");
    folder.is_dir().then_some(folder).context("the pictures are not fetched; run: datasets fetch registry-mini")
}

/// The path of one picture.
///
/// # Errors
/// When it has not been fetched.
pub fn picture(name: &str) -> Result<PathBuf> {
    let path = folder()?.join(name);
    path.is_file().then_some(path).with_context(|| format!("picture {name} is not fetched; run: datasets fetch registry-mini"))
}
