//! How a run ends: a certificate, a failure, or the schedule.

use sealwax_core::certificate::{CertificateSource, Chain, verify};
use sealwax_core::failure::bounded_detail;
use sealwax_core::issuer::{IssueError, Refusal};
use sealwax_core::store::{CertificateChange, Change, StoredCertificate};
use sealwax_core::{Cause, DomainRecord, SealedKey, Timestamp, apply, schedule};

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
        match issuer.download(order_url).await {
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
        let issued = apply::issued(run.record.clone(), facts).map_err(bug)?;
        let change = Change {
            certificate: CertificateChange::Replace(StoredCertificate { chain, key: sealed }),
            withdraw,
            events: vec![event(now, kind, detail)],
            ..Change::of(issued, run.expected)
        };
        self.release(run, change).await?;
        parts.announcer.changed(&domain);
        Ok(Progress::Rest(run.record.wake_at()))
    }

    pub(crate) async fn give_up(
        &self,
        run: &mut Run,
        refusal: &Refusal,
    ) -> Result<Progress, RunError> {
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
        let unknown = matches!(error, IssueError::UnknownOutcome { .. });
        if unknown && run.sight.order.is_some() {
            // It may have been done: look before acting again.
            run.sight.order = None;
            run.sight.finalized = false;
            if let Some(wait) = in_run_wait(run, None) {
                self.pause(run, wait).await?;
                self.keep_lease(run).await?;
                return Ok(Progress::Onward);
            }
        }
        if let Some(after) = failed_now(&error) {
            return self
                .again_or(run, after, |flow, record, now| {
                    apply::errored(record, &error, now, &*flow.shared.parts.jitter)
                })
                .await;
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
        record: DomainRecord,
    ) -> Result<Progress, RunError> {
        let now = self.shared.parts.clock.now();
        let domain = record.domain.clone();
        // The order is over: nobody will ask for its token any more.
        let over = !record.work.in_flight();
        let withdraw = stored_token(&run.record).filter(|_| over);
        let events: Vec<_> =
            record.failure.iter().map(|failure| failure_event(now, failure)).collect();
        if let Some(failure) = &record.failure {
            tracing::warn!(%domain, cause = ?failure.cause, attempts = failure.attempts,
                next_attempt_at = ?failure.next_attempt_at.map(Timestamp::rfc3339),
                "{}", failure.detail);
        }
        let change =
            Change { withdraw, events, announce: true, ..Change::of(record, run.expected) };
        self.release(run, change).await?;
        self.shared.parts.announcer.changed(&domain);
        Ok(Progress::Rest(run.record.wake_at()))
    }
}
