//! How a proxy is set up.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::observed::Fault;

/// What a trap means for later requests (Envoy's `failure_policy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailurePolicy {
    /// The worker answers every request with 503 from then on.
    Closed,
    /// Requests pass the filter by.
    Open,
    /// The next request gets a new instance, if the last one is older than
    /// [`Settings::reload_backoff`]; else it gets 503.
    Reload,
}

/// The proxy around the guest.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The plugin's configuration, as `proxy_on_configure` reads it.
    pub configuration: Vec<u8>,
    /// The VM's configuration, as `proxy_on_vm_start` reads it.
    pub vm_configuration: Vec<u8>,
    /// Threads, each with an instance of its own.
    pub workers: usize,
    /// Clusters that callouts may name.
    pub clusters: BTreeSet<String>,
    /// Attributes of every connection; their path's parts are joined by NUL. Streams may have
    /// more of their own.
    pub properties: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What happens after a trap.
    pub failure_policy: FailurePolicy,
    /// Youngest age of an instance that may be replaced. Envoy's default is 1 s, with jitter.
    pub reload_backoff: Duration,
    /// Linear memory of one instance, in bytes. Envoy's V8 has 1 GiB.
    pub memory_bytes_max: usize,
    /// Fuel for one callback. Using it up is a trap.
    pub fuel_per_callback: u64,
    /// What `proxy_get_log_level` answers: 0 trace to 5 critical.
    pub log_level: u32,
    /// Hostcalls that fail in every instance, from its start.
    pub faults: Vec<Fault>,
    /// Wall-clock time at the start, in nanoseconds since 1970.
    pub started_ns: u64,
}

/// 2027-01-15T08:00:00Z.
const STARTED_NS: u64 = 1_800_000_000_000_000_000;

impl Settings {
    /// One worker, no clusters, FAIL_CLOSED, 1 GiB, and fuel for about a second.
    #[must_use]
    pub fn new(configuration: impl Into<Vec<u8>>) -> Self {
        Self {
            configuration: configuration.into(),
            vm_configuration: Vec::new(),
            workers: 1,
            clusters: BTreeSet::new(),
            properties: BTreeMap::new(),
            failure_policy: FailurePolicy::Closed,
            reload_backoff: Duration::from_secs(1),
            memory_bytes_max: 1 << 30,
            fuel_per_callback: 1_000_000_000,
            log_level: 2,
            faults: Vec::new(),
            started_ns: STARTED_NS,
        }
    }

    /// With this many workers.
    #[must_use]
    pub const fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// With a cluster that callouts may name.
    #[must_use]
    pub fn cluster(mut self, name: &str) -> Self {
        self.clusters.insert(name.to_owned());
        self
    }

    /// With an attribute of every connection; `path` has its parts joined by NUL.
    #[must_use]
    pub fn property(mut self, path: &str, value: impl Into<Vec<u8>>) -> Self {
        self.properties.insert(path.as_bytes().to_vec(), value.into());
        self
    }

    /// With hostcalls that fail from the start.
    #[must_use]
    pub fn fault(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    /// With a failure policy.
    #[must_use]
    pub const fn failure_policy(mut self, policy: FailurePolicy) -> Self {
        self.failure_policy = policy;
        self
    }
}
