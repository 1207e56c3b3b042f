//! How a run ends: a certificate, a failure, or the schedule.

use sealwax_core::certificate::{CertificateSource, Chain, ChainError, verify};
use sealwax_core::failure::bounded_detail;
use sealwax_core::issuer::{IssueError, Refusal};
use sealwax_core::record::Work;
use sealwax_core::store::{CertificateChange, Change, LifecycleEvent, StoredCertificate};
use sealwax_core::{
    Cause, DomainRecord, Failure, SealedKey, Timestamp, TrialOrder, Who, apply, backoff, schedule,
    watch,
};
use sealwax_protocol::DomainName;

use crate::missing;
use crate::run::{Progress, Run, RunError, Workflow};
use crate::step::{bug, event, failed_now, failure_event, in_run_wait, stored_token};

impl Workflow {
    pub(crate) async fn download(
        &self,
        run: &mut Run,
        name: &str,
        order_url: &str,
        key: SealedKey,
    ) -> Result<Progress, RunError> {
        let Some(issuer) = self.issuer(name) else {
            let detail = format!("no [[issuer]] is named {name:?}");
            return self.misconfigured(run, &detail).await;
        };
        match self.unless_stopping(issuer.download(order_url)).await? {
            Ok(chain) => self.accept(run, name, chain, key).await,
            Err(error) => self.ca_error(run, error).await,
        }
    }

    /// Nothing is stored that could not be served.
    async fn accept(
        &self,
        run: &mut Run,
        issuer: &str,
        chain: Chain,
        sealed: SealedKey,
    ) -> Result<Progress, RunError> {
        let parts = &self.shared.parts;
        let now = parts.clock.now();
        let domain = run.record.domain.clone();
        let key = self.open(&domain, &sealed).await?;
        let mut facts = match verify(&chain, &key, &domain, now, CertificateSource::Acme) {
            Ok(facts) => facts,
            Err(ChainError::NotYetValid(from)) if missing::is_soon(from, now) => {
                return self.wait_until_valid(run, from).await;
            }
            Err(error) => {
                let detail = format!("the CA's certificate cannot be served: {error}");
                return self.give_up(run, &Refusal { cause: Cause::CaProtocol, detail }).await;
            }
        };
        facts.ordered_from = Some(issuer.to_owned());
        let place = schedule::Place::of(&domain);
        facts.renew_at = Some(schedule::renew_at(facts.not_before, facts.not_after, place));
        let first = run.record.certificate.is_none();
        let kind = if first { "certificate.issued" } else { "certificate.renewed" };
        let detail = format!("serial {}, valid until {}", facts.serial, facts.not_after);
        tracing::info!(%domain, serial = %facts.serial, not_after = %facts.not_after, "{kind}");
        let withdraw = stored_token(&run.record);
        let begun = watch::begun(&facts, now, &*parts.jitter);
        let watch = watch::taken_over(begun, &run.record, now);
        let mut issued = apply::issued(run.record.clone(), facts).map_err(bug)?;
        issued.watch = watch;
        let own = self.shared.budgets.succeeded(issuer, &issued, now);
        issued.usage.extend(own.map(|own| (issuer.to_owned(), own)));
        let change = Change {
            certificate: CertificateChange::Replace(StoredCertificate { chain, key: sealed }),
            withdraw,
            events: vec![event(now, kind, detail)],
            ..Change::of(issued, run.expected)
        };
        self.release(run, change).await?;
        parts.announcer.changed(&domain);
        Ok(Progress::Onward)
    }

    pub(crate) async fn give_up(
        &self,
        run: &mut Run,
        refusal: &Refusal,
    ) -> Result<Progress, RunError> {
        self.count_failure(run, refusal.cause).await;
        self.tell_trial(run);
        // Counting writes to the store, which may take its time: the schedule starts after it.
        let now = self.shared.parts.clock.now();
        let jitter = &*self.shared.parts.jitter;
        let given_up = apply::gave_up(run.record.clone(), refusal, now, jitter);
        self.settle(run, given_up).await
    }

