//! The device's next certificate: asked for in time over the connection that stands, or late by the device's signature.

use std::sync::PoisonError;

use proto::v1::RenewCertificateRequest;
use thiserror::Error;
use tracing::{info, warn};

use super::Verifier;
use crate::{
    identity::{self, Identity, IdentityError, REQUEST_FILE, Standing, Validity},
    join::{self, JoinError},
    line::client::{CallError, SetUpError},
};

/// The certificate could not be renewed; the present one stays.
#[derive(Debug, Error)]
pub enum RenewError {
    /// The request cannot be read.
    #[error("{REQUEST_FILE} cannot be read; `capture-agent init` makes it again")]
    Request(#[source] std::io::Error),
    /// The center did not answer or refused.
    #[error("{0}")]
    Call(CallError),
    /// The late renewal failed.
    #[error(transparent)]
    Late(JoinError),
    /// The certificate ended, and it is not known where to renew late.
    #[error(
        "the certificate has ended: expected device.join_address, where it can be renewed; or `capture-agent install` with a new bundle, or `capture-agent join` with a new code"
    )]
    NoJoinAddress,
    /// The answer is not for this device.
    #[error("the center's answer cannot be used")]
    Identity(#[source] IdentityError),
    /// The connection cannot be made with it.
    #[error("the new certificate makes no connection")]
    SetUp(#[source] SetUpError),
}

impl Verifier {
    /// From when to when the device's certificate holds.
    #[must_use]
    pub fn validity(&self) -> Validity {
        self.standing.validity()
    }

    /// Renews the certificate when it is due or over; true when there is a new one.
    ///
    /// # Errors
    /// When the center does not answer, refuses, or answers with what cannot be used.
    pub async fn renew_when_due(&self) -> Result<bool, RenewError> {
        match self.validity().at(self.center_date_ms(), self.standing.config().renew_after_share) {
            Standing::Holds | Standing::NotYet => Ok(false),
            Standing::Due | Standing::Ended => self.renew().await.map(|()| true),
        }
    }

    /// Renews the certificate now; the connection goes on with the new one.
    ///
    /// # Errors
    /// As [`renew_when_due`](Self::renew_when_due).
    pub async fn renew(&self) -> Result<(), RenewError> {
        let ended = self.validity().at(self.center_date_ms(), 1.0) == Standing::Ended;
        let renewed = if ended { self.renew_late().await } else { self.renew_in_time().await }?;
        let credentials = renewed.credentials().map_err(RenewError::Identity)?;
        self.client.replace_credentials(&credentials).map_err(RenewError::SetUp)?;
        *self.certificate_der.lock().unwrap_or_else(PoisonError::into_inner) = renewed.certificate_der();
        info!(certificate.until_ms = renewed.validity.until_ms, "the certificate was renewed");
        self.standing.renewed(renewed.validity);
        Ok(())
    }

    async fn renew_in_time(&self) -> Result<Identity, RenewError> {
        let dir = self.standing.dir();
        let csr_pem = std::fs::read_to_string(dir.join(REQUEST_FILE)).map_err(RenewError::Request)?;
        let answer = self.client.renew_certificate(RenewCertificateRequest { csr_pem }).await.map_err(RenewError::Call)?;
        identity::papers::take(dir, &answer.certificate_pem, &answer.authority_pem).map_err(RenewError::Identity)
    }

    async fn renew_late(&self) -> Result<Identity, RenewError> {
        let join_address = &self.standing.config().join_address;
        if join_address.is_empty() {
            return Err(RenewError::NoJoinAddress);
        }
        let present = Identity::load(self.standing.dir()).map_err(RenewError::Identity)?;
        warn!("the certificate has ended; it is renewed by the device's signature");
        join::renew_late(&present, join_address).await.map_err(RenewError::Late)
    }

    /// The date by the center's clock, as far as it is known: this machine's may be wrong.
    fn center_date_ms(&self) -> i64 {
        let offset_ms = self.center().map_or(0, |facts| facts.clock_offset_ms);
        self.clock.date_ms().saturating_add(offset_ms)
    }
}
