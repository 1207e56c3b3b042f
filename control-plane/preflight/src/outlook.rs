//! [`Preflight`] over real name servers and connections.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sealwax_core::preflight::{Address, Findings, Looked, Network, Path, Preflight};
use sealwax_core::{Span, Timestamp};
use sealwax_protocol::DomainName;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::dns::Dns;
use crate::edges::Edges;
use crate::fetch::{Asked, Fetcher};
use crate::tls;

/// Looks at a time: what waits for its turn beyond its deadline has seen nothing, and nothing is
/// held back for it.
const LOOKS_MAX: usize = 64;
/// How long an edge that was reached proves that this place can see the edges.
const PROOF_LIFE: Duration = Duration::from_secs(3_600);

/// How to look.
#[derive(Clone, Debug)]
pub struct OutlookSettings {
    /// Name servers that resolve; the system's if empty.
    pub resolvers: Vec<SocketAddr>,
    /// The edges' networks.
    pub edges: Vec<Network>,
    /// Hosts whose addresses are the edges'.
    pub edge_hosts: Vec<DomainName>,
    /// Where http-01 is fetched: 80, but for test CAs.
    pub port: u16,
    /// How long a look may take.
    pub timeout: Span,
}

/// Why nobody can look.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutlookError {
    /// The system says nothing about its name servers, or what it says is not understood.
    #[error("the system's name servers are not known ({0}): set [preflight] resolvers")]
    Resolver(String),
    /// The TLS library refuses its own settings.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// Looks from where this process runs.
pub struct Outlook {
    dns: Dns,
    edges: Edges,
    fetcher: Fetcher,
    timeout: Duration,
    turns: Semaphore,
    /// When an edge was reached last, and for which domain.
    reached: Mutex<Option<(Instant, DomainName)>>,
    nonces: AtomicU64,
}

impl Outlook {
    /// Gets ready; asks nobody yet.
    ///
    /// # Errors
    /// No name servers are known, or TLS cannot be set up.
    pub fn new(settings: OutlookSettings) -> Result<Self, OutlookError> {
        let OutlookSettings { resolvers, edges, edge_hosts, port, timeout } = settings;
        Ok(Self {
            dns: Dns::new(&resolvers).map_err(|error| OutlookError::Resolver(error.to_string()))?,
            edges: Edges { networks: edges, hosts: edge_hosts },
            fetcher: Fetcher { port, tls: tls::connector()? },
            timeout: timeout.duration(),
            turns: Semaphore::new(LOOKS_MAX),
            reached: Mutex::default(),
            nonces: AtomicU64::new(0),
        })
    }

    /// What the name servers say of a host's addresses: for whoever wants to know whether they can
    /// be asked.
    pub async fn addresses(&self, host: &DomainName) -> Looked<Vec<IpAddr>> {
        let (host, deadline) = (host.as_str(), Instant::now() + self.timeout);
        let (ipv4, ipv6) =
            tokio::join!(self.dns.ipv4(host, deadline), self.dns.ipv6(host, deadline));
        match (ipv4.found, ipv6.found) {
            (Looked::Found(ipv4), Looked::Found(ipv6)) => Looked::Found([ipv4, ipv6].concat()),
            (found @ Looked::Found(_), _) | (_, found @ Looked::Found(_)) => found,
            (unknown @ Looked::Unknown { .. }, _) | (_, unknown @ Looked::Unknown { .. }) => {
                unknown
            }
            (nothing @ Looked::Nothing { .. }, Looked::Nothing { .. }) => nothing,
        }
    }

    async fn look_by(&self, domain: &DomainName, now: Timestamp, deadline: Instant) -> Findings {
        let path = async {
            let (ipv4, ipv6, ours) = tokio::join!(
                self.dns.ipv4(domain.as_str(), deadline),
                self.dns.ipv6(domain.as_str(), deadline),
                self.edges.known(&self.dns, deadline),
            );
            let aliases = if ipv4.aliases.is_empty() { ipv6.aliases } else { ipv4.aliases };
            let mark = |found: Looked<Vec<IpAddr>>| match found {
                Looked::Found(ips) => Looked::Found(
                    ips.into_iter().map(|ip| Address { ip, ours: ours.has(ip) }).collect(),
                ),
                Looked::Nothing { said } => Looked::Nothing { said },
                Looked::Unknown { detail } => Looked::Unknown { detail },
            };
            let (ipv4, ipv6) = (mark(ipv4.found), mark(ipv6.found));
            let known = |looked: &Looked<Vec<Address>>| {
                looked.found().into_iter().flatten().map(|address| address.ip).collect::<Vec<_>>()
            };
            let addresses = [known(&ipv6), known(&ipv4)].concat();
            // Different in each look and each process, so that no cache answers for an edge.
            let nonce = self.nonces.fetch_add(1, Ordering::Relaxed) ^ now.millis().rotate_left(20);
            let asked = Asked { dns: &self.dns, ours: &ours, domain, nonce, deadline };
            let fetched = self.fetcher.fetch(&asked, &addresses).await;
            (ipv4, ipv6, aliases, fetched)
        };
        let ((ipv4, ipv6, aliases, (path, also)), caa) =
            tokio::join!(path, self.dns.caa(domain.as_str(), deadline));
        let vantage_proven = self.proven_without(domain);
        if let Path::Answered { .. } = path {
            self.remember(domain);
        }
        Findings { at: now, ipv4, ipv6, aliases, caa, path, also, vantage_proven }
    }

    /// Another domain's edge was reached lately.
    fn proven_without(&self, domain: &DomainName) -> bool {
        let reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        reached.as_ref().is_some_and(|(at, by)| by != domain && at.elapsed() < PROOF_LIFE)
    }

    fn remember(&self, domain: &DomainName) {
        let mut reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        *reached = Some((Instant::now(), domain.clone()));
    }
}

#[async_trait]
impl Preflight for Outlook {
    async fn look(&self, domain: &DomainName, now: Timestamp) -> Option<Findings> {
        let deadline = Instant::now() + self.timeout;
        let Ok(Ok(_turn)) = timeout_at(deadline, self.turns.acquire()).await else {
            tracing::debug!(%domain, "too many domains are looked at; not this one");
            return None;
        };
        Some(self.look_by(domain, now, deadline).await)
    }
}
