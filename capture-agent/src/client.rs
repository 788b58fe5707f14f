//! The center, over gRPC with mutual TLS: one call at a time, each with a deadline, and repetitions of the
//! very same envelope while the line or the center is down, or the center is busy: then when it asks for it.
//!
//! Not here: what an answer means, and what becomes of an envelope that could not be sent (it stays in the
//! [`outbox`](crate::outbox)).

use std::{
    error::Error as _,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use backon::{ExponentialBuilder, Retryable};
use proto::v1::{
    Envelope, FetchPolicyRequest, FetchPolicyResponse, RenewCertificateRequest, RenewCertificateResponse, ReportHealthRequest,
    ReportHealthResponse, VerifyRequest, VerifyResponse, device_service_client::DeviceServiceClient,
    verification_service_client::VerificationServiceClient,
};
use thiserror::Error;
use tonic::{
    Code, Request, Status,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity as TlsIdentity},
};
use tonic_types::StatusExt;
use tracing::debug;

use crate::{
    config::CenterConfig,
    identity::{Identity, IdentityError},
};

/// The longest pause between two repetitions.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// A connection that answers no ping for this long is given up, so that a dead line is noticed between calls.
const PING_EVERY: Duration = Duration::from_secs(5);

/// The client cannot be made.
#[derive(Debug, Error)]
pub enum SetUpError {
    /// Key or certificate cannot be used.
    #[error("the device's key cannot be used")]
    Identity(#[source] IdentityError),
    /// Address or certificates are refused by the transport.
    #[error("the connection to the center cannot be set up")]
    Transport(#[source] tonic::transport::Error),
}

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

/// Calls to one center.
#[derive(Debug, Clone)]
pub struct CenterClient {
    /// With the device's present certificate; calls under way go on with the one they began with.
    channel: Arc<RwLock<Channel>>,
    config: CenterConfig,
    call_timeout: Duration,
    retry_for: Duration,
    retry_pause: Duration,
}

impl CenterClient {
    /// Prepares calls; connects with the first one. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When address or certificates are not in order.
    pub fn new(config: &CenterConfig, identity: &Identity) -> Result<Self, SetUpError> {
        Ok(Self {
            channel: Arc::new(RwLock::new(channel(config, identity)?)),
            config: config.clone(),
            call_timeout: config.call_timeout(),
            retry_for: Duration::from_millis(config.retry_for_ms),
            retry_pause: Duration::from_millis(config.retry_pause_ms),
        })
    }

    /// Makes calls with a new certificate from now on.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn replace_identity(&self, identity: &Identity) -> Result<(), SetUpError> {
        let renewed = channel(&self.config, identity)?;
        *self.channel.write().unwrap_or_else(PoisonError::into_inner) = renewed;
        Ok(())
    }

    fn channel(&self) -> Channel {
        self.channel.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks for the next certificate, once.
    ///
    /// # Errors
    /// When the center does not answer, refuses, or fails.
    pub async fn renew_certificate(&self, request: RenewCertificateRequest) -> Result<RenewCertificateResponse, CallError> {
        let mut client = DeviceServiceClient::new(self.channel()).max_decoding_message_size(proto::MESSAGE_LEN_MAX);
        self.bounded(request, async |request| client.renew_certificate(request).await).await
    }

    /// Sends one envelope and repeats it, unchanged, while no answer comes.
    ///
    /// # Errors
    /// When the center does not answer in the time for repetitions, refuses, or fails.
    pub async fn verify(&self, envelope: &Envelope) -> Result<VerifyResponse, CallError> {
        let started = Instant::now();
        let call = || async {
            let mut client = VerificationServiceClient::new(self.channel()).max_decoding_message_size(proto::MESSAGE_LEN_MAX);
            self.bounded(VerifyRequest { envelope: Some(envelope.clone()) }, async |request| client.verify(request).await).await
        };
        call.retry(self.pauses())
            .when(|error| matches!(error, CallError::Unreachable(_)) && started.elapsed() < self.retry_for)
            .adjust(|error, pause| pause_before(error, pause?, self.retry_for.saturating_sub(started.elapsed())))
            .notify(|error, pause| debug!(error = error as &dyn std::error::Error, retry.pause_ms = pause.as_millis(), "sent again"))
            .await
    }

    /// Reports the device's health, once.
    ///
    /// # Errors
    /// When the center does not answer, refuses, or fails.
    pub async fn report_health(&self, report: ReportHealthRequest) -> Result<ReportHealthResponse, CallError> {
        let mut client = DeviceServiceClient::new(self.channel()).max_decoding_message_size(proto::MESSAGE_LEN_MAX);
        self.bounded(report, async |request| client.report_health(request).await).await
    }

    /// Brings the policy in force, once.
    ///
    /// # Errors
    /// When the center does not answer, refuses, or fails.
    pub async fn fetch_policy(&self) -> Result<FetchPolicyResponse, CallError> {
        let mut client = DeviceServiceClient::new(self.channel()).max_decoding_message_size(proto::MESSAGE_LEN_MAX);
        self.bounded(FetchPolicyRequest {}, async |request| client.fetch_policy(request).await).await
    }

    fn pauses(&self) -> ExponentialBuilder {
        ExponentialBuilder::new().with_min_delay(self.retry_pause).with_max_delay(PAUSE_MAX).without_max_times().with_jitter()
    }

    /// One call within its deadline, which the center is told too.
    async fn bounded<Q, A>(
        &self,
        message: Q,
        call: impl AsyncFnOnce(Request<Q>) -> Result<tonic::Response<A>, Status>,
    ) -> Result<A, CallError> {
        let mut request = Request::new(message);
        request.set_timeout(self.call_timeout);
        match tokio::time::timeout(self.call_timeout, call(request)).await {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => Err(sort(status)),
            Err(_) => Err(CallError::Unreachable(Box::new(Status::deadline_exceeded("no answer within center.call_timeout_ms")))),
        }
    }
}

/// A connection with the device's certificate, made with the first call.
fn channel(config: &CenterConfig, identity: &Identity) -> Result<Channel, SetUpError> {
    let key = identity.key.pem().map_err(SetUpError::Identity)?;
    let mut tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(&identity.ca_pem))
        .identity(TlsIdentity::from_pem(&identity.certificate_pem, key.as_bytes()));
    if !config.server_name.is_empty() {
        tls = tls.domain_name(&config.server_name);
    }
    let endpoint = Endpoint::from_shared(config.address.clone())
        .and_then(|endpoint| endpoint.tls_config(tls))
        .map_err(SetUpError::Transport)?
        .connect_timeout(config.connect_timeout())
        .tcp_nodelay(true)
        .http2_keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(config.call_timeout())
        .keep_alive_while_idle(true);
    Ok(endpoint.connect_lazy())
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
