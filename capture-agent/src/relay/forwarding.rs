//! What the relay keeps, and how it goes on to the center: counter by counter, in the order of their numbers.
//!
//! Each envelope at least once; the center knows one it has had before. What the center says is checked with its key before
//! it counts, and takes the envelope's place. A counter that the center does not let in holds up no other.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use backon::{BackoffBuilder, ExponentialBuilder};
use ed25519_dalek::VerifyingKey;
use proto::{
    acknowledgement,
    v1::{SignedAcknowledgement, UploadOutcome},
};
use thiserror::Error;
use tokio::sync::Notify;
use tracing::{debug, info, warn};

use super::{
    counters::Counters,
    peer::Peer,
    store::{Item, Store, StoreError, Taken},
};
use crate::{
    clock::Clock,
    line::client::{CallError, CenterClient},
};

/// Envelopes of one upload.
const BATCH_LEN_MAX: u32 = 64;
/// Bytes of one upload, but for its last envelope.
const BATCH_BYTES_MAX: usize = 512 << 10;
/// How often it is looked whether something waits, and a line that failed is asked again.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Shortest and longest pause while nothing gets through.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// What is kept could not be forwarded now.
#[derive(Debug, Error)]
pub enum ForwardError {
    /// The center did not answer.
    #[error("{0}")]
    Call(CallError),
    /// The spool could not be read or written.
    #[error("the spool could not be used")]
    Store(#[source] StoreError),
}

/// What became of envelopes in one pass over the spool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pass {
    /// The center has spoken for good on so many.
    pub settled: u32,
    /// So many stay.
    pub kept: u32,
}

/// Keeps envelopes and forwards them.
#[derive(Debug)]
pub struct Forwarding {
    store: Arc<Store>,
    client: CenterClient,
    counters: Counters,
    key: VerifyingKey,
    clock: Clock,
    wake: Notify,
    /// What the center said while the disk took nothing: written when it does again, and asked for anew after a restart.
    unwritten: Mutex<HashMap<[u8; 32], (String, SignedAcknowledgement)>>,
}

impl Forwarding {
    /// Over these lines; what the center says is checked with its key.
    #[must_use]
    pub fn new(store: Arc<Store>, client: CenterClient, counters: Counters, key: VerifyingKey, clock: Clock) -> Self {
        Self { store, client, counters, key, clock, wake: Notify::new(), unwritten: Mutex::default() }
    }

