//! Limits and times of the server.

use std::collections::HashMap;
use std::time::Duration;

/// What [`XdsServer`](crate::XdsServer) is built from. Every field has a default that suits one
/// control plane and a handful of edges.
#[derive(Clone, Debug, PartialEq)]
pub struct XdsConfig {
    /// How long a name that is being issued, or whose store is away, may keep its handshake
    /// waiting before it is answered with a removal. Default 20 s. Envoy's own bound is the
    /// filter chain's `transport_socket_connect_timeout`, which should be a little more.
    pub max_wait: Duration,
    /// How long to wait before asking the source again after `Unavailable`. Default 500 ms.
    pub retry_after: Duration,
    /// Most certificates an edge may hold; beyond it the least useful ones are removed. Default
    /// 50,000, about 1.25 GB of Envoy's memory at the 25 KB measured per certificate.
    pub max_names_per_edge: usize,
    /// Exceptions to [`Self::max_names_per_edge`], by node id. Default none.
    pub edge_budgets: HashMap<String, usize>,
    /// How long a certificate stays with an edge after delivery, whatever the budget says: its
    /// handshake has to get through. Counted from the edge's acknowledgement. Default 250 ms.
    /// The budget may be exceeded by what is delivered in that time.
    pub eviction_grace: Duration,
    /// How long after a removal nothing is pushed for that name unless the edge asks for it:
    /// Envoy handles a removal later than it reads it, and would drop a certificate that follows
    /// closely. Default 1 s.
    pub removal_gap: Duration,
    /// Most names that may be withdrawn from edges within [`Self::withdrawal_window`], in percent
    /// of those they hold; further ones stay until the time is over or
    /// [`XdsServer::release_withdrawals`](crate::XdsServer::release_withdrawals). 100: no bound.
    /// Default 10.
    pub withdrawal_percent: usize,
    /// See [`Self::withdrawal_percent`]. Default 10 min.
    pub withdrawal_window: Duration,
    /// Names that may be withdrawn within the window, whatever their share. Default 100.
    pub withdrawal_floor: usize,
    /// Most names one stream may be subscribed to; a name beyond it is answered with a removal
    /// and forgotten. Default 1,000,000.
    pub max_subscriptions: usize,
    /// Most streams at a time; further ones are refused with `RESOURCE_EXHAUSTED`. Default 4,096.
    pub max_streams: usize,
    /// Longest request read, in bytes. Default 64 MiB: the first request after a reconnect names
    /// everything the edge holds, some 84 bytes a name.
    pub max_message_bytes: usize,
    /// Most lookups one stream may have running. Default 256.
    pub lookups_per_stream: usize,
    /// Most lookups at a time, over all streams, for comparing what reconnecting edges hold with
    /// a source that has to load it first. Default 64. Handshakes never wait for these.
    pub background_lookups: usize,
    /// When a stream is ended, so that edges spread over replicas again. Default 30 min, each
    /// stream's own value within 20 % of it.
    pub max_stream_age: Duration,
    /// HTTP/2 ping interval, and how long a ping may go unanswered. Default 30 s and 10 s.
    pub keepalive: (Duration, Duration),
    /// Over how long streams are ended on shutdown, so that not every edge comes back at once.
    /// Default 2 s.
    pub drain_spread: Duration,
    /// When the remaining connections are dropped on shutdown. Default 10 s.
    pub drain_timeout: Duration,
    /// Seeds the jitter of stream ages and drains. Default: chosen by the process.
    pub jitter_seed: Option<u64>,
}

impl Default for XdsConfig {
    fn default() -> Self {
        Self {
            max_wait: Duration::from_secs(20),
            retry_after: Duration::from_millis(500),
            max_names_per_edge: 50_000,
            edge_budgets: HashMap::new(),
            eviction_grace: Duration::from_millis(250),
            removal_gap: Duration::from_secs(1),
            withdrawal_percent: 10,
            withdrawal_window: Duration::from_secs(600),
            withdrawal_floor: 100,
            max_subscriptions: 1_000_000,
            max_streams: 4096,
            max_message_bytes: 64 * 1024 * 1024,
            lookups_per_stream: 256,
            background_lookups: 64,
            max_stream_age: Duration::from_secs(30 * 60),
            keepalive: (Duration::from_secs(30), Duration::from_secs(10)),
            drain_spread: Duration::from_secs(2),
            drain_timeout: Duration::from_secs(10),
            jitter_seed: None,
        }
    }
}

impl XdsConfig {
    /// The budget of names of one edge, at least 1.
    #[must_use]
    pub fn budget_of(&self, node_id: &str) -> usize {
        self.edge_budgets.get(node_id).copied().unwrap_or(self.max_names_per_edge).max(1)
    }
}
