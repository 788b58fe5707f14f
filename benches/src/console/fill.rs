//! A city's store for the console: verifications, flags, cases in every state, and looks at faces, made up.

use std::path::Path;

use anyhow::{Context, Result};
use matcher::{
    app::{
        accounts::{Accounts, NewUser},
        sample::{Sample, samples_to_bytes},
    },
    center::Center,
    store::{RecordId, SubjectId},
    surroundings::{Surroundings, System},
    vault::RecordContext,
};
use matcher_core::{
    console::{LockRule, Role, SessionRule},
    evidence::CaseKind,
};
use models_core::Quality;

use super::sink::{Cell, Sink};
use crate::load::{center::Place, people};

const DAY_MS: i64 = 86_400_000;
/// Days that the log goes back.
const DAYS: i64 = 90;
/// The password of everybody.
pub const PASSWORD: &str = "a pass phrase for benches";
/// Cases that are read in each step; each has faces that can be opened.
pub const READ: usize = 20;
/// The institution of the manager.
pub const INSTITUTION: &str = "P10000";
/// Captures of a case.
const MEMBERS: usize = 3;

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
    let with_faces = faces(&center).await?;
    let mut sink = Sink::open(Path::new(&matcher::data_dir::DataDir::new(place.folder()).store()), url).await?;
    let plan = Plan { size, now: System.now_ms(), with_faces };
    if let Sink::Sqlite(_) = sink {
        sink.run("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA cache_size = -200000;").await?;
    }
    said("verifications");
    sink.put("verification", VERIFICATION, (0..size.verifications).map(|n| plan.verification(n))).await?;
    let flag = "id, kind, raised_at, verification_id, institution, device_id, transaction_id, identifier_masked, reason";
    sink.put("flag", flag, (0..size.flags).map(|n| plan.flag(n))).await?;
    said("cases");
    plan.cases(&mut sink).await?;
    said("looks");
    let epoch = vec![id(b'x', 0).into(), plan.now.into(), "bench".into(), "".into(), "".into(), 0_i64.into()];
    sink.put("audit_epoch", "epoch, started_at, command, os_user, host, pid", std::iter::once(epoch)).await?;
    let link = vec![id(b'x', 0).into(), 1_i64.into(), (size.cases as i64).into(), [id(b'x', 1), id(b'x', 2)].concat().into()];
    sink.put("audit_link", "epoch, link, entries, hash", std::iter::once(link)).await?;
    let looks = (0..size.cases).map(|n| plan.look(n));
    sink.put("audit_entry", "epoch, link, place, at, digest, salt, action, actor, object, detail", looks).await?;
    plan.probes(&center, &mut sink).await?;
    if let Sink::Postgres(_) = sink {
        // As its own daemon does before long.
        sink.run("VACUUM ANALYZE").await?;
    }
    let known = |case: usize| {
        let face = plan.with_faces.get(case).context("a face for each case that is read")?;
        Ok::<_, anyhow::Error>(Known { case: RecordId(id(b'c', case)), photo: face.1, capture: RecordId(id(b'v', case * MEMBERS)) })
    };
    Ok(City {
        first_step: (0..READ).map(known).collect::<Result<_>>()?,
        second_step: (READ..2 * READ).map(known).collect::<Result<_>>()?,
        transaction: plan.transaction(MEMBERS * READ * 3),
    })
}

/// A picture as far as a browser's door is concerned: how a JPEG begins, and noise.
fn picture() -> Vec<u8> {
    let mut bytes = vec![0xff, 0xd8, 0xff, 0xe0];
    bytes.extend((0..20_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8));
    bytes
}

/// People with a photo that can be opened.
async fn faces(center: &Center) -> Result<Vec<(SubjectId, RecordId, matcher::store::Sealed)>> {
    let made_by = people::MadeBy::shipped()?;
    let (mut made, mut known) = (Vec::new(), Vec::new());
    for person in 0..2 * READ as u64 {
        let mut new = people::enrolment(center, &made_by, person, 16, System.now_ms() - DAYS * DAY_MS)?;
        let (subject, photo) = (new.reference.subject, new.reference.photo);
        let key = center.vault.unwrap_data_key(subject, &new.data_key)?;
        new.photo = key.seal(&RecordContext::enrolment_photo(subject, photo), &picture());
        known.push((subject, photo, new.data_key.clone()));
        made.push(new);
    }
    for done in center.store.put_enrolments(made).await? {
        done?;
    }
    Ok(known)
}

