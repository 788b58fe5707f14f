//! Coverage: how many people of each region and band of age have a reference that counts, and how old the photos are.
//!
//! A reference counts where its photo holds now and the policy in force has thresholds for its model and recipe. Ages
//! are opened for this and not kept. Photos that were refused before anybody was enrolled are in the import's own
//! report and not here; those a model could make nothing of are.

use std::collections::BTreeMap;

use jiff::civil::Date;
use matcher_core::{AgeBand, IdentifierKind, PhotoState, Policy};
use serde::Serialize;

use super::person::{day_of, open_birth};
use crate::{
    center::Center,
    store::{BoundIdentifier, StoreError, StoredSubject, SubjectId, TimeMs},
};

/// People of one query.
const PAGE_LEN: u32 = 500;
/// A photo that is older is old.
const OLD_DAYS: u32 = 3_652;

/// One region and band of age.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Cell {
    /// People who are enrolled.
    pub persons: u64,
    /// Those with a reference that counts.
    pub with_reference: u64,
    /// Those who withdrew consent.
    pub withdrawn: u64,
    /// Those with a photo in use that some model could make nothing of, and no reference that counts.
    pub refused: u64,
    /// Those whose newest photo has a known day.
    pub photo_age_known: u64,
    /// Median age of those photos, in days.
    pub photo_age_median_days: Option<u32>,
    /// Those whose newest photo is older than ten years.
    pub photo_older_than_ten_years: u64,
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Region of the card, six digits; empty for the center's own.
    pub region: String,
    /// Band of age, or `all`.
    pub age: &'static str,
    /// The numbers.
    #[serde(flatten)]
    pub cell: Cell,
}

/// What is known of one person.
struct Seen {
    region: String,
    band: AgeBand,
    counts: bool,
    withdrawn: bool,
    refused: bool,
    photo_age: Option<u32>,
}

/// Counts everybody, under the policy in force.
///
/// # Errors
/// When the store fails. A person whose data key does not open is counted with an unknown age.
pub async fn coverage(center: &Center, now: TimeMs) -> Result<Vec<Line>, StoreError> {
    count(center, &center.policies.current().policy, now).await
}

async fn count(center: &Center, policy: &Policy, now: TimeMs) -> Result<Vec<Line>, StoreError> {
    let (mut seen, mut after): (Vec<Seen>, Option<SubjectId>) = (Vec::new(), None);
    loop {
        let page = center.store.subjects_with_references(after, PAGE_LEN).await?;
        let Some((last, ..)) = page.last() else { break };
        after = Some(last.subject);
        seen.extend(page.iter().map(|(subject, identifiers, failures)| look(center, policy, subject, identifiers, *failures > 0, now)));
    }
    Ok(lines(&seen))
}

fn look(center: &Center, policy: &Policy, subject: &StoredSubject, identifiers: &[BoundIdentifier], failed: bool, now: TimeMs) -> Seen {
    let today = day_of(now);
    let key = center.vault.unwrap_data_key(subject.subject, &subject.data_key).ok();
    let birth = key.zip(subject.birth.as_ref()).and_then(|(key, sealed)| open_birth(&key, subject.subject, sealed));
    let served = |model: &str, recipe: &str| policy.models().any(|(m, r)| m.as_str() == model && r.as_str() == recipe);
    let active = subject.references.iter().filter(|reference| reference.life.state == PhotoState::Active);
    let counts = active.clone().any(|reference| reference.life.holds_at(now) && served(&reference.model, &reference.recipe));
    let newest = active.clone().filter_map(|reference| reference.photo_taken_on.as_ref()?.parse::<Date>().ok()).max();
    let age = |taken_on: Date| u32::try_from(taken_on.until(today).ok()?.get_days()).ok();
    Seen {
        region: region(identifiers),
        band: AgeBand::of(birth.map(|birth| birth.age_on(today))),
        counts: counts && subject.withdrawn_at.is_none(),
        withdrawn: subject.withdrawn_at.is_some(),
        refused: failed && !counts,
        photo_age: newest.and_then(age),
    }
}

/// The first region a card of the person names; empty for the center's own.
fn region(identifiers: &[BoundIdentifier]) -> String {
    let cards = identifiers.iter().filter(|identifier| identifier.key.kind == IdentifierKind::SocialSecurityCard);
    cards.map(|card| card.key.region.clone()).find(|region| !region.is_empty()).unwrap_or_default()
}

