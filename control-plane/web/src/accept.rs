//! Connections as they come: over TCP or a Unix socket, in clear or after a TLS handshake.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{Stream, StreamExt as _, stream};
use sealwax_xds::Peer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::tls::{Tls, peer};
use sealwax_config::Listen;

/// Rest after an accept that failed: the process may be out of file descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// Handshakes at a time; further connections wait to be accepted.
const HANDSHAKES_MAX: usize = 256;
/// How long a handshake may take.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// Who may connect to a Unix socket: its owner's user and group.
pub const SOCKET_MODE: u32 = 0o660;

/// Bytes in both directions.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<IO: AsyncRead + AsyncWrite + Send + Unpin> Duplex for IO {}

/// A connection ready to be served, and who is at its other end.
pub type Connection = sealwax_xds::Connection<Box<dyn Duplex>>;

/// A bound listener.
pub struct Acceptor {
    listener: Listener,
    tls: Option<Arc<Tls>>,
    _socket: Option<SocketFile>,
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A socket's place in the file system, given back at the end.
struct SocketFile {
    path: PathBuf,
    /// Device and inode: somebody else's socket at the same place stays.
    id: Option<(u64, u64)>,
}

impl Acceptor {
    /// Binds; `tls`: what every connection has to begin with.
    ///
    /// # Errors
    /// The place is taken or cannot be had.
    pub async fn bind(listen: &Listen, tls: Option<Arc<Tls>>) -> io::Result<Self> {
        let (listener, socket) = match listen {
            Listen::Address(address) => (Listener::Tcp(TcpListener::bind(address).await?), None),
            Listen::Unix(path) => {
                clear(path)?;
                let listener = UnixListener::bind(path)?;
                fs::set_permissions(path, fs::Permissions::from_mode(SOCKET_MODE))?;
                let socket = SocketFile { id: id(path), path: path.clone() };
                (Listener::Unix(listener), Some(socket))
            }
        };
        Ok(Self { listener, tls, _socket: socket })
    }

    /// The address, if it has one.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.listener {
            Listener::Tcp(listener) => listener.local_addr().ok(),
            Listener::Unix(_) => None,
        }
    }

    /// Every connection that comes, when it is ready. Ends never; dropping it ends the listening.
    pub fn connections(self) -> impl Stream<Item = Connection> + Send {
        let waiting = Waiting { acceptor: self, handshakes: FuturesUnordered::new() };
        stream::unfold(waiting, |mut waiting| async move {
            loop {
                if let Some(connection) = waiting.next().await {
                    return Some((connection, waiting));
                }
            }
        })
    }

    async fn accept(&self) -> io::Result<Box<dyn Duplex>> {
        match &self.listener {
            Listener::Tcp(listener) => {
                let (connection, _) = listener.accept().await?;
                // A handshake waits for each small message.
                if let Err(error) = connection.set_nodelay(true) {
                    tracing::debug!(%error, "a connection keeps its delay");
                }
                Ok(Box::new(connection))
            }
            Listener::Unix(listener) => Ok(Box::new(listener.accept().await?.0)),
        }
    }
}

impl From<TcpListener> for Acceptor {
    /// In clear.
    fn from(listener: TcpListener) -> Self {
        Self { listener: Listener::Tcp(listener), tls: None, _socket: None }
    }
}

/// Connections that are not ready yet.
struct Waiting {
    acceptor: Acceptor,
    handshakes: FuturesUnordered<BoxFuture<'static, Option<Connection>>>,
}

impl Waiting {
    async fn next(&mut self) -> Option<Connection> {
        let room = self.handshakes.len() < HANDSHAKES_MAX;
        let accepted = tokio::select! {
            Some(ended) = self.handshakes.next(), if !self.handshakes.is_empty() => return ended,
            accepted = self.acceptor.accept(), if room => accepted,
        };
        match (accepted, &self.acceptor.tls) {
            (Ok(io), None) => Some(Connection::new(io, Peer::Unproved)),
            (Ok(io), Some(tls)) => {
                self.handshakes.push(Box::pin(handshake(Arc::clone(tls), io)));
                None
            }
            (Err(error), _) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_RETRY).await;
                None
            }
        }
    }
}

async fn handshake(tls: Arc<Tls>, io: Box<dyn Duplex>) -> Option<Connection> {
    match timeout(HANDSHAKE_WITHIN, TlsAcceptor::from(tls.current()).accept(io)).await {
        Ok(Ok(io)) => {
            let peer = peer(io.get_ref().1.peer_certificates());
            Some(Connection::new(Box::new(io), peer))
        }
        Ok(Err(error)) => {
            tracing::warn!(%error, "a connection's TLS handshake failed");
            None
        }
        Err(_) => {
            tracing::debug!("a connection's TLS handshake took too long");
            None
        }
    }
}

/// Removes a socket that nobody listens on any more, as a killed process leaves behind.
fn clear(path: &Path) -> io::Result<()> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    if is_socket && std::os::unix::net::UnixStream::connect(path).is_err() {
        fs::remove_file(path)?;
    }
    Ok(())
}

fn id(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.id.is_some() && self.id == id(&self.path) && fs::remove_file(&self.path).is_err() {
            tracing::debug!(path = %self.path.display(), "a socket could not be removed");
        }
    }
}
