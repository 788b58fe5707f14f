//! A device: its key, its request, its connection, and the captures it seals.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use ed25519_dalek::{
    Signer, SigningKey, VerifyingKey,
    pkcs8::{EncodePrivateKey, spki::der::pem::LineEnding},
};
use matcher::surroundings::{Surroundings, System};
use proto::{
    acknowledgement,
    envelope::{Address, OpeningPublicKey, seal},
    v1::{
        self, BodyKind, deferred_service_client::DeferredServiceClient, device_service_client::DeviceServiceClient,
        enrolment_service_client::EnrolmentServiceClient, receipt_service_client::ReceiptServiceClient,
        verification_service_client::VerificationServiceClient,
    },
};
use tonic::{
    Status,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

use super::{models, template};

/// A device of a counter.
pub(crate) struct TestDevice {
    pub(crate) id: String,
    key: SigningKey,
    key_pem: String,
    folder: PathBuf,
    pub(crate) sequence: AtomicU64,
    channel: Option<Channel>,
}

impl TestDevice {
    /// Makes a key and a certificate request.
    pub(crate) fn new(folder: &Path, id: &str) -> Self {
        let key = SigningKey::from_bytes(&[System.random_id(), System.random_id()].concat().try_into().unwrap());
        let key_pem = key.to_pkcs8_pem(LineEnding::LF).unwrap().to_string();
        let folder = folder.join(format!("device-{id}"));
        fs::create_dir_all(&folder).unwrap();
        let request = rcgen::CertificateParams::default().serialize_request(&rcgen::KeyPair::from_pem(&key_pem).unwrap()).unwrap();
        fs::write(folder.join("device.csr"), request.pem().unwrap()).unwrap();
        Self { id: id.to_owned(), key, key_pem, folder, sequence: AtomicU64::new(0), channel: None }
    }

    pub(crate) fn csr(&self) -> PathBuf {
        self.folder.join("device.csr")
    }

    pub(crate) fn bundle(&self) -> PathBuf {
        self.folder.join("bundle")
    }

    /// What the bundle says.
    pub(crate) fn bundle_toml(&self) -> toml::Table {
        fs::read_to_string(self.bundle().join("device.toml")).unwrap().parse().unwrap()
    }

    /// Connects with the certificate of the bundle as it is now.
    pub(crate) fn connect(mut self, address: &str) -> Self {
        let identity = Identity::from_pem(fs::read(self.bundle().join("device.crt")).unwrap(), &self.key_pem);
        self.channel = Some(channel(address, &self.bundle().join("ca.crt"), Some(identity)));
        self
    }

    /// The same device with a connection to another server of its center.
    pub(crate) fn also_at(&self, address: &str) -> Self {
        let (id, key, key_pem, folder) = (self.id.clone(), self.key.clone(), self.key_pem.clone(), self.folder.clone());
        Self { id, key, key_pem, folder, sequence: AtomicU64::new(0), channel: None }.connect(address)
    }

    /// Connects without a certificate of its own.
    pub(crate) fn connect_bare(mut self, address: &str) -> Self {
        self.channel = Some(channel(address, &self.bundle().join("ca.crt"), None));
        self
    }

    /// Connects to another center than its bundle's, which it trusts.
    pub(crate) fn connect_to(mut self, address: &str, ca: &Path) -> Self {
        let identity = Identity::from_pem(fs::read(self.bundle().join("device.crt")).unwrap(), &self.key_pem);
        self.channel = Some(channel(address, ca, Some(identity)));
        self
    }

    pub(super) fn signing_key(&self) -> &SigningKey {
        &self.key
    }

    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone().unwrap()
    }

    /// The center's opening key as the bundle has it.
    pub(crate) fn opening_key(&self) -> OpeningPublicKey {
        let hex = self.bundle_toml()["opening_key"].as_str().unwrap().to_owned();
        let bytes: Vec<u8> = (0..32).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect();
        OpeningPublicKey::from_bytes(&bytes).unwrap()
    }

    /// The address of this device's next envelope.
    pub(crate) fn address(&self, transaction: &str, attempt: u32) -> Address {
        Address {
            device: self.id.clone(),
            sequence: self.sequence.fetch_add(1, Ordering::SeqCst) + 1,
            transaction: transaction.to_owned(),
            attempt,
            body: BodyKind::Capture,
        }
    }

    /// Seals a capture under an address.
    pub(crate) fn seal(&self, address: &Address, message: &impl prost::Message) -> v1::Envelope {
        self.seal_to(address, message, &self.opening_key())
    }

    /// Seals a capture to a key.
    pub(crate) fn seal_to(&self, address: &Address, message: &impl prost::Message, key: &OpeningPublicKey) -> v1::Envelope {
        seal(address, message, &self.key, key).unwrap()
    }

    /// Sends an envelope.
    pub(crate) async fn send(&self, envelope: v1::Envelope) -> Result<v1::VerifyResponse, Status> {
        let mut client = VerificationServiceClient::new(self.channel());
        client.verify(v1::VerifyRequest { envelope: Some(envelope) }).await.map(tonic::Response::into_inner)
    }

    /// Seals and sends a capture as the first attempt of a transaction.
    pub(crate) async fn verify(&self, transaction: &str, capture: &v1::Capture) -> Result<v1::VerifyResponse, Status> {
        self.verify_attempt(transaction, 1, capture).await
    }

    /// Seals and sends a capture.
    pub(crate) async fn verify_attempt(
        &self,
        transaction: &str,
        attempt: u32,
        capture: &v1::Capture,
    ) -> Result<v1::VerifyResponse, Status> {
        self.send(self.seal(&self.address(transaction, attempt), capture)).await
    }

    /// The address of this device's next envelope of an enrolment.
    pub(crate) fn enrolment_address(&self) -> Address {
        Address { body: BodyKind::Enrolment, ..self.address("E-1", 1) }
    }

    /// Sends the envelope of an enrolment.
    pub(crate) async fn send_enrolment(&self, envelope: v1::Envelope) -> Result<v1::EnrolResponse, Status> {
        let mut client = EnrolmentServiceClient::new(self.channel());
        client.enrol(v1::EnrolRequest { envelope: Some(envelope) }).await.map(tonic::Response::into_inner)
    }

    /// Seals and sends an enrolment.
    pub(crate) async fn enrol(&self, submission: &v1::EnrolmentSubmission) -> Result<v1::EnrolResponse, Status> {
        self.send_enrolment(self.seal(&self.enrolment_address(), submission)).await
    }

    /// Confirms a receipt for a settlement; gives refusal, state and whether it was so before.
    pub(crate) async fn confirm(&self, request: v1::ConfirmReceiptRequest) -> Result<(String, v1::ReceiptState, bool), Status> {
        let answer = ReceiptServiceClient::new(self.channel()).confirm_receipt(request).await?.into_inner();
        Ok((answer.refusal.clone(), answer.state(), answer.repeated))
    }

    /// Reverses a settlement, or with an empty one the receipt.
    pub(crate) async fn reverse(&self, number: &str, settlement: &str) -> Result<(String, v1::ReceiptState, bool), Status> {
        let request = v1::ReverseReceiptRequest { receipt_number: number.to_owned(), settlement: settlement.to_owned() };
        let answer = ReceiptServiceClient::new(self.channel()).reverse_receipt(request).await?.into_inner();
        Ok((answer.refusal.clone(), answer.state(), answer.repeated))
    }

    /// Finds a receipt by its number.
    pub(crate) async fn find_receipt(&self, number: &str) -> Result<v1::FindReceiptResponse, Status> {
        let request = v1::FindReceiptRequest { receipt_number: number.to_owned() };
        ReceiptServiceClient::new(self.channel()).find_receipt(request).await.map(tonic::Response::into_inner)
    }

    /// Uploads envelopes in one stream; gives what became of each, checked with the key of the bundle.
    pub(crate) async fn upload(&self, envelopes: Vec<v1::Envelope>) -> Result<Vec<v1::Acknowledgement>, Status> {
        let digests: Vec<_> = envelopes.iter().map(acknowledgement::digest).collect();
        let signed = self.upload_raw(envelopes).await?;
        assert_eq!(signed.len(), digests.len(), "one acknowledgement for each");
        Ok(signed
            .iter()
            .zip(&digests)
            .map(|(signed, digest)| acknowledgement::check(signed, &self.policy_key(), digest).unwrap())
            .collect())
    }

    /// Uploads envelopes in one stream; gives what came back.
    pub(crate) async fn upload_raw(&self, envelopes: Vec<v1::Envelope>) -> Result<Vec<v1::SignedAcknowledgement>, Status> {
        let messages =
            envelopes.into_iter().map(|envelope| v1::DeferredEnvelope { envelope: Some(envelope), ..v1::DeferredEnvelope::default() });
        let stream = tokio_stream::iter(messages.collect::<Vec<_>>());
        let mut answers = DeferredServiceClient::new(self.channel()).upload(stream).await?.into_inner();
        let mut signed = Vec::new();
        while let Some(answer) = answers.message().await? {
            signed.push(answer);
        }
        Ok(signed)
    }

    /// The key that signs policies and acknowledgements, as the bundle has it.
    pub(crate) fn policy_key(&self) -> VerifyingKey {
        let hex = self.bundle_toml()["policy_key"].as_str().unwrap().to_owned();
        let bytes: Vec<u8> = (0..32).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect();
        VerifyingKey::from_bytes(&bytes.try_into().unwrap()).unwrap()
    }

    /// The certificate request.
    pub(crate) fn csr_pem(&self) -> String {
        fs::read_to_string(self.csr()).unwrap()
    }

    /// Signs with the device's key.
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.key.sign(message).to_bytes().to_vec()
    }

    /// Takes what a device gets that joins, in the form of a bundle.
    pub(crate) fn take(self, answer: &v1::JoinResponse) -> Self {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let toml = format!(
            "device = \"{}\"\ninstitution = \"{}\"\ncounter = \"{}\"\nopening_key = \"{}\"\npolicy_key = \"{}\"\n",
            answer.device,
            answer.institution,
            answer.counter,
            hex(&answer.opening_key),
            hex(&answer.policy_key)
        );
        fs::create_dir_all(self.bundle()).unwrap();
        for (name, text) in [("device.toml", &toml), ("device.crt", &answer.certificate_pem), ("ca.crt", &answer.authority_pem)] {
            fs::write(self.bundle().join(name), text).unwrap();
        }
        self
    }

    /// The same device with a connection by another certificate.
    pub(crate) fn also_with(&self, certificate_pem: &str, address: &str) -> Self {
        fs::write(self.bundle().join("device.crt"), certificate_pem).unwrap();
        let also = self.also_at(address);
        also.sequence.store(self.sequence.load(Ordering::SeqCst), Ordering::SeqCst);
        also
    }

    /// A connection of somebody without a certificate, who trusts an authority.
    pub(crate) fn stranger(address: &str, ca: &Path) -> Channel {
        channel(address, ca, None)
    }

    /// Asks for the next certificate.
    pub(crate) async fn renew(&self) -> Result<v1::RenewCertificateResponse, Status> {
        let request = v1::RenewCertificateRequest { csr_pem: self.csr_pem() };
        DeviceServiceClient::new(self.channel()).renew_certificate(request).await.map(tonic::Response::into_inner)
    }

    /// Fetches the policy in force.
    pub(crate) async fn policy(&self) -> v1::SignedPolicy {
        let answer = DeviceServiceClient::new(self.channel()).fetch_policy(v1::FetchPolicyRequest {}).await.unwrap();
        answer.into_inner().policy.unwrap()
    }

    /// Reports health.
    pub(crate) async fn report(&self, report: v1::ReportHealthRequest) -> Result<v1::ReportHealthResponse, Status> {
        DeviceServiceClient::new(self.channel()).report_health(report).await.map(tonic::Response::into_inner)
    }
}

