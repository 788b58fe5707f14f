//! From trials to a policy: the bands that keep target error rates, written into a policy's text.

use matcher_core::{Mode, Policy, PolicyError, policy::Source};
use models::{ModelId, RecipeId};
use serde::Serialize;
use thiserror::Error;
use toml_edit::{ArrayOfTables, DocumentMut, InlineTable, Item, Table, value};

use crate::metrics::{RESOLVED_ERRORS, Scores, per_comparison_fmr};

/// Scores in a policy have this many steps to 1: four decimals.
const STEPS: f64 = 10_000.0;

/// What is asked of the bands.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Target {
    /// Largest false match rate of a transaction, 0–1.
    pub fmr: f64,
    /// Attempts a transaction may have.
    pub attempts: u32,
    /// Largest false non-match rate at the lower band, 0–1.
    pub fnmr: f64,
    /// Whose faces the trials are of.
    #[serde(serialize_with = "word")]
    pub source: Source,
    /// Whether thresholds that rest on fewer than 30 errors are taken all the same.
    pub accept_unresolved: bool,
}

impl Target {
    /// Largest false match rate of one comparison: 1 − (1 − FMR)^(1/attempts).
    #[must_use]
    pub fn per_comparison(&self) -> f64 {
        per_comparison_fmr(self.fmr, self.attempts)
    }
}

fn word<S: serde::Serializer>(source: &Source, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(source.word())
}

/// Bands, and what they rest on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Calibration {
    /// What was asked.
    pub target: Target,
    /// Largest false match rate of one comparison.
    pub fmr_per_comparison: f64,
    /// Score at and above which the decision is a match; rounded up to four decimals.
    pub match_at_least: f64,
    /// Non-mated comparisons that reach it.
    pub false_matches: u64,
    /// Non-mated comparisons.
    pub comparisons_nonmated: u64,
    /// Whether at least 30 of them fix the threshold.
    pub resolved: bool,
    /// Score below which the decision is a non-match; rounded down to four decimals. Null where the trials do not
    /// resolve it: then there is only review below the upper band.
    pub non_match_below: Option<f64>,
    /// Mated comparisons below the score that the target gives.
    pub false_non_matches: u64,
    /// Mated comparisons.
    pub comparisons_mated: u64,
}

