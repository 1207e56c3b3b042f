//! The ACME account of an issuer: one for all replicas, its key sealed in the store.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use instant_acme::{Account, AccountCredentials, ExternalAccountKey, Key, NewAccount};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use sealwax_core::issuer::IssueError;
use sealwax_core::secret::{SealError, SealPlace, Sealer};
use sealwax_core::store::{Store, StoreError};
use sealwax_core::{Clock, PrivateKey, SealedKey};
use zeroize::Zeroizing;

use crate::ask::{NONCE_ROUNDS_MAX, ask, settle};
use crate::classify::Failed;
use crate::directory::Directory;
use crate::exchange::{Last, Step, recorded};
use crate::jws::AccountKey;
use crate::kept::{CREDENTIALS_BYTES, Kept, signing, unreadable};
use crate::rollover::AccountVault;
use crate::settings::IssuerSettings;
use crate::signed::Signer;
use crate::transport::Transport;

/// What an account is made from and kept in.
pub(crate) struct AccountSource<'a> {
    pub(crate) settings: &'a IssuerSettings,
    pub(crate) transport: &'a Transport,
    pub(crate) directory: &'a Directory,
    pub(crate) store: &'a dyn Store,
    pub(crate) sealer: &'a dyn Sealer,
    pub(crate) clock: &'a dyn Clock,
    /// Where credentials are replaced. Without it they stay what they are.
    pub(crate) vault: Option<&'a dyn AccountVault>,
}

/// An account at work, and the sealed credentials it was made from.
#[derive(Clone)]
pub(crate) struct Loaded {
    pub(crate) account: Account,
    pub(crate) sealed: SealedKey,
    /// Its key, for what is not left to instant-acme.
    pub(crate) key: Arc<AccountKey>,
    /// It has placed no order yet.
    pub(crate) unused: bool,
}

impl Loaded {
    /// Signs in its name.
    pub(crate) fn signer(&self) -> Signer<'_> {
        Signer { key: &self.key, account: Some(self.account.id()) }
    }
}