fn channel(address: &str, ca: &Path, identity: Option<Identity>) -> Channel {
    let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(fs::read(ca).unwrap())).domain_name("localhost");
    if let Some(identity) = identity {
        tls = tls.identity(identity);
    }
    Endpoint::from_shared(address.to_owned()).unwrap().tls_config(tls).unwrap().connect_lazy()
}

/// A capture of now for a card, with an outcome.
pub(crate) fn attempt(card: &str, outcome: v1::capture::Outcome) -> v1::Capture {
    v1::Capture {
        scene: v1::Scene::Settlement.into(),
        identifier: Some(v1::Identifier {
            kind: v1::IdentifierKind::SocialSecurityCard.into(),
            value: card.to_owned(),
            region: String::new(),
        }),
        operator: "0417".into(),
        captured_at_ms: System.now_ms(),
        clock_offset_ms: 0,
        policy_version: String::new(),
        notice: "N-1".into(),
        consent: String::new(),
        outcome: Some(outcome),
        ..v1::Capture::default()
    }
}

/// A capture of now whose probe has about this cosine with every reference.
pub(crate) fn capture(card: &str, cosine: f32) -> v1::Capture {
    attempt(card, v1::capture::Outcome::Sample(probe(cosine)))
}

/// A capture of now without a face.
pub(crate) fn failure(card: &str, reason: v1::AcquisitionFailure) -> v1::Capture {
    attempt(card, v1::capture::Outcome::FailureToAcquire(v1::FailureToAcquire { reason: reason.into(), component: String::new() }))
}

