//! [`Issuer`] over one ACME server.

use std::sync::Arc;

use async_trait::async_trait;
use instant_acme::{
    Account, AuthorizationStatus, CertificateIdentifier, ChallengeType, Error, Identifier,
    NewOrder, Order, OrderStatus as AcmeStatus, RevocationRequest,
};
use rustls::pki_types::CertificateDer;
use sealwax_core::issuer::{
    IssueError, Issuer, OrderChallenge, OrderRequest, OrderStatus, OrderView, RenewalInfo,
};
use sealwax_core::preflight::CaaIdentity;
use sealwax_core::secret::Sealer;
use sealwax_core::store::{Store, StoreError};
use sealwax_core::{Chain, Clock};
use tokio::sync::{OnceCell, RwLock};

use crate::account::{AccountSource, Loaded};
use crate::adopt::{AdoptError, FoundAccount};
use crate::answered::Answered;
use crate::ask::{NONCE_ROUNDS_MAX, ask, settle};
use crate::classify::Failed;
use crate::directory::Directory;
use crate::exchange::{Step, last_succeeded, recorded};
use crate::order::{Pending, pending, placed, status_of, why};
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

    async fn new_order(
        &self,
        account: &Account,
        request: &OrderRequest,
        replaces: Option<&CertificateIdentifier<'_>>,
    ) -> Result<String, IssueError> {
        let identifiers = [Identifier::Dns(request.domain.as_str().to_owned())];
        let mut order = NewOrder::new(&identifiers);
        if let Some(profile) = request.profile.as_ref().or(self.settings.profile.as_ref()) {
            order = order.profile(profile);
        }
        if let Some(replaced) = replaces {
            order = order.replaces(replaced.clone());
        }
        let mut round = 0;
        loop {
            let (result, last) = recorded(account.new_order(&order)).await;
            // The order exists as soon as its URL arrived, whatever is wrong with the rest.
            if let Some(url) = placed(&last) {
                return Ok(url);
            }
            match settle(Step::NewOrder, result, last, self.clock.now()) {
                Ok((placed, _)) => return Ok(placed.url().to_owned()),
                Err(Failed::BadNonce) if round < NONCE_ROUNDS_MAX => round += 1,
                Err(failed) => return Err(failed.into()),
            }
        }
    }

    async fn fetch(
        &self,
        order_url: &str,
    ) -> Result<(Order, Option<sealwax_core::Span>), IssueError> {
        let account = self.account().await?;
        Ok(ask!(self.clock, Step::Order, account.order(order_url.to_owned()))?)
    }

    /// Fetches the authorization into the order.
    async fn look_at_authorization(&self, order: &mut Order) -> Result<(), IssueError> {
        let (found, _) = ask!(self.clock, Step::Authorization, async {
            order.identifiers().next().await.map(|found| found.map(|_| ())).transpose()
        })?;
        found.ok_or_else(|| IssueError::Protocol {
            detail: "the order has no authorization".to_owned(),
        })
    }
}

/// The calls, each once.
impl AcmeIssuer {
    async fn place_order_once(&self, request: &OrderRequest) -> Result<String, IssueError> {
        let account = self.account().await?;
        let ari = self.directory().await?.renewal_info.is_some();
        let replaced = request.replaces.as_deref().filter(|id| ari && renewal::well_formed(id));
        let Some((authority, serial)) = replaced.and_then(|id| id.split_once('.')) else {
            return self.new_order(&account, request, None).await;
        };
        let replaced = CertificateIdentifier {
            authority_key_identifier: authority.into(),
            serial: serial.into(),
        };
        match self.new_order(&account, request, Some(&replaced)).await {
            // Replaced already, unknown to the CA, or another account's (RFC 9773 section 5):
            // the certificate is needed all the same.
            Err(IssueError::Protocol { detail } | IssueError::Misconfigured { detail }) => {
                let domain = request.domain.as_str();
                tracing::debug!(domain, detail, "the CA objects to `replaces`: ordering without");
                self.new_order(&account, request, None).await
            }
            other => other,
        }
    }

    async fn observe_once(&self, order_url: &str) -> Result<OrderView, IssueError> {
        let (mut order, retry_after) = self.fetch(order_url).await?;
        let mut view = OrderView {
            url: order_url.to_owned(),
            status: status_of(order.state().status),
            challenge: None,
            failure: None,
            retry_after,
        };
        if view.status != OrderStatus::Pending {
            self.answered.forget(order_url);
        } else if let Some(challenge) = self.answered.look(order_url) {
            view.challenge = Some(challenge);
            return Ok(view);
        }
        match view.status {
            OrderStatus::Pending => {
                self.look_at_authorization(&mut order).await?;
                let account = self.account().await?;
                match pending(&mut order, account.key_thumbprint())? {
                    Pending::Challenge(challenge) => view.challenge = Some(challenge),
                    Pending::Settled => {}
                    Pending::Failed(refusal) => {
                        view.status = OrderStatus::Invalid;
                        view.failure = Some(refusal);
                    }
                }
            }
            OrderStatus::Invalid => {
                // The order's own words do, if the authorization cannot be had.
                if let Err(error) = self.look_at_authorization(&mut order).await {
                    tracing::debug!(order_url, %error, "no look at a failed order's authorization");
                }
                view.failure = Some(why(&mut order));
            }
            OrderStatus::Ready | OrderStatus::Processing | OrderStatus::Valid => {}
        }
        if view.status != OrderStatus::Invalid {
            self.orders.put(order);
        }
        Ok(view)
    }

