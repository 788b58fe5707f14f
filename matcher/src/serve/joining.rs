//! The listener that devices join at: TLS without client certificates, one small service, few connections.

use std::{sync::Arc, time::Duration};

use proto::v1::join_service_server::JoinServiceServer;
use tokio::sync::oneshot;
use tonic::transport::Server;
use tracing::warn;

use super::{AddressFile, HEADER_LIST_LEN_MAX, KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT, ServeError};
use crate::{
    app::joining::Joining,
    config::Config,
    data_dir::DataDir,
    grpc::{
        join::Joinings,
        listener::{Callers, Listener},
    },
    tls::ServerTls,
};

/// A code, a request for a certificate, a signature.
const MESSAGE_LEN_MAX: usize = 8 * 1024;
/// Calls open at once on one connection.
const STREAMS_MAX: u32 = 4;
/// How long one call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection ends after this long: nobody has anything to do here for longer.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(30);

/// The listener, bound.
#[derive(Debug)]
pub(super) struct Bound {
    listener: Listener,
    pub(super) address: AddressFile,
}

impl Bound {
    /// Binds the address of the settings; nothing where this process lets nobody join.
    pub(super) async fn bind(dir: &DataDir, config: &Config, tls: Arc<ServerTls>) -> Result<Option<Self>, ServeError> {
        if !config.joining.here {
            return Ok(None);
        }
        let address = config.joining.listen;
        let no_port = |source| ServeError::Listen { address, source };
        let bound = Listener::bind(address, config.joining.connections_max, tls, Callers::Joining, config.server.handshake_timeout());
        let listener = bound.await.map_err(no_port)?;
        let address = AddressFile::write(dir.joining_address(), listener.address().map_err(no_port)?)?;
        Ok(Some(Self { listener, address }))
    }

    /// Serves until `stop` is dropped.
    pub(super) async fn run(self, app: Joining, port: u16, stop: oneshot::Receiver<()>) {
        let service = JoinServiceServer::new(Joinings { app, port }).max_decoding_message_size(MESSAGE_LEN_MAX);
        let served = Server::builder()
            .max_concurrent_streams(STREAMS_MAX)
            .concurrency_limit_per_connection(STREAMS_MAX as usize)
            .timeout(CALL_TIMEOUT)
            .max_connection_age(CONNECTION_TIMEOUT)
            .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
            .http2_max_header_list_size(HEADER_LIST_LEN_MAX)
            .add_service(service)
            .serve_with_incoming_shutdown(self.listener.into_stream(), async { drop(stop.await) })
            .await;
        if let Err(error) = served {
            warn!(error = &error as &dyn std::error::Error, "the listener for joining broke off");
        }
        self.address.remove();
    }
}
