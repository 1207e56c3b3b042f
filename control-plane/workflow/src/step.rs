//! The effect of each step, and what it makes of the record.

use std::sync::Arc;

use sealwax_core::issuer::{
    IssueError, Issuer, OrderChallenge, OrderRequest, OrderStatus, Refusal,
};
use sealwax_core::permission::Verdict;
use sealwax_core::secret::SealPlace;
use sealwax_core::store::{Challenge, Change, LifecycleEvent, StoreError};
use sealwax_core::{
    Cause, DomainRecord, PrivateKey, SealedKey, Span, Step, Timestamp, Work, apply, decide,
};
use sealwax_core::{Failure, backoff, departure};
use sealwax_protocol::{ChallengeToken, DomainName};
use tokio::time::Instant;

use crate::run::{Ask, Progress, Run, RunError, Workflow};

/// How long a published answer may be asked for: as long as Let's Encrypt keeps an order, because
/// one that waits out an outage is answered after it, and a day for clocks that are off.
const CHALLENGE_LIFE: Span = Span::from_secs(8 * 86_400);

impl Workflow {
    pub(crate) async fn perform(&self, run: &mut Run, step: Step) -> Result<Progress, RunError> {
        // Only an order can run out of time. Notices, looks at certificates and what rests go on:
        // each of them ends by itself.
        if Instant::now() >= run.deadline && step.is_of_an_order() {
            return self.out_of_time(run).await;
        }
        match step {
            Step::Rest(until) => Ok(Progress::Rest(until)),
            Step::Claim => self.claim(run).await,
            Step::Confirm => match self.ahead(run).await? {
                Some(waits) => Ok(waits),
                None => self.confirm(run).await,
            },
            Step::Look => self.look(run).await,
            Step::Choose => self.choose(run).await,
            Step::Try { issuer, step } => self.go_on_trying(run, &issuer, step).await,
            Step::PlaceOrder { issuer } => self.place_order(run, &issuer).await,
            Step::Observe { issuer, order_url, wait } => {
                self.observe(run, &issuer, &order_url, wait).await
            }
            Step::Publish(challenge) => self.publish(run, challenge).await,
            Step::Answer { issuer, order_url, wait } => {
                self.answer(run, &issuer, &order_url, wait).await
            }
            Step::StoreKey => self.store_key(run).await,
            Step::Finalize { issuer, order_url, key } => {
                self.finalize(run, &issuer, &order_url, &key).await
            }
            Step::Download { issuer, order_url, key } => {
                self.download(run, &issuer, &order_url, key).await
            }
            Step::GiveUp(refusal) => self.came_to_nothing(run, refusal).await,
            Step::Abandon { detail } => self.abandon(run, detail).await,
            Step::AskRenewal { issuer, ari_id } => self.ask_renewal(run, &issuer, &ari_id).await,
            Step::Warn => self.warn(run).await,
            Step::Erase => self.erase(run).await,
            Step::Notify(notice) => self.notify(run, &notice).await,
            Step::Forget => self.forget(run).await,
        }
    }

    async fn claim(&self, run: &mut Run) -> Result<Progress, RunError> {
        if let Some(lease) = &run.record.lease {
            // In a store that one process has to itself, whoever held a lease before is gone.
            let free = self.shared.parts.store.exclusive()
                || self.shared.leases.is_silent(&run.record.domain, lease);
            if !free {
                return Ok(Progress::Rest(run.record.wake_at()));
            }
            tracing::info!(domain = %run.record.domain, from = %lease.holder, "taking work over");
        }
        let change = Change::of(run.record.clone(), run.expected);
        self.advance(run, change).await?;
        Ok(Progress::Onward)
    }

    /// What is due is due for every replica at once: whoever holds it asks, looks and reserves,
    /// alone. What a handshake asks for is asked of one of them, and does not wait for a write.
    async fn hold_wanted(&self, run: &mut Run) -> Result<(), RunError> {
        let alone = self.shared.parts.store.exclusive() || run.ask == Ask::Demand;
        if alone || run.record.lease.is_some() {
            return Ok(());
        }
        let change = Change::of(run.record.clone(), run.expected);
        self.advance(run, change).await
    }

    async fn confirm(&self, run: &mut Run) -> Result<Progress, RunError> {
        self.hold_wanted(run).await?;
        let record = run.record.clone();
        let asked = self.shared.parts.permission.ask(&record.domain);
        let verdict = self.unless_stopping(asked).await?;
        if departure::is_parked(&record) {
            return self.doubt(run, verdict).await;
        }
        match verdict {
            Verdict::Granted => {
                // The evidence ends with this answer, and not only for this run.
                run.untouched &= run.record.departure.take().is_none();
                run.sight.permitted = true;
                run.sight.visited = false;
                run.tries = 0;
                Ok(Progress::Onward)
            }
            Verdict::Denied => {
                run.record.departure = None;
                let detail = "the permission endpoint answered no".to_owned();
                self.give_up(run, &Refusal { cause: Cause::PlatformDenied, detail }).await
            }
            Verdict::Gone => self.gone(run).await,
            Verdict::Unknown { detail } => {
                self.again_or(run, None, |flow, record, now| {
                    let cause = Cause::PlatformUnavailable;
                    apply::stalled(record, cause, &detail, None, now, &*flow.shared.parts.jitter)
                })
                .await
            }
        }
    }

