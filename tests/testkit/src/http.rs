//! A small HTTP/1.1 client: one connection, one request, a bound on both.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::HeaderValue;
use hyper::{HeaderMap, Request};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// The content type of JSON.
pub const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// How long a request may take.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(30);
/// The largest body read.
const BODY_BYTES_MAX: usize = 64 << 20;

/// An answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Response {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header's value; empty if it is missing or no text.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// A request for `path` of `host`.
///
/// # Errors
/// They are no valid path or host.
pub fn request(method: &str, path: &str, host: &str, body: String) -> Result<Request<Full<Bytes>>> {
    Request::builder()
        .method(method)
        .uri(path)
        .header("host", host)
        // Pebble, like Let's Encrypt, answers nobody who does not say what they are.
        .header("user-agent", "sealwax-testkit")
        .body(Full::new(Bytes::from(body)))
        .with_context(|| format!("{method} {path} of {host} is no request"))
}

/// Gets `path` of `host` from `address`, in clear text.
///
/// # Errors
/// Nobody answers.
pub async fn get(address: SocketAddr, host: &str, path: &str) -> Result<Response> {
    send(address, request("GET", path, host, String::new())?).await
}

/// Sends a request in clear text.
///
/// # Errors
/// Nobody answers.
pub async fn send(address: SocketAddr, request: Request<Full<Bytes>>) -> Result<Response> {
    let exchange = async {
        let stream = TcpStream::connect(address).await?;
        exchange(&mut connect(stream).await?, request).await
    };
    bounded(address, exchange).await
}

/// Sends a request over TLS.
///
/// # Errors
/// Nobody answers, or the certificate is not for `name`.
pub async fn send_tls(
    address: SocketAddr,
    name: &str,
    tls: Arc<ClientConfig>,
    request: Request<Full<Bytes>>,
) -> Result<Response> {
    let name = ServerName::try_from(name.to_owned())?;
    let exchange = async {
        let stream = TcpStream::connect(address).await?;
        let stream = TlsConnector::from(tls).connect(name, stream).await?;
        exchange(&mut connect(stream).await?, request).await
    };
    bounded(address, exchange).await
}

/// Starts HTTP/1.1 on a connection.
pub(crate) async fn connect<S>(stream: S) -> Result<SendRequest<Full<Bytes>>>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    // It ends when the sender is dropped; what goes wrong on it the sender is told.
    tokio::spawn(connection);
    Ok(sender)
}

pub(crate) async fn exchange(
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Result<Response> {
    let (parts, body) = sender.send_request(request).await?.into_parts();
    let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
    let body = body.map_err(|error| anyhow::anyhow!("reading the body: {error}"))?.to_bytes();
    Ok(Response { status: parts.status.as_u16(), headers: parts.headers, body })
}

pub(crate) async fn bounded<T>(
    address: SocketAddr,
    exchange: impl Future<Output = Result<T>>,
) -> Result<T> {
    match timeout(REQUEST_TIME_MAX, exchange).await {
        Ok(answer) => answer.with_context(|| format!("a request to {address} failed")),
        Err(_) => anyhow::bail!("{address} did not answer within {REQUEST_TIME_MAX:?}"),
    }
}