const VERIFICATION: &str = "subject_id, id, known, institution, transaction_id, attempt, envelope_digest, device_id, counter, \
    sequence, scene, operator, notice, identifier_kind, identifier_region, identifier_hash, identifier_masked, captured_at, decided_at, \
    decision, reasons, disposition, score, match_threshold, non_match_threshold, model, live, policy_version, mode, recipe, consent, minor, \
    childhood_photo, photo_age_days, reference_id";

struct Plan {
    size: Size,
    now: i64,
    with_faces: Vec<(SubjectId, RecordId, matcher::store::Sealed)>,
}

impl Plan {
    /// Whose a case is: the first are people with faces.
    fn subject(&self, case: usize) -> [u8; 16] {
        self.with_faces.get(case).map_or_else(|| id(b's', case), |(subject, ..)| subject.0)
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

    /// State, second look due, steps: a third is open, most are closed, as a desk leaves them.
    fn state(case: usize) -> (&'static str, &'static str, i64) {
        match case {
            0..READ => ("claimed", "claimed", 0),
            _ if case < 2 * READ => ("claimed", "claimed", 0),
            _ => match case % 20 {
                0..7 => ("open", "open", 0),
                7 => ("decided", "second_due", 1),
                8 => ("decided", "decided", 0),
                _ => ("closed", "closed", 0),
            },
        }
    }

    fn opened(&self, case: usize) -> i64 {
        self.now - (case as i64 * 2_654_435_761 % (DAYS * DAY_MS)).abs()
    }

    fn kind(case: usize) -> &'static str {
        CaseKind::ALL.get(case * 13 % CaseKind::ALL.len()).map_or("card_shared", |kind| kind.word())
    }

    fn rank(case: usize) -> f64 {
        (case * 7_919 % 100_000) as f64 / 1_000.0
    }

    async fn cases(&self, sink: &mut Sink) -> Result<()> {
        let all = 0..self.size.cases;
        let key = |case: usize| [Cell::from(self.subject(case)), Cell::from(id(b'c', case))];
        let of = |case: usize, rest: Vec<Cell>| [key(case).to_vec(), rest].concat();
        let files = all.clone().map(|case| {
            let opening = if case % 50 == 3 { "complaint" } else { "evidence" };
            of(
                case,
                vec![Self::kind(case).into(), opening.into(), self.opened(case).into(), Self::rank(case).into(), 2_i64.into(), "".into()],
            )
        });
        sink.put("case_file", "subject_id, id, kind, opening, opened_at, log_odds, days, reason", files).await?;
        let members = all.clone().flat_map(|case| {
            (0..MEMBERS).map(move |place| (case, place)).map(|(case, place)| {
                of(case, vec![id(b'v', case * MEMBERS + place).into(), (place as i64 % 2).into(), i64::from(place > 0).into()])
            })
        });
        sink.put("case_member", "subject_id, case_id, verification_id, face, suspect", members).await?;
        let events = all.clone().flat_map(|case| self.events(case));
        sink.put("case_event", "subject_id, case_id, number, at, actor, event, verdict, reason", events).await?;
        let judged = (READ..2 * READ)
            .map(|case| of(case, vec!["anna".into(), self.now.into(), id(b'v', case * MEMBERS).into(), 1_i64.into(), 0.5.into()]));
        sink.put("case_judgement", "subject_id, case_id, actor, at, verification_id, judgement, draw", judged).await?;
        let desks = all.clone().map(|case| {
            let (state, standing, due) = Self::state(case);
            let assignee = if state == "claimed" { "anna".into() } else { Cell::Null };
            let masked = format!("S{:03}****{:02}", case % 1_000, case % 100);
            let head = vec![Self::kind(case).into(), self.opened(case).into(), Self::rank(case).into(), state.into(), assignee];
            let tail = vec![due.into(), self.opened(case).into(), standing.into(), (MEMBERS as i64).into(), self.institution(case).into()];
            of(case, [head, tail, vec![1_i64.into(), masked.into()]].concat())
        });
        let columns = "subject_id, case_id, kind, opened_at, rank, state, assignee, second_due, changed_at, standing, captures, institution, institutions, identifier_masked";
        sink.put("case_desk", columns, desks).await?;
        let places = all.clone().flat_map(|case| {
            (0..MEMBERS).map(move |place| (case, place)).map(|(case, place)| {
                of(case, vec![self.institution(case).into(), self.transaction(case * MEMBERS + place).into(), scene(case).into()])
            })
        });
        sink.put("case_place", "subject_id, case_id, institution, transaction_id, scene", places).await?;
        let facets = all.flat_map(|case| {
            let (_, standing, _) = Self::state(case);
            [("kind", Self::kind(case).to_owned()), ("institution", self.institution(case)), ("scene", scene(case).to_owned())].map(
                |(facet, value)| {
                    of(case, vec![facet.into(), value.into(), standing.into(), Self::rank(case).into(), self.opened(case).into()])
                },
            )
        });
        sink.put("case_facet", "subject_id, case_id, facet, value, standing, rank, opened_at", facets).await?;
        sink.run("INSERT INTO case_institution SELECT DISTINCT institution FROM case_place").await?;
        sink.run(
            "INSERT INTO reviewer_day SELECT actor, at / 86400000, count(*), 0, 0, 0, 0 FROM case_event WHERE event = 'decided'
             GROUP BY actor, at / 86400000",
        )
        .await?;
        let asked = (0..self.size.cases).filter(|case| case % 20 == 8).map(|case| {
            let due = self.now + DAY_MS;
            let head = vec![1_i64.into(), self.opened(case).into(), "susan".into(), "store_asked".into()];
            of(case, [head, vec![self.institution(case).into(), "who was at the till".into(), due.into()]].concat())
        });
        sink.put("case_statement", "subject_id, case_id, number, at, actor, kind, institution, text, due_at", asked).await.map(drop)
    }

