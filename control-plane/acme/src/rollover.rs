//! Another key, or another contact, for the account (RFC 8555 sections 7.3.5 and 7.3.2).
//!
//! The new key is kept beside the old one before the CA is told. A process that dies after that
//! leaves both: whoever loads them asks the CA whose the account is, and a rollover that is asked
//! for again goes on with the same new key.

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sealwax_core::SealedKey;
use sealwax_core::issuer::IssueError;
use sealwax_core::record::KeyType;
use sealwax_core::store::StoreError;
use zeroize::Zeroizing;

use crate::account::{AccountSource, store_failed};
use crate::ask::ask;
use crate::exchange::Step;
use crate::issuer::AcmeIssuer;
use crate::kept::{Kept, signing, unreadable};
use crate::key;

/// Where an account's credentials are replaced.
#[async_trait]
pub trait AccountVault: Send + Sync {
    /// Replaces them if they are still the expected ones, else [`StoreError::Lost`].
    async fn replace(
        &self,
        issuer: &str,
        expected: &SealedKey,
        sealed: &SealedKey,
    ) -> Result<(), StoreError>;

    /// Hears that an account took the place of another: one that was `forgotten` by the CA, with
    /// the same key; one whose key was refused then (`key_refused`); one that was given up on
    /// request (`reset`).
    fn registered(&self, _issuer: &str, _why: &'static str) {}
}

impl AcmeIssuer {
    /// Gives the account a new key, or goes on with a rollover that was cut short. Returns the
    /// account's URL, which stays the same.
    ///
    /// # Errors
    /// The CA or the store. Whatever the outcome, the account can be used, and this can be called
    /// again.
    pub async fn roll_over(&self, vault: &dyn AccountVault) -> Result<String, IssueError> {
        let id = self.account_url().await?;
        let source = self.source().await?;
        let (mut kept, mut sealed) = read(&source).await?;
        let begun = kept.next_key_pkcs8.take();
        let next = match &begun {
            Some(next) => next.clone(),
            None => new_key()?,
        };
        kept.next_key_pkcs8 = Some(next.clone());
        if begun.is_none() {
            sealed = replace(&source, vault, &kept, &sealed).await?;
        }
        if begun.is_none() || !has_key(&source, &id, &next).await? {
            let outcome = tell(&source, &id, &kept.key_pkcs8, &next).await;
            // Whatever was answered, and whether anything was: the CA knows whose the account is.
            if !has_key(&source, &id, &next).await? {
                return Err(outcome.err().unwrap_or_else(|| IssueError::Protocol {
                    detail: "the CA took the new key and does not know it".to_owned(),
                }));
            }
        }
        kept.key_pkcs8 = next;
        kept.next_key_pkcs8 = None;
        replace(&source, vault, &kept, &sealed).await?;
        self.forget_account().await;
        tracing::info!(issuer = %source.settings.name, account = %id, "the account has a new key");
        Ok(id)
    }

    /// Tells the CA the configured contact, or that there is none. Returns the account's URL.
    ///
    /// # Errors
    /// The CA refuses it, or does not answer.
    pub async fn update_contact(&self) -> Result<String, IssueError> {
        let account = self.account().await?;
        let contact = self.settings().contact_url();
        let contact: Vec<&str> = contact.as_deref().into_iter().collect();
        ask!(self.clock(), Step::Contact, account.update_contacts(&contact))?;
        Ok(account.id().to_owned())
    }
}

async fn tell(
    source: &AccountSource<'_>,
    account: &str,
    old: &str,
    new: &str,
) -> Result<(), IssueError> {
    let url = source.directory.key_change.as_deref().ok_or_else(|| IssueError::Misconfigured {
        detail: format!("{} has no key change", source.settings.directory),
    })?;
    let [old, new] = [old, new].map(signing);
    let unusable = || unreadable(&source.settings.name);
    let (old, new) = (old.ok_or_else(unusable)?, new.ok_or_else(unusable)?);
    source.change_key(url, account, &old, &new).await
}

/// A new key, as credentials are kept.
fn new_key() -> Result<Zeroizing<String>, IssueError> {
    let made = key::generate(KeyType::EcdsaP256);
    let made = made.map_err(|error| IssueError::Protocol { detail: error.to_string() })?;
    Ok(Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(made.expose())))
}

async fn read(source: &AccountSource<'_>) -> Result<(Kept, SealedKey), IssueError> {
    let missing = || IssueError::Retry { after: None, detail: "no account is kept".to_owned() };
    let sealed = source.kept().await?.ok_or_else(missing)?;
    let kept = Kept::read(&source.settings.name, &source.opened(&sealed).await?)?;
    source.check_origin(&kept)?;
    Ok((kept, sealed))
}

async fn replace(
    source: &AccountSource<'_>,
    vault: &dyn AccountVault,
    kept: &Kept,
    before: &SealedKey,
) -> Result<SealedKey, IssueError> {
    let name = &source.settings.name;
    let sealed = source.seal(&kept.text(name)?).await?;
    vault.replace(name, before, &sealed).await.map_err(|error| contended(&error))?;
    Ok(sealed)
}

/// The CA knows this key as the account's.
async fn has_key(source: &AccountSource<'_>, id: &str, key: &str) -> Result<bool, IssueError> {
    Ok(source.account_of(key).await?.is_some_and(|account| account.id() == id))
}

fn contended(error: &StoreError) -> IssueError {
    if matches!(error, StoreError::Lost { .. }) {
        let detail = "another process changes the account just now".to_owned();
        return IssueError::Retry { after: None, detail };
    }
    store_failed(error)
}
