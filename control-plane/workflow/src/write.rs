//! How a run writes: under its lease, once, and not lost to whoever wrote in between.

use std::sync::atomic::Ordering;

use sealwax_core::dead_letters::DeadLetter;
use sealwax_core::store::{Change, EVENTS_PER_CHANGE_MAX, Expected, StoreError, Stored};
use sealwax_core::{DomainRecord, Span, Timestamp, apply, merge, notice};
use tokio::time::Instant;

use crate::run::{Run, RunError, Workflow};
use crate::step::event;

/// Tries of one write: others that write the same record at the same time are few.
const WRITE_TRIES_MAX: u32 = 8;
/// Waits before a write whose outcome is unknown is looked for. With the store's own time for an
/// answer they fit into a lease of half a minute: a longer silence leaves the work to another.
const UNKNOWN_WAITS: [Span; 3] = [Span::from_secs(1), Span::from_secs(2), Span::from_secs(4)];

impl Workflow {
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
        run.untouched = false;
        change.events.splice(0..0, run.untold.drain(..));
        let crowded_out = self.enqueue(run, &mut change, now);
        self.list_dead(&crowded_out, now).await;
        let begins = !run.stored.work.in_flight() && change.record.work.in_flight();
        let (published, withdrawn) = (change.publish.clone(), change.withdraw.clone());
        let written = self.persist(run, change).await?;
        let challenges = &self.shared.parts.challenges;
        if let Some(token) = &withdrawn {
            challenges.withdrawn(token);
        }
        if let Some(challenge) = &published {
            challenges.published(challenge);
        }
        run.stored.clone_from(&written.record);
        run.record = written.record;
        run.expected = Expected::Version(written.version);
        run.fresh_at = Instant::now();
        run.tries = 0;
        run.writes = run.writes.saturating_add(1);
        if begins {
            run.begin_order();
        }
        Ok(())
    }

    /// Writes a transition. If someone else wrote meanwhile, and it still is the same work, it is
    /// made on the newest record: what the CA did is not thrown away for a registration that came
    /// in between. If the store does not say whether it wrote, it is looked.
    async fn persist(&self, run: &mut Run, mut change: Change) -> Result<Stored, RunError> {
        let done = run.stored.work.in_flight();
        let mut waits = UNKNOWN_WAITS.iter().filter(|_| done);
        for _ in 0..WRITE_TRIES_MAX {
            let error = match self.shared.parts.store.write(change.clone()).await {
                Ok(version) => return Ok(Stored { record: change.record, version }),
                Err(error) => error,
            };
            let unknown = matches!(error, StoreError::Unavailable { .. });
            if unknown {
                let Some(wait) = waits.next() else { return Err(error.into()) };
                // A stop is no reason to leave it: what the CA did would be forgotten.
                tokio::time::sleep(wait.duration()).await;
            } else if !matches!(error, StoreError::Lost { .. }) {
                return Err(error.into());
            }
            let newest = match self.read(&change.record.domain).await {
                Ok(newest) => newest.ok_or(error)?,
                // It is written again, on the condition of before, or found to be written.
                Err(StoreError::Unavailable { .. }) if unknown => continue,
                Err(error) => return Err(error.into()),
            };
            if unknown && merge::is_written(&change.record, &newest.record) {
                return Ok(newest);
            }
            if change.expected == Expected::Version(newest.version) {
                continue;
            }
            let merged = merge::merged(&run.stored, &change.record, &newest.record);
            let Some(record) = merged else { return Err(lost(&newest.record).into()) };
            tracing::debug!(domain = %record.domain, "someone else wrote first: done on top of it");
            change.record = record;
            change.expected = Expected::Version(newest.version);
            run.stored = newest.record;
        }
        Err(lost(&change.record).into())
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

fn lost(record: &DomainRecord) -> StoreError {
    StoreError::Lost { domain: record.domain.to_string() }
}
