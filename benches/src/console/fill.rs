//! A city's store for the console: verifications, flags, cases in every state, known-answer cases among them, weeks of figures, and looks
//! at faces, made up.

use std::path::Path;

use anyhow::{Context, Result};
use faces::Face;
use matcher::{
    app::accounts::{Accounts, NewUser},
    center::Center,
    store::RecordId,
    surroundings::{Surroundings, System},
};
use matcher_core::{
    AgeBand,
    console::{LockRule, Role, SessionRule},
};

use super::sink::{Cell, Sink};
use crate::load::center::Place;

mod cases;
mod faces;
mod history;

pub use history::{DRIFTING, camera};

const DAY_MS: i64 = 86_400_000;
/// Days that the log goes back.
const DAYS: i64 = 90;
/// The password of everybody.
pub const PASSWORD: &str = "a pass phrase for benches";
/// Cases of each kind that are read; each has faces that can be opened.
pub const READ: usize = 20;
/// The institution of the manager.
pub const INSTITUTION: &str = "P10000";
/// Captures of a case.
const MEMBERS: usize = 3;

/// What a case is there for, by its number: the first are read, [`READ`] of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    /// The reviewer is to judge its faces.
    FirstStep,
    /// The reviewer has judged its faces.
    SecondStep,
    /// It is over, and there is a report of it.
    Closed,
    /// The same of a known-answer case.
    SeededFirst,
    /// The same.
    SeededSecond,
    /// The same.
    SeededClosed,
    /// It stands among the others.
    Others,
}

impl Of {
    const READ: [Self; 6] = [Self::FirstStep, Self::SecondStep, Self::Closed, Self::SeededFirst, Self::SeededSecond, Self::SeededClosed];

    fn case(case: usize) -> Self {
        Self::READ.get(case / READ).copied().unwrap_or(Self::Others)
    }

    fn is_seeded(self) -> bool {
        matches!(self, Self::SeededFirst | Self::SeededSecond | Self::SeededClosed)
    }

    /// The numbers of the cases that are read.
    fn cases(self) -> impl Iterator<Item = usize> + Clone {
        (0..Self::READ.len() * READ).filter(move |case| Self::case(*case) == self)
    }
}

/// How much there is.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Verifications.
    pub verifications: usize,
    /// Flags.
    pub flags: usize,
    /// Cases.
    pub cases: usize,
    /// Institutions.
    pub institutions: usize,
}

/// A case with faces.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// The case.
    pub case: RecordId,
    /// Its photo.
    pub photo: RecordId,
    /// One of its captures.
    pub capture: RecordId,
}

/// What was written, for the pages that name something.
#[derive(Debug, Clone)]
pub struct City {
    /// Cases whose faces the reviewer is to judge.
    pub first_step: Vec<Known>,
    /// Cases whose faces the reviewer has judged.
    pub second_step: Vec<Known>,
    /// Cases that are over.
    pub closed: Vec<Known>,
    /// Known-answer cases: in the first step, in the second, and over.
    pub seeded: [Vec<Known>; 3],
    /// Cases that the manager was asked about.
    pub asked: Vec<RecordId>,
    /// A transaction of a case.
    pub transaction: String,
}

