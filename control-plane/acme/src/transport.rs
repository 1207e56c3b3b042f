//! HTTP to one CA: one connection pool, one TLS set-up, every answer bounded in size and time.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{HeaderMap, HeaderValue, LOCATION, RETRY_AFTER, USER_AGENT};
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{HttpConnector, capture_connection};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use rustls::{ClientConfig, RootCertStore};
use sealwax_core::text::error_chain;
use sealwax_core::{Clock, Span};

use crate::exchange::{Last, Seen, record};
use crate::limit::WAIT_MAX;
use crate::nonce::NoncePool;
use crate::problem::Problem;
use crate::settings::{IssuerSettings, SettingsError};

/// Largest answer read: a chain may have [`sealwax_core::certificate::CHAIN_BYTES_MAX`], all
/// else is far smaller.
const ANSWER_BYTES_MAX: usize = 128 * 1024;
/// Longest wait for a connection; within the whole request's time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Idle connections are dropped before a CA's front end does so: a request that meets the end of
/// a connection has an unknown outcome.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// An open connection is asked this often whether it is still one, idle or not, and given up when
/// no answer comes in time: a firewall that forgot it says nothing.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// Longest wait for such an answer; with the interval well within the time of a request.
const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// Shortest wait that a refusal can ask for. Some CAs say none, or a moment that has passed.
const REFUSED_WAIT_MIN: Span = Span::from_secs(1);
/// RFC 8555 section 6.1 asks clients to say who they are.
const AGENT: &str = concat!("sealwax/", env!("CARGO_PKG_VERSION"), " instant-acme/0.8");
const REPLAY_NONCE: &str = "replay-nonce";

/// The way to one CA. Cheap to clone: all clones share connections and replay nonces.
#[derive(Clone)]
pub(crate) struct Transport {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    timeout: Duration,
    nonces: Arc<NoncePool>,
    clock: Arc<dyn Clock>,
}

/// A whole answer.
pub(crate) struct Answer {
    /// Status and headers.
    pub(crate) parts: http::response::Parts,
    /// The body, bounded.
    pub(crate) body: Bytes,
}

