//! The calls of [`Issuer`](sealwax_core::issuer::Issuer), each once.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use instant_acme::RevocationRequest;
use rustls::pki_types::CertificateDer;
use sealwax_core::certificate::read_chain;
use sealwax_core::issuer::{IssueError, OrderChallenge, OrderRequest, OrderStatus, OrderView};
use sealwax_core::{Chain, Span};
use serde_json::{Value, json};

use super::AcmeIssuer;
use crate::account::Loaded;
use crate::ask::ask;
use crate::border::{AuthorizationBody, AuthorizationStatus, ChallengeBody, OrderBody};
use crate::classify::{Failed, classify};
use crate::exchange::{Last, Step};
use crate::order::{Order, Pending, pending, placed, told_by_finalize, why};
use crate::renewal;
use crate::transport::Answer;

impl AcmeIssuer {
    pub(super) async fn place_order_once(&self, request: &OrderRequest) -> Result<String, Failed> {
        let account = self.use_account().await?;
        let ari = self.directory().await?.renewal_info.is_some();
        let replaced = request.replaces.as_deref().filter(|id| ari && renewal::well_formed(id));
        let Some(replaced) = replaced else {
            return self.new_order(&account, request, None).await?.ok_or_else(nowhere);
        };
        match self.new_order(&account, request, Some(replaced)).await {
            // The certificate is needed all the same.
            Err(Failed::With(error) | Failed::Doubt(error)) if is_about_replaced(&error) => {
                let domain = request.domain.as_str();
                tracing::debug!(domain, %error, "the CA objects to `replaces`: ordering without");
                self.new_order(&account, request, None).await?.ok_or_else(nowhere)
            }
            other => other?.ok_or_else(nowhere),
        }
    }

