//! The gRPC front: decode, call the use case, encode.
//!
//! Services of `countersign.v1`, health and reflection, on one listener by mutual TLS. Here: what every
//! service shares. Not here: rules and records (`crate::app`), sockets and stopping (`crate::serve`).

pub mod decode;
pub mod deferred;
pub mod device;
pub mod encode;
pub mod enrolment;
pub mod field;
pub mod listener;
pub mod receipt;
pub mod status;
pub mod verification;

use std::{sync::Arc, time::Duration};

use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};

use crate::{app::batch::Pressure, pki::certificate_sha256};

use self::status::Failure;

/// Bounds what the services work on at once, and for how long.
#[derive(Debug, Clone)]
pub struct Gate {
    places: Arc<Semaphore>,
    timeout: Duration,
    pressure: Pressure,
}

impl Gate {
    /// A gate with room for so many calls at once, of so long each; who is refused is felt by what can wait.
    #[must_use]
    pub fn new(requests_max: usize, timeout: Duration, pressure: Pressure) -> Self {
        Self { places: Arc::new(Semaphore::new(requests_max)), timeout, pressure }
    }

    /// Works on a call if there is room, and gives it up when it takes too long.
    async fn answer<T>(&self, call: impl Future<Output = Result<T, Failure>>) -> Result<Response<T>, Status> {
        let Ok(_place) = self.places.try_acquire() else {
            self.pressure.felt();
            return Err(Failure::Overloaded.into_status());
        };
        let done = tokio::time::timeout(self.timeout, call).await.unwrap_or(Err(Failure::TimedOut));
        done.map(Response::new).map_err(Failure::into_status)
    }
}

/// SHA-256 of the certificate that the connection shows.
fn peer<T>(request: &Request<T>) -> Option<[u8; 32]> {
    let certificates = request.peer_certs()?;
    certificates.first().map(|certificate| certificate_sha256(certificate))
}
