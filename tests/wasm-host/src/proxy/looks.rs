//! What a test can look at.

use super::Proxy;
use crate::error::HostError;

impl Proxy {
    /// Nanoseconds since 1970.
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        self.shared().now_ns
    }

    /// Fuel used by what the worker did last: a request's callbacks, with those of a reply; a
    /// stream's end; a callout's answer; a tick. The same work uses the same fuel on every
    /// machine.
    #[must_use]
    pub fn fuel(&self, worker: usize) -> u64 {
        self.workers.get(worker).map_or(0, |worker| worker.instance.fuel)
    }

    /// Bytes of a worker's linear memory.
    #[must_use]
    pub fn memory_bytes(&self, worker: usize) -> usize {
        self.workers.get(worker).map_or(0, |worker| worker.instance.memory_bytes())
    }

    /// Why a worker's instance is broken, if it is.
    #[must_use]
    pub fn trap(&self, worker: usize) -> Option<HostError> {
        self.workers.get(worker)?.instance.broken.clone()
    }

    /// How often a worker's instance called a hostcall.
    #[must_use]
    pub fn calls(&self, worker: usize, function: &str) -> u64 {
        let worker = self.workers.get(worker);
        worker
            .and_then(|worker| worker.instance.state().calls.get(function).copied())
            .unwrap_or_default()
    }

    /// The lines a worker's instance logged, with their levels.
    #[must_use]
    pub fn logs(&self, worker: usize) -> Vec<(u32, String)> {
        let worker = self.workers.get(worker);
        worker.map(|worker| worker.instance.state().logs.clone()).unwrap_or_default()
    }

    /// A counter's or gauge's value, or a histogram's last sample. `None`: not defined.
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<u64> {
        let shared = self.shared();
        shared.metrics.iter().find(|metric| metric.name == name).map(|metric| metric.value)
    }

    /// How many samples a histogram has.
    #[must_use]
    pub fn samples(&self, name: &str) -> u64 {
        let shared = self.shared();
        let metric = shared.metrics.iter().find(|metric| metric.name == name);
        metric.map_or(0, |metric| metric.samples)
    }

    /// The names of all metrics.
    #[must_use]
    pub fn metric_names(&self) -> Vec<String> {
        self.shared().metrics.iter().map(|metric| metric.name.clone()).collect()
    }

    /// A value of shared data.
    #[must_use]
    pub fn shared_data(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.shared().data(key).map(|(value, _)| value)
    }

    /// Overwrites a value of shared data, as another guest of the VM id could.
    pub fn set_shared_data(&mut self, key: &[u8], value: &[u8]) {
        self.shared().set_data(key, value, 0);
    }

    /// All keys of shared data.
    #[must_use]
    pub fn shared_keys(&self) -> Vec<Vec<u8>> {
        self.shared().keys()
    }
}
