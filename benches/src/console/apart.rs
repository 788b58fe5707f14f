//! Whether the time of a page tells a known-answer case from a real one: both are read in turns, and the two sets of times compared by
//! ranks, since a few slow reads say nothing.

use anyhow::{Context, Result, ensure};
use matcher_core::console::Role;
use serde::Serialize;

use super::{fill::City, pages, visit::Visitor};

/// A page of which there are two.
#[derive(Debug, Clone, Serialize)]
pub struct Twins {
    /// The page.
    pub page: String,
    /// Reads of each.
    pub reads: usize,
    /// Share of all pairs of reads, one of each, in which the known-answer case took longer; 0.5 where time says nothing.
    pub longer: f64,
    /// Medians of the real and the known-answer case, in milliseconds.
    pub medians_ms: [f64; 2],
}

/// Share of pairs of one number of each in which the second is larger; ties count half (Mann and Whitney's U, as a share).
#[must_use]
pub fn larger(first: &[f64], second: &[f64]) -> f64 {
    let mut sorted = first.to_vec();
    sorted.sort_by(f64::total_cmp);
    let below = |value: &f64| {
        let (under, not_above) = (sorted.partition_point(|of| of < value), sorted.partition_point(|of| of <= value));
        f64::midpoint(under as f64, not_above as f64)
    };
    let pairs = (first.len() * second.len()).max(1) as f64;
    second.iter().map(below).sum::<f64>() / pairs
}

/// Reads every page of [`pages::twins`] so many times in turns, first one and then the other.
///
/// # Errors
/// When a page cannot be read.
pub async fn compare(readers: &mut [(Role, Visitor)], city: &City, reads: usize) -> Result<Vec<Twins>> {
    let mut all = Vec::new();
    for (page, role, paths) in pages::twins(city) {
        let (_, reader) = readers.iter_mut().find(|(of, _)| *of == role).context("a reader of each role")?;
        let mut times = [Vec::new(), Vec::new()];
        for read in 0..reads + super::run::WARMING {
            // Who comes first takes turns, too.
            let order = if read % 2 == 0 { [0, 1] } else { [1, 0] };
            for which in order {
                let of = paths.get(which).context("two sets of pages")?;
                let path = of.get(read % of.len().max(1)).context("a page has an address")?;
                let answer = reader.get(path).await?;
                ensure!(answer.status == 200, "{page} ({path}) answered {}", answer.status);
                if let Some(times) = times.get_mut(which).filter(|_| read >= super::run::WARMING) {
                    times.push(answer.took.as_secs_f64() * 1e3);
                }
            }
        }
        let [real, seeded] = &mut times;
        let longer = larger(real, seeded);
        let median = |times: &mut Vec<f64>| {
            times.sort_by(f64::total_cmp);
            super::report::at(times, 0.5)
        };
        all.push(Twins { page: page.to_owned(), reads, longer, medians_ms: [median(real), median(seeded)] });
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(first: &[f64], second: &[f64], expected: f64) {
        assert!((larger(first, second) - expected).abs() < 1e-9, "{}", larger(first, second));
    }

    #[test]
    fn ranks_are_compared() {
        check(&[1.0, 2.0, 3.0], &[4.0, 5.0], 1.0);
        check(&[4.0, 5.0], &[1.0, 2.0, 3.0], 0.0);
        check(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0], 0.5);
        check(&[1.0, 1.0], &[1.0], 0.5);
        check(&[1.0, 100.0], &[2.0], 0.5);
        check(&[], &[1.0], 0.0);
    }
}
