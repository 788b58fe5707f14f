//! The counters' stream of deferred envelopes: sent on if there is a line, kept where there is none.
//!
//! Each envelope is answered in order: with the center's acknowledgement, or with the word that there is none yet. What is
//! not in order or not the counter's is neither sent on nor kept, and does not hold up what comes after it. The next batch is
//! read when the last one is answered, so that a counter that sends ahead is held back by its connection.

use std::{pin::Pin, sync::Arc, time::Duration};

use proto::{
    acknowledgement,
    v1::{DeferredEnvelope, SignedAcknowledgement, deferred_service_server::DeferredService},
};
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_types::{ErrorDetails, StatusExt};
use tracing::{instrument, warn};

use super::{
    carrier::{Carrier, authentic, no_line},
    peer::Peer,
    store::{Item, StoreError, Taken},
};

/// Envelopes of one batch.
const BATCH_LEN_MAX: usize = 64;
/// Bytes of one batch, but for its last envelope.
const BATCH_BYTES_MAX: usize = 512 << 10;
/// How long a batch waits for its next envelope.
const LINGER: Duration = Duration::from_millis(3);
/// Longest provisional receipt, in bytes.
const RECEIPT_LEN_MAX: usize = 4096;
/// When to come again while there is no room, or as many streams are open as may.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Takes deferred envelopes.
#[derive(Debug, Clone)]
pub struct Uploads {
    carrier: Carrier,
    streams: Arc<Semaphore>,
    timeout: Duration,
}

impl Uploads {
    /// With room for so many streams, each of which ends when nothing comes for a while.
    #[must_use]
    pub fn new(carrier: Carrier, streams_max: usize, timeout: Duration) -> Self {
        Self { carrier, streams: Arc::new(Semaphore::new(streams_max)), timeout }
    }

    async fn read(
        &self,
        peer: &Peer,
        mut stream: Streaming<DeferredEnvelope>,
        answers: &mpsc::Sender<Result<SignedAcknowledgement, Status>>,
    ) -> Result<(), Status> {
        loop {
            let batch = next_batch(&mut stream, self.timeout).await?;
            if batch.is_empty() {
                return Ok(());
            }
            for answer in self.answer(peer, batch).await {
                let failed = answer.is_err();
                match tokio::time::timeout(self.timeout, answers.send(answer)).await {
                    Ok(Ok(())) if !failed => {}
                    Ok(_) | Err(_) => return Ok(()),
                }
            }
        }
    }

    /// One answer for each envelope, up to the first that gets none.
    async fn answer(&self, peer: &Peer, batch: Vec<DeferredEnvelope>) -> Vec<Result<SignedAcknowledgement, Status>> {
        let mut answers: Vec<Option<Result<SignedAcknowledgement, Status>>> = Vec::with_capacity(batch.len());
        let mut open: Vec<(usize, Item)> = Vec::new();
        for (at, message) in batch.into_iter().enumerate() {
            let checked = authentic(peer, message.envelope.clone().unwrap_or_default());
            match checked {
                Ok((sequence, digest)) if message.provisional_receipt.len() <= RECEIPT_LEN_MAX => {
                    open.push((at, Item { digest, sequence, message }));
                    answers.push(None);
                }
                Ok(_) | Err(_) => {
                    self.carrier.counters.refused(peer);
                    answers.push(Some(Ok(acknowledgement::held())));
                }
            }
        }
        let (places, items): (Vec<usize>, Vec<Item>) = open.into_iter().unzip();
        for (place, answer) in places.into_iter().zip(self.answer_authentic(peer, items).await) {
            if let Some(slot) = answers.get_mut(place) {
                *slot = Some(answer);
            }
        }
        answers.into_iter().map_while(|answer| answer).collect()
    }

