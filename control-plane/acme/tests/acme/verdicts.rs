//! What a CA says of names, chains and renewals.

use sealwax_core::certificate::{self, ChainError};
use sealwax_core::issuer::{IssueError, Issuer as _, OrderStatus};
use sealwax_core::{Cause, CertificateSource, Chain, Clock as _, Span};
use sealwax_fake_acme::{Ari, ChainFault, Endpoint, Problem, Validation, Window};

use crate::drive::{
    challenge_of, issue, key_and_request, order_for, ready_order, until, until_status,
};
use crate::parts::WallClock;
use crate::stage::{NAME, Stage};

#[tokio::test]
async fn a_slow_validation_is_seen_as_processing() {
    let stage = Stage::set().await;
    let issuer = stage.issuer();
    stage.ca.adjust(|knobs| knobs.validation_looks = 4);
    let url = issuer.place_order(&order_for(NAME)).await.unwrap();
    stage.responder.publish(&challenge_of(&issuer, &url).await);
    issuer.answer(&url).await.unwrap();
    let view = until(&issuer, &url, |_| true).await;
    assert!(view.challenge.expect("still pending").processing);
    issuer.answer(&url).await.expect("it is answered already");
    assert_eq!(stage.ca.journal().count(Endpoint::Challenge), 1);
    until_status(&issuer, &url, OrderStatus::Ready).await;
}

#[tokio::test]
async fn a_validation_is_waited_for_by_looking_at_the_order() {
    let stage = Stage::set().await;
    let issuer = stage.issuer();
    stage.ca.adjust(|knobs| knobs.validation_looks = 8);
    let url = issuer.place_order(&order_for(NAME)).await.unwrap();
    stage.responder.publish(&challenge_of(&issuer, &url).await);
    issuer.answer(&url).await.unwrap();
    let before = stage.ca.journal();
    let count = |endpoint| stage.ca.journal().count(endpoint) - before.count(endpoint);
    for _ in 0..4 {
        issuer.observe(&url).await.unwrap();
    }
    assert_eq!(count(Endpoint::Order), 4);
    assert_eq!(count(Endpoint::Authorization), 1, "in case the order lags behind");
    until_status(&issuer, &url, OrderStatus::Ready).await;
}

#[tokio::test]
async fn each_failed_validation_has_its_cause() {
    let stage = Stage::set().await;
    let issuer = stage.issuer();
    for (number, (kind, detail, cause)) in [
        ("dns", "DNS problem: NXDOMAIN looking up A for shop", Cause::DnsNoRecord),
        ("dns", "DNS problem: SERVFAIL looking up A for shop", Cause::DnsFailed),
        ("connection", "Timeout during connect (likely firewall problem)", Cause::ConnectionFailed),
        ("unauthorized", "Invalid response: 404", Cause::ChallengeWrong),
        ("caa", "CAA record for shop prevents issuance", Cause::CaaForbids),
        ("rejectedIdentifier", "policy forbids", Cause::RejectedIdentifier),
        ("tls", "handshake failure", Cause::ChallengeWrong),
        ("serverInternal", "out of order", Cause::CaUnavailable),
        ("malformed", "?", Cause::CaProtocol),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("f{number}.example.com");
        let problem = Problem::new(400, kind, detail);
        stage.ca.adjust(|knobs| {
            knobs.validations.insert(name.clone(), Validation::Fails(problem));
        });
        let url = issuer.place_order(&order_for(&name)).await.unwrap();
        issuer.answer(&url).await.unwrap();
        let view = until_status(&issuer, &url, OrderStatus::Invalid).await;
        let failure = view.failure.unwrap();
        assert_eq!((failure.cause, failure.detail.as_str()), (cause, detail), "{kind}");
    }
}

#[tokio::test]
async fn nobody_at_the_names_address_is_a_failed_connection() {
    let stage = Stage::set().await;
    let issuer = stage.issuer();
    // The CA's own port once it is gone would do, but a port that is only held is certain.
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap();
    drop(held);
    stage.ca.adjust(|knobs| knobs.resolver = address);
    let url = issuer.place_order(&order_for(NAME)).await.unwrap();
    issuer.answer(&url).await.unwrap();
    let view = until_status(&issuer, &url, OrderStatus::Invalid).await;
    assert_eq!(view.failure.unwrap().cause, Cause::ConnectionFailed);
}

#[tokio::test]
async fn a_name_the_ca_refuses_is_refused_at_once() {
    let stage = Stage::set().await;
    let issuer = stage.issuer();
    let problem = Problem::new(400, "rejectedIdentifier", "the policy forbids this name");
    stage.ca.adjust(|knobs| {
        knobs.refusals.insert(NAME.to_owned(), problem);
    });
    let refused = issuer.place_order(&order_for(NAME)).await.unwrap_err();
    let IssueError::Refused(refusal) = refused else { panic!("{refused}") };
    assert_eq!(refusal.cause, Cause::RejectedIdentifier);
}

/// What the CA hands out with this fault, and whether it may be served.
async fn handed_out(fault: ChainFault) -> Result<(Chain, Result<(), ChainError>), IssueError> {
    let stage = Stage::set().await;
    let issuer = stage.issuer();
    stage.ca.adjust(|knobs| knobs.chain = fault);
    let request = order_for(NAME);
    let url = ready_order(&issuer, &stage.responder, &request).await;
    let (key, csr_der) = key_and_request(&request.domain);
    issuer.finalize(&url, &csr_der).await.unwrap();
    until_status(&issuer, &url, OrderStatus::Valid).await;
    let chain = issuer.download(&url).await?;
    let now = WallClock.now();
    let source = CertificateSource::Acme;
    let verdict = certificate::verify(&chain, &key, &request.domain, now, source).map(drop);
    Ok((chain, verdict))
}

