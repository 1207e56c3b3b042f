//! Where the figures are kept until Prometheus fetches them.

use std::collections::HashMap;
use std::sync::Arc;

use prometheus::{
    GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, TextEncoder,
};

use super::names::{ALL, Counter, Described, Gauge, Histogram, Kind};

/// The process's metrics. Cheap to clone. Bounded: a family grows with its labels' values, and
/// those are closed sets.
#[derive(Clone)]
pub struct Metrics {
    shared: Arc<Shared>,
}

struct Shared {
    registry: Registry,
    families: HashMap<&'static str, Family>,
}

enum Family {
    Counter(IntCounterVec),
    Gauge(GaugeVec),
    Histogram(HistogramVec),
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All metrics, none with a figure yet.
    #[must_use]
    pub fn new() -> Self {
        let registry = Registry::new();
        let mut families = HashMap::new();
        for described in ALL {
            match Family::new(described, &registry) {
                Ok(family) => {
                    families.insert(described.name, family);
                }
                // A test makes sure of each.
                Err(error) => tracing::error!(name = described.name, %error, "not a metric"),
            }
        }
        Self { shared: Arc::new(Shared { registry, families }) }
    }

    /// Adds to a counter.
    pub fn count(&self, counter: &Counter, labels: &[&str], more: u64) {
        if let Some(Family::Counter(family)) = self.shared.families.get(counter.0.name)
            && let Ok(one) = family.get_metric_with_label_values(labels)
        {
            one.inc_by(more);
        }
    }

    /// Sets a level.
    pub fn set(&self, gauge: &Gauge, labels: &[&str], level: f64) {
        if let Some(Family::Gauge(family)) = self.shared.families.get(gauge.0.name)
            && let Ok(one) = family.get_metric_with_label_values(labels)
        {
            one.set(level);
        }
    }

    /// Sets a level that is a count.
    pub fn set_count(&self, gauge: &Gauge, labels: &[&str], level: usize) {
        // Exact up to 2^32, which no count here reaches; saturates there.
        self.set(gauge, labels, f64::from(u32::try_from(level).unwrap_or(u32::MAX)));
    }

    /// Notes a duration, in seconds.
    pub fn observe(&self, histogram: &Histogram, labels: &[&str], seconds: f64) {
        if let Some(Family::Histogram(family)) = self.shared.families.get(histogram.0.name)
            && let Ok(one) = family.get_metric_with_label_values(labels)
        {
            one.observe(seconds);
        }
    }

    /// Forgets a gauge's levels, before it is set anew for what there is now.
    pub fn clear(&self, gauge: &Gauge) {
        if let Some(Family::Gauge(family)) = self.shared.families.get(gauge.0.name) {
            family.reset();
        }
    }

    /// Prometheus' text format, version 0.0.4.
    #[must_use]
    pub fn text(&self) -> String {
        let families = self.shared.registry.gather();
        TextEncoder::new().encode_to_string(&families).unwrap_or_else(|error| {
            tracing::error!(%error, "the metrics cannot be written");
            String::new()
        })
    }
}

impl Family {
    fn new(described: &Described, registry: &Registry) -> prometheus::Result<Self> {
        let opts = Opts::new(described.name, described.about);
        Ok(match described.kind {
            Kind::Counter => {
                let family = IntCounterVec::new(opts, described.labels)?;
                registry.register(Box::new(family.clone()))?;
                Self::Counter(family)
            }
            Kind::Gauge => {
                let family = GaugeVec::new(opts, described.labels)?;
                registry.register(Box::new(family.clone()))?;
                Self::Gauge(family)
            }
            Kind::Histogram(buckets) => {
                let opts = HistogramOpts::from(opts).buckets(buckets.to_vec());
                let family = HistogramVec::new(opts, described.labels)?;
                registry.register(Box::new(family.clone()))?;
                Self::Histogram(family)
            }
        })
    }
}
