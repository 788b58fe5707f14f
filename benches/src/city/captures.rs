//! The city's captures: who shows which card on which day, and what its comparisons score.

use fastrand::Rng;

use super::{
    assumptions::Assumptions,
    scores::{Distribution, Measured, mixed, normal, share_of_normal},
};

/// False match rate at which false non-match rates are assumed.
const FMR: f64 = 1e-3;

/// What somebody is to a card's holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// The holder.
    Holder,
    /// A stranger.
    Stranger,
    /// A relative.
    Relative,
    /// The twin.
    Twin,
}

/// One capture.
#[derive(Debug, Clone, Copy)]
pub struct Capture {
    /// Its number in the city.
    pub id: u32,
    /// The day.
    pub day: u16,
    /// Who shows the card.
    pub who: Who,
    /// Which of the faces that use this card; 0 is the holder's.
    pub face: u8,
    /// Whether it is against the rules.
    pub misuse: bool,
    /// Whether a proxy was recorded with a document.
    pub explained: bool,
}

/// The distributions scores are drawn from, after the assumptions.
#[derive(Debug, Clone)]
pub struct Scores {
    photo: [Distribution; 2],
    live: [Distribution; 2],
    seed: u64,
}

impl Scores {
    /// Measured scores, lowered to the false non-match rates that are assumed.
    #[must_use]
    pub fn new(measured: &Measured, assumptions: &Assumptions, seed: u64) -> Self {
        let adjusted = |pair: &super::scores::Pair, fnmr: f64| {
            let threshold = pair.nonmated.quantile(1.0 - FMR);
            let lower = (pair.mated.quantile(fnmr) - threshold).max(0.0);
            [pair.mated.lowered(lower), pair.nonmated.clone()]
        };
        Self {
            photo: adjusted(&measured.probe_reference, assumptions.fnmr_photo),
            live: adjusted(&measured.probe_probe, assumptions.fnmr_live),
            seed,
        }
    }

    /// How much lower than measured mated scores are: with the photo, and live.
    #[must_use]
    pub fn lowered(&self, measured: &Measured) -> [f64; 2] {
        let by = |pair: &super::scores::Pair, now: &[Distribution; 2]| pair.mated.quantile(0.5) - now[0].quantile(0.5);
        [by(&measured.probe_reference, &self.photo), by(&measured.probe_probe, &self.live)]
    }

    /// Scores of trials between people drawn at random, as a center would calibrate on: with the photo and live, of one
    /// person and of two.
    #[must_use]
    pub fn trials(&self, assumptions: &Assumptions) -> [[Vec<f32>; 2]; 2] {
        let mut random = Rng::with_seed(mixed(&[self.seed, 1]));
        let mated = assumptions.calibration_trials;
        let [photo, live] = [&self.photo, &self.live].map(|pair| {
            let mut draws = |distribution: &Distribution, count: u32| {
                (0..count).map(|_| distribution.quantile(random.f64()) as f32).collect::<Vec<_>>()
            };
            [draws(&pair[0], mated), draws(&pair[1], 10 * mated)]
        });
        let [mut with_stale, nonmated] = photo;
        let stale = (f64::from(mated) * assumptions.stale) as usize;
        with_stale.iter_mut().take(stale).for_each(|score| *score -= assumptions.stale_lower as f32);
        [[with_stale, nonmated], live]
    }

    /// Score of a live capture that this share of non-mated ones reach.
    #[must_use]
    pub fn live_threshold(&self, fmr: f64) -> f64 {
        self.live[1].quantile(1.0 - fmr)
    }

    /// Score of a photo at which this share of non-mated ones match.
    #[must_use]
    pub fn photo_threshold(&self, fmr: f64) -> f64 {
        self.photo[1].quantile(1.0 - fmr)
    }

    /// Score of a capture with its card's photo.
    #[must_use]
    pub fn with_photo(&self, assumptions: &Assumptions, card: u32, stale: bool, capture: &Capture) -> f32 {
        let pair = [2, u64::from(card), u64::from(capture.face)];
        let draw = Draw { pair, noise: [3, u64::from(capture.id), 0], captures: &[capture] };
        let stale = if stale && capture.who == Who::Holder { assumptions.stale_lower } else { 0.0 };
        (self.score(assumptions, &self.photo, capture.who, &draw) - stale) as f32
    }

    /// Score of two captures of one card.
    #[must_use]
    pub fn live(&self, assumptions: &Assumptions, card: u32, a: &Capture, b: &Capture) -> f32 {
        let (a, b) = if a.id <= b.id { (a, b) } else { (b, a) };
        let who = match (a.face == b.face, a.who, b.who) {
            (true, ..) => Who::Holder,
            (false, Who::Holder, other) | (false, other, Who::Holder) => other,
            (false, ..) => Who::Stranger,
        };
        let faces = u64::from(a.face.min(b.face)) << 8 | u64::from(a.face.max(b.face));
        let draw = Draw { pair: [4, u64::from(card), faces], noise: [5, u64::from(a.id), u64::from(b.id)], captures: &[a, b] };
        self.score(assumptions, &self.live, who, &draw) as f32
    }

