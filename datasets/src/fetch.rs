//! Obtaining a pack's pictures, with the same fetcher that obtains weights.

use std::{path::Path, time::Duration};

use models::fetch::{self, Event, Outcome, Wanted};

use crate::manifest::PackManifest;

/// Obtains the pictures that are missing from `dir`. Where one package cannot be had, the rest is still
/// obtained. Outcomes are in the manifest's order.
pub fn fetch_pack(manifest: &PackManifest, dir: &Path, timeout: Duration, report: impl FnMut(Event<'_>)) -> Vec<Outcome> {
    let folder = dir.join(manifest.name());
    let wanted: Vec<Wanted> = manifest
        .pictures()
        .iter()
        .filter_map(|picture| {
            Some(Wanted {
                id: picture.id.clone(),
                package: manifest.package(&picture.package)?.clone(),
                member: picture.member.clone(),
                sha256: picture.sha256,
                path: folder.join(&picture.id),
            })
        })
        .collect();
    fetch::fetch(&wanted, timeout, report)
}
