//! The gate: every call waits for its turn here, and is given up when it takes too long.
//!
//! Not here: who is next (`crate::overload`), and who may do what (`crate::app::admission`).

use std::time::Duration;

use matcher_core::overload::Class;
use proto::{
    patience,
    relayed::{self, FOR_CERTIFICATE},
};
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use crate::{
    app::admission::{Admission, AdmissionError},
    overload::{Place, Queue},
    pki::certificate_sha256,
};

use super::status::Failure;

/// SHA-256 of the certificate that a caller shows: to the center, or to the relay that calls for it.
pub type Peer = [u8; 32];

/// Bounds what the services work on at once, for whom, and for how long.
#[derive(Clone)]
pub struct Gate {
    queue: Queue,
    admission: Admission,
    timeout: Duration,
}

impl Gate {
    /// A gate with a line, and the longest time for each call.
    #[must_use]
    pub fn new(queue: Queue, admission: Admission, timeout: Duration) -> Self {
        Self { queue, admission, timeout }
    }

    /// Works on a call of a class when its turn comes, and gives it up when it takes longer than it may or than the
    /// caller waits.
    ///
    /// # Errors
    /// What the caller is told when the call fails or is refused.
    pub async fn answer<Q, A, F>(&self, class: Class, request: Request<Q>, call: impl FnOnce(Peer, Q) -> F) -> Result<Response<A>, Status>
    where
        F: Future<Output = Result<A, Failure>>,
    {
        let patience = patience::of(request.metadata()).map_or(self.timeout, |waits| waits.min(self.timeout));
        let deadline = Instant::now() + patience;
        let work = async {
            let peer = self.peer(&request).await?;
            let _place = self.queue.enter(&self.admission.callers.of(&peer), class, deadline).await.map_err(Failure::Overloaded)?;
            call(peer, request.into_inner()).await.map_err(|failure| failure.or_busy(|| self.queue.later()))
        };
        let done = tokio::time::timeout_at(deadline, work).await.unwrap_or(Err(Failure::TimedOut));
        done.map(Response::new).map_err(Failure::into_status)
    }

    /// Who calls: whoever the connection's certificate says, or the device that a relay names.
    ///
    /// # Errors
    /// When the connection shows no certificate, or whoever shows it may not speak for the device it names.
    pub async fn peer<T>(&self, request: &Request<T>) -> Result<Peer, Failure> {
        let shown = shown(request).ok_or(Failure::Admission(AdmissionError::NoCertificate))?;
        let Some(named) = request.metadata().get(FOR_CERTIFICATE) else { return Ok(shown) };
        let named = named.to_str().ok().and_then(relayed::from_text).ok_or(Failure::Admission(AdmissionError::Named))?;
        self.admission.spoken_for(shown, named).await.map_err(Failure::Admission)
    }

    /// Waits for a place for work of a class that one connection brings piece by piece, and asks again as often as it is told
    /// to come later, for as long as a call may take.
    ///
    /// # Errors
    /// When there is none for that long.
    pub async fn place(&self, class: Class, peer: &Peer) -> Result<Place, Failure> {
        let deadline = Instant::now() + self.timeout;
        loop {
            match self.queue.enter(&self.admission.callers.of(peer), class, deadline).await {
                Ok(place) => return Ok(place),
                Err(refused) if Instant::now() + refused.retry_after >= deadline => return Err(Failure::Overloaded(refused)),
                Err(refused) => tokio::time::sleep(refused.retry_after).await,
            }
        }
    }
}

/// The certificate that a connection shows, by its SHA-256.
fn shown<T>(request: &Request<T>) -> Option<Peer> {
    let certificates = request.peer_certs()?;
    certificates.first().map(|certificate| certificate_sha256(certificate))
}
