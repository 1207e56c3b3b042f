//! Fetches the path of challenges as a CA does (RFC 8555 section 8.3; Let's Encrypt's rules for
//! redirects and for IPv6).

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use http::header::{CONNECTION, HOST, LOCATION, USER_AGENT};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use sealwax_core::failure::bounded_detail;
use sealwax_core::preflight::{Path, answer, is_public, token};
use sealwax_protocol::{ChallengeToken, DomainName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use crate::dns::Dns;
use crate::edges::Known;

/// Redirects followed, as Let's Encrypt does.
const REDIRECTS_MAX: u32 = 10;
/// Longest answer read, in bytes; ours has about 100.
const BODY_BYTES_MAX: usize = 1024;
/// Most of an answer's head that is read, in bytes; hyper takes no less.
const HEAD_BYTES_MAX: usize = 8192;

/// What is fetched with.
pub(crate) struct Fetcher {
    /// Where http-01 is fetched.
    pub(crate) port: u16,
    pub(crate) tls: TlsConnector,
}

/// A place that answered.
struct Answered {
    from: IpAddr,
    response: Response<Incoming>,
    /// Drives the connection for as long as its answer is read.
    _connection: JoinSet<()>,
}

impl Fetcher {
    /// Fetches the token's path from the domain's addresses, IPv6 ones first in the list.
    pub(crate) async fn fetch(
        &self,
        dns: &Dns,
        ours: &Known,
        domain: &DomainName,
        addresses: &[IpAddr],
        nonce: u64,
        deadline: Instant,
    ) -> Path {
        let token = token(nonce);
        let port = if self.port == 80 { String::new() } else { format!(":{}", self.port) };
        let first = format!("http://{domain}{port}/.well-known/acme-challenge/{token}");
        let expected = ChallengeToken::parse(&token).ok().and_then(|token| answer(&token));
        let (Ok(first), Some(expected)) = (Url::parse(&first), expected) else {
            return Path::NotTried { why: "the name makes no URL".to_owned() };
        };
        let (mut url, mut addresses) = (first, addresses.to_vec());
        for redirects in 0..=REDIRECTS_MAX {
            let answered = match self.get(&url, &addresses, ours, deadline).await {
                Ok(answered) => answered,
                Err(path) => return path,
            };
            let from = answered.from;
            let status = answered.response.status();
            if !status.is_redirection() {
                return read(answered, &expected, redirects, deadline).await;
            }
            let next = answered.response.headers().get(LOCATION);
            let next = next.and_then(|location| location.to_str().ok());
            let elsewhere = |detail: String| Path::Elsewhere { from, detail };
            let Some(next) = next.and_then(|location| url.join(location).ok()) else {
                return elsewhere(format!("{status} without a location"));
            };
            if let Err(why) = self.followed(&next) {
                let to = bounded(next.as_str());
                return elsewhere(format!("a redirect to {to}, which no CA follows: {why}"));
            }
            let host = next.host_str().unwrap_or_default();
            let (ipv4, ipv6) = tokio::join!(dns.ipv4(host, deadline), dns.ipv6(host, deadline));
            let known = [ipv6.found, ipv4.found];
            addresses = known.iter().filter_map(|found| found.found()).flatten().copied().collect();
            url = next;
        }
        Path::Unreachable { detail: format!("more than {REDIRECTS_MAX} redirects") }
    }

    /// Whether a CA would follow.
    fn followed(&self, next: &Url) -> Result<(), &'static str> {
        if !matches!(next.scheme(), "http" | "https") {
            return Err("it is neither http nor https");
        }
        if !matches!(next.host(), Some(Host::Domain(_))) {
            return Err("its host is no name");
        }
        match next.port_or_known_default() {
            Some(80 | 443) => Ok(()),
            Some(port) if port == self.port => Ok(()),
            Some(_) | None => Err("its port is neither 80 nor 443"),
        }
    }

    /// Asks the first IPv6 address, and the first IPv4 one if there is none or it cannot be
    /// connected to.
    async fn get(
        &self,
        url: &Url,
        addresses: &[IpAddr],
        ours: &Known,
        deadline: Instant,
    ) -> Result<Answered, Path> {
        let allowed = |ip: &IpAddr| ours.has(*ip) == Some(true) || is_public(*ip);
        let of = |v6: bool| addresses.iter().copied().find(|ip| ip.is_ipv6() == v6);
        let wanted: Vec<IpAddr> = [of(true), of(false)].into_iter().flatten().collect();
        let Some(last) = wanted.last() else {
            let host = url.host_str().unwrap_or_default();
            return Err(Path::NotTried { why: format!("no address of {host} is known") });
        };
        if !wanted.iter().any(allowed) {
            let why = format!("{last} is not on the internet and not among the edges");
            return Err(Path::NotTried { why });
        }
        let mut failed = String::new();
        for ip in wanted.into_iter().filter(allowed) {
            let left = deadline.saturating_duration_since(Instant::now());
            // The other address must have its turn within the deadline too.
            let until = if ip.is_ipv6() { Instant::now() + left / 2 } else { deadline };
            match timeout_at(until, self.ask(url, ip)).await {
                Ok(Ok(answered)) => return Ok(answered),
                Ok(Err(error)) => failed = format!("{ip}: {error}"),
                Err(_) => failed = format!("{ip}: no answer in time"),
            }
        }
        Err(Path::Unreachable { detail: bounded(&failed) })
    }

    async fn ask(&self, url: &Url, ip: IpAddr) -> Result<Answered, FetchError> {
        let port = url.port_or_known_default().unwrap_or(self.port);
        let stream = TcpStream::connect(SocketAddr::new(ip, port)).await?;
        if url.scheme() == "https" {
            let host = url.host_str().unwrap_or_default().to_owned();
            let name = ServerName::try_from(host).map_err(|_| FetchError::Name)?;
            let stream = self.tls.connect(name, stream).await?;
            return exchange(url, ip, stream).await;
        }
        exchange(url, ip, stream).await
    }
}

