//! Measures the platform's permission endpoint.

use std::sync::Arc;

use async_trait::async_trait;
use sealwax_core::permission::{Permission, Verdict};
use sealwax_protocol::DomainName;
use tokio::time::Instant;

use super::Metrics;
use super::names::PERMISSION_SECONDS;
use crate::traces::Traces;

/// A permission, measured.
pub struct MeteredPermission {
    inner: Arc<dyn Permission>,
    metrics: Metrics,
    traces: Traces,
}

impl MeteredPermission {
    /// In front of `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn Permission>, metrics: Metrics) -> Self {
        Self { inner, metrics, traces: Traces::default() }
    }

    /// Telling these traces too.
    #[must_use]
    pub fn traced(self, traces: Traces) -> Self {
        Self { traces, ..self }
    }
}

#[async_trait]
impl Permission for MeteredPermission {
    async fn ask(&self, domain: &DomainName) -> Verdict {
        let started = Instant::now();
        let step = self.traces.step(domain, "confirm");
        let verdict = self.inner.ask(domain).await;
        let answer = match verdict {
            Verdict::Granted => "granted",
            Verdict::Gone => "gone",
            Verdict::Denied => "denied",
            Verdict::Unknown { .. } => "unknown",
        };
        step.end(Ok(answer));
        self.metrics.observe(&PERMISSION_SECONDS, &[answer], started.elapsed().as_secs_f64());
        verdict
    }
}
