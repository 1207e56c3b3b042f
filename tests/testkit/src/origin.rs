//! The application behind Envoy: says which host and path it was asked for.

use std::convert::Infallible;
use std::net::SocketAddr;

use anyhow::Result;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::Port;

/// A small HTTP server. Every path is found.
#[derive(Debug)]
pub struct Origin {
    port: Port,
    _server: JoinSet<()>,
}

impl Origin {
    /// Starts it on a free port.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start() -> Result<Self> {
        let port = Port::free()?;
        let listener = port.listen().await?;
        let mut server = JoinSet::new();
        server.spawn(accept(listener));
        Ok(Self { port, _server: server })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.port.address()
    }
}

async fn accept(listener: TcpListener) {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                let connection =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
                open.spawn(async { connection.await.ok() });
            }
            Some(_) = open.join_next() => {}
        }
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let host = request.headers().get("host").and_then(|host| host.to_str().ok()).unwrap_or("?");
    // Whichever port a client came through, it is the same application.
    let host = host.split_once(':').map_or(host, |(host, _)| host);
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let body = format!("origin: {host}{path}\n");
    Ok(Response::new(Full::new(Bytes::from(body))))
}
