//! A TCP proxy a test can cut: the wire between two parts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use anyhow::Result;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::Port;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wire {
    Passes,
    HoldsAnswers,
    Holds,
    Cut,
}

/// Connections numbered below it are silent: what is sent on them is swallowed.
type Frozen = Arc<AtomicUsize>;

#[derive(Debug, Default)]
struct Seen {
    connections: AtomicUsize,
    bytes: AtomicU64,
}

/// Forwards connections to another address, until told otherwise.
#[derive(Debug)]
pub struct TcpProxy {
    port: Port,
    wire: watch::Sender<Wire>,
    seen: Arc<Seen>,
    frozen: Frozen,
    _connections: JoinSet<()>,
}

impl TcpProxy {
    /// A proxy on a free port that passes everything on to `target`.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(target: SocketAddr) -> Result<Self> {
        Self::start_on(Port::free()?, target).await
    }

    /// The same on a port chosen before.
    ///
    /// # Errors
    /// The port is taken.
    pub async fn start_on(port: Port, target: SocketAddr) -> Result<Self> {
        let listener = port.listen().await?;
        let (wire, state) = watch::channel(Wire::Passes);
        let seen = Arc::new(Seen::default());
        let mut connections = JoinSet::new();
        let frozen = Frozen::default();
        let wires = Wires { target, wire: state, seen: Arc::clone(&seen), frozen: frozen.clone() };
        connections.spawn(accept(listener, wires));
        Ok(Self { port, wire, seen, frozen, _connections: connections })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Connections accepted so far.
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.seen.connections.load(Ordering::Relaxed)
    }

    /// Bytes forwarded so far, both ways together.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.seen.bytes.load(Ordering::Relaxed)
    }

    /// New connections are forwarded; those held go on.
    pub fn pass(&self) {
        self.wire.send_replace(Wire::Passes);
    }

    /// New connections are accepted and nothing is forwarded; those open stay as they are.
    pub fn hold(&self) {
        self.wire.send_replace(Wire::Holds);
    }

    /// Everything is forwarded but what the target says, which waits for [`Self::pass`].
    pub fn hold_answers(&self) {
        self.wire.send_replace(Wire::HoldsAnswers);
    }

    /// Open connections go silent, as a firewall that forgot them leaves them: they stay open, and
    /// nothing gets through any more. New ones are forwarded.
    pub fn freeze(&self) {
        self.frozen.store(self.accepted(), Ordering::Relaxed);
    }

    /// Open connections end, new ones end at once.
    pub fn cut(&self) {
        self.wire.send_replace(Wire::Cut);
    }
}

/// What a connection needs to know.
#[derive(Clone)]
struct Wires {
    target: SocketAddr,
    wire: watch::Receiver<Wire>,
    seen: Arc<Seen>,
    frozen: Frozen,
}

async fn accept(listener: TcpListener, wires: Wires) {
    // Dropping the set, as dropping the proxy does, ends every connection.
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            Ok((client, _)) = listener.accept() => {
                let number = wires.seen.connections.fetch_add(1, Ordering::Relaxed);
                open.spawn(forward(client, number, wires.clone()));
            }
            Some(_) = open.join_next() => {}
        }
    }
}

async fn forward(mut client: TcpStream, number: usize, mut wires: Wires) {
    let state = wires.wire.wait_for(|wire| *wire != Wire::Holds).await.map(|wire| *wire);
    if !matches!(state, Ok(Wire::Passes | Wire::HoldsAnswers)) {
        return;
    }
    let Ok(mut server) = TcpStream::connect(wires.target).await else {
        return;
    };
    let (mut client_reads, mut client_writes) = client.split();
    let (mut server_reads, mut server_writes) = server.split();
    let way = Way { number, seen: &wires.seen, frozen: &wires.frozen };
    let answers = wires.wire.clone();
    let both = async {
        tokio::join!(
            way.carry(&mut client_reads, &mut server_writes, None),
            way.carry(&mut server_reads, &mut client_writes, Some(answers)),
        )
    };
    tokio::select! {
        // How either side ended is theirs to judge: both see the connection close.
        _ = both => {}
        _ = wires.wire.wait_for(|wire| *wire == Wire::Cut) => {}
    }
}

/// One connection's traffic.
struct Way<'a> {
    number: usize,
    seen: &'a Seen,
    frozen: &'a AtomicUsize,
}

impl Way<'_> {
    async fn carry(
        &self,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
        mut answers: Option<watch::Receiver<Wire>>,
    ) -> std::io::Result<()> {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let count = from.read(&mut buffer).await?;
            if let Some(wire) = &mut answers {
                // The proxy is gone, and with it this connection.
                drop(wire.wait_for(|wire| *wire != Wire::HoldsAnswers).await);
            }
            if self.number < self.frozen.load(Ordering::Relaxed) {
                if count == 0 {
                    std::future::pending::<()>().await;
                }
                continue;
            }
            if count == 0 {
                return to.shutdown().await;
            }
            to.write_all(buffer.get(..count).unwrap_or_default()).await?;
            self.seen.bytes.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }
}
