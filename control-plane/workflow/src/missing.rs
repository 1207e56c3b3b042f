//! What a CA has, and does not hand out yet: an order or a certificate that its copies do not know
//! so soon, and a certificate that begins later than our clock says.

use sealwax_core::certificate::NOT_BEFORE_SKEW;
use sealwax_core::issuer::OrderStatus;
use sealwax_core::{Cause, DomainRecord, Span, Timestamp, Work, apply, backoff};

use crate::run::{Progress, Run, RunError, Workflow};

/// How far ahead a certificate may begin to be waited for: clocks differ by a time zone at most.
const AHEAD_MAX: Span = Span::from_secs(86_400);
/// It is looked at again at least this often: the clock may have been set meanwhile.
const AHEAD_LOOK: Span = Span::from_secs(3_600);
/// Runs that found no certificate of an order which was finalized, before another order is placed.
/// By the schedule of outages that is 20 to 40 minutes, longer than a CA's copies lag behind.
const RUNS_MAX: u32 = 8;

/// It begins late, and waiting for it is better than another one, which begins later still.
pub(crate) fn is_soon(from: Timestamp, now: Timestamp) -> bool {
    from.since(now) <= AHEAD_MAX
}

impl Workflow {
    /// The certificate begins when its clock says, not when ours does: order and key are kept, and
    /// it is fetched again then. Until then the one before is served.
    pub(crate) async fn wait_until_valid(
        &self,
        run: &mut Run,
        from: Timestamp,
    ) -> Result<Progress, RunError> {
        let now = self.shared.parts.clock.now();
        let detail = format!(
            "the CA's certificate is valid from {from} on, and it is {now} here: it is fetched \
             again then; is this machine's clock right?"
        );
        tracing::warn!(domain = %run.record.domain, "{detail}");
        let until = (from - NOT_BEFORE_SKEW).min(now + AHEAD_LOOK);
        let record = run.record.clone();
        let mut waits = apply::postponed(record, Cause::CaUnavailable, &detail, until, now);
        if let Some(failure) = &mut waits.failure {
            // No visit makes it valid sooner.
            failure.outage.not_before = failure.next_attempt_at;
        }
        self.settle(run, waits).await
    }

    /// The CA does not have the order, or its certificate. It may have them in a moment, where it
    /// answers from copies: looked at again in this run, and in a few more where a certificate was
    /// asked for already, whose key would be thrown away with it. `None`: it is lost.
    pub(crate) async fn look_again(
        &self,
        run: &mut Run,
        detail: &str,
    ) -> Result<Option<Progress>, RunError> {
        if !run.record.work.in_flight() || matches!(run.record.work, Work::Trial { .. }) {
            return Ok(None);
        }
        run.missing = run.missing.saturating_add(1);
        if let Some(wait) = backoff::in_run(run.missing, None) {
            run.sight.order = None;
            run.sight.finalized = false;
            self.pause(run, wait).await?;
            self.keep_lease(run).await?;
            return Ok(Some(Progress::Onward));
        }
        let open = run.sight.order.as_ref().is_some_and(|order| order.status != OrderStatus::Valid);
        let finalized = matches!(run.record.work, Work::Keyed { .. }) && !open;
        if !finalized || runs_without(&run.record) >= RUNS_MAX {
            return Ok(None);
        }
        let now = self.shared.parts.clock.now();
        let jitter = &*self.shared.parts.jitter;
        let detail = format!("the CA does not have the certificate of a finished order: {detail}");
        let record = run.record.clone();
        let waits = apply::stalled(record, Cause::OrderLost, &detail, None, now, jitter);
        Ok(Some(self.settle(run, waits).await?))
    }
}

/// Runs in a row that did not find what was there; what else was away meanwhile is none.
fn runs_without(record: &DomainRecord) -> u32 {
    record.failure.as_ref().map_or(0, |failure| failure.outage.missing)
}
