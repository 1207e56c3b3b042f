//! [`Issuer`] over one ACME server.

mod calls;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use async_trait::async_trait;
use instant_acme::Account;
use sealwax_core::issuer::{IssueError, Issuer, OrderRequest, OrderView, RenewalInfo};
use sealwax_core::preflight::CaaIdentity;
use sealwax_core::secret::Sealer;
use sealwax_core::store::{Store, StoreError};
use sealwax_core::{Chain, Clock};
use tokio::sync::{Mutex, OnceCell, RwLock};

use crate::account::{AccountSource, Loaded};
use crate::adopt::{AdoptError, FoundAccount};
use crate::answered::Answered;
use crate::directory::Directory;
use crate::lost::Checks;
use crate::renewal;
use crate::rollover::AccountVault;
use crate::settings::{IssuerSettings, SettingsError};
use crate::shelf::OrderShelf;
use crate::transport::Transport;

/// One configured CA. Every call is bounded by a few times the settings' `request_timeout`; the
/// account is loaded or made when it is first needed.
pub struct AcmeIssuer {
    settings: IssuerSettings,
    transport: Transport,
    store: Arc<dyn Store>,
    sealer: Arc<dyn Sealer>,
    clock: Arc<dyn Clock>,
    directory: OnceCell<Directory>,
    vault: Option<Arc<dyn AccountVault>>,
    pub(crate) account: RwLock<Option<Loaded>>,
    pub(crate) orders: OrderShelf,
    answered: Answered,
    /// What was done last about an account that the CA seemed not to know.
    pub(crate) checks: Mutex<Checks>,
    /// Accounts that took the place of another.
    pub(crate) registrations: AtomicU64,
}

impl AcmeIssuer {
    /// Sets an issuer up without asking the CA anything yet.
    ///
    /// # Errors
    /// When the settings cannot work: a directory without TLS that is not on a loopback address,
    /// a `ca_file` that cannot be read.
    pub fn new(
        settings: IssuerSettings,
        store: Arc<dyn Store>,
        sealer: Arc<dyn Sealer>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SettingsError> {
        settings.check_directory()?;
        let transport = Transport::new(&settings, Arc::clone(&clock))?;
        Ok(Self {
            settings,
            transport,
            store,
            sealer,
            clock,
            directory: OnceCell::new(),
            vault: None,
            account: RwLock::default(),
            orders: OrderShelf::default(),
            answered: Answered::default(),
            checks: Mutex::default(),
            registrations: AtomicU64::new(0),
        })
    }

    /// The same, which replaces what is kept of the account where that is needed: when the CA
    /// forgot it, when somebody wants it reset, and when an unused one gives way to one that is
    /// brought along.
    #[must_use]
    pub fn with_vault(self, vault: Arc<dyn AccountVault>) -> Self {
        Self { vault: Some(vault), ..self }
    }

    /// The settings it was made with.
    #[must_use]
    pub const fn settings(&self) -> &IssuerSettings {
        &self.settings
    }

    /// The account's URL: what a CAA record's `accounturi` names (RFC 8657). Loads or makes the
    /// account.
    ///
    /// # Errors
    /// When there is no account and none can be made.
    pub async fn account_url(&self) -> Result<String, IssueError> {
        Ok(self.account().await?.id().to_owned())
    }

    async fn directory(&self) -> Result<&Directory, IssueError> {
        let url = &self.settings.directory;
        self.directory
            .get_or_try_init(|| Directory::fetch(&self.transport, url, self.clock.now()))
            .await
    }

    /// Whether an account is kept; nobody is asked.
    ///
    /// # Errors
    /// The store.
    pub async fn has_account(&self) -> Result<bool, StoreError> {
        Ok(self.store.account(&self.settings.name).await?.is_some())
    }

    /// Takes over an account that another program made, and returns its URL. Said again, it is
    /// done once.
    ///
    /// # Errors
    /// There is another account already, the key is of no use, or the CA or the store.
    pub async fn adopt(&self, found: &FoundAccount) -> Result<String, AdoptError> {
        let source = self.source().await?;
        let loaded = Box::pin(source.adopt(found)).await?;
        let id = loaded.account.id().to_owned();
        // One that was in use is the same: another would have been refused.
        *self.account.write().await = Some(loaded);
        self.orders.clear();
        Ok(id)
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    pub(crate) async fn source(&self) -> Result<AccountSource<'_>, IssueError> {
        Ok(AccountSource {
            settings: &self.settings,
            transport: &self.transport,
            directory: self.directory().await?,
            store: self.store.as_ref(),
            sealer: self.sealer.as_ref(),
            clock: self.clock.as_ref(),
            vault: self.vault.as_deref(),
        })
    }

    pub(crate) fn vault(&self) -> Option<&dyn AccountVault> {
        self.vault.as_deref()
    }

    pub(crate) fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    /// The account as it is at work, if it is.
    pub(crate) async fn at_work(&self) -> Option<Loaded> {
        self.account.read().await.clone()
    }

    pub(crate) async fn account(&self) -> Result<Account, IssueError> {
        Ok(self.loaded().await?.account)
    }

    pub(crate) async fn loaded(&self) -> Result<Loaded, IssueError> {
        if let Some(loaded) = &*self.account.read().await {
            return Ok(loaded.clone());
        }
        let mut place = self.account.write().await;
        if let Some(loaded) = &*place {
            return Ok(loaded.clone());
        }
        let source = self.source().await?;
        let loaded = Box::pin(async move { source.load_or_create().await }).await?;
        Ok(place.insert(loaded).clone())
    }

    /// The account is loaded anew when it is needed next.
    pub(crate) async fn forget_account(&self) {
        *self.account.write().await = None;
        // These sign with the key of when they were seen.
        self.orders.clear();
    }
}

/// `present!(self, call)` makes a call once more if it was refused and the account turned out to
/// be another one than the one that signed: another process replaced it or its key, or the CA
/// forgot it.
macro_rules! present {
    ($self:ident, $call:expr) => {
        match $call.await {
            Ok(done) => Ok(done),
            Err(failed) => match Box::pin($self.recover(failed)).await {
                Ok(()) => $call.await.map_err(IssueError::from),
                Err(error) => Err(error),
            },
        }
    };
}

#[async_trait]
impl Issuer for AcmeIssuer {
    fn name(&self) -> &str {
        &self.settings.name
    }

