//! What the benches share: the pipeline and the pictures, or a clear word about what to fetch first.

use std::io::{self, Write};

use anyhow::{Context, ensure};
use datasets::{Pack, PackPicture};
use models::{cache, manifest::Manifest, picture::Picture, pipeline::Pipeline};

/// The shipped models out of the cache.
///
/// # Errors
/// When a file is missing or differs.
pub fn pipeline() -> anyhow::Result<Pipeline> {
    Pipeline::load(&Manifest::shipped(), &cache::default_dir()).context("could not load the models")
}

/// `registry-mini`, all of it.
///
/// # Errors
/// When a picture is missing.
pub fn registry_mini() -> anyhow::Result<Pack> {
    let pack = Pack::registry_mini(&datasets::default_dir());
    ensure!(pack.missing.is_empty(), "{} pictures are missing; run `datasets fetch registry-mini`", pack.missing.len());
    Ok(pack)
}

/// A picture's file, checked and decoded.
///
/// # Errors
/// When it cannot be read or decoded.
pub fn decode(picture: &PackPicture) -> anyhow::Result<Picture> {
    Picture::decode(&picture.read()?).with_context(|| picture.id.clone())
}

/// Writes to standard output; a reader that went away is no error.
///
/// # Errors
/// When writing fails for another reason.
pub fn print(text: &str) -> anyhow::Result<()> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("could not write to standard output"),
        _ => Ok(()),
    }
}
