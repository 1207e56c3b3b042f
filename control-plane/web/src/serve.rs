//! Serves connections as they come, HTTP/1.1 and HTTP/2.

use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use futures::{Stream, StreamExt as _};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tower::Layer as _;

use super::{Acceptor, Connection};

/// How long a connection may take to send a request's head; a silent one is closed after it.
/// Longer than Envoy leaves a connection idle between two requests in any set-up of ours.
const HEAD_WITHIN: Duration = Duration::from_secs(120);
/// Most requests one HTTP/2 connection may have open.
const STREAMS_MAX: u32 = 1024;
/// How often a silent HTTP/2 peer is asked whether it is still there, and how long it may take.
const PING_EVERY: Duration = Duration::from_secs(30);
const PONG_WITHIN: Duration = Duration::from_secs(10);

/// Bounds of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// Most connections at a time; further ones wait to be accepted.
    pub most: usize,
    /// How long open requests may take after the listener was told to stop.
    pub drain: Duration,
}

impl Default for Connections {
    /// 4,096 connections, 5 s.
    fn default() -> Self {
        Self { most: 4096, drain: Duration::from_secs(5) }
    }
}

/// Each request carries the [`Peer`](sealwax_xds::Peer) that sent it. Serves until `stop` is
/// cancelled; then finishes open requests and returns.
pub async fn serve(
    listener: impl Into<Acceptor>,
    router: Router,
    connections: Connections,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(connections.most));
    let open = GracefulShutdown::new();
    let builder = builder();
    let mut incoming = listener.into().connections().boxed();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = next(&mut incoming, &places) => accepted,
        };
        let Some((stream, place)) = accepted else { break };
        let service = Extension(stream.peer().clone()).layer(router.clone());
        let service = TowerToHyperService::new(service);
        let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
        let watched = open.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = watched.await {
                tracing::debug!(%error, "a connection ended with an error");
            }
            drop(place);
        });
    }
    drop(incoming);
    if tokio::time::timeout(connections.drain, open.shutdown()).await.is_err() {
        tracing::warn!("connections were still open when the time to drain them was over");
    }
}

/// The next connection, when there is a place for it.
async fn next(
    incoming: &mut (impl Stream<Item = Connection> + Unpin),
    places: &Arc<Semaphore>,
) -> Option<(Connection, OwnedSemaphorePermit)> {
    // Never closed, so this fails never.
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    incoming.next().await.map(|connection| (connection, place))
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PONG_WITHIN);
    builder
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::net::TcpListener;
    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn a_stop_finishes_open_requests_and_takes_no_new_ones() {
        let (entered, leave) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (enters, leaves) = (Arc::clone(&entered), Arc::clone(&leave));
        let slow = async move || {
            enters.notify_one();
            leaves.notified().await;
            "done"
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let router = Router::new().route("/", get(slow));
        let served = tokio::spawn(serve(listener, router, Connections::default(), stop.clone()));
        let url = format!("http://{address}/");
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let open = tokio::spawn(client.get(url.clone()).send());
        entered.notified().await;
        stop.cancel();
        leave.notify_one();
        assert_eq!(open.await.unwrap().unwrap().text().await.unwrap(), "done");
        served.await.unwrap();
        assert!(client.get(url).send().await.unwrap_err().is_connect());
    }

    #[tokio::test]
    async fn both_versions_of_http_are_spoken() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let router = Router::new().route("/", get(async || "here"));
        let served = tokio::spawn(serve(listener, router, Connections::default(), stop.clone()));
        let plain = reqwest::Client::builder().no_proxy();
        let two = reqwest::Client::builder().no_proxy().http2_prior_knowledge();
        for (client, version) in [(plain, http::Version::HTTP_11), (two, http::Version::HTTP_2)] {
            let answer = client.build().unwrap().get(&url).send().await.unwrap();
            assert_eq!((answer.status().as_u16(), answer.version()), (200, version));
        }
        stop.cancel();
        served.await.unwrap();
    }
}
