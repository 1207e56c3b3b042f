//! Coming to rest because the process ends.
//!
//! A run that was told to stop finishes what it has begun at the CA and writes it down: an order
//! whose URL is lost would be placed twice. It begins nothing new, waits for nothing, and gives up
//! its lease, so that another replica, or this one after its restart, goes on at once.

use sealwax_core::store::Change;

use crate::run::{Rested, Run, RunError, Workflow};

impl Workflow {
    /// Lets every run come to rest at its next write. Not to be taken back.
    pub(crate) fn stop(&self) {
        self.shared.stopping.cancel();
    }

    /// Waits for something that may be cut off at any moment without a loss: a pause, a place, an
    /// answer that can be asked for again.
    pub(crate) async fn unless_stopping<T>(
        &self,
        waited_for: impl Future<Output = T> + Send,
    ) -> Result<T, RunError> {
        tokio::select! {
            biased;
            () = self.shared.stopping.cancelled() => Err(RunError::Stopping),
            outcome = waited_for => Ok(outcome),
        }
    }

    /// Gives the record to whoever is next.
    pub(crate) async fn hand_over(&self, run: &mut Run) -> Result<Rested, RunError> {
        let holder = &self.shared.settings.holder;
        let mine = run.record.lease.as_ref().is_some_and(|lease| lease.holder == *holder);
        if mine {
            let change = Change::of(run.record.clone(), run.expected);
            self.release(run, change).await?;
        }
        Ok(Rested { until: run.record.wake_at(), waits: None })
    }
}
