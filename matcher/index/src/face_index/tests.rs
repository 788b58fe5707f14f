//! The index against an exact reference, and its refusals.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const DIMENSION: usize = 32;

fn settings() -> Settings {
    Settings { dimension: DIMENSION, expected: 0, exact_max: 10_000, bytes_max: 1 << 30, recall: 0.99, recall_above: 0.8 }
}

fn direction(random: &mut fastrand::Rng) -> Vec<f32> {
    let row: Vec<f32> = (0..DIMENSION).map(|_| random.f32() - 0.5).collect();
    let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
    row.iter().map(|x| x / length).collect()
}

fn entry(id: u64) -> Entry {
    // Ids of records are random; these are spread like them.
    let spread = u128::from(id.wrapping_mul(0x9E37_79B9_7F4A_7C15)) << 64 | u128::from(id + 1);
    Entry { subject: u128::from(id).to_be_bytes(), record: spread.to_be_bytes(), scope: 7 }
}

fn features(rows: &[Vec<f32>]) -> Features {
    let mut features = Features::new(DIMENSION).unwrap();
    rows.iter().for_each(|row| features.push(row).unwrap());
    features
}

/// An index of random templates.
fn filled(settings: Settings, count: u64, random: &mut fastrand::Rng) -> (FaceIndex, Vec<Vec<f32>>) {
    let rows: Vec<Vec<f32>> = (0..count).map(|_| direction(random)).collect();
    let mut index = FaceIndex::new(settings).unwrap();
    for (at, rows) in rows.chunks(700).enumerate() {
        let first = at as u64 * 700;
        index.add(&features(rows), &(first..).map(entry).take(rows.len()).collect::<Vec<_>>()).unwrap();
    }
    (index, rows)
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn an_exact_index_finds_what_comparing_with_all_finds(steps in prop::collection::vec((0_u8..3, 0_u64..30), 1..60), seed in any::<u64>()) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut index = FaceIndex::new(settings()).unwrap();
        let mut model: HashMap<u64, Vec<f32>> = HashMap::new();
        for (step, id) in steps {
            let row = direction(&mut random);
            match step {
                0 => {
                    let added = index.add(&features(std::slice::from_ref(&row)), &[entry(id)]);
                    prop_assert_eq!(added.is_ok(), !model.contains_key(&id));
                    model.entry(id).or_insert(row);
                }
                1 => prop_assert_eq!(index.remove(&[entry(id).record]).unwrap(), usize::from(model.remove(&id).is_some())),
                _ => {
                    let found = index.search(&features(std::slice::from_ref(&row)), 5).unwrap();
                    let mut expected: Vec<(f32, u64)> = model.iter().map(|(id, other)| (dot(&row, other), *id)).collect();
                    expected.sort_by(|a, b| b.0.total_cmp(&a.0));
                    expected.truncate(5);
                    prop_assert_eq!(found[0].len(), expected.len());
                    for (found, (score, id)) in found[0].iter().zip(expected) {
                        prop_assert_eq!(found.entry, entry(id));
                        prop_assert!((found.score - score).abs() < 1e-5);
                    }
                }
            }
            prop_assert_eq!(index.len(), model.len());
        }
    }
}

#[test]
fn an_index_that_passes_its_size_becomes_an_inverted_file_that_still_finds() {
    let mut random = fastrand::Rng::with_seed(3);
    let small = Settings { exact_max: 2_000, expected: 4_000, ..settings() };
    let (mut index, rows) = filled(small, 12_000, &mut random);
    let (lists, looks_into) = index.lists().unwrap();
    assert!(lists == 252 && looks_into > 1 && looks_into < lists, "{looks_into} of {lists}");
    assert!(index.bytes() < 12_000 * (DIMENSION as u64 + 88) + 40_000, "{}", index.bytes());
    let asked: Vec<usize> = (0..12_000).step_by(40).collect();
    let others: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
    let probes: Vec<Vec<f32>> = asked.iter().map(|at| blurred(&rows[*at], &others, 0.85, &mut random)).collect();
    let found = index.search(&features(&probes), 10).unwrap();
    let right = |(at, found): &(&usize, &Vec<Candidate>)| found.first().is_some_and(|best| best.entry == entry(**at as u64));
    let share = asked.iter().zip(&found).filter(right).count() as f64 / asked.len() as f64;
    assert!(share >= 0.97, "{share}");
    // Scores are near the exact ones, and removed records never come.
    for (probe, found) in probes.iter().zip(&found) {
        let best = found[0];
        let at = u128::from_be_bytes(best.entry.subject) as usize;
        assert!((best.score - dot(probe, &rows[at])).abs() < 0.02);
    }
    let gone: Vec<[u8; 16]> = asked.iter().map(|at| entry(*at as u64).record).collect();
    assert_eq!(index.remove(&gone).unwrap(), asked.len());
    let left = index.search(&features(&probes), 10).unwrap();
    assert!(left.iter().flatten().all(|candidate| !gone.contains(&candidate.entry.record)));
    assert!(!index.is_outgrown());
    index.compact().unwrap();
    let again = index.search(&features(&probes), 10).unwrap();
    assert_eq!(again, left);
    for (probe, row) in [(0, 3), (1, 7)] {
        let at = asked[probe] as u64;
        index.add(&features(&[rows[row].clone()]), &[Entry { scope: 9, ..entry(at) }]).unwrap();
    }
    assert_eq!(index.len(), 12_000 - asked.len() + 2);
}

