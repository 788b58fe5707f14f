//! Known-answer cases beside those that evidence opened: so many that they are the set share of what the desk gets, half with one person on
//! all pictures.
//!
//! Each copies a case that was opened in the very same turn, its *donor*: kind, institution, counter, operator, hours, how often and how
//! sure, so that none of these tells one from the other; ids come from the same source, numbers are the donor's with other digits, times
//! are shifted by minutes. The faces are a pair's whose score is near the donor's, opened and sealed again under a key of the case's own. Where
//! no case was opened, none is made: it would stand alone. Not here: that nothing is counted or sent because of them (the store).

use matcher_core::{
    Decision, FlagKind,
    console::{DonorScore, choose_pair},
    evidence::CaseKind,
};

use super::{CaseRunner, CasesError};
use crate::{
    store::{
        RecordId, SealedProbe, SubjectId, TimeMs, Verification,
        cases::{CaseMember, NewCase, StoredCase},
        desk::{CaseSurroundings, PhotoFacts},
        seeds::{NewSeedCase, SeedPictures, SeedUse},
    },
    surroundings::Surroundings,
    vault::{DataKey, RecordContext},
};

/// The share is kept over so many days.
const WINDOW_MS: i64 = 30 * 86_400_000;
/// At most so many in one turn.
const AT_ONCE: u64 = 50;
/// A capture is moved by less than this.
const MOVED_MS: u64 = 8 * 60_000;
/// Tries at a number of a transaction that nobody has.
const TRIES: u32 = 16;

/// Throws dice of a center's own randomness.
struct Dice<'a>(&'a dyn Surroundings);

impl Dice<'_> {
    /// A whole number below another.
    fn below(&self, bound: u64) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0.random_id();
        u64::from_be_bytes([a, b, c, d, e, f, g, h]) % bound.max(1)
    }

    /// −1 to 1.
    fn around(&self) -> f64 {
        self.below(2_000_001) as f64 / 1e6 - 1.0
    }

    /// A text with other digits in the place of its digits.
    fn digits(&self, text: &str) -> String {
        let other = |c: char| if c.is_ascii_digit() { char::from(b'0' + (self.below(10) as u8)) } else { c };
        text.chars().map(other).collect()
    }

    /// A number of a transaction like another: its last digits are others.
    fn transaction(&self, like: &str) -> String {
        let stays = like.rfind(|c: char| !c.is_ascii_digit()).map_or(0, |at| at + 1);
        // A number's first digits tell its time: the last four alone are thrown.
        let stays = stays.max(like.len().saturating_sub(4));
        match like.split_at_checked(stays) {
            Some((head, tail)) if !tail.is_empty() => format!("{head}{}", self.digits(tail)),
            Some(_) | None => format!("{like}{}", self.below(10)),
        }
    }
}

/// A case of this turn and what belongs to it.
struct Donor {
    stored: StoredCase,
    records: Vec<Option<Verification>>,
    around: CaseSurroundings,
}

impl CaseRunner {
    /// Makes the cases that are due after a turn opened some; says how many.
    pub(super) async fn seed(&self, now: TimeMs) -> Result<u64, CasesError> {
        let share = self.settings.seed_share;
        if share <= 0.0 {
            return Ok(0);
        }
        let store = self.center.store.as_ref();
        let mut counts = store.seed_counts(now.saturating_sub(WINDOW_MS)).await.map_err(CasesError::Store)?;
        let wanted = (counts.real as f64 * share / (1.0 - share)).floor() as u64;
        let due = wanted.saturating_sub(counts.mated + counts.nonmated).min(AT_ONCE);
        if due == 0 {
            return Ok(0);
        }
        let dice = Dice(self.surroundings.as_ref());
        let mut pairs = store.seed_pairs().await.map_err(CasesError::Store)?;
        pairs.retain(|of| of.pair.retired_at.is_none() && of.open == 0);
        let mut donors = store.cases(now, u32::try_from(due * 4).unwrap_or(200)).await.map_err(CasesError::Store)?;
        donors.retain(|donor| donor.case.opened_at == now && can_be_seeded(donor.case.kind));
        let mut made = 0;
        while made < due && !donors.is_empty() && !pairs.is_empty() {
            let place = usize::try_from(dice.below(donors.len() as u64)).unwrap_or(0);
            let donor = self.donor(donors.swap_remove(place)).await?;
            let fewer = counts.mated.cmp(&counts.nonmated);
            let mut mated = match fewer {
                std::cmp::Ordering::Less => dice.below(4) > 0,
                std::cmp::Ordering::Equal => dice.below(2) == 0,
                std::cmp::Ordering::Greater => dice.below(4) == 0,
            };
            let mut found = chosen(&pairs, &donor, mated);
            // Pairs of one kind may be used up; the other kind serves too, unless there are more of it already.
            if found.is_none() && fewer != (if mated { std::cmp::Ordering::Less } else { std::cmp::Ordering::Greater }) {
                mated = !mated;
                found = chosen(&pairs, &donor, mated);
            }
            let Some(chosen) = found else { continue };
            let Some(pair) = pairs.get(chosen) else { continue };
            if self.make(&dice, &donor, pair, now).await? {
                pairs.swap_remove(chosen);
                made += 1;
                if mated { counts.mated += 1 } else { counts.nonmated += 1 }
            }
        }
        Ok(made)
    }

