//! Another CA for a name: for an order that could not be placed, and for one that is not finished.

use sealwax_core::failure::bounded_detail;
use sealwax_core::issuer::{IssueError, Refusal};
use sealwax_core::store::Change;
use sealwax_core::{Cause, Failure, Work, apply, decide};

use crate::run::{Progress, Run, RunError, Workflow};
use crate::step::{bug, stored_token};

impl Workflow {
    /// An order could not be placed, and not because of the domain: another CA may take it, in
    /// this very run.
    pub(crate) fn falls_back(&self, run: &mut Run, error: &IssueError) -> bool {
        let Work::Ordering { issuer } = &run.record.work else { return false };
        let elsewhere = match error {
            IssueError::Retry { .. }
            | IssueError::RateLimited { .. }
            | IssueError::ProfileRefused { .. }
            | IssueError::Misconfigured { .. } => true,
            // It may have the order, and is asked once more before another one is.
            IssueError::UnknownOutcome { .. } => {
                run.record.failure.as_ref().is_some_and(Failure::is_stall)
            }
            IssueError::Paused { .. }
            | IssueError::Refused(_)
            | IssueError::Unfindable { .. }
            | IssueError::OrderGone { .. }
            | IssueError::Protocol { .. }
            | _ => false,
        };
        if !elsewhere {
            return false;
        }
        tracing::info!(domain = %run.record.domain, issuer, %error, "looking for another CA");
        let issuer = issuer.clone();
        self.looks_elsewhere(run, &issuer)
    }

    pub(crate) fn looks_elsewhere(&self, run: &mut Run, issuer: &str) -> bool {
        run.tried.push(issuer.to_owned());
        if self.untried(run).is_empty() {
            return false;
        }
        run.record.work = Work::Wanted { since: self.shared.parts.clock.now() };
        run.tries = 0;
        true
    }

    /// An order that its CA does not finish is given up: it is an outage of that CA for this name.
    /// Another one is asked in this very run, if it can be, and if orders for this name do not get
    /// lost again and again; else the schedule has the word.
    pub(crate) async fn abandon(
        &self,
        run: &mut Run,
        detail: String,
    ) -> Result<Progress, RunError> {
        let Some(issuer) = run.record.work.issuer().map(str::to_owned) else {
            return Err(bug("an order of nobody is given up"));
        };
        tracing::warn!(domain = %run.record.domain, issuer, detail, "the order is given up");
        if !self.has_another(run).await? {
            let refusal = Refusal { cause: Cause::OrderLost, detail: bounded_detail(&detail) };
            return self.give_up(run, &refusal).await;
        }
        self.tell(run, "order.abandoned", format!("{issuer}: {detail}"));
        let now = self.shared.parts.clock.now();
        let withdraw = stored_token(&run.record);
        let wanted = apply::abandoned(run.record.clone(), now).map_err(bug)?;
        let change = Change { withdraw, ..Change::of(wanted, run.expected) };
        self.advance(run, change).await?;
        run.tried.push(issuer);
        run.look_anew();
        Ok(Progress::Onward)
    }

    /// An order of some age whose CA could not be asked about it, or is in the configuration no
    /// more, does not hold the name up where another CA can be asked. `None`: it is kept.
    pub(crate) async fn leave(
        &self,
        run: &mut Run,
        error: &IssueError,
    ) -> Result<Option<Progress>, RunError> {
        let away = matches!(
            error,
            IssueError::Retry { .. }
                | IssueError::RateLimited { .. }
                | IssueError::Misconfigured { .. }
                | IssueError::UnknownOutcome { .. }
        );
        let now = self.shared.parts.clock.now();
        if !away || !decide::is_old(&run.record, now) {
            return Ok(None);
        }
        let known = run.record.work.issuer().is_some_and(|name| self.issuer(name).is_some());
        if known && !self.has_another(run).await? {
            return Ok(None);
        }
        self.abandon(run, error.to_string()).await.map(Some)
    }

    /// Another CA can be asked now to take what the present one does not finish. One that has no
    /// room, or is away itself, is no reason to leave an order; nor is any CA where the name's
    /// orders get lost again and again.
    pub(crate) async fn has_another(&self, run: &Run) -> Result<bool, RunError> {
        if apply::loses_orders(&run.record) {
            return Ok(false);
        }
        let present = run.record.work.issuer();
        for issuer in self.untried(run) {
            if Some(issuer.name()) != present && self.look_at(run, issuer.name()).await?.is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
