//! The calls of [`Issuer`](sealwax_core::issuer::Issuer), each once.

use instant_acme::{
    Account, AuthorizationStatus, CertificateIdentifier, ChallengeType, Error, Identifier,
    NewOrder, Order, OrderStatus as AcmeStatus, RevocationRequest,
};
use rustls::pki_types::CertificateDer;
use sealwax_core::Chain;
use sealwax_core::issuer::{IssueError, OrderChallenge, OrderRequest, OrderStatus, OrderView};

use super::AcmeIssuer;
use crate::ask::{NONCE_ROUNDS_MAX, ask, settle};
use crate::classify::Failed;
use crate::exchange::{Step, last_succeeded, recorded};
use crate::order::{Pending, pending, placed, status_of, why};
use crate::renewal;

impl AcmeIssuer {
    pub(super) async fn place_order_once(
        &self,
        request: &OrderRequest,
    ) -> Result<String, IssueError> {
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

    pub(super) async fn observe_once(&self, order_url: &str) -> Result<OrderView, IssueError> {
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

    pub(super) async fn answer_once(&self, order_url: &str) -> Result<(), IssueError> {
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

    pub(super) async fn finalize_once(
        &self,
        order_url: &str,
        csr_der: &[u8],
    ) -> Result<(), IssueError> {
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

    pub(super) async fn download_once(&self, order_url: &str) -> Result<Chain, IssueError> {
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

    pub(super) async fn relinquish_once(&self, order_url: &str) -> Result<(), IssueError> {
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

    pub(super) async fn revoke_once(&self, leaf_der: &[u8]) -> Result<(), IssueError> {
        let account = self.account().await?;
        let certificate = CertificateDer::from_slice(leaf_der);
        let request = RevocationRequest { certificate: &certificate, reason: None };
        match ask!(self.clock, Step::Revoke, account.revoke(&request)) {
            Ok(_) | Err(Failed::AlreadyRevoked) => Ok(()),
            Err(failed) => Err(failed.into()),
        }
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
