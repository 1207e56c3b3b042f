//! [`Issuer`] over one ACME server.

mod calls;

use std::sync::Arc;

use async_trait::async_trait;
use instant_acme::Account;
use sealwax_core::issuer::{IssueError, Issuer, OrderRequest, OrderView, RenewalInfo};
use sealwax_core::preflight::CaaIdentity;
use sealwax_core::secret::Sealer;
use sealwax_core::store::{Store, StoreError};
use sealwax_core::{Chain, Clock};
use tokio::sync::{OnceCell, RwLock};

use crate::account::{AccountSource, Loaded};
use crate::adopt::{AdoptError, FoundAccount};
use crate::answered::Answered;
use crate::directory::Directory;
use crate::renewal;
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
    account: RwLock<Option<Loaded>>,
    orders: OrderShelf,
    answered: Answered,
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
            account: RwLock::default(),
            orders: OrderShelf::default(),
            answered: Answered::default(),
        })
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
        // One that is in use is the same: another would have been refused.
        *self.account.write().await = Some(loaded);
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
        })
    }

    pub(crate) async fn account(&self) -> Result<Account, IssueError> {
        if let Some(loaded) = &*self.account.read().await {
            return Ok(loaded.account.clone());
        }
        let mut place = self.account.write().await;
        if let Some(loaded) = &*place {
            return Ok(loaded.account.clone());
        }
        let source = self.source().await?;
        let loaded = Box::pin(async move { source.load_or_create().await }).await?;
        Ok(place.insert(loaded).account.clone())
    }

    /// The account is loaded anew when it is needed next.
    pub(crate) async fn forget_account(&self) {
        *self.account.write().await = None;
        // These sign with the key of when they were seen.
        self.orders.clear();
    }

    /// What the CA refused may have been signed with a key that another process replaced: if other
    /// credentials are kept than those at work, they are loaded anew.
    async fn has_another_account(&self, error: &IssueError) -> bool {
        let may_be = matches!(
            error,
            IssueError::Misconfigured { .. }
                | IssueError::Protocol { .. }
                | IssueError::OrderGone { .. }
        );
        let known = self.account.read().await.as_ref().map(|loaded| loaded.sealed.clone());
        let Some(known) = known.filter(|_| may_be) else { return false };
        let kept = self.store.account(&self.settings.name).await;
        let other = matches!(kept, Ok(Some(kept)) if kept != known);
        if other {
            self.forget_account().await;
        }
        other
    }
}

/// `present!(self, call)` makes a call again if it was refused and another process replaced the
/// account's key.
macro_rules! present {
    ($self:ident, $call:expr) => {
        match $call.await {
            Err(error) if $self.has_another_account(&error).await => $call.await,
            settled => settled,
        }
    };
}

#[async_trait]
impl Issuer for AcmeIssuer {
    fn name(&self) -> &str {
        &self.settings.name
    }

    async fn place_order(&self, request: &OrderRequest) -> Result<String, IssueError> {
        present!(self, self.place_order_once(request))
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