    pub(crate) async fn place_order(
        &self,
        run: &mut Run,
        name: &str,
    ) -> Result<Progress, RunError> {
        let Some(issuer) = self.validator(name) else {
            return self.misconfigured(run, &unknown_issuer(name)).await;
        };
        let entry = match self.enter(run, name).await? {
            Ok(entry) => entry,
            Err(turned_away) => return Ok(turned_away),
        };
        let held = run.record.certificate.as_ref();
        let ours = held.filter(|held| held.ordered_from.as_deref() == Some(name));
        let request = OrderRequest {
            domain: run.record.domain.clone(),
            profile: run.record.registration.profile.clone(),
            replaces: ours.and_then(|held| held.ari_id.clone()),
        };
        match issuer.place_order(&request).await {
            Ok(order_url) => {
                self.placed(run, name, entry);
                let mut ordered = apply::ordered(run.record.clone(), order_url).map_err(bug)?;
                ordered.ordered_at = Some(self.shared.parts.clock.now());
                let change = Change::of(ordered, run.expected);
                self.advance(run, change).await?;
                Ok(Progress::Onward)
            }
            Err(error) => {
                self.not_placed(run, name, entry, &error).await;
                self.ca_error(run, error).await
            }
        }
    }

    pub(crate) async fn observe(
        &self,
        run: &mut Run,
        name: &str,
        order_url: &str,
        wait: Span,
    ) -> Result<Progress, RunError> {
        let Some(issuer) = self.validator(name) else {
            return self.misconfigured(run, &unknown_issuer(name)).await;
        };
        self.pause(run, wait).await?;
        self.keep_lease(run).await?;
        match self.unless_stopping(issuer.observe(order_url)).await? {
            Ok(view) => {
                // One that still waits for the signing request was looked at for its sake only:
                // that ends no row of tries of it.
                let keyed = matches!(run.record.work, Work::Keyed { .. });
                if !(keyed && view.status == OrderStatus::Ready) {
                    run.tries = 0;
                }
                run.sight.visited = false;
                run.looks_at(view);
                Ok(Progress::Onward)
            }
            Err(error) => self.ca_error(run, error).await,
        }
    }

    pub(crate) async fn publish(
        &self,
        run: &mut Run,
        found: OrderChallenge,
    ) -> Result<Progress, RunError> {
        let withdraw = stored_token(&run.record).filter(|token| *token != found.token);
        let challenged = apply::challenged(run.record.clone(), found.token.clone().into());
        let publish = Some(Challenge {
            token: found.token,
            domain: run.record.domain.clone(),
            key_authorization: found.key_authorization,
            expires_at: self.shared.parts.clock.now() + CHALLENGE_LIFE,
        });
        let change = Change::of(challenged.map_err(bug)?, run.expected);
        self.advance(run, Change { publish, withdraw, ..change }).await?;
        Ok(Progress::Onward)
    }

    pub(crate) async fn answer(
        &self,
        run: &mut Run,
        name: &str,
        url: &str,
        wait: Span,
    ) -> Result<Progress, RunError> {
        let Some(issuer) = self.validator(name) else {
            return self.misconfigured(run, &unknown_issuer(name)).await;
        };
        let again = run.sight.answered;
        if again {
            self.tell_complaint(run, wait).await?;
        }
        self.pause(run, wait).await?;
        self.keep_lease(run).await?;
        match issuer.answer(url).await {
            Ok(()) => {
                run.is_answered(again);
                Ok(Progress::Onward)
            }
            Err(error) => self.ca_error(run, error).await,
        }
    }

    async fn store_key(&self, run: &mut Run) -> Result<Progress, RunError> {
        let kind = run.record.registration.key_type.unwrap_or_else(|| {
            let issuer = run.record.work.issuer().unwrap_or_default();
            self.shared.settings.key_types.get(issuer).copied().unwrap_or_default()
        });
        let key = self.shared.parts.keys.generate(kind).await.map_err(bug)?;
        let place = SealPlace::Certificate(run.record.domain.as_str());
        let sealed = self.shared.parts.sealer.seal(place, &key).await.map_err(sealing)?;
        let keyed = apply::keyed(run.record.clone(), sealed).map_err(bug)?;
        let change = Change::of(keyed, run.expected);
        self.advance(run, change).await?;
        Ok(Progress::Onward)
    }

