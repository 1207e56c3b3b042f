//! Accounts that the CA forgot, closed, or that are given up.

use sealwax_core::issuer::{IssueError, Issuer as _};
use sealwax_fake_acme::{Endpoint, FaultKind, Problem};

use crate::ca::{HMAC_KEY, KID, binding};
use crate::drive::{is_misconfigured, issue, order_for};
use crate::stage::{NAME, Stage};

#[tokio::test]
async fn a_forgotten_account_is_registered_again_with_its_key() {
    let stage = Stage::set().await;
    let (issuer, replica) = (stage.issuer(), stage.issuer());
    let before = issuer.account_url().await.unwrap();
    replica.account_url().await.unwrap();
    let lost = issuer.place_order(&order_for("lost.example.com")).await.unwrap();
    stage.ca.forget_accounts();
    stage.ca.forget_orders();

    let (for_one, for_two) = (order_for(NAME), order_for("two.example.com"));
    let (one, two) = tokio::join!(
        issue(&issuer, &stage.responder, &for_one),
        issue(&replica, &stage.responder, &for_two),
    );
    assert_ne!(one.facts.serial, two.facts.serial);
    assert_eq!(stage.ca.accounts(), 1, "both replicas go on with the same account");
    let now = issuer.account_url().await.unwrap();
    assert_ne!(now, before);
    assert_eq!(replica.account_url().await.unwrap(), now);
    assert_eq!(stage.issuer().account_url().await.unwrap(), now, "it is kept");
    assert_eq!(issuer.registrations() + replica.registrations(), 1, "told once");
    let gone = issuer.observe(&lost).await;
    assert!(matches!(gone, Err(IssueError::OrderGone { .. })), "{gone:?}");
}

#[tokio::test]
async fn an_order_of_the_account_before_is_gone_and_stops_nobody() {
    let stage = Stage::set().await;
    let issuer = stage.issuer();
    let url = issuer.place_order(&order_for(NAME)).await.unwrap();
    stage.ca.forget_accounts();
    // The order is there still, and another account's.
    let gone = issuer.observe(&url).await;
    assert!(matches!(gone, Err(IssueError::OrderGone { .. })), "{gone:?}");
    issue(&issuer, &stage.responder, &order_for(NAME)).await;
}

#[tokio::test]
async fn each_way_to_say_that_there_is_no_account_is_understood() {
    for (status, kind, detail) in [
        (500, "serverInternal", "not found"),
        (400, "malformed", "account not found"),
        (404, "malformed", "Unknown account"),
        (401, "unauthorized", "who are you?"),
        (500, "", "JWK does not exist"),
    ] {
        let stage = Stage::set().await;
        let issuer = stage.issuer();
        issuer.account_url().await.unwrap();
        stage.ca.forget_accounts();
        stage.ca.adjust(|knobs| knobs.unknown_account = Problem::new(status, kind, detail));
        issuer.place_order(&order_for(NAME)).await.expect(detail);
        assert_eq!(issuer.registrations(), 1, "{detail}");
    }
}

#[tokio::test]
async fn a_renewal_does_not_hide_that_the_account_is_lost() {
    let stage = Stage::set().await;
    let issuer = stage.issuer();
    let mut request = order_for(NAME);
    request.replaces = issue(&issuer, &stage.responder, &request).await.facts.ari_id;
    stage.ca.forget_accounts();
    issuer.place_order(&request).await.unwrap();
    assert_eq!(issuer.registrations(), 1);
    assert_eq!(stage.ca.journal().orders_for(NAME), 2, "one order, and no more");
}

#[tokio::test]
async fn a_key_that_is_refused_is_replaced_with_a_new_one() {
    let stage = Stage::set().await;
    let issuer = stage.issuer();
    issuer.account_url().await.unwrap();
    let before = stage.store.kept("ca-1").unwrap();
    stage.ca.forget_accounts();
    stage.ca.adjust(|knobs| {
        knobs.forgotten_key = Some(Problem::new(400, "badPublicKey", "known and not wanted"));
    });
    issue(&issuer, &stage.responder, &order_for(NAME)).await;
    assert_eq!(stage.ca.accounts(), 1);
    assert_ne!(stage.store.kept("ca-1").unwrap(), before);
    issue(&stage.issuer(), &stage.responder, &order_for("two.example.com")).await;
    assert_eq!(stage.ca.accounts(), 1, "the new one is kept");
}