impl Transport {
    /// Reads the trusted roots; connects later.
    pub(crate) fn new(
        settings: &IssuerSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SettingsError> {
        let roots = match &settings.ca_file {
            Some(path) => private_roots(path)?,
            None => system_roots(&settings.directory)?,
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| SettingsError::Tls(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut http = HttpConnector::new();
        http.set_connect_timeout(Some(CONNECT_TIMEOUT));
        http.set_nodelay(true);
        http.set_keepalive(Some(PING_INTERVAL));
        http.set_keepalive_interval(Some(PING_TIMEOUT));
        #[cfg(target_os = "linux")]
        http.set_tcp_user_timeout(Some(PING_INTERVAL + PING_TIMEOUT));
        http.enforce_http(false);
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(http);
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .http2_keep_alive_interval(PING_INTERVAL)
            .http2_keep_alive_timeout(PING_TIMEOUT)
            .http2_keep_alive_while_idle(true)
            .build(https);
        Ok(Self { client, timeout: settings.request_timeout, nonces: Arc::default(), clock })
    }

    /// Sends a request and reads the whole answer. How it ended is noted for the call it belongs
    /// to; the error is only its text.
    pub(crate) async fn send(&self, mut request: Request<Full<Bytes>>) -> Result<Answer, String> {
        let post = request.method() == Method::POST;
        let mut location = None;
        let connection = capture_connection(&mut request);
        let exchange = self.exchange(request, &mut location);
        let failed = match tokio::time::timeout(self.timeout, exchange).await {
            Ok(Ok(answer)) => {
                record(Last::Answered(self.seen(&answer)));
                return Ok(answer);
            }
            Ok(Err(failed)) => failed,
            Err(_) => NoAnswer { sent: true, detail: format!("no answer in {:?}", self.timeout) },
        };
        // What was silent once, or broke, answers nobody else: HTTP/2 would put the next request on
        // the very same connection.
        if let Some(connection) = connection.connection_metadata().as_ref() {
            connection.poison();
        }
        let detail = failed.detail.clone();
        record(if failed.sent {
            Last::Lost { detail: failed.detail, post, location }
        } else {
            Last::Unsent { detail: failed.detail }
        });
        Err(detail)
    }

    async fn exchange(
        &self,
        mut request: Request<Full<Bytes>>,
        location: &mut Option<String>,
    ) -> Result<Answer, NoAnswer> {
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(AGENT));
        let response = self
            .client
            .request(request)
            .await
            .map_err(|error| NoAnswer { sent: !error.is_connect(), detail: error_chain(&error) })?;
        let (parts, body) = response.into_parts();
        if parts.status.is_success() {
            *location = header(&parts.headers, LOCATION.as_str());
        }
        let body = Limited::new(body, ANSWER_BYTES_MAX)
            .collect()
            .await
            .map_err(|error| NoAnswer { sent: true, detail: error_chain(error.as_ref()) })?
            .to_bytes();
        Ok(Answer { parts, body })
    }

    /// What of an answer says what to do next.
    pub(crate) fn seen(&self, answer: &Answer) -> Seen {
        let status = answer.parts.status.as_u16();
        let refused = status >= 400;
        let retry_after = self.retry_after(&answer.parts.headers);
        let floor = if refused { REFUSED_WAIT_MIN } else { Span::ZERO };
        Seen {
            status,
            retry_after: retry_after.map(|span| span.max(floor)),
            location: header(&answer.parts.headers, LOCATION.as_str()),
            problem: if refused { Problem::of_refusal(status, &answer.body) } else { None },
        }
    }

    /// Retry-After as a span, capped at [`WAIT_MAX`]; a date is counted from now.
    pub(crate) fn retry_after(&self, headers: &HeaderMap) -> Option<Span> {
        let text = header(headers, RETRY_AFTER.as_str())?;
        let span = if let Ok(secs) = text.trim().parse::<u64>() {
            Span::from_secs(secs)
        } else {
            let date = httpdate::parse_http_date(text.trim()).ok()?;
            let now = UNIX_EPOCH + Duration::from_millis(self.clock.now().millis());
            Span::from(date.duration_since(now).unwrap_or_default())
        };
        Some(span.min(WAIT_MAX))
    }

    /// A replay nonce that an earlier answer brought along, if there is one left.
    pub(crate) fn spare_nonce(&self) -> Option<String> {
        self.nonces.take()
    }

    /// A signed request's nonce is asked for by HEAD: answered from the pool while it lasts.
    fn pooled_nonce(&self, method: &Method) -> Option<BytesResponse> {
        if method != Method::HEAD {
            return None;
        }
        let nonce = HeaderValue::from_str(&self.nonces.take()?).ok()?;
        let mut response = Response::new(Full::new(Bytes::new()));
        response.headers_mut().insert(REPLAY_NONCE, nonce);
        Some(BytesResponse::from(response))
    }

    /// Takes the nonce of an answer into the pool. instant-acme would use it for the same order
    /// only, or not at all.
    pub(crate) fn keep_nonce(&self, headers: &mut HeaderMap) {
        let nonce = headers.remove(REPLAY_NONCE);
        if let Some(nonce) = nonce.as_ref().and_then(|nonce| nonce.to_str().ok()) {
            self.nonces.put(nonce.to_owned());
        }
    }
}

impl HttpClient for Transport {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let transport = self.clone();
        Box::pin(async move {
            let method = request.method().clone();
            if let Some(pooled) = transport.pooled_nonce(&method) {
                return Ok(pooled);
            }
            let (parts, body) = request.into_parts();
            let Ok(body) = body.collect().await.map(http_body_util::Collected::to_bytes);
            let request = Request::from_parts(parts, Full::new(body));
            let mut answer =
                transport.send(request).await.map_err(|text| Error::Other(text.into()))?;
            if method == Method::POST {
                transport.keep_nonce(&mut answer.parts.headers);
            }
            Ok(BytesResponse::from(Response::from_parts(answer.parts, Full::new(answer.body))))
        })
    }
}

struct NoAnswer {
    sent: bool,
    detail: String,
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(ToOwned::to_owned)
}

fn private_roots(path: &Path) -> Result<RootCertStore, SettingsError> {
    let refuse =
        |reason: String| SettingsError::CaFile { path: path.display().to_string(), reason };
    let mut roots = RootCertStore::empty();
    for certificate in
        CertificateDer::pem_file_iter(path).map_err(|error| refuse(error.to_string()))?
    {
        let certificate = certificate.map_err(|error| refuse(error.to_string()))?;
        roots.add(certificate).map_err(|error| refuse(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(refuse("no certificate in it".to_owned()));
    }
    Ok(roots)
}

fn system_roots(directory: &str) -> Result<RootCertStore, SettingsError> {
    let mut roots = RootCertStore::empty();
    if directory.starts_with("http://") {
        return Ok(roots);
    }
    // Some systems ship roots that rustls refuses; the others do.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() { Err(SettingsError::NoSystemRoots) } else { Ok(roots) }
}
