//! Which CA an order goes to, and whether now.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sealwax_core::budget::Headroom;
use sealwax_core::health::Health;
use sealwax_core::issuer::{IssueError, Issuer, LimitScope};
use sealwax_core::record::Work;
use sealwax_core::store::Change;
use sealwax_core::{Cause, DomainRecord, Span, Timestamp, apply, schedule, trial};

use crate::budget::Refused;
use crate::run::{Ask, Progress, Run, RunError, Workflow};
use crate::step::{bug, unknown_issuer};

/// A limit of requests that is free again this soon is waited for in the run.
const SHORT_WAIT: Span = Span::from_secs(2);

/// How healthy each CA is, as seen from this process. Bounded by the configured issuers.
#[derive(Debug, Default)]
pub(crate) struct Houses(Mutex<HashMap<String, Health>>);

impl Houses {
    fn with<T>(&self, issuer: &str, act: impl FnOnce(&mut Health) -> T) -> T {
        let mut houses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        act(houses.entry(issuer.to_owned()).or_default())
    }
}

/// Why a CA is not asked now.
struct Wait {
    until: Timestamp,
    cause: Cause,
    detail: String,
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
    /// Permission was given: finds the first CA that is well and has room, and reserves it. What
    /// failed before is tried in that CA's staging first.
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
            match self.admit(run, issuer.name()).await? {
                None => {
                    let ordering =
                        apply::permitted(run.record.clone(), issuer.name()).map_err(bug)?;
                    let change = Change::of(ordering, run.expected);
                    self.advance(run, change).await?;
                    run.sight.reserved = true;
                    return Ok(Progress::Onward);
                }
                Some(wait) => soonest.see(wait),
            }
        }
        let Some(wait) = soonest.0 else { return Ok(Progress::Onward) };
        self.postpone(run, &wait).await
    }

    /// A staging that is away holds nothing up: what cannot be tried is ordered. One without room
    /// has room again, so that is waited for.
    async fn begin_trial(&self, run: &mut Run, staging: &str) -> Result<Begun, RunError> {
        match self.admit(run, staging).await? {
            None => {
                let trial = trial::begun(run.record.clone(), staging).map_err(bug)?;
                let change = Change::of(trial, run.expected);
                self.advance(run, change).await?;
                run.sight.reserved = true;
                Ok(Begun::Placing)
            }
            Some(wait) if wait.cause == Cause::CaRateLimited => Ok(Begun::Later(wait)),
            Some(wait) => {
                self.tell(run, "trial.impossible", wait.detail);
                run.record = trial::to_production(run.record.clone());
                Ok(Begun::Impossible)
            }
        }
    }

    /// The budget for an order that is placed in another run than the one that chose its CA: the
    /// one before may have been placed, although nobody knows.
    pub(crate) async fn reserve_again(
        &self,
        run: &mut Run,
        issuer: &str,
    ) -> Result<Option<Progress>, RunError> {
        match self.admit(run, issuer).await? {
            None => {
                run.sight.reserved = true;
                Ok(None)
            }
            Some(wait)
                if wait.cause != Cause::CaRateLimited
                    && matches!(run.record.work, Work::Trial { .. }) =>
            {
                self.skip_trial(run, &wait.detail).await.map(Some)
            }
            Some(wait) => self.postpone(run, &wait).await.map(Some),
        }
    }

    /// The CA did what it was asked.
    pub(crate) fn well(&self, issuer: &str) {
        self.shared.houses.with(issuer, Health::succeeded);
    }

    /// What an error says about the CA that gave it, and about its limits.
    pub(crate) async fn judge(&self, run: &mut Run, error: &IssueError) -> Result<(), RunError> {
        let Some(issuer) = run.record.work.issuer().map(str::to_owned) else { return Ok(()) };
        let now = self.shared.parts.clock.now();
        match error {
            IssueError::Retry { .. } | IssueError::UnknownOutcome { .. } => {
                self.shared.houses.with(&issuer, |health| health.failed(now));
            }
            // What it refuses may be the profile, and that is the domain's own.
            IssueError::Misconfigured { .. } if run.record.registration.profile.is_some() => {}
            IssueError::Misconfigured { detail } => {
                if self.shared.houses.with(&issuer, |health| health.stop(detail, now)) {
                    tracing::error!(
                        issuer,
                        detail,
                        "the CA refuses this account or its settings: no orders go to it; \
                         check its [[issuer]] section"
                    );
                }
            }
            IssueError::RateLimited { until, scope, .. } => {
                if *scope == LimitScope::Ca {
                    self.shared.houses.with(&issuer, |health| health.hold(*until));
                }
                let budgets = &self.shared.budgets;
                let own = budgets.correct(&issuer, &run.record, *scope, *until, now).await?;
                run.record.usage.extend(own.map(|own| (issuer, own)));
            }
            // It answers: what is wrong is wrong with the domain.
            IssueError::Paused { .. }
            | IssueError::Refused(_)
            | IssueError::OrderGone { .. }
            | IssueError::Protocol { .. }
            | _ => self.well(&issuer),
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
        run.tried.push(issuer.clone());
        if self.untried(run).is_empty() {
            return false;
        }
        run.record.work = Work::Wanted { since: self.shared.parts.clock.now() };
        run.sight.reserved = false;
        run.tries = 0;
        true
    }

    fn untried(&self, run: &Run) -> Vec<Arc<dyn Issuer>> {
        let mut candidates = self.shared.parts.candidates(&run.record);
        candidates.retain(|issuer| !run.tried.iter().any(|tried| tried == issuer.name()));
        // What was seen from here is no veto: they are last, not left out.
        candidates.sort_by_key(|issuer| run.forbidden.iter().any(|name| name == issuer.name()));
        candidates
    }

    /// `None`: an order may be placed, and its budget is taken.
    async fn admit(&self, run: &mut Run, issuer: &str) -> Result<Option<Wait>, RunError> {
        let now = self.shared.parts.clock.now();
        let resting = |health: &mut Health| {
            health.resting_until(now).map(|until| (until, health.stopped().map(str::to_owned)))
        };
        if let Some((until, stopped)) = self.shared.houses.with(issuer, resting) {
            return Ok(Some(rests(issuer, until, stopped)));
        }
        let headroom = match self.shared.parts.issuer(issuer) {
            Some(_) => headroom(&run.record, run.ask, now),
            // Nobody else needs what a staging has.
            None => Headroom::None,
        };
        loop {
            let now = self.shared.parts.clock.now();
            let budgets = &self.shared.budgets;
            match budgets.reserve(issuer, &run.record, headroom, now).await {
                Ok(own) => {
                    run.record.usage.extend(own.map(|own| (issuer.to_owned(), own)));
                    let now = self.shared.parts.clock.now();
                    let admitted = self.shared.houses.with(issuer, |health| health.admit(now));
                    return Ok(admitted.err().map(|until| rests(issuer, until, None)));
                }
                Err(Refused::Exhausted { until, .. }) if until.since(now) <= SHORT_WAIT => {
                    self.pause(run, until.since(now).max(Span::from_millis(1))).await?;
                }
                Err(Refused::Exhausted { until, detail }) => {
                    return Ok(Some(Wait { until, cause: Cause::CaRateLimited, detail }));
                }
                Err(Refused::Store(error)) => return Err(error.into()),
            }
        }
    }

    async fn postpone(&self, run: &mut Run, wait: &Wait) -> Result<Progress, RunError> {
        let Wait { until, cause, detail } = wait;
        tracing::debug!(domain = %run.record.domain, %until, detail, "waits for its turn");
        let now = self.shared.parts.clock.now();
        let postponed = apply::postponed(run.record.clone(), *cause, detail, *until, now);
        self.settle(run, postponed).await
    }
}

fn rests(issuer: &str, until: Timestamp, stopped: Option<String>) -> Wait {
    match stopped {
        Some(detail) => Wait { until, cause: Cause::CaAccount, detail },
        None => {
            let detail = format!("{issuer} did not answer lately and is left alone until {until}");
            Wait { until, cause: Cause::CaUnavailable, detail }
        }
    }
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
