//! The simulator: an agent and a center for integrators, without camera, center and models.
//!
//! The agent is the real one (transactions, book, spool, local API), on a state folder of its own; its camera and eyes are a
//! [`stage`], and the center it talks to over mutual TLS is here too. What comes of an attempt stands in a [`script`]. What the
//! simulator signs is nobody's: issuer, audience, keys and certificates are its own, made at each start but for the
//! [settlement key](receipt::SETTLEMENT_KEY), which everybody knows.

mod center;
pub mod receipt;
pub mod script;
mod stage;

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use ed25519_dalek::SigningKey;
use proto::envelope::OpeningKey;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, PKCS_ED25519};
use thiserror::Error;
use tokio::sync::watch;

use self::{
    center::{Keys, Papers},
    script::Script,
    stage::{SimulatedCamera, SimulatedEyes, Stage},
};
use crate::{
    camera::Camera,
    clock::Clock,
    config,
    identity::{self, CA_FILE, CERTIFICATE_FILE, Identity, REGISTRATION_FILE},
    line::spool::Spool,
    serve,
    verify::Verifier,
};

/// The simulator's device.
pub const DEVICE: &str = "simulator-1";
/// The simulator's institution: no real one's code.
pub const INSTITUTION: &str = "SIMULATOR";
/// The simulator's policy.
const POLICY: &str = "simulator";
/// Name of the file with the simulator's public receipt key, as a center publishes its own.
pub const JWKS_FILE: &str = "jwks.json";
/// Says that a folder is the simulator's, to be made anew at the next start.
pub const MARK_FILE: &str = "made-by-simulate.txt";
const MARK: &str = "This folder is made by `capture-agent simulate`, which deletes it at its next start.\n";

