//! The look at a domain before its order, and what comes of it.

use sealwax_core::issuer::Refusal;
use sealwax_core::preflight::{self, CaaIdentity, Findings};

use tokio::time::{Duration, Instant, timeout_at};

use crate::run::{Progress, Run, RunError, Workflow};
use crate::step::event;

/// Longest wait for what all CAs call themselves: a handshake may be held meanwhile.
const IDENTITIES_WITHIN: Duration = Duration::from_secs(2);

impl Workflow {
    /// Looks, without a place to act: it takes part in nothing, and its time is bounded.
    pub(crate) async fn look(&self, run: &mut Run) -> Result<Progress, RunError> {
        run.sight.looked = true;
        let domain = run.record.domain.clone();
        let now = self.shared.parts.clock.now();
        let looked = self.aside(run, self.shared.parts.preflight.look(&domain, now)).await?;
        let Some(findings) = looked else { return Ok(Progress::Onward) };
        let issuers = self.identities(run, &findings).await?;
        let opinion = preflight::judge(&domain, &findings, &issuers);
        tracing::debug!(%domain, seen = findings.summary(), ?opinion, "looked at the domain");
        run.forbidden = opinion.forbidden;
        if let Some(warning) = opinion.warning {
            tracing::info!(%domain, warning, "the domain leads elsewhere too");
            self.tell(run, "preflight.warned", warning);
        }
        run.seen = Some(Box::new(findings));
        match opinion.doubt {
            Some(doubt) if preflight::may_hold(&run.record) => self.hold(run, &doubt).await,
            Some(doubt) => {
                self.tell(run, "preflight.overruled", doubt.detail);
                Ok(Progress::Onward)
            }
            None => Ok(Progress::Onward),
        }
    }

    /// The order waits for the schedule, which grows with each failure: the CA is not asked.
    async fn hold(&self, run: &mut Run, doubt: &Refusal) -> Result<Progress, RunError> {
        let summary = run.seen.as_ref().map(|seen| seen.summary()).unwrap_or_default();
        self.tell(run, "preflight.seen", summary);
        self.give_up(run, doubt).await
    }

    /// Told with the next write.
    pub(crate) fn tell(&self, run: &mut Run, kind: &str, detail: String) {
        let detail = sealwax_core::failure::bounded_detail(&detail);
        run.untold.push(event(self.shared.parts.clock.now(), kind, detail));
    }

    /// Who the CAs that may be asked are in CAA records. Asked for when there are such records:
    /// a CA that was not spoken to yet has to be, and whoever cannot be is not judged.
    pub(crate) async fn identities(
        &self,
        run: &mut Run,
        findings: &Findings,
    ) -> Result<Vec<(String, CaaIdentity)>, RunError> {
        let candidates = self.shared.parts.candidates(&run.record);
        if findings.caa.found().is_none() {
            return Ok(Vec::new());
        }
        let mut issuers = Vec::with_capacity(candidates.len());
        let deadline = Instant::now() + IDENTITIES_WITHIN;
        for issuer in candidates {
            let asked = timeout_at(deadline, issuer.caa_identity());
            let identity = self.aside(run, asked).await?.unwrap_or_default();
            issuers.push((issuer.name().to_owned(), identity));
        }
        Ok(issuers)
    }
}
