//! What the keys of `[xds]` and `[edge]` are read into.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use sealwax_protocol::DomainName;

use super::allowed::{Allowed, Read};

/// What a Unix socket's path is written behind.
const UNIX: &str = "unix:";
/// Longest path a Unix socket can have (`sun_path` less its end).
const UNIX_PATH_BYTES_MAX: usize = 107;
/// Most certificates an edge can be given.
pub(super) const BUDGET_MAX: u64 = 10_000_000;

/// Where a listener is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// TCP.
    Address(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// The files of mutual TLS, all PEM; read again when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The control plane's certificate, with its chain.
    pub cert_file: PathBuf,
    /// Its private key.
    pub key_file: PathBuf,
    /// The roots of the edges' certificates.
    pub client_ca_file: PathBuf,
}

impl Listen {
    /// Other machines can reach it.
    #[must_use]
    pub fn is_exposed(&self) -> bool {
        matches!(self, Self::Address(address) if !address.ip().is_loopback())
    }

    /// The same place; port 0 is another one each time.
    pub(super) fn is(&self, other: &Self) -> bool {
        self == other && !matches!(self, Self::Address(address) if address.port() == 0)
    }
}

impl From<SocketAddr> for Listen {
    fn from(address: SocketAddr) -> Self {
        Self::Address(address)
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

impl Read for Listen {
    fn read(text: &str, allowed: Allowed) -> Option<Self> {
        match text.strip_prefix(UNIX) {
            None => SocketAddr::read(text, allowed).map(Self::Address),
            Some(path) => unix_path(path).map(|path| Self::Unix(path.to_owned())),
        }
    }
}

/// A path a Unix socket can have.
pub fn unix_path(text: &str) -> Option<&Path> {
    let good = (1..=UNIX_PATH_BYTES_MAX).contains(&text.len()) && !text.contains('\0');
    good.then(|| Path::new(text))
}

impl Read for Vec<DomainName> {
    fn read(text: &str, _: Allowed) -> Option<Self> {
        text.split(',').map(|zone| DomainName::parse(zone.trim()).ok()).collect()
    }
}

/// `NODE_ID=NUMBER`, each node once.
impl Read for BTreeMap<String, usize> {
    fn read(text: &str, _: Allowed) -> Option<Self> {
        let mut budgets = Self::new();
        for (node_id, number) in per_edge(text)? {
            let number = u64::read(number, Allowed::Integer { min: 1, max: BUDGET_MAX })?;
            if budgets.insert(node_id.to_owned(), usize::try_from(number).ok()?).is_some() {
                return None;
            }
        }
        Some(budgets)
    }
}

/// `NODE_ID=TEXT`, a node as often as it has texts.
impl Read for BTreeMap<String, Vec<String>> {
    fn read(text: &str, _: Allowed) -> Option<Self> {
        let mut texts = Self::new();
        for (node_id, text) in per_edge(text)? {
            texts.entry(node_id.to_owned()).or_default().push(text.to_owned());
        }
        Some(texts)
    }
}

fn per_edge(text: &str) -> Option<Vec<(&str, &str)>> {
    let entry = |text| {
        let (node_id, value) = str::split_once(text, '=')?;
        (!node_id.is_empty() && !value.is_empty()).then_some((node_id, value))
    };
    text.split(',').map(str::trim).map(entry).collect()
}
