//! `DeferredService`: the stream of captures that come late.
//!
//! Envelopes are read in batches; the next one is read when all that the last one brought is durable and answered, so
//! that whoever sends ahead is held back by the connection. Not here: what becomes of an envelope (`app::deferred`).

use std::{sync::Arc, time::Duration};

use matcher_core::{UploadRefusal, overload::Class};
use proto::v1::{self, BodyKind, UploadOutcome, deferred_service_server::DeferredService};
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use tracing::{info, instrument, warn};

use crate::{
    app::{
        deferred::{self, Answered, Intake, Reader, Taken},
        leases::Leases,
    },
    feature_models::FeatureModels,
    overload::{Busy, Refused},
    policy::PolicyKey,
    store::Device,
};

use super::{Gate, Peer, decode, status::Failure};

/// Envelopes of one batch, which is one commit.
const BATCH_LEN_MAX: usize = 64;
/// Bytes of one batch, but for its last envelope.
const BATCH_BYTES_MAX: usize = 4 << 20;
/// How long a batch waits for its next envelope.
const LINGER: Duration = Duration::from_millis(3);
/// Envelopes of one stream.
const STREAM_LEN_MAX: usize = 10_000;
/// When to come again when as many streams are open as may.
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// Characters of a detail.
const DETAIL_LEN_MAX: usize = 200;

/// Takes captures that come late.
#[derive(Clone)]
pub struct Deferrals {
    app: Intake,
    leases: Leases,
    key: Arc<PolicyKey>,
    streams: Arc<Semaphore>,
    gate: Gate,
    timeout: Duration,
}

/// How a body is read from the wire.
#[must_use]
pub fn reader(models: Arc<FeatureModels>) -> Arc<Reader> {
    Arc::new(move |opened| {
        let refused = |reason, error: &dyn std::fmt::Display| deferred::Refused { reason, detail: error.to_string() };
        let message = opened.message(BodyKind::Capture).map_err(|error| refused(UploadRefusal::NotInOrder, &error))?;
        decode::capture(message, &models).map_err(|error| refused(UploadRefusal::Field, &error))
    })
}

impl Deferrals {
    /// With room for so many streams, each of which ends when nothing comes for a while. Acknowledgements are signed by
    /// the key that signs policies.
    #[must_use]
    pub fn new(app: Intake, leases: Leases, gate: Gate, streams_max: usize, timeout: Duration) -> Self {
        let key = Arc::clone(&leases.key);
        Self { app, leases, key, streams: Arc::new(Semaphore::new(streams_max)), gate, timeout }
    }
}

#[tonic::async_trait]
impl DeferredService for Deferrals {
    type UploadStream = ReceiverStream<Result<v1::SignedAcknowledgement, Status>>;

