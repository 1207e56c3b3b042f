//! Which CA an order goes to, and whether now.

use std::sync::Arc;

use sealwax_core::budget::{BucketKey, Exhausted, Headroom};
use sealwax_core::failure::bounded_detail;
use sealwax_core::health::{Leave, Pass};
use sealwax_core::issuer::{IssueError, Issuer, LimitScope, Refusal};
use sealwax_core::record::Work;
use sealwax_core::store::Change;
use sealwax_core::{Cause, DomainRecord, Span, Timestamp, apply, backoff, schedule, trial};

use crate::budget::{Refused, Reserved, need};
use crate::houses::{Rest, Sort};
use crate::line::{Gate, Waits};
use crate::run::{Ask, Progress, Run, RunError, Workflow};
use crate::step::{bug, stored_token, unknown_issuer};
use sealwax_core::Lane;

/// A limit of requests that is free again this soon is waited for in the run.
const SHORT_WAIT: Span = Span::from_secs(2);
/// Longest turn that is written down: what there is room for then, nobody knows now.
const TURN_MAX: Span = Span::from_secs(60);
/// How soon it is looked again whether there is room: another process may have given some back.
const LOOK_SOON: Span = Span::from_secs(5);
/// The priority of a registration that names none.
const PRIORITY_USUAL: u8 = 100;

/// Why a CA is not asked now.
struct Wait {
    until: Timestamp,
    cause: Cause,
    detail: String,
    gate: Gate,
    /// The budget has no room, which passes; else the CA is not to be asked.
    counted: bool,
}

/// What it takes to place an order.
pub(crate) struct Entry {
    pub(crate) pass: Pass,
    pub(crate) reserved: Reserved,
}

/// What came of the wish to try something in staging.
enum Begun {
    /// The order is placed next.
    Placing,
    /// Not before its turn.
    Later(Wait),
    /// Not at all, for now.
    Impossible,
}

/// The shortest wait of all that were seen.
#[derive(Default)]
struct Soonest(Option<Wait>);

impl Soonest {
    fn see(&mut self, wait: Wait) {
        if self.0.as_ref().is_none_or(|known| wait.until < known.until) {
            self.0 = Some(wait);
        }
    }
}

impl Workflow {
    /// Before the platform is asked: a record that no CA has room for is left alone.
    pub(crate) async fn ahead(&self, run: &mut Run) -> Result<Option<Progress>, RunError> {
        // What is perhaps gone, or was, is the platform's question, whatever the CA does.
        let asked =
            run.record.departure.is_some() || !matches!(run.record.work, Work::Wanted { .. });
        if asked {
            return Ok(None);
        }
        let mut soonest = Soonest::default();
        for issuer in self.untried(run) {
            let staging = self.shared.parts.trial(&run.record, issuer.name()).cloned();
            let name = staging.as_ref().unwrap_or(&issuer).name();
            match self.look_at(run, name).await? {
                Some(wait) if staging.is_none() || wait.counted => {
                    soonest.see(wait);
                }
                _ => return Ok(None),
            }
        }
        let Some(wait) = soonest.0 else { return Ok(None) };
        self.postpone(run, wait).await.map(Some)
    }

    /// Permission was given: finds the first CA that is well and has room. What failed before is
    /// tried in that CA's staging first.
    pub(crate) async fn choose(&self, run: &mut Run) -> Result<Progress, RunError> {
        let mut soonest = Soonest::default();
        let candidates = self.untried(run);
        if candidates.is_empty() {
            let name = run.record.registration.issuer.clone().unwrap_or_default();
            return self.misconfigured(run, &unknown_issuer(&name)).await;
        }
        for issuer in candidates {
            let staging = self.shared.parts.trial(&run.record, issuer.name()).cloned();
            if let Some(staging) = staging {
                match self.begin_trial(run, staging.name()).await? {
                    Begun::Placing => return Ok(Progress::Onward),
                    Begun::Later(wait) => {
                        soonest.see(wait);
                        continue;
                    }
                    Begun::Impossible => {}
                }
            }
            match self.look_at(run, issuer.name()).await? {
                None => {
                    let ordering =
                        apply::permitted(run.record.clone(), issuer.name()).map_err(bug)?;
                    let change = Change::of(ordering, run.expected);
                    self.advance(run, change).await?;
                    return Ok(Progress::Onward);
                }
                Some(wait) => soonest.see(wait),
            }
        }
        let Some(wait) = soonest.0 else { return Ok(Progress::Onward) };
        self.postpone(run, wait).await
    }

