//! Who is at the other end of a connection.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::server::Connected;

/// What a connection's transport has proved about its other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Nothing: a loopback or Unix socket, where the machine's own borders protect. The edge is
    /// who its node id says.
    Unproved,
    /// These names are in its client certificate. The edge is one of them or it is refused.
    Certified(Arc<[Box<str>]>),
}

impl Peer {
    /// Whether an edge may call itself this: byte for byte a name of its certificate.
    #[must_use]
    pub fn may_be(&self, node_id: &str) -> bool {
        match self {
            Self::Unproved => true,
            Self::Certified(names) => names.iter().any(|name| &**name == node_id),
        }
    }
}

/// A connection and its [`Peer`], as [`XdsServer::serve_connections`] wants them.
///
/// [`XdsServer::serve_connections`]: crate::XdsServer::serve_connections
#[derive(Debug)]
pub struct Connection<IO> {
    io: IO,
    peer: Peer,
}

impl<IO> Connection<IO> {
    /// Says who is at the other end.
    pub const fn new(io: IO, peer: Peer) -> Self {
        Self { io, peer }
    }

    /// Who is at the other end.
    pub const fn peer(&self) -> &Peer {
        &self.peer
    }
}

impl<IO> Connected for Connection<IO> {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Connection<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_read(context, buffer)
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Connection<IO> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