impl AccountSource<'_> {
    /// Loads the account, or makes and keeps one. When another replica kept one meanwhile, that
    /// one is used and ours is forgotten: an account nobody uses does no harm.
    pub(crate) async fn load_or_create(&self) -> Result<Loaded, IssueError> {
        if let Some(sealed) = self.kept().await? {
            return self.restore(sealed).await;
        }
        let (account, kept) = self.create().await?;
        let name = &self.settings.name;
        let ours = self.keep(&kept).await?;
        let detail = "another replica's account was announced but is not in the store";
        let sealed = self
            .kept()
            .await?
            .ok_or_else(|| IssueError::Retry { after: None, detail: detail.to_owned() })?;
        if ours {
            tracing::info!(issuer = %name, account = %account.id(), "ACME account created");
            let key = Arc::new(kept.signing().ok_or_else(|| unreadable(name))?);
            return Ok(Loaded { account, sealed, key, unused: kept.unused });
        }
        self.restore(sealed).await
    }

    /// Keeps credentials. False: others are kept already.
    pub(crate) async fn keep(&self, kept: &Kept) -> Result<bool, IssueError> {
        let sealed = self.seal(&kept.text(&self.settings.name)?).await?;
        match self.store.create_account(&self.settings.name, &sealed).await {
            Ok(()) => Ok(true),
            Err(StoreError::Lost { .. }) => Ok(false),
            Err(error) => Err(store_failed(&error)),
        }
    }

    /// Keeps credentials in place of others. False: those are not the ones any more.
    pub(crate) async fn keep_instead(
        &self,
        kept: &Kept,
        before: &SealedKey,
    ) -> Result<bool, IssueError> {
        let vault = self.vault.ok_or_else(|| IssueError::Misconfigured {
            detail: "the account cannot be replaced here".to_owned(),
        })?;
        let sealed = self.seal(&kept.text(&self.settings.name)?).await?;
        match vault.replace(&self.settings.name, before, &sealed).await {
            Ok(()) => Ok(true),
            Err(StoreError::Lost { .. }) => Ok(false),
            Err(error) => Err(store_failed(&error)),
        }
    }

    pub(crate) async fn kept(&self) -> Result<Option<SealedKey>, IssueError> {
        self.store.account(&self.settings.name).await.map_err(|error| store_failed(&error))
    }

    async fn restore(&self, sealed: SealedKey) -> Result<Loaded, IssueError> {
        let name = &self.settings.name;
        let opened = self.opened(&sealed).await?;
        let kept = Kept::read(name, &opened)?;
        self.check_origin(&kept)?;
        // A rollover was cut short: the CA knows which key is the account's.
        if let Some(next) = &kept.next_key_pkcs8
            && let Some(account) = self.account_of(next).await?.filter(|has| has.id() == kept.id)
        {
            let key = Arc::new(signing(next).ok_or_else(|| unreadable(name))?);
            return Ok(Loaded { account, sealed, key, unused: kept.unused });
        }
        let key = Arc::new(kept.signing().ok_or_else(|| unreadable(name))?);
        let credentials = || {
            serde_json::from_slice::<AccountCredentials>(opened.expose())
                .map_err(|_| unreadable(name))
        };
        drop(credentials()?);
        let account = ask!(self.clock, Step::Directory, async {
            // Read once more for each attempt: it is consumed, and deliberately not Clone.
            let credentials = credentials().map_err(|_| "credentials")?;
            Account::builder_with_http(Box::new(self.transport.clone()))
                .from_credentials(credentials)
                .await
        })?;
        Ok(Loaded { account: account.0, sealed, key, unused: kept.unused })
    }

    /// The account whose key this is, if the CA knows one.
    pub(crate) async fn account_of(&self, key: &str) -> Result<Option<Account>, IssueError> {
        let name = &self.settings.name;
        let der = BASE64_URL_SAFE_NO_PAD.decode(key).map(Zeroizing::new);
        let der = der.map_err(|_| unreadable(name))?;
        let mut round = 0;
        loop {
            let der = PrivatePkcs8KeyDer::from(der.as_slice()).clone_key();
            let key = Key::from_pkcs8_der(der.clone_key()).map_err(|_| unreadable(name))?;
            let builder = Account::builder_with_http(Box::new(self.transport.clone()));
            let directory = self.settings.directory.clone();
            let found = builder.from_key((key, PrivateKeyDer::Pkcs8(der)), directory);
            let (result, last) = recorded(found).await;
            if is_unknown(&last) {
                return Ok(None);
            }
            match settle(Step::NewAccount, result, last, self.clock.now()) {
                Ok(((account, _), _)) => return Ok(Some(account)),
                Err(Failed::BadNonce) if round < NONCE_ROUNDS_MAX => round += 1,
                Err(failed) => return Err(failed.into()),
            }
        }
    }

    pub(crate) async fn seal(&self, text: &PrivateKey) -> Result<SealedKey, IssueError> {
        let sealed = self.sealer.seal(SealPlace::Account(&self.settings.name), text).await;
        sealed.map_err(|error| seal_failed(&error))
    }

    pub(crate) async fn opened(&self, sealed: &SealedKey) -> Result<PrivateKey, IssueError> {
        let place = SealPlace::Account(&self.settings.name);
        self.sealer.open(place, sealed).await.map_err(|error| seal_failed(&error))
    }

    /// An account belongs to one CA: a changed directory needs an issuer of another name.
    pub(crate) fn check_origin(&self, kept: &Kept) -> Result<(), IssueError> {
        let IssuerSettings { name, directory, .. } = self.settings;
        match &kept.directory {
            Some(of_account) if of_account == directory => Ok(()),
            other => Err(IssueError::Misconfigured {
                detail: format!(
                    "the account kept for issuer {name:?} belongs to {}, not to {directory}: give \
                     the issuer with the new directory another name",
                    other.as_deref().unwrap_or("no directory"),
                ),
            }),
        }
    }

    /// Makes an account with a new key.
    pub(crate) async fn create(&self) -> Result<(Account, Kept), IssueError> {
        let settings = self.settings;
        if self.directory.external_account_required() && settings.eab.is_none() {
            return Err(IssueError::Misconfigured {
                detail: format!(
                    "{} wants an external account binding: set eab_kid and eab_hmac_key_file",
                    settings.directory
                ),
            });
        }
        let binding = settings
            .eab
            .as_ref()
            .map(|eab| ExternalAccountKey::new(eab.kid.clone(), eab.hmac_key.expose()));
        let contact = settings.contact_url();
        let contact: Vec<&str> = contact.as_deref().into_iter().collect();
        let wanted = NewAccount {
            contact: &contact,
            terms_of_service_agreed: true,
            only_return_existing: false,
        };
        let created = ask!(self.clock, Step::NewAccount, {
            Account::builder_with_http(Box::new(self.transport.clone())).create(
                &wanted,
                settings.directory.clone(),
                binding.as_ref(),
            )
        })?;
        let (account, credentials) = created.0;
        let mut text = Zeroizing::new(Vec::with_capacity(CREDENTIALS_BYTES));
        serde_json::to_writer(&mut *text, &credentials).map_err(|error| IssueError::Protocol {
            detail: format!("the account's credentials cannot be written: {error}"),
        })?;
        let mut kept = Kept::read(&settings.name, &PrivateKey::new(text))?;
        kept.unused = self.vault.is_some();
        Ok((account, kept))
    }
}

/// The CA has no account with the key that signed.
fn is_unknown(last: &Last) -> bool {
    let Last::Answered(seen) = last else { return false };
    seen.problem.as_ref().is_some_and(|problem| problem.telling().kind == "accountDoesNotExist")
}

fn seal_failed(error: &SealError) -> IssueError {
    let detail = error.to_string();
    if matches!(error, SealError::DoesNotOpen | SealError::KeyRefused(_)) {
        return IssueError::Misconfigured { detail };
    }
    IssueError::Retry { after: None, detail }
}

pub(crate) fn store_failed(error: &StoreError) -> IssueError {
    let detail = error.to_string();
    if matches!(error, StoreError::Misconfigured { .. } | StoreError::Unreadable { .. }) {
        return IssueError::Misconfigured { detail };
    }
    IssueError::Retry { after: None, detail }
}
