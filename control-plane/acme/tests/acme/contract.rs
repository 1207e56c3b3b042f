//! What holds for every CA.

use sealwax_core::issuer::{IssueError, Issuer as _, OrderStatus};
use sealwax_core::{Cause, Clock as _};

use crate::ca::{Ca, Demands, HMAC_KEY, SHORT_PROFILE, SHORT_VALIDITY, binding};
use crate::drive::{
    challenge_of, collect, is_misconfigured, issue, key_and_request, order_for, ready_order,
    until_status,
};
use crate::parts::{AccountStore, WallClock};

/// Holds the contract against Pebble and against the CA in this process.
macro_rules! contract {
    ($($name:ident: $demands:expr;)*) => {
        mod pebble {
            use super::*;
            $(#[tokio::test] async fn $name() { super::$name(Ca::pebble($demands).await).await; })*
        }
        mod fake {
            use super::*;
            $(#[tokio::test] async fn $name() { super::$name(Ca::fake($demands).await).await; })*
        }
    };
}

contract! {
    a_domain_is_issued_watched_and_revoked: Demands::default();
    half_of_all_nonces_refused_change_nothing:
        Demands { nonces_refused_percent: 50, ..Demands::default() };
    an_order_is_resumed_by_another_replica_in_every_status: Demands::default();
    replicas_end_with_one_account: Demands::default();
    an_authorization_that_is_still_valid_makes_the_order_ready_at_once:
        Demands { reuse_authorizations: true, ..Demands::default() };
    what_an_order_proved_can_be_given_up:
        Demands { reuse_authorizations: true, ..Demands::default() };
    a_wrong_answer_fails_the_order_with_its_cause: Demands::default();
    a_renewal_replaces_and_a_second_one_does_without: Demands::default();
    a_profile_is_honoured_and_an_unknown_one_is_told_from_a_closed_account: Demands::default();
    an_external_account_binding_is_needed_and_checked:
        Demands { external_account: true, ..Demands::default() };
    an_account_gets_another_key_and_goes_on_with_its_orders: Demands::default();
    what_does_not_exist_is_gone: Demands::default();
    a_signing_request_for_another_name_is_refused_as_our_fault: Demands::default();
    an_order_that_is_not_ready_is_not_finalized: Demands::default();
}

async fn a_domain_is_issued_watched_and_revoked(ca: Ca) {
    let issuer = ca.issuer();
    assert_eq!(issuer.name(), "ca-1");
    let issued = issue(&issuer, &ca.responder, &order_for("shop.example.com")).await;
    assert_eq!(issued.facts.sans, ["shop.example.com"]);

    let ari_id = issued.facts.ari_id.as_deref().expect("the leaf names its issuer's key");
    let info = issuer.renewal_info(ari_id).await.unwrap().expect("both CAs have ARI");
    assert!(info.start < info.end && info.end <= issued.facts.not_after, "{info:?}");
    assert!(info.start > issued.facts.not_before, "{info:?}");
    assert!(info.retry_after.secs() >= 60, "{info:?}");

    let leaf_der = issued.chain.leaf_der().unwrap();
    issuer.revoke(&leaf_der).await.unwrap();
    issuer.revoke(&leaf_der).await.expect("what is revoked already is as wanted");
    let info = issuer.renewal_info(ari_id).await.unwrap().unwrap();
    assert!(info.end <= WallClock.now(), "a revoked certificate is to be replaced now: {info:?}");
}

async fn half_of_all_nonces_refused_change_nothing(ca: Ca) {
    let issuer = ca.issuer();
    for number in 0..5 {
        let name = format!("n{number}.example.com");
        issue(&issuer, &ca.responder, &order_for(&name)).await;
    }
}

/// Every step by an issuer that has never seen the order, as after a crash.
async fn an_order_is_resumed_by_another_replica_in_every_status(ca: Ca) {
    let store = AccountStore::shared();
    let replica = || ca.issuer_with(ca.settings(), &store);
    let request = order_for("resumed.example.com");
    let url = replica().place_order(&request).await.unwrap();

    let challenge = challenge_of(&replica(), &url).await;
    assert_eq!(challenge, challenge_of(&replica(), &url).await);
    assert!(!challenge.processing);
    assert!(challenge.key_authorization.starts_with(challenge.token.as_str()));
    ca.responder.publish(&challenge);
    replica().answer(&url).await.unwrap();
    // Once more, wherever the CA is by now.
    replica().answer(&url).await.unwrap();

    until_status(&replica(), &url, OrderStatus::Ready).await;
    replica().answer(&url).await.expect("a ready order needs no answer");
    let early = replica().download(&url).await;
    assert!(matches!(early, Err(IssueError::Retry { .. })), "{early:?}");

    let (key, csr_der) = key_and_request(&request.domain);
    replica().finalize(&url, &csr_der).await.unwrap();
    replica().finalize(&url, &csr_der).await.expect("it is finalized: nothing to do");
    until_status(&replica(), &url, OrderStatus::Valid).await;
    replica().finalize(&url, &csr_der).await.expect("it is valid: nothing to do");
    replica().answer(&url).await.expect("a valid order needs no answer");
    collect(&replica(), &url, &request.domain, &key).await;
    // A download that was lost is repeated.
    collect(&replica(), &url, &request.domain, &key).await;
}

async fn replicas_end_with_one_account(ca: Ca) {
    let store = AccountStore::shared();
    let replica = || ca.issuer_with(ca.settings(), &store);
    let (one, two) = (replica(), replica());
    let (first, second) = tokio::join!(one.account_url(), two.account_url());
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first, second);
    assert_eq!(replica().account_url().await.unwrap(), first, "kept over a restart");
    let sealed = store.kept("ca-1").unwrap();
    let text = String::from_utf8_lossy(sealed.as_bytes());
    assert!(!text.contains("key_pkcs8"), "credentials are kept sealed");

    let elsewhere = ca.issuer();
    assert_ne!(elsewhere.account_url().await.unwrap(), first, "another store, another account");
}

async fn an_authorization_that_is_still_valid_makes_the_order_ready_at_once(ca: Ca) {
    let issuer = ca.issuer();
    let request = order_for("again.example.com");
    issue(&issuer, &ca.responder, &request).await;
    let url = issuer.place_order(&request).await.unwrap();
    let view = issuer.observe(&url).await.unwrap();
    assert_eq!((view.status, view.challenge), (OrderStatus::Ready, None));
    let (key, csr_der) = key_and_request(&request.domain);
    issuer.finalize(&url, &csr_der).await.unwrap();
    collect(&issuer, &url, &request.domain, &key).await;
}

async fn what_an_order_proved_can_be_given_up(ca: Ca) {
    let issuer = ca.issuer();
    let request = order_for("tried.example.com");
    let url = ready_order(&issuer, &ca.responder, &request).await;
    issuer.relinquish(&url).await.unwrap();
    // Once more, as after a crash.
    issuer.relinquish(&url).await.unwrap();
    let url = issuer.place_order(&request).await.unwrap();
    assert!(!challenge_of(&issuer, &url).await.processing, "the next one is validated anew");
}

async fn a_wrong_answer_fails_the_order_with_its_cause(ca: Ca) {
    let issuer = ca.issuer();
    let url = issuer.place_order(&order_for("wrong.example.com")).await.unwrap();
    let challenge = challenge_of(&issuer, &url).await;
    ca.responder.publish_text(&challenge, "welcome to another server");
    issuer.answer(&url).await.unwrap();
    let view = until_status(&issuer, &url, OrderStatus::Invalid).await;
    let failure = view.failure.expect("an invalid order says why");
    assert_eq!(failure.cause, Cause::ChallengeWrong, "{failure:?}");
    assert!(!failure.detail.is_empty());
    let (_, csr_der) = key_and_request(&order_for("wrong.example.com").domain);
    let refused = issuer.finalize(&url, &csr_der).await;
    assert!(refused.is_err(), "a failed order is not finalized");
}

async fn a_renewal_replaces_and_a_second_one_does_without(ca: Ca) {
    let issuer = ca.issuer();
    let mut request = order_for("renewed.example.com");
    let first = issue(&issuer, &ca.responder, &request).await;
    request.replaces.clone_from(&first.facts.ari_id);
    let second = issue(&issuer, &ca.responder, &request).await;
    assert_ne!(first.facts.serial, second.facts.serial);
    // The CA objects (`alreadyReplaced`), and the certificate is needed all the same.
    let third = issue(&issuer, &ca.responder, &request).await;
    assert_ne!(second.facts.serial, third.facts.serial);
    // Nor does one that the CA never issued stand in the way.
    request.replaces = Some("AAAAAAAAAAAAAAAAAAAAAAAAAAA.AIdlQyE".to_owned());
    issue(&issuer, &ca.responder, &request).await;
}

async fn a_profile_is_honoured_and_an_unknown_one_is_told_from_a_closed_account(ca: Ca) {
    let mut settings = ca.settings();
    settings.profile = Some(SHORT_PROFILE.to_owned());
    let issuer = ca.issuer_with(settings, &AccountStore::shared());
    let mut request = order_for("short.example.com");
    let issued = issue(&issuer, &ca.responder, &request).await;
    let lifetime = issued.facts.lifetime();
    assert!(lifetime <= SHORT_VALIDITY, "{lifetime:?}");
    request.profile = Some("default".to_owned());
    let issued = issue(&issuer, &ca.responder, &request).await;
    assert!(
        issued.facts.lifetime() > SHORT_VALIDITY,
        "a domain's profile goes before the issuer's"
    );
    request.profile = Some("no-such-profile".to_owned());
    let refused = issuer.place_order(&request).await;
    assert!(matches!(refused, Err(IssueError::ProfileRefused { .. })), "{refused:?}");
}

async fn an_external_account_binding_is_needed_and_checked(ca: Ca) {
    let with = |binding| {
        let mut settings = ca.settings();
        settings.eab = binding;
        ca.issuer_with(settings, &AccountStore::shared())
    };
    let without = with(None).place_order(&order_for("eab.example.com")).await;
    assert!(is_misconfigured(&without), "{without:?}");
    let wrong = with(binding("d3Jvbmc")).place_order(&order_for("eab.example.com")).await;
    assert!(is_misconfigured(&wrong), "{wrong:?}");
    issue(&with(binding(HMAC_KEY)), &ca.responder, &order_for("eab.example.com")).await;
}

async fn what_does_not_exist_is_gone(ca: Ca) {
    let issuer = ca.issuer();
    let url = issuer.place_order(&order_for("gone.example.com")).await.unwrap();
    let (base, _) = url.rsplit_once('/').unwrap();
    let nowhere = format!("{base}/999999999");
    let seen = issuer.observe(&nowhere).await;
    assert!(matches!(seen, Err(IssueError::OrderGone { .. })), "{seen:?}");
    let fetched = issuer.download(&nowhere).await;
    assert!(matches!(fetched, Err(IssueError::OrderGone { .. })), "{fetched:?}");
}

async fn a_signing_request_for_another_name_is_refused_as_our_fault(ca: Ca) {
    let issuer = ca.issuer();
    let url = ready_order(&issuer, &ca.responder, &order_for("mine.example.com")).await;
    let (_, csr_der) = key_and_request(&order_for("other.example.com").domain);
    let refused = issuer.finalize(&url, &csr_der).await;
    assert!(matches!(refused, Err(IssueError::Protocol { .. })), "{refused:?}");
}

async fn an_order_that_is_not_ready_is_not_finalized(ca: Ca) {
    let issuer = ca.issuer();
    let request = order_for("early.example.com");
    let url = issuer.place_order(&request).await.unwrap();
    let (_, csr_der) = key_and_request(&request.domain);
    let early = issuer.finalize(&url, &csr_der).await;
    assert!(matches!(early, Err(IssueError::Retry { .. })), "{early:?}");
}

async fn an_account_gets_another_key_and_goes_on_with_its_orders(ca: Ca) {
    let store = AccountStore::shared();
    let [one, two] = [(); 2].map(|()| ca.issuer_with(ca.settings(), &store));
    let account = one.account_url().await.unwrap();
    // Both know the account by its first key, and have an order.
    let request = order_for("shop.example.com");
    let order = ready_order(&two, &ca.responder, &request).await;
    let before = store.kept("ca-1");
    assert_eq!(one.roll_over(&*store).await.unwrap(), account);
    assert_ne!(store.kept("ca-1"), before);
    // The one that did it, one that was there, and one that comes later.
    issue(&one, &ca.responder, &order_for("one.example.com")).await;
    let (key, csr_der) = key_and_request(&request.domain);
    two.finalize(&order, &csr_der).await.unwrap();
    collect(&two, &order, &request.domain, &key).await;
    let late = ca.issuer_with(ca.settings(), &store);
    issue(&late, &ca.responder, &order_for("late.example.com")).await;
    for issuer in [one, two, late] {
        assert_eq!(issuer.account_url().await.unwrap(), account);
        assert_eq!(issuer.update_contact().await.unwrap(), account);
    }
}