#[test]
fn what_is_saved_comes_back_and_what_disagrees_does_not() {
    let mut random = fastrand::Rng::with_seed(5);
    for settings in [settings(), Settings { exact_max: 1_000, expected: 100, ..settings() }] {
        let (mut index, rows) = filled(settings, 3_000, &mut random);
        index.remove(&[entry(5).record, entry(900).record]).unwrap();
        let mut bytes = Vec::new();
        index.save(&mut bytes).unwrap();
        let mut again = FaceIndex::load(settings, &mut bytes.as_slice()).unwrap();
        assert_eq!((again.len(), again.lists(), again.is_exact()), (2_998, index.lists(), index.is_exact()));
        let probes = features(&rows[..50]);
        assert_eq!(again.search(&probes, 7).unwrap(), index.search(&probes, 7).unwrap());
        again.add(&features(&rows[5..6]), &[entry(5)]).unwrap();
        assert_eq!(again.remove(&[entry(5).record, entry(6).record]).unwrap(), 2);
        let load = |settings, bytes: &[u8]| FaceIndex::load(settings, &mut &bytes[..]).map(drop).map_err(|error| error.to_string());
        assert!(load(Settings { dimension: 33, ..settings }, &bytes).unwrap_err().contains("dimension"));
        assert!(load(Settings { bytes_max: 1_000, ..settings }, &bytes).unwrap_err().contains("identification.memory_mib"));
        assert!(load(settings, &bytes[..bytes.len() - 9]).is_err(), "cut off");
        assert!(load(settings, &bytes[..60]).is_err(), "cut off in the table");
        assert!(load(settings, &[&bytes[..], &[0; 200_000]].concat()).is_err(), "something behind it");
        let mut other = bytes.clone();
        other[0] ^= 1;
        assert!(load(settings, &other).unwrap_err().contains("version"));
        other.clone_from(&bytes);
        other[8] = 7;
        assert!(load(settings, &other).unwrap_err().contains("form"));
        // One entry fewer than templates.
        other.clone_from(&bytes);
        other[45..81].fill(0);
        assert!(load(settings, &other).unwrap_err().contains("one for each entry"));
    }
}

#[test]
fn a_stream_that_fails_is_an_error_and_nothing_hangs() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            if bytes.len() > 100 { Err(std::io::ErrorKind::StorageFull.into()) } else { Ok(bytes.len()) }
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let (index, _) = filled(settings(), 3_000, &mut fastrand::Rng::with_seed(1));
    assert!(matches!(index.save(&mut Full), Err(IndexError::Io(error)) if error.kind() == std::io::ErrorKind::StorageFull));
}

#[test]
fn what_the_engine_would_not_check_is_refused() {
    let mut random = fastrand::Rng::with_seed(1);
    let (mut index, rows) = filled(settings(), 10, &mut random);
    let said = |result: Result<(), IndexError>| result.unwrap_err().to_string();
    let one = features(&rows[..1]);
    assert!(said(index.add(&one, &[])).contains("one for each of 1 templates, got 0"));
    assert!(said(index.add(&one, &[entry(3)])).contains("entry 0 is"));
    assert!(said(index.add(&features(&rows[..2]), &[entry(20), entry(20)])).contains("entry 1 is"));
    assert_eq!(index.len(), 10, "nothing of a batch that is refused is added");
    index.add(&one, &[entry(20)]).unwrap();
    let mut short = Features::new(DIMENSION - 1).unwrap();
    short.push(&[&[1.0], &[0.0; DIMENSION - 2][..]].concat()).unwrap();
    assert!(said(index.search(&short, 1).map(drop)).contains("expected 32 numbers, got 31"));
    assert!(said(index.add(&short, &[entry(30)])).contains("expected 32 numbers, got 31"));
    for wrong in [0, CANDIDATES_MAX + 1] {
        assert!(said(index.search(&one, wrong).map(drop)).contains("candidates"));
    }
    assert_eq!(index.search(&one, 1_000).unwrap()[0].len(), 11, "no more than there are");
    assert_eq!(index.search(&Features::new(DIMENSION).unwrap(), 3).unwrap(), [] as [Vec<Candidate>; 0]);
    let mut empty = FaceIndex::new(settings()).unwrap();
    assert_eq!(empty.search(&one, 3).unwrap(), [Vec::new()]);
    assert_eq!(empty.remove(&[[9; 16]]).unwrap(), 0);
    let mut small = FaceIndex::new(Settings { bytes_max: 1_000, ..settings() }).unwrap();
    let error = said(small.add(&features(&rows), &(0..10).map(entry).collect::<Vec<_>>()));
    assert!(error.contains("10 entries") && error.contains("identification.memory_mib"), "{error}");
    assert!(small.is_empty());
}

#[test]
fn blurring_gives_the_score_that_was_asked_for() {
    let mut random = fastrand::Rng::with_seed(2);
    let (row, other) = (direction(&mut random), direction(&mut random));
    for score in [0.3, 0.5, 0.95] {
        let other = blurred(&row, &[&other], score, &mut random);
        assert!((dot(&row, &other) - score).abs() < 1e-4 && (dot(&other, &other) - 1.0).abs() < 1e-4);
    }
}
