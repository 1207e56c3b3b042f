//! Which domain is next.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sealwax_core::store::StoreError;
use sealwax_core::{Span, Timestamp};
use sealwax_protocol::DomainName;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::budget::BudgetLeft;
use crate::in_flight::{Hold, InFlight};
use crate::lanes::Lanes;
use crate::line::{Gate, Line, Turn};
use crate::run::{Ask, RunError, Workflow};
use sealwax_core::Lane;

/// Runs per place to act: a run that waits for a CA gives its place to another, so the slow ones
/// pile up here and not in front of the others. A run holds a few kilobytes.
const RUNS_PER_PLACE: usize = 8;
/// How often it is seen at most whether there is room for whoever waits for a CA: one read of each
/// budget that names wait for.
const ATTEND: Duration = Duration::from_secs(1);
/// Places to act per run of a domain that failed before, while others run or wait: runs take
/// places in order of arrival, so thousands that fail again would stand in front of the others.
const PLACES_PER_RETRY: usize = 8;

/// How much waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// The lane.
    pub lane: Lane,
    /// Domains in it.
    pub waiting: usize,
    /// How long the one that came first has waited; zero if none does.
    pub oldest: Duration,
}

/// Hands domains to the workflow, urgent ones first, each to one pair of hands. Cheap to clone.
#[derive(Clone)]
pub struct Queue {
    shared: Arc<Shared>,
}

struct Shared {
    workflow: Workflow,
    lanes: Mutex<Lanes>,
    in_flight: InFlight,
    line: Line,
    /// Somebody joined the line.
    joined: Notify,
    arrived: Notify,
    finished: Notify,
    runs_max: usize,
    /// Runs of domains that failed before.
    retries: AtomicUsize,
    /// Most domains worked on at a time.
    places: usize,
}

/// A run of a domain that failed before, while it lasts.
struct Retry(Arc<Shared>);

