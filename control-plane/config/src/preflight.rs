//! `[preflight]`

use std::net::{IpAddr, SocketAddr};

use sealwax_core::Span;
use sealwax_core::preflight::Network;

use super::allowed::{Allowed, Read};
use super::reader::Reader;
use super::{Issuer, keys, loopback};

/// Where name servers are asked.
const DNS_PORT: u16 = 53;

/// `[preflight]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preflight {
    /// Look at all.
    pub enabled: bool,
    /// Name servers; the system's if empty.
    pub resolvers: Vec<SocketAddr>,
    /// Networks of the edges, beside `[edge] public`.
    pub edges: Vec<Network>,
    /// Where http-01 is fetched.
    pub port: u16,
    /// How long a look may take.
    pub timeout: Span,
}

/// A CA on this machine is a test's, and resolves names in a way of its own.
pub(super) fn read(reader: &mut Reader, issuers: Option<&[Issuer]>) -> Option<Preflight> {
    let enabled = reader.optional(&keys::PREFLIGHT_ENABLED, None);
    let resolvers = reader.optional(&keys::PREFLIGHT_RESOLVERS, None);
    let edges = reader.optional(&keys::PREFLIGHT_EDGES, None);
    let port = reader.get(&keys::PREFLIGHT_PORT, None);
    let timeout = reader.get(&keys::PREFLIGHT_TIMEOUT, None);
    let real = issuers?.iter().any(|issuer| !loopback(&issuer.directory));
    Some(Preflight {
        enabled: enabled?.unwrap_or(real),
        resolvers: resolvers?.unwrap_or_default(),
        edges: edges?.unwrap_or_default(),
        port: u16::try_from(port?).ok()?,
        timeout: timeout?,
    })
}

impl Read for Vec<Network> {
    fn read(text: &str, _: Allowed) -> Option<Self> {
        text.split(',').map(|network| network.trim().parse().ok()).collect()
    }
}

impl Read for Vec<SocketAddr> {
    fn read(text: &str, _: Allowed) -> Option<Self> {
        let one = |text: &str| {
            let bare = || text.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, DNS_PORT));
            text.parse().ok().or_else(bare)
        };
        text.split(',').map(|server| one(server.trim())).collect()
    }
}
