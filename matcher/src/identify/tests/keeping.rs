//! Building, bringing up to date, saving and loading.

use super::*;
use crate::{
    identify::{IdentifyError, sealed},
    store::subjects::Forget,
};

#[tokio::test(flavor = "multi_thread")]
async fn indexes_follow_the_store_and_come_back_from_their_files() {
    let site = Site::new();
    for person in 1..=5 {
        site.enrol(person, "330200", &face(person.into())).await;
    }
    site.visit(1, 11, "pharmacy-1", &like(1, 1, 0.8), Decision::Match, 99).await;
    site.visit(1, 12, "pharmacy-1", &like(1, 2, 0.8), Decision::Match, 60).await;
    let mut indexes = Indexes::default();
    site.turn(&mut indexes).await;
    assert_eq!(records(&indexes.references), [1, 2, 3, 4, 5]);
    assert_eq!(records(&indexes.probes), [11], "the other visit is too long ago");
    assert_eq!(indexes.references.as_ref().unwrap().scope_size("330200"), 5);
    // What comes and goes later.
    site.enrol(6, "330300", &face(6)).await;
    site.visit(2, 13, "pharmacy-2", &like(2, 3, 0.8), Decision::Review, 100).await;
    site.store().revoke_photo(SubjectId([4; 16]), RecordId([4; 16]), 100 * DAY_MS).await.unwrap();
    let forget = Forget { subject: SubjectId([1; 16]), at: 100 * DAY_MS, tombstones: Vec::new(), pseudonym: [9; 32] };
    site.store().forget(forget).await.unwrap();
    let turn = site.turn(&mut indexes).await;
    assert!(turn.changes >= 5, "{turn:?}");
    let (references, probes) = (records(&indexes.references), records(&indexes.probes));
    assert_eq!((references.as_slice(), probes.as_slice()), (&[2, 3, 5, 6][..], &[13][..]));
    // Who was forgotten is out of the files at once.
    let path = |kind| sealed::path(&site.searcher.folder, kind);
    let vault = &site.searcher.center.vault;
    let saved = Searchable::ALL.map(|kind| sealed::header(vault, &path(kind)).unwrap().records);
    assert_eq!(saved, [4, 1]);
    // Another process, later: what came meanwhile is read after loading.
    site.enrol(7, "330200", &face(7)).await;
    let loaded = site.searcher.held(Searchable::Reference).await.unwrap();
    assert_eq!(records(&Some(loaded)), [2, 3, 5, 6, 7]);
    let mut again = Indexes::default();
    site.turn(&mut again).await;
    let held = again.references.as_mut().unwrap();
    assert_eq!((held.scope_size("330200"), held.scope_size("330300"), held.scope_size("none")), (4, 1, 0));
    let template = |face: &[f32]| {
        let made_by = site.made_by();
        Template::from_features(ModelId::new(&made_by.model).unwrap(), RecipeId::new(&made_by.recipe).unwrap(), face).unwrap()
    };
    let found = held.search(&site.searcher.center, &[template(&like(7, 4, 0.7))], 3).await.unwrap();
    assert!((found[0][0].record.record.0[0], found[0].len()) == (7, 3) && (found[0][0].score - 0.7).abs() < 0.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_disagrees_is_not_used() {
    let site = Site::new();
    for person in 1..=20 {
        site.enrol(person, "330200", &face(person.into())).await;
    }
    let (what, settings) = site.searcher.wanted(Searchable::Reference).unwrap();
    site.turn(&mut Indexes::default()).await;
    let path = sealed::path(&site.searcher.folder, Searchable::Reference);
    let vault = &site.searcher.center.vault;
    let good = std::fs::read(&path).unwrap();
    let load = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        sealed::load(vault, &path, &what, settings).map(|held| held.len())
    };
    assert_eq!(load(&good).unwrap(), 20);
    for at in [0, 9, 30, 200, good.len() / 2, good.len() - 1] {
        let mut altered = good.clone();
        altered[at] ^= 1;
        assert!(load(&altered).is_err(), "byte {at}");
        assert!(load(&good[..at]).is_err(), "cut at {at}");
    }
    // Nothing of a face stands in it: no eight numbers of a template one after another.
    let features: Vec<u8> = face(3).iter().take(8).flat_map(|number| number.to_le_bytes()).collect();
    assert!(!good.windows(features.len()).any(|window| window == features));
    let other = Vault::new(KeyEncryptionKey::new([9; 32]));
    assert!(matches!(sealed::header(&other, &path), Err(IdentifyError::Saved("its key does not open"))));
    let probes = site.searcher.wanted(Searchable::Probe).unwrap().0;
    load(&good).unwrap();
    assert!(matches!(sealed::load(vault, &path, &probes, settings), Err(IdentifyError::Saved(_))));
    // The process builds anew, whatever it finds.
    std::fs::write(&path, &good[..good.len() / 2]).unwrap();
    assert_eq!(site.searcher.held(Searchable::Reference).await.unwrap().len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_missed_changes_builds_again() {
    let site = Site::new();
    for person in 1..=3 {
        site.enrol(person, "330200", &face(person.into())).await;
    }
    let mut indexes = Indexes::default();
    site.turn(&mut indexes).await;
    for person in 4..=6 {
        site.enrol(person, "330200", &face(person.into())).await;
    }
    site.store().trim_feed(1).await.unwrap();
    let held = indexes.references.as_mut().unwrap();
    assert!(matches!(held.catch_up(&site.searcher.center).await, Err(IdentifyError::Behind)));
    site.turn(&mut indexes).await;
    assert_eq!(records(&indexes.references), [1, 2, 3, 4, 5, 6]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_searched_without_a_basis_and_memory_is_bounded() {
    let site = Site::with(&Policy::demonstration());
    assert!(matches!(site.searcher.turn(&mut Indexes::default()).await, Err(IdentifyError::NoBasis)));
    let mut site = Site::new();
    for person in 1..=3 {
        site.enrol(person, "330200", &face(person.into())).await;
    }
    let (what, settings) = site.searcher.wanted(Searchable::Reference).unwrap();
    let little = matcher_index::Settings { bytes_max: 5_000, ..settings };
    let refused = Held::build(&site.searcher.center, what, little, &|_, _| {}).await.unwrap_err();
    let why = std::error::Error::source(&refused).unwrap().to_string();
    assert!(why.contains("3 entries") && why.contains("identification.memory_mib"), "{why}");
    site.searcher.center.policies = Arc::new(Policies::demonstration(Arc::clone(&site.searcher.center.store)));
    assert!(matches!(site.searcher.wanted(Searchable::Probe), Err(IdentifyError::NoBasis)));
    assert!(site.dir.path().is_dir());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_is_tuned_when_there_are_enough_visits() {
    let site = Site::new();
    site.enrol(1, "330200", &face(1)).await;
    let mut held = site.searcher.held(Searchable::Reference).await.unwrap();
    let made_by = site.made_by();
    let of = |number: u64| {
        let (model, recipe) = (ModelId::new(&made_by.model).unwrap(), RecipeId::new(&made_by.recipe).unwrap());
        Template::from_features(model, recipe, &like(1, number, 0.8)).unwrap()
    };
    let visits: Vec<Template> = (1..=120).map(of).collect();
    held.tune(&visits[..99]).await.unwrap();
    assert!(!held.tuned);
    held.tune(&visits).await.unwrap();
    assert!(held.tuned && held.search(&site.searcher.center, &visits, 1).await.unwrap().iter().all(|found| found.len() == 1));
}
