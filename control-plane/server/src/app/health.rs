//! What the process says of itself.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sealwax_core::store::Store;

use super::parts::App;
use crate::admin::{Health, Troubles};
use crate::metrics::Sampler;

/// How long the store may take to answer before the process counts as not ready.
const STORE_WITHIN: Duration = Duration::from_secs(2);

pub(super) struct ProcessHealth {
    store: Arc<dyn Store>,
    sampler: Arc<Sampler>,
}

impl ProcessHealth {
    pub(super) fn new(app: &App) -> Self {
        Self { store: Arc::clone(&app.store), sampler: Arc::clone(&app.watch.sampler) }
    }
}

#[async_trait]
impl Health for ProcessHealth {
    async fn ready(&self) -> Result<(), Troubles> {
        match tokio::time::timeout(STORE_WITHIN, self.store.ping()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Troubles(vec![error.to_string()])),
            Err(_) => Err(Troubles(vec!["the store does not answer within 2 s".to_owned()])),
        }
    }

    fn metrics(&self) -> String {
        self.sampler.text()
    }
}
