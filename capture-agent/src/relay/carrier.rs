//! The services that counters call, carried on to the center: each call as it came, for the counter that makes it.
//!
//! A call waits for no line: while every line is known to be down it is refused at once. What the center says goes back as
//! it is; only what it says of the relay itself (that it may not speak for this counter) is no refusal of the counter, which
//! is told that there is no line. Deferred envelopes are [`upload`](super::upload)'s.

use std::{sync::Arc, time::Duration};

use proto::{
    envelope::{EnvelopeError, Parsed},
    patience,
    v1::{
        ConfirmReceiptRequest, ConfirmReceiptResponse, Envelope, FetchLeaseRequest, FetchLeaseResponse, FetchPolicyRequest,
        FetchPolicyResponse, FindReceiptRequest, FindReceiptResponse, RenewCertificateRequest, RenewCertificateResponse,
        ReportHealthRequest, ReportHealthResponse, ReverseReceiptRequest, ReverseReceiptResponse, VerifyRequest, VerifyResponse,
        device_service_server::DeviceService, lease_service_server::LeaseService, receipt_service_server::ReceiptService,
        verification_service_server::VerificationService,
    },
};
use tonic::{Code, Request, Response, Status};
use tonic_types::StatusExt;

use super::{counters::Counters, forwarding::Forwarding, peer::Peer};
use crate::line::client::{CallError, CenterClient, Patience};

/// Longest time for a call whose counter does not say how long it waits.
const WITHIN: Duration = Duration::from_secs(10);
/// Share of a counter's patience that a line may use up, in percent: the counter hears of a dead line within its time.
const SHARE_PERCENT: u32 = 85;

/// Carries calls.
#[derive(Debug, Clone)]
pub struct Carrier {
    /// Calls to the center.
    pub client: CenterClient,
    /// How counters do.
    pub counters: Counters,
    /// What is kept and goes on later.
    pub forwarding: Arc<Forwarding>,
}

impl Carrier {
    /// Who calls.
    pub(super) fn peer<T>(&self, request: &Request<T>) -> Result<Peer, Status> {
        let certificates = request.peer_certs();
        let peer = certificates.as_ref().and_then(|certificates| Peer::of(certificates.first()?));
        let peer = peer.ok_or_else(|| Status::permission_denied("expected a device's certificate by the center's authority"))?;
        self.counters.called(&peer);
        Ok(peer)
    }

    /// Carries one call on, if there is a line.
    async fn carry<Q, A, F>(
        &self,
        peer: &Peer,
        request: Request<Q>,
        call: impl FnOnce(CenterClient, Q, Duration) -> F,
    ) -> Result<Response<A>, Status>
    where
        F: Future<Output = Result<A, CallError>>,
    {
        let within = patience::of(request.metadata()).unwrap_or(WITHIN) * SHARE_PERCENT / 100;
        if self.client.is_down() {
            return Err(no_line());
        }
        let client = self.client.made_for(&peer.certificate_sha256).within(within);
        let answer = call(client, request.into_inner(), within).await;
        self.counters.heard(peer, &self.client.line_in_use(), &answer).await;
        if answer.is_ok() {
            self.forwarding.wake();
        }
        answer.map(Response::new).map_err(|error| told(&error))
    }

    /// Checks that an envelope is in order and this counter's.
    fn check(&self, peer: &Peer, envelope: Option<&Envelope>) -> Result<(), Status> {
        authentic(peer, envelope.cloned().unwrap_or_default()).map(drop).inspect_err(|_| self.counters.refused(peer))
    }
}

/// The number and digest of an envelope that is in order and signed by this counter.
pub(super) fn authentic(peer: &Peer, envelope: Envelope) -> Result<(u64, [u8; 32]), Status> {
    let refused = |error: &EnvelopeError| match error {
        EnvelopeError::BadSignature => Status::permission_denied(error.to_string()),
        EnvelopeError::Malformed { .. }
        | EnvelopeError::UnknownRecipient(_)
        | EnvelopeError::DoesNotOpen
        | EnvelopeError::DigestDiffers
        | EnvelopeError::NotAMessage(_)
        | EnvelopeError::NoRandomness
        | EnvelopeError::DoesNotSeal => Status::invalid_argument(error.to_string()),
    };
    let parsed = Parsed::new(envelope).map_err(|error| refused(&error))?;
    if parsed.header().device != peer.device {
        return Err(Status::permission_denied("envelope.header.device: expected the device of the connection's certificate"));
    }
    let authentic = parsed.authenticate(&peer.key).map_err(|error| refused(&error))?;
    Ok((authentic.header().sequence, authentic.digest()))
}

/// That no line answers; another endpoint of the counter may.
pub(super) fn no_line() -> Status {
    Status::unavailable("the relay has no line to the center now")
}