    fn score(&self, assumptions: &Assumptions, [mated, nonmated]: &[Distribution; 2], who: Who, draw: &Draw<'_>) -> f64 {
        let Assumptions { repeats, capture, .. } = assumptions;
        let pair = normal(mixed(&[&[self.seed][..], &draw.pair].concat()));
        let noise = normal(mixed(&[&[self.seed][..], &draw.noise].concat()));
        let quality = draw.captures.iter().map(|capture| normal(mixed(&[self.seed, 6, u64::from(capture.id)]))).sum::<f64>();
        let quality = quality / (draw.captures.len() as f64).sqrt();
        // A bad capture lowers what one person's captures score; two people's are as unlike as ever.
        let one = share_of_normal(repeats.sqrt() * pair + capture.sqrt() * quality + (1.0 - repeats - capture).sqrt() * noise);
        let two = share_of_normal(repeats.sqrt() * pair + (1.0 - repeats).sqrt() * noise);
        match who {
            Who::Holder => mated.quantile(one),
            Who::Twin => mated.quantile(one) - assumptions.twins_lower,
            Who::Relative => nonmated.quantile(two) + assumptions.relatives_higher,
            Who::Stranger => nonmated.quantile(two),
        }
        .clamp(-1.0, 1.0)
    }
}

/// What a score is drawn by: what repeats, what does not, and the captures whose quality counts.
struct Draw<'a> {
    pair: [u64; 3],
    noise: [u64; 3],
    captures: &'a [&'a Capture],
}

/// One card of the city.
#[derive(Debug, Clone, Default)]
pub struct Card {
    /// Its captures, by day.
    pub captures: Vec<Capture>,
    /// Whether the photo is stale.
    pub stale: bool,
}

/// The cards of a city.
#[must_use]
pub fn cards(assumptions: &Assumptions, seed: u64) -> Vec<Card> {
    let mut random = Rng::with_seed(mixed(&[seed, 10]));
    let misused = misused(assumptions, &mut random);
    let mut cards: Vec<Card> = (0..assumptions.people)
        .map(|card| {
            let holder_visits = misused.get(card as usize).is_none_or(|misuse| misuse.as_ref().is_none_or(|misuse| misuse.holder_stays));
            let mut captures =
                if holder_visits { visits(assumptions, &mut random, mixed(&[seed, 11, u64::from(card)])) } else { Vec::new() };
            if let Some(Some(misuse)) = misused.get(card as usize) {
                captures.extend(&misuse.captures);
            }
            captures.sort_by_key(|capture| capture.day);
            Card { captures, stale: random.f64() < assumptions.stale }
        })
        .collect();
    for (capture, id) in cards.iter_mut().flat_map(|card| &mut card.captures).zip(0..) {
        capture.id = id;
    }
    cards
}

/// What the holder, and whoever collects for them, do.
fn visits(assumptions: &Assumptions, random: &mut Rng, seed: u64) -> Vec<Capture> {
    let spread = assumptions.visits_spread;
    let rate = assumptions.visits_a_day / (1.0 + assumptions.second_settlement) * (spread * normal(seed) - spread * spread / 2.0).exp();
    let has_proxy = random.f64() < assumptions.proxies;
    let mut captures = Vec::new();
    for day in 0..assumptions.days {
        if random.f64() >= rate.min(0.9) {
            continue;
        }
        let proxy = has_proxy && random.bool();
        let explained = proxy && random.f64() >= assumptions.proxies_unrecorded;
        let who = if proxy { Who::Relative } else { Who::Holder };
        let times = if random.f64() < assumptions.second_settlement { 2 } else { 1 };
        captures.extend([Capture { id: 0, day, who, face: u8::from(proxy), misuse: false, explained }].repeat(times));
    }
    captures
}

struct Misuse {
    captures: Vec<Capture>,
    holder_stays: bool,
}

/// For each card, what others do with it; as many captures as are assumed, about.
fn misused(assumptions: &Assumptions, random: &mut Rng) -> Vec<Option<Misuse>> {
    let mut cards: Vec<Option<Misuse>> = (0..assumptions.people).map(|_| None).collect();
    let wanted = assumptions.captures() * assumptions.misuse;
    let (mut once, mut repeated) = (wanted * assumptions.misuse_once, wanted * (1.0 - assumptions.misuse_once));
    while once >= 1.0 || repeated >= 1.0 {
        let card = random.usize(0..cards.len());
        let Some(slot) = cards.get_mut(card).filter(|slot| slot.is_none()) else { continue };
        let first = random.u16(0..assumptions.days);
        let misuse = if repeated >= 1.0 { repeatedly(assumptions, random, first) } else { by(assumptions, random, &[first], 1, true) };
        *(if repeated >= 1.0 { &mut repeated } else { &mut once }) -= misuse.captures.len() as f64;
        *slot = Some(misuse);
    }
    cards
}

fn repeatedly(assumptions: &Assumptions, random: &mut Rng, first: u16) -> Misuse {
    let days: Vec<u16> =
        (first..assumptions.days).filter(|day| *day == first || random.f64() < 1.0 / assumptions.misuse_every_days).collect();
    let users = if random.f64() < assumptions.several_users { 3 } else { 1 };
    let holder_stays = random.f64() < assumptions.holder_stays;
    by(assumptions, random, &days, users, holder_stays)
}

fn by(assumptions: &Assumptions, random: &mut Rng, days: &[u16], users: u8, holder_stays: bool) -> Misuse {
    let who: Vec<Who> = (0..users)
        .map(|_| match random.f64() {
            draw if draw < assumptions.twins => Who::Twin,
            draw if draw < assumptions.twins + assumptions.relatives => Who::Relative,
            _ => Who::Stranger,
        })
        .collect();
    let capture = |day: &u16| {
        let user = random.u8(0..users);
        let who = who.get(usize::from(user)).copied().unwrap_or(Who::Stranger);
        Capture { id: 0, day: *day, who, face: 2 + user, misuse: true, explained: false }
    };
    Misuse { captures: days.iter().map(capture).collect(), holder_stays }
}