    fn events(&self, case: usize) -> Vec<Vec<Cell>> {
        let by = if case < 2 * READ { "anna" } else { "ben" };
        let claimed = ("claimed", Cell::Null, "");
        let decided = ("decided", Cell::from("false_alarm"), "the same person");
        let steps = match Self::state(case).0 {
            "open" => vec![],
            "claimed" => vec![claimed],
            "decided" => vec![claimed, decided],
            _ => vec![claimed, decided, ("closed", Cell::Null, "")],
        };
        let row = |(number, (event, verdict, reason)): (i64, (&str, Cell, &str))| {
            let at = self.opened(case) + number * 60_000;
            vec![
                self.subject(case).into(),
                id(b'c', case).into(),
                number.into(),
                at.into(),
                by.into(),
                event.into(),
                verdict,
                reason.into(),
            ]
        };
        (1..).zip(steps).map(row).collect()
    }

    fn look(&self, n: usize) -> Vec<Cell> {
        let case = RecordId(id(b'c', n));
        let detail = format!("{{\"case\":\"{case}\",\"what\":\"capture\"}}");
        let head = vec![id(b'x', 0).into(), 1_i64.into(), (n as i64).into(), self.at(n).into(), [id(b'x', n), id(b'y', n)].concat().into()];
        let object = RecordId(id(b'v', n)).to_string();
        [head, vec![id(b'z', n).into(), "face_viewed".into(), "ben".into(), object.into(), detail.into()]].concat()
    }

    async fn probes(&self, center: &Center, sink: &mut Sink) -> Result<()> {
        let sample = Sample {
            jpeg: picture(),
            landmarks: [40.0, 60.0, 100.0, 60.0, 70.0, 90.0, 50.0, 110.0, 90.0, 110.0],
            face_box: [20.0, 20.0, 120.0, 140.0],
            quality: Quality::default(),
        };
        let samples = samples_to_bytes(&[sample]);
        let mut rows = Vec::new();
        for (case, (subject, _, wrapped)) in self.with_faces.iter().enumerate() {
            let key = center.vault.unwrap_data_key(*subject, wrapped)?;
            for place in 0..MEMBERS {
                let capture = RecordId(id(b'v', case * MEMBERS + place));
                let sealed = key.seal(&RecordContext::probe_sample(*subject, capture), &samples);
                let at = self.at(case * MEMBERS + place) + 40;
                rows.push(vec![subject.0.into(), capture.0.into(), vec![1_u8].into(), sealed.0.into(), at.into()]);
            }
        }
        sink.put("probe", "subject_id, verification_id, template, sample, decided_at", rows.into_iter()).await.map(drop)
    }
}

fn scene(case: usize) -> &'static str {
    if case.is_multiple_of(3) { "reception" } else { "settlement" }
}