/// A probe of the current model with about this cosine with every reference.
pub(crate) fn probe(cosine: f32) -> v1::ProbeSample {
    let models = models();
    let current = models.current();
    let (model, recipe) = (current.model.as_str(), current.recipe.as_str());
    v1::ProbeSample {
        template: Some(v1::Template {
            model_id: model.to_owned(),
            recipe_id: recipe.to_owned(),
            features_f16: template(model, recipe, cosine).to_f16_le_bytes(),
        }),
        sample: Some(sample(1000)),
        attack: Some(v1::AttackScore { model_id: models.attack_id().to_owned(), live: 0.9 }),
        detection_score: 0.99,
        further_samples: vec![sample(900), sample(800)],
    }
}

/// A sample of so many bytes, from a start mark to an end mark.
pub(crate) fn sample(len: usize) -> v1::Sample {
    let mut jpeg = vec![0x55; len];
    jpeg[..3].copy_from_slice(&[0xff, 0xd8, 0xff]);
    jpeg[len - 2..].copy_from_slice(&[0xff, 0xd9]);
    v1::Sample {
        jpeg,
        landmarks: (0..10_u8).map(f32::from).collect(),
        face_box: vec![1.0, 2.0, 3.0, 4.0],
        quality: vec![measure("sharpness", 70)],
    }
}

/// One component as measured.
pub(crate) fn measure(component: &str, score: u32) -> v1::QualityMeasure {
    v1::QualityMeasure { component: component.to_owned(), raw: 0.5, score }
}