    async fn donor(&self, stored: StoredCase) -> Result<Donor, CasesError> {
        let (subject, id) = (stored.case.subject, stored.case.id);
        let keys = stored.case.members.iter().map(|member| (subject, member.verification)).collect();
        let records = self.center.store.verifications_at(keys).await.map_err(CasesError::Store)?;
        let around = self.center.store.case_surroundings(subject, id).await.map_err(CasesError::Store)?;
        Ok(Donor { stored, records, around })
    }

    async fn make(&self, dice: &Dice<'_>, donor: &Donor, of: &SeedUse, now: TimeMs) -> Result<bool, CasesError> {
        let store = self.center.store.as_ref();
        let Some(pictures) = store.seed_pictures(of.pair.id).await.map_err(CasesError::Store)? else { return Ok(false) };
        let (subject, id) = (self.surroundings.new_subject(), self.surroundings.new_record());
        let (key, data_key) = self.center.vault.new_data_key(subject);
        let Some(opened) = Opened::of(self, of.pair.id, &pictures) else { return Ok(false) };
        let facts = facts(dice, donor, self.surroundings.new_record());
        let (mut members, mut captures, mut flags) = (Vec::new(), Vec::new(), Vec::new());
        let (mut own, mut judged) = (opened.captures.iter().filter(|c| c.own), opened.captures.iter().filter(|c| !c.own));
        for (member, record) in donor.stored.case.members.iter().zip(&donor.records) {
            let Some(record) = record else { continue };
            let Some(capture) = (if member.suspect { judged.next() } else { own.next() }) else { continue };
            let Some(transaction) = self.transaction(dice, record).await? else { return Ok(false) };
            let moved = i64::try_from(dice.below(2 * MOVED_MS)).unwrap_or(0) - MOVED_MS as i64;
            let copied = copied(dice, record, (subject, facts.photo), &transaction, moved, capture);
            flags.extend(flags_of(donor, record, &transaction, moved));
            let sealed = key.seal(&RecordContext::probe_sample(subject, copied.id), &capture.sample);
            members.push(CaseMember { verification: copied.id, ..*member });
            captures.push((copied, sealed));
        }
        if !members.iter().any(|member| member.suspect) {
            return Ok(false);
        }
        let photo = photo(&key, subject, facts.photo, &opened);
        let case =
            NewCase { subject, id, members, log_odds: log_odds(dice, &donor.stored.case), opened_at: now, ..donor.stored.case.clone() };
        let seed = NewSeedCase { pair: of.pair.id, case, data_key, facts, photo, captures, flags };
        store.open_seed_case(seed).await.map_err(CasesError::Store)
    }

    /// A number that no transaction of the institution has.
    async fn transaction(&self, dice: &Dice<'_>, like: &Verification) -> Result<Option<String>, CasesError> {
        let institution = &like.request.institution;
        for tried in 0..TRIES {
            // Where numbers are short they may all be taken: then one that is a digit longer, as later ones are.
            let more = if tried < TRIES / 2 { "" } else { "0" };
            let transaction = dice.transaction(&format!("{}{more}", like.request.transaction));
            let taken = self.center.store.is_transaction(institution, &transaction).await.map_err(CasesError::Store)?;
            if !taken {
                return Ok(Some(transaction));
            }
        }
        Ok(None)
    }
}

/// The pair whose score is nearest to the donor's, of those that were used least.
fn chosen(pairs: &[SeedUse], donor: &Donor, mated: bool) -> Option<usize> {
    let own = donor.stored.case.members.iter().any(|member| !member.suspect);
    let score = donor.stored.case.members.iter().zip(&donor.records).rev().find(|(member, _)| member.suspect);
    let score = score.and_then(|(_, record)| record.as_ref()?.score).unwrap_or_default();
    let fits = |of: &SeedUse| of.pair.mated == mated && of.captures.1 > 0 && (!own || of.captures.0 > 0);
    let of = pairs.iter().enumerate().filter(|(_, of)| fits(of));
    choose_pair(of.map(|(place, of)| DonorScore { place, uses: of.cases, score: of.pair.score }), score)
}

