//! Policies that are in order, and those that are refused with the field's name.

use models_core::Component;
use proptest::prelude::*;

use super::*;
use crate::decision::{NoDecision, told};

/// The shipped policy as a demonstration, for a model and recipe, with bands at 0.50 and 0.30 and no attack rule.
pub(crate) fn text(model: &str, recipe: &str) -> String {
    Policy::demonstration()
        .replace("faceplugin-mfn512@1", model)
        .replace("arcface5x3-bgr-flip-f3@1", recipe)
        .replace("\nretry_below = 0.5", "\n# retry_below = 0.5")
}

#[track_caller]
fn check(from: &str, to: &str, expected: &str) {
    let text = text("m@1", "r@1");
    assert!(text.contains(from), "{from}");
    let error = Policy::from_toml(&text.replacen(from, to, 1)).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn a_policy_that_is_not_in_order_names_the_field() {
    check("match_at_least = 0.50", "match_at_least = 1.5", "thresholds[0].match_at_least: expected a score from -1 to 1");
    check("non_match_below = 0.30", "non_match_below = 0.6", "thresholds[0].non_match_below: expected a score");
    check("source = \"public\"", "source = \"hearsay\"", "thresholds[0].trials.source: expected one of public, local");
    check("nonmated_errors = 1", "nonmated_errors = 20000", "thresholds[0].trials.nonmated_errors: expected at most as many");
    check("mode = \"demonstration\"", "mode = \"loud\"", "mode: expected one of shadow, live, demonstration");
    check("version = \"demonstration-1\"", "version = \"a b\"", "version: expected 1 to 64 printable ASCII characters");
    check("version = \"demonstration-1\"", "version = \"v\"\nextra = 1", "unknown field `extra`");
    check("match_fmr = 0.001", "match_fmr = 0.0", "target.match_fmr: expected a rate above 0, at most 0.5");
    check("non_match_fnmr = 0.001", "non_match_fnmr = 0.6", "target.non_match_fnmr: expected a rate above 0");
    check("# retry_below = 0.5", "retry_below = 2.0", "attack.retry_below: expected a number from 0 to 1");
    check("# suspect_below = 0.01", "suspect_below = 0.1", "attack.retry_below: expected a number where suspect_below is given");
    check("# retry_below = 0.5", "retry_below = 0.2\nsuspect_below = 0.3", "attack.suspect_below: expected a number from 0 to retry");
    check("eyes_open = 12", "charm = 12", "probe.gate.charm: expected a component of quality");
    check("eyes_open = 12", "eyes_open = 101", "probe.gate.eyes_open: expected a number from 0 to 100");
    check("[probe.floor]", "[probe.floor]\nsharpness = 90", "probe.floor.sharpness: expected nothing above the gate");
    check("version = \"notice-1\"", "version = \"\"", "notice.version: expected 1 to 64");
    check("enabled = false", "enabled = true", "cross_card_search.basis: expected what it rests on");
    check("model = \"m@1\"", "model = \"m@2\"", "thresholds: expected a [[thresholds]] table for model m@2 and recipe r@1");
}

#[test]
fn a_scene_that_is_not_in_order_names_the_field() {
    check("no_reference = \"document_check\"", "", "disposition.no_reference: expected one of settle");
    check("match = \"settle\"", "match = \"wave_through\"", "disposition.match: expected one of settle, settle_flagged");
    check("match = \"settle\"", "match = \"settle\"\nmaybe = \"hold\"", "disposition.maybe: expected one of match, review");
    check("[scenes.reception]", "[scenes.ward]", "scenes.ward: expected a known scene: registration, reception");
    check("attempts_max = 3", "attempts_max = 0", "scenes.registration.attempts_max: expected a number from 1 to 99");
    check("basis = \"legal_duty\"", "basis = \"custom\"", "scenes.registration.basis: expected one of legal_duty, public_task, consent");
    check("basis = \"legal_duty\"", "basis = \"consent\"", "notice.consent_version: expected a version where a scene rests on consent");
    check(
        "reference_age_max_days = 7300",
        "reference_age_max_days = 1",
        "scenes.registration.reference_age_max_days: expected a number from 30",
    );
    check("valid_seconds = 900", "valid_seconds = 901", "scenes.registration.receipt.valid_seconds: expected a number from 1 to 900");
    check("settlements_max = 1", "settlements_max = 0", "scenes.registration.receipt.settlements_max: expected a number from 1 to 20");
    check("serves = [\"settlement\"]", "serves = [\"shop\"]", "scenes.reception.receipt.serves: expected one of registration");
    check("hours_max = 24", "hours_max = 169", "scenes.registration.degraded.hours_max: expected a number from 1 to 168");
    check("principals_per_day_max = 1", "principals_per_day_max = 21", "scenes.registration.proxy.principals_per_day_max: expected");
    check("operator_per_day_max = 10", "operator_per_day_max = 1001", "scenes.registration.overrides.per_operator_per_day_max: expected");
    let own = "[scenes.transfer.disposition]\nnon_match = \"hold\"\n";
    let error = Policy::from_toml(&format!("{}\n{own}", text("m@1", "r@1"))).unwrap_err().to_string();
    assert!(error.contains("scenes.transfer.disposition.non_match: expected one of settle_flagged, document_check"), "{error}");
}

#[test]
fn the_shipped_policy_tells_nobody_and_has_no_non_match() {
    let shipped = Policy::from_toml(Policy::SHIPPED).unwrap();
    assert_eq!((shipped.mode(), shipped.provisional(), shipped.cross_card_search().basis), (Mode::Shadow, true, None));
    let bands = shipped.thresholds(Scene::Settlement, shipped.model(), shipped.recipe()).unwrap();
    assert_eq!((bands.match_at_least, bands.non_match_below), (0.50, None));
    for score in [-1.0, 0.0, 0.49] {
        assert_eq!(bands.band(SimilarityScore::new(score).unwrap()), Decision::Review);
    }
}

#[test]
fn a_demonstration_tells_its_decisions_and_says_that_nothing_was_calibrated() {
    let policy = Policy::from_toml(&Policy::demonstration()).unwrap();
    assert_eq!((policy.version(), policy.mode(), policy.provisional()), ("demonstration-1", Mode::Demonstration, true));
    assert_eq!(policy.thresholds(Scene::Transfer, policy.model(), policy.recipe()).unwrap().non_match_below, Some(0.30));
}

const PUBLIC: &str = "trials = { source = \"public\", nonmated = 19420, nonmated_errors = 1, mated = 281, mated_errors = 0 }";

/// The shipped policy with other trials, perhaps a lower band, and a mode.
fn with(trials: &str, non_match: bool, mode: &str, accepted: bool) -> Result<Policy, PolicyError> {
    let mut text = Policy::SHIPPED.replacen(PUBLIC, trials, 1).replacen("mode = \"shadow\"", &format!("mode = \"{mode}\""), 1);
    assert!(text.contains(trials));
    if non_match {
        text = text.replacen("# non_match_below = 0.30", "non_match_below = 0.30", 1);
    }
    if accepted {
        text = text.replacen("# [accepted]\n# by = \"name\"\n# on = \"2026-11-22\"", "[accepted]\nby = \"陈静\"\non = \"2026-11-22\"", 1);
    }
    Policy::from_toml(&text.replacen(UNCALIBRATED, trials, 1))
}

/// What the shipped thresholds of chips rest on.
const UNCALIBRATED: &str = "trials = { source = \"public\", nonmated = 0, nonmated_errors = 0, mated = 0, mated_errors = 0 }";

#[test]
fn thresholds_of_chips_are_held_to_the_same() {
    let text = text("m@1", "r@1").replacen("# non_match_below = 0.30", "", 1);
    let chips = text.replacen("[[chip_thresholds]]", "[[chip_thresholds]]\nmatch_at_most = 1.0", 1);
    assert!(Policy::from_toml(&chips).unwrap_err().to_string().contains("unknown field `match_at_most`"));
    let shadow = Policy::SHIPPED.replacen(UNCALIBRATED, &format!("non_match_below = 0.1\n{UNCALIBRATED}"), 1);
    let error = Policy::from_toml(&shadow).unwrap_err().to_string();
    assert!(error.contains("chip_thresholds[0].non_match_below: expected to be left out"), "{error}");
    let without = text.split("[[chip_thresholds]]").next().unwrap().to_owned() + "[attack]\n" + text.split_once("[attack]\n").unwrap().1;
    let policy = Policy::from_toml(&without).unwrap();
    assert_eq!(policy.chip_thresholds(Scene::Settlement, policy.model(), policy.recipe()), None);
}

#[test]
fn a_policy_that_is_older_than_the_ways_has_their_dispositions() {
    let rows =
        ["other_way", "document_checked", "document_not_the_person", "proxy", "proxy_not_compared", "proxy_not_allowed", "proxy_limit"];
    // A scene has a table named `proxy` too.
    let older = |line: &&str| !rows.iter().any(|row| line.starts_with(&format!("{row} = \"")));
    let text: String = text("m@1", "r@1").lines().filter(older).map(|line| format!("{line}\n")).collect();
    let (older, newer) = (Policy::from_toml(&text).unwrap(), Policy::from_toml(Policy::SHIPPED).unwrap());
    for decision in Decision::all() {
        let of = |policy: &Policy| policy.scene(Scene::Settlement).disposition(decision);
        assert_eq!(of(&older), of(&newer), "{decision:?}");
    }
}

#[test]
fn a_non_match_band_needs_thirty_local_mated_errors() {
    let trials = |source: &str, errors: u64| {
        format!("trials = {{ source = \"{source}\", nonmated = 0, nonmated_errors = 0, mated = 40000, mated_errors = {errors} }}")
    };
    assert!(with(&trials("local", 30), true, "shadow", false).is_ok());
    for (source, errors) in [("local", 29), ("local", 41), ("public", 30)] {
        let error = with(&trials(source, errors), true, "shadow", false).unwrap_err().to_string();
        assert!(error.contains("thresholds[0].non_match_below: expected to be left out"), "{error}");
        assert!(with(&trials(source, errors), false, "shadow", false).is_ok());
    }
}

#[test]
fn decisions_count_once_local_trials_were_accepted_by_name() {
    let local = "trials = { source = \"local\", nonmated = 100000, nonmated_errors = 33, mated = 40000, mated_errors = 40 }";
    let live = with(local, true, "live", true).unwrap();
    assert!(!live.provisional());
    assert_eq!(live.accepted().unwrap().by, "陈静");
    let error = with(local, true, "live", false).unwrap_err().to_string();
    assert!(error.contains("accepted: expected who accepted the calibration"), "{error}");
    let error = with(PUBLIC, false, "live", true).unwrap_err().to_string();
    assert!(error.contains("thresholds[0].trials: expected local trials with at least 30 non-mated errors"), "{error}");
    let error = with(&local.replace("errors = 33", "errors = 34"), false, "live", true).unwrap_err().to_string();
    assert!(error.contains("at a rate of at most 3.334e-4 a comparison"), "three attempts share the target: {error}");
}

#[test]
fn who_accepted_it_is_a_name_and_a_day() {
    let commented = "# [accepted]\n# by = \"name\"\n# on = \"2026-11-22\"";
    let check = |by: &str, on: &str, expected| check(commented, &format!("[accepted]\nby = \"{by}\"\non = \"{on}\""), expected);
    for by in ["", " ", "a\\u0007b", &"陈".repeat(65)] {
        check(by, "2026-11-22", "accepted.by: expected a name of 1 to 64 characters");
    }
    for on in ["2026-11-2", "2026-11-222", "2026/11/22", "2026-1a-22"] {
        check("陈静", on, "accepted.on: expected a day");
    }
}

#[test]
fn what_people_are_told_and_asked_is_the_policys() {
    let text = text("m@1", "r@1").replacen("consent_version = \"\"", "consent_version = \"consent-1\"", 1);
    let policy = Policy::from_toml(&text.replacen("basis = \"legal_duty\"", "basis = \"consent\"", 1)).unwrap();
    assert_eq!(policy.notices(), &Notices { notice: "notice-1".into(), consent: "consent-1".into() });
    assert!(policy.asks_consent(Scene::Registration) && !policy.asks_consent(Scene::Settlement));
}

#[test]
fn models_are_named_once_each() {
    let band = |model: &str, scenes: &str| {
        format!(
            "[[thresholds]]\nmodel = \"{model}\"\nrecipe = \"r@1\"\nscenes = [{scenes}]\nmatch_at_least = 0.6\n\
             trials = {{ source = \"public\", nonmated = 0, nonmated_errors = 0, mated = 0, mated_errors = 0 }}\n"
        )
    };
    let bands = format!("{}{}[attack]\n", band("m@2", ""), band("m@1", "\"transfer\""));
    let policy = Policy::from_toml(&text("m@1", "r@1").replacen("[attack]\n", &bands, 1)).unwrap();
    let models: Vec<&str> = policy.models().map(|(model, _)| model.as_str()).collect();
    assert_eq!(models, ["m@1", "m@2"]);
}

#[test]
fn a_floor_may_be_as_high_as_the_gate() {
    let text = text("m@1", "r@1").replacen("[probe.floor]", "[probe.floor]\nsharpness = 15", 1);
    assert_eq!(Policy::from_toml(&text).unwrap().scene(Scene::Transfer).probe.floor.at_least(Component::Sharpness), Some(15));
}

#[test]
fn a_score_at_a_threshold_is_in_the_band_above() {
    let policy = Policy::from_toml(&text("m@1", "r@1")).unwrap();
    let bands = policy.thresholds(Scene::Settlement, policy.model(), policy.recipe()).unwrap();
    let at = |score| bands.band(SimilarityScore::new(score).unwrap());
    assert_eq!((at(0.50), at(0.30), at(0.30_f32.next_down())), (Decision::Match, Decision::Review, Decision::NonMatch));
}

#[test]
fn a_policy_may_carry_what_scores_say_as_evidence() {
    let shipped = Policy::from_toml(Policy::SHIPPED).unwrap();
    assert!(shipped.evidence().is_none());
    let calibration = "{ trials_mated = 1, trials_nonmated = 1, points = [[0.0, 2.0], [1.0, -2.0]] }";
    let table = |model: &str| {
        format!(
            "[[evidence]]\nmodel = \"{model}\"\nrecipe = \"r@1\"\nsame_face_at_least = 0.4\nprobe_reference = {calibration}\nprobe_probe = {calibration}\n"
        )
    };
    let with = |tables: &str| Policy::from_toml(&format!("{}\n{tables}", text("m@1", "r@1")));
    assert!(with(&table("m@2")).unwrap().evidence().is_none(), "another model's scores say nothing here");
    assert_eq!(with(&format!("{}{}", table("m@2"), table("m@1"))).unwrap().evidence().unwrap().model().as_str(), "m@1");
    let error = with(&table("m@1").replace("0.4", "4.0")).unwrap_err().to_string();
    assert!(error.contains("evidence[0].same_face_at_least: expected a score from -1 to 1"), "{error}");
}

#[test]
fn a_scene_may_have_rules_of_its_own() {
    let own = "[scenes.transfer.disposition]\nreview = \"document_check\"\n[scenes.transfer.attack]\nretry_below = 0.7\n\
               [scenes.transfer.probe.gate]\nsharpness = 50\n";
    let bands = "[[thresholds]]\nmodel = \"m@1\"\nrecipe = \"r@1\"\nscenes = [\"transfer\"]\nmatch_at_least = 0.6\n\
                 trials = { source = \"public\", nonmated = 0, nonmated_errors = 0, mated = 0, mated_errors = 0 }\n[attack]\n";
    let text = format!("{}\n{own}", text("m@1", "r@1").replacen("[attack]\n", bands, 1));
    let policy = Policy::from_toml(&text).unwrap();
    let (model, recipe) = (policy.model(), policy.recipe());
    let at_least = |scene| policy.thresholds(scene, model, recipe).unwrap().match_at_least;
    assert_eq!((at_least(Scene::Transfer), at_least(Scene::Settlement)), (0.6, 0.5));
    let (transfer, settlement) = (policy.scene(Scene::Transfer), policy.scene(Scene::Settlement));
    assert_eq!(transfer.disposition(Decision::Review), Disposition::DocumentCheck);
    assert_eq!(settlement.disposition(Decision::Review), Disposition::SettleFlagged);
    assert_eq!(transfer.attack, Some(AttackRule { retry_below: 0.7, suspect_below: 0.0 }));
    assert_eq!(settlement.attack, None);
    assert_eq!((transfer.probe.gate.iter().count(), settlement.probe.gate.iter().count()), (1, 11));
    assert_eq!((policy.models().count(), policy.scene(Scene::Reception).receipt.serves.len()), (1, 2));
}

/// Every decision and reason in every scene and mode, as the shipped policy has it.
#[test]
fn every_decision_of_every_scene_and_mode_has_a_disposition() {
    use Disposition::{DocumentCheck, Hold, OtherWay, Retry, Settle, SettleFlagged};
    use NoDecision as No;
    let rows: [(Decision, Disposition); 22] = [
        (Decision::Match, Settle),
        (Decision::Review, SettleFlagged),
        (Decision::NonMatch, DocumentCheck),
        (Decision::NoDecision(No::NoReference), DocumentCheck),
        (Decision::NoDecision(No::FailureToAcquire), OtherWay),
        (Decision::NoDecision(No::SeveralFaces), OtherWay),
        (Decision::NoDecision(No::AttackSuspected), DocumentCheck),
        (Decision::NoDecision(No::LiveUnclear), Retry),
        (Decision::NoDecision(No::LiveNotAssessed), Retry),
        (Decision::NoDecision(No::ModelMismatch), OtherWay),
        (Decision::NoDecision(No::ReferenceUnreadable), DocumentCheck),
        (Decision::NoDecision(No::ReferenceTooOld), DocumentCheck),
        (Decision::NoDecision(No::ConsentMissing), OtherWay),
        (Decision::NoDecision(No::ConsentWithdrawn), OtherWay),
        (Decision::NoDecision(No::CenterUnreachable), SettleFlagged),
        (Decision::NoDecision(No::OtherWay), Settle),
        (Decision::NoDecision(No::DocumentChecked), Settle),
        (Decision::NoDecision(No::DocumentNotThePerson), Hold),
        (Decision::NoDecision(No::Proxy), Settle),
        (Decision::NoDecision(No::ProxyNotCompared), DocumentCheck),
        (Decision::NoDecision(No::ProxyNotAllowed), Hold),
        (Decision::NoDecision(No::ProxyLimit), Hold),
    ];
    assert!(Decision::all().eq(rows.iter().map(|(decision, _)| *decision)), "a decision without a row");
    let modes = [(Mode::Shadow, Policy::SHIPPED.to_owned()), (Mode::Demonstration, Policy::demonstration())];
    for (mode, text) in modes {
        let policy = Policy::from_toml(&text).unwrap();
        assert_eq!(policy.mode(), mode);
        for scene in Scene::ALL {
            for (decision, expected) in rows {
                let disposition = policy.scene(*scene).disposition(decision);
                assert_eq!(disposition, expected, "{decision:?} in {scene:?}");
                assert_eq!(told(mode, disposition), if mode == Mode::Shadow { Settle } else { expected });
                assert_eq!(told(Mode::Live, disposition), expected);
            }
        }
    }
}

proptest! {
    #[test]
    fn bands_are_in_order_and_leave_no_gap(upper in -1.0_f32..=1.0, width in 0.0_f32..=2.0, score in -1.0_f32..=1.0, has_lower: bool) {
        let trials = Trials { source: Source::Public, nonmated: 0, nonmated_errors: 0, mated: 0, mated_errors: 0 };
        let lower = (upper - width).max(-1.0);
        let bands = Thresholds { match_at_least: upper, non_match_below: has_lower.then_some(lower), trials };
        let expected = if score >= upper {
            Decision::Match
        } else if has_lower && score < lower {
            Decision::NonMatch
        } else {
            Decision::Review
        };
        prop_assert_eq!(bands.band(SimilarityScore::new(score).unwrap()), expected);
    }

    #[test]
    fn arbitrary_text_is_refused_and_never_panics(text in "\\PC{0,200}") {
        prop_assert!(Policy::from_toml(&text).is_err());
    }
}

#[test]
fn a_policy_may_carry_false_match_rates_of_its_model() {
    let shipped = Policy::from_toml(Policy::SHIPPED).unwrap();
    assert!(shipped.false_matches().is_none());
    let (model, recipe) = (shipped.model(), shipped.recipe());
    let table = |model: &str, score: f32| {
        format!(
            "\n[[false_matches]]\nmodel = \"{model}\"\nrecipe = \"{recipe}\"\nsource = \"local\"\nnonmated = 1000000\npoints = [[{score}, 40]]\n"
        )
    };
    let with = |tables: &str| Policy::from_toml(&format!("{}{tables}", Policy::SHIPPED));
    assert!(with(&table("other@1", 0.4)).unwrap().false_matches().is_none());
    let policy = with(&format!("{}{}", table("other@1", 0.4), table(model.as_str(), 0.5))).unwrap();
    assert_eq!(policy.false_matches().unwrap().at_fmr(1e-4).unwrap(), 0.5);
    let error = with(&table(model.as_str(), 1.5)).unwrap_err().to_string();
    assert!(error.contains("false_matches[0].points[0]: expected a score"), "{error}");
}
