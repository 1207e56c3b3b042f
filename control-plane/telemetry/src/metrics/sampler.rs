//! Reads the levels that parts keep themselves: queue, edges, cache, memory.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sealwax_core::Clock;
use sealwax_workflow::Queue;
use sealwax_xds::{EdgeView, XdsServer};
use tokio_util::sync::CancellationToken;

use super::names::{
    BRAKES, BUILD, CATALOG_ENTRIES, EDGE_EVENTS, EDGE_FULLEST, EDGE_NAMES, EDGES, HELD, HELD_BACK,
    KNOWN_FILLED, KNOWN_NAMES, QUEUE_OLDEST, QUEUE_WAITING, RESIDENT, RUNS, STARTED, STRANGERS,
    WITHOUT_RECORD,
};
use super::source::Held;
use super::{MeteredSource, Metrics};
use sealwax_serving::catalog::Catalog;

/// How often the edges' figures are collected: a stream takes its figures along when it ends.
const EVERY: Duration = Duration::from_secs(1);

/// What is read.
pub struct SamplerParts {
    /// Which domain is next.
    pub queue: Queue,
    /// What may be served.
    pub catalog: Arc<Catalog>,
    /// Serves Envoy.
    pub xds: Arc<XdsServer>,
}

/// Reads levels when asked to.
pub struct Sampler {
    parts: SamplerParts,
    held: Held,
    metrics: Metrics,
    seen: Mutex<HashMap<u64, Sums>>,
    /// Strangers counted so far.
    strangers: AtomicU64,
    brakes: AtomicU64,
}

/// What a stream has sent and heard so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sums([u64; 6]);

impl Sums {
    const EVENTS: [&'static str; 6] = ["push", "removal", "eviction", "timeout", "ack", "nack"];

    const fn of(edge: &EdgeView) -> Self {
        Self([edge.pushes, edge.removals, edge.evictions, edge.timeouts, edge.acks, edge.nacks])
    }
}

impl Sampler {
    /// Over these parts.
    #[must_use]
    pub fn new(
        parts: SamplerParts,
        source: &MeteredSource,
        metrics: Metrics,
        clock: &dyn Clock,
    ) -> Self {
        metrics.set(&BUILD, &[env!("CARGO_PKG_VERSION")], 1.0);
        metrics.set_count(&STARTED, &[], usize::try_from(clock.now().secs()).unwrap_or_default());
        Self {
            parts,
            held: source.held(),
            metrics,
            seen: Mutex::default(),
            strangers: AtomicU64::new(0),
            brakes: AtomicU64::new(0),
        }
    }

    /// The metrics, as they are now.
    #[must_use]
    pub fn text(&self) -> String {
        self.sample();
        self.metrics.text()
    }

    /// Collects until told to stop.
    pub async fn serve(self: Arc<Self>, stop: CancellationToken) {
        let forever = async {
            loop {
                self.sample_edges();
                tokio::time::sleep(EVERY).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = forever => {}
        }
    }

    /// Names whose handshakes are held.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.held.count()
    }

    fn sample(&self) {
        let SamplerParts { queue, catalog, .. } = &self.parts;
        for backlog in queue.backlog() {
            let lane = [backlog.lane.as_str()];
            self.metrics.set_count(&QUEUE_WAITING, &lane, backlog.waiting);
            self.metrics.set(&QUEUE_OLDEST, &lane, backlog.oldest.as_secs_f64());
        }
        self.metrics.set_count(&RUNS, &[], queue.in_flight());
        self.metrics.set_count(&CATALOG_ENTRIES, &[], count(catalog.cached()));
        let known = catalog.registered_names();
        self.metrics.set_count(&KNOWN_NAMES, &[], known.names);
        self.metrics.set_count(&KNOWN_FILLED, &[], usize::from(known.filled));
        let before = self.strangers.fetch_max(known.refused, Ordering::Relaxed);
        self.metrics.count(&STRANGERS, &[], known.refused.saturating_sub(before));
        self.metrics.set_count(&HELD, &[], count(self.held.count()));
        if let Some(bytes) = resident() {
            self.metrics.set(&RESIDENT, &[], bytes);
        }
        self.sample_edges();
    }

    fn sample_edges(&self) {
        let edges = self.parts.xds.edges();
        self.metrics.set_count(&EDGES, &[], edges.len());
        let names = edges.iter().map(|edge| edge.resident).sum();
        self.metrics.set_count(&EDGE_NAMES, &[], names);
        let holdings = self.parts.xds.holdings();
        self.metrics.set_count(&WITHOUT_RECORD, &[], holdings.unknown);
        self.metrics.set_count(&HELD_BACK, &[], holdings.held_back);
        let before = self.brakes.swap(holdings.brakes, Ordering::Relaxed);
        self.metrics.count(&BRAKES, &[], holdings.brakes.saturating_sub(before));
        let fullest = edges.iter().map(share).fold(0.0, f64::max);
        self.metrics.set(&EDGE_FULLEST, &[], fullest);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for edge in &edges {
            let now = Sums::of(edge);
            let before = seen.insert(edge.stream_id, now).unwrap_or_default();
            for ((event, now), before) in Sums::EVENTS.iter().zip(now.0).zip(before.0) {
                self.metrics.count(&EDGE_EVENTS, &[event], now.saturating_sub(before));
            }
        }
        let open: HashSet<_> = edges.iter().map(|edge| edge.stream_id).collect();
        seen.retain(|stream, _| open.contains(stream));
    }
}

fn share(edge: &EdgeView) -> f64 {
    let held = f64::from(u32::try_from(edge.resident).unwrap_or(u32::MAX));
    held / f64::from(u32::try_from(edge.budget).unwrap_or(u32::MAX).max(1))
}

fn count(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// `VmRSS` of `/proc/self/status`, which is in KiB (proc(5)).
fn resident() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u32 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(f64::from(kib) * 1024.0)
}
