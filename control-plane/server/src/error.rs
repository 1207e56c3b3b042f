//! Why the control plane cannot start.

use sealwax_core::store::StoreError;

use sealwax_config::Listen;
use sealwax_platform::notify::NotifyError;
use sealwax_web::TlsError;

/// Each says what is wrong and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppError {
    /// A listener's address cannot be had.
    #[error(
        "cannot listen on {address} for [{section}]: {source}; stop what listens there or set [{section}] listen to another address"
    )]
    Listen {
        /// The configuration's section.
        section: &'static str,
        /// The address.
        address: Listen,
        /// What the system says.
        source: std::io::Error,
    },
    /// A listener's TLS files cannot be used.
    #[error("[{section}] TLS: {source}; `sealwax envoy certs` makes files that fit")]
    Tls {
        /// The configuration's section.
        section: &'static str,
        /// What is wrong with them.
        source: TlsError,
    },
    /// There is no embedded store, and none is to be created.
    #[error("{0}: no store is there; `sealwax store init` creates one, check [store] path")]
    NoStore(std::path::PathBuf),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key-encryption key cannot be used.
    #[error("{0}")]
    Keys(String),
    /// The folder of the last-good copy cannot be used.
    #[error("{0}")]
    LastGood(String),
    /// An issuer's settings cannot be used.
    #[error("[[issuer]] {name}: {detail}")]
    Issuer {
        /// Its name.
        name: String,
        /// What is wrong.
        detail: String,
    },
    /// The permission endpoint's client cannot be made.
    #[error("[permission] ask_url cannot be used: {0}")]
    Permission(String),
    /// Traces cannot be exported.
    #[error("[telemetry] otlp_url cannot be used: {0}")]
    Traces(String),
    /// Events cannot be told.
    #[error("[[notify]]: {0}")]
    Notify(#[from] NotifyError),
    /// The admin token cannot be used.
    #[error("[admin] token_file: {0}")]
    Token(String),
    /// A file named in the configuration cannot be read.
    #[error("{what} {path} cannot be read: {source}")]
    File {
        /// What it is for.
        what: &'static str,
        /// Which.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
}
