//! The ACME accounts of the configured issuers: which there are, and taking over another's.

use std::sync::Arc;

use async_trait::async_trait;
use sealwax_acme::{AccountVault, AcmeIssuer, AdoptError, FoundAccount};
use sealwax_core::SealedKey;
use sealwax_core::issuer::IssueError;
use sealwax_core::store::StoreError;
use sealwax_store::Upkeep;
use sealwax_workflow::Workflow;

use crate::metrics::{CA_ACCOUNTS_REPLACED, Metrics};

/// The issuers that have accounts. Cheap to clone.
#[derive(Clone, Default)]
pub struct Accounts {
    issuers: Arc<[Arc<AcmeIssuer>]>,
    /// Where credentials are replaced; there where there are issuers.
    vault: Option<Arc<dyn AccountVault>>,
    /// Who is told that an account works again.
    workflow: Option<Workflow>,
}

/// What is known of an issuer without asking its CA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountStanding {
    /// Its name in the configuration.
    pub name: String,
    /// The ACME directory.
    pub directory: String,
    /// The store has an account of it.
    pub kept: bool,
}

impl Accounts {
    /// Of these issuers.
    #[must_use]
    pub fn of(
        issuers: &[Arc<AcmeIssuer>],
        vault: Arc<dyn AccountVault>,
        workflow: Workflow,
    ) -> Self {
        Self { issuers: issuers.into(), vault: Some(vault), workflow: Some(workflow) }
    }

    /// All of them, in the configuration's order.
    ///
    /// # Errors
    /// The store.
    pub async fn all(&self) -> Result<Vec<AccountStanding>, AccountError> {
        let mut all = Vec::with_capacity(self.issuers.len());
        for issuer in self.issuers.iter() {
            let settings = issuer.settings();
            all.push(AccountStanding {
                name: settings.name.clone(),
                directory: settings.directory.clone(),
                kept: issuer.has_account().await?,
            });
        }
        Ok(all)
    }

    /// Takes an account over for an issuer that has none, and returns its URL. Said again, it is
    /// done once.
    ///
    /// # Errors
    /// There is no such issuer, it has another account, the key is of no use, or CA or store.
    pub async fn adopt(&self, issuer: &str, found: FoundAccount) -> Result<String, AccountError> {
        let url = Box::pin(self.one(issuer)?.adopt(&found)).await?;
        self.works(issuer);
        Ok(url)
    }

    /// Gives an issuer's account up and registers a new one in its place. Returns its URL.
    ///
    /// # Errors
    /// There is no such issuer, or CA or store: what there was stays then.
    pub async fn reset(&self, issuer: &str) -> Result<String, AccountError> {
        let url = Box::pin(self.one(issuer)?.reset_account()).await?;
        self.works(issuer);
        Ok(url)
    }

    /// Gives an issuer's account a new key, or goes on with what was cut short. Returns its URL.
    ///
    /// # Errors
    /// There is no such issuer, or CA or store: the account can be used all the same.
    pub async fn roll_over(&self, issuer: &str) -> Result<String, AccountError> {
        let one = self.one(issuer)?;
        let vault = self.vault.as_deref();
        let vault = vault.ok_or_else(|| AccountError::NoIssuer(issuer.to_owned()))?;
        Ok(Box::pin(one.roll_over(vault)).await?)
    }

    /// Tells the CA the configured contact of an issuer. Returns the account's URL.
    ///
    /// # Errors
    /// There is no such issuer, or the CA.
    pub async fn update_contact(&self, issuer: &str) -> Result<String, AccountError> {
        Ok(Box::pin(self.one(issuer)?.update_contact()).await?)
    }

    /// Orders go to it again, at once.
    fn works(&self, issuer: &str) {
        if let Some(workflow) = &self.workflow {
            workflow.account_works(issuer);
        }
    }

    fn one(&self, name: &str) -> Result<&AcmeIssuer, AccountError> {
        let found = self.issuers.iter().find(|one| one.settings().name == name);
        found.map(AsRef::as_ref).ok_or_else(|| AccountError::NoIssuer(name.to_owned()))
    }
}

/// Replaces credentials in the store, and counts accounts that took the place of others.
pub struct Vault {
    /// The store.
    pub upkeep: Arc<dyn Upkeep>,
    /// The figures.
    pub metrics: Metrics,
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

/// Why an account was not taken over or changed. Never contains key material.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccountError {
    /// Nobody configured it.
    #[error("there is no issuer {0:?} in the configuration")]
    NoIssuer(String),
    /// The issuer did not take it.
    #[error(transparent)]
    Adopt(#[from] AdoptError),
    /// The CA did not change it, or the store failed meanwhile: it can be used all the same.
    #[error(transparent)]
    Ca(#[from] IssueError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
