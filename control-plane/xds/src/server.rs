//! The server: streams come and go, the source says what changed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fmt, io};

use futures::Stream;
use futures::stream;

use sealwax_protocol::DomainName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::Connected;

use crate::brake::Brake;
use crate::edge::{Edge, EdgeView, Holdings};
use crate::index::Index;
use crate::jitter::Jitter;
use crate::service::Discovery;
use crate::subscription::Sketch;
use crate::{CertificateSource, XdsConfig};

/// Edges whose history is kept; beyond it that of disconnected ones is dropped.
const EDGES_REMEMBERED_MAX: usize = 256;
/// HTTP/2 windows: a first request of many megabytes is not slowed by round trips.
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
/// Most streams of one connection.
const STREAMS_PER_CONNECTION_MAX: u32 = 1024;
/// How long accepting pauses after it failed, as it does when file descriptors run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Why serving ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum XdsError {
    /// The transport failed as a whole.
    #[error("the xDS listener failed")]
    Transport(#[source] tonic::transport::Error),
}

/// The xDS server. Shared by `Arc`: the source's side calls [`Self::changed`], the admin API
/// [`Self::edges`], and one task runs [`Self::serve`].
pub struct XdsServer {
    pub(crate) config: XdsConfig,
    pub(crate) source: Arc<dyn CertificateSource>,
    pub(crate) index: Index,
    pub(crate) jitter: Jitter,
    pub(crate) brake: Brake,
    pub(crate) background_lookups: Semaphore,
    pub(crate) stream_slots: Arc<Semaphore>,
    streams: Mutex<HashMap<u64, Arc<Edge>>>,
    /// What edges have been asking for, by node id; outlives their streams.
    sketches: Mutex<HashMap<String, Arc<Mutex<Sketch>>>>,
    next_stream: AtomicU64,
}

impl XdsServer {
    /// A server with no streams yet.
    #[must_use]
    pub fn new(config: XdsConfig, source: Arc<dyn CertificateSource>) -> Self {
        Self {
            jitter: Jitter::new(config.jitter_seed),
            brake: Brake::new(&config),
            background_lookups: Semaphore::new(config.background_lookups.max(1)),
            stream_slots: Arc::new(Semaphore::new(config.max_streams)),
            config,
            source,
            index: Index::default(),
            streams: Mutex::default(),
            sketches: Mutex::default(),
            next_stream: AtomicU64::new(1),
        }
    }

    /// The source's answer for this name may be different now: its subscribers, and nobody else,
    /// look it up again, and push or remove. Returns at once; calling it needlessly is harmless.
    pub fn changed(&self, name: &DomainName) {
        self.index.each(name, |edge| edge.changed(name));
    }

    /// [`Self::changed`] for every name right below `zone`: the wildcard certificate of the zone
    /// may be another one now. Looks at every subscribed name, some milliseconds' work.
    pub fn changed_below(&self, zone: &DomainName) {
        self.index.each_below(zone, Edge::changed);
    }

    /// Any answer may be different now, as after a resync: every subscribed name is compared in
    /// the background.
    pub fn changed_all(&self) {
        for edge in self.streams().values() {
            edge.changed_all();
        }
    }

    /// Names that have been seen in requests lately, so that they are the last to be evicted.
    /// `node_id`: the edge that saw them, when known.
    pub fn usage(&self, node_id: Option<&str>, names: &[DomainName]) {
        for name in names {
            self.index.each(name, |edge| {
                if node_id.is_none_or(|node_id| node_id == edge.node_id) {
                    edge.used(name);
                }
            });
        }
    }

