//! What a device does without the center: it holds a lease, gives provisional receipts, and uploads both later.

use base64::{Engine, engine::general_purpose::STANDARD};
use proto::{
    acknowledgement,
    envelope::Parsed,
    lease,
    v1::{self, deferred_service_client::DeferredServiceClient, lease_service_client::LeaseServiceClient},
};
use receipt_form::{
    jws,
    provisional::{self, ProvisionalForm},
};
use tonic::Status;

use super::TestDevice;

impl TestDevice {
    /// Fetches a lease, and checks it with the key of the bundle.
    pub(crate) async fn lease(&self) -> Result<Option<v1::Lease>, Status> {
        let answer = LeaseServiceClient::new(self.channel()).fetch_lease(v1::FetchLeaseRequest::default()).await?.into_inner();
        Ok(answer.lease.map(|signed| lease::check(&signed, &self.policy_key(), &self.id).unwrap()))
    }

    /// The provisional receipt of an envelope under a lease, as it was answered at a time.
    pub(crate) fn provisional(&self, envelope: &v1::Envelope, lease: &str, at_ms: i64) -> ProvisionalForm {
        let parsed = Parsed::new(envelope.clone()).unwrap();
        let header = parsed.header();
        ProvisionalForm {
            iss: self.id.clone(),
            aud: "settlement".into(),
            jti: provisional::number(&acknowledgement::digest(envelope)).to_string(),
            iat: at_ms / 1000,
            exp: at_ms / 1000 + 900,
            institution: self.bundle_toml()["institution"].as_str().unwrap().to_owned(),
            transaction: header.transaction.clone(),
            attempt: header.attempt,
            scene: "settlement".into(),
            disposition: "settle_flagged".into(),
            policy: "live-1".into(),
            lease: lease.to_owned(),
            capture: jws::encode(&header.plaintext_sha256),
            sequence: header.sequence,
        }
    }

    /// Signs a provisional receipt as this device does.
    pub(crate) fn sign_provisional(&self, form: &ProvisionalForm) -> String {
        let pem = std::fs::read_to_string(self.bundle().join("device.crt")).unwrap();
        let text: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        provisional::sign(form, self.signing_key(), &STANDARD.decode(text).unwrap())
    }

    /// Uploads envelopes with their provisional receipts; gives what became of each.
    pub(crate) async fn upload_with(&self, messages: Vec<(v1::Envelope, String)>) -> Vec<v1::UploadOutcome> {
        let digests: Vec<_> = messages.iter().map(|(envelope, _)| acknowledgement::digest(envelope)).collect();
        let messages = messages
            .into_iter()
            .map(|(envelope, provisional_receipt)| v1::DeferredEnvelope { envelope: Some(envelope), provisional_receipt });
        let stream = tokio_stream::iter(messages.collect::<Vec<_>>());
        let mut answers = DeferredServiceClient::new(self.channel()).upload(stream).await.unwrap().into_inner();
        let mut outcomes = Vec::new();
        for digest in &digests {
            let signed = answers.message().await.unwrap().unwrap();
            outcomes.push(acknowledgement::check(&signed, &self.policy_key(), digest).unwrap().outcome());
        }
        outcomes
    }
}