/// Trials, or a policy, that give no bands.
#[derive(Debug, Error)]
pub enum CalibrationError {
    /// The trials do not reach the target: it allows less than one false match.
    #[error(
        "fmr: expected a target that allows at least one false match, got {target:.3e} a comparison with {comparisons} non-mated \
         comparisons; at least {needed} would resolve it"
    )]
    Unreached {
        /// Per comparison.
        target: f64,
        /// Non-mated comparisons.
        comparisons: u64,
        /// How many would do.
        needed: u64,
    },
    /// The threshold rests on fewer than 30 false matches.
    #[error(
        "fmr: expected at least {RESOLVED_ERRORS} false matches at the threshold, got {errors} of {comparisons} non-mated comparisons; \
         at least {needed} would resolve it, or take it as it is with --accept-unresolved"
    )]
    Unresolved {
        /// False matches at the threshold.
        errors: u64,
        /// Non-mated comparisons.
        comparisons: u64,
        /// How many would do.
        needed: u64,
    },
    /// The policy's text is no TOML.
    #[error("policy: expected TOML")]
    Toml(#[source] Box<toml_edit::TomlError>),
    /// The new policy would not be in order.
    #[error("the calibrated policy is not in order")]
    Policy(#[source] PolicyError),
}

/// Sets the bands.
///
/// The upper one is the smallest threshold whose false match rate stays within the target; the lower one the largest whose
/// false non-match rate does, never above the upper. A lower band that fewer than 30 errors fix is left out, unless
/// unresolved points are accepted and it rests on at least one.
///
/// # Errors
/// When the trials do not resolve the upper band.
pub fn calibrate(mated: &Scores, nonmated: &Scores, target: Target) -> Result<Calibration, CalibrationError> {
    let ranked = nonmated.ranked();
    let fmr_per_comparison = target.per_comparison();
    let threshold = ranked.threshold_for_at_or_above(fmr_per_comparison);
    let (errors, comparisons) = (ranked.at_or_above(threshold).errors, ranked.total());
    let needed = (RESOLVED_ERRORS as f64 / fmr_per_comparison).ceil() as u64;
    if errors == 0 {
        return Err(CalibrationError::Unreached { target: fmr_per_comparison, comparisons, needed });
    }
    let resolved = errors >= RESOLVED_ERRORS;
    if !resolved && !target.accept_unresolved {
        return Err(CalibrationError::Unresolved { errors, comparisons, needed });
    }
    let match_at_least = ((f64::from(threshold) * STEPS).ceil() / STEPS).min(1.0);
    let mated = mated.ranked();
    let below = mated.threshold_for_below(target.fnmr);
    let false_non_matches = below.map_or(0, |below| mated.below(below).errors);
    let enough = if target.accept_unresolved { 1 } else { RESOLVED_ERRORS };
    let non_match_below = below.filter(|_| false_non_matches >= enough).map(|below| (f64::from(below) * STEPS).floor() / STEPS);
    Ok(Calibration {
        target,
        fmr_per_comparison,
        match_at_least,
        false_matches: errors,
        comparisons_nonmated: comparisons,
        resolved,
        non_match_below: non_match_below.map(|below| below.clamp(-1.0, match_at_least)),
        false_non_matches,
        comparisons_mated: mated.total(),
    })
}

/// Writes bands, the trials they rest on and their targets into a policy's text. Everything else stays, comments and mode
/// too. A non-match band is written where the policy may have it: from 30 local errors on, or to demonstrate. Without a
/// version of the caller's the number at its end goes up by one.
///
/// # Errors
/// When the text is no policy, before or after.
pub fn policy_text(
    policy: &str,
    model: &ModelId,
    recipe: &RecipeId,
    calibration: &Calibration,
    version: Option<&str>,
) -> Result<String, CalibrationError> {
    let mut document: DocumentMut = policy.parse().map_err(|error| CalibrationError::Toml(Box::new(error)))?;
    let old = document.get("version").and_then(Item::as_str).unwrap_or_default().to_owned();
    set(document.as_table_mut(), "version", version.map_or_else(|| next_version(&old), str::to_owned).into());
    let demonstrates = document.get("mode").and_then(Item::as_str) == Some(Mode::Demonstration.word());
    let allowed = demonstrates || (calibration.target.source == Source::Local && calibration.false_non_matches >= RESOLVED_ERRORS);
    let calibration = &Calibration { non_match_below: calibration.non_match_below.filter(|_| allowed), ..*calibration };
    if let Some(target) = document.get_mut("target").and_then(Item::as_table_like_mut) {
        target.insert("match_fmr", value(calibration.target.fmr));
        target.insert("non_match_fnmr", value(calibration.target.fnmr));
    }
    let tables = document.entry("thresholds").or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    if let Some(tables) = tables.as_array_of_tables_mut() {
        let is_ours = |table: &Table| {
            let is = |key: &str, id: &str| table.get(key).and_then(Item::as_str) == Some(id);
            is("model", model.as_str()) && is("recipe", recipe.as_str())
        };
        let place = tables.iter().position(is_ours);
        match place.and_then(|at| tables.get_mut(at)) {
            Some(table) => bands(table, calibration),
            None => {
                let mut table = Table::new();
                table.insert("model", value(model.as_str()));
                table.insert("recipe", value(recipe.as_str()));
                bands(&mut table, calibration);
                tables.push(table);
            }
        }
    }
    let text = document.to_string();
    Policy::from_toml(&text).map_err(CalibrationError::Policy)?;
    Ok(text)
}

fn bands(table: &mut Table, calibration: &Calibration) {
    let Calibration { false_matches, comparisons_nonmated, false_non_matches, comparisons_mated, target, .. } = calibration;
    let mut upper: toml_edit::Value = calibration.match_at_least.into();
    upper.decor_mut().set_suffix(format!(
        " # {false_matches} of {comparisons_nonmated} non-mated comparisons; false match rate {:.3e} a comparison, {:.3e} in {} attempts",
        calibration.fmr_per_comparison, target.fmr, target.attempts
    ));
    set(table, "match_at_least", upper);
    match calibration.non_match_below {
        Some(below) => {
            let mut lower: toml_edit::Value = below.into();
            lower.decor_mut().set_suffix(format!(" # {false_non_matches} of {comparisons_mated} mated comparisons"));
            set(table, "non_match_below", lower);
        }
        None => {
            table.remove("non_match_below");
        }
    }
    let mut trials = InlineTable::new();
    let count = |number: u64| toml_edit::Value::from(i64::try_from(number).unwrap_or(i64::MAX));
    trials.insert("source", target.source.word().into());
    trials.insert("nonmated", count(*comparisons_nonmated));
    trials.insert("nonmated_errors", count(*false_matches));
    trials.insert("mated", count(*comparisons_mated));
    // Without a band nothing lies below it.
    trials.insert("mated_errors", count(if calibration.non_match_below.is_some() { *false_non_matches } else { 0 }));
    set(table, "trials", trials.into());
}

/// Replaces a value and keeps the comment above it.
fn set(table: &mut Table, key: &str, mut new: toml_edit::Value) {
    match table.get_mut(key).and_then(Item::as_value_mut) {
        Some(old) => {
            if new.decor().suffix().is_none() {
                *new.decor_mut() = old.decor().clone();
            } else {
                new.decor_mut().set_prefix(" ");
            }
            *old = new;
        }
        None => {
            table.insert(key, Item::Value(new));
        }
    }
}

fn next_version(old: &str) -> String {
    let digits = old.len() - old.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let (name, number) = old.split_at(old.len() - digits);
    match number.parse::<u64>() {
        Ok(number) => format!("{name}{}", number.saturating_add(1)),
        Err(_) => format!("{old}-2"),
    }
}

#[cfg(test)]
mod tests {
    use matcher_core::Scene;

    use super::*;
    use crate::metrics::Comparison;

    fn scores(scores: impl IntoIterator<Item = f32>) -> Scores {
        Scores::new(scores.into_iter().map(|score| Comparison { score, subjects: [0, 1] }).collect())
    }

    /// 10,000 non-mated scores 0.0000, 0.0001, …, and as many mated ones from 0.3 up.
    fn trials() -> (Scores, Scores) {
        let steps = || (0..10_000_u16).map(|i| f32::from(i) / 10_000.0);
        (scores(steps().map(|score| 0.3 + score * 0.7)), scores(steps()))
    }

    const TARGET: Target = Target { fmr: 0.01, attempts: 1, fnmr: 0.01, source: Source::Local, accept_unresolved: false };

    #[test]
    fn bands_keep_their_targets() {
        let (mated, nonmated) = trials();
        let got = calibrate(&mated, &nonmated, TARGET).unwrap();
        // 100 of 10,000 may match: 0.9900 and above are 100; the threshold lies just above 0.9899, rounded up.
        assert_eq!((got.match_at_least, got.false_matches, got.resolved), (0.99, 100, true));
        // 100 mated ones may lie below: the 101st lowest is 0.3 + 0.0100 · 0.7 = 0.307.
        assert_eq!((got.non_match_below, got.false_non_matches), (Some(0.307), 100));
    }

    #[test]
    fn attempts_tighten_the_target() {
        let (mated, nonmated) = trials();
        // 1 − 0.99^(1/3) = 0.003345: 33 of 10,000.
        let got = calibrate(&mated, &nonmated, Target { attempts: 3, ..TARGET }).unwrap();
        assert_eq!((got.false_matches, got.match_at_least), (33, 0.9967));
    }

    #[test]
    fn unresolved_points_are_refused_or_left_out() {
        let (mated, nonmated) = trials();
        let few = Target { fmr: 0.001, fnmr: 0.001, ..TARGET };
        assert!(matches!(calibrate(&mated, &nonmated, few), Err(CalibrationError::Unresolved { errors: 10, needed: 30_000, .. })));
        let taken = calibrate(&mated, &nonmated, Target { accept_unresolved: true, ..few }).unwrap();
        assert_eq!((taken.resolved, taken.non_match_below.is_some()), (false, true));
        // The lower band alone unresolved is left out, not guessed.
        let upper = calibrate(&mated, &nonmated, Target { fnmr: 0.001, ..TARGET }).unwrap();
        assert_eq!((upper.resolved, upper.non_match_below), (true, None));
        let none = Target { fmr: 1e-5, accept_unresolved: true, ..TARGET };
        assert!(matches!(calibrate(&mated, &nonmated, none), Err(CalibrationError::Unreached { needed: 3_000_000, .. })));
        assert!(matches!(calibrate(&mated, &Scores::default(), TARGET), Err(CalibrationError::Unreached { .. })));
    }

    #[test]
    fn the_lower_band_never_lies_above_the_upper() {
        let (_, nonmated) = trials();
        let mated = scores((0..10_000).map(|_| 1.0));
        let got = calibrate(&mated, &nonmated, Target { fnmr: 0.5, accept_unresolved: true, ..TARGET }).unwrap();
        assert!(got.non_match_below.is_none_or(|below| below <= got.match_at_least));
    }

    fn ids(model: &str, recipe: &str) -> (ModelId, RecipeId) {
        (ModelId::new(model).unwrap(), RecipeId::new(recipe).unwrap())
    }

    #[test]
    fn the_policy_keeps_everything_else() {
        let shipped = Policy::from_toml(Policy::SHIPPED).unwrap();
        let (model, recipe) = shipped.models().next().map(|(model, recipe)| (model.clone(), recipe.clone())).unwrap();
        let (mated, nonmated) = trials();
        let calibration = calibrate(&mated, &nonmated, TARGET).unwrap();
        let text = policy_text(Policy::SHIPPED, &model, &recipe, &calibration, None).unwrap();
        let policy = Policy::from_toml(&text).unwrap();
        let bands = policy.thresholds(Scene::Settlement, &model, &recipe).unwrap();
        assert_eq!((bands.match_at_least, bands.non_match_below), (0.99, Some(0.307)));
        assert!(policy.mode() == shipped.mode() && policy.version() != shipped.version());
        assert!(bands.trials.fix_match(policy.target(), 1) && bands.trials.fix_non_match(policy.target()));
        assert_eq!((policy.target().match_fmr, policy.target().non_match_fnmr), (0.01, 0.01));
        assert!(
            text.contains("# At and above: match.") && text.contains("[scenes.reception]") && text.contains("# What scores mean"),
            "{text}"
        );
    }

    #[test]
    fn a_model_the_policy_did_not_have_gets_a_table() {
        let (mated, nonmated) = trials();
        let target = Target { fmr: 0.001, accept_unresolved: true, ..TARGET };
        let calibration = Calibration { non_match_below: None, ..calibrate(&mated, &nonmated, target).unwrap() };
        let (model, recipe) = ids("other@3", "other-recipe@1");
        let text = policy_text(Policy::SHIPPED, &model, &recipe, &calibration, Some("site-7")).unwrap();
        let policy = Policy::from_toml(&text).unwrap();
        assert_eq!((policy.version(), policy.provisional(), policy.models().count()), ("site-7", true, 2));
        let bands = policy.thresholds(Scene::Settlement, &model, &recipe).unwrap();
        assert_eq!((bands.non_match_below, bands.trials.nonmated_errors, bands.trials.mated_errors), (None, 10, 0));
    }

    #[test]
    fn public_trials_give_no_non_match_band_but_to_demonstrate() {
        let (mated, nonmated) = trials();
        let calibration = calibrate(&mated, &nonmated, Target { source: Source::Public, ..TARGET }).unwrap();
        let (model, recipe) = ids("other@3", "other-recipe@1");
        let below = |text: &str| {
            let policy = Policy::from_toml(&policy_text(text, &model, &recipe, &calibration, Some("x")).unwrap()).unwrap();
            policy.thresholds(Scene::Settlement, &model, &recipe).unwrap().non_match_below
        };
        assert_eq!((below(Policy::SHIPPED), below(&Policy::demonstration())), (None, Some(0.307)));
    }

    #[test]
    fn versions_go_up() {
        assert_eq!(next_version("shadow-1"), "shadow-2");
        assert_eq!(next_version("site"), "site-2");
        assert_eq!(next_version("2026"), "2027");
    }
}
