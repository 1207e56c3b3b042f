//! The ACME account of an issuer: one for all replicas, its key sealed in the store.

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
use crate::kept::{CREDENTIALS_BYTES, Kept, unreadable};
use crate::settings::IssuerSettings;
use crate::transport::Transport;

/// What an account is made from and kept in.
pub(crate) struct AccountSource<'a> {
    pub(crate) settings: &'a IssuerSettings,
    pub(crate) transport: &'a Transport,
    pub(crate) directory: &'a Directory,
    pub(crate) store: &'a dyn Store,
    pub(crate) sealer: &'a dyn Sealer,
    pub(crate) clock: &'a dyn Clock,
}

/// An account at work, and the sealed credentials it was made from.
#[derive(Clone)]
pub(crate) struct Loaded {
    pub(crate) account: Account,
    pub(crate) sealed: SealedKey,
}

impl AccountSource<'_> {
    /// Loads the account, or makes and keeps one. When another replica kept one meanwhile, that
    /// one is used and ours is forgotten: an account nobody uses does no harm.
    pub(crate) async fn load_or_create(&self) -> Result<Loaded, IssueError> {
        if let Some(sealed) = self.kept().await? {
            return self.restore(sealed).await;
        }
        let (account, credentials) = self.create().await?;
        let mut text = Zeroizing::new(Vec::with_capacity(CREDENTIALS_BYTES));
        serde_json::to_writer(&mut *text, &credentials).map_err(|error| IssueError::Protocol {
            detail: format!("the account's credentials cannot be written: {error}"),
        })?;
        let name = &self.settings.name;
        let ours = self.keep(text).await?;
        let detail = "another replica's account was announced but is not in the store";
        let sealed = self
            .kept()
            .await?
            .ok_or_else(|| IssueError::Retry { after: None, detail: detail.to_owned() })?;
        if ours {
            tracing::info!(issuer = %name, account = %account.id(), "ACME account created");
            return Ok(Loaded { account, sealed });
        }
        self.restore(sealed).await
    }

    /// Keeps credentials. False: others are kept already.
    pub(crate) async fn keep(&self, text: Zeroizing<Vec<u8>>) -> Result<bool, IssueError> {
        let sealed = self.seal(&PrivateKey::new(text)).await?;
        match self.store.create_account(&self.settings.name, &sealed).await {
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
            return Ok(Loaded { account, sealed });
        }
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
        Ok(Loaded { account: account.0, sealed })
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

    async fn create(&self) -> Result<(Account, AccountCredentials), IssueError> {
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
        Ok(created.0)
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
