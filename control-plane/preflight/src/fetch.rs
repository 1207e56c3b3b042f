//! Fetches the path of challenges as a CA does (RFC 8555 section 8.3; Let's Encrypt's rules for
//! redirects and for IPv6).

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use futures::future::join_all;
use http::header::{CONNECTION, HOST, LOCATION, USER_AGENT};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use sealwax_core::failure::bounded_detail;
use sealwax_core::preflight::{Path, Place, answer, is_public, token};
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

/// Addresses of a domain that are looked at, half of them of each kind: a CA may come by any.
const PLACES_MAX: usize = 8;
/// What marks a challenge to prove that one is no machine: Cloudflare's, AWS WAF's.
const CHALLENGE_HEADERS: [&str; 2] = ["cf-mitigated", "x-amzn-waf-action"];
/// The same in pages that come with status 200.
const CHALLENGE_WORDS: [&str; 6] = [
    "captcha",
    "/cdn-cgi/challenge-platform",
    "just a moment",
    "checking your browser",
    "_incapsula_resource",
    "ddos-guard",
];

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

/// What one address led to.
struct One {
    place: Place,
    /// It spoke HTTP: a CA does not try the next address.
    connected: bool,
}

/// What is asked for, of whom, and until when.
pub(crate) struct Asked<'a> {
    pub(crate) dns: &'a Dns,
    pub(crate) ours: &'a Known,
    pub(crate) domain: &'a DomainName,
    pub(crate) nonce: u64,
    pub(crate) deadline: Instant,
}

impl Fetcher {
    /// Fetches the token's path from each of the domain's addresses, all at once: what the one
    /// that a CA takes first led to, and what the others did.
    pub(crate) async fn fetch(
        &self,
        asked: &Asked<'_>,
        addresses: &[IpAddr],
    ) -> (Path, Vec<Place>) {
        let domain = asked.domain;
        let token = token(asked.nonce);
        let port = if self.port == 80 { String::new() } else { format!(":{}", self.port) };
        let first = format!("http://{domain}{port}/.well-known/acme-challenge/{token}");
        let expected = ChallengeToken::parse(&token).ok().and_then(|token| answer(&token));
        let (Ok(first), Some(expected)) = (Url::parse(&first), expected) else {
            return (Path::NotTried { why: "the name makes no URL".to_owned() }, Vec::new());
        };
        let some = |v6: bool| addresses.iter().copied().filter(move |ip| ip.is_ipv6() == v6);
        let looked_at: Vec<IpAddr> =
            some(true).take(PLACES_MAX / 2).chain(some(false).take(PLACES_MAX / 2)).collect();
        let left = asked.deadline.saturating_duration_since(Instant::now());
        // Where there are several, a silent one must not take all the time there is.
        let several = looked_at.len() > 1;
        let until = if several { Instant::now() + left / 2 } else { asked.deadline };
        let all = looked_at.into_iter().map(|ip| self.walk(asked, &first, ip, &expected, until));
        first_of(join_all(all).await).unwrap_or_else(|| {
            let why = format!("no address of {domain} is known");
            (Path::NotTried { why }, Vec::new())
        })
    }

    /// Where the path leads from one address of the domain.
    async fn walk(
        &self,
        asked: &Asked<'_>,
        first: &Url,
        ip: IpAddr,
        expected: &str,
        until: Instant,
    ) -> One {
        let one = |path: Path, connected: bool| One { place: Place { ip, path }, connected };
        let mut answered = match self.get(first, &[ip], asked.ours, until).await {
            Ok(answered) => answered,
            Err(path) => return one(path, false),
        };
        let mut url = first.clone();
        for redirects in 0..=REDIRECTS_MAX {
            if !answered.response.status().is_redirection() {
                return one(read(answered, expected, redirects, asked.deadline).await, true);
            }
            url = match self.next(&url, &answered) {
                Ok(next) => next,
                Err(path) => return one(path, true),
            };
            if redirects == REDIRECTS_MAX {
                break;
            }
            let host = url.host_str().unwrap_or_default();
            let (dns, deadline) = (asked.dns, asked.deadline);
            let (ipv4, ipv6) = tokio::join!(dns.ipv4(host, deadline), dns.ipv6(host, deadline));
            let known = [ipv6.found, ipv4.found];
            let addresses: Vec<IpAddr> =
                known.iter().filter_map(|found| found.found()).flatten().copied().collect();
            answered = match self.get(&url, &addresses, asked.ours, deadline).await {
                Ok(answered) => answered,
                Err(path) => return one(path, true),
            };
        }
        one(Path::Unreachable { detail: format!("more than {REDIRECTS_MAX} redirects") }, true)
    }

