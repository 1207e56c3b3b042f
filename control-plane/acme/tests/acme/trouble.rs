//! Replies that get lost, limits, outages, and what else a CA in trouble does.

use sealwax_acme::IssuerSettings;
use sealwax_core::issuer::{IssueError, Issuer as _, LimitScope, OrderStatus};
use sealwax_core::{Clock as _, Span};
use sealwax_fake_acme::{ChainFault, Endpoint, FaultKind, Problem, Validation};

use crate::drive::{
    challenge_of, collect, issue, key_and_request, order_for, ready_order, until_status,
};
use crate::parts::WallClock;
use crate::stage::{NAME, Stage, page};

#[tokio::test]
async fn a_lost_reply_to_a_new_order_is_an_unknown_outcome_and_is_not_repeated() {
    let stage = Stage::set().await;
    let issuer = stage.issuer();
    stage.fail(Endpoint::NewOrder, FaultKind::LoseReply);
    let lost = issuer.place_order(&order_for(NAME)).await;
    assert!(matches!(lost, Err(IssueError::UnknownOutcome { .. })), "{lost:?}");
    assert_eq!(stage.ca.journal().orders_for(NAME), 1, "it was placed, once");
}

#[tokio::test]
async fn an_order_whose_answer_is_damaged_is_known_by_its_location() {
    let stage = Stage::set().await;
    let issuer = stage.issuer();
    stage.fail(Endpoint::NewOrder, FaultKind::Garble);
    let url = issuer.place_order(&order_for(NAME)).await.unwrap();
    challenge_of(&issuer, &url).await;
    assert_eq!(stage.ca.journal().orders_for(NAME), 1);
}

#[tokio::test]
async fn a_lost_reply_to_finalize_is_found_done_by_looking() {
    for kind in [FaultKind::LoseReply, FaultKind::Garble] {
        let stage = Stage::set().await;
        let issuer = stage.issuer();
        let request = order_for(NAME);
        let url = ready_order(&issuer, &stage.responder, &request).await;
        let (key, csr_der) = key_and_request(&request.domain);
        stage.fail(Endpoint::Finalize, kind);
        let lost = issuer.finalize(&url, &csr_der).await;
        assert!(matches!(lost, Err(IssueError::UnknownOutcome { .. })), "{lost:?}");
        collect(&issuer, &url, &request.domain, &key).await;
        assert_eq!(stage.ca.certificates_for(NAME), 1);
    }
}

#[tokio::test]
async fn a_lost_reply_to_an_answered_challenge_is_found_done_by_looking() {
    let stage = Stage::set().await;
    let issuer = stage.issuer();
    let url = issuer.place_order(&order_for(NAME)).await.unwrap();
    stage.responder.publish(&challenge_of(&issuer, &url).await);
    stage.fail(Endpoint::Challenge, FaultKind::LoseReply);
    let lost = issuer.answer(&url).await;
    assert!(matches!(lost, Err(IssueError::UnknownOutcome { .. })), "{lost:?}");
    until_status(&issuer, &url, OrderStatus::Ready).await;
}

#[tokio::test]
async fn a_look_that_is_lost_is_simply_repeated() {
    let stage = Stage::set().await;
    let issuer = stage.issuer();
    let url = issuer.place_order(&order_for(NAME)).await.unwrap();
    for endpoint in [Endpoint::Order, Endpoint::Authorization] {
        for kind in [FaultKind::Drop, FaultKind::LoseReply] {
            stage.fail(endpoint, kind);
            let lost = issuer.observe(&url).await;
            assert!(matches!(lost, Err(IssueError::Retry { .. })), "{endpoint:?}: {lost:?}");
            challenge_of(&issuer, &url).await;
        }
    }
}

