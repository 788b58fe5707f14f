//! `EnrolmentService`.
//!
//! Enrolling needs the networks, verifying does not: they are loaded by the first submission.

use matcher_core::overload::Class;
use proto::v1::{self, BodyKind, enrolment_service_server::EnrolmentService};
use tonic::{Request, Response, Status};
use tracing::{Span, field::Empty, info, instrument};

use crate::{
    app::{admission::Admission, enrol::enrol_one, freshness::Freshness},
    center::Center,
    networks::Networks,
};

use super::{Gate, Peer, decode, encode, status::Failure};

/// Enrols one person at a time.
#[derive(Clone)]
pub struct Enrolments {
    center: Center,
    admission: Admission,
    freshness: Freshness,
    networks: Networks,
    gate: Gate,
}

impl Enrolments {
    /// A service with these networks.
    #[must_use]
    pub fn new(center: Center, admission: Admission, freshness: Freshness, networks: Networks, gate: Gate) -> Self {
        Self { center, admission, freshness, networks, gate }
    }

    async fn answer(&self, peer: Peer, message: v1::EnrolRequest) -> Result<v1::EnrolResponse, Failure> {
        let device = self.admission.device(peer).await.map_err(Failure::Admission)?;
        Span::current().record("device.id", &device.id);
        let envelope = decode::envelope(message.envelope).map_err(Failure::Field)?;
        let (request, opened) = self.admission.enrolment(device, envelope).map_err(Failure::Admission)?;
        let submission = opened.message(BodyKind::Enrolment).map_err(Failure::Body)?;
        let (command, submitted_at) = decode::submission(submission).map_err(Failure::Field)?;
        let now = self.admission.surroundings.now_ms();
        self.freshness.check("submission.submitted_at_ms", submitted_at, now).map_err(Failure::Age)?;
        let networks = self.networks.get().await.map_err(Failure::Networks)?;
        self.admission.take(&request).await.map_err(Failure::Admission)?;
        let surroundings = self.admission.surroundings.as_ref();
        let outcome = enrol_one(&self.center, networks, command, surroundings).await.map_err(Failure::Enrol)?;
        let answer = encode::enrolment(&outcome, networks.feature_model());
        info!(outcome = answer.outcome().as_str_name(), reason = answer.reason, "enrolled");
        Ok(answer)
    }
}

#[tonic::async_trait]
impl EnrolmentService for Enrolments {
    #[instrument(name = "enrol", skip_all, fields(device.id = Empty))]
    async fn enrol(&self, request: Request<v1::EnrolRequest>) -> Result<Response<v1::EnrolResponse>, Status> {
        self.gate.answer(Class::Other, request, |peer, message| self.answer(peer, message)).await
    }
}
