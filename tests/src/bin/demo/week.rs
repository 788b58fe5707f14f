//! A week of seven counters, lived through the running parts under a clock that is set: every visit is a transaction at a
//! real agent, verified by the real center.
//!
//! Not here: who comes ([`plan`]), what they look like ([`faces`]).

mod faces;
mod plan;

use std::{
    fs,
    io::Write,
    path::Path,
    process::Stdio,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use anyhow::{Context, Result, ensure};
use faces::{PEOPLE, Wear};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::{ToSpan, Zoned, civil::Time};
use plan::{DAYS, PLACES, Stands, TIMES, Visit, Way};
use serde_json::Value;
use tests::{
    clock::Clock,
    process::run,
    site::{Counter, Site},
    till::Till,
};

/// Frames of one visit.
const FRAMES: usize = 4;
/// Counters that are busy at a time: beyond the processor's cores they only wait.
const BUSY: usize = 2;
/// Settings of the center in these days; nothing comes by itself in the middle of a day that is being played.
const CENTER: [(&str, &str); 5] = [
    ("TAMPERING__HERE", "false"),
    ("CASES__HERE", "false"),
    ("RECHECK__HERE", "false"),
    ("BATCH__NIGHTLY_AT", ""),
    ("LOG__FILTER", "warn"),
];
/// Settings of the counters. A health report that is under way while the clock is set takes the step for an offset of the clocks, so that
/// none is sent meanwhile.
const COUNTER: [(&str, &str); 4] =
    [("ACQUISITION__DEADLINE_MS", "3000"), ("API__REQUESTS_PER_S", "1000"), ("CENTER__HEALTH_EVERY_S", "3600"), ("LOG__FILTER", "warn")];
/// People who work at the center, as (name, role, institution).
pub(crate) const STAFF: [(&str, &str, &str); 6] = [
    ("anna", "reviewer", ""),
    ("ben", "reviewer", ""),
    ("susan", "supervisor", ""),
    ("otto", "auditor", ""),
    ("adam", "administrator", ""),
    ("mia", "store_manager", "P330227"),
];

/// What the week was, in numbers.
#[derive(Debug, Default)]
pub(crate) struct Lived {
    /// Visits to a counter.
    pub(crate) visits: usize,
    /// Settlements told to the center.
    pub(crate) settled: usize,
    /// Cases that were opened.
    pub(crate) cases: usize,
}

/// Lives through the last `days` of the week before today, in a site whose center has been made under its clock.
///
/// # Errors
/// When a command, a server or an agent fails.
pub(crate) fn live(root: &Path, clock: &Clock, days: usize, interrupted: &AtomicBool) -> Result<Lived> {
    let site = Site::new(root)?.under_clock(clock.clone());
    let sites: Vec<Site> = (0..PLACES.len()).map(|number| site_of(&site, number)).collect();
    set(clock, days, 0, 7 * 60)?;
    let_pictures_pass(&site, root)?;
    enrol(&site, root)?;
    for (site, place) in sites.iter().zip(&PLACES).skip(1) {
        site.join_counter(place.institution, place.counter)?;
    }
    let center = site.start_center_with("127.0.0.1:0", &CENTER)?;
    let counters = sites.iter().map(|site| site.start_counter_with(center.address(), &COUNTER)).collect::<Result<Vec<_>>>()?;
    let week = Week { root, clock, sites: &sites, counters: &counters, days, interrupted };
    let lived = week.live(&site);
    for counter in counters {
        counter.stop()?;
    }
    center.stop()?;
    let mut lived = lived?;
    run(&mut site.matcher(&["statistics", "rebuild"])?)?;
    lived.cases = site.listing_of(&["cases", "list"])?.len();
    Ok(lived)
}

/// Adds the people who work at the center, with one pass phrase.
///
/// # Errors
/// When the command fails.
pub(crate) fn staff(site: &Site, pass_phrase: &str) -> Result<()> {
    for (name, role, institution) in STAFF {
        let mut command = site.matcher(&["user", "add", name, "--role", role, "--institution", institution])?;
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        child.stdin.take().context("no standard input")?.write_all(pass_phrase.as_bytes())?;
        ensure!(child.wait()?.success(), "matcher user add {name} failed");
    }
    Ok(())
}

fn site_of(site: &Site, number: usize) -> Site {
    match number {
        0 => site.another_counter("counter", "before-the-camera"),
        number => site.another_counter(&format!("counter-{number}"), &format!("before-{number}")),
    }
}

/// Sets the clock to a minute of a day, so many days before today from the first.
fn set(clock: &Clock, days: usize, day: usize, minute: usize) -> Result<()> {
    let now = Zoned::now();
    let back = i64::try_from(days.saturating_sub(day))?;
    let midnight = now.with().time(Time::midnight()).build()?.checked_sub(back.days())?;
    let then = midnight.checked_add(i64::try_from(minute)?.minutes())?;
    Ok(clock.set(then.timestamp().as_second() - now.timestamp().as_second())?)
}

/// Applies the policy without its rule about attacks: the week's people are pictures before a wall, which it rightly doubts.
/// Scores are recorded all the same.
fn let_pictures_pass(site: &Site, root: &Path) -> Result<()> {
    let text = run(&mut site.matcher(&["policy", "show"])?)?;
    let (rule, version) = ("\nretry_below = 0.5\n", "version = \"demonstration-1\"");
    ensure!(text.contains(rule) && text.contains(version), "the demonstration's policy is not the expected one");
    let file = root.join("exchange/policy.toml");
    fs::write(&file, text.replacen(rule, "\n", 1).replacen(version, "version = \"demonstration-2\"", 1))?;
    let reason = "the demonstration's people are pictures";
    run(&mut site.matcher(&["policy", "apply", &file.to_string_lossy(), "--by", "demo", "--reason", reason])?).map(drop)
}

/// Enrols every card of the week.
fn enrol(site: &Site, root: &Path) -> Result<()> {
    let photos = root.join("exchange/week");
    fs::create_dir_all(&photos)?;
    for (number, person) in PEOPLE.iter().enumerate() {
        faces::photo(person, &photos.join(format!("{number}.png")))?;
    }
    let rows: String = plan::cards().iter().map(|(card, person)| format!("{card},{person}.png,{}\n", taken(card, *person))).collect();
    let manifest = root.join("exchange/week.csv");
    fs::write(&manifest, format!("card,photo,photo_taken_on\n{rows}"))?;
    run(&mut site.matcher(&["enrol", "--manifest", &manifest.to_string_lossy(), "--photos", &photos.to_string_lossy()])?).map(drop)
}

/// When a card's photo was taken: some years ago, and long ago for the one that nobody looks like.
fn taken(card: &str, person: usize) -> String {
    if card.ends_with("9001") { "2011-05-09".to_owned() } else { format!("{}-03-14", 2017 + person % 8) }
}

/// The week under way.
struct Week<'a> {
    root: &'a Path,
    clock: &'a Clock,
    sites: &'a [Site],
    counters: &'a [Counter],
    days: usize,
    interrupted: &'a AtomicBool,
}