#[tokio::test]
async fn a_limits_retry_after_is_kept_with_its_scope() {
    let stage = Stage::set().await;
    let issuer = stage.issuer();
    for (detail, expected) in [
        ("too many new orders (300) from this account in the last 3h0m0s", LimitScope::Account),
        (
            "too many certificates (50) already issued for \"example.com\"",
            LimitScope::RegisteredDomain,
        ),
        ("too many failed authorizations (5) for \"shop.example.com\"", LimitScope::Name),
    ] {
        let problem = Problem::new(429, "rateLimited", detail).retry_after("7200");
        stage.fail(Endpoint::NewOrder, FaultKind::Problem(problem));
        let before = WallClock.now();
        let limited = issuer.place_order(&order_for(NAME)).await.unwrap_err();
        let IssueError::RateLimited { until, scope, .. } = limited else { panic!("{limited}") };
        assert_eq!(scope, expected, "{detail}");
        assert!(until >= before + Span::from_secs(7200), "{until}");
        assert!(until <= WallClock.now() + Span::from_secs(7200), "{until}");
    }
    assert_eq!(stage.ca.journal().orders_for(NAME), 0);
}

#[tokio::test]
async fn a_retry_after_that_is_a_date_counts_from_now() {
    let stage = Stage::set().await;
    let issuer = stage.issuer();
    // Longer than anyone is made to wait: the cap shows that the date was read.
    stage.fail(Endpoint::NewOrder, page(503, Some("Tue, 31 Dec 2199 23:59:59 GMT")));
    let busy = issuer.place_order(&order_for(NAME)).await.unwrap_err();
    let IssueError::Retry { after, .. } = busy else { panic!("{busy}") };
    assert_eq!(after.unwrap().secs(), 8 * 86_400);
    stage.fail(Endpoint::NewOrder, page(503, Some("Fri, 31 Dec 1999 23:59:59 GMT")));
    let busy = issuer.place_order(&order_for(NAME)).await.unwrap_err();
    // Past, or now: never without a pause.
    let a_second = Some(Span::from_secs(1));
    assert!(matches!(busy, IssueError::Retry { after, .. } if after == a_second), "{busy:?}");
    stage.fail(Endpoint::NewOrder, page(503, Some("0")));
    let busy = issuer.place_order(&order_for(NAME)).await.unwrap_err();
    assert!(matches!(busy, IssueError::Retry { after, .. } if after == a_second), "{busy:?}");
}

#[tokio::test]
async fn a_gateways_page_is_tried_again_when_it_says() {
    let stage = Stage::set().await;
    let issuer = stage.issuer();
    let url = issuer.place_order(&order_for(NAME)).await.unwrap();
    for status in [500, 502, 503, 504] {
        stage.fail(Endpoint::Order, page(status, Some("17")));
        let busy = issuer.observe(&url).await.unwrap_err();
        let IssueError::Retry { after, .. } = busy else { panic!("{status}: {busy}") };
        assert_eq!(after, Some(Span::from_secs(17)), "{status}");
    }
    stage.fail(Endpoint::NewOrder, page(502, None));
    let busy = issuer.place_order(&order_for(NAME)).await;
    assert!(matches!(busy, Err(IssueError::Retry { after: None, .. })), "{busy:?}");
    stage.fail(Endpoint::NewOrder, page(504, None));
    let unknown = issuer.place_order(&order_for(NAME)).await;
    assert!(matches!(unknown, Err(IssueError::UnknownOutcome { .. })), "{unknown:?}");
}

#[tokio::test]
async fn silence_is_bounded() {
    let stage = Stage::set().await;
    let url = stage.issuer().place_order(&order_for(NAME)).await.unwrap();
    let issuer = stage.impatient();
    issuer.observe(&url).await.unwrap();
    stage.ca.adjust(|knobs| knobs.outage = Some(FaultKind::Silence));
    let silent = issuer.observe(&url).await;
    assert!(matches!(silent, Err(IssueError::Retry { .. })), "{silent:?}");
    stage.ca.adjust(|knobs| knobs.outage = None);
    stage.fail(Endpoint::NewOrder, FaultKind::Silence);
    let silent = issuer.place_order(&order_for(NAME)).await;
    assert!(matches!(silent, Err(IssueError::UnknownOutcome { .. })), "{silent:?}");
    issuer.observe(&url).await.expect("it goes on when the CA does");
}

