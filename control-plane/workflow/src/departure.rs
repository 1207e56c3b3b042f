//! A domain that the platform says is gone: asked about again before it is parked, before its
//! certificate is erased, and when someone comes to it.

use sealwax_core::issuer::Refusal;
use sealwax_core::permission::Verdict;
use sealwax_core::store::{CertificateChange, Change, StoreError};
use sealwax_core::{Cause, Departing, DomainRecord, Timestamp, apply, departure};

use crate::run::{Progress, Run, RunError, Workflow};
use crate::step::event;

/// What the platform was heard to say.
const SAID: &str = "the permission endpoint answered that the domain has left";

impl Workflow {
    /// The platform says that a domain is gone which is not parked: it is parked when that is
    /// proven, and the brake lets it.
    pub(crate) async fn gone(&self, run: &mut Run) -> Result<Progress, RunError> {
        let parts = &self.shared.parts;
        let (now, jitter) = (parts.clock.now(), &*parts.jitter);
        // Said again within minutes: that is no news, but the schedule begins anew.
        let mut heard = departure::heard(&run.record, now).unwrap_or_else(|| run.record.clone());
        let told = said_since(&heard);
        if !departure::is_proven(&heard) {
            let detail = format!("{told}; asked again before it is parked");
            let doubted = departure::doubted(heard, &detail, now, jitter);
            return self.wait_for_proof(run, doubted).await;
        }
        // Of those that heard the same at the same time one counts it.
        if !self.shared.parts.store.exclusive() {
            let change = Change::of(heard, run.expected);
            self.advance(run, change).await?;
            heard = run.record.clone();
        }
        if !self.shared.departures.admit(Departing::Parked, now).await? {
            let detail = format!(
                "{told}; not parked, because it says so of too many domains at once: see sealwax \
                 domain release-parking"
            );
            let held = departure::held_back(heard, &detail, now, jitter);
            return self.wait_for_proof(run, held).await;
        }
        let erase_at = now + self.shared.settings.gone_grace;
        self.settle(run, departure::left(heard, &told, erase_at)).await
    }

    async fn wait_for_proof(
        &self,
        run: &mut Run,
        record: DomainRecord,
    ) -> Result<Progress, RunError> {
        let now = self.shared.parts.clock.now();
        let news = run.record.departure.is_none();
        let detail = record.failure.as_ref().map(|failure| failure.detail.clone());
        let said = news.then(|| event(now, "platform.gone", detail.unwrap_or_default()));
        let domain = record.domain.clone();
        let change = Change {
            events: said.into_iter().collect(),
            announce: true,
            ..Change::of(record, run.expected)
        };
        self.release(run, change).await?;
        self.shared.parts.announcer.changed(&domain);
        Ok(if run.sight.notices { Progress::Onward } else { Progress::Rest(run.record.wake_at()) })
    }

    /// What the platform says of a parked domain that someone came to.
    pub(crate) async fn doubt(
        &self,
        run: &mut Run,
        verdict: Verdict,
    ) -> Result<Progress, RunError> {
        match verdict {
            Verdict::Granted => self.welcome_back(run).await,
            Verdict::Denied => self.deny(run).await,
            Verdict::Unknown { .. } => Ok(Progress::Rest(run.record.wake_at())),
            Verdict::Gone => {
                let now = self.shared.parts.clock.now();
                let Some(heard) = departure::heard(&run.record, now) else {
                    return Ok(Progress::Rest(run.record.wake_at()));
                };
                let change = Change::of(heard, run.expected);
                self.release(run, change).await?;
                Ok(Progress::Onward)
            }
        }
    }

    /// The grace is over. Deletes the certificate and the key when the platform has said again,
    /// several times over an hour, that the domain is gone; whatever else it says keeps them.
    pub(crate) async fn erase(&self, run: &mut Run) -> Result<Progress, RunError> {
        let parts = &self.shared.parts;
        let verdict = parts.permission.ask(&run.record.domain).await;
        let (now, jitter) = (parts.clock.now(), &*parts.jitter);
        let (record, told_so) = match verdict {
            Verdict::Granted => return self.welcome_back(run).await,
            Verdict::Denied => return self.deny(run).await,
            Verdict::Unknown { .. } => (run.record.clone(), false),
            Verdict::Gone => {
                let heard =
                    departure::heard(&run.record, now).unwrap_or_else(|| run.record.clone());
                let proven = departure::is_proven(&heard);
                if proven && self.may_erase(run, &heard, now).await? {
                    return self.delete(run, now).await;
                }
                (heard, !proven)
            }
        };
        let kept = departure::kept(record, told_so, now, jitter);
        let change = Change::of(kept, run.expected);
        self.release(run, change).await?;
        Ok(Progress::Onward)
    }

    /// Of the replicas that meet it at the same time one counts it: the one that moves its time.
    async fn may_erase(
        &self,
        run: &mut Run,
        heard: &DomainRecord,
        now: Timestamp,
    ) -> Result<bool, RunError> {
        if !self.shared.parts.store.exclusive() {
            let jitter = &*self.shared.parts.jitter;
            let later = departure::kept(heard.clone(), true, now, jitter);
            let change = Change::of(later, run.expected);
            let before = run.expected;
            self.release(run, change).await?;
            if !run.follows(before) {
                // Someone else wrote as well: what there is to do now is decided anew.
                let domain = run.record.domain.to_string();
                return Err(StoreError::Lost { domain }.into());
            }
        }
        Ok(self.shared.departures.admit(Departing::Erased, now).await?)
    }

    async fn delete(&self, run: &mut Run, now: Timestamp) -> Result<Progress, RunError> {
        let domain = run.record.domain.clone();
        let detail = "the domain left and its grace is over".to_owned();
        let change = Change {
            certificate: CertificateChange::Remove,
            events: vec![event(now, "certificate.erased", detail)],
            ..Change::of(apply::erased(run.record.clone()), run.expected)
        };
        self.release(run, change).await?;
        tracing::info!(%domain, "the certificate and key of a domain that left are deleted");
        self.shared.parts.announcer.changed(&domain);
        Ok(Progress::Onward)
    }

    /// The platform knows a parked domain again: it goes on from where it was.
    async fn welcome_back(&self, run: &mut Run) -> Result<Progress, RunError> {
        let now = self.shared.parts.clock.now();
        let domain = run.record.domain.clone();
        let detail = "the permission endpoint knows it again".to_owned();
        tracing::info!(%domain, "a parked domain is back");
        let change = Change {
            events: vec![event(now, "domain.returned", detail)],
            announce: true,
            ..Change::of(departure::returned(run.record.clone()), run.expected)
        };
        self.release(run, change).await?;
        self.shared.parts.announcer.changed(&domain);
        run.sight.permitted = true;
        let wanted = if run.sight.visited { apply::demand(&run.record, now) } else { None };
        if let Some(wanted) = wanted.or_else(|| apply::due(&run.record, now)) {
            run.record = wanted;
        }
        Ok(Progress::Onward)
    }

    /// The platform knows a parked domain, and does not allow it: it is refused as any other.
    async fn deny(&self, run: &mut Run) -> Result<Progress, RunError> {
        run.record = departure::returned(run.record.clone());
        let detail = "the permission endpoint answered no".to_owned();
        self.give_up(run, &Refusal { cause: Cause::PlatformDenied, detail }).await
    }
}

/// What was said, how often and since when.
fn said_since(record: &DomainRecord) -> String {
    let Some(departure) = record.departure.filter(|departure| departure.answers > 1) else {
        return SAID.to_owned();
    };
    format!("{SAID}, {} times since {}", departure.answers, departure.first_at)
}
