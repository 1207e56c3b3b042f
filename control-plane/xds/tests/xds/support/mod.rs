//! What the protocol tests share: a client that speaks as Envoy does, and a source under control.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

pub mod client;
pub mod messages;
pub mod source;

use std::io;
use std::sync::Arc;

use futures::{SinkExt as _, channel::mpsc};
use sealwax_protocol::DomainName;
use sealwax_xds::{Connection, Importance, Lookup, Peer, ServedCertificate, XdsConfig, XdsServer};
use tokio::io::DuplexStream;
use tokio_util::sync::CancellationToken;

use self::client::{Client, DELTA_ADS};
use self::source::TestSource;

/// A server on in-memory pipes: with paused time, nothing in a test depends on a real clock.
pub struct World {
    pub source: Arc<TestSource>,
    pub server: Arc<XdsServer>,
    pub shutdown: CancellationToken,
    connections: mpsc::Sender<io::Result<Connection<DuplexStream>>>,
    pub serving: tokio::task::JoinHandle<()>,
}

impl World {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(adjust: impl FnOnce(&mut XdsConfig)) -> Self {
        let mut config = XdsConfig { jitter_seed: Some(1), ..XdsConfig::default() };
        adjust(&mut config);
        let source = Arc::new(TestSource::default());
        let server = Arc::new(XdsServer::new(config, Arc::clone(&source) as _));
        let (connections, incoming) = mpsc::channel(8);
        let shutdown = CancellationToken::new();
        let serving = Arc::clone(&server).serve_connections(incoming, shutdown.clone());
        let serving = tokio::spawn(async move { serving.await.unwrap() });
        Self { source, server, shutdown, connections, serving }
    }

    pub async fn open(&mut self, path: &str) -> Client {
        self.open_as(Peer::Unproved, path).await
    }

    /// A stream of an edge whose connection proved this of it.
    pub async fn open_as(&mut self, peer: Peer, path: &str) -> Client {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        self.connections.send(Ok(Connection::new(theirs, peer))).await.unwrap();
        Client::open(ours, path).await
    }

    /// A delta stream over ADS, not yet used.
    pub async fn delta(&mut self) -> Client {
        self.open(DELTA_ADS).await
    }

    /// Gives a name a certificate and tells the server.
    pub fn issue(&self, name: &str, content: &str) -> String {
        let version = self.source.issue(name, content);
        self.server.changed(&domain(name));
        version
    }

    /// Takes a name's certificate away and tells the server.
    pub fn withdraw(&self, name: &str) {
        self.source.set(name, None);
        self.server.changed(&domain(name));
    }
}

pub fn domain(name: &str) -> DomainName {
    DomainName::parse(name).unwrap()
}

pub fn certificate(name: &str, content: &str) -> Arc<ServedCertificate> {
    let chain = format!("chain {content} of {name}");
    let key = format!("key {content} of {name}");
    Arc::new(ServedCertificate::new(&domain(name), chain.as_bytes(), key.as_bytes()).unwrap())
}

/// A certificate that stands so beside others.
pub fn important(name: &str, importance: Importance) -> Lookup {
    let certificate = ServedCertificate::new(&domain(name), b"chain", b"key").unwrap();
    Lookup::Ready(Arc::new(certificate.with_importance(importance)))
}
