//! Taking over an account that another program made: its orders count as ours, so renewals of its
//! certificates stay exempt from the CA's limits.
//!
//! A P-256 key is kept as it is, and the other program goes on with it. Any other is replaced at
//! the CA by a new one (RFC 8555 section 7.3.5), because orders are signed with P-256 here; the
//! new key is in the store before the CA hears of it, so a crash in between loses nothing: said
//! again, it goes on.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::Request;
use http::header::{CONTENT_TYPE, HeaderValue, LOCATION};
use http_body_util::Full;
use sealwax_core::PrivateKey;
use sealwax_core::issuer::IssueError;
use sealwax_core::record::KeyType;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::account::{AccountSource, Loaded};
use crate::ask::NONCE_ROUNDS_MAX;
use crate::classify::{Failed, classify};
use crate::exchange::{Last, Step, recorded};
use crate::jws::{AccountKey, Protected};
use crate::key;
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

/// Credentials in the form instant-acme reads and writes.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct Credentials {
    id: String,
    key_pkcs8: String,
    directory: Option<String>,
}

impl Credentials {
    fn of(id: &str, key: &PrivateKey, directory: &str) -> Self {
        let key_pkcs8 = BASE64_URL_SAFE_NO_PAD.encode(key.expose());
        Self { id: id.to_owned(), key_pkcs8, directory: Some(directory.to_owned()) }
    }

    fn key(&self) -> Option<AccountKey> {
        let der = BASE64_URL_SAFE_NO_PAD.decode(self.key_pkcs8.as_bytes()).map(Zeroizing::new);
        AccountKey::from_pkcs8(&der.ok()?)
    }
}

impl AccountSource<'_> {
    /// Takes the account over and keeps it. Said again, it is done once.
    pub(crate) async fn adopt(&self, found: &FoundAccount) -> Result<Loaded, AdoptError> {
        let key = AccountKey::from_pkcs8(found.key.expose()).ok_or(AdoptError::Key)?;
        let kept = self.kept_credentials().await?;
        if let Some(kept) = &kept
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
            self.keep_or_find(&Credentials::of(&id, &found.key, &self.settings.directory)).await?;
        }
        tracing::info!(issuer = %self.settings.name, account = %id, "ACME account taken over");
        Ok(self.load_or_create().await?)
    }

    /// The new key is kept first: what the CA agrees to must not be lost.
    async fn replace_key(&self, old: &AccountKey, id: &str) -> Result<(), AdoptError> {
        let url = self.directory.key_change.as_deref().ok_or(AdoptError::NoKeyChange)?;
        let new =
            key::generate(KeyType::EcdsaP256).map_err(|error| protocol(&error.to_string()))?;
        let kept = self.keep_or_find(&Credentials::of(id, &new, &self.settings.directory)).await?;
        let signing = kept.key().ok_or(AdoptError::Key)?;
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
        let inner = new.sign(&inner, &change).ok_or_else(unusable)?;
        self.post(Step::KeyChange, old, Some(id), url, &inner).await?;
        Ok(())
    }

    /// The account of a key (RFC 8555 section 7.3.1).
    async fn find(&self, key: &AccountKey) -> Result<String, IssueError> {
        let asked = json!({ "onlyReturnExisting": true });
        let url = &self.directory.new_account;
        let answer = self.post(Step::NewAccount, key, None, url, &asked).await?;
        let id = answer.parts.headers.get(LOCATION).and_then(|id| id.to_str().ok());
        id.map(ToOwned::to_owned).ok_or_else(|| protocol("the account has no URL"))
    }

    /// Keeps these credentials, or finds those of the same account that are kept already.
    async fn keep_or_find(&self, credentials: &Credentials) -> Result<Credentials, AdoptError> {
        if let Some(kept) = self.kept_credentials().await? {
            return if kept.id == credentials.id { Ok(kept) } else { Err(self.has_another(&kept)) };
        }
        let text = serde_json::to_vec(credentials).map(Zeroizing::new);
        self.keep(text.map_err(|_| protocol("the credentials cannot be written"))?).await?;
        let kept = self.kept_credentials().await?;
        let kept = kept.ok_or_else(|| protocol("the account was kept and is gone"))?;
        if kept.id == credentials.id { Ok(kept) } else { Err(self.has_another(&kept)) }
    }

    async fn kept_credentials(&self) -> Result<Option<Credentials>, IssueError> {
        let Some(sealed) = self.kept().await? else { return Ok(None) };
        let opened = self.opened(&sealed).await?;
        let read = serde_json::from_slice(opened.expose());
        read.map(Some).map_err(|_| protocol("the credentials that are kept cannot be read"))
    }

    fn has_another(&self, kept: &Credentials) -> AdoptError {
        AdoptError::HasAnother { issuer: self.settings.name.clone(), account: kept.id.clone() }
    }

    /// A signed request, made anew only for a refused nonce.
    async fn post(
        &self,
        step: Step,
        key: &AccountKey,
        account: Option<&str>,
        url: &str,
        payload: &Value,
    ) -> Result<Answer, IssueError> {
        let mut round = 0;
        loop {
            let nonce = self.nonce().await?;
            let protected = Protected { account, nonce: Some(&nonce), url };
            let signed = key.sign(&protected, payload);
            let signed = signed.ok_or_else(|| protocol("the account's key does not sign"))?;
            let mut request =
                Request::post(url)
                    .body(Full::new(Bytes::from(signed.to_string())))
                    .map_err(|error| protocol(&format!("{url:?} is not a URL: {error}")))?;
            let kind = HeaderValue::from_static("application/jose+json");
            request.headers_mut().insert(CONTENT_TYPE, kind);
            let (result, last) = recorded(self.transport.send(request)).await;
            let said = match result {
                Ok(answer) if answer.parts.status.is_success() => return Ok(answer),
                Ok(_) => "not a success".to_owned(),
                Err(text) => text,
            };
            match classify(step, &said, last, self.clock.now()) {
                Failed::BadNonce if round < NONCE_ROUNDS_MAX => round += 1,
                failed @ (Failed::BadNonce | Failed::AlreadyRevoked | Failed::With(_)) => {
                    return Err(failed.into());
                }
            }
        }
    }

    async fn nonce(&self) -> Result<String, IssueError> {
        let request = Request::head(&self.directory.new_nonce)
            .body(Full::default())
            .map_err(|error| protocol(&format!("newNonce is not a URL: {error}")))?;
        let (result, last) = recorded(self.transport.send(request)).await;
        let said = match (result, last) {
            (Ok(answer), last) => {
                let nonce = answer.parts.headers.get("replay-nonce");
                if let Some(nonce) = nonce.and_then(|nonce| nonce.to_str().ok()) {
                    return Ok(nonce.to_owned());
                }
                ("no replay nonce".to_owned(), last)
            }
            (Err(text), last) => (text, last),
        };
        let (said, last): (String, Last) = said;
        Err(classify(Step::NewAccount, &said, last, self.clock.now()).into())
    }
}

fn protocol(detail: &str) -> IssueError {
    IssueError::Protocol { detail: detail.to_owned() }
}

#[cfg(test)]
#[path = "adopt_tests.rs"]
mod tests;
