//! Searching what came: duplicates of new references within a region, one face on several cards of an institution, many faces
//! on one card. What is found is a flag, and a case where cases open; nobody is refused anything.
//!
//! Each job is one process's at a time and goes on where it stopped; what it finds twice is flagged once. Without local false
//! match rates that reach far enough it finds nothing, and its place in the feed waits.

use matcher_core::{
    FlagKind, Mode,
    evidence::{CaseKind, Opening},
    identification::{FmrTable, NoThreshold, SameFaceRule, Sighting, duplicates, is_many_faces},
};
use tracing::info;

use super::{
    IdentifyError, Opened,
    held::{Found, Held},
    role::Searcher,
};
use crate::store::{
    Flag, RecordId, SubjectId, TimeMs,
    cases::{CaseMember, NewCase},
    feed::{Change, NewFinding, Position, SearchTurn},
};

/// Nobody else does a job for so long after somebody took it.
const LEASE_MS: i64 = 600_000;
/// Changes of one turn.
const CHANGES: u32 = 512;
/// Candidates among references, and among probes: a person's own visits take places, too.
const CANDIDATES: [usize; 2] = [32, 128];
/// The same finding is flagged again after so long.
const QUIET_MS: i64 = 30 * DAY_MS;
const DAY_MS: i64 = 86_400_000;
/// Milliseconds from one look for many faces to the next.
const MANY_FACES_EVERY_MS: i64 = 3_600_000;

/// What a job searches in one turn: the records that came, and up to where in the feed that is.
struct Batch {
    turn: SearchTurn,
    came: Vec<Opened>,
    position: Position,
}

impl Searcher {
    /// References that are very like another person's of the same region.
    pub(super) async fn duplicates(&self, held: &mut Held) -> Result<u64, IdentifyError> {
        let in_force = self.center.policies.current();
        let Some(table) = in_force.policy.false_matches().filter(|table| table.at_fmr(1.0).is_ok()) else { return Ok(0) };
        let Some(batch) = self.batch("duplicates", held).await? else { return Ok(0) };
        let mut raised = 0;
        for (own, found) in self.searched(held, &batch, CANDIDATES[0]).await? {
            let Some(threshold) = self.threshold(table, held.scope_size(&own.scope)) else { continue };
            let near: Vec<&Found> = found.iter().filter(|found| found.record.scope == own.scope).collect();
            let candidates: Vec<(SubjectId, f32)> = near.iter().map(|found| (found.record.subject, found.score)).collect();
            for (other, score) in duplicates(own.subject, &candidates, threshold) {
                raised += u64::from(self.raise_duplicate(&own, other, score).await?);
            }
        }
        self.done("duplicates", &batch).await?;
        Ok(raised)
    }

    fn threshold(&self, table: &FmrTable, people: u64) -> Option<f32> {
        let given = table.threshold(people, self.config.fpir());
        given.inspect_err(|reason: &NoThreshold| info!(people, %reason, "no duplicate is reported in a region of this size")).ok()
    }

    async fn raise_duplicate(&self, own: &Opened, other: SubjectId, score: f32) -> Result<bool, IdentifyError> {
        let now = self.surroundings.now_ms();
        let (first, second) = (own.subject.min(other), own.subject.max(other));
        let reason = format!("the reference {} is very like one of the person {other}", own.record);
        self.raise(NewFinding {
            subjects: vec![own.subject, other],
            about: format!("{first} {second}"),
            score: Some(score),
            quiet_since: now.saturating_sub(QUIET_MS),
            flag: self.flag(FlagKind::DuplicateReference, None, String::new(), now),
            case: self.case(own.subject, CaseKind::DuplicateReference, reason, Vec::new(), now),
        })
        .await
    }

    /// Faces that were seen with several people's cards in one institution.
    pub(super) async fn same_faces(&self, held: &mut Held) -> Result<u64, IdentifyError> {
        let rule = SameFaceRule::default();
        let in_force = self.center.policies.current();
        let Some(Ok(threshold)) = in_force.policy.false_matches().map(|table| table.at_fmr(rule.fmr_max)) else { return Ok(0) };
        let Some(batch) = self.batch("same_face", held).await? else { return Ok(0) };
        let mut raised = 0;
        for (own, found) in self.searched(held, &batch, CANDIDATES[1]).await? {
            let since = own.at.saturating_sub(i64::from(rule.days) * DAY_MS);
            let seen = |found: &&Found| {
                let record = &found.record;
                record.scope == own.scope && !record.explained && (since..=own.at).contains(&record.at) && found.score >= threshold
            };
            let mut sightings: Vec<&Opened> = found.iter().filter(seen).map(|found| &found.record).collect();
            if own.explained {
                continue;
            }
            sightings.retain(|record| record.record != own.record);
            sightings.push(&own);
            // Visits of proxies are explained when they are written, and left out above.
            let judged: Vec<Sighting<SubjectId>> = sightings
                .iter()
                .map(|record| Sighting { person: record.subject, matched: record.matched, proxy: record.explained })
                .collect();
            if rule.flags(&judged) {
                let best = found.iter().filter(|found| found.record.subject != own.subject).map(|found| found.score).reduce(f32::max);
                raised += u64::from(self.raise_same_face(&own, &sightings, best).await?);
            }
        }
        self.done("same_face", &batch).await?;
        Ok(raised)
    }

