//! Ports that stay free until the part they were chosen for listens on them.
//!
//! Parts name each other's ports in their configurations, and the control plane comes back on the
//! same ones after a kill, so "port 0" does not do. A [`Port`] is below the range that the kernel
//! hands to outgoing connections, and a lock file keeps other test programs off it.

use std::fmt;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context as _, Result, bail};

use crate::{PATIENCE, wait_until};

// Clear of the ports that parts use by default.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A loopback port nobody else takes while this value lives.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _lock: File,
}

impl Port {
    /// A port that is free for TCP and UDP on 127.0.0.1.
    ///
    /// # Errors
    /// The folder of lock files cannot be written, or every port is taken.
    pub fn free() -> Result<Self> {
        let folder = std::env::temp_dir().join("sealwax-ports");
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
        // Programs start looking at different places, so that they seldom meet.
        let start = u16::try_from(std::process::id() % u32::from(COUNT)).unwrap_or(0);
        for _ in 0..COUNT {
            let step = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
            let number = FIRST + (start + step) % COUNT;
            let path = folder.join(number.to_string());
            let lock =
                File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
            if lock.try_lock().is_ok() && is_free(number) {
                return Ok(Self { number, _lock: lock });
            }
        }
        bail!("no free port from {FIRST} to {}", FIRST + COUNT - 1)
    }

    /// Listens on it. A child that another test is just starting has a copy of the socket that
    /// tried the port, until it runs its own program: that is waited for.
    ///
    /// # Errors
    /// It stays taken.
    pub async fn listen(&self) -> Result<tokio::net::TcpListener> {
        let what = format!("port {self} to be free");
        let listen = async || tokio::net::TcpListener::bind(self.address()).await.ok();
        wait_until(&what, PATIENCE, listen).await
    }

    /// The number.
    #[must_use]
    pub const fn number(&self) -> u16 {
        self.number
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), self.number)
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number.fmt(f)
    }
}

fn is_free(number: u16) -> bool {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, number)).is_ok()
        && UdpSocket::bind((Ipv4Addr::UNSPECIFIED, number)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_held_at_once_are_different_and_bindable() {
        let ports: Vec<_> = (0..50).map(|_| Port::free().unwrap()).collect();
        let numbers: std::collections::BTreeSet<_> = ports.iter().map(Port::number).collect();
        assert_eq!(numbers.len(), 50);
        for port in &ports {
            TcpListener::bind(port.address()).unwrap();
        }
    }
}
