//! Looking at certificates between their issuance and their renewal.

use sealwax_core::issuer::{IssueError, RenewalInfo};
use sealwax_core::store::{Change, LifecycleEvent};
use sealwax_core::{DomainRecord, Span, Timestamp, apply, watch};

use crate::run::{Progress, Run, RunError, Workflow};
use crate::step::event;

/// How soon a question about a renewal is put again that there was no place for.
const ASK_SOON: Span = Span::from_secs(30);

impl Workflow {
    /// Asks the CA when to renew. Whatever comes of it, the renewal has its time.
    pub(crate) async fn ask_renewal(
        &self,
        run: &mut Run,
        name: &str,
        ari_id: &str,
    ) -> Result<Progress, RunError> {
        let now = self.shared.parts.clock.now();
        let jitter = &*self.shared.parts.jitter;
        let Some(issuer) = self.issuer(name) else {
            return self.watched(run, watch::unknown(run.record.clone()), Vec::new()).await;
        };
        let Ok(_place) = self.shared.asking.try_acquire() else {
            return Ok(Progress::Rest(Some(now + ASK_SOON)));
        };
        let answer = self.aside(run, issuer.renewal_info(ari_id)).await?;
        let now = self.shared.parts.clock.now().max(now);
        let record = run.record.clone();
        match answer {
            Ok(Some(info)) => {
                let (told, moved) = watch::informed(record, &info, now, jitter);
                let planned = moved.then(|| planned(&told, &info, now));
                self.watched(run, told, planned.into_iter().collect()).await
            }
            Ok(None) => self.watched(run, watch::unknown(record), Vec::new()).await,
            Err(IssueError::OrderGone { .. }) => {
                self.watched(run, watch::not_known(record, now, jitter), Vec::new()).await
            }
            Err(error) => {
                tracing::debug!(domain = %record.domain, %error, "no renewal information");
                self.watched(run, watch::uninformed(record, now, jitter), Vec::new()).await
            }
        }
    }

    /// Says that an imported certificate comes to its end.
    pub(crate) async fn warn(&self, run: &mut Run) -> Result<Progress, RunError> {
        let now = self.shared.parts.clock.now();
        let end = run.record.certificate.as_ref().map_or(now, |held| held.not_after);
        let detail = format!(
            "the imported certificate ends at {end}: import another, or renew the domain to have \
             one issued"
        );
        tracing::warn!(domain = %run.record.domain, not_after = %end, "an imported certificate ends");
        let expiring = event(now, "certificate.expiring", detail);
        let warned = watch::warned(run.record.clone(), now);
        self.watched(run, warned, vec![expiring]).await
    }

    async fn watched(
        &self,
        run: &mut Run,
        record: DomainRecord,
        events: Vec<LifecycleEvent>,
    ) -> Result<Progress, RunError> {
        let change = Change { events, ..Change::of(record, run.expected) };
        self.release(run, change).await?;
        // A window may say that it is time already.
        if let Some(wanted) = apply::due(&run.record, self.shared.parts.clock.now()) {
            run.record = wanted;
        }
        Ok(Progress::Onward)
    }
}

fn planned(record: &DomainRecord, info: &RenewalInfo, now: Timestamp) -> LifecycleEvent {
    let chosen = record.certificate.as_ref().and_then(|held| held.renew_at).unwrap_or(info.start);
    let mut detail = format!("the CA suggests {} to {}; chosen: {chosen}", info.start, info.end);
    if let Some(url) = info.explanation_url.as_deref().filter(|url| url.starts_with("https://")) {
        detail.push_str("; why: ");
        detail.push_str(url);
    }
    event(now, "renewal.planned", detail)
}
