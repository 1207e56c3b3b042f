//! The ACME account of an issuer: one for all replicas, its key sealed in the store.

use instant_acme::{Account, AccountCredentials, ExternalAccountKey, NewAccount};
use sealwax_core::issuer::IssueError;
use sealwax_core::secret::{SealError, SealPlace, Sealer};
use sealwax_core::store::{Store, StoreError};
use sealwax_core::{Clock, PrivateKey, SealedKey};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::ask::ask;
use crate::directory::Directory;
use crate::exchange::Step;
use crate::settings::IssuerSettings;
use crate::transport::Transport;

/// Room for serialised credentials, so that the buffer never moves and leaves a copy behind.
const CREDENTIALS_BYTES: usize = 4096;

/// What an account is made from and kept in.
pub(crate) struct AccountSource<'a> {
    pub(crate) settings: &'a IssuerSettings,
    pub(crate) transport: &'a Transport,
    pub(crate) directory: &'a Directory,
    pub(crate) store: &'a dyn Store,
    pub(crate) sealer: &'a dyn Sealer,
    pub(crate) clock: &'a dyn Clock,
}

#[derive(Deserialize)]
struct Origin {
    directory: Option<String>,
}

impl AccountSource<'_> {
    /// Loads the account, or makes and keeps one. When another replica kept one meanwhile, that
    /// one is used and ours is forgotten: an account nobody uses does no harm.
    pub(crate) async fn load_or_create(&self) -> Result<Account, IssueError> {
        if let Some(sealed) = self.kept().await? {
            return self.restore(&sealed).await;
        }
        let (account, credentials) = self.create().await?;
        let mut text = Zeroizing::new(Vec::with_capacity(CREDENTIALS_BYTES));
        serde_json::to_writer(&mut *text, &credentials).map_err(|error| IssueError::Protocol {
            detail: format!("the account's credentials cannot be written: {error}"),
        })?;
        let name = &self.settings.name;
        if self.keep(text).await? {
            tracing::info!(issuer = %name, account = %account.id(), "ACME account created");
            return Ok(account);
        }
        let detail = "another replica's account was announced but is not in the store";
        let sealed = self
            .kept()
            .await?
            .ok_or_else(|| IssueError::Retry { after: None, detail: detail.to_owned() })?;
        self.restore(&sealed).await
    }

    /// Keeps credentials. False: others are kept already.
    pub(crate) async fn keep(&self, text: Zeroizing<Vec<u8>>) -> Result<bool, IssueError> {
        let name = &self.settings.name;
        let sealed = self
            .sealer
            .seal(SealPlace::Account(name), &PrivateKey::new(text))
            .await
            .map_err(|error| seal_failed(&error))?;
        match self.store.create_account(name, &sealed).await {
            Ok(()) => Ok(true),
            Err(StoreError::Lost { .. }) => Ok(false),
            Err(error) => Err(store_failed(&error)),
        }
    }

    pub(crate) async fn kept(&self) -> Result<Option<SealedKey>, IssueError> {
        self.store.account(&self.settings.name).await.map_err(|error| store_failed(&error))
    }

    async fn restore(&self, sealed: &SealedKey) -> Result<Account, IssueError> {
        let name = &self.settings.name;
        let opened = self.opened(sealed).await?;
        self.check_origin(&opened)?;
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
        Ok(account.0)
    }

    pub(crate) async fn opened(&self, sealed: &SealedKey) -> Result<PrivateKey, IssueError> {
        let place = SealPlace::Account(&self.settings.name);
        self.sealer.open(place, sealed).await.map_err(|error| seal_failed(&error))
    }

    /// An account belongs to one CA: a changed directory needs an issuer of another name.
    fn check_origin(&self, opened: &PrivateKey) -> Result<(), IssueError> {
        let IssuerSettings { name, directory, .. } = self.settings;
        let origin: Origin =
            serde_json::from_slice(opened.expose()).map_err(|_| unreadable(name))?;
        match origin.directory {
            Some(of_account) if of_account == *directory => Ok(()),
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

fn unreadable(name: &str) -> IssueError {
    IssueError::Misconfigured {
        detail: format!("the credentials kept for issuer {name:?} cannot be read"),
    }
}

fn seal_failed(error: &SealError) -> IssueError {
    let detail = error.to_string();
    if matches!(error, SealError::DoesNotOpen | SealError::KeyRefused(_)) {
        return IssueError::Misconfigured { detail };
    }
    IssueError::Retry { after: None, detail }
}

fn store_failed(error: &StoreError) -> IssueError {
    let detail = error.to_string();
    if matches!(error, StoreError::Misconfigured { .. } | StoreError::Unreadable { .. }) {
        return IssueError::Misconfigured { detail };
    }
    IssueError::Retry { after: None, detail }
}