    /// A staging that is away holds nothing up: what cannot be tried is ordered. One without room
    /// has room again, so that is waited for.
    async fn begin_trial(&self, run: &mut Run, staging: &str) -> Result<Begun, RunError> {
        match self.look_at(run, staging).await? {
            None => {
                let trial = trial::begun(run.record.clone(), staging).map_err(bug)?;
                let change = Change::of(trial, run.expected);
                self.advance(run, change).await?;
                Ok(Begun::Placing)
            }
            Some(wait) if wait.counted => Ok(Begun::Later(wait)),
            Some(wait) => {
                self.tell(run, "trial.impossible", wait.detail);
                run.record = trial::to_production(run.record.clone());
                Ok(Begun::Impossible)
            }
        }
    }

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
        let refused = loop {
            let now = self.shared.parts.clock.now();
            match self.shared.budgets.reserve(issuer, &run.record, headroom, now).await {
                Ok(reserved) => return Ok(Ok(Entry { pass, reserved })),
                Err(Refused::Exhausted(full)) if full.wait(now) <= SHORT_WAIT => {
                    self.pause(run, full.wait(now).max(Span::from_millis(1))).await?;
                }
                Err(refused) => break refused,
            }
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
            Gate::Issuer(issuer) => leave(issuer),
            Gate::Orders(issuer, headroom) => {
                let room = self.shared.budgets.room(issuer, *headroom, now).await.unwrap_or(0);
                let (free, again) = leave(issuer);
                (free.min(usize::try_from(room).unwrap_or(usize::MAX)), again.max(LOOK_SOON))
            }
        }
    }

    /// The account with a CA was replaced, or repaired: if orders to it were stopped for it, they
    /// go on.
    pub fn account_works(&self, issuer: &str) {
        self.shared.houses.lift(issuer);
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
        if matches!(error, IssueError::UnknownOutcome { .. }) {
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
                houses.paused(issuer, now + *after);
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
            | IssueError::OrderGone { .. }
            | IssueError::Protocol { .. }
            | _ => houses.void(issuer, pass),
        }
    }

    /// What an error says about the account and the limits of the CA that gave it.
    pub(crate) async fn judge(&self, run: &mut Run, error: &IssueError) -> Result<(), RunError> {
        let Some(issuer) = run.record.work.issuer().map(str::to_owned) else { return Ok(()) };
        let now = self.shared.parts.clock.now();
        match error {
            // What it refuses may be the profile, and that is the domain's own.
            IssueError::Misconfigured { .. } if run.record.registration.profile.is_some() => {}
            IssueError::Misconfigured { detail }
                if self.shared.houses.stop(&issuer, detail, now) =>
            {
                tracing::error!(
                    issuer,
                    detail,
                    "the CA refuses this account or its settings: no orders go to it; \
                     a closed account is replaced by `sealwax account reset`, anything else \
                     is in its [[issuer]] section"
                );
            }
            IssueError::RateLimited { until, scope, .. } => {
                self.limited(run, &issuer, *scope, *until, now).await?;
            }
            // Whether it answers is seen where orders are placed, and what became of one order
            // says nothing about it.
            IssueError::Misconfigured { .. }
            | IssueError::Retry { .. }
            | IssueError::Paused { .. }
            | IssueError::Refused(_)
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

    /// An order could not be placed, and not because of the domain: another CA may take it, in
    /// this very run.
    pub(crate) fn falls_back(&self, run: &mut Run, error: &IssueError) -> bool {
        let Work::Ordering { issuer } = &run.record.work else { return false };
        let elsewhere = matches!(
            error,
            IssueError::Retry { .. }
                | IssueError::RateLimited { .. }
                | IssueError::Misconfigured { .. }
        );
        if !elsewhere {
            return false;
        }
        tracing::info!(domain = %run.record.domain, issuer, %error, "looking for another CA");
        let issuer = issuer.clone();
        self.looks_elsewhere(run, &issuer)
    }

    fn looks_elsewhere(&self, run: &mut Run, issuer: &str) -> bool {
        run.tried.push(issuer.to_owned());
        if self.untried(run).is_empty() {
            return false;
        }
        run.record.work = Work::Wanted { since: self.shared.parts.clock.now() };
        run.tries = 0;
        true
    }

    /// An order that its CA does not finish is given up: it is an outage of that CA for this name.
    /// Another one is asked in this very run; without one, this CA again, soon.
    pub(crate) async fn abandon(
        &self,
        run: &mut Run,
        detail: String,
    ) -> Result<Progress, RunError> {
        let Some(issuer) = run.record.work.issuer().map(str::to_owned) else {
            return Err(bug("an order of nobody is given up"));
        };
        tracing::warn!(domain = %run.record.domain, issuer, detail, "the order is given up");
        if !self.has_another(run) {
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

    /// Another CA may take what the present one does not finish.
    pub(crate) fn has_another(&self, run: &Run) -> bool {
        let present = run.record.work.issuer();
        self.untried(run).iter().any(|issuer| Some(issuer.name()) != present)
    }

    fn untried(&self, run: &Run) -> Vec<Arc<dyn Issuer>> {
        let mut candidates = self.shared.parts.candidates(&run.record);
        candidates.retain(|issuer| !run.tried.iter().any(|tried| tried == issuer.name()));
        // What was seen from here is no veto: they are last, not left out.
        candidates.sort_by_key(|issuer| run.forbidden.iter().any(|name| name == issuer.name()));
        candidates
    }

    /// Why an order cannot be placed with this CA now, if it cannot; takes nothing.
    async fn look_at(&self, run: &Run, issuer: &str) -> Result<Option<Wait>, RunError> {
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

    fn full(&self, run: &Run, issuer: &str, full: &Exhausted) -> Wait {
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

    fn headroom_at(&self, run: &Run, issuer: &str, ask: Ask) -> Headroom {
        match self.shared.parts.issuer(issuer) {
            Some(_) => headroom(&run.record, ask, self.shared.parts.clock.now()),
            // Nobody else needs what a staging has.
            None => Headroom::None,
        }
    }

    /// It waits in this process's line. What says already that it is due is left as it is: it is
    /// written once, however long it waits.
    async fn postpone(&self, run: &mut Run, wait: Wait) -> Result<Progress, RunError> {
        let Wait { until, cause, detail, gate, counted: _ } = wait;
        tracing::debug!(domain = %run.record.domain, %until, detail, "waits for a CA");
        let now = self.shared.parts.clock.now();
        let jitter = self.shared.parts.jitter.permille().min(1000);
        run.waits = Some(Waits {
            gate,
            until,
            detail: detail.clone(),
            visited: run.ask == Ask::Demand,
            back_at: run.record.notice_at().filter(|at| *at > now),
            priority: run.record.registration.priority.unwrap_or(PRIORITY_USUAL),
            since: run.record.created_at,
            lane: Lane::of_due(&run.record, now),
            jitter,
        });
        if run.untouched && run.ask == Ask::Due {
            run.record.work = Work::Idle;
            return Ok(Progress::Onward);
        }
        let spread = TURN_MAX.scale(500 + jitter / 2, 1000);
        let turn = until.min(now + spread);
        let postponed = apply::postponed(run.record.clone(), cause, &detail, turn, now);
        self.settle(run, postponed).await
    }
}

/// What was taken for an order that was placed, or may have been, is kept with the record.
fn spend(run: &mut Run, issuer: &str, reserved: Reserved) {
    run.record.usage.extend(reserved.spent().map(|own| (issuer.to_owned(), own)));
}

fn rests(issuer: &str, rest: Rest) -> Wait {
    let Rest { until, cause, detail, for_all } = rest;
    let gate = if for_all { Gate::Issuer(issuer.to_owned()) } else { Gate::Time };
    Wait { until, cause, detail, gate, counted: false }
}

/// Names that failed before never use up what others need; what is waited for, or about to
/// expire, has everything.
fn headroom(record: &DomainRecord, ask: Ask, now: Timestamp) -> Headroom {
    let held = record.certificate.as_ref();
    let urgent =
        held.is_some_and(|held| schedule::is_emergency(held.not_before, held.not_after, now));
    if record.failure.as_ref().is_some_and(|failure| failure.attempts > 0) {
        Headroom::Half
    } else if urgent || ask == Ask::Demand {
        Headroom::None
    } else {
        Headroom::Tenth
    }
}
