//! The restore drill: store and keys put back apart, on a new folder; and each of them without the other.

use super::{
    keys::{Cost, KeyBackupError},
    *,
};
use crate::{
    center::Center,
    init::{self, InitArgs},
    store::{
        NewEnrolment, SubjectId,
        contract::{card, enrolment, verification},
    },
    vault::RecordContext,
};

const NOW: TimeMs = 1_800_000_000_000;
const PASSPHRASE: &str = "correct horse battery";
const LIGHT: Cost = Cost { memory_kib: 64, passes: 1 };

struct Site {
    temp: tempfile::TempDir,
    dir: DataDir,
    center: Center,
}

impl Site {
    /// A center with one person, whose template is sealed.
    async fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::new(temp.path().join("data"));
        let args = InitArgs { server_names: vec!["localhost".into()], demonstration: false, store_url: None };
        init::init(&dir, &args, NOW).await.unwrap();
        let center = Center::open(&dir).await.unwrap();
        let mut new = enrolment(1, &[1], 4);
        let (key, data_key) = center.vault.new_data_key(new.reference.subject);
        new.reference.template = key.seal(&place(&new), b"a template");
        center.store.put_enrolments(vec![NewEnrolment { data_key, ..new }]).await.unwrap().remove(0).unwrap();
        Self { temp, dir, center }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    async fn backed_up(&self) -> (PathBuf, PathBuf) {
        let (copy, bundle) = (self.path("copy"), self.path("keys.json"));
        backup(&self.dir, &file(), self.center.store.as_ref(), &copy, NOW).await.unwrap();
        keys::backup(&self.dir, &bundle, PASSPHRASE, LIGHT).unwrap();
        (copy, bundle)
    }
}

fn place(new: &NewEnrolment) -> RecordContext<'static> {
    RecordContext::reference_template(new.reference.subject, new.reference.record, "m@1")
}

/// The template of the person, as a center reads it for a comparison.
async fn template(center: &Center) -> Option<Vec<u8>> {
    let stored = center.store.subject_of(&card(1)).await.unwrap().unwrap();
    let key = center.vault.unwrap_data_key(SubjectId([1; 16]), &stored.data_key).ok()?;
    key.open(&place(&enrolment(1, &[1], 4)), &stored.references.first()?.template).ok().map(|template| template.to_vec())
}

#[tokio::test]
async fn store_and_keys_put_back_apart_are_a_center_again() {
    let site = Site::new().await;
    let (copy, bundle) = site.backed_up().await;
    site.center.store.record_verification(verification("T1", 1)).await.unwrap();
    let new = DataDir::new(site.path("new"));
    restore(&new, &copy).unwrap();
    assert!(DataDir::initialised(new.path()).is_err(), "without keys it is no center");
    assert!(keys::restore(&new, &bundle, PASSPHRASE).unwrap() >= 9);
    DataDir::initialised(new.path()).unwrap();
    let center = Center::open(&new).await.unwrap();
    assert_eq!(template(&center).await.unwrap(), b"a template");
    assert!(center.store.answer(&verification("T1", 1).record.request).await.unwrap().is_none(), "it came after the copy");
    center.store.record_verification(verification("T2", 2)).await.unwrap();
}

#[tokio::test]
async fn a_copy_opens_nothing_without_its_keys() {
    let site = Site::new().await;
    let (copy, _) = site.backed_up().await;
    let names: Vec<_> = std::fs::read_dir(&copy).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    let other = Site::new().await;
    let stolen = Center { store: std::sync::Arc::new(SqlStore::open(&copy.join(STORE)).unwrap()), ..other.center.clone() };
    assert_eq!(template(&stolen).await, None);
    for folder in ["keys", "authority", "server"] {
        for entry in std::fs::read_dir(site.dir.path().join(folder)).unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            let secret = text.lines().rfind(|line| line.len() >= 40 && !line.starts_with(['#', '-'])).unwrap_or("none at all");
            for name in &names {
                let bytes = std::fs::read(copy.join(name)).unwrap();
                assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "a key is in {name}");
            }
        }
    }
}

#[tokio::test]
async fn copies_go_where_no_keys_are_and_keys_where_no_copy_is() {
    let site = Site::new().await;
    let inside = backup(&site.dir, &file(), site.center.store.as_ref(), &site.dir.path().join("copy"), NOW).await;
    assert!(matches!(inside, Err(BackupError::BesideKeys(_))), "{inside:?}");
    let (copy, bundle) = site.backed_up().await;
    let again = backup(&site.dir, &file(), site.center.store.as_ref(), &copy, NOW).await;
    assert!(matches!(again, Err(BackupError::NotEmpty(_))), "{again:?}");
    for out in [copy.join("keys.json"), site.dir.path().join("keys.json")] {
        let beside = keys::backup(&site.dir, &out, PASSPHRASE, LIGHT);
        assert!(matches!(beside, Err(KeyBackupError::BesideStore(_))), "{beside:?}");
    }
    assert!(matches!(restore(&site.dir, &copy), Err(BackupError::Exists(_))));
    assert!(matches!(keys::restore(&site.dir, &bundle, PASSPHRASE), Err(KeyBackupError::Exists(_))));
}

#[tokio::test]
async fn an_altered_copy_and_another_passphrase_put_nothing_back() {
    let site = Site::new().await;
    let (copy, bundle) = site.backed_up().await;
    let new = DataDir::new(site.path("new"));
    assert!(matches!(keys::restore(&new, &bundle, "correct horse batterx"), Err(KeyBackupError::DoesNotOpen)));
    let text = std::fs::read_to_string(&bundle).unwrap();
    assert!(!text.contains("PRIVATE KEY"));
    std::fs::write(&bundle, text.replace("\"passes\":1", "\"passes\":2")).unwrap();
    assert!(matches!(keys::restore(&new, &bundle, PASSPHRASE), Err(KeyBackupError::DoesNotOpen)));
    std::fs::write(&bundle, text.replace("\"memory_kib\":64", "\"memory_kib\":999999999")).unwrap();
    assert!(matches!(keys::restore(&new, &bundle, PASSPHRASE), Err(KeyBackupError::Form(_))));
    let mut bytes = std::fs::read(copy.join(STORE)).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(copy.join(STORE), bytes).unwrap();
    assert!(matches!(restore(&new, &copy), Err(BackupError::Altered(_))));
    assert!(!new.path().exists());
}

/// Settings of a store in a file.
fn file() -> crate::config::StoreConfig {
    crate::config::Config::shipped().unwrap().store
}
