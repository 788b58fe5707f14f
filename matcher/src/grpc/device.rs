//! `DeviceService`.

use std::sync::Arc;

use matcher_core::overload::Class;
use proto::v1::{self, device_service_server::DeviceService};
use tonic::{Request, Response, Status};
use tracing::instrument;

use crate::{
    app::{health::Health, joining::Joining},
    policy::PolicyKey,
};

use super::{Gate, Peer, decode, encode, join, status::Failure};

/// Receives health reports and renews certificates.
#[derive(Clone)]
pub struct Devices {
    /// The use case.
    pub app: Health,
    /// Renewals.
    pub joining: Joining,
    /// Signs what devices are told.
    pub key: Arc<PolicyKey>,
    /// Bounds on calls.
    pub gate: Gate,
}

#[tonic::async_trait]
impl DeviceService for Devices {
    #[instrument(name = "report_health", skip_all)]
    async fn report_health(&self, request: Request<v1::ReportHealthRequest>) -> Result<Response<v1::ReportHealthResponse>, Status> {
        self.gate.answer(Class::Other, request, |peer, message| self.answer(peer, message)).await
    }

    #[instrument(name = "renew_certificate", skip_all)]
    async fn renew_certificate(
        &self,
        request: Request<v1::RenewCertificateRequest>,
    ) -> Result<Response<v1::RenewCertificateResponse>, Status> {
        self.gate.answer(Class::Other, request, |peer, message| self.renew(peer, message)).await
    }

    #[instrument(name = "fetch_policy", skip_all)]
    async fn fetch_policy(&self, request: Request<v1::FetchPolicyRequest>) -> Result<Response<v1::FetchPolicyResponse>, Status> {
        self.gate.answer(Class::Other, request, |peer, _| self.policy(peer)).await
    }
}

impl Devices {
    async fn renew(&self, peer: Peer, message: v1::RenewCertificateRequest) -> Result<v1::RenewCertificateResponse, Failure> {
        join::bounded(&message.csr_pem)?;
        Ok(join::papers(self.joining.renew(peer, &message.csr_pem).await.map_err(Failure::Join)?))
    }

    async fn policy(&self, peer: Peer) -> Result<v1::FetchPolicyResponse, Failure> {
        self.app.admission.device(peer).await.map_err(Failure::Admission)?;
        Ok(encode::policy(&self.app.policies.current()))
    }

    async fn answer(&self, peer: Peer, message: v1::ReportHealthRequest) -> Result<v1::ReportHealthResponse, Failure> {
        let device = self.app.admission.device(peer).await.map_err(Failure::Admission)?;
        let clock = message.device_clock_ms;
        let report = decode::report(message).map_err(Failure::Field)?;
        let briefing = self.app.report(device, &report).await.map_err(Failure::Store)?;
        Ok(self.key.brief(encode::briefing(briefing), clock))
    }
}