    async fn raise_same_face(&self, own: &Opened, sightings: &[&Opened], score: Option<f32>) -> Result<bool, IdentifyError> {
        let now = self.surroundings.now_ms();
        let matched = |subject: SubjectId| sightings.iter().any(|record| record.subject == subject && record.matched);
        let mut subjects: Vec<SubjectId> = sightings.iter().map(|record| record.subject).collect();
        subjects.sort_by_key(|subject| (matched(*subject), *subject));
        subjects.dedup();
        let cards = subjects.len();
        let foremost = subjects.first().copied().unwrap_or(own.subject);
        let of_foremost = sightings.iter().filter(|record| record.subject == foremost);
        let members = of_foremost.map(|record| CaseMember { verification: record.record, face: 1, suspect: !record.matched }).collect();
        let reason = format!("one face on {cards} cards at {} within 30 days", own.scope);
        self.raise(NewFinding {
            subjects,
            about: own.scope.clone(),
            score,
            quiet_since: now.saturating_sub(QUIET_MS),
            flag: self.flag(FlagKind::SameFaceSeveralCards, Some(own.record), own.scope.clone(), now),
            case: self.case(foremost, CaseKind::SameFace, reason, members, now),
        })
        .await
    }

    /// Cards whose visits show many faces, as evidence told them apart. Evidence opens the cases.
    pub(super) async fn many_faces(&self) -> Result<u64, IdentifyError> {
        let now = self.surroundings.now_ms();
        let store = &self.center.store;
        let Some(turn) = store.take_search("many_faces", now, LEASE_MS).await.map_err(IdentifyError::Store)? else { return Ok(0) };
        // The place of this job is a time.
        let cards = store.many_faced(self.config.many_faces, turn.position.number, CHANGES).await.map_err(IdentifyError::Store)?;
        let mut raised = 0;
        for (subject, _) in cards.iter().filter(|(_, faces)| is_many_faces(*faces as usize, self.config.many_faces as usize)) {
            let flag = self.flag(FlagKind::ManyFacesOneCard, None, String::new(), now);
            let (subjects, quiet_since) = (vec![*subject], now.saturating_sub(QUIET_MS));
            let finding = NewFinding { subjects, about: String::new(), score: None, quiet_since, flag, case: None };
            raised += u64::from(self.raise(finding).await?);
        }
        let done = if cards.len() < CHANGES as usize { now } else { turn.position.number };
        let position = Position { era: 0, number: done };
        store.finish_search("many_faces", turn.fence, position, now + MANY_FACES_EVERY_MS).await.map_err(IdentifyError::Store)?;
        Ok(raised)
    }

    /// Takes the turn at a job, with the records that came since the last and are in the index.
    async fn batch(&self, job: &'static str, held: &Held) -> Result<Option<Batch>, IdentifyError> {
        let store = &self.center.store;
        let now = self.surroundings.now_ms();
        let Some(turn) = store.take_search(job, now, LEASE_MS).await.map_err(IdentifyError::Store)? else { return Ok(None) };
        let changes = store.feed_after(turn.position, CHANGES).await.map_err(IdentifyError::Store)?;
        let Some(mut changes) = changes else {
            // Too long ago: what came meanwhile was removed from the feed.
            tracing::warn!(job, "changes were removed from the feed before they were searched; the search goes on from here");
            store.finish_search(job, turn.fence, held.position, now).await.map_err(IdentifyError::Store)?;
            return Ok(None);
        };
        changes.retain(|change| change.position <= held.position);
        let position = changes.last().map_or(turn.position, |change| change.position);
        let is_ours = |change: &&Change| change.kind == held.what.kind && change.added;
        let came: Vec<_> = changes.iter().filter(is_ours).map(|change| (change.subject, change.record)).collect();
        let records =
            if came.is_empty() { Vec::new() } else { store.searchable_of(held.what.kind, came).await.map_err(IdentifyError::Store)? };
        let of_model = records.iter().filter(|record| record.made_by == held.what.made_by);
        let came = of_model.filter_map(|record| Opened::open(&self.center.vault, held.what.kind, record)).collect();
        Ok(Some(Batch { turn, came, position }))
    }

    async fn done(&self, job: &'static str, batch: &Batch) -> Result<(), IdentifyError> {
        let now = self.surroundings.now_ms();
        let done = self.center.store.finish_search(job, batch.turn.fence, batch.position, now).await;
        done.map(drop).map_err(IdentifyError::Store)
    }

    async fn searched(&self, held: &mut Held, batch: &Batch, candidates: usize) -> Result<Vec<(Opened, Vec<Found>)>, IdentifyError> {
        if batch.came.is_empty() {
            return Ok(Vec::new());
        }
        let probes: Vec<_> = batch.came.iter().map(|record| record.template.clone()).collect();
        let found = held.search(&self.center, &probes, candidates).await?;
        Ok(batch.came.iter().cloned().zip(found).collect())
    }

    async fn raise(&self, finding: NewFinding) -> Result<bool, IdentifyError> {
        self.center.store.raise_finding(finding).await.map_err(IdentifyError::Store)
    }

    fn flag(&self, kind: FlagKind, verification: Option<RecordId>, institution: String, now: TimeMs) -> Flag {
        Flag {
            reason: String::new(),
            id: self.surroundings.new_record(),
            kind,
            raised_at: now,
            verification,
            institution,
            device: String::new(),
            transaction: String::new(),
            identifier_masked: String::new(),
        }
    }

    /// A case, where cases open.
    fn case(&self, subject: SubjectId, kind: CaseKind, reason: String, members: Vec<CaseMember>, now: TimeMs) -> Option<NewCase> {
        let opens = self.open_in_shadow || self.center.policies.current().policy.mode() != Mode::Shadow;
        opens.then(|| NewCase {
            subject,
            id: self.surroundings.new_record(),
            kind,
            opening: Opening::Identification,
            opened_at: now,
            log_odds: 0.0,
            days: 1,
            reason,
            by: String::new(),
            members,
        })
    }
}
