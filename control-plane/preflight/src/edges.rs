//! Which addresses are our edges'.

use std::net::IpAddr;

use futures::future::join_all;
use sealwax_core::preflight::{Looked, Network};
use sealwax_protocol::DomainName;
use tokio::time::Instant;

use crate::dns::Dns;

/// What the configuration says about the edges.
pub(crate) struct Edges {
    pub(crate) networks: Vec<Network>,
    pub(crate) hosts: Vec<DomainName>,
}

/// What is known of the edges' addresses now.
pub(crate) struct Known {
    networks: Vec<Network>,
    /// These are all of them.
    complete: bool,
}

impl Edges {
    /// Resolves the hosts.
    pub(crate) async fn known(&self, dns: &Dns, deadline: Instant) -> Known {
        let told = !self.networks.is_empty() || !self.hosts.is_empty();
        let mut known = Known { networks: self.networks.clone(), complete: told };
        let resolved = join_all(self.hosts.iter().map(async |host| {
            let name = host.as_str();
            let (ipv4, ipv6) = tokio::join!(dns.ipv4(name, deadline), dns.ipv6(name, deadline));
            [ipv4.found, ipv6.found]
        }));
        for looked in resolved.await.into_iter().flatten() {
            match looked {
                Looked::Found(ips) => known.networks.extend(ips.into_iter().map(Network::from)),
                Looked::Nothing { .. } => {}
                Looked::Unknown { .. } => known.complete = false,
            }
        }
        known
    }
}

impl Known {
    /// Whether an address is an edge's; `None`: nobody can say.
    pub(crate) fn has(&self, ip: IpAddr) -> Option<bool> {
        let inside = self.networks.iter().any(|network| network.contains(ip));
        if inside || self.complete { Some(inside) } else { None }
    }
}
