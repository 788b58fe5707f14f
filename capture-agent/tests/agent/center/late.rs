//! The center's other half: leases, and what comes late.

use std::pin::Pin;

use prost::Message;
use proto::{
    acknowledgement, lease,
    v1::{
        Acknowledgement, DeferredEnvelope, FetchLeaseRequest, FetchLeaseResponse, Lease, LeaseScene, Scene, SignedAcknowledgement,
        UploadOutcome, deferred_service_server::DeferredService, lease_service_server::LeaseService,
    },
};
use tokio_stream::{Stream, StreamExt, wrappers::ReceiverStream};
use tonic::{Request, Response, Status, Streaming};

use super::{Center, Service, now_ms};
use crate::folder::policy_key;

/// What becomes of the next envelope that is uploaded.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Late {
    Outcome(UploadOutcome),
    /// Stored, and signed by somebody else.
    Forged,
    /// Stored, and the acknowledgement is lost.
    Lost,
}

impl Center {
    /// Gives leases of so many captures that last so many milliseconds.
    pub(crate) fn leases(&self, captures_max: u32, lasts_ms: i64) {
        self.records.lock().unwrap().lease = Some((captures_max, lasts_ms));
    }

    pub(crate) fn late(&self, late: &[Late]) {
        self.records.lock().unwrap().late.extend(late);
    }

    /// The same, in place of what was told before; says how many were uploaded until then.
    pub(crate) fn late_anew(&self, late: &[Late]) -> usize {
        let mut records = self.records.lock().unwrap();
        records.late = late.iter().copied().collect();
        records.uploaded.len()
    }

    /// Transactions of the envelopes that were uploaded, as they came.
    pub(crate) fn uploaded(&self) -> Vec<String> {
        let header = |message: &DeferredEnvelope| {
            let envelope = message.envelope.clone().unwrap();
            proto::v1::EnvelopeHeader::decode(envelope.header.as_slice()).unwrap().transaction
        };
        self.records.lock().unwrap().uploaded.iter().map(header).collect()
    }
}

#[tonic::async_trait]
impl LeaseService for Service {
    async fn fetch_lease(&self, _: Request<FetchLeaseRequest>) -> Result<Response<FetchLeaseResponse>, Status> {
        let mut records = self.records.lock().unwrap();
        records.leases_given += 1;
        let serial = format!("L-{}", records.leases_given);
        let now = now_ms() + 60_000;
        let lease = records.lease.map(|(captures_max, lasts_ms)| {
            let scene = LeaseScene { scene: Scene::Settlement.into(), captures_max, until_ms: now + lasts_ms };
            let lease = Lease {
                serial,
                device: "counter-1".into(),
                policy_version: records.facts.policy_version.clone(),
                issued_at_ms: now,
                scenes: vec![scene],
                audience: "settlement".into(),
            };
            lease::sign(&lease, &policy_key())
        });
        Ok(Response::new(FetchLeaseResponse { lease }))
    }
}

#[tonic::async_trait]
impl DeferredService for Service {
    type UploadStream = Pin<Box<dyn Stream<Item = Result<SignedAcknowledgement, Status>> + Send>>;

    async fn upload(&self, request: Request<Streaming<DeferredEnvelope>>) -> Result<Response<Self::UploadStream>, Status> {
        let (sender, answers) = tokio::sync::mpsc::channel(64);
        let (records, mut stream) = (self.records.clone(), request.into_inner());
        tokio::spawn(async move {
            while let Some(Ok(message)) = stream.next().await {
                let digest = acknowledgement::digest(message.envelope.as_ref().unwrap());
                let late = {
                    let mut records = records.lock().unwrap();
                    records.uploaded.push(message);
                    records.late.pop_front().unwrap_or(Late::Outcome(UploadOutcome::Stored))
                };
                let (outcome, key) = match late {
                    Late::Outcome(outcome) => (outcome, policy_key()),
                    Late::Forged => (UploadOutcome::Stored, ed25519_dalek::SigningKey::from_bytes(&[8; 32])),
                    Late::Lost => return,
                };
                let said = Acknowledgement {
                    device: "counter-1".into(),
                    envelope_sha256: digest.to_vec(),
                    outcome: outcome.into(),
                    reason: if outcome == UploadOutcome::Refused { "too_old".into() } else { String::new() },
                    ..Acknowledgement::default()
                };
                let _ = sender.send(Ok(acknowledgement::sign(&said, &key))).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }
}
