//! Whether a CA can be asked now, and the turn of a name that waits for it.

use sealwax_core::budget::{BucketKey, Exhausted, Headroom};
use sealwax_core::health::Leave;
use sealwax_core::{Cause, Lane, Span, Timestamp, Work, apply};

use crate::budget::{Refused, need};
use crate::houses::{Rest, Sort};
use crate::line::{Gate, Waits};
use crate::run::{Ask, Progress, Run, RunError, Workflow};

/// Longest turn that is written down: what there is room for then, nobody knows now.
pub(crate) const TURN_MAX: Span = Span::from_secs(60);
/// How soon it is looked again whether there is room: another process may have given some back.
const LOOK_SOON: Span = Span::from_secs(5);
/// How often it is seen whether another replica replaced an account that is refused: one read.
const ACCOUNT_LOOK: Span = Span::from_secs(10);
/// The priority of a registration that names none.
const PRIORITY_USUAL: u8 = 100;

/// Why a CA is not asked now.
pub(crate) struct Wait {
    pub(crate) until: Timestamp,
    pub(crate) cause: Cause,
    pub(crate) detail: String,
    pub(crate) gate: Gate,
    /// The budget has no room, which passes; else the CA is not to be asked.
    pub(crate) counted: bool,
}

impl Workflow {
    /// Why an order cannot be placed with this CA now, if it cannot; takes nothing.
    pub(crate) async fn look_at(&self, run: &Run, issuer: &str) -> Result<Option<Wait>, RunError> {
        let now = self.shared.parts.clock.now();
        let sort = Sort::of(&need(&run.record, issuer, now));
        if let Some(rest) = self.shared.houses.look(issuer, &sort, now) {
            return Ok(Some(rests(issuer, rest)));
        }
        let headroom = self.headroom_at(run, issuer, run.ask);
        match self.shared.budgets.look(issuer, &run.record, headroom, now).await {
            Ok(()) => Ok(None),
            Err(Refused::Exhausted(full)) => Ok(Some(self.full(run, issuer, &full))),
            Err(Refused::Store(error)) => Err(error.into()),
        }
    }

    /// How many of those that wait for it may be let in, and when it is worth looking again.
    pub(crate) async fn room(&self, gate: &Gate) -> (usize, Span) {
        let now = self.shared.parts.clock.now();
        let leave = |issuer: &str| match self.shared.houses.leave(issuer, now) {
            Ok(Leave::All) => (usize::MAX, LOOK_SOON),
            Ok(Leave::Probe) => (1, LOOK_SOON),
            Err(until) => (0, until.since(now)),
        };
        match gate {
            Gate::Time => (0, TURN_MAX),
            Gate::Store if (self.shared.parts.trusts)() => (usize::MAX, LOOK_SOON),
            Gate::Store => (0, LOOK_SOON),
            Gate::Issuer(issuer) => {
                self.see_account(issuer, now).await;
                let (free, again) = leave(issuer);
                // What another replica does about an account is seen in the store alone.
                let stopped = self.shared.houses.refused(issuer, now).is_some();
                (free, if stopped { again.min(ACCOUNT_LOOK) } else { again })
            }
            Gate::Orders(issuer, headroom) => {
                let room = self.shared.budgets.room(issuer, *headroom, now).await.unwrap_or(0);
                let (free, again) = leave(issuer);
                (free.min(usize::try_from(room).unwrap_or(usize::MAX)), again.max(LOOK_SOON))
            }
        }
    }

    pub(crate) fn full(&self, run: &Run, issuer: &str, full: &Exhausted) -> Wait {
        let gate = match &full.key {
            // A visit has the reserve; the sweep, which asks next, has not.
            BucketKey::Orders => {
                Gate::Orders(issuer.to_owned(), self.headroom_at(run, issuer, Ask::Due))
            }
            BucketKey::Tenant(_)
            | BucketKey::RegisteredDomain(_)
            | BucketKey::ExactSet(_)
            | BucketKey::Failures(_)
            | BucketKey::ConsecutiveFailures(_)
            | BucketKey::Accounts
            | BucketKey::Requests(_)
            | BucketKey::Line(_) => Gate::Time,
        };
        let detail = format!("{issuer}: no room now for {}", full.key.in_words());
        Wait { until: full.until, cause: Cause::CaRateLimited, detail, gate, counted: true }
    }

    pub(crate) fn headroom_at(&self, run: &Run, issuer: &str, ask: Ask) -> Headroom {
        match self.shared.parts.issuer(issuer) {
            Some(_) => {
                let now = self.shared.parts.clock.now();
                Headroom::of(&run.record, ask == Ask::Demand, now)
            }
            // Nobody else needs what a staging has.
            None => Headroom::None,
        }
    }

    /// It waits in this process's line. What says already that it is due is left as it is: it is
    /// written once, however long it waits.
    pub(crate) async fn postpone(&self, run: &mut Run, wait: Wait) -> Result<Progress, RunError> {
        let Wait { until, cause, detail, gate, counted: _ } = wait;
        tracing::debug!(domain = %run.record.domain, %until, detail, "waits for a CA");
        let now = self.shared.parts.clock.now();
        let waits = self.place_in_line(run, gate, until, &detail);
        let jitter = waits.jitter;
        run.waits = Some(waits);
        if run.untouched && run.ask == Ask::Due {
            run.record.work = Work::Idle;
            return Ok(Progress::Onward);
        }
        let spread = TURN_MAX.scale(500 + jitter / 2, 1000);
        let turn = until.min(now + spread);
        let postponed = apply::postponed(run.record.clone(), cause, &detail, turn, now);
        self.settle(run, postponed).await
    }

    /// The name's place among those that wait in this process.
    pub(crate) fn place_in_line(
        &self,
        run: &Run,
        gate: Gate,
        until: Timestamp,
        detail: &str,
    ) -> Waits {
        let now = self.shared.parts.clock.now();
        Waits {
            gate,
            until,
            detail: detail.to_owned(),
            visited: run.ask == Ask::Demand,
            back_at: run.record.notice_at().filter(|at| *at > now),
            priority: run.record.registration.priority.unwrap_or(PRIORITY_USUAL),
            since: run.record.created_at,
            lane: Lane::of_due(&run.record, now),
            jitter: self.shared.parts.jitter.permille().min(1000),
        }
    }
}

pub(crate) fn rests(issuer: &str, rest: Rest) -> Wait {
    let Rest { until, cause, detail, for_all } = rest;
    let gate = if for_all { Gate::Issuer(issuer.to_owned()) } else { Gate::Time };
    Wait { until, cause, detail, gate, counted: false }
}
