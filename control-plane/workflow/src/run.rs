//! One domain, as far as it goes now.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use sealwax_core::issuer::OrderView;
use sealwax_core::preflight::Findings;
use sealwax_core::store::{Change, Entry, Expected, LifecycleEvent, StoreError, Stored};
use sealwax_core::{DomainRecord, Sight, Span, Timestamp, Work, apply, decide, departure};
use sealwax_protocol::DomainName;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::budget::Budgets;
use crate::dead_letters::DeadLetterList;
use crate::departures::Departures;
use crate::houses::Houses;
use crate::lease_watch::LeaseWatch;
use crate::line::Waits;
use crate::parts::{Parts, Settings};

/// Longest time a run goes on with one order; what is not done by then goes on at the domain's
/// next time. Covers a CA that keeps an order in `processing`. Nothing but an order has it, and
/// waiting for a place to act is no part of it.
const ORDER_MAX: Span = Span::from_secs(300);
/// Most writes of a run. One with two orders, their leases renewed every ten seconds, and sixteen
/// notices for each has about a hundred: more is a loop, and a fault of this program.
const WRITES_MAX: u32 = 200;
/// Most steps of a run, with and without a write: with the waits between looks an order has about
/// sixty.
const STEPS_MAX: u32 = 2_000;
/// How long a run that was cut off for that reason keeps its domain from another run: so even then
/// a record is written four times a second at most.
const LOOP_REST: Span = Span::from_secs(60);
/// Most questions about renewals at a time, to all CAs.
const ASKING_MAX: usize = 64;
/// How often a run starts anew because someone else wrote the record first.
const RELOADS_MAX: u32 = 8;

/// Why a domain is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ask {
    /// Its time came.
    Due,
    /// A handshake or a request wants a certificate.
    Demand,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rested {
    /// When the record is due next; `None`: when asked for, or unknown to the store.
    pub until: Option<Timestamp>,
    /// It waits for a CA, whenever it is due.
    pub(crate) waits: Option<Waits>,
}

/// Why a run stopped before it came to rest. Nothing is lost: the record says how to go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The store failed; no order is placed on what it last said.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The process was told to stop.
    #[error("the process stops")]
    Stopping,
    /// A fault of this program.
    #[error("a bug: {0}")]
    Bug(String),
}

/// Drives domains. Cheap to clone.
#[derive(Clone)]
pub struct Workflow {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) parts: Parts,
    pub(crate) settings: Settings,
    pub(crate) leases: LeaseWatch,
    pub(crate) budgets: Budgets,
    pub(crate) houses: Houses,
    pub(crate) dead_letters: DeadLetterList,
    pub(crate) departures: Departures,
    /// Domains acted on at a time; a run gives its place up while it only waits.
    pub(crate) acting: Arc<Semaphore>,
    /// Questions about renewals at a time: they wait for a CA without a place to act, and must
    /// not take up all runs when it does not answer.
    pub(crate) asking: Semaphore,
    pub(crate) lease_ids: AtomicU64,
    /// Runs come to rest at their next write.
    pub(crate) stopping: CancellationToken,
    /// A CA may be asked again before its time.
    pub(crate) opened: Notify,
}

/// What a run holds in its hands.
pub(crate) struct Run {
    pub(crate) record: DomainRecord,
    pub(crate) expected: Expected,
    pub(crate) sight: Sight,
    /// Failed tries of the present step.
    pub(crate) tries: u32,
    /// The record as it was read or written last; `record` is what became of it since.
    pub(crate) stored: DomainRecord,
    /// When the order in work has had its time.
    pub(crate) deadline: Instant,
    /// Writes of this run.
    pub(crate) writes: u32,
    /// When the record was read or written last, on this process's monotonic clock.
    pub(crate) fresh_at: Instant,
    /// Why it runs.
    pub(crate) ask: Ask,
    /// Issuers that could not do it in this run.
    pub(crate) tried: Vec<String>,
    /// Issuers that the domain's CAA records forbid: the others go first.
    pub(crate) forbidden: Vec<String>,
    /// What was seen of the domain in this run.
    pub(crate) seen: Option<Box<Findings>>,
    /// What happened since the last write: told with the next one.
    pub(crate) untold: Vec<LifecycleEvent>,
    /// The stored record waits for its next attempt, and nothing was written to it yet.
    pub(crate) untouched: bool,
    /// Why no CA could be asked.
    pub(crate) waits: Option<Waits>,
    /// How often the CA did not have what it had.
    pub(crate) missing: u32,
    /// The run's place to act; given up while it waits.
    place: Option<OwnedSemaphorePermit>,
}