/// A line for each region and band that has somebody, and one for each region.
fn lines(seen: &[Seen]) -> Vec<Line> {
    let mut groups: BTreeMap<(&str, Option<AgeBand>), Vec<&Seen>> = BTreeMap::new();
    for person in seen {
        for band in [Some(person.band), None] {
            groups.entry((&person.region, band)).or_default().push(person);
        }
    }
    let line = |((region, band), people): ((&str, Option<AgeBand>), Vec<&Seen>)| Line {
        region: region.to_owned(),
        age: band.map_or("all", AgeBand::word),
        cell: cell(&people),
    };
    groups.into_iter().map(line).collect()
}

fn cell(people: &[&Seen]) -> Cell {
    let count = |which: fn(&Seen) -> bool| people.iter().filter(|person| which(person)).count() as u64;
    let mut ages: Vec<u32> = people.iter().filter_map(|person| person.photo_age).collect();
    ages.sort_unstable();
    Cell {
        persons: people.len() as u64,
        with_reference: count(|person| person.counts),
        withdrawn: count(|person| person.withdrawn),
        refused: count(|person| person.refused),
        photo_age_known: ages.len() as u64,
        // Of an even number the upper one: ages are days, and no half days.
        photo_age_median_days: ages.get(ages.len() / 2).copied(),
        photo_older_than_ten_years: count(|person| person.photo_age.is_some_and(|age| age > OLD_DAYS)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use matcher_core::{Birth, Identifier, IdentifierKind, Region};

    use super::*;
    use crate::{
        app::enrol::{
            EnrolCommand, PhotoFacts, enrol_one,
            tests::{MeanColour, center, photo},
        },
        surroundings::{Fixed, Surroundings},
    };

    const NOW: TimeMs = 1_795_305_600_000; // 2026-11-22

    async fn enrol(center: &Center, number: u8, region: &str, birth: Option<&str>, taken_on: Option<Date>, model: &str) {
        let surroundings = Arc::new(Fixed::at(NOW - i64::from(number)));
        for _ in 0..number {
            surroundings.random_id();
        }
        let card = format!("330203{number:03}");
        let card = Identifier::new(IdentifierKind::SocialSecurityCard, Region::new(region).unwrap(), &card).unwrap();
        let about = PhotoFacts { taken_on, ..PhotoFacts::default() };
        let birth = birth.map(|birth| Birth::new(birth).unwrap());
        let command = EnrolCommand { identifiers: vec![card], photo: photo([200, number, 10]), about, birth };
        // Ids count up from 1 in every clock: each person has a stretch of them.
        let far = Offset(surroundings, u128::from(number) << 64);
        enrol_one(center, &MeanColour::new(model), command, &far).await.unwrap();
    }

    struct Offset(Arc<Fixed>, u128);

    impl Surroundings for Offset {
        fn now_ms(&self) -> TimeMs {
            self.0.now_ms()
        }

        fn random_id(&self) -> [u8; 16] {
            (u128::from_be_bytes(self.0.random_id()) + self.1).to_be_bytes()
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn people_are_counted_by_region_and_age() {
        let dir = tempfile::tempdir().unwrap();
        let center = center(&dir);
        enrol(&center, 1, "330200", Some("1949-12-31"), Some(Date::constant(2010, 1, 1)), "m@1").await;
        enrol(&center, 2, "330200", Some("2015"), Some(Date::constant(2026, 11, 12)), "m@1").await;
        enrol(&center, 3, "330200", Some("1949"), Some(Date::constant(2026, 11, 2)), "m@9").await;
        enrol(&center, 4, "", None, None, "m@1").await;
        let shipped =
            center.policies.current().policy.models().next().map(|(model, recipe)| (model.to_string(), recipe.to_string())).unwrap();
        let policy = Policy::from_toml(&Policy::SHIPPED.replace(&shipped.0, "m@1").replace(&shipped.1, "mean@1")).unwrap();
        let lines = count(&center, &policy, NOW).await.unwrap();
        let shown: Vec<String> = lines
            .iter()
            .map(|Line { region, age, cell }| {
                let Cell { persons, with_reference, photo_age_known, photo_age_median_days, photo_older_than_ten_years, .. } = cell;
                format!(
                    "{region} {age}: {with_reference}/{persons} {photo_age_known} {photo_age_median_days:?} {photo_older_than_ten_years}"
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                " all: 1/1 0 None 0",
                " unknown: 1/1 0 None 0",
                "330200 all: 2/3 3 Some(20) 1",
                "330200 0-15: 1/1 1 Some(10) 0",
                "330200 75+: 1/2 2 Some(6169) 1",
            ]
        );
    }
}
