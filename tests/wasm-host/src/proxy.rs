//! The proxy: workers, streams, callouts and time, as a test drives them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::HostError;
use crate::hostcalls::NS_PER_MS;
use crate::instance::{Instance, ROOT};
use crate::observed::{CalloutEnd, CalloutId, CalloutRequest, Fault, Outcome, StreamId, Violation};
use crate::program::Program;
use crate::settings::{FailurePolicy, Settings};
use crate::shared::Shared;

mod looks;
mod plugins;
mod streams;

pub use plugins::PluginId;

/// One thread of the proxy.
struct Worker {
    instance: Instance,
    generation: u32,
    loaded_ns: u64,
}

/// A proxy with a guest in it. It does nothing by itself: a test sends requests, ends callouts and
/// moves the clock.
pub struct Proxy {
    program: Program,
    settings: Arc<Settings>,
    shared: Arc<Mutex<Shared>>,
    workers: Vec<Worker>,
    /// Streams the proxy answered without the guest.
    bypassed: Vec<(StreamId, Outcome)>,
    next_bypassed: u32,
}

impl Proxy {
    /// Starts a canary instance, which is configured and dropped, as Envoy does it, and then one
    /// instance for each worker.
    ///
    /// # Errors
    /// What kept the first failing instance from starting.
    pub fn start(program: &Program, settings: Settings) -> Result<Self, HostError> {
        let shared = Shared::new(settings.started_ns);
        let mut proxy = Self {
            program: program.clone(),
            settings: Arc::new(settings),
            shared: Arc::new(Mutex::new(shared)),
            workers: Vec::new(),
            bypassed: Vec::new(),
            next_bypassed: 0,
        };
        let workers = proxy.settings.workers.max(1);
        drop(proxy.instance(workers, 0)?);
        for worker in 0..workers {
            let instance = proxy.instance(worker, 0)?;
            let loaded_ns = proxy.shared().now_ns;
            proxy.workers.push(Worker { instance, generation: 0, loaded_ns });
        }
        Ok(proxy)
    }