/// An id that follows from what it is of and its number.
fn id(of: u8, number: usize) -> [u8; 16] {
    let mut state = (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(of) << 56;
    let mut next = || {
        state = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state = (state ^ state >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        state ^= state >> 31;
        state.to_be_bytes()
    };
    let (high, low) = (next(), next());
    std::array::from_fn(|place| if place < 8 { high.get(place) } else { low.get(place - 8) }.copied().unwrap_or_default())
}

/// Makes everybody who signs in.
///
/// # Errors
/// When the store refuses somebody.
pub async fn people(center: &Center) -> Result<()> {
    let lock = LockRule { free: 5, first_ms: 30_000, max_ms: 3_600_000 };
    let session = SessionRule { idle_ms: 900_000, absolute_ms: 36_000_000 };
    let accounts = Accounts::new(center.clone(), std::sync::Arc::new(System), lock, session);
    for role in Role::ALL {
        let institution = if *role == Role::StoreManager { INSTITUTION } else { "" };
        let new = NewUser { name: name(*role).to_owned(), role: *role, institution: institution.to_owned(), must_change: false };
        accounts.add(new, PASSWORD.to_owned().into(), "").await?;
    }
    Ok(())
}

/// The name of whoever has a role.
#[must_use]
pub fn name(role: Role) -> &'static str {
    match role {
        Role::Reviewer => "anna",
        Role::Supervisor => "susan",
        Role::Auditor => "otto",
        Role::Administrator => "adam",
        Role::StoreManager => "mia",
    }
}

/// Fills the store of a center that nobody serves.
///
/// # Errors
/// When the store refuses something.
pub async fn fill(place: &Place, url: Option<&str>, size: Size, mut said: impl FnMut(&str)) -> Result<City> {
    let center = place.open().await?;
    people(&center).await?;
    let faces = faces::people(&center).await?;
    let mut sink = Sink::open(Path::new(&matcher::data_dir::DataDir::new(place.folder()).store()), url).await?;
    let plan = Plan { size, now: System.now_ms(), faces };
    if let Sink::Sqlite(_) = sink {
        sink.run("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA cache_size = -200000;").await?;
    }
    said("verifications");
    let real = |n: &usize| !Of::case(n / MEMBERS).is_seeded();
    sink.put("verification", VERIFICATION, (0..size.verifications).filter(real).map(|n| plan.verification(n))).await?;
    let flag = "id, kind, raised_at, verification_id, institution, device_id, transaction_id, identifier_masked, reason";
    sink.put("flag", flag, (0..size.flags).filter(real).map(|n| plan.flag(n))).await?;
    said("cases");
    plan.cases(&mut sink).await?;
    said("looks");
    let epoch = vec![id(b'x', 0).into(), plan.now.into(), "bench".into(), "".into(), "".into(), 0_i64.into()];
    sink.put("audit_epoch", "epoch, started_at, command, os_user, host, pid", std::iter::once(epoch)).await?;
    let link = vec![id(b'x', 0).into(), 1_i64.into(), (size.cases as i64).into(), [id(b'x', 1), id(b'x', 2)].concat().into()];
    sink.put("audit_link", "epoch, link, entries, hash", std::iter::once(link)).await?;
    let looks = (0..size.cases).map(|n| plan.look(n));
    sink.put("audit_entry", "epoch, link, place, at, digest, salt, action, actor, object, detail", looks).await?;
    plan.pictures(&center, &mut sink).await?;
    plan.seeds(&center, &mut sink).await?;
    said("weeks of figures");
    plan.history(&center).await?;
    if let Sink::Postgres(_) = sink {
        // As its own daemon does before long.
        sink.run("VACUUM ANALYZE").await?;
    }
    let known = |case: usize| {
        let face = plan.faces.get(case).context("a face for each case that is read")?;
        Ok::<_, anyhow::Error>(Known { case: RecordId(id(b'c', case)), photo: face.photo, capture: RecordId(id(b'v', case * MEMBERS)) })
    };
    let all = |of: Of| of.cases().map(known).collect::<Result<Vec<_>>>();
    let asked = (0..size.cases).filter(|case| plan.is_asked(*case) && plan.institution(*case) == INSTITUTION);
    Ok(City {
        first_step: all(Of::FirstStep)?,
        second_step: all(Of::SecondStep)?,
        closed: all(Of::Closed)?,
        seeded: [all(Of::SeededFirst)?, all(Of::SeededSecond)?, all(Of::SeededClosed)?],
        asked: asked.take(READ).map(|case| RecordId(id(b'c', case))).collect(),
        transaction: plan.transaction(MEMBERS * READ * Of::READ.len() + MEMBERS),
    })
}

const VERIFICATION: &str = "subject_id, id, known, institution, transaction_id, attempt, envelope_digest, device_id, counter, \
    sequence, scene, operator, notice, identifier_kind, identifier_region, identifier_hash, identifier_masked, captured_at, decided_at, \
    decision, reasons, disposition, score, match_threshold, non_match_threshold, model, live, policy_version, mode, recipe, consent, minor, \
    childhood_photo, photo_age_days, reference_id, age_band";

struct Plan {
    size: Size,
    now: i64,
    faces: Vec<Face>,
}

impl Plan {
    /// Whose a case is: the first are people with faces.
    fn subject(&self, case: usize) -> [u8; 16] {
        self.faces.get(case).map_or_else(|| id(b's', case), |face| face.subject.0)
    }

    /// The captures of a case stand one after another in the log; the rest are about further people.
    fn verification(&self, n: usize) -> Vec<Cell> {
        let case = n / MEMBERS;
        let at = self.at(n);
        let score = (n * 7_919 % 1_000) as f64 / 1_000.0;
        vec![
            self.subject(case).into(),
            id(b'v', n).into(),
            1_i64.into(),
            self.institution(case).into(),
            self.transaction(n).into(),
            1_i64.into(),
            [id(b'e', n), id(b'f', n)].concat().into(),
            format!("{}-1", self.institution(case)).into(),
            "1".into(),
            (n as i64 + 1).into(),
            scene(case).into(),
            format!("op{}", n % 7).into(),
            "v1".into(),
            "social_security_card".into(),
            "".into(),
            [id(b'h', case), id(b'i', case)].concat().into(),
            format!("S{:03}****{:02}", case % 1_000, case % 100).into(),
            at.into(),
            (at + 40).into(),
            if score < 0.02 { "review" } else { "match" }.into(),
            "[]".into(),
            "settle".into(),
            score.into(),
            0.5.into(),
            Cell::Null,
            "m@1".into(),
            0.9.into(),
            "live-1".into(),
            "live".into(),
            "r@1".into(),
            "".into(),
            0_i64.into(),
            0_i64.into(),
            400_i64.into(),
            Cell::Null,
            AgeBand::ALL.get(case % AgeBand::ALL.len()).map_or("unknown", |band| band.word()).into(),
        ]
    }

    fn at(&self, n: usize) -> i64 {
        self.now - DAYS * DAY_MS + (n as i64 * 2_654_435_761 % (DAYS * DAY_MS)).abs()
    }

    fn institution(&self, case: usize) -> String {
        format!("P1{:04}", case * 31 % self.size.institutions)
    }

    fn transaction(&self, n: usize) -> String {
        format!("{}-{n:08}", self.institution(n / MEMBERS))
    }

    fn flag(&self, n: usize) -> Vec<Cell> {
        let (case, of) = (n / MEMBERS, n);
        vec![
            id(b'g', n).into(),
            "card_person_mismatch".into(),
            (self.at(of) + 40).into(),
            id(b'v', of).into(),
            self.institution(case).into(),
            format!("{}-1", self.institution(case)).into(),
            self.transaction(of).into(),
            "S001****01".into(),
            "".into(),
        ]
    }

    fn look(&self, n: usize) -> Vec<Cell> {
        let case = RecordId(id(b'c', n));
        let detail = format!("{{\"case\":\"{case}\",\"what\":\"capture\"}}");
        let head = vec![id(b'x', 0).into(), 1_i64.into(), (n as i64).into(), self.at(n).into(), [id(b'x', n), id(b'y', n)].concat().into()];
        let object = RecordId(id(b'v', n)).to_string();
        [head, vec![id(b'z', n).into(), "face_viewed".into(), "ben".into(), object.into(), detail.into()]].concat()
    }
}

fn scene(case: usize) -> &'static str {
    if case.is_multiple_of(3) { "reception" } else { "settlement" }
}