/// The simulator cannot run.
#[derive(Debug, Error)]
pub enum SimulateError {
    /// The state folder is somebody else's.
    #[error("{}: expected an empty folder, or one that `capture-agent simulate` made", .0.display())]
    Foreign(PathBuf),
    /// The state folder cannot be written.
    #[error("the simulator's folder cannot be written")]
    Folder(#[source] io::Error),
    /// A part of it cannot be put together.
    #[error("the simulator cannot be set up: {0}")]
    SetUp(String),
    /// The agent cannot serve.
    #[error("the simulator's agent cannot serve")]
    Serve(#[source] serve::ServeError),
}

/// What to simulate.
#[derive(Debug, Clone)]
pub struct Simulation {
    /// Its state folder.
    pub folder: PathBuf,
    /// Loopback address of the API; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Requests that one program may make in a second, 1–1000.
    pub requests_per_s: u32,
    /// What comes of attempts.
    pub script: Script,
}

/// Makes the state folder ready: it is empty, or goes.
fn clear(folder: &Path) -> Result<(), SimulateError> {
    if folder.join(MARK_FILE).is_file() {
        fs::remove_dir_all(folder).map_err(SimulateError::Folder)?;
    }
    fs::create_dir_all(folder).map_err(SimulateError::Folder)?;
    if fs::read_dir(folder).map_err(SimulateError::Folder)?.next().is_some() {
        return Err(SimulateError::Foreign(folder.to_owned()));
    }
    fs::write(folder.join(MARK_FILE), MARK).map_err(SimulateError::Folder)
}

/// Simulates until `stop` says so; `ready` is called with the API's address once requests are taken.
///
/// # Errors
/// When the folder is not the simulator's, or the simulator cannot be put together.
pub async fn simulate(
    simulation: Simulation,
    stop: watch::Receiver<bool>,
    ready: impl FnOnce(SocketAddr) -> io::Result<()>,
) -> Result<(), SimulateError> {
    let Simulation { folder, listen, requests_per_s, script } = simulation;
    clear(&folder)?;
    let script = Arc::new(script);
    let (opening, center, receipts) = (OpeningKey::generate(), random_key()?, random_key()?);
    fs::write(folder.join(JWKS_FILE), receipt::jwks(&receipts.verifying_key())).map_err(SimulateError::Folder)?;
    let papers = install(&folder, &opening, &center)?;
    let identity = Identity::load(&folder).map_err(|error| set_up("its identity", &error))?;
    let keys = Keys { opening, center, receipts, device: identity.key.signing().verifying_key() };
    let center = center::start(keys, Arc::clone(&script), papers)?;
    fs::write(folder.join(config::FILE), configuration(center, listen, requests_per_s)).map_err(SimulateError::Folder)?;
    let config = config::load(&folder).map_err(|error| set_up("its configuration", &error))?;
    let clock = Clock::start();
    let stage = Stage::new(script);
    let camera = Camera::new(Arc::new(SimulatedCamera(Arc::clone(&stage))), clock, Duration::from_secs(2));
    let spool = Arc::new(Spool::open(&folder, config.outbox).map_err(|error| set_up("its spool", &error))?);
    let eyes = Arc::new(SimulatedEyes::new()?);
    let verifier = Verifier::new(&config, identity, spool, camera, eyes, clock)
        .map_err(|error| set_up("its agent", &error))?
        .told_before_capture(Arc::new(move |command| stage.set(command)));
    verifier.report_health().await.map_err(|error| set_up("its line", &error))?;
    serve::serve(&folder, &config, Arc::new(verifier), stop, ready).await.map_err(SimulateError::Serve)
}

fn set_up(part: &str, error: &dyn std::error::Error) -> SimulateError {
    SimulateError::SetUp(format!("{part}: {error}"))
}

fn configuration(center: SocketAddr, listen: SocketAddr, requests_per_s: u32) -> String {
    format!(
        "# Made by `capture-agent simulate`.\n\
         [center]\naddress = \"https://{center}\"\n\
         [camera]\nreopen_max = 0\nwaiting_max = 64\n\
         [acquisition]\ndeadline_ms = 2500\ngood_frames = 2\nframe_gap_ms = 20\nrelax_after_ms = 400\nstall_after_ms = 600\n\
         [api]\nlisten = \"{listen}\"\nrequests_per_s = {requests_per_s}\nstop_within_ms = 1000\n\
         [transactions]\nopen_max = 1000\n"
    )
}

/// Makes the simulator's authority, certificates and registration, and installs them; gives back the center's own.
fn install(folder: &Path, opening: &OpeningKey, center: &SigningKey) -> Result<Papers, SimulateError> {
    identity::init(folder).map_err(|error| set_up("its key", &error))?;
    let key = identity::DeviceKey::read(folder).map_err(|error| set_up("its key", &error))?;
    let pem = key.pem().map_err(|error| set_up("its key", &error))?;
    let (device, papers) = certificates(&pem).map_err(|error| set_up("its certificates", &error))?;
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let registration = format!(
        "device = \"{DEVICE}\"\ninstitution = \"{INSTITUTION}\"\ncounter = \"1\"\nopening_key = \"{}\"\npolicy_key = \"{}\"\n",
        hex(opening.public().as_bytes()),
        hex(center.verifying_key().as_bytes())
    );
    let bundle = folder.join("bundle");
    fs::create_dir(&bundle).map_err(SimulateError::Folder)?;
    for (name, text) in [(REGISTRATION_FILE, &registration), (CERTIFICATE_FILE, &device), (CA_FILE, &papers.authority)] {
        fs::write(bundle.join(name), text).map_err(SimulateError::Folder)?;
    }
    identity::install(folder, &bundle).map_err(|error| set_up("its bundle", &error))?;
    Ok(papers)
}

fn certificates(device_key: &str) -> Result<(String, Papers), rcgen::Error> {
    let authority_key = KeyPair::generate_for(&PKCS_ED25519)?;
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_pem = authority.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(authority, authority_key);
    let mut device = CertificateParams::default();
    device.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let device = device.signed_by(&KeyPair::from_pem_and_sign_algo(device_key, &PKCS_ED25519)?, &issuer)?.pem();
    let server_key = KeyPair::generate_for(&PKCS_ED25519)?;
    let mut server = CertificateParams::new(vec!["127.0.0.1".to_owned()])?;
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = server.signed_by(&server_key, &issuer)?.pem();
    Ok((device, Papers { certificate, key: server_key.serialize_pem(), authority: authority_pem }))
}

fn random_key() -> Result<SigningKey, SimulateError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| SimulateError::SetUp(error.to_string()))?;
    Ok(SigningKey::from_bytes(&bytes))
}
