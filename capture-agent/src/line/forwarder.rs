//! Brings spooled envelopes to the center, beside the live calls and never in their way.
//!
//! In the order in which they were made, each at least once: the center knows one it has had before. An envelope is
//! deleted on nothing but the center's checked signature; what the center refuses for good is put aside and shown; what
//! it cannot take now stays, and does not hold up what comes after it. While nothing gets through the pauses grow, with
//! jitter, so that a thousand counters do not come back at the same moment.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use backon::{BackoffBuilder, ExponentialBuilder};
use ed25519_dalek::VerifyingKey;
use proto::{
    acknowledgement::{self, AcknowledgementError},
    v1::{DeferredEnvelope, SignedAcknowledgement, UploadOutcome},
};
use thiserror::Error;
use tokio::sync::Notify;
use tracing::{debug, info, warn};

use super::{
    client::{CallError, CenterClient},
    spool::{Spool, SpoolError, Waiting},
};
use crate::clock::Clock;

/// Envelopes of one upload.
const BATCH_LEN_MAX: u32 = 64;
/// Bytes of one upload, but for its last envelope.
const BATCH_BYTES_MAX: usize = 512 << 10;
/// An envelope that nobody answered is forwarded when it is so old: by then no till asks for it any more.
const UNANSWERED_AFTER_MS: i64 = 15 * 60 * 1000;
/// How often it is looked whether something waits.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Shortest and longest pause until a relay is asked again for the center's word on an envelope it keeps, in milliseconds.
const HELD_PAUSES_MS: (i64, i64) = (15_000, 16 * 60 * 1000);
/// Shortest and longest pause while nothing gets through.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// Envelopes could not be forwarded now.
#[derive(Debug, Error)]
pub enum ForwardError {
    /// The center did not answer or refused.
    #[error("{0}")]
    Call(CallError),
    /// What it answered is no acknowledgement of what was sent.
    #[error("{0}")]
    Acknowledgement(AcknowledgementError),
    /// The spool could not be read or written.
    #[error("the spool could not be used")]
    Spool(#[source] SpoolError),
}

/// What became of envelopes in one pass over the spool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pass {
    /// Durable at the center, and deleted here.
    pub stored: u32,
    /// Refused for good, and put aside.
    pub refused: u32,
    /// Kept for later.
    pub kept: u32,
    /// Kept here, and by a relay too, that has no word of the center yet.
    pub held: u32,
}

/// Forwards the envelopes of one spool.
#[derive(Debug, Clone)]
pub struct Forwarder {
    spool: Arc<Spool>,
    client: CenterClient,
    key: VerifyingKey,
    clock: Clock,
    wake: Arc<Notify>,
    /// Envelopes that a relay keeps: how often it said so, and when it is asked again.
    held: Arc<Mutex<BTreeMap<u64, (u32, i64)>>>,
}

impl Forwarder {
    /// Prepares forwarding; acknowledgements are checked with the center's key.
    #[must_use]
    pub fn new(spool: Arc<Spool>, client: CenterClient, key: VerifyingKey, clock: Clock) -> Self {
        Self { spool, client, key, clock, wake: Arc::new(Notify::new()), held: Arc::default() }
    }

    /// Says that the center has just answered: what waits need not wait longer.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Forwards until it is dropped; asks better lines meanwhile whether they answer again.
    pub async fn run(&self) {
        let build =
            || ExponentialBuilder::new().with_min_delay(PAUSES.0).with_max_delay(PAUSES.1).without_max_times().with_jitter().build();
        let mut pauses = build();
        loop {
            let started = Instant::now();
            self.client.try_better().await;
            let pause = match self.pass().await {
                Ok(Pass { kept: 0, stored, .. }) => {
                    pauses = build();
                    if stored > 0 {
                        info!(envelopes = stored, "forwarded to the center");
                    }
                    None
                }
                Ok(pass) => {
                    debug!(envelopes.kept = pass.kept, "the center cannot take everything now");
                    pauses.next()
                }
                Err(error @ (ForwardError::Acknowledgement(_) | ForwardError::Spool(_))) => {
                    warn!(error = &error as &dyn std::error::Error, "envelopes could not be forwarded");
                    pauses.next()
                }
                Err(ForwardError::Call(error)) => {
                    debug!(error = &error as &dyn std::error::Error, "envelopes could not be forwarded");
                    pauses.next()
                }
            };
            let pause = pause.unwrap_or(LOOK_EVERY.saturating_sub(started.elapsed()));
            let _ = tokio::time::timeout(pause, self.wake.notified()).await;
        }
    }

