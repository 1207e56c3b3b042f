//! The ACME accounts of the configured issuers: which there are, and taking over another's.

use std::sync::Arc;

use sealwax_acme::{AcmeIssuer, AdoptError, FoundAccount};
use sealwax_core::store::StoreError;

/// The issuers that have accounts. Cheap to clone.
#[derive(Clone, Default)]
pub struct Accounts(Arc<[Arc<AcmeIssuer>]>);

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
    pub fn of(issuers: &[Arc<AcmeIssuer>]) -> Self {
        Self(issuers.into())
    }

    /// All of them, in the configuration's order.
    ///
    /// # Errors
    /// The store.
    pub async fn all(&self) -> Result<Vec<AccountStanding>, AccountError> {
        let mut all = Vec::with_capacity(self.0.len());
        for issuer in self.0.iter() {
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
        let fits = |one: &&Arc<AcmeIssuer>| one.settings().name == issuer;
        let one = self.0.iter().find(fits);
        let one = one.ok_or_else(|| AccountError::NoIssuer(issuer.to_owned()))?;
        Ok(Box::pin(one.adopt(&found)).await?)
    }
}

/// Why an account was not taken over. Never contains key material.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccountError {
    /// Nobody configured it.
    #[error("there is no issuer {0:?} in the configuration")]
    NoIssuer(String),
    /// The issuer did not take it.
    #[error(transparent)]
    Adopt(#[from] AdoptError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