    fn instance(&self, worker: usize, generation: u32) -> Result<Instance, HostError> {
        Instance::start(&self.program, &self.settings, &self.shared, worker, generation)
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes hostcalls fail, in every instance there is, from now on.
    pub fn inject(&mut self, fault: &Fault) {
        for worker in &mut self.workers {
            worker.instance.state_mut().faults.push((fault.clone(), 0));
        }
    }

    /// Ends all faults, except for instances that are loaded later:
    /// [`Settings::faults`] are theirs.
    pub fn heal(&mut self) {
        for worker in &mut self.workers {
            worker.instance.state_mut().faults.clear();
        }
    }

    /// Callouts in flight, oldest first, of all workers.
    #[must_use]
    pub fn callouts(&self) -> Vec<CalloutRequest> {
        let mut all: Vec<_> = self
            .workers
            .iter()
            .flat_map(|worker| worker.instance.state().callouts.values().cloned())
            .collect();
        all.sort_by_key(|callout| (callout.sent_ns, callout.id.worker, callout.id.token));
        all
    }

    /// Ends a callout. `false`: it is not in flight any more. A callout of a broken instance ends
    /// without anybody being told.
    pub fn end_callout(&mut self, callout: CalloutId, end: CalloutEnd) -> bool {
        let Some(worker) = self.workers.get_mut(callout.worker) else { return false };
        if worker.generation != callout.generation {
            return false;
        }
        let state = worker.instance.state_mut();
        let Some(request) = state.callouts.remove(&callout.token) else { return false };
        let (headers, body) = match end {
            CalloutEnd::Response { headers, body } => (headers, body),
            CalloutEnd::Reset => (Vec::new(), Vec::new()),
        };
        let length = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let arguments = [request.root, callout.token, length(headers.len()), length(body.len()), 0];
        state.delivering = Some((headers, body));
        worker.instance.fuel = 0;
        worker.instance.callback("proxy_on_http_call_response", request.root, &arguments);
        worker.instance.state_mut().delivering = None;
        self.deliver_queues();
        true
    }

    /// Drops a callout: its end is never told, not even by its timeout. No proxy does this; a
    /// guest should survive one that does.
    pub fn lose_callout(&mut self, callout: CalloutId) -> bool {
        let worker = self.workers.get_mut(callout.worker);
        worker.is_some_and(|worker| {
            worker.instance.state_mut().callouts.remove(&callout.token).is_some()
        })
    }

    /// Moves the clock. Ticks and callout timeouts due on the way happen in order, each at its
    /// time.
    pub fn advance(&mut self, by: Duration) {
        let by_ns = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        let until_ns = self.shared().now_ns.saturating_add(by_ns);
        while let Some((due_ns, event)) = self.next_event().filter(|(due, _)| *due <= until_ns) {
            let now_ns = self.shared().now_ns.max(due_ns);
            self.shared().now_ns = now_ns;
            match event {
                Event::Timeout(callout) => {
                    self.end_callout(callout, CalloutEnd::timeout());
                }
                Event::Tick(worker, root) => self.tick(worker, root),
            }
        }
        self.shared().now_ns = until_ns;
    }

    /// Sets the wall clock, also back, without anything else happening.
    pub fn set_clock_ns(&mut self, now_ns: u64) {
        self.shared().now_ns = now_ns;
    }

    fn next_event(&self) -> Option<(u64, Event)> {
        let mut next: Option<(u64, Event)> = None;
        let mut offer = |due_ns: u64, event: Event| {
            if next.as_ref().is_none_or(|(earliest, _)| due_ns < *earliest) {
                next = Some((due_ns, event));
            }
        };
        for (index, worker) in self.workers.iter().enumerate() {
            let state = worker.instance.state();
            for callout in state.callouts.values().filter(|callout| callout.timeout_ms > 0) {
                let timeout_ns = u64::from(callout.timeout_ms) * NS_PER_MS;
                offer(callout.sent_ns.saturating_add(timeout_ns), Event::Timeout(callout.id));
            }
            // A broken instance has no ticks.
            if worker.instance.broken.is_none() {
                for (root, tick) in &state.ticks {
                    offer(tick.next_ns, Event::Tick(index, *root));
                }
            }
        }
        next
    }

    fn tick(&mut self, worker: usize, root: u32) {
        let now_ns = self.shared().now_ns;
        let Some(worker) = self.workers.get_mut(worker) else { return };
        if let Some(tick) = worker.instance.state_mut().ticks.get_mut(&root) {
            tick.next_ns = now_ns + u64::from(tick.period_ms) * NS_PER_MS;
        }
        worker.instance.fuel = 0;
        worker.instance.callback("proxy_on_tick", root, &[root]);
        self.deliver_queues();
    }

    fn deliver_queues(&mut self) {
        loop {
            let ready = self.shared().ready.pop_front();
            let Some((worker, root, queue)) = ready else { return };
            if let Some(worker) = self.workers.get_mut(worker) {
                worker.instance.callback("proxy_on_queue_ready", root, &[root, queue]);
            }
        }
    }

    /// The instance a new stream gets, by the failure policy. `None`: none.
    fn admit(&mut self, index: usize) -> Option<&mut Worker> {
        let now_ns = self.shared().now_ns;
        let backoff_ns = u64::try_from(self.settings.reload_backoff.as_nanos()).unwrap_or(u64::MAX);
        let (broken, old_enough, generation) = {
            let worker = self.workers.get(index)?;
            let age_ns = now_ns.saturating_sub(worker.loaded_ns);
            (worker.instance.broken.is_some(), age_ns > backoff_ns, worker.generation + 1)
        };
        if broken {
            if self.settings.failure_policy != FailurePolicy::Reload || !old_enough {
                return None;
            }
            let instance = self.instance(index, generation).ok()?;
            let worker = self.workers.get_mut(index)?;
            *worker = Worker { instance, generation, loaded_ns: now_ns };
        }
        self.workers.get_mut(index)
    }

    /// What the guest did wrong so far, in every worker.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        let all = self.workers.iter().map(|worker| &worker.instance.state().violations);
        all.flatten().cloned().collect()
    }

    /// The root context every plugin here has.
    #[must_use]
    pub const fn root(&self) -> u32 {
        ROOT
    }
}

enum Event {
    Timeout(CalloutId),
    Tick(usize, u32),
}
