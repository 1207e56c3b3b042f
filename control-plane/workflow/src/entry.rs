//! The last steps before an order is placed, and what was taken for it afterwards.

use sealwax_core::backoff;
use sealwax_core::health::Pass;
use sealwax_core::issuer::IssueError;
use sealwax_core::{Span, Work};

use crate::budget::{Refused, Reserved, need};
use crate::houses::Sort;
use crate::run::{Progress, Run, RunError, Workflow};
use crate::turn::{Wait, rests};

/// A limit of requests that is free again this soon is waited for in the run.
const SHORT_WAIT: Span = Span::from_secs(2);

/// What it takes to place an order.
pub(crate) struct Entry {
    pub(crate) pass: Pass,
    pub(crate) reserved: Reserved,
}

impl Workflow {
    /// Right before an order is placed: leave to ask the CA, then the budget's token. Whoever comes
    /// too late for it looks for another CA, or waits.
    pub(crate) async fn enter(
        &self,
        run: &mut Run,
        issuer: &str,
    ) -> Result<Result<Entry, Progress>, RunError> {
        let now = self.shared.parts.clock.now();
        let sort = Sort::of(&need(&run.record, issuer, now));
        let pass = match self.shared.houses.admit(issuer, &sort, now) {
            Ok(pass) => pass,
            Err(rest) => return self.turned_away(run, issuer, rests(issuer, rest)).await.map(Err),
        };
        let headroom = self.headroom_at(run, issuer, run.ask);
        let budgets = &self.shared.budgets;
        let mut outcome = budgets.reserve(issuer, &run.record, headroom, now).await;
        // Once: what is free again soon may be gone again as soon, whoever takes it.
        if let Err(Refused::Exhausted(full)) = &outcome
            && full.wait(now) <= SHORT_WAIT
        {
            self.pause(run, full.wait(now).max(Span::from_millis(1))).await?;
            let now = self.shared.parts.clock.now();
            outcome = budgets.reserve(issuer, &run.record, headroom, now).await;
        }
        let refused = match outcome {
            Ok(reserved) => return Ok(Ok(Entry { pass, reserved })),
            Err(refused) => refused,
        };
        self.shared.houses.void(issuer, pass);
        match refused {
            Refused::Exhausted(full) => {
                let wait = self.full(run, issuer, &full);
                self.turned_away(run, issuer, wait).await.map(Err)
            }
            Refused::Store(error) => Err(error.into()),
        }
    }

    async fn turned_away(
        &self,
        run: &mut Run,
        issuer: &str,
        wait: Wait,
    ) -> Result<Progress, RunError> {
        if matches!(run.record.work, Work::Trial { .. }) {
            if !wait.counted {
                return self.skip_trial(run, &wait.detail).await;
            }
        } else if self.looks_elsewhere(run, issuer) {
            return Ok(Progress::Onward);
        }
        self.postpone(run, wait).await
    }

    /// The CA has the order, and what was taken for it is the record's.
    pub(crate) fn placed(&self, run: &mut Run, issuer: &str, entry: Entry) {
        let now = self.shared.parts.clock.now();
        let sort = Sort::of(&need(&run.record, issuer, now));
        self.shared.houses.placed(issuer, entry.pass, &sort, now);
        spend(run, issuer, entry.reserved);
    }

    /// The CA has no order, or nobody knows: what was taken for it is given back unless it may have
    /// been placed.
    pub(crate) async fn not_placed(
        &self,
        run: &mut Run,
        issuer: &str,
        entry: Entry,
        error: &IssueError,
    ) {
        let Entry { pass, reserved } = entry;
        let counts =
            matches!(error, IssueError::UnknownOutcome { .. } | IssueError::Unfindable { .. });
        if counts {
            spend(run, issuer, reserved);
            let now = self.shared.parts.clock.now();
            let own = self.shared.budgets.abandoned(issuer, &run.record, now).await;
            run.record.usage.extend(own.map(|own| (issuer.to_owned(), own)));
        } else {
            let now = self.shared.parts.clock.now();
            self.shared.budgets.give_back(issuer, &run.record, reserved, now).await;
        }
        let now = self.shared.parts.clock.now();
        let houses = &self.shared.houses;
        match error {
            IssueError::Retry { after: Some(after), .. } if *after > backoff::IN_RUN_WAIT_MAX => {
                houses.paused(issuer, now + *after, now);
                houses.void(issuer, pass);
            }
            IssueError::Retry { .. } | IssueError::UnknownOutcome { .. } => {
                houses.failed(issuer, pass, now);
            }
            // It answers, and what it says is about the account, a limit, or this one order.
            IssueError::RateLimited { .. }
            | IssueError::Paused { .. }
            | IssueError::Refused(_)
            | IssueError::Misconfigured { .. }
            | IssueError::ProfileRefused { .. }
            | IssueError::Unfindable { .. }
            | IssueError::OrderGone { .. }
            | IssueError::Protocol { .. }
            | _ => houses.void(issuer, pass),
        }
    }
}

/// What was taken for an order that was placed, or may have been, is kept with the record.
fn spend(run: &mut Run, issuer: &str, reserved: Reserved) {
    run.record.usage.extend(reserved.spent().map(|own| (issuer.to_owned(), own)));
}
