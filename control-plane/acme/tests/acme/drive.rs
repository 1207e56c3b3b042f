//! The steps of an issuance, as the workflow takes them.

use sealwax_acme::{AcmeIssuer, key};
use sealwax_core::issuer::{
    IssueError, Issuer as _, OrderChallenge, OrderRequest, OrderStatus, OrderView,
};
use sealwax_core::record::KeyType;
use sealwax_core::{
    CertificateFacts, CertificateSource, Chain, Clock as _, PrivateKey, certificate,
};
use sealwax_protocol::DomainName;
use sealwax_testkit::{PATIENCE, wait_until};

use crate::parts::WallClock;
use crate::responder::Responder;

pub(crate) fn order_for(name: &str) -> OrderRequest {
    OrderRequest { domain: DomainName::parse(name).unwrap(), profile: None, replaces: None }
}

/// A certificate, verified.
pub(crate) struct Issued {
    pub(crate) chain: Chain,
    pub(crate) facts: CertificateFacts,
}

/// Looks at the order until it shows what is wanted.
pub(crate) async fn until(
    issuer: &AcmeIssuer,
    url: &str,
    mut wanted: impl FnMut(&OrderView) -> bool,
) -> OrderView {
    let mut last = String::new();
    let seen = wait_until("the order to get on", PATIENCE, async || {
        let view = issuer.observe(url).await.unwrap();
        let found = wanted(&view);
        last = format!("{view:?}");
        found.then_some(view)
    })
    .await;
    seen.unwrap_or_else(|error| panic!("{error}; last seen: {last}"))
}

pub(crate) async fn until_status(issuer: &AcmeIssuer, url: &str, status: OrderStatus) -> OrderView {
    until(issuer, url, |view| {
        let dead = view.status == OrderStatus::Invalid && status != OrderStatus::Invalid;
        assert!(!dead, "{view:?}");
        view.status == status
    })
    .await
}

pub(crate) async fn challenge_of(issuer: &AcmeIssuer, url: &str) -> OrderChallenge {
    let view = issuer.observe(url).await.unwrap();
    assert_eq!(view.status, OrderStatus::Pending);
    view.challenge.expect("a pending order has a challenge")
}

/// Places an order and has it validated, if that is still needed.
pub(crate) async fn ready_order(
    issuer: &AcmeIssuer,
    responder: &Responder,
    request: &OrderRequest,
) -> String {
    let url = issuer.place_order(request).await.unwrap();
    let view = issuer.observe(&url).await.unwrap();
    if let Some(challenge) = &view.challenge {
        responder.publish(challenge);
        issuer.answer(&url).await.unwrap();
    }
    until_status(issuer, &url, OrderStatus::Ready).await;
    url
}

pub(crate) fn key_and_request(domain: &DomainName) -> (PrivateKey, Vec<u8>) {
    let key = key::generate(KeyType::EcdsaP256).unwrap();
    let csr_der = key::signing_request(&key, domain).unwrap();
    (key, csr_der)
}

/// All of it.
pub(crate) async fn issue(
    issuer: &AcmeIssuer,
    responder: &Responder,
    request: &OrderRequest,
) -> Issued {
    let url = ready_order(issuer, responder, request).await;
    let (key, csr_der) = key_and_request(&request.domain);
    issuer.finalize(&url, &csr_der).await.unwrap();
    collect(issuer, &url, &request.domain, &key).await
}

/// What comes after finalizing.
pub(crate) async fn collect(
    issuer: &AcmeIssuer,
    url: &str,
    domain: &DomainName,
    key: &PrivateKey,
) -> Issued {
    until_status(issuer, url, OrderStatus::Valid).await;
    let chain = issuer.download(url).await.unwrap();
    let now = WallClock.now();
    let facts = certificate::verify(&chain, key, domain, now, CertificateSource::Acme).unwrap();
    Issued { chain, facts }
}

pub(crate) fn is_misconfigured<T: std::fmt::Debug>(result: &Result<T, IssueError>) -> bool {
    matches!(result, Err(IssueError::Misconfigured { .. }))
}
