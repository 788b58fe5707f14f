//! `JoinService`, for callers without a certificate.
//!
//! It has a listener of its own instead of optional certificates on the one for counters: there everything else would stand
//! behind a check in our code, here nothing else is served, and what is behind mutual TLS stays behind it.

use proto::v1::{self, join_service_server::JoinService};
use tonic::{Request, Response, Status};
use tracing::instrument;

use crate::app::joining::{JoinError, Joining, Papers};

use super::{field::wrong, status::Failure};

/// Longest certificate request, in bytes.
const CSR_LEN_MAX: usize = 4 * 1024;

/// Lets devices in.
#[derive(Clone)]
pub struct Joinings {
    /// The use case.
    pub app: Joining,
    /// Port of the services by mutual TLS.
    pub port: u16,
}

#[tonic::async_trait]
impl JoinService for Joinings {
    #[instrument(name = "join", skip_all)]
    async fn join(&self, request: Request<v1::JoinRequest>) -> Result<Response<v1::JoinResponse>, Status> {
        let v1::JoinRequest { locator, secret, csr_pem } = request.into_inner();
        let answer = async {
            sized("locator", &locator, proto::invitation::LOCATOR_LEN)?;
            sized("secret", &secret, proto::invitation::SECRET_LEN)?;
            bounded(&csr_pem)?;
            self.app.join(&locator, &secret, &csr_pem).await.map_err(Failure::Join)
        };
        let welcome = answer.await.map_err(Failure::into_status)?;
        Ok(Response::new(v1::JoinResponse {
            device: welcome.device.id,
            institution: welcome.device.institution,
            counter: welcome.device.counter,
            certificate_pem: welcome.papers.certificate_pem,
            authority_pem: welcome.papers.authority_pem,
            opening_key: welcome.opening_key.to_vec(),
            policy_key: welcome.policy_key.to_vec(),
            port: self.port.into(),
        }))
    }

    #[instrument(name = "renew_late", skip_all)]
    async fn renew_late(&self, request: Request<v1::RenewLateRequest>) -> Result<Response<v1::RenewCertificateResponse>, Status> {
        let v1::RenewLateRequest { certificate_sha256, csr_pem, signature } = request.into_inner();
        let answer = async {
            let sha256 = <[u8; 32]>::try_from(certificate_sha256);
            let sha256 = sha256.map_err(|_| Failure::Field(wrong("certificate_sha256", "32 bytes")))?;
            bounded(&csr_pem)?;
            self.app.renew_late(sha256, &csr_pem, &signature).await.map_err(Failure::Join)
        };
        Ok(Response::new(papers(answer.await.map_err(Failure::into_status)?)))
    }
}

/// A renewed certificate as it travels.
pub(super) fn papers(papers: Papers) -> v1::RenewCertificateResponse {
    v1::RenewCertificateResponse { certificate_pem: papers.certificate_pem, authority_pem: papers.authority_pem }
}

/// A certificate request within its bounds.
pub(super) fn bounded(csr_pem: &str) -> Result<(), Failure> {
    if csr_pem.len() <= CSR_LEN_MAX { Ok(()) } else { Err(Failure::Field(wrong("csr_pem", format!("at most {CSR_LEN_MAX} bytes")))) }
}

fn sized(field: &'static str, text: &str, len: usize) -> Result<(), Failure> {
    let fits = text.len() == len && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    if fits { Ok(()) } else { Err(Failure::Field(wrong(field, format!("{len} capital letters and digits")))) }
}

impl From<JoinError> for Failure {
    fn from(error: JoinError) -> Self {
        Self::Join(error)
    }
}