impl Run {
    /// Another order is next: nothing that was seen of the last one counts for it.
    pub(crate) fn look_anew(&mut self) {
        let Sight { permitted, looked, notices, .. } = self.sight;
        self.sight = Sight { permitted, looked, notices, ..Sight::default() };
    }

    /// The record was written once since it was as `before`.
    pub(crate) fn follows(&self, before: Expected) -> bool {
        match (before, self.expected) {
            (Expected::Version(before), Expected::Version(now)) => now.0 == before.0 + 1,
            (Expected::Absent, Expected::Version(_)) => true,
            (_, Expected::Absent) => false,
        }
    }

    /// The CA was told that the challenge can be fetched; what it found before is past.
    pub(crate) fn is_answered(&mut self, again: bool) {
        self.tries = 0;
        self.sight.answered = true;
        if !again {
            return;
        }
        self.sight.answered_again = self.sight.answered_again.saturating_add(1);
        self.sight.looks = 0;
        let order = self.sight.order.as_mut();
        if let Some(challenge) = order.and_then(|order| order.challenge.as_mut()) {
            challenge.error = None;
        }
    }

    pub(crate) fn looks_at(&mut self, view: OrderView) {
        let same = self.sight.order.as_ref().is_some_and(|order| order.status == view.status);
        self.sight.looks = if same { self.sight.looks.saturating_add(1) } else { 0 };
        self.sight.order = Some(view);
    }

    /// An order begins, or is gone on with: it has its time from now on.
    pub(crate) fn begin_order(&mut self) {
        self.deadline = Instant::now() + ORDER_MAX.duration();
    }
}

/// Where a step leaves the run.
pub(crate) enum Progress {
    /// Decide again.
    Onward,
    /// Nothing more to do now.
    Rest(Option<Timestamp>),
}

