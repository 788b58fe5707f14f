//! `matcher serve`: one listener by mutual TLS, until a stop is asked for.
//!
//! Nothing of a model is loaded here: a verification compares two templates. Several processes may work on
//! one data folder, servers among them (an upgrade starts the new one before it stops the old): no answer
//! depends on a process's memory, and the store's constraints hold between processes. A stopped server takes
//! no new connections, finishes the calls under way, and cuts off what takes too long.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use futures_util::FutureExt;
use models::manifest::ManifestError;
use models_core::{ModelId, RecipeId};
use proto::{
    MESSAGE_LEN_MAX,
    v1::{
        deferred_service_server::DeferredServiceServer, device_service_server::DeviceServiceServer,
        enrolment_service_server::EnrolmentServiceServer, lease_service_server::LeaseServiceServer,
        receipt_service_server::ReceiptServiceServer, verification_service_server::VerificationServiceServer,
    },
};
use thiserror::Error;
use tokio::sync::{Notify, oneshot};
use tonic::transport::Server;
use tracing::{info, warn};

use jobs::Jobs;

use crate::{
    app::{
        admission::Admission,
        batch::Pressure,
        callers::Callers,
        freshness::Freshness,
        health::Health,
        joining::{Joining, Terms},
        receipts::{Issuer, Receipts},
        recheck::Rechecker,
        retention::Retainer,
        verify::Verifier,
        webhook::Teller,
    },
    audit::Sealer,
    cases::RunnerError,
    center::{Center, OpenError},
    config::{Config, ConfigError, FreshnessConfig, ServerConfig},
    console::{
        self, Console,
        certificate::{self, CertificateError},
    },
    data_dir::DataDir,
    durable,
    feature_models::{FeatureModels, FeatureModelsError},
    grpc::{
        Gate,
        deferred::Deferrals,
        device::Devices,
        enrolment::Enrolments,
        lease::LeaseFront,
        listener::{Callers as ByCertificate, Listener},
        receipt::ReceiptFront,
        verification::Verifications,
    },
    index_command::{self, IndexCommandError},
    keys::{KeyError, OpeningKeys},
    networks::Networks,
    overload::Queue,
    policy::{Policies, PolicyKey, history::History},
    receipt_keys::ReceiptKeys,
    statistics_command,
    surroundings::{Surroundings, System},
    tls::{ServerTls, TlsError},
    web::{self, WebError},
};

mod jobs;
mod joining;
mod late;

pub use late::runner;

const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Messages about receipts are names and numbers.
const RECEIPT_MESSAGE_LEN_MAX: usize = 4 * 1024;
const HEADER_LIST_LEN_MAX: u32 = 16 * 1024;
const JOINING_ENDS_WITHIN: Duration = Duration::from_secs(3);

/// A server that cannot start, or that broke off.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The center cannot be opened.
    #[error(transparent)]
    Open(OpenError),
    /// The manifest is not in order.
    #[error("could not read the models' manifest")]
    Manifest(#[source] ManifestError),
    /// The manifest lacks a model.
    #[error(transparent)]
    Models(FeatureModelsError),
    /// The manifest does not have what the policy asks agents for.
    #[error("policy: model, recipe: expected a model and recipe of the manifest, got {model} and {recipe}")]
    UnknownModel {
        /// The feature model.
        model: ModelId,
        /// Its recipe.
        recipe: RecipeId,
    },
    /// Evidence cannot be gathered under the settings.
    #[error(transparent)]
    Cases(RunnerError),
    /// Faces cannot be searched here.
    #[error(transparent)]
    Index(IndexCommandError),
    /// A key cannot be used.
    #[error(transparent)]
    Key(KeyError),
    /// A file cannot be read or written.
    #[error("could not read or write {}", .path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The address cannot be had.
    #[error("could not listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Certificates or keys do not make a TLS server.
    #[error("{0}")]
    Tls(TlsError),
    /// Reflection cannot be served.
    #[error("the contract's descriptors are not in order")]
    Reflection(#[source] tonic_reflection::server::Error),
    /// The published keys cannot be served.
    #[error("could not publish the receipts' keys")]
    Publish(#[source] WebError),
    /// The settings of the webhook are not in order.
    #[error(transparent)]
    Webhook(ConfigError),
    /// The settings of the review console are not in order.
    #[error(transparent)]
    Console(ConfigError),
    /// The certificate of the review console cannot be used.
    #[error(transparent)]
    Certificate(CertificateError),
    /// The server broke off.
    #[error("the server broke off")]
    Broken(#[source] tonic::transport::Error),
}

impl ServeError {
    /// Whether a file that people write is at fault.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::Open(error) => error.is_configuration(),
            Self::Manifest(_)
            | Self::Models(_)
            | Self::UnknownModel { .. }
            | Self::Cases(_)
            | Self::Index(_)
            | Self::Console(_)
            | Self::Webhook(_) => true,
            Self::Key(_)
            | Self::File { .. }
            | Self::Listen { .. }
            | Self::Tls(_)
            | Self::Reflection(_)
            | Self::Publish(_)
            | Self::Certificate(_)
            | Self::Broken(_) => false,
        }
    }
}

/// A server that is bound and ready to run.
#[derive(Debug)]
pub struct Bound {
    services: Services,
    listener: Listener,
    config: ServerConfig,
    address: AddressFile,
    published: web::Bound,
    published_address: AddressFile,
    joining: Option<joining::Bound>,
    console: Option<(web::Bound, AddressFile)>,
}

#[derive(Clone)]
struct Services {
    center: Center,
    verifications: Verifications,
    enrolments: Enrolments,
    deferrals: Deferrals,
    leases: LeaseFront,
    devices: Devices,
    receipts: ReceiptFront,
    receipt_keys: Arc<ReceiptKeys>,
    jobs: Jobs,
}

impl std::fmt::Debug for Services {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Services")
    }
}

