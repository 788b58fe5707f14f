//! Compares captures again: with today's references, or by today's policy.
//!
//! Stored probes go through the very function that judged them. What comes out stands beside the records and changes
//! none: a row where the outcome differs, numbers for the rest. Nobody is told, and no flag is raised: what to make of a
//! difference is for people. Templates are compared as they are stored; a probe of another model than the references is
//! `model_mismatch`, as it would be live. Not here: chunks and leases (`crate::store::batch`), and when to work.

use std::{collections::HashMap, sync::Arc};

use matcher_core::{Decision, Doubt, JobKind, RetryRule};

use super::{
    deferred::{
        on_all_cores,
        worker::{WorkError, decisions, open_template},
    },
    judging::{self, Against, Seen},
    person::Person,
};
use crate::{
    center::Center,
    policy::history::{Ages, History},
    store::{
        RecordId, StoreError, StoredSubject, SubjectId, TimeMs,
        batch::{ChunkDone, NewJob, Recomparison, StoredProbe, TakenChunk, Tally},
    },
    surroundings::Surroundings,
    vault::DataKey,
};

/// Chunks in a row, before it is looked whether anything else goes first.
const IN_A_ROW: usize = 8;

/// Compares captures again.
#[derive(Clone)]
pub struct Recomparer {
    /// Store and vault.
    pub center: Center,
    /// Clock and ids.
    pub surroundings: Arc<dyn Surroundings>,
    /// Policies through time.
    pub history: Arc<History>,
    /// How long a chunk is kept from others, and how often it is tried.
    pub rule: RetryRule,
    /// Probes of one chunk.
    pub chunk: u32,
}

impl std::fmt::Debug for Recomparer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recomparer").field("rule", &self.rule).field("chunk", &self.chunk).finish_non_exhaustive()
    }
}

/// A re-comparison that somebody asks for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// What is compared with what.
    pub kind: JobKind,
    /// A name that comes once; empty where it is asked for by hand.
    pub name: String,
    /// Captures decided from this time on.
    pub since: TimeMs,
    /// Captures decided before this time.
    pub until: TimeMs,
    /// Who asks.
    pub by: String,
    /// Why.
    pub reason: String,
}

struct Around {
    kind: JobKind,
    decisions: HashMap<(String, String), Vec<(u32, Decision)>>,
    ages: Arc<Ages>,
    now: TimeMs,
}

/// A chunk that was taken, with all that it takes to compare it.
struct ReadChunk {
    chunk: TakenChunk,
    probes: usize,
    met: Vec<Met>,
    around: Arc<Around>,
}

/// A person, where there is one, and probes of the same.
struct Met {
    stored: Option<StoredSubject>,
    probes: Vec<StoredProbe>,
}

/// Probes by person.
fn met(probes: Vec<StoredProbe>, persons: Vec<StoredSubject>) -> Vec<Met> {
    let mut places: HashMap<SubjectId, usize> = HashMap::with_capacity(persons.len());
    let mut all: Vec<Met> = Vec::with_capacity(persons.len());
    for stored in persons {
        places.insert(stored.subject, all.len());
        all.push(Met { stored: Some(stored), probes: Vec::new() });
    }
    for probe in probes {
        let place = *places.entry(probe.subject).or_insert(all.len());
        match all.get_mut(place) {
            Some(met) => met.probes.push(probe),
            None => all.push(Met { stored: None, probes: vec![probe] }),
        }
    }
    all
}

/// What came of one probe; nothing where it could not be compared.
type Outcome = Option<Option<Recomparison>>;