    pub(super) async fn observe_once(&self, order_url: &str) -> Result<OrderView, Failed> {
        let account = self.loaded().await?;
        let (mut order, retry_after) = self.fetch(&account, order_url).await?;
        let mut view = OrderView {
            url: order_url.to_owned(),
            status: order.body.status,
            challenge: None,
            failure: None,
            retry_after,
            expires: order.body.expires,
        };
        if view.status != OrderStatus::Pending {
            self.answered.forget(order_url);
        } else if let Some(challenge) = self.answered.look(order_url) {
            view.challenge = Some(challenge);
            return Ok(view);
        }
        match view.status {
            OrderStatus::Pending => {
                self.look_at_authorization(&account, &mut order).await?;
                match pending(&order, account.account.key_thumbprint())? {
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
                if let Err(error) = self.look_at_authorization(&account, &mut order).await {
                    tracing::debug!(order_url, ?error, "no look at a failed order's authorization");
                }
                view.failure = Some(why(&order));
            }
            OrderStatus::Ready | OrderStatus::Processing | OrderStatus::Valid => {}
        }
        if view.status != OrderStatus::Invalid {
            self.orders.put(order);
        }
        Ok(view)
    }

    pub(super) async fn answer_once(&self, order_url: &str) -> Result<(), Failed> {
        let account = self.loaded().await?;
        let mut order = self.known(&account, order_url, OrderStatus::Pending).await?;
        if order.body.status != OrderStatus::Pending {
            return Ok(());
        }
        self.look_at_authorization(&account, &mut order).await?;
        let found = pending(&order, account.account.key_thumbprint())?;
        let Pending::Challenge(challenge @ OrderChallenge { processing: false, .. }) = found else {
            return Ok(());
        };
        let offered = order.authorization.as_ref().and_then(AuthorizationBody::http_01);
        let url = offered.and_then(|offered| offered.url.clone());
        let url = url.ok_or_else(|| missing("the challenge has no URL"))?;
        let go_ahead = json!({});
        let answer = self.post(&account, Step::Challenge, &url, Some(&go_ahead)).await?;
        // What it said of its URLs may not be said again.
        order.authorization = None;
        self.orders.put(order);
        self.unless_garbled(Step::Challenge, &answer)?;
        let said = ChallengeBody::read(&answer.body, &url);
        // A CA that found fault at once, and leaves the challenge open, is looked at closely.
        if said.is_none_or(|said| said.error.is_none()) {
            self.answered.put(order_url, challenge);
        }
        Ok(())
    }

    pub(super) async fn finalize_once(
        &self,
        order_url: &str,
        csr_der: &[u8],
    ) -> Result<(), Failed> {
        let account = self.loaded().await?;
        let order = self.known(&account, order_url, OrderStatus::Ready).await?;
        match order.body.status {
            OrderStatus::Ready => {}
            OrderStatus::Processing | OrderStatus::Valid => return Ok(()),
            OrderStatus::Pending => {
                let detail = "the order is not ready to be finalized".to_owned();
                return Err(IssueError::Retry { after: None, detail }.into());
            }
            OrderStatus::Invalid => return Err(IssueError::Refused(why(&order)).into()),
        }
        let url = order.body.finalize.ok_or_else(|| missing("the order has no finalize URL"))?;
        let request = json!({ "csr": BASE64_URL_SAFE_NO_PAD.encode(csr_der) });
        let answer = self.post(&account, Step::Finalize, &url, Some(&request)).await?;
        self.unless_garbled(Step::Finalize, &answer)
    }

    pub(super) async fn download_once(&self, order_url: &str) -> Result<Chain, Failed> {
        let account = self.loaded().await?;
        let order = self.known(&account, order_url, OrderStatus::Valid).await?;
        match order.body.status {
            OrderStatus::Valid => {}
            OrderStatus::Pending | OrderStatus::Ready | OrderStatus::Processing => {
                let detail = "the certificate is not there yet".to_owned();
                return Err(IssueError::Retry { after: None, detail }.into());
            }
            OrderStatus::Invalid => return Err(IssueError::Refused(why(&order)).into()),
        }
        let url = order.body.certificate;
        let url = url.ok_or_else(|| missing("a valid order without a certificate"))?;
        let answer = self.post(&account, Step::Certificate, &url, None).await?;
        // CAs have dialects of PEM, and one has been seen to append a key: only what is read is
        // kept.
        let read = read_chain(&answer.body)
            .map_err(|error| IssueError::Protocol { detail: error.to_string() })?;
        if !read.notes.is_empty() {
            let notes: Vec<_> = read.notes.iter().map(ToString::to_string).collect();
            tracing::info!(issuer = %self.settings.name, notes = %notes.join("; "), "the CA's chain");
        }
        Ok(read.chain)
    }

    pub(super) async fn relinquish_once(&self, order_url: &str) -> Result<(), Failed> {
        let account = self.loaded().await?;
        let mut order = self.known(&account, order_url, OrderStatus::Ready).await?;
        self.look_at_authorization(&account, &mut order).await?;
        let valid =
            order.authorization.is_some_and(|found| found.status == AuthorizationStatus::Valid);
        // Only what is valid could be relied on.
        let Some(url) = order.body.authorizations.first().filter(|_| valid) else { return Ok(()) };
        let deactivated = json!({ "status": "deactivated" });
        self.post(&account, Step::Authorization, url, Some(&deactivated)).await?;
        Ok(())
    }

    pub(super) async fn revoke_once(&self, leaf_der: &[u8]) -> Result<(), Failed> {
        let account = self.account().await?;
        let certificate = CertificateDer::from_slice(leaf_der);
        let request = RevocationRequest { certificate: &certificate, reason: None };
        match ask!(self.clock, Step::Revoke, account.revoke(&request)) {
            Ok(_) | Err(Failed::AlreadyRevoked) => Ok(()),
            Err(failed) => Err(failed),
        }
    }

    /// Where the order is. `None`: the CA took it and does not say.
    async fn new_order(
        &self,
        account: &Loaded,
        request: &OrderRequest,
        replaces: Option<&str>,
    ) -> Result<Option<String>, Failed> {
        let mut order = json!({
            "identifiers": [{ "type": "dns", "value": request.domain.as_str() }],
        });
        let profile = request.profile.as_deref().or(self.settings.profile.as_deref());
        if let Some(fields) = order.as_object_mut() {
            let optional = [("profile", profile), ("replaces", replaces)];
            fields.extend(optional.into_iter().filter_map(|(name, value)| {
                value.map(|value| (name.to_owned(), Value::from(value)))
            }));
        }
        let source = self.source().await?;
        let endpoint = &source.directory.new_order;
        let (result, last) =
            source.post_noted(Step::NewOrder, account.signer(), endpoint, Some(&order)).await;
        // The order exists as soon as its URL arrived, whatever is wrong with the rest.
        if let Some(location) = placed(&last) {
            return Ok(Some(crate::border::resolved(endpoint, &location)));
        }
        let answer = result?;
        let body = OrderBody::read(&answer.body, endpoint).ok();
        Ok(body.as_ref().and_then(told_by_finalize))
    }

    /// An order as it was seen last in this status, or as it is now.
    async fn known(
        &self,
        account: &Loaded,
        order_url: &str,
        status: OrderStatus,
    ) -> Result<Order, Failed> {
        match self.orders.take_in(order_url, status) {
            Some(order) => Ok(order),
            None => Ok(self.fetch(account, order_url).await?.0),
        }
    }

    async fn fetch(
        &self,
        account: &Loaded,
        order_url: &str,
    ) -> Result<(Order, Option<Span>), Failed> {
        let answer = self.post(account, Step::Order, order_url, None).await?;
        let body = OrderBody::read(&answer.body, order_url);
        let body = body.map_err(|said| self.unreadable(Step::Order, &answer, &said))?;
        let order = Order::seen(order_url, body, self.orders.seen(order_url));
        Ok((order, self.transport.retry_after(&answer.parts.headers)))
    }

    /// Fetches the authorization into the order.
    async fn look_at_authorization(
        &self,
        account: &Loaded,
        order: &mut Order,
    ) -> Result<(), Failed> {
        if order.authorization.is_some() {
            return Ok(());
        }
        let url = order.body.authorizations.first();
        let url = url.ok_or_else(|| missing("the order has no authorization"))?;
        let answer = self.post(account, Step::Authorization, url, None).await?;
        let body = AuthorizationBody::read(&answer.body, url);
        let body = body.map_err(|said| self.unreadable(Step::Authorization, &answer, &said))?;
        order.authorization = Some(body);
        Ok(())
    }

    async fn post(
        &self,
        account: &Loaded,
        step: Step,
        url: &str,
        payload: Option<&Value>,
    ) -> Result<Answer, Failed> {
        self.source().await?.post(step, account.signer(), url, payload).await
    }

    /// What a success says is not needed where the order says it too, but an answer that was cut
    /// may not be the CA's.
    fn unless_garbled(&self, step: Step, answer: &Answer) -> Result<(), Failed> {
        if answer.body.trim_ascii().is_empty() {
            return Ok(());
        }
        match serde_json::from_slice::<Value>(&answer.body) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.unreadable(step, answer, &error.to_string())),
        }
    }

    fn unreadable(&self, step: Step, answer: &Answer, said: &str) -> Failed {
        let last = Last::Answered(self.transport.seen(answer));
        classify(step, said, last, self.clock.now())
    }
}