/// Checks everything, opens the center of a data folder, binds the ports and writes their addresses to
/// `serve.addr` and `published.addr`.
///
/// # Errors
/// When something is not in order, another process serves the folder, or the port cannot be had.
pub async fn bind(dir: &DataDir, config: &Config) -> Result<Bound, ServeError> {
    let tls = Arc::new(ServerTls::load(dir).map_err(ServeError::Tls)?);
    let services = services(dir, config, Arc::clone(&tls)).await?;
    let listen = config.server.listen;
    let no_port = |source| ServeError::Listen { address: listen, source };
    let (places, handshake) = (config.server.connections_max, config.server.handshake_timeout());
    let listener = Listener::bind(listen, places, Arc::clone(&tls), ByCertificate::Counters, handshake).await.map_err(no_port)?;
    let address = listener.address().map_err(no_port)?;
    let keys = web::keys::router(Arc::clone(&services.receipt_keys), Arc::new(System), config.receipts.overlap().publish_ahead_ms);
    let published = &config.published;
    let joining_tls = Arc::clone(&tls);
    let published = web::Bound::bind(web::Encryption::Center(tls), published.listen, published.connections_max, keys)
        .await
        .map_err(ServeError::Publish)?;
    let joining = joining::Bound::bind(dir, config, joining_tls).await?;
    let console = match config.console.listen {
        Some(listen) => Some(console(dir, config, &services.center, listen).await?),
        None => None,
    };
    let published_address = AddressFile::write(dir.published_address(), published.address())?;
    let address = AddressFile::write(dir.serve_address(), address)?;
    Ok(Bound { services, listener, config: config.server.clone(), address, published, published_address, joining, console })
}

/// What tells the center's own systems, where they are named and this process does it.
fn teller(center: &Center, config: &Config) -> Result<Option<Teller>, ServeError> {
    let receiver = config.webhook.receiver().map_err(ServeError::Webhook)?;
    let patience = config.webhook.patience();
    let teller =
        |receiver| Teller { store: Arc::clone(&center.store), surroundings: Arc::new(System), receiver: Arc::new(receiver), patience };
    Ok(receiver.filter(|_| config.webhook.here).map(teller))
}

/// The review console, bound to its own address with its own certificate.
async fn console(dir: &DataDir, config: &Config, center: &Center, listen: SocketAddr) -> Result<(web::Bound, AddressFile), ServeError> {
    // What an older release stored in clear.
    crate::app::review::words::seal_all(center).await.map_err(|error| ServeError::Open(OpenError::Store(error)))?;
    let console = Console::new(center.clone(), dir, config, Arc::new(System)).map_err(ServeError::Console)?;
    let certificate = certificate::load(dir, &config.console, System.now_ms()).map_err(ServeError::Certificate)?;
    let (encryption, router) = (web::Encryption::Own(certificate), console::router(&console));
    let bound = web::Bound::bind(encryption, listen, config.console.connections_max, router).await.map_err(ServeError::Publish)?;
    let address = AddressFile::write(dir.console_address(), bound.address())?;
    Ok((bound, address))
}

/// A file with the address of a listener, while it is open.
#[derive(Debug)]
struct AddressFile {
    path: PathBuf,
    address: SocketAddr,
}

impl AddressFile {
    fn write(path: PathBuf, address: SocketAddr) -> Result<Self, ServeError> {
        match durable::write(&path, address_line(address).as_bytes()) {
            Ok(()) => Ok(Self { path, address }),
            Err(source) => Err(ServeError::File { path, source }),
        }
    }

