//! The arithmetic and the rules.

use proptest::prelude::*;

use super::*;

fn file() -> FmrTableFile {
    let points = vec![(0.2, 90_000), (0.3, 3_000), (0.4, 100), (0.5, 30), (0.6, 3)];
    FmrTableFile { model: "m@1".into(), recipe: "r@1".into(), source: "local".into(), nonmated: 100_000_000, points }
}

#[track_caller]
fn check_threshold(fmr: f64, expected: Result<f32, &str>) {
    let given = file().check().unwrap().at_fmr(fmr);
    assert_eq!(given.map_err(|error| error.to_string()), expected.map_err(str::to_owned));
}

#[test]
fn a_threshold_keeps_the_rate_by_enough_local_errors() {
    check_threshold(1e-3, Ok(0.2));
    check_threshold(3e-5, Ok(0.3));
    check_threshold(1e-6, Ok(0.4));
    check_threshold(9.9e-7, Ok(0.5));
    check_threshold(3e-7, Ok(0.5));
    check_threshold(2.9e-7, Err("the trials fix false match rates down to 3e-7, and 2.9e-7 is needed"));
    let public = FmrTableFile { source: "public".into(), ..file() }.check().unwrap();
    assert_eq!(public.at_fmr(0.1), Err(NoThreshold::NotLocal));
    let few = FmrTableFile { nonmated: 29, points: vec![(0.1, 29)], ..file() }.check().unwrap();
    assert_eq!(few.at_fmr(0.5), Err(NoThreshold::TooFewTrials { reached: 1.0, wanted: 0.5 }));
}

#[track_caller]
fn check_refused(change: impl FnOnce(&mut FmrTableFile), expected: &str) {
    let mut file = file();
    change(&mut file);
    let error = file.check().unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn a_table_out_of_order_names_its_field() {
    check_refused(|file| file.model = "M".into(), "model: expected the id");
    check_refused(|file| file.recipe = String::new(), "recipe: expected the id");
    check_refused(|file| file.source = "mine".into(), "source: expected local or public");
    check_refused(|file| file.points = Vec::new(), "points: expected 1 to 64");
    check_refused(|file| file.points = vec![(0.5, 1); 65], "points: expected 1 to 64");
    check_refused(|file| file.points[1].0 = 0.2, "points[1]: expected a score");
    check_refused(|file| file.points[4].0 = 1.1, "points[4]: expected a score");
    check_refused(|file| file.points[0].0 = f32::NAN, "points[0]: expected a score");
    check_refused(|file| file.points[2].1 = 3_001, "points[2]: expected no more comparisons");
    check_refused(|file| file.nonmated = 89_999, "points[0]: expected no more comparisons");
    let table = file().check().unwrap();
    let of = |model, recipe| table.is_of(&ModelId::new(model).unwrap(), &RecipeId::new(recipe).unwrap());
    assert!(of("m@1", "r@1") && !of("m@2", "r@1") && !of("m@1", "r@2"));
}

#[test]
fn a_larger_scope_asks_for_a_rarer_score() {
    let table = file().check().unwrap();
    assert!((fmr_for(1_000_000, 0.01) - 1.005e-8).abs() < 1e-11, "{}", fmr_for(1_000_000, 0.01));
    assert!((fpir_of(1_000_000, 1e-6) - 0.632).abs() < 1e-3);
    assert_eq!(table.threshold(100, 0.01).unwrap(), 0.3, "1e-4 a comparison");
    assert_eq!(table.threshold(10_000, 0.01).unwrap(), 0.4, "1e-6 a comparison");
    assert!(matches!(table.threshold(1_000_000, 0.01), Err(NoThreshold::TooFewTrials { .. })));
}

fn seen(person: u8, matched: bool) -> Sighting<u8> {
    Sighting { person, matched, proxy: false }
}

#[track_caller]
fn check_same_face(sightings: &[Sighting<u8>], expected: bool) {
    assert_eq!(SameFaceRule::default().flags(sightings), expected, "{sightings:?}");
}

#[test]
fn one_face_on_three_cards_is_flagged_when_it_fails_two_of_them() {
    check_same_face(&[seen(1, true), seen(2, false), seen(3, false)], true);
    check_same_face(&[seen(1, false), seen(2, false), seen(3, false)], true);
    check_same_face(&[seen(1, false), seen(2, false)], false);
    check_same_face(&[seen(1, false), seen(1, false), seen(2, false)], false);
    // Twins and brothers, each with a card of their own that they match.
    check_same_face(&[seen(1, true), seen(2, true), seen(3, false)], false);
    // A card the face matched once may be its own, whatever the other visits scored.
    check_same_face(&[seen(1, true), seen(2, true), seen(2, false), seen(3, false)], false);
    // Somebody recorded as collecting for others.
    let proxy = Sighting { proxy: true, ..seen(3, false) };
    check_same_face(&[seen(1, true), seen(2, false), proxy], false);
}

#[test]
fn many_faces_are_three_at_least() {
    assert!(!is_many_faces(2, 2) && is_many_faces(3, 2) && !is_many_faces(3, 4) && is_many_faces(4, 4));
}

#[test]
fn duplicates_are_others_at_the_threshold_each_once() {
    let candidates = [(1, 0.99), (2, 0.5), (3, 0.49), (2, 0.7), (4, 0.6)];
    assert_eq!(duplicates(1, &candidates, 0.5), [(2, 0.7), (4, 0.6)]);
    assert_eq!(duplicates(9, &candidates, 0.8), [(1, 0.99)]);
}

proptest! {
    #[test]
    fn rates_of_searches_and_comparisons_are_each_other_s_inverse(people in 1_u64..10_000_000, fpir in 1e-6_f64..0.9) {
        let fmr = fmr_for(people, fpir);
        prop_assert!((fpir_of(people, fmr) - fpir).abs() < 1e-9);
        prop_assert!(fmr <= fpir && fmr >= fpir / people as f64 * 0.999);
    }

    #[test]
    fn more_people_never_lower_a_threshold(a in 1_u64..1_000_000, b in 1_u64..1_000_000, fpir in 0.001_f64..0.5) {
        let table = file().check().unwrap();
        let (few, many) = (a.min(b), a.max(b));
        match (table.threshold(few, fpir), table.threshold(many, fpir)) {
            (Ok(few), Ok(many)) => prop_assert!(few <= many),
            (few, many) => prop_assert!(few.is_ok() || many.is_err()),
        }
    }

    #[test]
    fn fewer_sightings_never_raise_a_flag_and_matches_never_do(people in prop::collection::vec((0_u8..5, any::<bool>(), any::<bool>()), 0..12), at in 0_usize..12) {
        let sightings: Vec<_> = people.iter().map(|(person, matched, proxy)| Sighting { person: *person, matched: *matched, proxy: *proxy }).collect();
        let rule = SameFaceRule::default();
        let flags = rule.flags(&sightings);
        let matching: Vec<_> = sightings.iter().map(|sighting| Sighting { matched: true, ..*sighting }).collect();
        prop_assert!(!rule.flags(&matching));
        if at < sightings.len() {
            let mut proxied = sightings.clone();
            proxied[at].proxy = true;
            let without: Vec<_> = sightings.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, sighting)| *sighting).collect();
            prop_assert_eq!(rule.flags(&proxied), rule.flags(&without), "a proxy is as if it had not been");
        }
        let mut turned = sightings;
        turned.reverse();
        prop_assert_eq!(rule.flags(&turned), flags);
    }
}
