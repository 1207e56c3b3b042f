//! What the process says of itself.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sealwax_core::store::Store;
use tokio_util::sync::CancellationToken;

use super::parts::App;
use super::sealing::ProvenSealer;
use super::steward::ProcessSteward;
use sealwax_admin::{Health, Troubles};
use sealwax_serving::last_good::LastGood;
use sealwax_telemetry::metrics::names::{LAST_GOOD, STORE_TRUSTED};
use sealwax_telemetry::metrics::{Metrics, Sampler};

/// How long the store may take to answer before the process counts as not ready.
const STORE_WITHIN: Duration = Duration::from_secs(2);

pub(super) struct ProcessHealth {
    store: Arc<dyn Store>,
    sealer: Arc<ProvenSealer>,
    last_good: Option<LastGood>,
    metrics: Metrics,
    sampler: Arc<Sampler>,
    stop: CancellationToken,
    steward: ProcessSteward,
}

impl ProcessHealth {
    pub(super) fn new(app: &App, stop: CancellationToken) -> Self {
        Self {
            store: Arc::clone(&app.store),
            sealer: Arc::clone(&app.sealer),
            last_good: app.last_good.clone(),
            metrics: app.watch.metrics.clone(),
            sampler: Arc::clone(&app.watch.sampler),
            stop,
            steward: ProcessSteward::new(app),
        }
    }
}

#[async_trait]
impl Health for ProcessHealth {
    async fn ready(&self) -> Result<(), Troubles> {
        if self.stop.is_cancelled() {
            let said = "it was told to stop; work in flight comes to its next write";
            return Err(Troubles(vec![said.to_owned()]));
        }
        let away = match tokio::time::timeout(STORE_WITHIN, self.store.ping()).await {
            Ok(Ok(())) if self.sealer.is_proven() => {
                let troubles = self.steward.troubles();
                return if troubles.is_empty() { Ok(()) } else { Err(Troubles(troubles)) };
            }
            Ok(Ok(())) => {
                let why = self.sealer.doubt().map(|why| format!(": {why}")).unwrap_or_default();
                format!("the keys are not compared with the store's yet{why}")
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the store does not answer within 2 s".to_owned(),
        };
        let mut troubles = vec![away];
        troubles.extend(self.steward.troubles());
        if let Some(copy) = &self.last_good {
            let held = copy.held();
            troubles.push(format!(
                "certificates in memory and {held} in the last-good copy are served"
            ));
        }
        Err(Troubles(troubles))
    }

    fn metrics(&self) -> String {
        if let Some(copy) = &self.last_good {
            self.metrics.set_count(&LAST_GOOD, &[], copy.held());
        }
        self.metrics.set_count(&STORE_TRUSTED, &[], usize::from(self.steward.trusted()));
        self.sampler.text()
    }
}
