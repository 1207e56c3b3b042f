//! A validation that failed: whose fault it was, and what comes of it.

use sealwax_core::issuer::{IssueError, Refusal};
use sealwax_core::preflight::{self, CaaIdentity, Fetched, Findings};
use sealwax_core::{Cause, TrialOrder, Work};
use tokio::time::{Duration, timeout};

use crate::run::{Progress, Run, RunError, Workflow};
use crate::step::stored_token;

/// Longest wait for what the production CA of a trial calls itself.
const IDENTITY_WITHIN: Duration = Duration::from_secs(2);

impl Workflow {
    /// The order came to nothing.
    pub(crate) async fn came_to_nothing(
        &self,
        run: &mut Run,
        refusal: Refusal,
    ) -> Result<Progress, RunError> {
        let refusal = self.examined(run, refusal).await?;
        if let Some(why) = self.spares_trial(run, &refusal).await? {
            return self.skip_trial(run, &why).await;
        }
        self.give_up(run, &refusal).await
    }

    /// The same error, with the cause as far as it is known.
    pub(crate) async fn examined_error(
        &self,
        run: &mut Run,
        error: IssueError,
    ) -> Result<IssueError, RunError> {
        let IssueError::Refused(refusal) = error else { return Ok(error) };
        Ok(IssueError::Refused(self.examined(run, refusal).await?))
    }

    /// Why a trial that failed says nothing of production; `None`: it does, or it is none. CAA
    /// records that name production's account, which the staging's cannot have (RFC 8657 section
    /// 3), must not keep production from being asked.
    pub(crate) async fn spares_trial(
        &self,
        run: &mut Run,
        refusal: &Refusal,
    ) -> Result<Option<String>, RunError> {
        let Work::Trial { issuer: staging, .. } = &run.record.work else { return Ok(None) };
        let staging = staging.clone();
        if refusal.cause != Cause::CaaForbids {
            return Ok(None);
        }
        let Some(identity) = self.production_of(run, &staging).await? else {
            return Ok(None);
        };
        let found = run.seen.as_ref().and_then(|seen| seen.caa.found());
        let forbidden = found.is_some_and(|set| set.allows(&identity).is_err());
        let words = &refusal.detail;
        Ok((!forbidden).then(|| {
            format!(
                "CAA records forbid the staging, and not production, as far as is known: {words}"
            )
        }))
    }

    /// What is known of why a validation failed, from the CA's words, from what this process's
    /// edges met, and from a look that takes no place to act.
    async fn examined(&self, run: &mut Run, refusal: Refusal) -> Result<Refusal, RunError> {
        if !was_validated(&run.record.work, &refusal) || !preflight::may_be_explained(&refusal) {
            return Ok(refusal);
        }
        let token = stored_token(&run.record);
        let fetched = |token| self.shared.parts.challenges.fetched(&token);
        let fetched = token.map(fetched).unwrap_or_default();
        let domain = run.record.domain.clone();
        let now = self.shared.parts.clock.now();
        let looked = self.aside(run, self.shared.parts.preflight.look(&domain, now)).await?;
        self.keep_lease(run).await?;
        if let Some(findings) = looked {
            run.seen = Some(Box::new(findings));
        }
        let Some(findings) = run.seen.clone() else {
            return Ok(or_the_edges(refusal, fetched, None));
        };
        let issuers = self.identities(run, &findings).await?;
        let refusal = or_the_edges(refusal, fetched, Some(&*findings));
        Ok(preflight::explained(&domain, refusal, &findings, &issuers))
    }

    /// Who the CA is in CAA records whose staging this is.
    async fn production_of(
        &self,
        run: &mut Run,
        staging: &str,
    ) -> Result<Option<CaaIdentity>, RunError> {
        let parts = &self.shared.parts;
        let of = parts.staging.iter().find(|(_, issuer)| issuer.name() == staging);
        let Some(issuer) = of.and_then(|(name, _)| self.issuer(name)) else { return Ok(None) };
        let asked = timeout(IDENTITY_WITHIN, issuer.caa_identity());
        Ok(Some(self.aside(run, asked).await?.unwrap_or_default()))
    }
}

/// What failed is a validation, or the look at CAA records that a CA takes again before it signs.
fn was_validated(work: &Work, refusal: &Refusal) -> bool {
    match work {
        Work::Challenged { .. } | Work::Trial { order: TrialOrder::Challenged { .. }, .. } => true,
        Work::Keyed { .. } => refusal.cause == Cause::CaaForbids,
        Work::Idle
        | Work::Wanted { .. }
        | Work::Trial { .. }
        | Work::Ordering { .. }
        | Work::Ordered { .. }
        | Work::Parked => false,
    }
}

fn or_the_edges(refusal: Refusal, fetched: Fetched, seen: Option<&Findings>) -> Refusal {
    match preflight::edges_fault(&refusal, fetched, seen) {
        Some(detail) => Refusal { cause: Cause::EdgeUnavailable, detail },
        None => refusal,
    }
}