    /// Another server of this folder may have written its own since.
    fn remove(&self) {
        if std::fs::read_to_string(&self.path).is_ok_and(|line| line == address_line(self.address)) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Bound {
    /// The address in use.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address.address
    }

    /// The address of the published keys.
    #[must_use]
    pub fn published_address(&self) -> SocketAddr {
        self.published_address.address
    }

    /// The address that devices join at, where this server lets them.
    #[must_use]
    pub fn joining_address(&self) -> Option<SocketAddr> {
        self.joining.as_ref().map(|joining| joining.address.address)
    }

    /// The address of the review console, where it is served.
    #[must_use]
    pub fn console_address(&self) -> Option<SocketAddr> {
        self.console.as_ref().map(|(_, address)| address.address)
    }

    /// The policies this server works by, so that a test need not wait until it looks.
    #[must_use]
    pub fn policies(&self) -> Arc<Policies> {
        Arc::clone(&self.services.jobs.policies)
    }

    /// The certificates this server works with, likewise.
    #[must_use]
    pub fn tls(&self) -> Arc<ServerTls> {
        Arc::clone(&self.services.jobs.tls)
    }

    /// Serves until `stop` is done, then drains.
    ///
    /// # Errors
    /// When the server breaks off.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) -> Result<(), ServeError> {
        let (stopped, stopping) = oneshot::channel::<()>();
        let stopping = stopping.shared();
        let publishing = tokio::spawn(self.published.run(stopping.clone().map(drop)));
        let (console, console_address) = self.console.unzip();
        let console = console.map(|console| tokio::spawn(console.run(stopping.map(drop))));
        let (joined, joining_stops) = oneshot::channel::<()>();
        let (app, port) = (self.services.devices.joining.clone(), self.address.address.port());
        let joining = self.joining.map(|joining| tokio::spawn(joining.run(app, port, joining_stops)));
        let done = serve(self.services, self.listener, &self.config, stop).await;
        drop((stopped, joined));
        // They end by themselves, soon.
        let _ = publishing.await;
        if let Some(joining) = joining {
            let _ = tokio::time::timeout(JOINING_ENDS_WITHIN, joining).await;
        }
        if let Some(console) = console {
            let _ = console.await;
        }
        if let Some(address) = console_address {
            address.remove();
        }
        self.address.remove();
        self.published_address.remove();
        done
    }
}

async fn serve(
    services: Services,
    listener: Listener,
    config: &ServerConfig,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_serving::<VerificationServiceServer<Verifications>>().await;
    reporter.set_serving::<EnrolmentServiceServer<Enrolments>>().await;
    reporter.set_serving::<DeferredServiceServer<Deferrals>>().await;
    reporter.set_serving::<DeviceServiceServer<Devices>>().await;
    reporter.set_serving::<LeaseServiceServer<LeaseFront>>().await;
    reporter.set_serving::<ReceiptServiceServer<ReceiptFront>>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .map_err(ServeError::Reflection)?;
    let router = server(config)
        .add_service(VerificationServiceServer::new(services.verifications).max_decoding_message_size(MESSAGE_LEN_MAX))
        .add_service(EnrolmentServiceServer::new(services.enrolments).max_decoding_message_size(MESSAGE_LEN_MAX))
        .add_service(DeferredServiceServer::new(services.deferrals).max_decoding_message_size(MESSAGE_LEN_MAX))
        .add_service(DeviceServiceServer::new(services.devices).max_decoding_message_size(MESSAGE_LEN_MAX))
        .add_service(LeaseServiceServer::new(services.leases).max_decoding_message_size(RECEIPT_MESSAGE_LEN_MAX))
        .add_service(ReceiptServiceServer::new(services.receipts).max_decoding_message_size(RECEIPT_MESSAGE_LEN_MAX))
        .add_service(health)
        .add_service(reflection);
    let stopping = Notify::new();
    let signal = async {
        stop.await;
        info!("stopping: no new connections; calls under way are finished");
        reporter.set_not_serving::<VerificationServiceServer<Verifications>>().await;
        reporter.set_not_serving::<EnrolmentServiceServer<Enrolments>>().await;
        reporter.set_not_serving::<DeferredServiceServer<Deferrals>>().await;
        reporter.set_not_serving::<DeviceServiceServer<Devices>>().await;
        reporter.set_not_serving::<LeaseServiceServer<LeaseFront>>().await;
        reporter.set_not_serving::<ReceiptServiceServer<ReceiptFront>>().await;
        stopping.notify_one();
    };
    let too_long = async {
        stopping.notified().await;
        tokio::time::sleep(config.drain()).await;
    };
    tokio::select! {
        done = router.serve_with_incoming_shutdown(listener.into_stream(), signal) => done.map_err(ServeError::Broken),
        () = services.jobs.run() => Ok(()),
        () = too_long => {
            warn!("some calls or connections did not end in time and were cut off");
            Ok(())
        }
    }
}

fn address_line(address: SocketAddr) -> String {
    format!("https://{address}\n")
}

