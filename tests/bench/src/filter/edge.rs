//! A minimal edge API: knows one domain, and answers from memory. It answers the question of
//! `ext_authz`, whose requests are copies of the client's, by their host.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use sealwax_testkit::Port;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Longer than any run.
const MAX_AGE: &str = "max-age=3600";

/// The server.
#[derive(Debug)]
pub(super) struct Edge {
    port: Port,
    asked: Arc<Asked>,
    _server: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Asked {
    verdicts: AtomicU64,
    checks: AtomicU64,
}

#[derive(Debug)]
struct Known {
    domain: String,
    path: String,
    body: Bytes,
}

impl Edge {
    /// Starts it; `domain` is ready, nothing else is known.
    pub(super) async fn start(domain: &str) -> Result<Self> {
        let port = Port::free()?;
        let listener = TcpListener::bind(port.address()).await?;
        let body = format!(
            "{{\"domain\":\"{domain}\",\"state\":\"ready\",\"not_after\":\"2030-01-01T00:00:00Z\"}}"
        );
        let known = Arc::new(Known {
            domain: domain.to_owned(),
            path: format!("/edge/v1/certificates/{domain}"),
            body: Bytes::from(body),
        });
        let asked = Arc::new(Asked::default());
        let mut server = JoinSet::new();
        server.spawn(accept(listener, known, Arc::clone(&asked)));
        Ok(Self { port, asked, _server: server })
    }

    /// Where it listens.
    pub(super) const fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Requests for the domain's certificate so far.
    pub(super) fn verdicts(&self) -> u64 {
        self.asked.verdicts.load(Ordering::Relaxed)
    }

    /// Questions of `ext_authz` so far. The last ones of a turn come after its end: `wrk` leaves
    /// without waiting for its answers.
    pub(super) fn checks(&self) -> u64 {
        self.asked.checks.load(Ordering::Relaxed)
    }
}

async fn accept(listener: TcpListener, known: Arc<Known>, asked: Arc<Asked>) {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                stream.set_nodelay(true).ok();
                let (known, asked) = (Arc::clone(&known), Arc::clone(&asked));
                open.spawn(async move {
                    let answer = service_fn(move |request| {
                        std::future::ready(answer(&known, &asked, &request))
                    });
                    let server = auto::Builder::new(TokioExecutor::new());
                    server.serve_connection(TokioIo::new(stream), answer).await.ok();
                });
            }
            Some(_) = open.join_next() => {}
        }
    }
}

fn answer(
    known: &Known,
    asked: &Asked,
    request: &Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let host = request.uri().authority().map(|authority| authority.as_str());
    let host = host.or_else(|| request.headers().get("host")?.to_str().ok());
    let certificate = request.uri().path() == known.path;
    let count = if certificate { &asked.verdicts } else { &asked.checks };
    count.fetch_add(1, Ordering::Relaxed);
    let ready = certificate || host == Some(known.domain.as_str());
    let (status, body) = if ready {
        (200, known.body.clone())
    } else {
        (404, Bytes::from("{\"state\":\"unknown\"}"))
    };
    let answer = Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .header("cache-control", MAX_AGE)
        .body(Full::new(body));
    // The parts are constants, which make a response.
    Ok(answer.unwrap_or_default())
}