impl Drop for Retry {
    fn drop(&mut self) {
        self.0.retries.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Queue {
    /// A queue in front of a workflow. Nothing moves before [`Self::serve`].
    #[must_use]
    pub fn new(workflow: Workflow) -> Self {
        let places = workflow.shared.settings.concurrency.max(1);
        Self {
            shared: Arc::new(Shared {
                workflow,
                lanes: Mutex::default(),
                in_flight: InFlight::default(),
                line: Line::default(),
                joined: Notify::new(),
                arrived: Notify::new(),
                finished: Notify::new(),
                runs_max: places * RUNS_PER_PLACE,
                retries: AtomicUsize::new(0),
                places,
            }),
        }
    }

    /// Puts a domain into a lane. False: the lane is full and it was dropped, which loses
    /// nothing: the sweep and the next handshake ask again.
    pub fn submit(&self, domain: &DomainName, lane: Lane, ask: Ask) -> bool {
        let kept = self.offer(domain, lane, ask);
        if !kept {
            tracing::warn!(%domain, lane = lane.as_str(), "the lane is full; dropped until asked again");
        }
        kept
    }

    /// As [`Self::submit`], for whoever tells of many that were dropped at once.
    pub(crate) fn offer(&self, domain: &DomainName, lane: Lane, ask: Ask) -> bool {
        if ask == Ask::Demand && self.shared.line.turned_away(domain) {
            return true;
        }
        let kept = self.lanes().push(domain, lane, ask);
        if kept {
            self.shared.arrived.notify_one();
        }
        kept
    }

    /// It is worked on, or waits: for a place and was put here lately, or for a CA.
    pub(crate) fn expects(&self, domain: &DomainName) -> bool {
        let line = &self.shared.line;
        self.shared.in_flight.has(domain) || line.has(domain) || self.lanes().expects(domain)
    }

    /// A visit came for it a moment ago and found that no CA can be asked.
    #[must_use]
    pub fn turned_away(&self, domain: &DomainName) -> bool {
        self.shared.line.turned_away(domain)
    }

    /// When its turn is, if it waits here for a CA.
    #[must_use]
    pub fn turn(&self, domain: &DomainName) -> Option<Turn> {
        let budgets = &self.shared.workflow.shared.budgets;
        self.shared.line.turn(domain, |gate| match gate {
            Gate::Orders(issuer, _) => budgets.apart(issuer),
            Gate::Issuer(_) | Gate::Store | Gate::Time => Span::ZERO,
        })
    }

    /// How many domains wait in each lane.
    #[must_use]
    pub fn backlog(&self) -> [Backlog; Lane::ALL.len()] {
        let lanes = self.lanes();
        Lane::ALL.map(|lane| {
            let (waiting, oldest) = lanes.waiting(lane);
            Backlog { lane, waiting, oldest }
        })
    }

    /// What is left of the limits of each issuer that all its names share.
    ///
    /// # Errors
    /// The store.
    pub async fn budgets_left(&self, now: Timestamp) -> Result<Vec<BudgetLeft>, StoreError> {
        self.shared.workflow.shared.budgets.left(now).await
    }

    /// How many domains are being worked on.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.shared.in_flight.len()
    }

    /// How many more domains fit into a lane.
    #[must_use]
    pub fn room(&self, lane: Lane) -> usize {
        self.lanes().room(lane)
    }

    /// Works until told to stop. Then nothing new begins, and the runs in flight come to their
    /// next write and give up their leases, so that whoever is next goes on at once. The caller
    /// bounds how long it waits: what is cut off goes on from the store when its lease is over.
    pub async fn serve(self, stop: CancellationToken) {
        let runs = TaskTracker::new();
        tokio::join!(self.work(&runs, &stop), self.attend(&stop));
        self.shared.workflow.stop();
        runs.close();
        runs.wait().await;
    }

    async fn work(&self, runs: &TaskTracker, stop: &CancellationToken) {
        loop {
            let more = !stop.is_cancelled() && self.start_next(runs);
            if more {
                continue;
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.shared.arrived.notified() => {}
                () = self.shared.finished.notified() => {}
            }
        }
    }

    /// Lets in who waits for a CA, as far as there is room.
    async fn attend(&self, stop: &CancellationToken) {
        let attending = async {
            loop {
                tokio::time::sleep(ATTEND).await;
                let Some(mut next) = self.shared.line.next() else {
                    self.shared.joined.notified().await;
                    continue;
                };
                let mut room = BTreeMap::new();
                for gate in self.shared.line.gates() {
                    let (free, again) = self.shared.workflow.room(&gate).await;
                    room.insert(gate, free);
                    next = next.min(again.duration());
                }
                for (domain, lane, ask) in self.shared.line.go(room) {
                    self.offer(&domain, lane, ask);
                }
                tokio::select! {
                    () = tokio::time::sleep(next.saturating_sub(ATTEND)) => {}
                    () = self.shared.joined.notified() => {}
                    () = self.shared.workflow.shared.opened.notified() => {}
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = attending => {}
        }
    }

    /// Starts the next run, if one waits and there is a place. True: there may be another.
    fn start_next(&self, runs: &TaskTracker) -> bool {
        if runs.len() >= self.shared.runs_max {
            return false;
        }
        let retry = self.has_room_for_a_retry(runs.len());
        let open = |lane| retry || lane != Lane::Retry;
        let Some((domain, lane, ask)) = self.lanes().pop(open) else { return false };
        self.shared.line.leave(&domain);
        let Some(hold) = self.shared.in_flight.hold(&domain) else {
            // Its run sees the newest record anyway.
            return true;
        };
        let queue = self.clone();
        let retry = (lane == Lane::Retry).then(|| {
            self.shared.retries.fetch_add(1, Ordering::Relaxed);
            Retry(Arc::clone(&self.shared))
        });
        runs.spawn(async move {
            queue.run(&domain, lane, ask, hold).await;
            drop(retry);
            queue.shared.finished.notify_one();
        });
        true
    }

    /// All the room there is while nothing else runs, a place's worth each while places are free,
    /// and a part of them while others wait for one.
    fn has_room_for_a_retry(&self, runs: usize) -> bool {
        let Shared { retries, places, workflow, .. } = &*self.shared;
        let retries = retries.load(Ordering::Relaxed);
        let free = workflow.shared.acting.available_permits() > 0;
        let most = if free { *places } else { (places / PLACES_PER_RETRY).max(1) };
        runs <= retries || retries < most
    }

    async fn run(&self, domain: &DomainName, lane: Lane, ask: Ask, hold: Hold) {
        let _hold = hold;
        match self.shared.workflow.run(domain, ask).await {
            Ok(rested) => {
                tracing::debug!(%domain, lane = lane.as_str(), ?rested, "at rest");
                let now = self.shared.workflow.shared.parts.clock.now();
                if let Some(waits) = rested.waits {
                    match self.shared.line.join(domain, waits, now) {
                        true => self.shared.joined.notify_one(),
                        false => tracing::debug!(%domain, "the line is full; the sweep asks again"),
                    }
                }
            }
            // The store's own trouble is told of in front of the store.
            Err(RunError::Store(error)) if error.is_outage() => {
                tracing::debug!(%domain, %error, "stopped; the sweep goes on with it");
            }
            Err(error) => tracing::warn!(%domain, %error, "stopped; the sweep goes on with it"),
        }
    }

    fn lanes(&self) -> std::sync::MutexGuard<'_, Lanes> {
        self.shared.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