/// What a counter is told of a call that failed.
pub(super) fn told(error: &CallError) -> Status {
    let status = error.status();
    let from_center = match error {
        // A center that is busy says when to come again.
        CallError::Unreachable(status) => status.code() == Code::ResourceExhausted || status.get_details_retry_info().is_some(),
        CallError::Refused(..) => status.code() != Code::Unauthenticated,
        CallError::Failed(_) => true,
    };
    if from_center { Status::with_details(status.code(), status.message(), status.details().to_vec().into()) } else { no_line() }
}

#[tonic::async_trait]
impl VerificationService for Carrier {
    async fn verify(&self, request: Request<VerifyRequest>) -> Result<Response<VerifyResponse>, Status> {
        let peer = self.peer(&request)?;
        self.check(&peer, request.get_ref().envelope.as_ref())?;
        self.carry(&peer, request, async |client, message, within| {
            client.verify(&message.envelope.unwrap_or_default(), Patience::Short(within)).await
        })
        .await
    }
}

#[tonic::async_trait]
impl DeviceService for Carrier {
    async fn report_health(&self, request: Request<ReportHealthRequest>) -> Result<Response<ReportHealthResponse>, Status> {
        let peer = self.peer(&request)?;
        self.counters.reported(&peer, request.get_ref());
        self.carry(&peer, request, async |client, message, _| client.report_health(message).await).await
    }

    async fn fetch_policy(&self, request: Request<FetchPolicyRequest>) -> Result<Response<FetchPolicyResponse>, Status> {
        let peer = self.peer(&request)?;
        self.carry(&peer, request, async |client, _, _| client.fetch_policy().await).await
    }

    async fn renew_certificate(&self, request: Request<RenewCertificateRequest>) -> Result<Response<RenewCertificateResponse>, Status> {
        let peer = self.peer(&request)?;
        self.carry(&peer, request, async |client, message, _| client.renew_certificate(message).await).await
    }
}

#[tonic::async_trait]
impl LeaseService for Carrier {
    async fn fetch_lease(&self, request: Request<FetchLeaseRequest>) -> Result<Response<FetchLeaseResponse>, Status> {
        let peer = self.peer(&request)?;
        self.carry(&peer, request, async |client, message, _| client.fetch_lease(message).await).await
    }
}

#[tonic::async_trait]
impl ReceiptService for Carrier {
    async fn confirm_receipt(&self, request: Request<ConfirmReceiptRequest>) -> Result<Response<ConfirmReceiptResponse>, Status> {
        let peer = self.peer(&request)?;
        self.carry(&peer, request, async |client, message, _| client.confirm_receipt(message).await).await
    }

    async fn reverse_receipt(&self, request: Request<ReverseReceiptRequest>) -> Result<Response<ReverseReceiptResponse>, Status> {
        let peer = self.peer(&request)?;
        self.carry(&peer, request, async |client, message, _| client.reverse_receipt(message).await).await
    }

    async fn find_receipt(&self, request: Request<FindReceiptRequest>) -> Result<Response<FindReceiptResponse>, Status> {
        let peer = self.peer(&request)?;
        self.carry(&peer, request, async |client, message, _| client.find_receipt(message).await).await
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;
    use crate::line::client::Refusal;

    #[track_caller]
    fn check(error: &CallError, expected: Code) {
        assert_eq!(told(error).code(), expected, "{error:?}");
    }

    #[test]
    fn what_the_center_says_of_the_relay_is_no_refusal_of_the_counter() {
        let refused = |refusal, code| CallError::Refused(refusal, Box::new(Status::new(code, "m")));
        check(&refused(Refusal::Device, Code::Unauthenticated), Code::Unavailable);
        check(&refused(Refusal::Device, Code::PermissionDenied), Code::PermissionDenied);
        check(&refused(Refusal::Stale, Code::FailedPrecondition), Code::FailedPrecondition);
        check(&CallError::Unreachable(Box::new(Status::unavailable("dead"))), Code::Unavailable);
        check(&CallError::Unreachable(Box::new(Status::deadline_exceeded("late"))), Code::Unavailable);
        check(&CallError::Unreachable(Box::new(Status::resource_exhausted("busy"))), Code::ResourceExhausted);
        check(&CallError::Failed(Box::new(Status::internal("m"))), Code::Internal);
    }

    #[test]
    fn when_to_come_again_is_passed_on() {
        let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(3)));
        let busy = Status::with_error_details(Code::ResourceExhausted, "busy", details);
        let told = told(&CallError::Unreachable(Box::new(busy)));
        assert_eq!(told.get_details_retry_info().unwrap().retry_delay, Some(Duration::from_secs(3)));
    }
}
