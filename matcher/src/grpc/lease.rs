//! `LeaseService`.

use matcher_core::overload::Class;
use proto::v1::{self, lease_service_server::LeaseService};
use tonic::{Request, Response, Status};
use tracing::instrument;

use super::{Gate, Peer, status::Failure};
use crate::app::leases::Leases;

/// Issues leases.
#[derive(Clone)]
pub struct LeaseFront {
    /// The use case.
    pub app: Leases,
    /// Bounds on calls.
    pub gate: Gate,
}

#[tonic::async_trait]
impl LeaseService for LeaseFront {
    #[instrument(name = "fetch_lease", skip_all)]
    async fn fetch_lease(&self, request: Request<v1::FetchLeaseRequest>) -> Result<Response<v1::FetchLeaseResponse>, Status> {
        self.gate.answer(Class::Other, request, |peer, _| self.answer(peer)).await
    }
}

impl LeaseFront {
    async fn answer(&self, peer: Peer) -> Result<v1::FetchLeaseResponse, Failure> {
        let device = self.app.admission.acting(peer).await.map_err(Failure::Admission)?;
        let lease = self.app.issue(&device).await.map_err(Failure::Store)?;
        Ok(v1::FetchLeaseResponse { lease })
    }
}
