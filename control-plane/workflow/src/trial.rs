//! A trial in the staging of an issuer's CA: the effects of an order, as far as its validation.

use sealwax_core::issuer::IssueError;
use sealwax_core::store::Change;
use sealwax_core::{Cause, TrialStep, trial};

use crate::run::{Progress, Run, RunError, Workflow};
use crate::step::{bug, stored_token};

impl Workflow {
    /// A step of a trial. What none of them does is what makes a certificate.
    pub(crate) async fn go_on_trying(
        &self,
        run: &mut Run,
        staging: &str,
        step: TrialStep,
    ) -> Result<Progress, RunError> {
        match step {
            TrialStep::Place => self.place_order(run, staging).await,
            TrialStep::Observe { order_url, wait } => {
                self.observe(run, staging, &order_url, wait).await
            }
            TrialStep::Publish(challenge) => self.publish(run, challenge).await,
            TrialStep::Answer { order_url, wait } => {
                self.answer(run, staging, &order_url, wait).await
            }
            TrialStep::Pass { order_url } => self.pass_trial(run, staging, &order_url).await,
            TrialStep::Skip { detail } => self.skip_trial(run, &detail).await,
        }
    }

    /// The validation succeeded. The authorization is given up then: a later trial that relied on
    /// it would say nothing. If that fails it does no harm now.
    async fn pass_trial(
        &self,
        run: &mut Run,
        staging: &str,
        order_url: &str,
    ) -> Result<Progress, RunError> {
        let now = self.shared.parts.clock.now();
        let own = self.shared.budgets.tried(staging, &run.record, now).await;
        run.record.usage.extend(own.map(|own| (staging.to_owned(), own)));
        self.tell(run, "trial.passed", format!("validated by {staging}"));
        let progress = self.leave_trial(run).await?;
        if let Some(validator) = self.shared.parts.validator(staging)
            && let Err(error) = validator.relinquish(order_url).await
        {
            let domain = &run.record.domain;
            tracing::debug!(%domain, %error, "a trial's authorization is kept by the CA");
        }
        Ok(progress)
    }

    /// Nothing was learned of the domain: it is ordered as without a staging.
    pub(crate) async fn skip_trial(
        &self,
        run: &mut Run,
        detail: &str,
    ) -> Result<Progress, RunError> {
        tracing::info!(domain = %run.record.domain, detail, "no trial: ordering without one");
        self.tell(run, "trial.impossible", detail.to_owned());
        self.leave_trial(run).await
    }

    /// What a CA's error, after the tries a run has, means for a trial. `None`: it failed as a
    /// validation does.
    pub(crate) async fn trial_error(
        &self,
        run: &mut Run,
        error: &IssueError,
    ) -> Result<Option<Progress>, RunError> {
        if let IssueError::Refused(refusal) = error {
            if let Some(why) = self.spares_trial(run, refusal).await? {
                return self.skip_trial(run, &why).await.map(Some);
            }
            if trial::tells(refusal.cause) || refusal.cause == Cause::EdgeUnavailable {
                return Ok(None);
            }
        }
        self.skip_trial(run, &error.to_string()).await.map(Some)
    }

    async fn leave_trial(&self, run: &mut Run) -> Result<Progress, RunError> {
        let now = self.shared.parts.clock.now();
        let withdraw = stored_token(&run.record);
        let wanted = trial::over(run.record.clone(), now).map_err(bug)?;
        let change = Change { withdraw, ..Change::of(wanted, run.expected) };
        self.advance(run, change).await?;
        run.look_anew();
        Ok(Progress::Onward)
    }
}