    /// What the center says now or said before, and for the rest that it is kept.
    async fn answer_authentic(&self, peer: &Peer, items: Vec<Item>) -> Vec<Result<SignedAcknowledgement, Status>> {
        let (forwarding, mut answers) = (&self.carrier.forwarding, Vec::with_capacity(items.len()));
        for item in &items {
            // A disk that cannot be read says nothing: the center is asked, or the envelope is kept.
            answers.push(forwarding.acknowledgement(item.digest).await.ok().flatten());
        }
        let unanswered = |answers: &[Option<SignedAcknowledgement>]| -> Vec<usize> {
            answers.iter().enumerate().filter(|(_, answer)| answer.is_none()).map(|(at, _)| at).collect()
        };
        let at_hand = |places: &[usize]| -> Vec<Item> { places.iter().filter_map(|at| items.get(*at).cloned()).collect() };
        let places = unanswered(&answers);
        if !places.is_empty() && !self.carrier.client.is_down() {
            let said = forwarding.send(peer, at_hand(&places)).await;
            for (place, said) in places.into_iter().zip(said) {
                if let Some(slot) = answers.get_mut(place) {
                    *slot = said;
                }
            }
        }
        let places = unanswered(&answers);
        let mut kept = self.keep(peer, at_hand(&places)).await.into_iter();
        answers.into_iter().map(|answer| answer.map_or_else(|| kept.next().unwrap_or_else(|| Err(no_line())), Ok)).collect()
    }

    async fn keep(&self, peer: &Peer, items: Vec<Item>) -> Vec<Result<SignedAcknowledgement, Status>> {
        if items.is_empty() {
            return Vec::new();
        }
        if !self.carrier.counters.is_let_in(peer) {
            // Whoever the center has not let in yet takes no room here.
            return items.iter().map(|_| Err(no_line())).collect();
        }
        let count = items.len();
        match self.carrier.forwarding.keep(&peer.device, items).await {
            Ok(taken) => taken.into_iter().map(answer_to).collect(),
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "envelopes could not be kept; their counter still has them");
                (0..count).map(|_| Err(later(&format!("the relay cannot keep envelopes now: {}", cause(&error))))).collect()
            }
        }
    }
}

fn answer_to(taken: Taken) -> Result<SignedAcknowledgement, Status> {
    match taken {
        Taken::Kept => Ok(acknowledgement::held()),
        Taken::CounterFull => Err(later("as much of this counter waits at the relay as may")),
        Taken::DiskFull => Err(later("the relay cannot keep envelopes now: its disk is full")),
        Taken::Full => Err(later("the relay has no room for more")),
    }
}

fn cause(error: &StoreError) -> &'static str {
    match error {
        StoreError::Database(_) | StoreError::File(_) => "its disk fails",
        StoreError::Interrupted => "it stops",
        StoreError::Version { .. } => "its spool is a later version's",
    }
}

fn later(message: &str) -> Status {
    Status::with_error_details(Code::ResourceExhausted, message, ErrorDetails::with_retry_info(Some(RETRY_AFTER)))
}

/// The envelopes that are there, at least one while the stream goes on; none when it has ended or nothing comes.
async fn next_batch(stream: &mut Streaming<DeferredEnvelope>, timeout: Duration) -> Result<Vec<DeferredEnvelope>, Status> {
    let (mut batch, mut bytes, mut wait) = (Vec::new(), 0, timeout);
    while batch.len() < BATCH_LEN_MAX && bytes < BATCH_BYTES_MAX {
        match tokio::time::timeout(wait, stream.message()).await {
            Ok(Ok(Some(message))) => {
                bytes += message.envelope.as_ref().map_or(0, |envelope| envelope.ciphertext.len());
                batch.push(message);
            }
            Ok(Ok(None)) | Err(_) => break,
            Ok(Err(_)) if !batch.is_empty() => break,
            Ok(Err(status)) => return Err(status),
        }
        wait = LINGER;
    }
    Ok(batch)
}

#[tonic::async_trait]
impl DeferredService for Uploads {
    type UploadStream = Pin<Box<dyn Stream<Item = Result<SignedAcknowledgement, Status>> + Send>>;

    #[instrument(name = "upload", skip_all)]
    async fn upload(&self, request: Request<Streaming<DeferredEnvelope>>) -> Result<Response<Self::UploadStream>, Status> {
        let peer = self.carrier.peer(&request)?;
        let place = Arc::clone(&self.streams).try_acquire_owned().map_err(|_| later("as many counters upload as may"))?;
        let (sender, answers) = mpsc::channel(BATCH_LEN_MAX);
        let uploads = self.clone();
        tokio::spawn(async move {
            let _place = place;
            if let Err(status) = uploads.read(&peer, request.into_inner(), &sender).await {
                let _ = sender.send(Err(status)).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }
}
