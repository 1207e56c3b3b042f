//! What a CA's words mean for all that is ordered there: its limits, and its account.

use sealwax_core::Timestamp;
use sealwax_core::issuer::{IssueError, LimitScope};

use crate::budget::need;
use crate::houses::Sort;
use crate::run::{Run, RunError, Workflow};

impl Workflow {
    /// The account with a CA was replaced, or repaired: if orders to it were stopped for it, they
    /// go on, and who waits for it is let in.
    pub fn account_works(&self, issuer: &str) {
        self.shared.houses.lift(issuer);
        self.shared.opened.notify_one();
    }

    /// What an error says about the account and the limits of the CA that gave it.
    pub(crate) async fn judge(&self, run: &mut Run, error: &IssueError) -> Result<(), RunError> {
        let Some(issuer) = run.record.work.issuer().map(str::to_owned) else { return Ok(()) };
        let now = self.shared.parts.clock.now();
        match error {
            // Nobody is there who could be stopped.
            IssueError::Misconfigured { .. } if self.shared.parts.validator(&issuer).is_none() => {}
            IssueError::Misconfigured { detail } => self.stop_orders(&issuer, detail, now).await,
            IssueError::RateLimited { until, scope, .. } => {
                self.limited(run, &issuer, *scope, *until, now).await?;
            }
            // Whether it answers is seen where orders are placed, and what became of one order
            // says nothing about it.
            IssueError::Retry { .. }
            | IssueError::Paused { .. }
            | IssueError::Refused(_)
            | IssueError::ProfileRefused { .. }
            | IssueError::Unfindable { .. }
            | IssueError::UnknownOutcome { .. }
            | IssueError::OrderGone { .. }
            | IssueError::Protocol { .. }
            | _ => {}
        }
        Ok(())
    }

    /// What the CA says of a limit corrects the count, for everybody, if it says until when. Where
    /// nobody counts, and where it does not say, this process leaves it alone.
    async fn limited(
        &self,
        run: &mut Run,
        issuer: &str,
        scope: LimitScope,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<(), RunError> {
        let said = Some(until).filter(|until| *until > now);
        let budgets = &self.shared.budgets;
        if said.is_none() || scope == LimitScope::Ca || !budgets.counts(issuer) {
            let sort = Sort::of(&need(&run.record, issuer, now));
            let jitter = self.shared.parts.jitter.permille();
            self.shared.houses.limited(issuer, scope, &sort, said, now, jitter);
        }
        if let Some(until) = said {
            let own = budgets.correct(issuer, &run.record, scope, until, now).await?;
            run.record.usage.extend(own.map(|own| (issuer.to_owned(), own)));
        }
        Ok(())
    }

    /// The account is refused: no orders go to the CA for a while.
    async fn stop_orders(&self, issuer: &str, detail: &str, now: Timestamp) {
        let kept = self.shared.parts.store.account(issuer).await.ok().flatten();
        if self.shared.houses.stop(issuer, detail, kept, now) {
            tracing::error!(
                issuer,
                detail,
                "the CA refuses this account or its settings: no orders go to it; a closed \
                 account is replaced by `sealwax account reset`, anything else is in its \
                 [[issuer]] section"
            );
        }
    }

    /// Another replica may have replaced the account that this CA refused.
    pub(crate) async fn see_account(&self, issuer: &str, now: Timestamp) {
        let Some(refused) = self.shared.houses.refused(issuer, now) else { return };
        if let Ok(kept) = self.shared.parts.store.account(issuer).await
            && kept != refused
        {
            tracing::info!(issuer, "the account was replaced: orders go on");
            self.shared.houses.lift(issuer);
        }
    }
}