fn server(config: &ServerConfig) -> Server {
    Server::builder()
        .concurrency_limit_per_connection(config.requests_per_connection_max as usize)
        .max_concurrent_streams(config.requests_per_connection_max)
        // The gate bounds the work; this bounds a message that trickles in.
        .timeout(config.request_timeout() * 2)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .http2_max_header_list_size(HEADER_LIST_LEN_MAX)
}

async fn services(dir: &DataDir, config: &Config, tls: Arc<ServerTls>) -> Result<Services, ServeError> {
    let manifest = config.models.manifest().map_err(ServeError::Manifest)?;
    let models = Arc::new(FeatureModels::from_manifest(&manifest).map_err(ServeError::Models)?);
    let opening = Arc::new(OpeningKeys::load(&dir.opening_keys()).map_err(ServeError::Key)?);
    let center = Center::open(dir).await.map_err(ServeError::Open)?;
    let in_force = center.policies.current();
    let policy = &in_force.policy;
    if !models.named(policy.model().as_str()).any(|known| known.recipe == *policy.recipe()) {
        return Err(ServeError::UnknownModel { model: policy.model().clone(), recipe: policy.recipe().clone() });
    }
    let callers = Arc::new(Callers::default());
    let pressure = Pressure::default();
    let queue = Queue::new(config.overload.limits(&config.server), config.overload.rate()).felt_by(pressure.clone());
    let admission = Admission { store: Arc::clone(&center.store), opening: Arc::clone(&opening), surroundings: Arc::new(System), callers };
    let gate = Gate::new(queue, admission.clone(), config.server.request_timeout());
    let health = Health { admission: admission.clone(), policies: Arc::clone(&center.policies) };
    let terms = Terms { certificate_days: config.devices.certificate_days, renew_late_days: config.devices.renew_late_days };
    let briefing_key = Arc::new(PolicyKey::load(&dir.policy_key()).map_err(ServeError::Key)?);
    let joining = Joining::new(admission.clone(), dir.clone(), terms);
    let freshness = freshness(config.freshness);
    let networks = Networks::new(manifest, config.models.cache_dir());
    let enrolments = Enrolments::new(center.clone(), admission.clone(), freshness, networks.clone(), gate.clone());
    let (rule, surroundings) = (config.recheck.rule(), Arc::new(System));
    let rechecker = config.recheck.here.then(|| Rechecker { center: center.clone(), networks, surroundings, rule });
    let cases = if config.cases.here { Some(crate::cases::runner(&center, config).map_err(ServeError::Cases)?) } else { None };
    let sealer = Sealer::new(Arc::clone(&center.store), dir, &config.audit);
    let (retention, surroundings) = (config.retention, Arc::new(System));
    let retaining = || Retainer { center: center.clone(), surroundings, rule: retention.rule(), every: retention.every() };
    let history = Arc::new(History::new(Arc::clone(&center.store), *center.policies.key()));
    let (deferrals, leases) = late::deferrals(dir, config, &center, &admission, &history, (&models, &gate))?;
    let batch = config.batch.here.then(|| runner(&center, config, history, pressure));
    let searcher = config.identification.here.then(|| index_command::searcher(center.clone(), dir, config));
    let jobs = Jobs {
        watch: late::watch(&center, config),
        statistician: config.cases.here.then(|| statistics_command::statistician(Arc::clone(&center.store), config)),
        searcher: searcher.transpose().map_err(ServeError::Index)?,
        rechecker,
        batch,
        cases,
        retainer: retention.here.then(retaining),
        teller: teller(&center, config)?,
        sealer,
        policies: Arc::clone(&center.policies),
        vault: Arc::clone(&center.vault),
        lookup: Arc::clone(&center.lookup),
        opening,
        tls,
        store: Arc::clone(&center.store),
        filing_threshold: config.law.filing_threshold,
    };
    let receipt_keys = Arc::new(ReceiptKeys::load(dir, &config.receipts).map_err(ServeError::Key)?);
    let issuer = Issuer { config: config.receipts.clone(), keys: Arc::clone(&receipt_keys) };
    let kept = Receipts { store: Arc::clone(&center.store) };
    let receipts = ReceiptFront { app: kept, admission: admission.clone(), gate: gate.clone() };
    let verifier = Verifier { center: center.clone(), admission, freshness, recheck: rule, issuer };
    Ok(Services {
        center,
        verifications: Verifications { app: verifier, models, gate: gate.clone() },
        enrolments,
        deferrals,
        leases,
        devices: Devices { app: health, joining, key: briefing_key, gate },
        receipts,
        receipt_keys,
        jobs,
    })
}

fn freshness(config: FreshnessConfig) -> Freshness {
    Freshness { past_max_ms: i64::from(config.past_max_seconds) * 1000, future_max_ms: i64::from(config.future_max_seconds) * 1000 }
}