impl Workflow {
    /// Puts the parts together.
    #[must_use]
    pub fn new(parts: Parts, settings: Settings) -> Self {
        let acting = Arc::new(Semaphore::new(settings.concurrency.max(1)));
        // Lease ids need only differ from the one before: seeded by the start time, counted on.
        let lease_ids = AtomicU64::new(parts.clock.now().millis().wrapping_shl(16));
        let leases = LeaseWatch::default();
        let budgets = Budgets::new(&parts.store, &settings.limits);
        let houses = Houses::default();
        let dead_letters = DeadLetterList::new(Arc::clone(&parts.store));
        let departures = Departures::new(Arc::clone(&parts.store), settings.gone_per_hour);
        let asking = Semaphore::new(ASKING_MAX);
        let shared = Shared {
            parts,
            settings,
            leases,
            budgets,
            houses,
            dead_letters,
            departures,
            acting,
            asking,
            lease_ids,
            stopping: CancellationToken::new(),
            opened: Notify::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Takes the domain as far as it goes: to a certificate, to a failure with its next attempt,
    /// or to whoever else works on it.
    ///
    /// # Errors
    /// When the store fails or the record contradicts itself.
    pub async fn run(&self, domain: &DomainName, ask: Ask) -> Result<Rested, RunError> {
        for _ in 0..RELOADS_MAX {
            let Some(mut run) = self.load(domain, ask).await? else {
                return Ok(Rested { until: None, waits: None });
            };
            match self.drive(&mut run).await {
                Ok(until) => return Ok(Rested { until, waits: run.waits.take() }),
                Err(RunError::Stopping) => return self.hand_over(&mut run).await,
                Err(RunError::Store(StoreError::Lost { .. })) => {}
                Err(other) => return Err(other),
            }
        }
        tracing::warn!(%domain, "the record changes faster than it can be worked on; leaving it");
        Ok(Rested { until: None, waits: None })
    }

    pub(crate) async fn read(&self, domain: &DomainName) -> Result<Option<Stored>, StoreError> {
        let names = std::slice::from_ref(domain);
        let found = self.shared.parts.store.load(names).await?.into_iter().next().flatten();
        Ok(found.map(|Entry { stored, .. }| stored))
    }

    async fn load(&self, domain: &DomainName, ask: Ask) -> Result<Option<Run>, RunError> {
        let Some(mut stored) = self.read(domain).await? else { return Ok(None) };
        let now = self.shared.parts.clock.now();
        stored.record = decide::dated(stored.record, now);
        // Demand and due time are applied in memory: the first effect's write makes them last.
        let wanted = Some(&stored.record).filter(|_| ask == Ask::Demand);
        let wanted = wanted.and_then(|record| {
            apply::demand(record, now).or_else(|| departure::visited(record, now))
        });
        let again = wanted.is_some() && stored.record.failure.is_some();
        let parked = ask == Ask::Demand && stored.record.work == Work::Parked;
        let sight = Sight { visited: again || parked, ..Sight::default() };
        let asked = wanted.or_else(|| apply::due(&stored.record, now));
        let untouched = stored.record.work == Work::Idle && stored.record.failure.is_some();
        Ok(Some(Run {
            record: asked.unwrap_or_else(|| stored.record.clone()),
            stored: stored.record,
            expected: Expected::Version(stored.version),
            sight,
            tries: 0,
            deadline: Instant::now() + ORDER_MAX.duration(),
            writes: 0,
            fresh_at: Instant::now(),
            ask,
            tried: Vec::new(),
            forbidden: Vec::new(),
            seen: None,
            untold: Vec::new(),
            untouched,
            waits: None,
            missing: 0,
            place: None,
        }))
    }

    async fn drive(&self, run: &mut Run) -> Result<Option<Timestamp>, RunError> {
        if self.is_held(&run.record) {
            return self.wait_for_trust(run).await;
        }
        self.take_place(run).await?;
        self.resume(run).await?;
        for _ in 0..STEPS_MAX {
            if self.shared.stopping.is_cancelled() {
                return Err(RunError::Stopping);
            }
            if self.is_held(&run.record) {
                return self.wait_for_trust(run).await;
            }
            let now = self.shared.parts.clock.now();
            let step = decide(&run.record, &run.sight, &self.shared.settings.holder, now);
            match self.perform(run, step).await? {
                Progress::Onward => {}
                Progress::Rest(until) => return Ok(until),
            }
            if run.writes > WRITES_MAX {
                break;
            }
        }
        run.place = None;
        let Run { record, writes, .. } = &run;
        tracing::error!(domain = %record.domain, work = ?record.work.name(), writes,
            "a run that does not come to an end is cut off: please report this");
        self.unless_stopping(tokio::time::sleep(LOOP_REST.duration())).await?;
        Ok(run.record.wake_at())
    }

    /// A lease that an earlier run left behind, because the store failed it, may have been watched
    /// long enough to be taken over at this very moment: it is renewed before anything is done
    /// under it.
    async fn resume(&self, run: &mut Run) -> Result<(), RunError> {
        let holder = &self.shared.settings.holder;
        let mine = run.record.lease.as_ref().is_some_and(|lease| lease.holder == *holder);
        let wanted = matches!(run.record.work, Work::Wanted { .. });
        if mine && (wanted || run.record.work.in_flight()) {
            let change = Change::of(run.record.clone(), run.expected);
            self.advance(run, change).await?;
        }
        Ok(())
    }

    /// Waits, and lets another run act meanwhile: nothing waits behind a sleeping job. The lease is
    /// renewed in time, however long it takes.
    pub(crate) async fn pause(&self, run: &mut Run, wait: Span) -> Result<(), RunError> {
        let part = self.shared.settings.lease.scale(1, 3).max(Span::from_millis(1));
        let mut left = wait;
        while left > Span::ZERO {
            let now = left.min(part);
            self.aside(run, tokio::time::sleep(now.duration())).await?;
            left = Span::from_millis(left.millis() - now.millis());
            self.keep_lease(run).await?;
        }
        Ok(())
    }

    /// Waits for something that takes no part in the work, without a place to act.
    pub(crate) async fn aside<T>(
        &self,
        run: &mut Run,
        waited_for: impl Future<Output = T> + Send,
    ) -> Result<T, RunError> {
        run.place = None;
        let outcome = self.unless_stopping(waited_for).await?;
        self.take_place(run).await?;
        Ok(outcome)
    }

    async fn take_place(&self, run: &mut Run) -> Result<(), RunError> {
        let since = Instant::now();
        let place = self.unless_stopping(Arc::clone(&self.shared.acting).acquire_owned()).await?;
        // Others act meanwhile: that is no time the CA had.
        run.deadline += since.elapsed();
        run.place = Some(place.map_err(|closed| RunError::Bug(closed.to_string()))?);
        Ok(())
    }
}
