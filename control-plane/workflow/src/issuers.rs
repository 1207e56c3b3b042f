//! Which CA an order goes to, and whether now.

use std::sync::Arc;

use sealwax_core::issuer::Issuer;
use sealwax_core::record::Work;
use sealwax_core::store::Change;
use sealwax_core::{apply, trial};

use crate::run::{Progress, Run, RunError, Workflow};
use crate::step::{bug, unknown_issuer};
use crate::turn::Wait;

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
            if let Some(staging) = staging {
                match self.look_at(run, staging.name()).await? {
                    None => return Ok(None),
                    Some(wait) if wait.counted => {
                        soonest.see(wait);
                        continue;
                    }
                    // No trial: it is ordered as without a staging.
                    Some(_) => {}
                }
            }
            match self.look_at(run, issuer.name()).await? {
                None => return Ok(None),
                Some(wait) => soonest.see(wait),
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

    pub(crate) fn untried(&self, run: &Run) -> Vec<Arc<dyn Issuer>> {
        let mut candidates = self.shared.parts.candidates(&run.record);
        candidates.retain(|issuer| !run.tried.iter().any(|tried| tried == issuer.name()));
        // What was seen from here is no veto: they are last, not left out.
        candidates.sort_by_key(|issuer| run.forbidden.iter().any(|name| name == issuer.name()));
        candidates
    }
}
