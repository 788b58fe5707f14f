//! Sends captures and times the answers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use hdrhistogram::Histogram;
use proto::v1::{VerifyRequest, verification_service_client::VerificationServiceClient};
use tokio::{task::JoinSet, time::Instant};
use tonic::{Code, Request, Status, transport::Channel};

use super::{envelopes::Ready, ledger::Ledger};

/// The longest an answer is waited for, as an agent does.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pause before the same capture is sent again.
const PAUSE: Duration = Duration::from_millis(50);
/// Latencies are counted in microseconds up to a minute, to three digits.
const LATENCY_MAX_US: u64 = 60_000_000;

/// What a run gave.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Latencies of answers in microseconds.
    pub latency: Histogram<u64>,
    /// Answers.
    pub answered: u64,
    /// Calls that were told to come again.
    pub refused: u64,
    /// Calls that failed otherwise.
    pub failed: u64,
    /// From the first call to the last answer.
    pub lasted: Duration,
    /// What one of the failed calls was told.
    pub failure: Option<String>,
}

impl Outcome {
    fn new() -> Result<Self> {
        let latency = Histogram::new_with_bounds(1, LATENCY_MAX_US, 3)?;
        Ok(Self { latency, answered: 0, refused: 0, failed: 0, lasted: Duration::ZERO, failure: None })
    }

    /// Answers a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.answered as f64 / self.lasted.as_secs_f64().max(1e-9)
    }

    fn count(&mut self, done: &Done) {
        match &done.answer {
            Ok(()) => {
                self.answered += 1;
                self.latency.saturating_record(u64::try_from(done.latency.as_micros()).unwrap_or(LATENCY_MAX_US));
            }
            Err(status) if status.code() == Code::ResourceExhausted => self.refused += 1,
            Err(status) => {
                self.failed += 1;
                self.failure.get_or_insert_with(|| format!("{:?}: {}", status.code(), status.message()));
            }
        }
    }

    fn add(&mut self, other: &Self) {
        // Both have the same bounds.
        let _ = self.latency.add(&other.latency);
        (self.answered, self.refused, self.failed) =
            (self.answered + other.answered, self.refused + other.refused, self.failed + other.failed);
        self.failure = self.failure.take().or_else(|| other.failure.clone());
    }
}

struct Done {
    latency: Duration,
    answer: Result<(), Status>,
}

/// Sends each capture when it is due, whatever became of those before; latency counts from then.
///
/// # Errors
/// When the histogram cannot be made.
pub async fn open(channels: &[Channel], captures: Vec<(Duration, Ready)>, ledger: &Arc<Ledger>) -> Result<Outcome> {
    let mut outcome = Outcome::new()?;
    let mut calls = JoinSet::new();
    let began = Instant::now() + Duration::from_millis(10);
    for (due, ready) in captures {
        let due = began + due;
        tokio::time::sleep_until(due).await;
        while let Some(done) = calls.try_join_next() {
            done.iter().for_each(|done| outcome.count(done));
        }
        let Some(channel) = channels.get(ready.device).cloned() else { continue };
        let ledger = Arc::clone(ledger);
        calls.spawn(async move { send(channel, ready, due, Some(&ledger)).await });
    }
    while let Some(done) = calls.join_next().await {
        done.iter().for_each(|done| outcome.count(done));
    }
    outcome.lasted = began.elapsed();
    Ok(outcome)
}

/// What a closed run sends.
#[derive(Debug, Clone)]
pub struct Stock {
    /// Captures in the order they are taken.
    pub captures: Arc<Vec<Ready>>,
    /// Whether they are taken from the start again when all were; otherwise the run ends.
    pub again: bool,
}

/// So many callers, each of which sends its next capture when it has the answer to its last, until the time is over or
/// there are no captures left. Without a ledger nothing is noted.
///
/// # Errors
/// When the histogram cannot be made, or a caller broke off.
pub async fn closed(
    channels: &[Channel],
    stock: Stock,
    callers: usize,
    lasting: Duration,
    ledger: Option<&Arc<Ledger>>,
) -> Result<Outcome> {
    let taken = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    let mut workers = JoinSet::new();
    for _ in 0..callers {
        let (taken, stock, channels, ledger) = (Arc::clone(&taken), stock.clone(), channels.to_vec(), ledger.cloned());
        let mut own = Outcome::new()?;
        workers.spawn(async move {
            while began.elapsed() < lasting {
                let number = taken.fetch_add(1, Ordering::Relaxed);
                let number = if stock.again { number % stock.captures.len().max(1) } else { number };
                let Some(ready) = stock.captures.get(number).cloned() else { break };
                let Some(channel) = channels.get(ready.device).cloned() else { break };
                own.count(&send(channel, ready, Instant::now(), ledger.as_deref()).await);
            }
            own
        });
    }
    let mut outcome = Outcome::new()?;
    while let Some(own) = workers.join_next().await {
        outcome.add(&own?);
    }
    outcome.lasted = began.elapsed();
    Ok(outcome)
}

/// So many callers that send each capture, always the same bytes, until it is answered, as agents do; gives up on those
/// that were not when the time is over.
///
/// # Errors
/// When the histogram cannot be made, or a caller broke off.
pub async fn until_answered(
    channels: &[Channel],
    captures: Vec<Ready>,
    callers: usize,
    patience: Duration,
    ledger: &Arc<Ledger>,
) -> Result<Outcome> {
    let (captures, taken, began) = (Arc::new(captures), Arc::new(AtomicUsize::new(0)), Instant::now());
    let mut workers = JoinSet::new();
    for _ in 0..callers {
        let (taken, captures, channels, ledger) = (Arc::clone(&taken), Arc::clone(&captures), channels.to_vec(), Arc::clone(ledger));
        let mut own = Outcome::new()?;
        workers.spawn(async move {
            while let Some(ready) = captures.get(taken.fetch_add(1, Ordering::Relaxed)).cloned() {
                let Some(channel) = channels.get(ready.device).cloned() else { break };
                loop {
                    let done = send(channel.clone(), ready.clone(), Instant::now(), Some(&ledger)).await;
                    own.count(&done);
                    if done.answer.is_ok() || began.elapsed() > patience {
                        break;
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
            own
        });
    }
    let mut outcome = Outcome::new()?;
    while let Some(own) = workers.join_next().await {
        outcome.add(&own?);
    }
    outcome.lasted = began.elapsed();
    Ok(outcome)
}

async fn send(channel: Channel, ready: Ready, due: Instant, ledger: Option<&Ledger>) -> Done {
    let mut client = VerificationServiceClient::new(channel).max_decoding_message_size(proto::MESSAGE_LEN_MAX);
    let mut request = Request::new(VerifyRequest { envelope: Some(ready.envelope) });
    request.set_timeout(PATIENCE);
    let answer = client.verify(request).await;
    let latency = due.elapsed();
    let answer = answer.map(|answer| {
        if let Some(ledger) = ledger {
            ledger.acknowledge(ready.request, answer.into_inner().verification_id);
        }
    });
    Done { latency, answer }
}
