//! Measures the looks at domains before their orders, and notes what they saw.

use std::sync::Arc;

use async_trait::async_trait;
use sealwax_core::Timestamp;
use sealwax_core::preflight::{Findings, Looked, Path, Preflight};
use sealwax_protocol::DomainName;
use tokio::time::Instant;

use super::Metrics;
use super::names::PREFLIGHT_SECONDS;
use crate::trail::Trail;

/// Whoever looks, measured.
pub struct MeteredPreflight {
    inner: Arc<dyn Preflight>,
    metrics: Metrics,
    trail: Trail,
}

impl MeteredPreflight {
    /// In front of `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn Preflight>, metrics: Metrics, trail: Trail) -> Self {
        Self { inner, metrics, trail }
    }
}

#[async_trait]
impl Preflight for MeteredPreflight {
    async fn look(&self, domain: &DomainName, now: Timestamp) -> Option<Findings> {
        let started = Instant::now();
        let findings = self.inner.look(domain, now).await;
        let seen = findings.as_ref().map_or("nothing", seen);
        self.metrics.observe(&PREFLIGHT_SECONDS, &[seen], started.elapsed().as_secs_f64());
        let findings = findings?;
        self.trail.note(domain, now, "preflight.seen", &findings.summary());
        Some(findings)
    }
}

/// Where the path of challenges led.
const fn seen(findings: &Findings) -> &'static str {
    match (&findings.path, &findings.ipv4, &findings.ipv6) {
        (Path::Answered { .. }, ..) => "edge",
        (Path::Elsewhere { withheld: true, .. }, ..) => "unknown",
        (Path::Elsewhere { .. }, ..) => "elsewhere",
        (Path::Unreachable { .. }, ..) => "unreachable",
        (Path::NotTried { .. }, Looked::Unknown { .. }, _)
        | (Path::NotTried { .. }, _, Looked::Unknown { .. }) => "unknown",
        (Path::NotTried { .. }, ..) => "no_address",
    }
}

#[cfg(test)]
mod tests;
