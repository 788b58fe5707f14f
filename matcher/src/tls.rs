//! TLS of the listeners: the server's certificate, and whose certificates are asked of counters.
//!
//! The files are looked at again while the center serves, so that a renewed certificate or a rolled-over authority is
//! taken up without a restart: connections that stand keep what they began with. Files that do not fit together change
//! nothing: what is in use stays, and the log says so. Not here: how certificates are made (`crate::pki`), sockets.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{VerifierBuilderError, WebPkiClientVerifier},
};
use sha2::{Digest, Sha256};
use thiserror::Error;
use tracing::{error, info};
use zeroize::Zeroizing;

use crate::data_dir::DataDir;

/// Certificates and keys that make no TLS server.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("could not read {}", .path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is no PEM.
    #[error("{}: expected PEM", .path.display())]
    Pem {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// Certificate and key do not belong together.
    #[error("the server's certificate or key is not in order")]
    Server(#[source] rustls::Error),
    /// The authority's certificate is none.
    #[error("the authority's certificate is not in order")]
    Authority(#[source] rustls::Error),
    /// The authority's certificates cannot be asked for.
    #[error("the authority's certificate is not in order")]
    Verifier(#[source] VerifierBuilderError),
}

/// TLS as the files of a data folder have it.
pub struct ServerTls {
    dir: DataDir,
    current: RwLock<Current>,
    /// Digest of the files that were looked at last, whether they fit together or not.
    seen: Mutex<[u8; 32]>,
}

#[derive(Clone)]
struct Current {
    counters: Arc<ServerConfig>,
    published: Arc<ServerConfig>,
    joining: Arc<ServerConfig>,
}

impl std::fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerTls").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl ServerTls {
    /// Reads the files of a data folder.
    ///
    /// # Errors
    /// When one cannot be read, or they do not fit together.
    pub fn load(dir: &DataDir) -> Result<Self, TlsError> {
        let files = Files::read(dir)?;
        let seen = Mutex::new(files.digest());
        Ok(Self { dir: dir.clone(), current: RwLock::new(files.configure()?), seen })
    }

    /// For counters: mutual TLS, certificates of the center's authorities alone.
    #[must_use]
    pub fn for_counters(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).counters)
    }

    /// For what is published: no certificate is asked for.
    #[must_use]
    pub fn for_published(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).published)
    }

    /// For devices that join: no certificate is asked for, and the authority is shown, so that a device can hold it against
    /// its code.
    #[must_use]
    pub fn for_joining(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).joining)
    }

    /// Looks at the files again.
    pub fn refresh(&self) {
        let files = match Files::read(&self.dir) {
            Ok(files) => files,
            // It is being replaced, or gone; those in use stay.
            Err(error) => return error!(error = &error as &dyn std::error::Error, "a certificate could not be looked at again"),
        };
        let digest = files.digest();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == digest {
            return;
        }
        *seen = digest;
        match files.configure() {
            Ok(current) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = current;
                info!("certificates were read again");
            }
            Err(error) => {
                error!(error = &error as &dyn std::error::Error, "changed certificates are not in order; those in use stay");
            }
        }
    }
}

/// The three files, as they are.
struct Files {
    certificate: (PathBuf, Vec<u8>),
    key: (PathBuf, Zeroizing<Vec<u8>>),
    authority: (PathBuf, Vec<u8>),
}

impl Files {
    fn read(dir: &DataDir) -> Result<Self, TlsError> {
        let read = |path: PathBuf| match std::fs::read(&path) {
            Ok(bytes) => Ok((path, bytes)),
            Err(source) => Err(TlsError::File { path, source }),
        };
        let (path, key) = read(dir.server_key())?;
        let key = (path, Zeroizing::new(key));
        Ok(Self { certificate: read(dir.server_certificate())?, key, authority: read(dir.authority_certificate())? })
    }

    fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for bytes in [&self.certificate.1, &*self.key.1, &self.authority.1] {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        }
        hash.finalize().into()
    }

    fn configure(&self) -> Result<Current, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&self.authority.0, &self.authority.1)? {
            roots.add(certificate).map_err(TlsError::Authority)?;
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let verifier = verifier.build().map_err(TlsError::Verifier)?;
        let counters = builder(&provider)?.with_client_cert_verifier(verifier);
        let mut counters = counters.with_single_cert(self.chain()?, self.key()?).map_err(TlsError::Server)?;
        counters.alpn_protocols = vec![b"h2".to_vec()];
        let published = builder(&provider)?.with_no_client_auth();
        let mut published = published.with_single_cert(self.chain()?, self.key()?).map_err(TlsError::Server)?;
        published.alpn_protocols = vec![b"http/1.1".to_vec()];
        let joining = builder(&provider)?.with_no_client_auth();
        let shown = [self.chain()?, certificates(&self.authority.0, &self.authority.1)?].concat();
        let mut joining = joining.with_single_cert(shown, self.key()?).map_err(TlsError::Server)?;
        joining.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Current { counters: Arc::new(counters), published: Arc::new(published), joining: Arc::new(joining) })
    }

    fn chain(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        certificates(&self.certificate.0, &self.certificate.1)
    }

    fn key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        PrivateKeyDer::from_pem_slice(&self.key.1).map_err(|source| TlsError::Pem { path: self.key.0.clone(), source })
    }
}

fn builder(provider: &Arc<CryptoProvider>) -> Result<rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier>, TlsError> {
    ServerConfig::builder_with_provider(Arc::clone(provider)).with_safe_default_protocol_versions().map_err(TlsError::Server)
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    all.map_err(|source| TlsError::Pem { path: path.to_owned(), source })
}