#[tokio::test]
async fn an_account_is_bound_again_to_the_external_one() {
    let stage = Stage::set().await;
    let hmac_key = {
        use base64::Engine as _;
        base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(HMAC_KEY).unwrap()
    };
    stage.ca.adjust(|knobs| {
        let kid = KID.to_owned();
        knobs.external_account = Some(sealwax_fake_acme::ExternalAccount { kid, hmac_key });
    });
    let mut settings = sealwax_acme::IssuerSettings::new("ca-1", stage.ca.directory());
    settings.eab = binding(HMAC_KEY);
    settings.contact = Some("ops@example.com".to_owned());
    let issuer = stage.issuer_with(settings);
    issuer.account_url().await.unwrap();
    stage.ca.forget_accounts();
    stage.ca.adjust(|knobs| knobs.forgotten_key = None);
    issuer.place_order(&order_for(NAME)).await.unwrap();
    assert_eq!(stage.ca.contacts(), [vec!["mailto:ops@example.com".to_owned()]]);
}

#[tokio::test]
async fn a_closed_account_is_told_as_what_it_is_and_a_reset_helps() {
    let stage = Stage::set().await;
    let (issuer, replica) = (stage.issuer(), stage.issuer());
    issue(&issuer, &stage.responder, &order_for(NAME)).await;
    replica.account_url().await.unwrap();
    stage.ca.deactivate_accounts();
    let refused = issuer.place_order(&order_for(NAME)).await;
    assert!(is_misconfigured(&refused), "{refused:?}");
    let said = refused.unwrap_err().to_string();
    assert!(said.contains("deactivated") && said.contains("account reset ca-1"), "{said}");
    assert_eq!(stage.ca.accounts(), 1, "somebody closed it on purpose");

    let now = issuer.reset_account().await.unwrap();
    assert_eq!(stage.ca.accounts(), 2);
    issue(&issuer, &stage.responder, &order_for(NAME)).await;
    issue(&replica, &stage.responder, &order_for("two.example.com")).await;
    assert_eq!(replica.account_url().await.unwrap(), now, "the others follow");
}

#[tokio::test]
async fn an_account_can_be_reset_before_there_is_one() {
    let stage = Stage::set().await;
    let made = stage.issuer().reset_account().await.unwrap();
    assert_eq!(stage.issuer().account_url().await.unwrap(), made);
}

#[tokio::test]
async fn a_ca_in_trouble_keeps_its_account() {
    let stage = Stage::set().await;
    let issuer = stage.issuer();
    issuer.account_url().await.unwrap();
    stage.ca.adjust(|knobs| {
        let trouble = Problem::new(500, "serverInternal", "database: host not found");
        knobs.fail(Endpoint::NewOrder, 2, FaultKind::Problem(trouble));
    });
    for _ in 0..2 {
        let busy = issuer.place_order(&order_for("busy.example.com")).await;
        assert!(matches!(busy, Err(IssueError::Retry { .. })), "{busy:?}");
    }
    let asked = stage.ca.journal().count(Endpoint::NewAccount);
    assert_eq!(asked, 2, "made once, asked for once");
    assert_eq!(issuer.registrations(), 0);
}

#[tokio::test]
async fn a_ca_that_forgets_again_and_again_gets_no_account_for_each_request() {
    let stage = Stage::set().await;
    let issuer = stage.issuer();
    issuer.account_url().await.unwrap();
    stage.ca.adjust(|knobs| {
        knobs.forgotten_key = Some(Problem::new(400, "badPublicKey", "known and not wanted"));
    });
    for _ in 0..5 {
        stage.ca.forget_accounts();
        drop(issuer.place_order(&order_for(NAME)).await);
    }
    assert_eq!(issuer.registrations(), 1);
}

#[tokio::test]
async fn a_ca_that_answers_no_question_about_the_account_is_asked_once_a_minute() {
    let stage = Stage::set().await;
    let issuer = stage.issuer();
    issuer.account_url().await.unwrap();
    let asked = || stage.ca.journal().count(Endpoint::NewAccount);
    let before = asked();
    stage.ca.adjust(|knobs| {
        let trouble = || FaultKind::Problem(Problem::new(500, "serverInternal", "not found"));
        knobs.fail(Endpoint::NewOrder, 5, trouble());
        let terms = Problem::new(403, "userActionRequired", "the terms have changed");
        knobs.fail(Endpoint::NewAccount, 5, FaultKind::Problem(terms));
    });
    for _ in 0..5 {
        let busy = issuer.place_order(&order_for(NAME)).await;
        assert!(matches!(busy, Err(IssueError::Retry { .. })), "{busy:?}");
    }
    assert_eq!((asked() - before, issuer.registrations()), (1, 0));
}
