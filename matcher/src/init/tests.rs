//! What a new data folder holds, and what a second run leaves alone.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt};

use matcher_core::{Mode, Policy};
use models::manifest::Manifest;

use super::*;
use crate::{center::Center, feature_models::FeatureModels};

const NOW: TimeMs = 1_800_000_000_000;

fn args(name: &str) -> InitArgs {
    InitArgs { server_names: vec![name.to_owned()], demonstration: false, store_url: None }
}

#[tokio::test]
async fn a_new_center_is_in_shadow_mode_unless_it_is_to_demonstrate() {
    for (demonstration, expected) in [(false, Mode::Shadow), (true, Mode::Demonstration)] {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::new(temp.path());
        let args = InitArgs { demonstration, ..args("localhost") };
        init(&dir, &args, NOW).await.unwrap();
        let in_force = Center::open(&dir).await.unwrap().policies.current();
        assert_eq!((in_force.policy.mode(), in_force.applied.number), (expected, 1));
        assert!(summary(&dir, &args, NOW).contains(expected.word()));
    }
}

/// Every file below a folder with its bytes, the store's aside.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let mode = fs::metadata(&entry).unwrap().permissions().mode() & 0o777;
        if entry.is_dir() {
            assert_eq!(mode, 0o700, "{}", entry.display());
            found.extend(files(&entry));
        } else if !entry.file_name().unwrap().to_str().unwrap().starts_with("center.db") {
            assert_eq!(mode, 0o600, "{}", entry.display());
            found.insert(entry.clone(), fs::read(&entry).unwrap());
        }
    }
    found
}

#[tokio::test]
async fn an_initialised_folder_is_complete_private_and_never_overwritten() {
    let temp = tempfile::tempdir().unwrap();
    let dir = DataDir::new(temp.path().join("data"));
    init(&dir, &args("localhost"), NOW).await.unwrap();
    let before = files(dir.path());
    assert_eq!(before.len(), 14);
    assert!(matches!(init(&dir, &args("localhost"), NOW).await, Err(InitError::Initialised(_))));
    assert_eq!(files(dir.path()), before);
}

#[tokio::test]
async fn an_interrupted_run_goes_on_and_keeps_every_key() {
    let temp = tempfile::tempdir().unwrap();
    let dir = DataDir::new(temp.path().join("data"));
    init(&dir, &args("localhost"), NOW).await.unwrap();
    let before = files(dir.path());
    for path in [dir.marker(), dir.config(), dir.server_certificate(), dir.receipt_key()] {
        fs::remove_file(path).unwrap();
    }
    assert!(DataDir::initialised(dir.path()).is_err());
    init(&dir, &args("127.0.0.1"), NOW).await.unwrap();
    let after = files(dir.path());
    for key in [dir.key_encryption_key(), dir.lookup_key(), dir.opening_keys(), dir.authority_key(), dir.server_key(), dir.policy_key()] {
        assert_eq!(after[&key], before[&key], "{}", key.display());
    }
    assert_eq!(after.len(), before.len());
    DataDir::initialised(dir.path()).unwrap();
}

#[tokio::test]
async fn a_store_is_never_given_a_new_key() {
    let temp = tempfile::tempdir().unwrap();
    let dir = DataDir::new(temp.path());
    init(&dir, &args("localhost"), NOW).await.unwrap();
    fs::remove_file(dir.marker()).unwrap();
    fs::remove_file(dir.key_encryption_key()).unwrap();
    assert!(matches!(init(&dir, &args("localhost"), NOW).await, Err(InitError::StoreWithoutKey(_))));
}

#[test]
fn the_shipped_policy_is_provisional_and_for_the_shipped_models() {
    let policy = Policy::from_toml(Policy::SHIPPED).unwrap();
    let models = FeatureModels::from_manifest(&Manifest::shipped()).unwrap();
    let current = models.current();
    assert_eq!((policy.model(), policy.recipe(), policy.models().count()), (&current.model, &current.recipe, 1));
    assert!(policy.provisional());
}

#[tokio::test]
async fn the_summary_names_every_file_and_says_what_to_back_up() {
    let temp = tempfile::tempdir().unwrap();
    let dir = DataDir::new(temp.path());
    init(&dir, &args("localhost"), NOW).await.unwrap();
    let summary = summary(&dir, &args("localhost"), NOW);
    for path in files(dir.path()).keys().filter(|path| **path != dir.marker()) {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        assert!(summary.contains(stem), "{stem}");
    }
    assert!(summary.contains("until 2047-") && summary.contains("until 2032-"), "{summary}");
}