    /// Serves gRPC on a listener, until `shutdown`: then no more connections are accepted, the
    /// open streams are ended within [`XdsConfig::drain_spread`], and it returns when they are,
    /// or after [`XdsConfig::drain_timeout`].
    ///
    /// # Errors
    /// The transport failed as a whole; a failing connection only ends itself.
    pub async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        shutdown: CancellationToken,
    ) -> Result<(), XdsError> {
        self.serve_connections(incoming(listener), shutdown).await
    }

    /// [`Self::serve`] over connections that are made otherwise.
    ///
    /// # Errors
    /// As [`Self::serve`].
    pub async fn serve_connections<C>(
        self: Arc<Self>,
        connections: impl Stream<Item = io::Result<C>>,
        shutdown: CancellationToken,
    ) -> Result<(), XdsError>
    where
        C: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    {
        let config = &self.config;
        let (ping_interval, ping_timeout) = config.keepalive;
        let transport = Server::builder()
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
            .http2_keepalive_interval(Some(ping_interval))
            .http2_keepalive_timeout(Some(ping_timeout))
            // Before any of its streams ends: their successors then come on another connection,
            // and so perhaps to another replica.
            .max_connection_age(config.max_stream_age.mul_f64(0.75));
        let drained = shutdown.clone();
        let drain_timeout = config.drain_timeout;
        let discovery = Discovery { server: Arc::clone(&self), shutdown: shutdown.clone() };
        let serving = transport.serve_with_incoming_shutdown(
            discovery,
            connections,
            shutdown.cancelled_owned(),
        );
        let deadline = async move {
            drained.cancelled().await;
            tokio::time::sleep(drain_timeout).await;
        };
        tokio::select! {
            served = serving => served.map_err(XdsError::Transport),
            () = deadline => {
                tracing::warn!("xDS connections were still open when the drain ended");
                Ok(())
            }
        }
    }

    /// The connected edges, by stream.
    #[must_use]
    pub fn edges(&self) -> Vec<EdgeView> {
        let mut views: Vec<_> = self.streams().values().map(|edge| edge.view()).collect();
        views.sort_by_key(|view| view.stream_id);
        views
    }

    /// What the connected edges hold, and what of it waits to be withdrawn.
    #[must_use]
    pub fn holdings(&self) -> Holdings {
        let mut all = Holdings {
            held: self.held(),
            brakes: self.brake.engagements(),
            released_for: self.brake.released_for(Instant::now()),
            ..Holdings::default()
        };
        for edge in self.streams().values() {
            all.unknown += edge.figures.unknown.load(Ordering::Relaxed);
            all.held_back += edge.figures.held_back.load(Ordering::Relaxed);
        }
        all
    }

    /// Lets the withdrawals go that the brake holds back, for one
    /// [`XdsConfig::withdrawal_window`]; with `unknown` also those of names that the source has
    /// neither a record nor a removal of.
    pub fn release_withdrawals(&self, unknown: bool) {
        self.brake.release(Instant::now(), unknown);
        self.changed_all();
    }

    /// Lets names without a record go no more: the source may be the wrong one.
    pub fn keep_unknown(&self) {
        self.brake.keep_unknown();
    }

    /// Names with a certificate at an edge: never fewer than there are.
    pub(crate) fn held(&self) -> usize {
        let resident = |edge: &Arc<Edge>| edge.figures.resident.load(Ordering::Relaxed);
        let all: usize = self.streams().values().map(resident).sum();
        all.min(self.index.len())
    }

    /// The names that the edges connected here see most, busiest first, about: at most so many.
    /// Looks at every subscribed name, some milliseconds' work.
    #[must_use]
    pub fn busiest(&self, most: usize) -> Vec<DomainName> {
        let mut names: Vec<(u32, DomainName)> =
            self.index.names().into_iter().map(|name| (0, name)).collect();
        let sketches: Vec<_> = {
            let sketches = self.sketches.lock().unwrap_or_else(PoisonError::into_inner);
            sketches.values().map(Arc::clone).collect()
        };
        for sketch in sketches {
            let sketch = sketch.lock().unwrap_or_else(PoisonError::into_inner);
            for (seen, name) in &mut names {
                *seen += u32::from(sketch.count(name.as_str()));
            }
        }
        names.sort_by(|one, other| other.0.cmp(&one.0).then_with(|| one.1.cmp(&other.1)));
        names.truncate(most);
        names.into_iter().map(|(_, name)| name).collect()
    }

    pub(crate) fn connect(
        &self,
        node_id: String,
        budget: usize,
    ) -> (Arc<Edge>, Arc<Mutex<Sketch>>) {
        let stream_id = self.next_stream.fetch_add(1, Ordering::Relaxed);
        let sketch = self.sketch(&node_id, self.config.budget_of(&node_id));
        let edge = Arc::new(Edge::new(node_id, stream_id, budget));
        self.streams().insert(stream_id, Arc::clone(&edge));
        (edge, sketch)
    }

    fn sketch(&self, node_id: &str, budget: usize) -> Arc<Mutex<Sketch>> {
        let mut sketches = self.sketches.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sketch) = sketches.get(node_id) {
            return Arc::clone(sketch);
        }
        if sketches.len() >= EDGES_REMEMBERED_MAX {
            sketches.retain(|_, sketch| Arc::strong_count(sketch) > 1);
        }
        let sketch = Arc::new(Mutex::new(Sketch::new(budget)));
        sketches.insert(node_id.to_owned(), Arc::clone(&sketch));
        sketch
    }

    pub(crate) fn disconnect(&self, edge: &Edge) {
        self.streams().remove(&edge.stream_id);
    }

    fn streams(&self) -> MutexGuard<'_, HashMap<u64, Arc<Edge>>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for XdsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("XdsServer").field("config", &self.config).finish_non_exhaustive()
    }
}

fn incoming(listener: TcpListener) -> impl Stream<Item = io::Result<TcpStream>> {
    stream::unfold(listener, |listener| async move {
        loop {
            match listener.accept().await {
                Ok((connection, _)) => {
                    // A handshake waits for each small message.
                    let ready = connection.set_nodelay(true).map(|()| connection);
                    return Some((ready, listener));
                }
                Err(error) => {
                    tracing::warn!(%error, "an xDS connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    })
}