#[tokio::test]
async fn an_outage_from_the_start_is_survived() {
    let stage = Stage::set().await;
    let issuer = stage.issuer();
    stage.ca.adjust(|knobs| knobs.outage = Some(FaultKind::Drop));
    let down = issuer.place_order(&order_for(NAME)).await;
    assert!(matches!(down, Err(IssueError::Retry { .. })), "{down:?}");
    stage.ca.adjust(|knobs| knobs.outage = None);
    issue(&issuer, &stage.responder, &order_for(NAME)).await;

    let address = stage.ca.address();
    let nobody = stage.issuer_with(IssuerSettings::new("gone", stage.ca.directory()));
    drop(stage.ca);
    let refused = nobody.place_order(&order_for(NAME)).await;
    assert!(matches!(refused, Err(IssueError::Retry { .. })), "{address}: {refused:?}");
}

#[tokio::test]
async fn nonces_that_are_all_refused_end_in_a_bounded_number_of_requests() {
    let stage = Stage::set().await;
    let issuer = stage.issuer();
    issuer.account_url().await.unwrap();
    stage.ca.adjust(|knobs| knobs.nonces_refused_percent = 100);
    let refused = issuer.place_order(&order_for(NAME)).await;
    assert!(matches!(refused, Err(IssueError::Retry { .. })), "{refused:?}");
    let attempts = stage.ca.journal().count(Endpoint::NewOrder);
    assert!((2..=40).contains(&attempts), "{attempts} attempts");
}

#[tokio::test]
async fn an_order_stuck_in_processing_is_seen_so_for_as_long_as_it_is() {
    let stage = Stage::set().await;
    let issuer = stage.issuer();
    stage.ca.adjust(|knobs| {
        knobs.processing_looks = u32::MAX;
        knobs.order_retry_after = Some("9".to_owned());
    });
    let request = order_for(NAME);
    let url = ready_order(&issuer, &stage.responder, &request).await;
    let (_, csr_der) = key_and_request(&request.domain);
    issuer.finalize(&url, &csr_der).await.unwrap();
    for _ in 0..20 {
        let view = issuer.observe(&url).await.unwrap();
        assert_eq!(view.status, OrderStatus::Processing);
        assert_eq!(view.retry_after, Some(Span::from_secs(9)));
        let early = issuer.download(&url).await;
        assert!(matches!(early, Err(IssueError::Retry { .. })), "{early:?}");
        issuer.finalize(&url, &csr_der).await.expect("it is finalized");
    }
    assert_eq!(stage.ca.journal().count(Endpoint::Finalize), 1);
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    let stage = Stage::set().await;
    let issuer = stage.issuer();
    stage.ca.adjust(|knobs| knobs.chain = ChainFault::Huge);
    let request = order_for(NAME);
    let url = ready_order(&issuer, &stage.responder, &request).await;
    let (_, csr_der) = key_and_request(&request.domain);
    issuer.finalize(&url, &csr_der).await.unwrap();
    until_status(&issuer, &url, OrderStatus::Valid).await;
    let error = issuer.download(&url).await.unwrap_err();
    assert!(error.to_string().contains("length limit exceeded"), "{error}");
}

/// The figure the CA's request limits are divided by: what one certificate costs when nothing has
/// to be waited for. No request is spent on nonces.
#[tokio::test]
async fn a_certificate_costs_eight_requests() {
    let stage = Stage::set().await;
    let issuer = stage.issuer();
    issue(&issuer, &stage.responder, &order_for("first.example.com")).await;
    stage.ca.adjust(|knobs| {
        knobs.validations.insert(NAME.to_owned(), Validation::Passes);
    });
    let before = stage.ca.journal().visits().count();
    issue(&issuer, &stage.responder, &order_for(NAME)).await;
    let journal = stage.ca.journal();
    let spent: Vec<Endpoint> = journal.visits().skip(before).map(|visit| visit.endpoint).collect();
    assert_eq!(
        spent,
        [
            Endpoint::NewOrder,
            Endpoint::Order,
            Endpoint::Authorization,
            Endpoint::Challenge,
            Endpoint::Order,
            Endpoint::Finalize,
            Endpoint::Order,
            Endpoint::Certificate,
        ]
    );
}
