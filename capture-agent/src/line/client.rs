//! The center, over gRPC with mutual TLS: each call over the endpoint that answers and with a deadline, and repetitions
//! of the very same envelope while no line or no center is there, or the center is busy: then when it asks for it.
//!
//! Not here: what an answer means, and what becomes of an envelope that could not be sent (it stays in the
//! [`spool`](super::spool)).

use std::{
    error::Error as _,
    sync::Arc,
    time::{Duration, Instant},
};

use backon::{ExponentialBuilder, Retryable};
use capture_core::line::Way;
use proto::{
    relayed,
    v1::{
        ConfirmReceiptRequest, ConfirmReceiptResponse, DeferredEnvelope, Envelope, FetchLeaseRequest, FetchLeaseResponse,
        FetchPolicyRequest, FetchPolicyResponse, FindReceiptRequest, FindReceiptResponse, RenewCertificateRequest,
        RenewCertificateResponse, ReportHealthRequest, ReportHealthResponse, ReverseReceiptRequest, ReverseReceiptResponse,
        SignedAcknowledgement, VerifyRequest, VerifyResponse, deferred_service_client::DeferredServiceClient,
        device_service_client::DeviceServiceClient, lease_service_client::LeaseServiceClient, receipt_service_client::ReceiptServiceClient,
        verification_service_client::VerificationServiceClient,
    },
};
use thiserror::Error;
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataValue},
    transport::Channel,
};
use tonic_types::StatusExt;
use tracing::debug;

pub use super::endpoints::{Credentials, EndpointState, SetUpError};
use super::endpoints::{Heard, Ways};
use crate::{clock::Clock, config::CenterConfig};

/// The longest pause between two repetitions.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// An upload may take so many times as long as a call.
const UPLOAD_CALLS: u32 = 4;

/// What the center refuses an envelope or a device for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The device is unknown, revoked, or its signature is bad.
    Device,
    /// A field is not as the center expects.
    Request,
    /// The transaction and attempt were used for another envelope.
    Conflict,
    /// The envelope is too old, or its number was used.
    Stale,
}

