//! Measures the store, and hears every lifecycle event this process writes.

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use sealwax_core::store::{
    Change, Front, Fronted, LifecycleEvent, RecordVersion, Store, StoreError,
};
use sealwax_core::{Cause, Clock, Timestamp};
use sealwax_protocol::DomainName;
use tokio::time::Instant;

use super::names::{EVENTS, PREFLIGHT_HELD, STORE_CALL_SECONDS, STORE_ERRORS};
use super::store_log::StoreLog;
use super::{Activity, Metrics};
use crate::feed::{Feed, Happening};
use crate::traces::Traces;

/// What AWS and its likes call a request that came too soon; the store's errors carry the code.
const THROTTLES: [&str; 3] = ["Throttl", "ProvisionedThroughputExceeded", "RequestLimitExceeded"];

/// A store, measured.
pub type MeteredStore = Fronted<Meter>;

/// Stands in front of a store, measures every call, and hears what is written.
pub struct Meter {
    inner: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    activity: Arc<Activity>,
    feed: Feed,
    traces: Traces,
    log: StoreLog,
}

impl Meter {
    /// In front of `inner`.
    #[must_use]
    pub fn new(
        inner: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
        activity: Arc<Activity>,
        feed: Feed,
    ) -> Self {
        let (traces, log) = (Traces::default(), StoreLog::default());
        Self { inner, clock, metrics, activity, feed, traces, log }
    }

    /// The store with this in front of it.
    #[must_use]
    pub const fn store(self) -> MeteredStore {
        Fronted(self)
    }

    /// Telling these traces too.
    #[must_use]
    pub fn traced(self, traces: Traces) -> Self {
        Self { traces, ..self }
    }

    fn tell(&self, told: Told) {
        if let Some(cause) = told.held {
            self.metrics.count(&PREFLIGHT_HELD, &[&super::word(cause)], 1);
        }
        for event in told.events {
            self.metrics.count(&EVENTS, &[&event.kind], 1);
            self.activity.note(event.at, &event.kind);
            self.feed.publish(Happening {
                domain: told.domain.clone(),
                tenant: told.tenant.clone(),
                state: told.state,
                event,
            });
        }
    }

    fn removed(&self, domain: &DomainName) {
        let at: Timestamp = self.clock.now();
        let kind = "domain.removed".to_owned();
        let event = LifecycleEvent { at, kind, detail: String::new() };
        let domain = domain.clone();
        self.tell(Told { domain, tenant: None, state: None, held: None, events: vec![event] });
    }
}

/// What a write tells, kept until it is known to have been done.
struct Told {
    domain: DomainName,
    tenant: Option<String>,
    state: Option<sealwax_core::DomainState>,
    /// Why an order was held back by a look at the domain.
    held: Option<Cause>,
    events: Vec<LifecycleEvent>,
}

impl Told {
    fn of(change: &Change) -> Option<Self> {
        if change.events.is_empty() {
            return None;
        }
        // It is written only with the failure it led to.
        let looked = change.events.iter().any(|event| event.kind == "preflight.seen");
        let failure = change.record.failure.as_ref().filter(|_| looked);
        Some(Self {
            held: failure.map(|failure| failure.cause),
            domain: change.record.domain.clone(),
            tenant: change.record.registration.tenant.clone(),
            state: Some(change.record.state()),
            events: change.events.clone(),
        })
    }
}

pub(super) fn kind(error: &StoreError) -> &'static str {
    match error {
        StoreError::Lost { .. } => "lost",
        StoreError::Unavailable { detail } if throttled(detail) => "throttled",
        StoreError::Unavailable { .. } => "unavailable",
        StoreError::Misconfigured { .. } => "misconfigured",
        StoreError::Unreadable { .. } => "unreadable",
        StoreError::Bug { .. } => "bug",
        // The store's errors may grow; a new one is at least counted.
        _ => "other",
    }
}

fn throttled(detail: &str) -> bool {
    THROTTLES.iter().any(|code| detail.contains(code))
}

#[async_trait]
impl Front for Meter {
    fn behind(&self) -> Result<Arc<dyn Store>, StoreError> {
        Ok(Arc::clone(&self.inner))
    }

    async fn around<T: Send>(
        &self,
        call: &'static str,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let started = Instant::now();
        let done = work.await;
        self.metrics.observe(&STORE_CALL_SECONDS, &[call], started.elapsed().as_secs_f64());
        self.log.heard(done.as_ref().err());
        if let Err(error) = &done {
            self.metrics.count(&STORE_ERRORS, &[call, kind(error)], 1);
        }
        done
    }

    async fn write(&self, change: Change) -> Result<RecordVersion, StoreError> {
        let told = Told::of(&change);
        let step = self.traces.step(&change.record.domain, "write");
        let written = self.inner.write(change).await;
        step.end(written.as_ref().map(|_| "written").map_err(kind));
        let version = written?;
        if let Some(told) = told {
            self.tell(told);
        }
        Ok(version)
    }

    async fn write_all(&self, changes: Vec<Change>) -> Vec<Result<RecordVersion, StoreError>> {
        let told: Vec<_> = changes.iter().map(Told::of).collect();
        let started = Instant::now();
        let written = self.inner.write_all(changes).await;
        let took = started.elapsed().as_secs_f64();
        self.metrics.observe(&STORE_CALL_SECONDS, &["write_all"], took);
        for (done, told) in written.iter().zip(told) {
            self.log.heard(done.as_ref().err());
            match done {
                Ok(_) => told.into_iter().for_each(|told| self.tell(told)),
                Err(error) => self.metrics.count(&STORE_ERRORS, &["write_all", kind(error)], 1),
            }
        }
        written
    }

    async fn remove(&self, domain: &DomainName, version: RecordVersion) -> Result<(), StoreError> {
        self.inner.remove(domain, version).await?;
        self.removed(domain);
        Ok(())
    }
}
