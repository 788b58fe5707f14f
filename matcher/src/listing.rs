//! `matcher flags` and `matcher verifications`: records as tables for people and as JSON for programs.
//!
//! Newest first, cards masked, scores as they are (a score is no percentage of anything). Tables fit 120
//! columns and show the machine's local time, which they name; JSON has UTC.

use std::{io, str::FromStr};

use clap::Args;
use jiff::tz::TimeZone;
use thiserror::Error;

use crate::{
    out,
    store::{Listing, Store, StoreError, TimeMs},
    surroundings::{Surroundings, System},
};

pub(crate) mod json;
pub(crate) mod table;

/// Which records to list.
#[derive(Debug, Clone, Args)]
pub struct ListingArgs {
    /// Only this institution
    #[arg(long, value_name = "ID")]
    pub institution: Option<String>,
    /// Only from this time on: so long ago (90m, 24h, 30d), or a time (2026-01-31T08:00:00+08:00)
    #[arg(long, value_name = "TIME")]
    pub since: Option<Since>,
    /// At most so many, 1 to 100,000
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub limit: u32,
    /// Print a JSON array
    #[arg(long)]
    pub json: bool,
}

/// The start of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// So many milliseconds before now.
    Ago(TimeMs),
    /// A time.
    At(TimeMs),
}

/// A text that is no start of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("expected minutes, hours or days (90m, 24h, 30d), or a time with its offset (2026-01-31T08:00:00+08:00)")]
pub struct SinceError;

impl FromStr for Since {
    type Err = SinceError;

    fn from_str(text: &str) -> Result<Self, SinceError> {
        let unit_ms = match text.chars().last() {
            Some('m') => 60_000,
            Some('h') => 3_600_000,
            Some('d') => 86_400_000,
            _ => return text.parse().map(|at: jiff::Timestamp| Self::At(at.as_millisecond())).map_err(|_| SinceError),
        };
        let number = text.get(..text.len() - 1).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        let number: TimeMs = number.and_then(|digits| digits.parse().ok()).ok_or(SinceError)?;
        number.checked_mul(unit_ms).map(Self::Ago).ok_or(SinceError)
    }
}

impl Since {
    /// The time it stands for.
    #[must_use]
    pub fn before(self, now: TimeMs) -> TimeMs {
        match self {
            Self::Ago(ms) => now.saturating_sub(ms),
            Self::At(at) => at,
        }
    }
}

/// An end: so long from now (90m, 24h, 30d), or a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Until(Since);

impl Until {
    /// The time it stands for.
    #[must_use]
    pub fn at(self, now: TimeMs) -> TimeMs {
        match self.0 {
            Since::Ago(ms) => now.saturating_add(ms),
            Since::At(at) => at,
        }
    }
}

impl FromStr for Until {
    type Err = SinceError;

    fn from_str(text: &str) -> Result<Self, SinceError> {
        text.parse().map(Self)
    }
}

/// A listing that could not be made.
#[derive(Debug, Error)]
pub enum ListingError {
    /// The store failed.
    #[error("the store could not be asked")]
    Store(#[source] StoreError),
    /// The output failed.
    #[error("could not print")]
    Print(#[source] io::Error),
}

/// Runs `matcher flags`.
///
/// # Errors
/// When the store or the output fails.
pub async fn flags(args: &ListingArgs, store: &dyn Store) -> Result<(), ListingError> {
    let flags = store.flags(&args.listing(System.now_ms())).await.map_err(ListingError::Store)?;
    print(if args.json { json::flags(&flags) } else { Ok(table::flags(&flags, &TimeZone::system())) })
}

/// Runs `matcher verifications`.
///
/// # Errors
/// When the store or the output fails.
pub async fn verifications(args: &ListingArgs, store: &dyn Store) -> Result<(), ListingError> {
    let verifications = store.verifications(&args.listing(System.now_ms())).await.map_err(ListingError::Store)?;
    print(if args.json { json::verifications(&verifications) } else { Ok(table::verifications(&verifications, &TimeZone::system())) })
}

impl Since {
    /// The time that is meant, as of now.
    #[must_use]
    pub fn time(self, now: TimeMs) -> TimeMs {
        match self {
            Self::Ago(ms) => now.saturating_sub(ms),
            Self::At(at) => at,
        }
    }
}

impl ListingArgs {
    fn listing(&self, now: TimeMs) -> Listing {
        let since = self.since.map(|since| since.time(now));
        Listing { institution: self.institution.clone(), since, limit: self.limit }
    }
}

fn print(text: serde_json::Result<String>) -> Result<(), ListingError> {
    text.map_err(io::Error::other).and_then(|text| out::line(&text)).map_err(ListingError::Print)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<Since, SinceError>) {
        assert_eq!(text.parse::<Since>(), expected, "{text}");
    }

    #[test]
    fn a_listing_starts_so_long_ago_or_at_a_time() {
        check("90m", Ok(Since::Ago(5_400_000)));
        check("24h", Ok(Since::Ago(86_400_000)));
        check("30d", Ok(Since::Ago(2_592_000_000)));
        check("1970-01-01T08:00:01+08:00", Ok(Since::At(1_000)));
        check("1970-01-01T00:00:01Z", Ok(Since::At(1_000)));
        for wrong in
            ["", "d", "-1d", "+1d", "1.5h", "24", "yesterday", "2026-01-31", "9999999999999999999d", "999999999999999999d", "３０d"]
        {
            check(wrong, Err(SinceError));
        }
    }

    #[test]
    fn an_end_is_so_long_from_now_or_a_time() {
        let at = |text: &str| text.parse::<Until>().map(|until| until.at(10_000));
        assert_eq!((at("1m"), at("1970-01-01T00:00:01Z"), at("soon")), (Ok(70_000), Ok(1_000), Err(SinceError)));
    }

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        listing: ListingArgs,
    }

    #[test]
    fn arguments_become_a_listing() {
        let args = Cli::try_parse_from(["x", "--since", "1h", "--institution", "p", "--limit", "5"]).unwrap().listing;
        let listing = args.listing(10_000_000);
        assert_eq!((listing.since, listing.institution.as_deref(), listing.limit), (Some(6_400_000), Some("p"), 5));
        for wrong in [["x", "--limit", "0"], ["x", "--limit", "100001"], ["x", "--since", "soon"]] {
            assert!(Cli::try_parse_from(wrong).is_err(), "{wrong:?}");
        }
    }
}
