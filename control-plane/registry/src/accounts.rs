//! The ACME accounts of the configured issuers: which there are, and taking over another's.

use std::sync::Arc;

use sealwax_acme::{AccountVault, AcmeIssuer, AdoptError, FoundAccount};
use sealwax_core::issuer::IssueError;
use sealwax_core::store::StoreError;

/// Told the name of an issuer.
pub type Works = dyn Fn(&str) + Send + Sync;

/// The issuers that have accounts. Cheap to clone.
#[derive(Clone, Default)]
pub struct Accounts {
    issuers: Arc<[Arc<AcmeIssuer>]>,
    /// Where credentials are replaced; there where there are issuers.
    vault: Option<Arc<dyn AccountVault>>,
    /// Told the issuer whose account works again.
    works: Option<Arc<Works>>,
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
    /// Of these issuers; `works` is told whose account can be used again.
    #[must_use]
    pub fn of(
        issuers: &[Arc<AcmeIssuer>],
        vault: Arc<dyn AccountVault>,
        works: Box<Works>,
    ) -> Self {
        Self { issuers: issuers.into(), vault: Some(vault), works: Some(works.into()) }
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
        if let Some(works) = &self.works {
            works(issuer);
        }
    }

    fn one(&self, name: &str) -> Result<&AcmeIssuer, AccountError> {
        let found = self.issuers.iter().find(|one| one.settings().name == name);
        found.map(AsRef::as_ref).ok_or_else(|| AccountError::NoIssuer(name.to_owned()))
    }
}

/// Why an account was not taken over or changed. Never contains key material.
#[derive(Debug, thiserror::Error)]
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
