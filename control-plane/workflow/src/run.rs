//! One domain, as far as it goes now.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sealwax_core::dead_letters::DeadLetter;
use sealwax_core::notice;
use sealwax_core::preflight::Findings;
use sealwax_core::store::{
    Change, EVENTS_PER_CHANGE_MAX, Entry, Expected, LifecycleEvent, StoreError,
};
use sealwax_core::{DomainRecord, Sight, Span, Timestamp, apply, decide, departure};
use sealwax_protocol::DomainName;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::budget::Budgets;
use crate::dead_letters::DeadLetterList;
use crate::departures::Departures;
use crate::issuers::Houses;
use crate::lease_watch::LeaseWatch;
use crate::parts::{Parts, Settings};
use crate::step::event;

/// Longest run; what is not done by then goes on at the domain's next time. Covers a CA that
/// keeps an order in `processing`.
const RUN_MAX: Span = Span::from_secs(300);
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rested {
    /// When the record is due next; `None`: when asked for, or unknown to the store.
    pub until: Option<Timestamp>,
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
    lease_ids: AtomicU64,
    /// Runs come to rest at their next write.
    pub(crate) stopping: CancellationToken,
}

/// What a run holds in its hands.
pub(crate) struct Run {
    pub(crate) record: DomainRecord,
    pub(crate) expected: Expected,
    pub(crate) sight: Sight,
    /// Failed tries of the present step.
    pub(crate) tries: u32,
    pub(crate) deadline: Instant,
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
    /// How often the CA did not have what it had.
    pub(crate) missing: u32,
    /// The run's place to act; given up while it waits.
    place: Option<OwnedSemaphorePermit>,
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
        };
        Self { shared: Arc::new(shared) }
    }

    /// Takes the domain as far as it goes: to a certificate, to a failure with its next attempt,
    /// or to whoever else works on it.
    ///
    /// # Errors
    /// When the store fails or the record contradicts itself.
    pub async fn run(&self, domain: &DomainName, ask: Ask) -> Result<Rested, RunError> {
        let deadline = Instant::now() + RUN_MAX.duration();
        for _ in 0..RELOADS_MAX {
            let Some(mut run) = self.load(domain, ask, deadline).await? else {
                return Ok(Rested { until: None });
            };
            match self.drive(&mut run).await {
                Ok(until) => return Ok(Rested { until }),
                Err(RunError::Stopping) => return self.hand_over(&mut run).await,
                Err(RunError::Store(StoreError::Lost { .. })) => {}
                Err(other) => return Err(other),
            }
        }
        tracing::warn!(%domain, "the record changes faster than it can be worked on; leaving it");
        Ok(Rested { until: None })
    }

    async fn load(
        &self,
        domain: &DomainName,
        ask: Ask,
        deadline: Instant,
    ) -> Result<Option<Run>, RunError> {
        let names = std::slice::from_ref(domain);
        let found = self.shared.parts.store.load(names).await?.into_iter().next().flatten();
        let Some(Entry { stored, .. }) = found else { return Ok(None) };
        let now = self.shared.parts.clock.now();
        // Demand and due time are applied in memory: the first effect's write makes them last.
        let asked = match ask {
            Ask::Demand => {
                let record = &stored.record;
                let wanted = apply::demand(record, now).or_else(|| departure::visited(record, now));
                wanted.or_else(|| apply::due(record, now))
            }
            Ask::Due => apply::due(&stored.record, now),
        };
        Ok(Some(Run {
            record: asked.unwrap_or(stored.record),
            expected: Expected::Version(stored.version),
            sight: Sight { visited: ask == Ask::Demand, ..Sight::default() },
            tries: 0,
            deadline,
            fresh_at: Instant::now(),
            ask,
            tried: Vec::new(),
            forbidden: Vec::new(),
            seen: None,
            untold: Vec::new(),
            missing: 0,
            place: None,
        }))
    }

    async fn drive(&self, run: &mut Run) -> Result<Option<Timestamp>, RunError> {
        self.take_place(run).await?;
        self.resume(run).await?;
        loop {
            if self.shared.stopping.is_cancelled() {
                return Err(RunError::Stopping);
            }
            let now = self.shared.parts.clock.now();
            let step = decide(&run.record, &run.sight, &self.shared.settings.holder, now);
            match self.perform(run, step).await? {
                Progress::Onward => {}
                Progress::Rest(until) => return Ok(until),
            }
        }
    }

    /// A lease that an earlier run left behind, because the store failed it, may have been watched
    /// long enough to be taken over at this very moment: it is renewed before anything is done
    /// under it.
    async fn resume(&self, run: &mut Run) -> Result<(), RunError> {
        let holder = &self.shared.settings.holder;
        let mine = run.record.lease.as_ref().is_some_and(|lease| lease.holder == *holder);
        if run.record.work.in_flight() && mine {
            let change = Change::of(run.record.clone(), run.expected);
            self.advance(run, change).await?;
        }
        Ok(())
    }

    /// Waits, and lets another run act meanwhile: nothing waits behind a sleeping job.
    pub(crate) async fn pause(&self, run: &mut Run, wait: Span) -> Result<(), RunError> {
        if wait == Span::ZERO {
            return Ok(());
        }
        self.aside(run, tokio::time::sleep(wait.duration())).await
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
        let place = self.unless_stopping(Arc::clone(&self.shared.acting).acquire_owned()).await?;
        run.place = Some(place.map_err(|closed| RunError::Bug(closed.to_string()))?);
        Ok(())
    }

    /// Writes a change after which this process goes on with the record, under a fresh lease.
    pub(crate) async fn advance(&self, run: &mut Run, mut change: Change) -> Result<(), RunError> {
        let settings = &self.shared.settings;
        let id = self.shared.lease_ids.fetch_add(1, Ordering::Relaxed);
        if self.shared.stopping.is_cancelled() {
            // Whoever goes on with it need not wait for a holder that is gone.
            return self.release(run, change).await;
        }
        change.record = apply::leased(change.record, &settings.holder, id, settings.lease);
        self.write(run, change).await
    }

    /// Writes a change after which nobody works on the record.
    pub(crate) async fn release(&self, run: &mut Run, mut change: Change) -> Result<(), RunError> {
        change.record.lease = None;
        self.write(run, change).await
    }

    async fn write(&self, run: &mut Run, mut change: Change) -> Result<(), RunError> {
        let now = self.shared.parts.clock.now();
        change.record.updated_at = now;
        change.expected = run.expected;
        change.events.splice(0..0, run.untold.drain(..));
        let crowded_out = self.enqueue(run, &mut change, now);
        self.list_dead(&crowded_out, now).await;
        run.record = change.record.clone();
        let (published, withdrawn) = (change.publish.clone(), change.withdraw.clone());
        run.expected = Expected::Version(self.shared.parts.store.write(change).await?);
        let challenges = &self.shared.parts.challenges;
        if let Some(token) = &withdrawn {
            challenges.withdrawn(token);
        }
        if let Some(challenge) = &published {
            challenges.published(challenge);
        }
        run.fresh_at = Instant::now();
        run.tries = 0;
        Ok(())
    }

    /// What the platform wants to hear of goes into the store with what happened.
    /// What there is no room for is given up.
    fn enqueue(&self, run: &mut Run, change: &mut Change, now: Timestamp) -> Vec<DeadLetter> {
        let waiting = change.record.outbox.len();
        let notifier = &*self.shared.parts.notifier;
        let dropped = notice::enqueue(&mut change.record, &change.events, notifier);
        run.sight.notices |= change.record.outbox.len() + dropped.len() > waiting;
        let room = EVENTS_PER_CHANGE_MAX.saturating_sub(change.events.len());
        let why = "too many others wait";
        change.events.extend(dropped.iter().take(room).map(|notice| {
            let detail = format!("{} {}: {why}", notice.kind, notice.id);
            event(now, "notification.dropped", detail)
        }));
        let domain = &run.record.domain;
        dropped.into_iter().map(|notice| DeadLetter::of(notice, domain.clone(), why, now)).collect()
    }
}
