//! `VerificationService`.

use std::sync::Arc;

use matcher_core::overload::Class;
use proto::v1::{self, BodyKind, verification_service_server::VerificationService};
use tonic::{Request, Response, Status};
use tracing::{Span, field::Empty, info, instrument};

use crate::{
    app::{admission::Admitted, verify::Verifier},
    feature_models::FeatureModels,
};

use super::{Gate, Peer, decode, encode, status::Failure};

/// Verifies captures as they happen.
#[derive(Clone)]
pub struct Verifications {
    /// The use case.
    pub app: Verifier,
    /// The models templates may come from.
    pub models: Arc<FeatureModels>,
    /// Bounds on calls.
    pub gate: Gate,
}

#[tonic::async_trait]
impl VerificationService for Verifications {
    #[instrument(name = "verify", skip_all, fields(device.id = Empty, verification.transaction = Empty, verification.attempt = Empty))]
    async fn verify(&self, request: Request<v1::VerifyRequest>) -> Result<Response<v1::VerifyResponse>, Status> {
        self.gate.answer(Class::Live, request, |peer, message| self.answer(peer, message)).await
    }
}

impl Verifications {
    async fn answer(&self, peer: Peer, message: v1::VerifyRequest) -> Result<v1::VerifyResponse, Failure> {
        let envelope = match decode::envelope(message.envelope) {
            Ok(envelope) => envelope,
            // Whoever is not let in is told nothing else.
            Err(error) => return Err(self.app.admission.device(peer).await.map_or_else(Failure::Admission, |_| Failure::Field(error))),
        };
        let answer = match self.app.admission.capture(peer, envelope).await.map_err(Failure::Admission)? {
            Admitted::Answered(record) => self.app.repeat(*record).await.map_err(Failure::Verify)?,
            Admitted::New(request, opened) => {
                Span::current().record("device.id", &request.device.id);
                Span::current().record("verification.transaction", &request.key.transaction);
                Span::current().record("verification.attempt", request.key.attempt);
                let capture = opened.message(BodyKind::Capture).map_err(Failure::Body);
                let capture = capture.and_then(|capture| decode::capture(capture, &self.models).map_err(Failure::Field));
                match capture {
                    Ok(capture) => self.app.verify(*request, capture).await.map_err(Failure::Verify)?,
                    Err(failure) => {
                        self.app.admission.note_refused(&request).await;
                        return Err(failure);
                    }
                }
            }
        };
        let record = &answer.record;
        info!(
            decision = record.decision.word(),
            disposition = record.disposition.word(),
            scene = record.scene.word(),
            comparison.score = record.score,
            repeated = answer.repeated,
            "verified"
        );
        Ok(encode::answer(answer))
    }
}
