//! How the counters behind a relay do: when each was heard last, what it says of itself, and whether the center lets it in.
//!
//! Of a counter that the center has let in nothing is known before its first call; envelopes are kept for it from then on.
//! Kept in memory but for the certificate and that; a health report fills in the rest within a minute. Not here: what a
//! counter may do (the center says).

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use proto::v1::ReportHealthRequest;
use serde::Serialize;
use tonic::Code;
use tracing::{info, warn};

use super::{
    peer::Peer,
    store::{Store, StoreError},
};
use crate::{clock::Clock, line::client::CallError};

/// Counters that are known at a time; the registry of one institution has fewer.
const COUNTERS_MAX: usize = 4_096;

/// What is known of a counter. Times are milliseconds since 1970-01-01 UTC by the relay's clock.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counter {
    /// When it was heard last; nothing since the relay started.
    pub last_seen_ms: Option<i64>,
    /// Version of its software, from its last report; empty before one.
    pub version: String,
    /// Envelopes that wait on the counter itself, from its last report.
    pub waiting_there: u32,
    /// When the oldest of them was made, by the counter's clock; nothing when none waits.
    pub oldest_there_ms: Option<i64>,
    /// What the counter finds wrong with itself, as `check:word`, from its last report.
    pub findings: Vec<String>,
    /// Whether the center let it in when it was last asked; nothing before.
    pub let_in: Option<bool>,
    /// The line its last call went over; empty when none answered.
    pub line: String,
    /// Envelopes that were refused here: not in order, or not signed by the counter.
    pub refused: u64,
    /// The certificate it showed last.
    #[serde(skip)]
    pub certificate_sha256: [u8; 32],
}

/// All counters of a relay.
#[derive(Debug, Clone)]
pub struct Counters {
    known: Arc<Mutex<BTreeMap<String, Counter>>>,
    store: Arc<Store>,
    clock: Clock,
}

impl Counters {
    /// Those that the spool remembers.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn load(store: Arc<Store>, clock: Clock) -> Result<Self, StoreError> {
        let known = store.known()?.into_iter().map(|known| {
            let counter = Counter { let_in: Some(known.let_in), certificate_sha256: known.certificate_sha256, ..Counter::default() };
            (known.device, counter)
        });
        Ok(Self { known: Arc::new(Mutex::new(known.collect())), store, clock })
    }

    /// Notes that a counter called.
    pub fn called(&self, peer: &Peer) {
        let now = self.clock.date_ms();
        self.change(peer, |counter| counter.last_seen_ms = Some(now));
    }

    /// Notes what a counter says of itself.
    pub fn reported(&self, peer: &Peer, report: &ReportHealthRequest) {
        self.change(peer, |counter| {
            counter.version = report.agent_version.chars().filter(|c| !c.is_control()).take(32).collect();
            counter.waiting_there = report.unanswered_envelopes;
            let state = report.state.as_ref();
            counter.oldest_there_ms = state.map(|state| state.spool_oldest_ms).filter(|oldest| *oldest > 0);
            let short = |text: &String| text.chars().filter(|c| !c.is_control()).take(64).collect();
            counter.findings = state.map(|state| state.findings.iter().take(16).map(short).collect()).unwrap_or_default();
        });
    }

    /// Notes an envelope that was refused here.
    pub fn refused(&self, peer: &Peer) {
        warn!(device.id = peer.device, "an envelope is not in order or not signed by its counter");
        self.change(peer, |counter| counter.refused = counter.refused.saturating_add(1));
    }

    /// Notes what the center said to a call for a counter, and over which line.
    pub async fn heard<T>(&self, peer: &Peer, line: &str, answer: &Result<T, CallError>) {
        let let_in = match answer {
            Ok(_) => Some(true),
            Err(error) => (error.status().code() == Code::PermissionDenied).then_some(false),
        };
        let answered = !matches!(answer, Err(CallError::Unreachable(_)));
        let mut is_news = false;
        self.change(peer, |counter| {
            counter.line = if answered { line.to_owned() } else { String::new() };
            if let Some(let_in) = let_in {
                is_news = counter.let_in != Some(let_in) || counter.certificate_sha256 != peer.certificate_sha256;
                counter.let_in = Some(let_in);
                counter.certificate_sha256 = peer.certificate_sha256;
            }
        });
        let Some(let_in) = let_in.filter(|_| is_news) else { return };
        info!(device.id = peer.device, counter.let_in = let_in, "the center says whether a counter is let in");
        let (store, peer) = (Arc::clone(&self.store), peer.clone());
        let kept = tokio::task::spawn_blocking(move || store.remember(&peer, let_in)).await.unwrap_or(Err(StoreError::Interrupted));
        if let Err(error) = kept {
            // It is learned again from the next call after a restart.
            warn!(error = &error as &dyn std::error::Error, "a counter could not be remembered");
        }
    }

    /// Whether envelopes are kept for this counter: the center let it in, with this certificate or the one before it.
    #[must_use]
    pub fn is_let_in(&self, peer: &Peer) -> bool {
        self.known().get(&peer.device).is_some_and(|counter| counter.let_in == Some(true))
    }

    /// The certificate to forward a counter's envelopes with.
    #[must_use]
    pub fn certificate(&self, device: &str) -> Option<[u8; 32]> {
        self.known().get(device).map(|counter| counter.certificate_sha256)
    }

    /// All of them, by device.
    #[must_use]
    pub fn all(&self) -> BTreeMap<String, Counter> {
        self.known().clone()
    }

    fn change(&self, peer: &Peer, change: impl FnOnce(&mut Counter)) {
        let mut known = self.known();
        if !known.contains_key(&peer.device) && known.len() >= COUNTERS_MAX {
            return;
        }
        let unknown = || Counter { certificate_sha256: peer.certificate_sha256, ..Counter::default() };
        change(known.entry(peer.device.clone()).or_insert_with(unknown));
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Counter>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
