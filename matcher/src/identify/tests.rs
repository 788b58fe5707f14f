//! Searching faces against a real store and vault, with templates of directions instead of faces.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, atomic::Ordering},
};

use matcher_core::{Decision, FlagKind, Policy};
use models::manifest::Manifest;
use models_core::{ModelId, RecipeId, Template};

use super::{
    held::Held,
    role::{Indexes, Searcher, Turn},
};
use crate::{
    center::Center,
    config::Config,
    feature_models::FeatureModels,
    lookup::Lookup,
    policy::Policies,
    store::{
        Listing, MadeBy, RecordId, SealedProbe, Store, SubjectId, contract,
        feed::{Searchable, StoredFinding},
        sql::SqlStore,
    },
    surroundings::{Fixed, Surroundings},
    vault::{DataKey, KeyEncryptionKey, RecordContext, Vault},
};

mod asking;
mod finding;
mod keeping;

const DIMENSION: usize = 512;
const DAY_MS: i64 = 86_400_000;

/// A center with a clock and keys of its people.
struct Site {
    dir: tempfile::TempDir,
    searcher: Searcher,
    surroundings: Arc<Fixed>,
    keys: Mutex<HashMap<u8, (DataKey, crate::store::Sealed)>>,
}

/// A demonstration that may search, by local trials that reach far.
fn policy() -> String {
    let tables = "\n[[false_matches]]\nmodel = \"faceplugin-mfn512@1\"\nrecipe = \"arcface5x3-bgr-flip-f3@1\"\nsource = \"local\"\n\
         nonmated = 1000000000\npoints = [[0.5, 40]]\n";
    searching(&Policy::demonstration()) + tables
}

fn searching(text: &str) -> String {
    text.replacen("enabled = false", "enabled = true\nbasis = \"legal_duty\"", 1)
}

impl Site {
    fn new() -> Self {
        Self::with(&policy())
    }

    fn with(policy: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(SqlStore::open(&dir.path().join("center.db")).unwrap());
        let center = Center {
            policies: Arc::new(Policies::of_text(Arc::clone(&store), policy)),
            store,
            vault: Arc::new(Vault::new(KeyEncryptionKey::new([7; 32]))),
            lookup: Arc::new(Lookup::fixed(matcher_core::LookupKey::new([8; 32]))),
        };
        let surroundings = Arc::new(Fixed::at(100 * DAY_MS));
        let searcher = Searcher {
            center,
            models: Arc::new(FeatureModels::from_manifest(&Manifest::shipped()).unwrap()),
            config: Config::shipped().unwrap().identification,
            open_in_shadow: false,
            folder: dir.path().join("index"),
            surroundings: Arc::clone(&surroundings) as Arc<dyn Surroundings>,
        };
        Self { dir, searcher, surroundings, keys: Mutex::default() }
    }

    fn store(&self) -> &dyn Store {
        self.searcher.center.store.as_ref()
    }

    fn made_by(&self) -> MadeBy {
        super::searched(&self.searcher.center.policies.current().policy).unwrap()
    }

    /// Seals for a person, whose key is made once.
    fn seal(&self, person: u8, context: &RecordContext<'_>, face: &[f32]) -> (crate::store::Sealed, crate::store::Sealed) {
        let mut keys = self.keys.lock().unwrap();
        let (key, wrapped) = keys.entry(person).or_insert_with(|| self.searcher.center.vault.new_data_key(SubjectId([person; 16])));
        let made_by = self.made_by();
        let (model, recipe) = (ModelId::new(&made_by.model).unwrap(), RecipeId::new(&made_by.recipe).unwrap());
        let template = Template::from_features(model, recipe, face).unwrap();
        (key.seal(context, &template.to_f16_le_bytes()), wrapped.clone())
    }

    /// Enrols a person with a face; the number is of a region.
    async fn enrol(&self, person: u8, region: &str, face: &[f32]) {
        let made_by = self.made_by();
        let mut new = contract::enrolment(person, &[person], person);
        let (subject, record) = (new.reference.subject, new.reference.record);
        let (template, wrapped) = self.seal(person, &RecordContext::reference_template(subject, record, &made_by.model), face);
        (new.reference.template, new.data_key) = (template, wrapped);
        (new.reference.model, new.reference.recipe) = (made_by.model, made_by.recipe);
        new.identifiers[0].key.region = region.into();
        new.reference.life = matcher_core::Life::begun(self.surroundings.now_ms());
        self.store().put_enrolments(vec![new]).await.unwrap().remove(0).unwrap();
    }

    /// A visit of a person's card with a face; `at` says when, in days.
    async fn visit(&self, person: u8, envelope: u8, institution: &str, face: &[f32], decision: Decision, at_day: i64) {
        let made_by = self.made_by();
        let mut new = contract::verification(&format!("T{envelope}"), envelope);
        let (subject, record) = (SubjectId([person; 16]), new.record.id);
        let (template, _) = self.seal(person, &RecordContext::probe_template(subject, record, &made_by.model), face);
        new.record.subject = Some(subject);
        new.record.decision = decision;
        new.record.request.institution = institution.into();
        new.record.decided_at = at_day * DAY_MS;
        new.probe = Some(SealedProbe { template, sample: crate::store::Sealed(vec![2; 100]) });
        new.made_by = Some(made_by);
        self.store().record_verification(new).await.unwrap();
    }

    async fn turn(&self, indexes: &mut Indexes) -> Turn {
        self.searcher.turn(indexes).await.unwrap()
    }

    async fn flags(&self) -> Vec<FlagKind> {
        let flags = self.store().flags(&Listing { limit: 100, ..Listing::default() }).await.unwrap();
        flags.iter().map(|flag| flag.kind).collect()
    }

    async fn findings(&self) -> Vec<StoredFinding> {
        self.store().search_findings(0, 100).await.unwrap()
    }
}

/// A face: a direction of its own for each number, all nearly at right angles.
fn face(number: u64) -> Vec<f32> {
    let mut state = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / 16_777_216.0 - 0.5
    };
    let row: Vec<f32> = (0..DIMENSION).map(|_| next()).collect();
    let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
    row.iter().map(|x| x / length).collect()
}

/// Another picture of a face: its cosine with the face is about `score`.
fn like(number: u64, other: u64, score: f32) -> Vec<f32> {
    let across = (1.0 - score * score).sqrt();
    face(number).iter().zip(face(1_000 + other)).map(|(a, b)| a * score + b * across).collect()
}

fn advance(site: &Site, ms: i64) {
    site.surroundings.now_ms.fetch_add(ms, Ordering::SeqCst);
}

fn records(held: &Option<Held>) -> Vec<u8> {
    let index = held.as_ref().and_then(Held::index).unwrap();
    let mut records: Vec<u8> = index.entries().map(|entry| entry.record[0]).collect();
    records.sort_unstable();
    records
}