    async fn finalize(
        &self,
        run: &mut Run,
        name: &str,
        order_url: &str,
        sealed: &SealedKey,
    ) -> Result<Progress, RunError> {
        let Some(issuer) = self.issuer(name) else {
            return self.misconfigured(run, &unknown_issuer(name)).await;
        };
        let key = self.open(&run.record.domain, sealed).await?;
        let made = self.shared.parts.keys.signing_request(key, &run.record.domain).await;
        let csr = made.map_err(bug)?;
        match issuer.finalize(order_url, &csr).await {
            Ok(()) => {
                run.sight.finalized = true;
                run.sight.looks = 0;
                run.tries = 0;
                // Whoever goes on with an order of hours ago waits for it all the same.
                run.record.ordered_at = Some(self.shared.parts.clock.now());
                Ok(Progress::Onward)
            }
            Err(error) => self.ca_error(run, error).await,
        }
    }

    pub(crate) async fn open(
        &self,
        domain: &DomainName,
        sealed: &SealedKey,
    ) -> Result<PrivateKey, RunError> {
        let place = SealPlace::Certificate(domain.as_str());
        self.shared.parts.sealer.open(place, sealed).await.map_err(sealing)
    }

    pub(crate) fn issuer(&self, name: &str) -> Option<Arc<dyn Issuer>> {
        self.shared.parts.issuer(name).cloned()
    }

    fn validator(&self, name: &str) -> Option<Arc<dyn Issuer>> {
        self.shared.parts.validator(name).cloned()
    }

    /// Renews the lease in good time, whatever the wall clock does: silence is what others go by.
    pub(crate) async fn keep_lease(&self, run: &mut Run) -> Result<(), RunError> {
        let fresh = run.fresh_at.elapsed() < self.shared.settings.lease.scale(1, 3).duration();
        let wanted = matches!(run.record.work, Work::Wanted { .. });
        let held = run.record.work.in_flight() || (wanted && run.record.lease.is_some());
        if fresh || !held {
            return Ok(());
        }
        let tries = run.tries;
        let change = Change::of(run.record.clone(), run.expected);
        self.advance(run, change).await?;
        run.tries = tries;
        Ok(())
    }

    async fn out_of_time(&self, run: &mut Run) -> Result<Progress, RunError> {
        let now = self.shared.parts.clock.now();
        let detail = "the CA did not finish the order in time";
        if matches!(run.record.work, Work::Trial { .. }) {
            return self.skip_trial(run, detail).await;
        }
        if decide::is_placed(&run.record) && self.has_another(run).await? {
            return self.abandon(run, detail.to_owned()).await;
        }
        let jitter = &*self.shared.parts.jitter;
        let record = run.record.clone();
        let stalled = apply::stalled(record, Cause::CaUnavailable, detail, None, now, jitter);
        self.settle(run, stalled).await
    }
}

impl Workflow {
    /// What the CA's last try found is written at once: the order may take minutes from here.
    async fn tell_complaint(&self, run: &mut Run, wait: Span) -> Result<(), RunError> {
        let seen = run.sight.order.as_ref().and_then(|order| order.challenge.as_ref());
        let Some(found) = seen.and_then(|challenge| challenge.error.clone()) else {
            return Ok(());
        };
        let (cause, detail) = (serde_name(found.cause), found.detail);
        tracing::info!(domain = %run.record.domain, %cause, detail, "a validation is tried again");
        let secs = wait.secs();
        self.tell(run, "validation.retried", format!("{cause}: {detail}; again in {secs} s"));
        let change = Change::of(run.record.clone(), run.expected);
        self.advance(run, change).await
    }
}

pub(crate) fn stored_token(record: &DomainRecord) -> Option<ChallengeToken> {
    record.work.token().and_then(|token| ChallengeToken::parse(token).ok())
}

pub(crate) fn event(at: Timestamp, kind: &str, detail: String) -> LifecycleEvent {
    LifecycleEvent { at, kind: kind.to_owned(), detail }
}

pub(crate) fn failure_event(at: Timestamp, kind: &str, failure: &Failure) -> LifecycleEvent {
    let cause = serde_name(failure.cause);
    event(at, kind, format!("{cause}: {}", failure.detail))
}

fn serde_name(cause: Cause) -> String {
    serde_json::to_value(cause)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}

pub(crate) fn unknown_issuer(name: &str) -> String {
    format!("no [[issuer]] is named {name:?}; add one or register the domain with another")
}

/// In-run patience, shared by the CA's errors and the platform's silence. A visit that asks before
/// its time asks once: its handshake is held meanwhile, and the next one may ask again soon.
pub(crate) fn in_run_wait(run: &mut Run, after: Option<Span>) -> Option<Span> {
    if run.sight.visited {
        return None;
    }
    run.tries = run.tries.saturating_add(1);
    backoff::in_run(run.tries, after)
}

pub(crate) fn bug(error: impl std::fmt::Display) -> RunError {
    RunError::Bug(error.to_string())
}

fn sealing(error: sealwax_core::secret::SealError) -> RunError {
    RunError::Store(StoreError::Misconfigured { detail: error.to_string() })
}

pub(crate) fn failed_now(error: &IssueError) -> Option<Option<Span>> {
    if let IssueError::Retry { after, .. } = error { Some(*after) } else { None }
}
