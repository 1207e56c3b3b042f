//! ACME accounts that take the place of others.

use std::sync::Arc;

use async_trait::async_trait;
use sealwax_acme::AccountVault;
use sealwax_core::SealedKey;
use sealwax_core::store::StoreError;
use sealwax_store::Upkeep;

use sealwax_telemetry::metrics::Metrics;
use sealwax_telemetry::metrics::names::CA_ACCOUNTS_REPLACED;

/// Replaces credentials in the store, and counts accounts that took the place of others.
pub(super) struct Vault {
    /// The store.
    pub(super) upkeep: Arc<dyn Upkeep>,
    /// The figures.
    pub(super) metrics: Metrics,
}

#[async_trait]
impl AccountVault for Vault {
    async fn replace(
        &self,
        issuer: &str,
        expected: &SealedKey,
        sealed: &SealedKey,
    ) -> Result<(), StoreError> {
        self.upkeep.replace_account(issuer, expected, sealed).await
    }

    fn registered(&self, issuer: &str, why: &'static str) {
        self.metrics.count(&CA_ACCOUNTS_REPLACED, &[issuer, why], 1);
    }
}
