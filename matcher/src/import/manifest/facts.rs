//! What a row says about the photo and the person beside their numbers.

use jiff::{
    civil::{Date, DateTime},
    tz::TimeZone,
};
use matcher_core::{Birth, ReferenceSource};

use crate::{app::enrol::PhotoFacts, store::TimeMs};

/// What is known about the photo, from the fields of a row.
pub(super) fn about<'r>(field: impl Fn(&'static str) -> &'r str, today: Date) -> Result<PhotoFacts, String> {
    let taken_on = day("photo_taken_on", field("photo_taken_on"))?;
    if taken_on.is_some_and(|day| day > today) {
        return Err("photo_taken_on: expected a day that has come".into());
    }
    let (from, until) = (day("valid_from", field("valid_from"))?, day("valid_until", field("valid_until"))?);
    if from.zip(until).is_some_and(|(from, until)| until < from) {
        return Err("valid_until: expected a day not before valid_from".into());
    }
    // The last day counts, so that validity ends where the next begins.
    let next = |day: Date| day.tomorrow().unwrap_or(Date::MAX);
    let valid_until = until.map(next).and_then(start_of);
    Ok(PhotoFacts { source: source(field("source"))?, taken_on, valid_from: from.and_then(start_of), valid_until })
}

/// When the person was born: what the row says, which must not contradict the identity number.
pub(super) fn birth(text: &str, of_number: Option<Birth>) -> Result<Option<Birth>, String> {
    if text.is_empty() {
        return Ok(of_number);
    }
    let birth = Birth::new(text).map_err(|error| error.to_string())?;
    match of_number {
        Some(of_number) if of_number.year() != birth.year() => Err("birth: expected the year that the identity number has".into()),
        Some(of_number) => Ok(Some(of_number)),
        None => Ok(Some(birth)),
    }
}

fn source(text: &str) -> Result<ReferenceSource, String> {
    if text.is_empty() {
        return Ok(PhotoFacts::default().source);
    }
    let words = || ReferenceSource::ALL.iter().map(|source| source.word()).collect::<Vec<_>>().join(", ");
    ReferenceSource::from_word(text).ok_or_else(|| format!("source: expected one of {}, or nothing", words()))
}

fn day(column: &str, text: &str) -> Result<Option<Date>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let day = text.parse::<Date>().ok().filter(|day| day.to_string() == text);
    day.map(Some).ok_or_else(|| format!("{column}: expected a day as YYYY-MM-DD"))
}

/// The first moment of a day where the center stands.
fn start_of(day: Date) -> Option<TimeMs> {
    Some(DateTime::from(day).to_zoned(TimeZone::system()).ok()?.timestamp().as_millisecond())
}
