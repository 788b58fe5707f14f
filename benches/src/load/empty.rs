//! The empty call: the same messages over the same mutual TLS, and nothing is done with them.
//!
//! What is left is what the line, the protocol and both ends' runtimes cost on this machine: the peer a verification is
//! measured against. It runs as a process of its own, as the center does.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use anyhow::Result;
use matcher::{
    data_dir::DataDir,
    grpc::listener::{Callers, Listener},
    tls::ServerTls,
};
use proto::{
    MESSAGE_LEN_MAX,
    v1::{
        self,
        verification_service_server::{VerificationService, VerificationServiceServer},
    },
};
use tonic::{Request, Response, Status, transport::Server};

/// Answers at once.
#[derive(Debug, Clone, Copy)]
struct Empty;

#[tonic::async_trait]
impl VerificationService for Empty {
    async fn verify(&self, _: Request<v1::VerifyRequest>) -> Result<Response<v1::VerifyResponse>, Status> {
        Ok(Response::new(v1::VerifyResponse::default()))
    }
}

/// Serves empty calls with a center's certificates until the process ends; says where as a center does.
///
/// # Errors
/// When the certificates are not in order or no port can be had.
pub async fn serve(folder: &Path) -> Result<()> {
    let tls = Arc::new(ServerTls::load(&DataDir::new(folder))?);
    let listen: SocketAddr = ([127, 0, 0, 1], 0).into();
    let listener = Listener::bind(listen, 4096, tls, Callers::Counters, Duration::from_secs(5)).await?;
    crate::print(&format!("listening on https://{}\n", listener.address()?))?;
    let service = VerificationServiceServer::new(Empty).max_decoding_message_size(MESSAGE_LEN_MAX);
    // As the center is set up.
    let server = Server::builder().concurrency_limit_per_connection(64).max_concurrent_streams(64).timeout(Duration::from_secs(20));
    Ok({ server }.add_service(service).serve_with_incoming(listener.into_stream()).await?)
}