/// As sure as the donor's, or nearly.
fn log_odds(dice: &Dice<'_>, donor: &NewCase) -> f64 {
    // Downwards it could fall below what opens a case.
    donor.log_odds + dice.around().abs() * 0.3
}

fn facts(dice: &Dice<'_>, donor: &Donor, photo: RecordId) -> PhotoFacts {
    let like = donor.around.photos.iter().find(|photo| photo.state == "active").or(donor.around.photos.first());
    match like {
        Some(like) => PhotoFacts { photo, enrolled_at: like.enrolled_at - dice.below(3_600_000) as i64, ..like.clone() },
        None => PhotoFacts {
            photo,
            source: "card_photo".into(),
            state: "active".into(),
            enrolled_at: donor.stored.case.opened_at,
            taken_on: None,
        },
    }
}

/// A capture, opened.
struct OpenedCapture {
    own: bool,
    score: f32,
    live: Option<f32>,
    sample: Vec<u8>,
}

/// A pair's pictures, opened.
struct Opened {
    photo: Vec<u8>,
    quality: Vec<u8>,
    captures: Vec<OpenedCapture>,
}

impl Opened {
    fn of(runner: &CaseRunner, pair: RecordId, pictures: &SeedPictures) -> Option<Self> {
        let leading = SubjectId(pair.0);
        let key = runner.center.vault.unwrap_data_key(leading, &pictures.data_key).ok()?;
        let photo = key.open(&RecordContext::enrolment_photo(leading, pair), &pictures.photo.sample).ok()?.to_vec();
        let quality = key.open(&RecordContext::enrolment_quality(leading, pair), &pictures.photo.template).ok()?.to_vec();
        let capture = |(number, capture): (usize, &crate::store::seeds::SeedCapture)| {
            let sample = key.open(&RecordContext::probe_sample(leading, capture_id(number)), &capture.sample).ok()?.to_vec();
            Some(OpenedCapture { own: capture.own, score: capture.score, live: capture.live, sample })
        };
        Some(Self { photo, quality, captures: pictures.captures.iter().enumerate().map(capture).collect::<Option<_>>()? })
    }
}

/// What a pair's capture is sealed at.
#[must_use]
pub fn capture_id(number: usize) -> RecordId {
    RecordId(u128::to_be_bytes(number as u128 + 1))
}

fn photo(key: &DataKey, subject: SubjectId, photo: RecordId, opened: &Opened) -> SealedProbe {
    SealedProbe {
        sample: key.seal(&RecordContext::enrolment_photo(subject, photo), &opened.photo),
        template: key.seal(&RecordContext::enrolment_quality(subject, photo), &opened.quality),
    }
}

/// The record that a capture would have had at that counter.
fn copied(
    dice: &Dice<'_>,
    like: &Verification,
    (subject, photo): (SubjectId, RecordId),
    transaction: &str,
    moved: i64,
    capture: &OpenedCapture,
) -> Verification {
    let mut copied = like.clone();
    copied.id = dice.0.new_record();
    copied.subject = Some(subject);
    copied.request.transaction = transaction.to_owned();
    let (digest, hash) = ([dice.0.random_id(), dice.0.random_id()], [dice.0.random_id(), dice.0.random_id()]);
    copied.request_digest.iter_mut().zip(digest.as_flattened()).for_each(|(to, from)| *to = *from);
    copied.identifier.hash.iter_mut().zip(hash.as_flattened()).for_each(|(to, from)| *to = *from);
    copied.identifier_masked = dice.digits(&like.identifier_masked);
    (copied.captured_at, copied.decided_at) = (like.captured_at + moved, like.decided_at + moved);
    copied.score = Some(capture.score);
    copied.live = capture.live.or(like.live);
    copied.reference = like.reference.map(|_| photo);
    if let Some(at) = like.match_threshold {
        copied.decision = match like.non_match_threshold {
            _ if capture.score >= at => Decision::Match,
            Some(below) if capture.score < below => Decision::NonMatch,
            Some(_) | None => Decision::Review,
        };
    }
    copied
}

/// Flags of a capture, at the copy's transaction and time.
fn flags_of(donor: &Donor, like: &Verification, transaction: &str, moved: i64) -> Vec<(FlagKind, TimeMs, String)> {
    let of = donor.around.flags.iter().filter(|flag| flag.transaction == like.request.transaction);
    of.map(|flag| (flag.kind, flag.raised_at + moved, transaction.to_owned())).collect()
}

/// Whether a kind of case is about two faces that can be compared.
fn can_be_seeded(kind: CaseKind) -> bool {
    match kind {
        CaseKind::CardShared | CaseKind::ReferenceStale | CaseKind::SeveralFaces | CaseKind::RandomAudit | CaseKind::Complaint => true,
        CaseKind::OperatorPattern | CaseKind::StorePattern | CaseKind::SameFace | CaseKind::DuplicateReference => false,
    }
}