    async fn place_order(&self, request: &OrderRequest) -> Result<String, IssueError> {
        let placed = present!(self, self.place_order_once(request));
        if request.profile.is_some() { placed } else { placed.map_err(calls::of_the_issuer) }
    }

    async fn observe(&self, order_url: &str) -> Result<OrderView, IssueError> {
        present!(self, self.observe_once(order_url))
    }

    async fn answer(&self, order_url: &str) -> Result<(), IssueError> {
        present!(self, self.answer_once(order_url))
    }

    async fn finalize(&self, order_url: &str, csr_der: &[u8]) -> Result<(), IssueError> {
        present!(self, self.finalize_once(order_url, csr_der))
    }

    async fn download(&self, order_url: &str) -> Result<Chain, IssueError> {
        present!(self, self.download_once(order_url))
    }

    async fn renewal_info(&self, ari_id: &str) -> Result<Option<RenewalInfo>, IssueError> {
        let Some(endpoint) = self.directory().await?.renewal_info.as_deref() else {
            return Ok(None);
        };
        let now = self.clock.now();
        renewal::renewal_info(&self.transport, endpoint, ari_id, now).await.map(Some)
    }

    async fn revoke(&self, leaf_der: &[u8]) -> Result<(), IssueError> {
        present!(self, self.revoke_once(leaf_der))
    }

    async fn relinquish(&self, order_url: &str) -> Result<(), IssueError> {
        present!(self, self.relinquish_once(order_url))
    }

    async fn caa_identity(&self) -> CaaIdentity {
        let Ok(directory) = self.directory().await else { return CaaIdentity::default() };
        let names = directory.caa_identities().to_vec();
        // An account that is made for the question is the one the order needs.
        CaaIdentity { names, account: self.account_url().await.ok() }
    }
}