    /// Goes over the spool once.
    ///
    /// # Errors
    /// When the center does not answer, answers with something else, or the disk fails. What was acknowledged until then
    /// is settled.
    pub async fn pass(&self) -> Result<Pass, ForwardError> {
        let mut pass = Pass::default();
        let mut beyond = 0;
        loop {
            let made_before = self.clock.date_ms().saturating_sub(UNANSWERED_AFTER_MS);
            let batch = self.with_spool(move |spool| spool.to_forward(beyond, made_before, BATCH_LEN_MAX)).await?;
            let Some(last) = batch.last().map(|waiting| waiting.sequence) else { return Ok(pass) };
            let batch = bounded(self.due(batch));
            if batch.is_empty() {
                beyond = last;
                continue;
            }
            let messages = batch
                .iter()
                .map(|waiting| DeferredEnvelope { envelope: Some(waiting.envelope.clone()), provisional_receipt: waiting.receipt.clone() });
            let answers = self.client.upload(messages.collect()).await.map_err(ForwardError::Call)?;
            for (waiting, answer) in batch.iter().zip(&answers) {
                self.settle(waiting, answer, &mut pass).await?;
                beyond = waiting.sequence;
            }
            if answers.is_empty() {
                return Ok(Pass { kept: pass.kept.saturating_add(1), ..pass });
            }
        }
    }

    /// Those of them that no relay keeps, or that it is time to ask after.
    fn due(&self, batch: Vec<Waiting>) -> Vec<Waiting> {
        let (held, now_ms) = (self.held(), self.clock.date_ms());
        // A clock that was set back keeps nothing waiting.
        let rests = |(_, again_ms): &(u32, i64)| now_ms < *again_ms && *again_ms - now_ms <= HELD_PAUSES_MS.1;
        batch.into_iter().filter(|waiting| !held.get(&waiting.sequence).is_some_and(rests)).collect()
    }

    /// Notes that a relay keeps an envelope: the center's word is asked for later, and ever less often.
    fn keep_held(&self, sequence: u64) {
        let mut held = self.held();
        let (times, again_ms) = held.entry(sequence).or_default();
        let pause_ms = HELD_PAUSES_MS.0.saturating_mul(1_i64 << (*times).min(16)).min(HELD_PAUSES_MS.1);
        *times = times.saturating_add(1);
        *again_ms = self.clock.date_ms().saturating_add(pause_ms);
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<u64, (u32, i64)>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn settle(&self, waiting: &Waiting, answer: &SignedAcknowledgement, pass: &mut Pass) -> Result<(), ForwardError> {
        if acknowledgement::is_held(answer) {
            self.keep_held(waiting.sequence);
            pass.held += 1;
            return Ok(());
        }
        let digest = acknowledgement::digest(&waiting.envelope);
        let said = acknowledgement::check(answer, &self.key, &digest).map_err(ForwardError::Acknowledgement)?;
        let (sequence, now_ms) = (waiting.sequence, self.clock.date_ms());
        self.held().remove(&sequence);
        if acknowledgement::may_delete(&said) {
            self.with_spool(move |spool| spool.acknowledged(sequence, now_ms)).await?;
            pass.stored += 1;
        } else if said.outcome() == UploadOutcome::Refused {
            warn!(envelope.sequence = sequence, upload.refusal = said.reason, "the center refuses an envelope for good; it is put aside");
            let word = if said.reason.is_empty() { "refused".to_owned() } else { said.reason };
            self.with_spool(move |spool| spool.refused(sequence, now_ms, &word)).await?;
            pass.refused += 1;
        } else {
            pass.kept += 1;
        }
        Ok(())
    }

    async fn with_spool<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Spool) -> Result<T, SpoolError> + Send + 'static,
    ) -> Result<T, ForwardError> {
        let spool = Arc::clone(&self.spool);
        let done = tokio::task::spawn_blocking(move || work(&spool)).await.unwrap_or(Err(SpoolError::Interrupted));
        done.map_err(ForwardError::Spool)
    }
}

/// The first of them, as many as go into one upload.
fn bounded(batch: Vec<Waiting>) -> Vec<Waiting> {
    let mut bytes = 0;
    let fits = |waiting: &Waiting| {
        let before = bytes;
        bytes += waiting.envelope.ciphertext.len();
        before < BATCH_BYTES_MAX
    };
    batch.into_iter().take_while(fits).collect()
}
