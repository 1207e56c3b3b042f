//! What all instances of one VM id have in common, and the clock.

use std::collections::{BTreeMap, VecDeque};

use crate::status::Status;

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MetricKind {
    /// Only grows.
    Counter,
    /// Is set.
    Gauge,
    /// Is sampled.
    Histogram,
}

#[derive(Debug)]
pub(crate) struct Metric {
    pub(crate) kind: MetricKind,
    pub(crate) name: String,
    pub(crate) value: u64,
    pub(crate) samples: u64,
}

#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) name: Vec<u8>,
    /// The last context that registered it; it alone hears of new items.
    pub(crate) consumer: (usize, u32),
    pub(crate) items: VecDeque<Vec<u8>>,
}

#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) now_ns: u64,
    data: BTreeMap<Vec<u8>, (Vec<u8>, u32)>,
    last_cas: u32,
    pub(crate) queues: Vec<Queue>,
    /// Consumers to tell of new items: worker, context, queue.
    pub(crate) ready: VecDeque<(usize, u32, u32)>,
    pub(crate) metrics: Vec<Metric>,
}

impl Shared {
    pub(crate) fn new(now_ns: u64) -> Self {
        Self { now_ns, ..Self::default() }
    }

    pub(crate) fn data(&self, key: &[u8]) -> Option<(Vec<u8>, u32)> {
        self.data.get(key).cloned()
    }

    /// Compare-and-swap as Envoy does it: 0 is unconditional, and so is any number for a key that
    /// is not there.
    pub(crate) fn set_data(&mut self, key: &[u8], value: &[u8], cas: u32) -> Status {
        if let Some((_, stored)) = self.data.get(key)
            && cas != 0
            && cas != *stored
        {
            return Status::CasMismatch;
        }
        self.last_cas = self.last_cas.wrapping_add(1).max(1);
        self.data.insert(key.to_vec(), (value.to_vec(), self.last_cas));
        Status::Ok
    }

    pub(crate) fn keys(&self) -> Vec<Vec<u8>> {
        self.data.keys().cloned().collect()
    }

    pub(crate) fn define_metric(&mut self, kind: u32, name: String) -> Result<u32, Status> {
        let kind = match kind {
            0 => MetricKind::Counter,
            1 => MetricKind::Gauge,
            2 => MetricKind::Histogram,
            _ => return Err(Status::BadArgument),
        };
        let known = self.metrics.iter().position(|m| m.name == name && m.kind == kind);
        let index = known.unwrap_or(self.metrics.len());
        if known.is_none() {
            self.metrics.push(Metric { kind, name, value: 0, samples: 0 });
        }
        // The low bits say the kind, as in Envoy, so ids are neither small nor dense.
        let index = u32::try_from(index).map_err(|_| Status::InternalFailure)?;
        Ok((index << 2) | kind_bits(kind))
    }

    pub(crate) fn increment_metric(&mut self, id: u32, offset: i64) -> Status {
        let Some(metric) = self.metric(id) else { return Status::NotFound };
        let magnitude = offset.unsigned_abs();
        match metric.kind {
            MetricKind::Counter if offset > 0 => metric.value += magnitude,
            MetricKind::Gauge if offset >= 0 => metric.value += magnitude,
            MetricKind::Gauge => metric.value = metric.value.saturating_sub(magnitude),
            MetricKind::Counter | MetricKind::Histogram => return Status::BadArgument,
        }
        Status::Ok
    }

    pub(crate) fn record_metric(&mut self, id: u32, value: u64) -> Status {
        let Some(metric) = self.metric(id) else { return Status::NotFound };
        match metric.kind {
            MetricKind::Counter => metric.value += value,
            MetricKind::Gauge => metric.value = value,
            MetricKind::Histogram => {
                metric.value = value;
                metric.samples += 1;
            }
        }
        Status::Ok
    }

    pub(crate) fn metric(&mut self, id: u32) -> Option<&mut Metric> {
        let index = usize::try_from(id >> 2).ok()?;
        self.metrics.get_mut(index).filter(|metric| kind_bits(metric.kind) == id & 3)
    }
}

const fn kind_bits(kind: MetricKind) -> u32 {
    match kind {
        MetricKind::Counter => 0,
        MetricKind::Gauge => 1,
        MetricKind::Histogram => 2,
    }
}