    #[instrument(name = "upload", skip_all)]
    async fn upload(&self, request: Request<Streaming<v1::DeferredEnvelope>>) -> Result<Response<Self::UploadStream>, Status> {
        let Ok(place) = Arc::clone(&self.streams).try_acquire_owned() else {
            return Err(Failure::Overloaded(Refused { why: Busy::Full, retry_after: RETRY_AFTER }).into_status());
        };
        let peer = self.gate.peer(&request).await.map_err(Failure::into_status)?;
        self.app.admission.acting(peer).await.map_err(|error| Failure::Admission(error).into_status())?;
        let (sender, answers) = mpsc::channel(BATCH_LEN_MAX);
        let deferrals = self.clone();
        tokio::spawn(async move {
            let _place = place;
            let end = deferrals.read(peer, request.into_inner(), &sender).await;
            if let Err(status) = end {
                // Nobody is there to be told when the device went away.
                let _ = sender.send(Err(status)).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(answers)))
    }
}

impl Deferrals {
    async fn read(
        &self,
        peer: Peer,
        mut stream: Streaming<v1::DeferredEnvelope>,
        answers: &mpsc::Sender<Result<v1::SignedAcknowledgement, Status>>,
    ) -> Result<(), Status> {
        let mut read = 0;
        while read < STREAM_LEN_MAX {
            let batch = next_batch(&mut stream, self.timeout).await?;
            if batch.is_empty() {
                return Ok(());
            }
            read += batch.len();
            for signed in self.answer(peer, batch).await? {
                // Who does not read what became of its envelopes is not read from either.
                match tokio::time::timeout(self.timeout, answers.send(Ok(signed))).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) | Err(_) => return Ok(()),
                }
            }
        }
        Ok(())
    }

    /// Takes the provisional receipt of a stored capture; where that fails, the device is to send both again.
    async fn announced(&self, device: &Device, answered: &mut Answered, header: &[u8], receipt: &str) {
        let stored = matches!(answered.taken, Taken::Stored | Taken::StoredBefore);
        if !stored || receipt.is_empty() {
            return;
        }
        if let Err(error) = self.leases.announced(device, header, receipt).await {
            warn!(error = &error as &dyn std::error::Error, "a provisional receipt could not be kept");
            answered.taken = Taken::Refused(deferred::unavailable());
        }
    }

    async fn answer(&self, peer: Peer, batch: Vec<v1::DeferredEnvelope>) -> Result<Vec<v1::SignedAcknowledgement>, Status> {
        // Live calls go first, and institutions take turns.
        let _place = self.gate.place(Class::Deferred, &peer).await.map_err(Failure::into_status)?;
        // Each time: a device may be revoked while it sends.
        let device = self.app.admission.acting(peer).await.map_err(|error| Failure::Admission(error).into_status())?;
        let sent = batch.len();
        let (envelopes, announced) = apart(batch);
        let mut answered = self.app.take(&device, envelopes).await;
        if answered.len() != sent {
            return Err(Status::unavailable("the work broke off; send again what has no acknowledgement"));
        }
        for (answered, (header, receipt)) in answered.iter_mut().zip(&announced) {
            self.announced(&device, answered, header, receipt).await;
        }
        let stored = answered.iter().filter(|answered| answered.taken == Taken::Stored).count();
        info!(device.id, envelopes = sent, envelopes.stored = stored, "captures that came late taken");
        Ok(answered.into_iter().map(|answered| self.key.acknowledge(&acknowledgement(answered))).collect())
    }
}

/// Envelopes, and beside them header and provisional receipt of each.
fn apart(batch: Vec<v1::DeferredEnvelope>) -> (Vec<v1::Envelope>, Vec<(Vec<u8>, String)>) {
    let one = |message: v1::DeferredEnvelope| {
        let envelope = message.envelope.unwrap_or_default();
        let header = if message.provisional_receipt.is_empty() { Vec::new() } else { envelope.header.clone() };
        (envelope, (header, message.provisional_receipt))
    };
    batch.into_iter().map(one).unzip()
}

/// The envelopes that are there, at least one while the stream goes on; none when it has ended or nothing comes.
async fn next_batch(stream: &mut Streaming<v1::DeferredEnvelope>, timeout: Duration) -> Result<Vec<v1::DeferredEnvelope>, Status> {
    let (mut batch, mut bytes, mut wait) = (Vec::new(), 0, timeout);
    while batch.len() < BATCH_LEN_MAX && bytes < BATCH_BYTES_MAX {
        match tokio::time::timeout(wait, stream.message()).await {
            Ok(Ok(Some(message))) => {
                bytes += message.envelope.as_ref().map_or(0, |envelope| envelope.ciphertext.len());
                batch.push(message);
            }
            Ok(Ok(None)) | Err(_) => break,
            // What was read before the stream broke is answered, if anybody still listens.
            Ok(Err(_)) if !batch.is_empty() => break,
            Ok(Err(status)) => return Err(status),
        }
        wait = LINGER;
    }
    Ok(batch)
}

fn acknowledgement(answered: Answered) -> v1::Acknowledgement {
    let (outcome, refused) = match answered.taken {
        Taken::Stored => (UploadOutcome::Stored, None),
        Taken::StoredBefore => (UploadOutcome::StoredBefore, None),
        Taken::Refused(refused) if refused.reason.is_final() => (UploadOutcome::Refused, Some(refused)),
        Taken::Refused(refused) => (UploadOutcome::TryAgain, Some(refused)),
    };
    let (reason, detail) = refused.map(|refused| (refused.reason.word().to_owned(), refused.detail)).unwrap_or_default();
    v1::Acknowledgement {
        device: answered.device,
        sequence: answered.sequence,
        envelope_sha256: answered.digest.to_vec(),
        outcome: outcome.into(),
        reason,
        detail: detail.chars().take(DETAIL_LEN_MAX).collect(),
        acknowledged_at_ms: answered.at,
    }
}
