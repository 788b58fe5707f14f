//! Who comes when: a week of seven counters, from fixed chance, with the stories a desk should find.
//!
//! - a store where a third of the visits are somebody else's card, from the first day;
//! - a counter whose camera grows dim and soft day by day;
//! - a ring: one person who collects on four holders' cards, and says so on none;
//! - somebody who comes in the place of several holders on one day, by the register of proxies;
//! - a card that two people use in turns, and a photo that nobody looks like any longer.
//!
//! Not here: what comes of each visit; the center decides.

use super::faces::{PEOPLE, Wear};

/// Days.
pub(crate) const DAYS: usize = 7;
/// Times of a day at which people come.
pub(crate) const TIMES: usize = 8;
/// Cards of each person.
const CARDS_EACH: usize = 8;

/// A counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// The institution.
    pub(crate) institution: &'static str,
    /// Its counter.
    pub(crate) counter: &'static str,
    /// What it verifies for.
    pub(crate) scene: &'static str,
    /// Who works there.
    pub(crate) operators: [&'static str; 2],
}

const fn place(institution: &'static str, counter: &'static str, scene: &'static str, operators: [&'static str; 2]) -> Place {
    Place { institution, counter, scene, operators }
}

/// The counters. The first is the one of the morning.
pub(crate) const PLACES: [Place; 7] = [
    place("P330212", "1", "settlement", ["0417", "0422"]),
    place("P330212", "2", "settlement", ["0418", "0423"]),
    place("P330227", "1", "settlement", ["0902", "0902"]),
    place("P330305", "1", "settlement", ["1103", "1107"]),
    place("P330305", "2", "settlement", ["1104", "1107"]),
    place("P330341", "1", "settlement", ["1511", "1512"]),
    place("C330118", "1", "reception", ["2001", "2002"]),
];
const BAD_FROM_THE_START: usize = 2;
const SHARED: usize = 3;
const WEARING: usize = 4;
const RING: usize = 5;
const STALE: usize = 1;

/// Who stands before the camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stands {
    /// One of the people.
    Somebody(usize),
    /// A picture by name: an empty counter, several people, a mask.
    Picture(&'static str),
}

/// What happens at the counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// The face, and the document where the center asks for it: the operator says that it is the same person, or not.
    Face {
        /// What the operator says of the document.
        same_person: bool,
    },
    /// Another way, asked for before anything else.
    Other,
    /// Somebody with a document of this number who comes in the holder's place.
    Proxy(&'static str),
}

/// A visit.
#[derive(Debug, Clone)]
pub(crate) struct Visit {
    /// Index into [`PLACES`].
    pub(crate) place: usize,
    /// The card shown.
    pub(crate) card: String,
    /// Who stands there.
    pub(crate) stands: Stands,
    /// What happens.
    pub(crate) way: Way,
    /// What the camera does.
    pub(crate) wear: Wear,
    /// Whether the settlement is taken back afterwards.
    pub(crate) reversed: bool,
}

/// A card of the week, and whose photo it bears.
#[must_use]
pub(crate) fn cards() -> Vec<(String, usize)> {
    let ordinary = (0..PEOPLE.len() * CARDS_EACH).map(|number| (card(number), number % PEOPLE.len()));
    // The stale photo is another's: nobody looks like it any longer.
    ordinary.chain([(STALE_CARD.to_owned(), 9), (SHARED_CARD.to_owned(), 5)]).collect()
}

const STALE_CARD: &str = "A30099001";
const SHARED_CARD: &str = "A30099002";

fn card(number: usize) -> String {
    format!("A3001{number:04}")
}

/// The visits of a day, by time: at most one at each counter.
#[must_use]
pub(crate) fn day(day: usize) -> Vec<Vec<Visit>> {
    (0..TIMES).map(|time| (0..PLACES.len()).map(|place| visit(day, time, place)).collect()).collect()
}

fn visit(day: usize, time: usize, place: usize) -> Visit {
    // Every card comes to one counter, about every third day.
    let turn = day * TIMES + time;
    let own = PEOPLE.len() * CARDS_EACH / PLACES.len();
    let number = place + PLACES.len() * (turn * 5 % own);
    let holder = number % PEOPLE.len();
    let wear = if place == WEARING { worn(day) } else { Wear::default() };
    let honest = Visit {
        place,
        card: card(number),
        stands: Stands::Somebody(holder),
        way: Way::Face { same_person: true },
        wear,
        reversed: turn % 41 == 17,
    };
    story(day, time, place, holder, honest)
}

/// What a camera makes of things after so many days.
fn worn(day: usize) -> Wear {
    let days = u8::try_from(day).unwrap_or(u8::MAX);
    Wear { blur: 0.45 * f32::from(days), darker: 11 * i32::from(days) }
}

fn story(day: usize, time: usize, place: usize, holder: usize, honest: Visit) -> Visit {
    let other = (holder + 7) % PEOPLE.len();
    match (place, time) {
        // The same few cards, shown by the same other person, whom the operator finds to be the holder every time.
        (BAD_FROM_THE_START, 1 | 4 | 6) => {
            let number = BAD_FROM_THE_START + PLACES.len() * (time * 2 + day % 2);
            let holder = number % PEOPLE.len();
            Visit { card: card(number), stands: Stands::Somebody((holder + 3) % PEOPLE.len()), ..honest }
        }
        (RING, 2 | 5) if day > 0 => {
            let number = RING + PLACES.len() * (8 + (day + time) % 4);
            let stands = Stands::Somebody(if number % PEOPLE.len() == 13 { 12 } else { 13 });
            Visit { card: card(number), stands, ..honest }
        }
        (RING, 3 | 4 | 6) if day == 4 => Visit { way: Way::Proxy("330327197405120022"), stands: Stands::Somebody(8), ..honest },
        (SHARED, 3) => Visit { card: SHARED_CARD.into(), stands: Stands::Somebody(if day.is_multiple_of(2) { 5 } else { 11 }), ..honest },
        (STALE, 2) if day.is_multiple_of(2) => Visit { card: STALE_CARD.into(), stands: Stands::Somebody(4), ..honest },
        (_, 7) if (day + place).is_multiple_of(4) => Visit { way: Way::Other, ..honest },
        (_, 6) if (day + place) % 5 == 1 => Visit { stands: Stands::Picture("pf_free-mountain-vector-01.jpg"), ..honest },
        (_, 3) if (day + place) % 6 == 2 => Visit { stands: Stands::Picture("pf_multi_face.jpg"), ..honest },
        (_, 5) if (day + place) % 7 == 3 => Visit { card: format!("A39{day}{place}0001"), ..honest },
        (0, 4) if day == 2 => Visit { way: Way::Proxy("330206198810230417"), stands: Stands::Somebody(other), ..honest },
        // Once in a while somebody brings the wrong card of the family, and the operator sees it.
        (3, 1) if day == 3 => Visit { stands: Stands::Somebody(other), way: Way::Face { same_person: false }, ..honest },
        _ => honest,
    }
}