    /// What a CA's error means for the run: try again, look again, or leave it to the schedule.
    pub(crate) async fn ca_error(
        &self,
        run: &mut Run,
        error: IssueError,
    ) -> Result<Progress, RunError> {
        tracing::info!(domain = %run.record.domain, %error, "the CA did not do it");
        self.judge(run, &error).await?;
        let error = self.examined_error(run, error).await?;
        if let IssueError::Refused(refusal) = &error {
            self.count_failure(run, refusal.cause).await;
        }
        let unknown = matches!(error, IssueError::UnknownOutcome { .. });
        let trial = matches!(run.record.work, Work::Trial { .. });
        if unknown && (trial || run.sight.order.is_some()) {
            // It may have been done: look before acting again.
            run.sight.order = None;
            run.sight.finalized = false;
            if let Some(wait) = in_run_wait(run, None) {
                self.pause(run, wait).await?;
                self.keep_lease(run).await?;
                return Ok(Progress::Onward);
            }
        }
        if let Some(after) = failed_now(&error)
            && let Some(wait) = in_run_wait(run, after)
        {
            if matches!(run.record.work, Work::Keyed { .. }) {
                // An order that is not ready may have been finalized already: it is looked at
                // before that is asked for again.
                run.sight.order = None;
            }
            self.pause(run, wait).await?;
            self.keep_lease(run).await?;
            return Ok(Progress::Onward);
        }
        if let IssueError::OrderGone { detail } = &error
            && let Some(progress) = self.look_again(run, detail).await?
        {
            return Ok(progress);
        }
        if trial {
            if let Some(progress) = self.trial_error(run, &error).await? {
                return Ok(progress);
            }
            self.tell_trial(run);
        }
        if self.falls_back(run, &error) {
            return Ok(Progress::Onward);
        }
        if let Some(progress) = self.leave(run, &error).await? {
            return Ok(progress);
        }
        let now = self.shared.parts.clock.now();
        let jitter = &*self.shared.parts.jitter;
        let errored = apply::errored(run.record.clone(), &error, now, jitter);
        self.settle(run, errored).await
    }

    pub(crate) async fn misconfigured(
        &self,
        run: &mut Run,
        detail: &str,
    ) -> Result<Progress, RunError> {
        let error = IssueError::Misconfigured { detail: bounded_detail(detail) };
        self.ca_error(run, error).await
    }

    /// Waits and goes on, while the run has tries left; otherwise writes what `failed` makes of
    /// the record.
    pub(crate) async fn again_or(
        &self,
        run: &mut Run,
        after: Option<sealwax_core::Span>,
        failed: impl FnOnce(&Self, DomainRecord, Timestamp) -> DomainRecord + Send,
    ) -> Result<Progress, RunError> {
        if let Some(wait) = in_run_wait(run, after) {
            self.pause(run, wait).await?;
            self.keep_lease(run).await?;
            return Ok(Progress::Onward);
        }
        let now = self.shared.parts.clock.now();
        let record = failed(self, run.record.clone(), now);
        self.settle(run, record).await
    }

    /// Writes a record nobody works on any more, and tells whoever waits for it.
    pub(crate) async fn settle(
        &self,
        run: &mut Run,
        mut record: DomainRecord,
    ) -> Result<Progress, RunError> {
        // What was seen before explains what went wrong; that a turn did not come, it does not.
        if record.failure.as_ref().is_some_and(|failure| failure.attempts > 0) {
            record.preflight = run.seen.take().or(record.preflight);
        }
        let now = self.shared.parts.clock.now();
        let domain = record.domain.clone();
        // The order is over: nobody will ask for its token any more.
        let over = !record.work.in_flight();
        let withdraw = stored_token(&run.record).filter(|_| over);
        let before = run.record.failure.as_ref();
        let events = record.failure.as_ref().map_or_else(Vec::new, |failure| {
            log_failure(&domain, now, failure, before);
            failure_events(now, &record, failure, before)
        });
        let change =
            Change { withdraw, events, announce: true, ..Change::of(record, run.expected) };
        self.release(run, change).await?;
        self.shared.parts.announcer.changed(&domain);
        // The visit had its attempt: the schedule has the word again.
        run.sight.visited = false;
        if run.sight.notices {
            return Ok(Progress::Onward);
        }
        Ok(Progress::Rest(run.record.wake_at()))
    }

    /// What fails now failed in staging.
    fn tell_trial(&self, run: &mut Run) {
        if let Work::Trial { issuer, .. } = &run.record.work {
            let detail = format!("seen by {issuer}: production was not asked");
            self.tell(run, "trial.failed", detail);
        }
    }

