//! Weeks of figures, as the center counts them of its log: by institution, counter, camera, operator, scene, hour and age, with a camera
//! that has begun to drift and an alarm now and then.

use anyhow::Result;
use jiff::tz::TimeZone;
use matcher::{
    app::supervision::day_of,
    center::Center,
    store::statistics::{Alarm, ChartOf, CountedDay, DayFigures},
};
use matcher_core::{
    AgeBand, Scene,
    drift::{Chart, Day, scores::Sums},
    figures::{Dimension, Figures, Place},
};

use super::{DAYS, Plan};

/// Days with figures.
const COUNTED: Day = 60;
/// Days of the camera that drifts.
const DRIFTS_FOR: Day = 4;
/// Its institution.
pub const DRIFTING: usize = 3;
/// An institution that lets strangers through.
const BAD: usize = 11;
/// Counters and cameras of two institutions, and operators.
const COUNTERS: usize = 5;
const OPERATORS: usize = 10;
/// Opening hours.
const HOURS: std::ops::Range<u8> = 8..18;

/// Names an institution, a counter and its camera, or an operator, of the figures.
fn place(dimension: Dimension, institution: &str, key: String) -> Place {
    Place { dimension, institution: institution.to_owned(), key }
}

/// A camera's name.
#[must_use]
pub fn camera(institution: &str, counter: usize) -> String {
    format!("{institution}-{counter}")
}

impl Plan {
    /// Writes them. Nobody counts those days again: they are over.
    pub(super) async fn history(&self, center: &Center) -> Result<()> {
        let today = day_of(self.now, &TimeZone::system());
        let places = self.places();
        for day in today - DAYS - 1..today {
            let counted = CountedDay { day, counted_at: self.now, complete: true, charts: None };
            let rows = if day < today - COUNTED { Vec::new() } else { self.day(day, today, &places) };
            center.store.put_statistics(counted, rows).await?;
            center.store.put_alarms(day, 4 * self.size.institutions as u64, self.alarms(day, today)).await?;
        }
        Ok(())
    }

    fn places(&self) -> Vec<(Place, u64)> {
        let mut places = Vec::new();
        let names: Vec<String> = (0..self.size.institutions).map(|of| format!("P1{of:04}")).collect();
        for (number, name) in names.iter().map(String::as_str).chain([""]).enumerate() {
            // Small ones and large ones; and all institutions together.
            let captures = if name.is_empty() { 150 * names.len() as u64 } else { 60 + number as u64 * 37 % 181 };
            for scene in Scene::ALL.iter().take(2) {
                places.push((place(Dimension::Scene, name, scene.word().to_owned()), captures / 2));
            }
            places.extend(HOURS.map(|hour| (place(Dimension::Hour, name, format!("{hour:02}")), captures / 10)));
            for band in AgeBand::ALL {
                places.push((place(Dimension::Age, name, band.word().to_owned()), captures / AgeBand::ALL.len() as u64));
            }
            if name.is_empty() {
                places.push((place(Dimension::Total, name, String::new()), captures));
                continue;
            }
            places.push((place(Dimension::Store, name, String::new()), captures));
            // Two or three counters each.
            let counters = COUNTERS / 2 + number % 2;
            for counter in 1..=counters {
                places.push((place(Dimension::Counter, name, counter.to_string()), captures / counters as u64));
                places.push((place(Dimension::Camera, name, camera(name, counter)), captures / counters as u64));
            }
            let operators = OPERATORS / 2;
            places.extend((0..operators).map(|of| (place(Dimension::Operator, name, format!("op{of}")), captures / operators as u64)));
        }
        places
    }

    fn day(&self, day: Day, today: Day, places: &[(Place, u64)]) -> Vec<DayFigures> {
        let drifting = camera(&format!("P1{DRIFTING:04}"), 1);
        let row = |(number, (place, captures)): (usize, &(Place, u64))| {
            let drifts = place.key == drifting && day >= today - DRIFTS_FOR;
            // A day's own height, the same every time it is asked for.
            let noise = ((day as u64).wrapping_mul(7_919).wrapping_add(number as u64 * 104_729) % 100) as f64 / 100.0 - 0.5;
            let mean = 0.62 + 0.02 * noise - if drifts { 0.08 } else { 0.0 };
            // Institutions differ a little, and one is unlike the others from the first day.
            let share = if place.institution == format!("P1{BAD:04}") { 0.16 } else { 0.05 + 0.01 * ((number % 97) as f64 / 97.0 - 0.5) };
            let missed = (*captures as f64 * share + noise).round().max(0.0) as u64;
            let no_face = captures / 50 + u64::from(noise < -0.3);
            let scores = captures - no_face;
            let sums = Sums { count: scores, sum: mean * scores as f64, squares: (mean * mean + 0.014) * scores as f64 };
            let mut figures = Figures { captures: *captures, review: missed, no_face, scores: sums, ..Figures::default() };
            figures.matched = captures.saturating_sub(missed + no_face);
            for (wait, share) in figures.waits.iter_mut().skip(2).zip([8, 55, 30, 6, 1]) {
                *wait = captures * share / 100;
            }
            DayFigures { day, place: place.clone(), model: "m@1".to_owned(), figures }
        };
        places.iter().enumerate().map(row).collect()
    }

    fn alarms(&self, day: Day, today: Day) -> Vec<Alarm> {
        let of = |institution: usize, chart, (value, expected, effect): (f64, f64, f64)| {
            let name = format!("P1{institution:04}");
            let place = place(Dimension::Camera, &name, camera(&name, 1));
            Alarm { day, of: ChartOf { place, chart }, value, expected, effect, p: 1e-6 }
        };
        let drifting = (day >= today - DRIFTS_FOR).then(|| of(DRIFTING, Chart::Score, (0.54, 0.62, -0.6)));
        let another = day.unsigned_abs() as usize % self.size.institutions;
        let others = (day % 5 == 0).then(|| of(another, Chart::NoFace, (0.09, 0.02, 0.07)));
        drifting.into_iter().chain(others).collect()
    }
}
