//! Running the agent: models, first health report, listener, and a stop that lets what runs end.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write},
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::Duration,
};

use axum::serve::ListenerExt;
use thiserror::Error;
use tokio::{net::TcpListener, sync::watch};
use tracing::{debug, info, warn};

use crate::{
    config::Config,
    durable::{self, Readers, WriteError},
    keys::{Keys, KeysError},
    screen::{self, DoorError},
    service::notify,
    till::{
        Till,
        book::{Book, BookError},
    },
    verify::{INSTANCE_FILE, Verifier},
    web::{self, Token},
};

/// Name of the file with the API's address.
pub const ADDRESS_FILE: &str = "api.addr";
/// Name of the file with the API's token.
pub const TOKEN_FILE: &str = "api.token";
/// Name of the file with the camera's state, as the running agent last saw it.
pub const CAMERA_FILE: &str = "agent.camera";
const LOCK_FILE: &str = "serve.lock";

/// The agent cannot serve.
#[derive(Debug, Error)]
pub enum ServeError {
    /// Another process serves this state folder.
    #[error("the state folder is served by another process{}: expected one at a time", .0.map(|pid| format!(", number {pid}")).unwrap_or_default())]
    AlreadyServed(Option<u32>),
    /// The lock cannot be taken.
    #[error("{LOCK_FILE} could not be used")]
    Lock(#[source] io::Error),
    /// The port cannot be opened.
    #[error("{address}: could not be listened on")]
    Listen {
        /// Address of the configuration.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The book of transactions cannot be used.
    #[error("{0}")]
    Book(#[source] BookError),
    /// The keys of programs cannot be read.
    #[error("{0}")]
    Keys(#[source] KeysError),
    /// No random numbers for the token.
    #[error("the operating system gave no random numbers: {0}")]
    Token(getrandom::Error),
    /// The screen cannot be opened.
    #[error("{0}")]
    Screen(#[source] DoorError),
    /// Address or token cannot be written.
    #[error("the state folder cannot be written")]
    Write(#[source] WriteError),
    /// Signals cannot be received, or connections not be accepted.
    #[error("the listener failed")]
    Run(#[source] io::Error),
}

/// The right to serve a state folder; given back when dropped.
#[derive(Debug)]
pub struct Lease(#[expect(dead_code, reason = "held for its lock")] File);

impl Lease {
    /// Takes the state folder for this process.
    ///
    /// # Errors
    /// When another process has it.
    pub fn take(dir: &Path) -> Result<Self, ServeError> {
        let path = dir.join(LOCK_FILE);
        let mut file = File::options().write(true).create(true).truncate(false).open(&path).map_err(ServeError::Lock)?;
        match file.try_lock() {
            Ok(()) => {
                // Whoever finds it locked says by whom.
                file.set_len(0).and_then(|()| write!(file, "{}", std::process::id())).map_err(ServeError::Lock)?;
                Ok(Self(file))
            }
            Err(TryLockError::WouldBlock) => {
                Err(ServeError::AlreadyServed(fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok())))
            }
            Err(TryLockError::Error(error)) => Err(ServeError::Lock(error)),
        }
    }

    /// Whether another process has the state folder.
    #[must_use]
    pub fn is_taken(dir: &Path) -> bool {
        let file = File::options().write(true).open(dir.join(LOCK_FILE));
        file.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
    }
}

/// Serves until `stop` says so, and then lets running requests end for as long as the configuration allows.
/// `ready` is called with the bound address once requests are taken.
///
/// # Errors
/// When the port cannot be opened or the state folder not be written.
pub async fn serve(
    dir: &Path,
    config: &Config,
    verifier: Arc<Verifier>,
    mut stop: watch::Receiver<bool>,
    ready: impl FnOnce(SocketAddr) -> io::Result<()>,
) -> Result<(), ServeError> {
    let till = Arc::new(Till::new(config, Arc::clone(&verifier), Book::open(dir).map_err(ServeError::Book)?));
    let keys = Keys::of(dir).map_err(ServeError::Keys)?;
    let (whole, config) = (config, &config.api);
    let listen_error = |source| ServeError::Listen { address: config.listen, source };
    let listener = TcpListener::bind(config.listen).await.map_err(listen_error)?;
    let address = listener.local_addr().map_err(listen_error)?;
    let token = Token::make().map_err(ServeError::Token)?;
    durable::write(&dir.join(TOKEN_FILE), token.text().as_bytes(), Readers::Owner).map_err(ServeError::Write)?;
    durable::write(&dir.join(ADDRESS_FILE), address.to_string().as_bytes(), Readers::Owner).map_err(ServeError::Write)?;
    let screen = screen::router(Arc::clone(&till), dir, whole, address).map_err(ServeError::Screen)?;
    let app = web::router(Arc::clone(&till), (token, keys), config, address).merge(screen);
    let looking = tokio::spawn({
        let till = Arc::clone(&till);
        async move { till.keep_looking().await }
    });
    verifier.begin_instance().map_err(ServeError::Write)?;
    let reporting = tokio::spawn(async move {
        tokio::join!(verifier.keep_reporting(), verifier.keep_forwarding(), verifier.keep_watching_camera());
    });
    let mut asked = stop.clone();
    // The last packet of an answer does not wait until the caller has confirmed the one before.
    let listener = listener.tap_io(|connection| {
        if let Err(error) = connection.set_nodelay(true) {
            debug!(error = &error as &dyn std::error::Error, "a connection's packets may be held back");
        }
    });
    let server = axum::serve(listener, app).with_graceful_shutdown(async move {
        let _ = asked.wait_for(|stop| *stop).await;
        till.stop();
    });
    info!(api.address = %address, "serving");
    ready(address).map_err(ServeError::Run)?;
    let bound = async {
        let _ = stop.wait_for(|stop| *stop).await;
        notify::stopping();
        tokio::time::sleep(Duration::from_millis(config.stop_within_ms)).await;
    };
    let outcome = tokio::select! {
        outcome = server.into_future() => outcome.map_err(ServeError::Run),
        () = bound => {
            warn!("requests still ran when the time to stop was over; what was captured is kept");
            Ok(())
        }
    };
    reporting.abort();
    looking.abort();
    for name in [ADDRESS_FILE, CAMERA_FILE, INSTANCE_FILE, TOKEN_FILE, screen::LINK_FILE] {
        let _ = fs::remove_file(dir.join(name));
    }
    info!("stopped");
    outcome
}

/// Turns true at the first request of the operating system to end.
///
/// # Errors
/// When signals cannot be received.
pub fn stop_signal() -> io::Result<watch::Receiver<bool>> {
    let (asked, stop) = watch::channel(false);
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            asked.send_replace(true);
        });
    }
    #[cfg(not(unix))]
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            asked.send_replace(true);
        }
    });
    Ok(stop)
}