    /// A validation that failed counts against the name, whatever comes of the order: in staging
    /// there, and nowhere else.
    async fn count_failure(&self, run: &mut Run, cause: Cause) {
        let answered = matches!(
            run.record.work,
            Work::Challenged { .. } | Work::Trial { order: TrialOrder::Challenged { .. }, .. }
        );
        let ours = cause == Cause::EdgeUnavailable;
        if !answered || (cause.who() != Who::Customer && !ours) {
            return;
        }
        let Some(issuer) = run.record.work.issuer().map(str::to_owned) else { return };
        let now = self.shared.parts.clock.now();
        let budgets = &self.shared.budgets;
        let own = if ours {
            budgets.failed_at_edge(&issuer, &run.record, now).await
        } else {
            budgets.failed(&issuer, &run.record, now).await
        };
        run.record.usage.extend(own.map(|own| (issuer, own)));
    }
}

/// What is remembered of an attempt that came to nothing, and what the platform may want to hear:
/// each failure that is tried again by itself, but a refusal only when it is news, and an outage
/// only when it lasts.
fn failure_events(
    now: Timestamp,
    record: &DomainRecord,
    failure: &Failure,
    before: Option<&Failure>,
) -> Vec<LifecycleEvent> {
    let known = before.and_then(Failure::counted) == Some(failure.cause);
    let public = match (came_to(now, failure, before), &record.work) {
        (CameTo::Nothing, _) => return Vec::new(),
        (CameTo::Postponed, _) => return vec![postponed_event(now, failure)],
        (CameTo::Stalled, _) => {
            let told = before.is_some_and(|before| before.is_stall() && before.outage.told);
            (failure.outage.told && !told).then_some("certificate.failed")
        }
        (CameTo::Failed, Work::Parked) => Some("domain.parked"),
        (CameTo::Failed, _) if !failure.refused => Some("certificate.failed"),
        (CameTo::Failed, _) if known => None,
        (CameTo::Failed, _) => Some("domain.refused"),
    };
    let kind = if failure.is_stall() { "attempt.stalled" } else { "attempt.failed" };
    let attempt = failure_event(now, kind, failure);
    let told = public.map(|kind| event(now, kind, attempt.detail.clone()));
    told.into_iter().chain([attempt]).collect()
}

/// What an attempt came to, by what was known before it.
enum CameTo {
    /// Someone must act, or it is parked.
    Failed,
    /// An outage stopped it.
    Stalled,
    /// It waits for its turn.
    Postponed,
    /// Nothing new: a visit asked before its time, or the outage is known to last.
    Nothing,
}

fn came_to(now: Timestamp, failure: &Failure, before: Option<&Failure>) -> CameTo {
    let attempts = before.map_or(0, |before| before.attempts);
    if !failure.is_stall() {
        let waits = |row: &Failure| row.is_postponed() && row.cause == failure.cause;
        return match failure.attempts == attempts {
            true if failure.is_postponed() && before.is_some_and(waits) => CameTo::Nothing,
            true => CameTo::Postponed,
            false => CameTo::Failed,
        };
    }
    let row = before.filter(|row| row.is_stall() && row.cause.same_outage(failure.cause));
    match row {
        Some(row) if row.outage.told != failure.outage.told => CameTo::Stalled,
        Some(row) if row.next_attempt_at > Some(now) => CameTo::Nothing,
        Some(row) if row.stalls == failure.stalls => CameTo::Postponed,
        Some(_) if failure.stalls > backoff::STALLS_NEWS => CameTo::Nothing,
        Some(_) | None => CameTo::Stalled,
    }
}

fn log_failure(domain: &DomainName, now: Timestamp, failure: &Failure, before: Option<&Failure>) {
    let next_attempt_at = failure.next_attempt_at.map(Timestamp::rfc3339);
    match came_to(now, failure, before) {
        CameTo::Failed => {
            tracing::warn!(%domain, cause = ?failure.cause, attempts = failure.attempts,
                ?next_attempt_at, "{}", failure.detail);
        }
        CameTo::Stalled => {
            tracing::info!(%domain, cause = ?failure.cause, stalls = failure.stalls,
                ?next_attempt_at, "an outage, tried again soon: {}", failure.detail);
        }
        CameTo::Postponed | CameTo::Nothing => {}
    }
}

fn postponed_event(now: Timestamp, failure: &Failure) -> LifecycleEvent {
    let until = failure.next_attempt_at.map(|at| format!(" until {at}")).unwrap_or_default();
    event(now, "order.postponed", format!("it waits{until}: {}", failure.detail))
}