    async fn answer_once(&self, order_url: &str) -> Result<(), IssueError> {
        let mut order = match self.orders.take_in(order_url, AcmeStatus::Pending) {
            Some(order) => order,
            None => self.fetch(order_url).await?.0,
        };
        if order.state().status != AcmeStatus::Pending {
            return Ok(());
        }
        self.look_at_authorization(&mut order).await?;
        let account = self.account().await?;
        let found = pending(&mut order, account.key_thumbprint())?;
        let Pending::Challenge(challenge @ OrderChallenge { processing: false, .. }) = found else {
            return Ok(());
        };
        let (answered, _) = ask!(self.clock, Step::Challenge, async {
            let mut authorizations = order.authorizations();
            let Some(mut authorization) = authorizations.next().await.transpose()? else {
                return Err(Error::Str("authorization"));
            };
            let Some(mut offered) = authorization.challenge(ChallengeType::Http01) else {
                return Err(Error::Str("http-01 challenge"));
            };
            match offered.set_ready().await {
                // It was answered already and failed: that is for `observe` to say.
                Err(Error::Api(_)) if last_succeeded() => Ok(()),
                result => result,
            }
        })?;
        self.answered.put(order_url, challenge);
        Ok(answered)
    }

    async fn finalize_once(&self, order_url: &str, csr_der: &[u8]) -> Result<(), IssueError> {
        let mut order = match self.orders.take_in(order_url, AcmeStatus::Ready) {
            Some(order) => order,
            None => self.fetch(order_url).await?.0,
        };
        match order.state().status {
            AcmeStatus::Ready => {}
            AcmeStatus::Processing | AcmeStatus::Valid => return Ok(()),
            AcmeStatus::Pending => {
                let detail = "the order is not ready to be finalized".to_owned();
                return Err(IssueError::Retry { after: None, detail });
            }
            AcmeStatus::Invalid => return Err(IssueError::Refused(why(&mut order))),
        }
        let (finalized, _) = ask!(self.clock, Step::Finalize, order.finalize_csr(csr_der))?;
        Ok(finalized)
    }

    async fn download_once(&self, order_url: &str) -> Result<Chain, IssueError> {
        let mut order = match self.orders.take_in(order_url, AcmeStatus::Valid) {
            Some(order) => order,
            None => self.fetch(order_url).await?.0,
        };
        match order.state().status {
            AcmeStatus::Valid => {}
            AcmeStatus::Pending | AcmeStatus::Ready | AcmeStatus::Processing => {
                let detail = "the certificate is not there yet".to_owned();
                return Err(IssueError::Retry { after: None, detail });
            }
            AcmeStatus::Invalid => return Err(IssueError::Refused(why(&mut order))),
        }
        let (pem, _) = ask!(self.clock, Step::Certificate, order.certificate())?;
        let pem = pem.ok_or_else(|| IssueError::Protocol {
            detail: "a valid order without a certificate".to_owned(),
        })?;
        Chain::from_pem(pem).map_err(|error| IssueError::Protocol { detail: error.to_string() })
    }

    async fn relinquish_once(&self, order_url: &str) -> Result<(), IssueError> {
        let mut order = match self.orders.take_in(order_url, AcmeStatus::Ready) {
            Some(order) => order,
            None => self.fetch(order_url).await?.0,
        };
        self.look_at_authorization(&mut order).await?;
        let (given_up, _) = ask!(self.clock, Step::Authorization, async {
            let mut authorizations = order.authorizations();
            let Some(mut authorization) = authorizations.next().await.transpose()? else {
                return Err(Error::Str("authorization"));
            };
            // Only what is valid could be relied on.
            if authorization.status == AuthorizationStatus::Valid {
                authorization.deactivate().await?;
            }
            Ok(())
        })?;
        Ok(given_up)
    }

    async fn revoke_once(&self, leaf_der: &[u8]) -> Result<(), IssueError> {
        let account = self.account().await?;
        let certificate = CertificateDer::from_slice(leaf_der);
        let request = RevocationRequest { certificate: &certificate, reason: None };
        match ask!(self.clock, Step::Revoke, account.revoke(&request)) {
            Ok(_) | Err(Failed::AlreadyRevoked) => Ok(()),
            Err(failed) => Err(failed.into()),
        }
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