impl Week<'_> {
    fn live(&self, site: &Site) -> Result<Lived> {
        let bar = ProgressBar::new((self.days * TIMES * PLACES.len()) as u64);
        bar.set_style(ProgressStyle::with_template("     {msg} [{bar:40}] {pos}/{len} visits, {eta} left")?);
        let mut lived = Lived::default();
        for (number, day) in (DAYS - self.days..DAYS).enumerate() {
            bar.set_message(format!("day {} of {}", number + 1, self.days));
            for (time, visits) in plan::day(day).iter().enumerate() {
                for (turn, visits) in visits.chunks(BUSY).enumerate() {
                    if self.interrupted.load(Ordering::Relaxed) {
                        return Ok(lived);
                    }
                    set(self.clock, self.days, number, 8 * 60 + 20 + 70 * time + 13 * turn + (day * 7 + time * 3) % 11)?;
                    lived.settled += self.at_once(day, time, visits)?;
                    lived.visits += visits.len();
                    bar.inc(visits.len() as u64);
                }
            }
            set(self.clock, self.days, number, 20 * 60)?;
            run(&mut site.matcher(&["cases", "run"])?)?;
        }
        bar.finish_and_clear();
        Ok(lived)
    }

    /// Visits at several counters at a time; how many were settled.
    fn at_once(&self, day: usize, time: usize, visits: &[Visit]) -> Result<usize> {
        let outcomes = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for visit in visits {
                let outcomes = &outcomes;
                scope.spawn(move || {
                    let outcome = self.visit(day, time, visit);
                    outcomes.lock().unwrap_or_else(PoisonError::into_inner).push(outcome);
                });
            }
        });
        let outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(outcomes.into_iter().collect::<Result<Vec<bool>>>()?.into_iter().filter(|settled| *settled).count())
    }

    fn visit(&self, day: usize, time: usize, visit: &Visit) -> Result<bool> {
        let (place, counter) = (PLACES.get(visit.place).context("a place")?, self.counters.get(visit.place).context("a counter")?);
        let site = self.sites.get(visit.place).context("a site")?;
        let mut chance = fastrand::Rng::with_seed((day * 10_000 + time * 100 + visit.place) as u64);
        let folder = self.root.join(format!("frames/{}", visit.place));
        let (picture, wear) = match visit.stands {
            Stands::Somebody(person) => (*chance.choice(PEOPLE.get(person).context("a person")?.visits).context("a picture")?, visit.wear),
            Stands::Picture(name) => ((name, 480), Wear::default()),
        };
        site.stand_before_the_camera(&faces::frames(picture, wear, &mut chance, &folder, FRAMES)?)?;
        let operator = place.operators.get(usize::from(time >= TIMES / 2)).context("an operator")?;
        let transaction = format!("{}-{}-{day}{time:02}", place.institution, place.counter);
        let till = Till::swipe(counter, &transaction, &visit.card, place.scene, operator)?;
        let mut answer = match visit.way {
            Way::Other => till.other_way()?,
            Way::Proxy(number) => {
                let (status, answer) = till.proxy(number, "")?;
                ensure!(status == 200, "{transaction}: the proxy was answered {status}: {answer}");
                till.face()?
            }
            Way::Face { .. } => till.face()?,
        };
        if disposition(&answer.1) == "retry" {
            answer = till.face()?;
        }
        answer = match (disposition(&answer.1), visit.way) {
            ("document_check", Way::Face { same_person }) => till.document_check(same_person)?,
            ("document_check", _) => till.document_check(true)?,
            ("other_way", _) => till.other_way()?,
            _ => answer,
        };
        if !matches!(disposition(&answer.1), "settle" | "settle_flagged") {
            till.cancel()?;
            return Ok(false);
        }
        let settled = till.confirm(1_200 + chance.u64(0..60_000))?.0 == 200;
        if visit.reversed {
            till.reverse()?;
        }
        Ok(settled)
    }
}

fn disposition(answer: &Value) -> &str {
    answer.get("disposition").and_then(Value::as_str).unwrap_or_default()
}