    /// Where a redirect leads, if a CA would follow it.
    fn next(&self, url: &Url, answered: &Answered) -> Result<Url, Path> {
        let (from, response) = (answered.from, &answered.response);
        let elsewhere = |detail: String| Path::Elsewhere { from, detail, withheld: false };
        let status = response.status();
        let next = response.headers().get(LOCATION);
        let next = next.and_then(|location| location.to_str().ok());
        let next = next.and_then(|location| url.join(location).ok());
        let next = next.ok_or_else(|| elsewhere(format!("{status} without a location")))?;
        self.followed(&next).map_err(|why| {
            let to = bounded(next.as_str());
            elsewhere(format!("a redirect to {to}, which no CA follows: {why}"))
        })?;
        Ok(next)
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
        let wanted: Vec<IpAddr> = wanted.into_iter().filter(allowed).collect();
        let mut failed = Path::NotTried { why: "no address can be connected to".to_owned() };
        for ip in &wanted {
            let left = deadline.saturating_duration_since(Instant::now());
            // The other address must have its turn within the deadline too.
            let half = ip.is_ipv6() && wanted.len() > 1;
            let until = if half { Instant::now() + left / 2 } else { deadline };
            failed = match timeout_at(until, self.ask(url, *ip)).await {
                Ok(Ok(answered)) => return Ok(answered),
                Ok(Err(error)) => error.at(*ip),
                Err(_) => Path::Unreachable { detail: format!("{ip}: no answer in time") },
            };
        }
        Err(failed)
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

/// What a CA would have met: the first IPv6 address, and the first IPv4 one if there is none or it
/// cannot be connected to. The others are kept beside it.
fn first_of(mut all: Vec<One>) -> Option<(Path, Vec<Place>)> {
    let six = all.iter().position(|one| one.place.ip.is_ipv6());
    let four = all.iter().position(|one| one.place.ip.is_ipv4());
    let connected = |at: &usize| all.get(*at).is_some_and(|one| one.connected);
    let untried = |at: &usize| {
        all.get(*at).is_some_and(|one| matches!(one.place.path, Path::NotTried { .. }))
    };
    let taken = match (six, four) {
        (Some(six), Some(four)) if connected(&six) || (untried(&four) && !untried(&six)) => six,
        (_, Some(four)) => four,
        (Some(six), None) => six,
        (None, None) => return None,
    };
    let first = all.remove(taken).place.path;
    Some((first, all.into_iter().map(|one| one.place).collect()))
}

async fn read(answered: Answered, expected: &str, redirects: u32, deadline: Instant) -> Path {
    let Answered { from, response, _connection } = answered;
    let status = response.status();
    let kept_out = keeps_out(status, response.headers());
    if status != StatusCode::OK || kept_out {
        return Path::Elsewhere { from, detail: status.to_string(), withheld: kept_out };
    }
    let Ok(beginning) = timeout_at(deadline, beginning(response.into_body())).await else {
        let detail = "200 and then nothing".to_owned();
        return Path::Elsewhere { from, detail, withheld: false };
    };
    let text = beginning.unwrap_or_default();
    if text.trim_ascii() == expected.as_bytes() {
        return Path::Answered { from, redirects };
    }
    let withheld = is_challenge_page(&text);
    let detail = if withheld {
        "200 with a page for people to prove that they are some"
    } else {
        "200 with another answer than an edge of this platform gives"
    };
    Path::Elsewhere { from, detail: detail.to_owned(), withheld }
}

/// The first bytes of a body, one more than an edge's answer may have; `None`: it broke off.
async fn beginning(mut body: Incoming) -> Option<Vec<u8>> {
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.ok()?.into_data() {
            read.extend_from_slice(&data);
        }
        if read.len() > BODY_BYTES_MAX {
            read.truncate(BODY_BYTES_MAX + 1);
            break;
        }
    }
    Some(read)
}

/// What firewalls, rate limits and content delivery networks answer to a machine that they do not
/// know, and servers in trouble to anybody: it says nothing about what a CA is told.
fn keeps_out(status: StatusCode, headers: &HeaderMap) -> bool {
    let told = matches!(
        status,
        StatusCode::UNAUTHORIZED
            | StatusCode::FORBIDDEN
            | StatusCode::PROXY_AUTHENTICATION_REQUIRED
            | StatusCode::REQUEST_TIMEOUT
            | StatusCode::TOO_MANY_REQUESTS
    );
    told || status.is_server_error()
        || CHALLENGE_HEADERS.iter().any(|name| headers.contains_key(*name))
}

fn is_challenge_page(text: &[u8]) -> bool {
    let lower = String::from_utf8_lossy(text).to_ascii_lowercase();
    CHALLENGE_WORDS.iter().any(|word| lower.contains(word))
}

/// Cut to a line of a report.
fn bounded(text: &str) -> String {
    let text = bounded_detail(text);
    if text.chars().count() <= 120 { text } else { text.chars().take(119).chain(['…']).collect() }
}

impl FetchError {
    /// What it says of the address. No way from here to it, as on a machine without IPv6, is no
    /// word about what is there.
    fn at(&self, ip: IpAddr) -> Path {
        let no_way = matches!(
            self,
            Self::Io(error) if matches!(
                error.kind(),
                std::io::ErrorKind::NetworkUnreachable | std::io::ErrorKind::AddrNotAvailable
            )
        );
        if no_way {
            return Path::NotTried { why: format!("this machine has no way to {ip}: {self}") };
        }
        Path::Unreachable { detail: bounded(&format!("{ip}: {self}")) }
    }
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