async fn exchange(
    url: &Url,
    from: IpAddr,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> Result<Answered, FetchError> {
    let mut builder = http1::Builder::new();
    builder.max_buf_size(HEAD_BYTES_MAX).max_headers(100);
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
    let mut driver = JoinSet::new();
    driver.spawn(async move {
        // How it ends shows in the answer.
        let _ended = connection.await;
    });
    let host = url.host_str().unwrap_or_default();
    let authority = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    let target = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let request = Request::get(target)
        .header(HOST, authority)
        .header(CONNECTION, "close")
        .header(USER_AGENT, concat!("sealwax/", env!("CARGO_PKG_VERSION"), " (preflight)"))
        .body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    Ok(Answered { from, response, _connection: driver })
}

async fn read(answered: Answered, expected: &str, redirects: u32, deadline: Instant) -> Path {
    let Answered { from, response, _connection } = answered;
    let status = response.status();
    if status != StatusCode::OK {
        return Path::Elsewhere { from, detail: status.to_string() };
    }
    let body = Limited::new(response.into_body(), BODY_BYTES_MAX).collect();
    let detail = match timeout_at(deadline, body).await {
        Ok(Ok(body)) => {
            if body.to_bytes().trim_ascii() == expected.as_bytes() {
                return Path::Answered { from, redirects };
            }
            "200 with another answer than an edge of this platform gives"
        }
        Ok(Err(_)) => "200 with another answer than an edge of this platform gives",
        Err(_) => "200 and then nothing",
    };
    Path::Elsewhere { from, detail: detail.to_owned() }
}

/// Cut to a line of a report.
fn bounded(text: &str) -> String {
    let text = bounded_detail(text);
    if text.chars().count() <= 120 { text } else { text.chars().take(119).chain(['…']).collect() }
}

/// Why a place did not answer.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("no HTTP: {0}")]
    Http(#[from] hyper::Error),
    #[error("no request can be made: {0}")]
    Request(#[from] http::Error),
    #[error("its host is no name")]
    Name,
}
