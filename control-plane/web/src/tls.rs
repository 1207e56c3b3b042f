//! Mutual TLS from files, read again when they change.
//!
//! Connections that are open keep what they were made with; they end at their own age.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use sealwax_xds::Peer;
use tokio_util::sync::CancellationToken;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use zeroize::Zeroizing;

use sealwax_config::TlsFiles;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Largest file read, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Most names taken from an edge's certificate.
const NAMES_MAX: usize = 64;

/// Why the files cannot be used. Says nothing of what is in the key's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{path} cannot be read: {source}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file is too long for what it should be.
    #[error("{0} is larger than 1 MiB")]
    TooLarge(PathBuf),
    /// A file has no certificate.
    #[error("{0} has no certificate in PEM")]
    NoCertificate(PathBuf),
    /// The key's file has no private key.
    #[error("{0} has no private key in PEM")]
    NoKey(PathBuf),
    /// The roots cannot vouch for anyone.
    #[error("the roots in {path} cannot be used: {detail}")]
    Roots {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// Certificate and key do not fit each other, or one cannot be used.
    #[error("the certificate in {path} cannot be used with its key: {detail}")]
    Certificate {
        /// The certificate's file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
}

/// The TLS side of a listener.
pub struct Tls {
    files: TlsFiles,
    protocols: &'static [&'static [u8]],
    current: Mutex<Loaded>,
}

struct Loaded {
    config: Arc<ServerConfig>,
    /// Of the files' contents.
    digest: Vec<u8>,
}

impl Tls {
    /// Reads the files. `protocols`: what ALPN offers.
    ///
    /// # Errors
    /// They cannot be used.
    pub fn load(
        files: TlsFiles,
        protocols: &'static [&'static [u8]],
    ) -> Result<Arc<Self>, TlsError> {
        let contents = Contents::read(&files)?;
        let config = Arc::new(contents.config(&files, protocols)?);
        let current = Mutex::new(Loaded { config, digest: contents.digest() });
        Ok(Arc::new(Self { files, protocols, current }))
    }

    /// What the next connection is made with.
    pub(super) fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.loaded().config)
    }

    /// Reads the files again whenever they have changed, until `stop`. Files that cannot be used
    /// change nothing but the log: they may be half written.
    pub async fn watch(self: Arc<Self>, stop: CancellationToken) {
        let mut trouble = None;
        let mut looks = tokio::time::interval(LOOK_EVERY);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = looks.tick() => {}
            }
            let this = Arc::clone(&self);
            let looked = tokio::task::spawn_blocking(move || this.look()).await;
            let said = match looked {
                Ok(Ok(true)) => {
                    tracing::info!(file = %self.files.cert_file.display(), "TLS files read again");
                    None
                }
                Ok(Ok(false)) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(error) => Some(error.to_string()),
            };
            if said != trouble
                && let Some(error) = &said
            {
                tracing::error!(error, "new TLS files are not used; the old ones stay in use");
            }
            trouble = said;
        }
    }

    /// Reads the files. True: they are others than before, and in use now.
    ///
    /// # Errors
    /// They cannot be read or used: the ones before stay in use.
    pub fn look(&self) -> Result<bool, TlsError> {
        let contents = Contents::read(&self.files)?;
        let digest = contents.digest();
        if self.loaded().digest == digest {
            return Ok(false);
        }
        let config = Arc::new(contents.config(&self.files, self.protocols)?);
        *self.loaded() = Loaded { config, digest };
        Ok(true)
    }

    fn loaded(&self) -> std::sync::MutexGuard<'_, Loaded> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Contents {
    certificate: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
    roots: Vec<u8>,
}

impl Contents {
    fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        Ok(Self {
            certificate: read(&files.cert_file)?,
            key: Zeroizing::new(read(&files.key_file)?),
            roots: read(&files.client_ca_file)?,
        })
    }

    fn digest(&self) -> Vec<u8> {
        let mut digest = Context::new(&SHA256);
        for part in [&self.certificate, &*self.key, &self.roots] {
            digest.update(&part.len().to_be_bytes());
            digest.update(part);
        }
        digest.finish().as_ref().to_vec()
    }

    fn config(&self, files: &TlsFiles, protocols: &[&[u8]]) -> Result<ServerConfig, TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let unusable = |error: &dyn std::fmt::Display| TlsError::Certificate {
            path: files.cert_file.clone(),
            detail: error.to_string(),
        };
        let verifier = {
            let bad =
                |detail: String| TlsError::Roots { path: files.client_ca_file.clone(), detail };
            let mut roots = RootCertStore::empty();
            for root in certificates(&self.roots, &files.client_ca_file)? {
                roots.add(root).map_err(|error| bad(error.to_string()))?;
            }
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .map_err(|error| bad(error.to_string()))?
        };
        let chain = certificates(&self.certificate, &files.cert_file)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|_| TlsError::NoKey(files.key_file.clone()))?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| unusable(&error))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .map_err(|error| unusable(&error))?;
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        // A resumed session would not show the certificate again.
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let unreadable = |source| TlsError::Unreadable { path: path.to_owned(), source };
    if fs::metadata(path).map_err(unreadable)?.len() > FILE_BYTES_MAX {
        return Err(TlsError::TooLarge(path.to_owned()));
    }
    fs::read(path).map_err(unreadable)
}

fn certificates(pem: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) | Err(_) => Err(TlsError::NoCertificate(path.to_owned())),
    }
}

/// Who showed this verified certificate: its DNS and URI names.
pub(super) fn peer(shown: Option<&[CertificateDer<'_>]>) -> Peer {
    let leaf = shown.and_then(<[_]>::first);
    let parsed = leaf.and_then(|leaf| X509Certificate::from_der(leaf).ok());
    let names =
        parsed.as_ref().and_then(|(_, leaf)| leaf.subject_alternative_name().ok().flatten());
    let names = names.map(|names| names.value.general_names.iter()).into_iter().flatten();
    let texts = names.filter_map(|name| match name {
        GeneralName::DNSName(text) | GeneralName::URI(text) => Some(Box::from(*text)),
        GeneralName::OtherName(..)
        | GeneralName::RFC822Name(_)
        | GeneralName::X400Address(_)
        | GeneralName::DirectoryName(_)
        | GeneralName::EDIPartyName(_)
        | GeneralName::IPAddress(_)
        | GeneralName::RegisteredID(_)
        | GeneralName::Invalid(..) => None,
    });
    Peer::Certified(texts.take(NAMES_MAX).collect())
}