impl Recomparer {
    /// Plans a job and adds it; nothing where one of its name is there.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn request(&self, asked: Asked) -> Result<Option<RecordId>, StoreError> {
        let chunks = self.center.store.plan(asked.since, asked.until, self.chunk).await?;
        let id = self.surroundings.new_record();
        let job = NewJob {
            id,
            kind: asked.kind,
            name: asked.name,
            since: asked.since,
            until: asked.until,
            requested_by: asked.by,
            reason: asked.reason,
            requested_at: self.surroundings.now_ms(),
            chunks,
        };
        Ok(self.center.store.put_job(job).await?.then_some(id))
    }

    /// Works on the next few chunks, of one job alone where one is given, and gives what came of each; of none when nothing is
    /// due. While one is compared, the next one is read.
    ///
    /// # Errors
    /// When the store or the policies cannot be had; what was taken is due again later.
    pub async fn next(&self, of: Option<RecordId>) -> Result<Vec<(TakenChunk, Tally)>, WorkError> {
        let mut done = Vec::new();
        let mut ahead = self.read(of).await?;
        while let Some(chunk) = ahead {
            let is_last = done.len() + 1 == IN_A_ROW;
            let read = async { if is_last { Ok(None) } else { self.read(of).await } };
            let (finished, read) = tokio::join!(self.finish(chunk), read);
            done.push(finished?);
            ahead = read?;
        }
        Ok(done)
    }

    async fn read(&self, of: Option<RecordId>) -> Result<Option<ReadChunk>, WorkError> {
        let store = &self.center.store;
        let now = self.surroundings.now_ms();
        let Some(chunk) = store.take_chunk(of, now, self.rule).await.map_err(WorkError::Store)? else { return Ok(None) };
        let read = async { tokio::try_join!(store.probes_of(chunk.span), store.persons_of(chunk.span)) };
        let (probes, persons) = read.await.map_err(WorkError::Store)?;
        // Nothing comes before a first attempt.
        let later = probes.iter().filter(|probe| probe.request.attempt > 1);
        let around = Around {
            kind: chunk.kind,
            decisions: decisions(&self.center, later.map(transaction)).await.map_err(WorkError::Store)?,
            ages: self.history.ages().await.map_err(WorkError::Policy)?,
            now,
        };
        Ok(Some(ReadChunk { chunk, probes: probes.len(), met: met(probes, persons), around: Arc::new(around) }))
    }

    async fn finish(&self, read: ReadChunk) -> Result<(TakenChunk, Tally), WorkError> {
        let ReadChunk { chunk, probes, met, around } = read;
        let (recomparer, at) = (self.clone(), around.now);
        let compare = move |met: Met| recomparer.compare_all(&met, &around);
        let outcomes: Vec<Outcome> = on_all_cores(met, compare).await.into_iter().flatten().collect();
        if outcomes.len() != probes {
            return Err(WorkError::Interrupted);
        }
        let compared = outcomes.iter().flatten().count() as u64;
        let unreadable = probes as u64 - compared;
        let differing: Vec<Recomparison> = outcomes.into_iter().flatten().flatten().collect();
        let tally = Tally { compared, differing: differing.len() as u64, unreadable };
        self.center.store.finish_chunk(ChunkDone { chunk, tally, differing, at }).await.map_err(WorkError::Store)?;
        Ok((chunk, tally))
    }

    /// What comes of a person's probes: whoever comes often is opened once.
    fn compare_all(&self, met: &Met, around: &Around) -> Vec<Outcome> {
        let key = met.stored.as_ref().and_then(|stored| self.center.vault.unwrap_data_key(stored.subject, &stored.data_key).ok());
        let mut opened: Option<(Vec<usize>, Person)> = None;
        let compare = |probe: &StoredProbe| {
            // A proxy's face was never the holder's, and the chip's photo is gone.
            if probe.is_of_other_faces() {
                return Some(None);
            }
            let (stored, key) = (met.stored.as_ref()?, key.as_ref()?);
            let references_of = match around.kind {
                JobKind::Rematch => around.now,
                JobKind::Recompare => probe.captured_at,
            };
            let in_force = Person::in_force(stored, references_of);
            if opened.as_ref().is_none_or(|(before, _)| *before != in_force) {
                opened = Some((in_force, Person::of_key(key.clone(), stored, references_of)));
            }
            let (_, person) = opened.as_ref()?;
            compare(probe, key, person, around)
        };
        met.probes.iter().map(compare).collect()
    }
}

fn compare(probe: &StoredProbe, key: &DataKey, person: &Person, around: &Around) -> Outcome {
    let subject = probe.subject;
    let template = open_template(key, subject, probe.verification, probe.made_by.as_ref()?, &probe.template)?;
    let policy = match around.kind {
        JobKind::Rematch => around.ages.at(probe.captured_at).0,
        JobKind::Recompare => around.ages.last(),
    };
    let earlier = match probe.request.attempt {
        0 | 1 => &[][..],
        _ => around.decisions.get(&transaction(probe)).map(Vec::as_slice).unwrap_or_default(),
    };
    let before = earlier.iter().filter(|(attempt, _)| *attempt < probe.request.attempt);
    let before: Vec<Decision> = before.map(|(_, decision)| *decision).collect();
    let doubts = doubts(&probe.reasons, around.kind);
    let against = Against { policy, person: Some(person), earlier: &before, doubts: &doubts };
    let verdict = judging::judge(asked(probe), Seen::Probe(&template), against);
    if verdict.decision == probe.decision {
        return Some(None);
    }
    let compared = verdict.comparison.as_ref().map(|comparison| &comparison.compared);
    Some(Some(Recomparison {
        subject,
        verification: probe.verification,
        compared_at: around.now,
        policy_version: policy.version().to_owned(),
        model: compared.map(|compared| compared.model.to_string()).unwrap_or_default(),
        reference: compared.and_then(|compared| person.reference_id(compared.reference)),
        score: compared.map(|compared| compared.score.get()),
        decision: verdict.decision,
    }))
}

/// What was left open about the capture is left open again; which policy counted does not matter under another one.
fn doubts(reasons: &[String], kind: JobKind) -> Vec<Doubt> {
    let open = |doubt: &Doubt| reasons.iter().any(|reason| reason == doubt.word());
    let counts = |doubt: &Doubt| match (doubt, kind) {
        (Doubt::PolicyUnknown, JobKind::Recompare) => false,
        (Doubt::PolicyUnknown, JobKind::Rematch) | (Doubt::TimeUnknown, _) => true,
    };
    Doubt::ALL.iter().copied().filter(|doubt| open(doubt) && counts(doubt)).collect()
}

fn transaction(probe: &StoredProbe) -> (String, String) {
    let request = &probe.request;
    (request.institution.clone(), request.transaction.clone())
}

fn asked(probe: &StoredProbe) -> judging::Asked<'_> {
    judging::Asked {
        scene: probe.scene,
        attempt: probe.request.attempt,
        consent: &probe.consent,
        captured_at: probe.captured_at,
        live: probe.live,
        proxy: false,
    }
}
