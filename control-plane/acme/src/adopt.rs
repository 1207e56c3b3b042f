//! Taking over an account that another program made: its orders count as ours, so renewals of its
//! certificates stay exempt from the CA's limits.
//!
//! A P-256 key is kept as it is, and the other program goes on with it. Any other is replaced at
//! the CA by a new one (RFC 8555 section 7.3.5), because orders are signed with P-256 here; the
//! new key is in the store before the CA hears of it, so a crash in between loses nothing: said
//! again, it goes on.

use http::header::LOCATION;
use sealwax_core::issuer::IssueError;
use sealwax_core::record::KeyType;
use sealwax_core::{PrivateKey, SealedKey};
use serde_json::json;

use crate::account::{AccountSource, Loaded};
use crate::exchange::Step;
use crate::jws::{AccountKey, Protected};
use crate::kept::Kept;
use crate::key;
use crate::signed::{Signer, protocol};
use crate::transport::Answer;

/// An account as another program keeps it.
#[derive(Debug)]
pub struct FoundAccount {
    /// Its key, PKCS#8 in DER.
    pub key: PrivateKey,
    /// Its URL, as far as the program kept that: makes it known again after its key was replaced.
    pub url: Option<String>,
    /// A key that orders cannot be signed with may be replaced: the other program can order
    /// nothing more then.
    pub replace_key: bool,
}

/// Why an account was not taken over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdoptError {
    /// There is one already.
    #[error("issuer {issuer:?} has an account already, {account}; it stays")]
    HasAnother {
        /// The issuer.
        issuer: String,
        /// Its account's URL.
        account: String,
    },
    /// The key is of no use.
    #[error("the account's key is neither RSA nor P-256")]
    Key,
    /// The key would have to be replaced, and nobody allowed it.
    #[error(
        "orders cannot be signed with the account's RSA key. It can be replaced at the CA \
         (replace_key; --take-account): the other program can order nothing more then"
    )]
    WouldReplaceKey,
    /// The CA gives no account another key.
    #[error("the CA does not replace the keys of accounts, and orders cannot be signed with RSA")]
    NoKeyChange,
    /// The CA, the store or the sealer; an unknown key among it.
    #[error(transparent)]
    Ca(#[from] IssueError),
}

impl AccountSource<'_> {
    /// Takes the account over and keeps it, in place of one that this program made and did not use
    /// yet. Said again, it is done once.
    pub(crate) async fn adopt(&self, found: &FoundAccount) -> Result<Loaded, AdoptError> {
        let key = AccountKey::from_pkcs8(found.key.expose()).ok_or(AdoptError::Key)?;
        let kept = self.kept_credentials().await?.filter(|(kept, _)| {
            // One that stands in the way of nothing is as good as none.
            found.url.as_deref() == Some(kept.id.as_str()) || !self.gives_way(kept)
        });
        if let Some((kept, _)) = &kept
            && found.url.as_deref() != Some(kept.id.as_str())
        {
            return Err(self.has_another(kept));
        }
        let replace = matches!(key, AccountKey::Rsa(_));
        if replace && !found.replace_key && kept.is_none() {
            return Err(AdoptError::WouldReplaceKey);
        }
        let id = match self.find(&key).await {
            Ok(id) => id,
            // Its key was replaced by ours already.
            Err(IssueError::Misconfigured { .. }) if kept.is_some() && replace => {
                return Ok(self.load_or_create().await?);
            }
            Err(error) => return Err(error.into()),
        };
        if replace {
            self.replace_key(&key, &id).await?;
        } else {
            self.keep_or_find(&Kept::of(&id, &found.key, &self.settings.directory)).await?;
        }
        tracing::info!(issuer = %self.settings.name, account = %id, "ACME account taken over");
        Ok(self.load_or_create().await?)
    }

    /// Nothing was ordered with it, and it can be replaced.
    fn gives_way(&self, kept: &Kept) -> bool {
        kept.unused && self.vault.is_some()
    }

    /// The new key is kept first: what the CA agrees to must not be lost.
    async fn replace_key(&self, old: &AccountKey, id: &str) -> Result<(), AdoptError> {
        let url = self.directory.key_change.as_deref().ok_or(AdoptError::NoKeyChange)?;
        let new =
            key::generate(KeyType::EcdsaP256).map_err(|error| protocol(&error.to_string()))?;
        let kept = self.keep_or_find(&Kept::of(id, &new, &self.settings.directory)).await?;
        let signing = kept.signing().ok_or(AdoptError::Key)?;
        self.change_key(url, id, old, &signing).await?;
        Ok(())
    }

    /// Tells the CA: the new key signs that it is to be the account's, and the old one signs that.
    pub(crate) async fn change_key(
        &self,
        url: &str,
        id: &str,
        old: &AccountKey,
        new: &AccountKey,
    ) -> Result<(), IssueError> {
        let unusable = || protocol("an account key cannot be used");
        let inner = Protected { account: None, nonce: None, url };
        let change = json!({"account": id, "oldKey": old.jwk().ok_or_else(unusable)?});
        let inner = new.sign(&inner, Some(&change)).ok_or_else(unusable)?;
        let signer = Signer { key: old, account: Some(id) };
        self.post(Step::KeyChange, signer, url, Some(&inner)).await?;
        Ok(())
    }

    /// The account of a key (RFC 8555 section 7.3.1).
    pub(crate) async fn find(&self, key: &AccountKey) -> Result<String, IssueError> {
        let asked = json!({ "onlyReturnExisting": true });
        let url = &self.directory.new_account;
        let answer = self.post(Step::NewAccount, Signer::key(key), url, Some(&asked)).await?;
        account_url(&answer)
    }

    /// Keeps these credentials, or finds those of the same account that are kept already.
    async fn keep_or_find(&self, credentials: &Kept) -> Result<Kept, AdoptError> {
        let kept = match self.kept_credentials().await? {
            Some((kept, sealed)) if kept.id != credentials.id && self.gives_way(&kept) => {
                if self.keep_instead(credentials, &sealed).await? {
                    let issuer = &self.settings.name;
                    tracing::info!(%issuer, account = %kept.id, "an unused ACME account gives way");
                }
                self.kept_credentials().await?
            }
            Some(found) => Some(found),
            None => {
                self.keep(credentials).await?;
                self.kept_credentials().await?
            }
        };
        let (kept, _) = kept.ok_or_else(|| protocol("the account was kept and is gone"))?;
        if kept.id == credentials.id { Ok(kept) } else { Err(self.has_another(&kept)) }
    }

    async fn kept_credentials(&self) -> Result<Option<(Kept, SealedKey)>, IssueError> {
        let Some(sealed) = self.kept().await? else { return Ok(None) };
        let kept = Kept::read(&self.settings.name, &self.opened(&sealed).await?)?;
        Ok(Some((kept, sealed)))
    }

    fn has_another(&self, kept: &Kept) -> AdoptError {
        AdoptError::HasAnother { issuer: self.settings.name.clone(), account: kept.id.clone() }
    }
}

/// Where the CA says the account is.
pub(crate) fn account_url(answer: &Answer) -> Result<String, IssueError> {
    let id = answer.parts.headers.get(LOCATION).and_then(|id| id.to_str().ok());
    id.map(ToOwned::to_owned).ok_or_else(|| protocol("the account has no URL"))
}

#[cfg(test)]
mod tests;
