//! A TLS client that tells what it was shown.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::SendRequest;
use rustls::client::Resumption;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use x509_parser::parse_x509_certificate;

use crate::http;

/// How long a handshake may take.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(60);

/// What a handshake ended with.
#[derive(Debug)]
pub struct Attempt {
    /// From the TCP connection to the end of the handshake.
    pub took: Duration,
    /// The certificate shown, or why there is none.
    pub outcome: Result<Served>,
}

/// The certificate a server has shown, verified for the name and against the roots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// Leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// The leaf's serial number in lower-case hexadecimal.
    pub serial: String,
}

/// A client that trusts the roots it was made with, and resumes no session.
#[derive(Clone, Debug)]
pub struct TlsVisitor {
    config: Arc<ClientConfig>,
}

impl TlsVisitor {
    /// Trusts the certificates of a PEM text.
    ///
    /// # Errors
    /// There are none in it.
    pub fn trusting(roots_pem: &str) -> Result<Self> {
        Ok(Self { config: client_trusting(roots_pem)? })
    }

    /// One handshake for `domain` at `address`. The answer says what went wrong, if anything.
    pub async fn handshake(&self, address: SocketAddr, domain: &str) -> Attempt {
        let (took, outcome) = self.timed(address, domain).await;
        Attempt { took, outcome: outcome.and_then(|stream| served(&stream)) }
    }

    /// The certificate shown for `domain` at `address`.
    ///
    /// # Errors
    /// The handshake fails.
    pub async fn visit(&self, address: SocketAddr, domain: &str) -> Result<Served> {
        self.handshake(address, domain).await.outcome
    }

    /// A connection that stays open.
    ///
    /// # Errors
    /// The handshake fails.
    pub async fn connect(&self, address: SocketAddr, domain: &str) -> Result<TlsConnection> {
        let stream = self.timed(address, domain).await.1?;
        let served = served(&stream)?;
        let sender = http::connect(stream).await?;
        Ok(TlsConnection { address, domain: domain.to_owned(), served, sender })
    }

    async fn timed(
        &self,
        address: SocketAddr,
        domain: &str,
    ) -> (Duration, Result<TlsStream<TcpStream>>) {
        let started = Instant::now();
        let connect = async {
            let name = ServerName::try_from(domain.to_owned())?;
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            anyhow::Ok(TlsConnector::from(Arc::clone(&self.config)).connect(name, stream).await?)
        };
        let outcome = match timeout(HANDSHAKE_TIME_MAX, connect).await {
            Ok(outcome) => outcome.with_context(|| format!("handshake for {domain} at {address}")),
            Err(_) => Err(anyhow::anyhow!("handshake for {domain} took {HANDSHAKE_TIME_MAX:?}")),
        };
        (started.elapsed(), outcome)
    }
}

/// HTTP/1.1 on a TLS connection that was made once.
#[derive(Debug)]
pub struct TlsConnection {
    address: SocketAddr,
    domain: String,
    served: Served,
    sender: SendRequest<Full<Bytes>>,
}

impl TlsConnection {
    /// The certificate it was made with.
    #[must_use]
    pub const fn served(&self) -> &Served {
        &self.served
    }

    /// Gets `path` on this very connection.
    ///
    /// # Errors
    /// The connection has ended.
    pub async fn get(&mut self, path: &str) -> Result<http::Response> {
        let domain = self.domain.clone();
        self.get_of(&domain, path).await
    }

    /// Gets `path` of another host on this very connection.
    ///
    /// # Errors
    /// The connection has ended.
    pub async fn get_of(&mut self, host: &str, path: &str) -> Result<http::Response> {
        let request = http::request("GET", path, host, String::new())?;
        http::bounded(self.address, http::exchange(&mut self.sender, request)).await
    }
}

pub(crate) fn client_trusting(roots_pem: &str) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(roots_pem.as_bytes()) {
        roots.add(certificate?)?;
    }
    ensure!(!roots.is_empty(), "no certificate in the roots' PEM");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // A resumed session would show no certificate.
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

fn served(stream: &TlsStream<TcpStream>) -> Result<Served> {
    let shown = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let chain: Vec<_> = shown.iter().map(|der| der.clone().into_owned()).collect();
    let leaf = chain.first().context("the server showed no certificate")?;
    let (_, leaf) = parse_x509_certificate(leaf)?;
    let serial = leaf.raw_serial().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Served { chain, serial })
}