/// A call to the center failed.
#[derive(Debug, Error)]
pub enum CallError {
    /// No answer, after all repetitions.
    #[error("the center does not answer: {}", .0.message())]
    Unreachable(#[source] Box<Status>),
    /// The center refuses, and will again.
    #[error("the center refuses: {}", .1.message())]
    Refused(Refusal, #[source] Box<Status>),
    /// The center failed.
    #[error("the center failed: {}", .0.message())]
    Failed(#[source] Box<Status>),
}

impl CallError {
    /// What the center, or this side in its place, said.
    #[must_use]
    pub fn status(&self) -> &Status {
        match self {
            Self::Unreachable(status) | Self::Refused(_, status) | Self::Failed(status) => status,
        }
    }

    fn late() -> Self {
        Self::Unreachable(Box::new(Status::deadline_exceeded("no answer within center.call_timeout_ms")))
    }
}

/// How long an answer is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Repeats for center.retry_for_ms, whatever is known of the lines: there is no other way to answer.
    Long,
    /// Answers by then or not at all; not waited for while every line is known to be down.
    Short(Duration),
}

/// Calls to one center.
#[derive(Debug, Clone)]
pub struct CenterClient {
    ways: Arc<Ways>,
    config: CenterConfig,
    call_timeout: Duration,
    retry_for: Duration,
    retry_pause: Duration,
    /// Whom the calls are made for, where that is not the device of the certificate: what a relay adds to each.
    made_for: Option<MetadataValue<Ascii>>,
}

impl CenterClient {
    /// Prepares calls; connects with the first one. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When an address or the certificates are not in order.
    pub fn new(config: &CenterConfig, credentials: &Credentials, clock: Clock) -> Result<Self, SetUpError> {
        Ok(Self {
            ways: Arc::new(Ways::new(config, credentials, clock)?),
            config: config.clone(),
            call_timeout: config.call_timeout(),
            retry_for: Duration::from_millis(config.retry_for_ms),
            retry_pause: Duration::from_millis(config.retry_pause_ms),
            made_for: None,
        })
    }

    /// The same client, whose calls are made for the device with this certificate.
    #[must_use]
    pub fn made_for(&self, certificate_sha256: &[u8; 32]) -> Self {
        Self { made_for: relayed::to_text(certificate_sha256).parse().ok(), ..self.clone() }
    }

    /// The same client, whose calls take at most so long.
    #[must_use]
    pub fn within(&self, time: Duration) -> Self {
        Self { call_timeout: self.call_timeout.min(time), ..self.clone() }
    }

    /// Makes calls with other credentials from now on: the certificate was renewed.
    ///
    /// # Errors
    /// When they cannot be used; those before stay.
    pub fn replace_credentials(&self, credentials: &Credentials) -> Result<(), SetUpError> {
        self.ways.replace_credentials(&self.config, credentials)
    }

    /// Asks for the next certificate, once.
    ///
    /// # Errors
    /// When the center does not answer, refuses, or fails.
    pub async fn renew_certificate(&self, request: RenewCertificateRequest) -> Result<RenewCertificateResponse, CallError> {
        self.once(request, async |channel, request| {
            DeviceServiceClient::new(channel).max_decoding_message_size(proto::MESSAGE_LEN_MAX).renew_certificate(request).await
        })
        .await
    }

    /// Sends one envelope and repeats it, unchanged, while no answer comes.
    ///
    /// # Errors
    /// When the center does not answer in the time for repetitions, refuses, or fails.
    pub async fn verify(&self, envelope: &Envelope, patience: Patience) -> Result<VerifyResponse, CallError> {
        match patience {
            Patience::Long => self.verify_for(envelope, self.retry_for, false).await,
            Patience::Short(within) => {
                let answer = tokio::time::timeout(within, self.verify_for(envelope, within, true)).await;
                answer.unwrap_or_else(|_| Err(CallError::late()))
            }
        }
    }

    async fn verify_for(&self, envelope: &Envelope, retry_for: Duration, until_down: bool) -> Result<VerifyResponse, CallError> {
        let started = Instant::now();
        let left = || retry_for.saturating_sub(started.elapsed());
        let is_down = || until_down && matches!(self.ways.way(), Way::Down(_));
        let call = || async {
            if is_down() {
                return Err(CallError::Unreachable(Box::new(Status::unavailable("no line answers"))));
            }
            let timeout = if until_down { self.share(left()) } else { self.call_timeout };
            let message = VerifyRequest { envelope: Some(envelope.clone()) };
            self.call(self.ways.way().endpoint(), timeout, message, async |channel, request| {
                VerificationServiceClient::new(channel).max_decoding_message_size(proto::MESSAGE_LEN_MAX).verify(request).await
            })
            .await
        };
        call.retry(self.pauses())
            .when(|error| matches!(error, CallError::Unreachable(_)) && started.elapsed() < retry_for && !is_down())
            .adjust(|error, pause| {
                // Another line is tried at once.
                if asked_pause(error).is_none() && self.ways.count() > 1 && matches!(self.ways.way(), Way::Over(_)) {
                    return Some(Duration::ZERO);
                }
                pause_before(error, pause?, left())
            })
            .notify(|error, pause| debug!(error = error as &dyn std::error::Error, retry.pause_ms = pause.as_millis(), "sent again"))
            .await
    }

    /// Reports the device's health, once.
    ///
    /// # Errors
    /// When the center does not answer, refuses, or fails.
    pub async fn report_health(&self, report: ReportHealthRequest) -> Result<ReportHealthResponse, CallError> {
        self.once(report, async |channel, request| {
            DeviceServiceClient::new(channel).max_decoding_message_size(proto::MESSAGE_LEN_MAX).report_health(request).await
        })
        .await
    }

    /// Brings the policy in force, once.
    ///
    /// # Errors
    /// When the center does not answer, refuses, or fails.
    pub async fn fetch_policy(&self) -> Result<FetchPolicyResponse, CallError> {
        self.fetch_policy_over(self.ways.way().endpoint()).await
    }

    /// Brings a lease, once.
    ///
    /// # Errors
    /// When the center does not answer, refuses, or fails.
    pub async fn fetch_lease(&self, request: FetchLeaseRequest) -> Result<FetchLeaseResponse, CallError> {
        self.once(request, async |channel, request| LeaseServiceClient::new(channel).fetch_lease(request).await).await
    }

    /// Binds a settlement to a receipt, once.
    ///
    /// # Errors
    /// When the center does not answer, refuses, or fails.
    pub async fn confirm_receipt(&self, request: ConfirmReceiptRequest) -> Result<ConfirmReceiptResponse, CallError> {
        self.once(request, async |channel, request| {
            ReceiptServiceClient::new(channel).max_decoding_message_size(proto::MESSAGE_LEN_MAX).confirm_receipt(request).await
        })
        .await
    }

    /// Reverses a settlement on a receipt, once.
    ///
    /// # Errors
    /// When the center does not answer, refuses, or fails.
    pub async fn reverse_receipt(&self, request: ReverseReceiptRequest) -> Result<ReverseReceiptResponse, CallError> {
        self.once(request, async |channel, request| {
            ReceiptServiceClient::new(channel).max_decoding_message_size(proto::MESSAGE_LEN_MAX).reverse_receipt(request).await
        })
        .await
    }

    /// Finds a receipt by its number, once.
    ///
    /// # Errors
    /// When the center does not answer, refuses, or fails.
    pub async fn find_receipt(&self, request: FindReceiptRequest) -> Result<FindReceiptResponse, CallError> {
        self.once(request, async |channel, request| {
            ReceiptServiceClient::new(channel).max_decoding_message_size(proto::MESSAGE_LEN_MAX).find_receipt(request).await
        })
        .await
    }

    /// Uploads envelopes, once, and brings their acknowledgements, in the order of the envelopes; fewer where the line broke
    /// in between. They are not checked here.
    ///
    /// # Errors
    /// When the center answers nothing, refuses, or fails.
    pub async fn upload(&self, envelopes: Vec<DeferredEnvelope>) -> Result<Vec<SignedAcknowledgement>, CallError> {
        let (sent, timeout) = (envelopes.len(), self.call_timeout);
        // A slow line carries half a megabyte too, if it is given the time.
        let within = self.call_timeout * UPLOAD_CALLS;
        self.call(self.ways.way().endpoint(), within, tokio_stream::iter(envelopes), async |channel, request| {
            let mut client = DeferredServiceClient::new(channel).max_decoding_message_size(proto::MESSAGE_LEN_MAX);
            let mut answers = client.upload(request).await?.into_inner();
            let mut got = Vec::with_capacity(sent);
            while got.len() < sent {
                match tokio::time::timeout(timeout, answers.message()).await {
                    Ok(Ok(Some(answer))) => got.push(answer),
                    Ok(Ok(None)) => break,
                    Ok(Err(status)) if got.is_empty() => return Err(status),
                    Err(_) if got.is_empty() => return Err(Status::deadline_exceeded("no acknowledgement")),
                    Ok(Err(_)) | Err(_) => break,
                }
            }
            Ok(tonic::Response::new(got))
        })
        .await
    }

    /// Asks a better endpoint than the one in use whether it answers, where there is one to ask; nobody waits for this.
    pub async fn try_better(&self) {
        if let Some(endpoint) = self.ways.trial() {
            let answer = self.fetch_policy_over(endpoint).await;
            debug!(line.answers = answer.is_ok(), "a better line was tried");
        }
    }

    /// How the endpoints stand.
    #[must_use]
    pub fn endpoints(&self) -> Vec<EndpointState> {
        self.ways.states()
    }

    /// The name of the endpoint in use.
    #[must_use]
    pub fn line_in_use(&self) -> String {
        self.ways.states().into_iter().find(|endpoint| endpoint.in_use).map(|endpoint| endpoint.name).unwrap_or_default()
    }

    /// Whether every endpoint failed a short while ago.
    #[must_use]
    pub fn is_down(&self) -> bool {
        matches!(self.ways.way(), Way::Down(_))
    }

    async fn fetch_policy_over(&self, endpoint: usize) -> Result<FetchPolicyResponse, CallError> {
        self.call(endpoint, self.call_timeout, FetchPolicyRequest {}, async |channel, request| {
            DeviceServiceClient::new(channel).max_decoding_message_size(proto::MESSAGE_LEN_MAX).fetch_policy(request).await
        })
        .await
    }

    fn pauses(&self) -> ExponentialBuilder {
        ExponentialBuilder::new().with_min_delay(self.retry_pause).with_max_delay(PAUSE_MAX).without_max_times().with_jitter()
    }

    /// The deadline of one call, so that another endpoint may be tried within the time that is left.
    fn share(&self, left: Duration) -> Duration {
        let others = u32::try_from(self.ways.count()).unwrap_or(1).min(2);
        self.call_timeout.min(left / others).max(Duration::from_millis(1))
    }

    /// Not repeated over the same endpoint; where one fails and another answers, nobody needs to hear of it. What is sent may
    /// arrive twice then, which the center's services allow for.
    async fn once<Q: Clone, A>(
        &self,
        message: Q,
        call: impl AsyncFn(Channel, Request<Q>) -> Result<tonic::Response<A>, Status>,
    ) -> Result<A, CallError> {
        let started = Instant::now();
        let left = || self.call_timeout.saturating_sub(started.elapsed());
        let mut endpoint = self.ways.way().endpoint();
        for _ in 1..self.ways.count() {
            let answer = self.call(endpoint, left(), message.clone(), &call).await;
            match (&answer, self.ways.way()) {
                (Err(error @ CallError::Unreachable(_)), Way::Over(other))
                    if other != endpoint && asked_pause(error).is_none() && !left().is_zero() =>
                {
                    endpoint = other;
                }
                (Ok(_) | Err(_), Way::Over(_) | Way::Down(_)) => return answer,
            }
        }
        self.call(endpoint, left(), message, call).await
    }

    /// One call over an endpoint within its deadline, which the center is told too.
    async fn call<Q, A>(
        &self,
        endpoint: usize,
        timeout: Duration,
        message: Q,
        call: impl AsyncFnOnce(Channel, Request<Q>) -> Result<tonic::Response<A>, Status>,
    ) -> Result<A, CallError> {
        let Some(channel) = self.ways.channel(endpoint) else { return Err(CallError::late()) };
        let mut request = Request::new(message);
        request.set_timeout(timeout);
        if let Some(device) = &self.made_for {
            request.metadata_mut().insert(relayed::FOR_CERTIFICATE, device.clone());
        }
        match tokio::time::timeout(timeout, call(channel, request)).await {
            Ok(Ok(answer)) => {
                self.ways.heard(endpoint, Heard::Answered);
                Ok(answer.into_inner())
            }
            Ok(Err(status)) => {
                let error = sort(status);
                self.ways.heard(endpoint, said_of(&error));
                Err(error)
            }
            Err(_) => {
                self.ways.heard(endpoint, Heard::Silent);
                Err(CallError::late())
            }
        }
    }
}

/// What a failed call says about the line: a center that refuses, fails or is busy answers.
fn said_of(error: &CallError) -> Heard {
    match error {
        CallError::Refused(..) | CallError::Failed(_) => Heard::Answered,
        CallError::Unreachable(status) if status.code() == Code::ResourceExhausted || asked_pause(error).is_some() => Heard::Answered,
        CallError::Unreachable(status) if status.code() == Code::DeadlineExceeded => Heard::Silent,
        CallError::Unreachable(_) => Heard::Failed,
    }
}

/// The pause before the next repetition: not shorter than the center asks for. Nothing when that is past the time left
/// for repetitions: asking earlier would only add to its load.
fn pause_before(error: &CallError, pause: Duration, left: Duration) -> Option<Duration> {
    match asked_pause(error) {
        Some(asked) => Some(asked.max(pause)).filter(|_| asked <= left),
        None => Some(pause),
    }
}

/// After which time a center that is busy asks to come again.
fn asked_pause(error: &CallError) -> Option<Duration> {
    match error {
        CallError::Unreachable(status) => status.get_details_retry_info()?.retry_delay,
        CallError::Refused(..) | CallError::Failed(_) => None,
    }
}

/// The one table from status codes to what becomes of a call. A status with a source was made on this side:
/// the connection failed.
fn sort(status: Status) -> CallError {
    let here = status.source().is_some();
    let code = status.code();
    let status = Box::new(status);
    match code {
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Aborted | Code::ResourceExhausted | Code::Unknown => {
            CallError::Unreachable(status)
        }
        Code::Internal if here => CallError::Unreachable(status),
        Code::PermissionDenied | Code::Unauthenticated => CallError::Refused(Refusal::Device, status),
        Code::InvalidArgument | Code::OutOfRange | Code::NotFound => CallError::Refused(Refusal::Request, status),
        Code::AlreadyExists => CallError::Refused(Refusal::Conflict, status),
        Code::FailedPrecondition => CallError::Refused(Refusal::Stale, status),
        Code::Internal | Code::Unimplemented | Code::DataLoss | Code::Ok => CallError::Failed(status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: Code, expected: &str) {
        let shown = match sort(Status::new(code, "m")) {
            CallError::Unreachable(_) => "again".to_owned(),
            CallError::Refused(refusal, _) => format!("{refusal:?}"),
            CallError::Failed(_) => "failed".to_owned(),
        };
        assert_eq!(shown, expected, "{code:?}");
    }

    #[track_caller]
    fn check_pause(asked_ms: Option<u64>, left_ms: u64, expected_ms: Option<u64>) {
        let ms = Duration::from_millis;
        let details = tonic_types::ErrorDetails::with_retry_info(asked_ms.map(ms));
        let busy = Status::with_error_details(Code::ResourceExhausted, "busy", details);
        assert_eq!(pause_before(&sort(busy), ms(100), ms(left_ms)), expected_ms.map(ms), "{asked_ms:?} of {left_ms}");
    }

    #[test]
    fn a_busy_center_is_asked_again_when_it_says_and_not_after_the_time_is_over() {
        check_pause(Some(400), 10_000, Some(400));
        check_pause(Some(20), 10_000, Some(100));
        check_pause(Some(400), 400, Some(400));
        check_pause(Some(401), 400, None);
        check_pause(None, 10, Some(100));
    }

    #[test]
    fn only_what_may_pass_is_sent_again() {
        check(Code::Unavailable, "again");
        check(Code::DeadlineExceeded, "again");
        check(Code::ResourceExhausted, "again");
        check(Code::PermissionDenied, "Device");
        check(Code::InvalidArgument, "Request");
        check(Code::AlreadyExists, "Conflict");
        check(Code::FailedPrecondition, "Stale");
        check(Code::Internal, "failed");
        check(Code::Unimplemented, "failed");
    }
}