/// Whether a CA may object to what an order replaces: it is replaced already, unknown to the CA, or
/// another account's (RFC 9773 section 5). Pebble says of one whose order it cannot find that this
/// is an error of its own.
fn is_about_replaced(error: &IssueError) -> bool {
    match error {
        IssueError::Protocol { .. } | IssueError::Misconfigured { .. } => true,
        IssueError::Retry { after: None, detail } => {
            let detail = detail.to_ascii_lowercase();
            ["certificate", "serial", "replac"].iter().any(|word| detail.contains(word))
        }
        IssueError::Retry { .. }
        | IssueError::RateLimited { .. }
        | IssueError::Paused { .. }
        | IssueError::Refused(_)
        | IssueError::UnknownOutcome { .. }
        | IssueError::OrderGone { .. }
        | _ => false,
    }
}

fn nowhere() -> Failed {
    let detail = "the CA took an order and does not say where it is (no Location)".to_owned();
    IssueError::Unfindable { detail }.into()
}

/// A profile that the domain did not ask for is the issuer's own.
pub(super) fn of_the_issuer(error: IssueError) -> IssueError {
    if let IssueError::ProfileRefused { detail } = error {
        return IssueError::Misconfigured { detail };
    }
    error
}

fn missing(detail: &str) -> IssueError {
    IssueError::Protocol { detail: detail.to_owned() }
}
