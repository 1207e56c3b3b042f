//! Measures what edges ask the catalog, and counts the handshakes that are held.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use moka::sync::Cache;
use sealwax_core::Clock;
use sealwax_protocol::DomainName;
use sealwax_xds::{CertificateSource, Lookup, Removed};
use tokio::time::Instant;

use super::Metrics;
use super::names::{LOOKUP_SECONDS, LOOKUPS};
use crate::traces::Traces;
use crate::trail::Trail;

/// Most held names counted: what one edge may be subscribed to.
const HELD_MAX: u64 = 1_000_000;

/// A source of certificates, measured.
pub struct MeteredSource {
    inner: Arc<dyn CertificateSource>,
    metrics: Metrics,
    held: Held,
    clock: Arc<dyn Clock>,
    trail: Trail,
    traces: Traces,
}

/// The names whose handshakes are held. Cheap to clone.
#[derive(Clone)]
pub(super) struct Held(Cache<DomainName, ()>);

impl Held {
    fn new(max_wait: Duration) -> Self {
        Self(Cache::builder().max_capacity(HELD_MAX).time_to_live(max_wait).build())
    }

    pub(super) fn count(&self) -> u64 {
        self.0.run_pending_tasks();
        self.0.entry_count()
    }
}

impl MeteredSource {
    /// In front of `inner`. A handshake is held for at most `max_wait`.
    #[must_use]
    pub fn new(
        inner: Arc<dyn CertificateSource>,
        metrics: Metrics,
        max_wait: Duration,
        clock: Arc<dyn Clock>,
        trail: Trail,
    ) -> Self {
        let traces = Traces::default();
        Self { inner, metrics, held: Held::new(max_wait), clock, trail, traces }
    }

    /// Telling these traces too.
    #[must_use]
    pub fn traced(self, traces: Traces) -> Self {
        Self { traces, ..self }
    }

    pub(super) fn held(&self) -> Held {
        self.held.clone()
    }
}

const fn answer(lookup: &Lookup) -> &'static str {
    match lookup {
        Lookup::Ready(_) => "ready",
        Lookup::Pending => "pending",
        Lookup::Absent => "absent",
        Lookup::Missing => "missing",
        Lookup::Unavailable => "unavailable",
    }
}

#[async_trait]
impl CertificateSource for MeteredSource {
    async fn lookup(&self, node_id: &str, name: &DomainName) -> Lookup {
        let (started, asked) = (Instant::now(), self.clock.now());
        self.traces.asking(name, node_id, asked);
        let lookup = self.inner.lookup(node_id, name).await;
        let answer = answer(&lookup);
        self.metrics.count(&LOOKUPS, &["asked", answer], 1);
        self.metrics.observe(&LOOKUP_SECONDS, &[answer], started.elapsed().as_secs_f64());
        match lookup {
            // Its time runs from the first answer: a later one must not start it over.
            Lookup::Pending | Lookup::Unavailable => {
                self.held.0.entry_by_ref(name).or_insert(());
                // Without the store anyone's name may be asked for: only known ones are noted.
                if matches!(lookup, Lookup::Pending) {
                    self.trail.asked(name, asked, &format!("a handshake at {node_id}"));
                }
                self.traces.held(name, asked, answer);
            }
            Lookup::Ready(_) => {
                self.held.0.invalidate(name);
                self.traces.found(name);
            }
            Lookup::Absent | Lookup::Missing => {
                self.held.0.invalidate(name);
                self.traces.absent(name);
            }
        }
        lookup
    }

    fn peek(&self, node_id: &str, name: &DomainName) -> Option<Lookup> {
        let lookup = self.inner.peek(node_id, name)?;
        self.metrics.count(&LOOKUPS, &["memory", answer(&lookup)], 1);
        if matches!(lookup, Lookup::Ready(_)) {
            self.traces.found(name);
        }
        Some(lookup)
    }

    async fn removed(&self, name: &DomainName, version: &str) -> Removed {
        self.inner.removed(name, version).await
    }

    fn rejected(&self, name: &DomainName, version: &str, node_id: &str, detail: &str) {
        self.inner.rejected(name, version, node_id, detail);
        self.traces.rejected(name, node_id);
    }

    fn delivered(&self, name: &DomainName, version: &str, node_id: &str) {
        self.inner.delivered(name, version, node_id);
        self.trail.note(name, self.clock.now(), "certificate.delivered", node_id);
        self.traces.delivered(name, node_id);
    }
}