#[tokio::test]
async fn a_chain_that_may_not_be_served_does_not_pass() {
    type Judge = fn(&ChainError) -> bool;
    let rows: [(ChainFault, Judge); 3] = [
        (ChainFault::WrongName, |error| matches!(error, ChainError::WrongName { .. })),
        (ChainFault::WrongKey, |error| matches!(error, ChainError::KeyMismatch(_))),
        (ChainFault::Expired, |error| matches!(error, ChainError::Expired(_))),
    ];
    for (fault, expected) in rows {
        let error = handed_out(fault).await.unwrap().1.unwrap_err();
        assert!(expected(&error), "{fault:?}: {error}");
    }
    let garbage = handed_out(ChainFault::Garbage).await.unwrap_err();
    assert!(matches!(garbage, IssueError::Protocol { .. }), "{garbage}");
}

#[tokio::test]
async fn however_a_ca_writes_a_chain_it_is_kept_in_one_form_and_without_a_key() {
    for fault in [ChainFault::None, ChainFault::Reversed, ChainFault::Glued, ChainFault::WithKey] {
        let (chain, verdict) = handed_out(fault).await.unwrap();
        assert_eq!(verdict, Ok(()), "{fault:?}");
        assert_eq!(chain.normal().unwrap(), chain, "{fault:?}");
        assert_eq!(chain.pem().matches("-----BEGIN CERTIFICATE-----\n").count(), 2, "{fault:?}");
        assert!(!chain.pem().contains("PRIVATE"), "{fault:?}");
    }
}

#[tokio::test]
async fn renewal_windows_are_read_as_commanded() {
    let stage = Stage::set().await;
    let issuer = stage.issuer();
    let issued = issue(&issuer, &stage.responder, &order_for(NAME)).await;
    let ari_id = issued.facts.ari_id.unwrap();
    let now = WallClock.now();
    let (start, end) = (now + Span::from_secs(1000), now + Span::from_secs(2000));
    let set = |start, end, retry_after: Option<&str>| {
        let explanation_url = Some("https://ca.example/why".to_owned());
        let windows = [(ari_id.clone(), Window { start, end, explanation_url })].into();
        let retry_after = retry_after.map(ToOwned::to_owned);
        stage.ca.adjust(|knobs| knobs.ari = Ari::On { windows, retry_after });
    };
    set(start, end, Some("3600"));
    let info = issuer.renewal_info(&ari_id).await.unwrap().unwrap();
    assert_eq!((info.start.secs(), info.end.secs()), (start.secs(), end.secs()));
    assert_eq!(info.retry_after, Span::from_secs(3600));
    assert_eq!(info.explanation_url.as_deref(), Some("https://ca.example/why"));
    set(start, end, None);
    let info = issuer.renewal_info(&ari_id).await.unwrap().unwrap();
    assert_eq!(info.retry_after, Span::from_secs(6 * 3600), "without Retry-After");
    set(end, start, Some("3600"));
    let reversed = issuer.renewal_info(&ari_id).await;
    assert!(matches!(reversed, Err(IssueError::Protocol { .. })), "{reversed:?}");
    let unknown = issuer.renewal_info("AAAA.AAAA").await;
    assert!(matches!(unknown, Err(IssueError::OrderGone { .. })), "{unknown:?}");
}

#[tokio::test]
async fn without_renewal_information_there_is_none_and_nothing_is_replaced() {
    let stage = Stage::set().await;
    stage.ca.adjust(|knobs| knobs.ari = Ari::Off);
    let issuer = stage.issuer();
    let mut request = order_for(NAME);
    let issued = issue(&issuer, &stage.responder, &request).await;
    let ari_id = issued.facts.ari_id.unwrap();
    assert_eq!(issuer.renewal_info(&ari_id).await.unwrap(), None);
    request.replaces = Some(ari_id);
    issue(&issuer, &stage.responder, &request).await;
    let journal = stage.ca.journal();
    assert!(journal.visits().all(|visit| visit.replaces.is_none()));
    assert_eq!(journal.orders_for(NAME), 2);
}

#[tokio::test]
async fn a_renewal_says_what_it_replaces() {
    let stage = Stage::set().await;
    let issuer = stage.issuer();
    let mut request = order_for(NAME);
    let issued = issue(&issuer, &stage.responder, &request).await;
    request.replaces.clone_from(&issued.facts.ari_id);
    issuer.place_order(&request).await.unwrap();
    let journal = stage.ca.journal();
    let replaced = journal.visits().filter_map(|visit| visit.replaces.as_deref());
    assert_eq!(replaced.collect::<Vec<_>>(), [request.replaces.as_deref().unwrap()]);
}

#[tokio::test]
async fn a_validation_that_never_ends_is_neither_a_failure_nor_answered_twice() {
    let stage = Stage::set().await;
    let issuer = stage.issuer();
    stage.ca.adjust(|knobs| {
        knobs.validations.insert(NAME.to_owned(), Validation::Hangs);
    });
    let url = issuer.place_order(&order_for(NAME)).await.unwrap();
    let view = issuer.observe(&url).await.unwrap();
    stage.responder.publish(&view.challenge.unwrap());
    issuer.answer(&url).await.unwrap();
    for _ in 0..3 {
        let view = issuer.observe(&url).await.unwrap();
        assert_eq!((view.status, view.failure), (OrderStatus::Pending, None));
        assert!(view.challenge.unwrap().processing);
        issuer.answer(&url).await.unwrap();
    }
}
