//! Delivering what the platform wants to hear of.

use sealwax_core::dead_letters::DeadLetter;
use sealwax_core::store::{Change, Expected};
use sealwax_core::{Delivery, Notice, Timestamp, notice};

use crate::run::{Progress, Run, RunError, Workflow};
use crate::step::event;

impl Workflow {
    /// Deletes what is left of a domain that was removed.
    pub(crate) async fn forget(&self, run: &mut Run) -> Result<Progress, RunError> {
        if let Expected::Version(version) = run.expected {
            self.shared.parts.store.forget(&run.record.domain, version).await?;
        }
        Ok(Progress::Rest(None))
    }

    /// Delivers a notice at least once: it leaves the record only when the receiver has it, or
    /// after days of trying.
    pub(crate) async fn notify(&self, run: &mut Run, told: &Notice) -> Result<Progress, RunError> {
        let record = run.record.clone();
        let outcome = self.aside(run, self.shared.parts.notifier.deliver(told, &record)).await?;
        let now = self.shared.parts.clock.now();
        let jitter = &*self.shared.parts.jitter;
        let (record, given_up) = notice::delivered(record, &told.id, &outcome, now, jitter);
        let domain = &run.record.domain;
        let mut change = Change::of(record, run.expected);
        let seen = match &outcome {
            Delivery::Done | Delivery::NoReceiver => "",
            Delivery::Busy { detail, .. } => detail,
            Delivery::Failed { detail } => {
                tracing::warn!(%domain, kind = told.kind, attempts = told.attempts + 1, detail,
                    "a notification was not delivered");
                detail
            }
        };
        if let Some(dropped) = given_up {
            let said = format!("{} {}: {seen}", dropped.kind, dropped.id);
            change.events.push(event(now, "notification.dropped", said));
            let letter = DeadLetter::of(dropped, domain.clone(), seen, now);
            self.list_dead(&[letter], now).await;
        }
        self.release(run, change).await?;
        Ok(Progress::Onward)
    }

    /// Puts what is given up where operators look. The domain's events have it in any case.
    pub(crate) async fn list_dead(&self, letters: &[DeadLetter], now: Timestamp) {
        if letters.is_empty() {
            return;
        }
        if let Err(error) = self.shared.dead_letters.add(letters, now).await {
            tracing::warn!(%error, letters = letters.len(), "the dead letter list was not written");
        }
    }
}