    /// Says that the center has just answered: what waits need not wait longer.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Keeps envelopes of a counter, durably.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn keep(&self, device: &str, items: Vec<Item>) -> Result<Vec<Taken>, StoreError> {
        let (device, now_ms) = (device.to_owned(), self.clock.date_ms());
        self.with_store(move |store| store.keep(&device, &items, now_ms)).await
    }

    /// What the center said on an envelope that was kept.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn acknowledgement(&self, digest: [u8; 32]) -> Result<Option<SignedAcknowledgement>, StoreError> {
        let unwritten = self.unwritten().get(&digest).map(|(_, said)| said.clone());
        if unwritten.is_some() {
            return Ok(unwritten);
        }
        self.with_store(move |store| store.acknowledgement(&digest)).await
    }

    /// Sends envelopes on for a counter that is there; what the center said on each, where it did.
    pub async fn send(&self, peer: &Peer, items: Vec<Item>) -> Vec<Option<SignedAcknowledgement>> {
        let messages = items.iter().map(|item| item.message.clone()).collect();
        let answer = self.client.made_for(&peer.certificate_sha256).upload(messages).await;
        self.counters.heard(peer, &self.client.line_in_use(), &answer).await;
        let said = answer.unwrap_or_default();
        let mut checked = Vec::with_capacity(items.len());
        for (item, said) in items.iter().zip(said) {
            checked.push(self.settle(&peer.device, item.digest, said).await);
        }
        checked.resize(items.len(), None);
        checked
    }

    /// Forwards until it is dropped; asks better lines meanwhile whether they answer again.
    pub async fn run(&self) {
        let build =
            || ExponentialBuilder::new().with_min_delay(PAUSES.0).with_max_delay(PAUSES.1).without_max_times().with_jitter().build();
        let mut pauses = build();
        loop {
            self.client.try_better().await;
            let pause = match self.pass().await {
                Ok(Pass { kept: 0, settled }) => {
                    pauses = build();
                    if settled > 0 {
                        info!(envelopes = settled, "forwarded to the center");
                    }
                    None
                }
                Ok(pass) => {
                    debug!(envelopes.kept = pass.kept, "the center cannot take everything now");
                    pauses.next()
                }
                Err(ForwardError::Call(error)) => {
                    debug!(error = &error as &dyn std::error::Error, "envelopes could not be forwarded");
                    pauses.next()
                }
                Err(error @ ForwardError::Store(_)) => {
                    warn!(error = &error as &dyn std::error::Error, "envelopes could not be forwarded");
                    pauses.next()
                }
            };
            let _ = tokio::time::timeout(pause.unwrap_or(LOOK_EVERY), self.wake.notified()).await;
        }
    }

    /// Goes over the spool once.
    ///
    /// # Errors
    /// When the center does not answer, or the disk fails. What the center had spoken on until then is settled.
    pub async fn pass(&self) -> Result<Pass, ForwardError> {
        self.write_late().await;
        let mut pass = Pass::default();
        let mut devices: Vec<_> = self.store.usage().into_iter().collect();
        // The oldest first, so that nobody is always last.
        devices.sort_by_key(|(_, usage)| usage.oldest_ms);
        for (device, _) in devices {
            self.pass_of(&device, &mut pass).await?;
        }
        Ok(pass)
    }

    /// Forwards what is kept of one counter.
    async fn pass_of(&self, device: &str, pass: &mut Pass) -> Result<(), ForwardError> {
        let Some(certificate) = self.counters.certificate(device) else { return Ok(()) };
        let client = self.client.made_for(&certificate);
        let mut beyond = 0;
        loop {
            let named = device.to_owned();
            let batch = self.with_store(move |store| store.waiting(&named, beyond, BATCH_LEN_MAX, BATCH_BYTES_MAX)).await;
            let batch = batch.map_err(ForwardError::Store)?;
            let Some(last) = batch.last().map(|waiting| waiting.sequence) else { return Ok(()) };
            let batch: Vec<_> = {
                let unwritten = self.unwritten();
                batch.into_iter().filter(|waiting| !unwritten.contains_key(&waiting.digest)).collect()
            };
            if batch.is_empty() {
                beyond = last;
                continue;
            }
            let answers = match client.upload(batch.iter().map(|waiting| waiting.message.clone()).collect()).await {
                Ok(answers) => answers,
                Err(error @ CallError::Unreachable(_)) => return Err(ForwardError::Call(error)),
                Err(error @ (CallError::Refused(..) | CallError::Failed(_))) => {
                    warn!(
                        device.id = device,
                        error = &error as &dyn std::error::Error,
                        "the center does not take a counter's envelopes now"
                    );
                    pass.kept = pass.kept.saturating_add(u32::try_from(batch.len()).unwrap_or(u32::MAX));
                    return Ok(());
                }
            };
            let answered = answers.len();
            for (waiting, said) in batch.into_iter().zip(answers) {
                match self.settle(device, waiting.digest, said).await {
                    Some(said) if is_final(&said) => pass.settled += 1,
                    Some(_) | None => pass.kept += 1,
                }
                beyond = waiting.sequence;
            }
            if answered == 0 {
                pass.kept = pass.kept.saturating_add(1);
                return Ok(());
            }
        }
    }

    /// Checks what the center said on an envelope; what it said for good takes the envelope's place.
    async fn settle(&self, device: &str, digest: [u8; 32], said: SignedAcknowledgement) -> Option<SignedAcknowledgement> {
        if let Err(error) = acknowledgement::check(&said, &self.key, &digest) {
            warn!(device.id = device, error = &error as &dyn std::error::Error, "an acknowledgement is not the center's");
            return None;
        }
        if is_final(&said)
            && let Err(error) = self.write(device, digest, said.clone()).await
        {
            // A full disk keeps nothing from going on to the center.
            warn!(error = &error as &dyn std::error::Error, "an acknowledgement could not be written yet");
            self.unwritten().insert(digest, (device.to_owned(), said.clone()));
        }
        Some(said)
    }

    async fn write(&self, device: &str, digest: [u8; 32], said: SignedAcknowledgement) -> Result<(), StoreError> {
        let (device, now_ms) = (device.to_owned(), self.clock.date_ms());
        self.with_store(move |store| store.settle(&device, &digest, &said, now_ms)).await
    }

    /// Writes what could not be written before; while that fails the rest still goes on.
    async fn write_late(&self) {
        let late: Vec<_> = self.unwritten().iter().map(|(digest, (device, said))| (*digest, device.clone(), said.clone())).collect();
        for (digest, device, said) in late {
            if self.write(&device, digest, said).await.is_err() {
                return;
            }
            self.unwritten().remove(&digest);
        }
    }

    fn unwritten(&self) -> MutexGuard<'_, HashMap<[u8; 32], (String, SignedAcknowledgement)>> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Deletes what has been kept long enough.
    pub async fn prune(&self) {
        let now_ms = self.clock.date_ms();
        match self.with_store(move |store| store.prune(now_ms)).await {
            Ok(0) => {}
            Ok(envelopes) => warn!(envelopes, "envelopes that waited too long were given up here; their counters still have them"),
            Err(error) => warn!(error = &error as &dyn std::error::Error, "the spool could not be looked through"),
        }
    }

    async fn with_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = Arc::clone(&self.store);
        tokio::task::spawn_blocking(move || work(&store)).await.unwrap_or(Err(StoreError::Interrupted))
    }
}

/// Whether the center has spoken for good; the word was checked.
fn is_final(said: &SignedAcknowledgement) -> bool {
    let outcome = <proto::v1::Acknowledgement as prost::Message>::decode(said.acknowledgement.as_slice()).map(|said| said.outcome());
    match outcome {
        Ok(UploadOutcome::Stored | UploadOutcome::StoredBefore | UploadOutcome::Refused) => true,
        Ok(UploadOutcome::TryAgain | UploadOutcome::Unspecified) | Err(_) => false,
    }
}
