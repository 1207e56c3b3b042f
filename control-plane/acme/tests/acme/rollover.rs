//! A new key for the account, and whatever cuts it short.

use sealwax_acme::IssuerSettings;
use sealwax_core::issuer::{IssueError, Issuer as _};
use sealwax_fake_acme::{Endpoint, FaultKind};

use crate::drive::order_for;
use crate::stage::{NAME, Stage, page};

/// Whoever loads the account now can use it, and it is the one there was.
async fn usable(stage: &Stage, account: &str) {
    let issuer = stage.issuer();
    assert_eq!(issuer.account_url().await.unwrap(), account);
    issuer.place_order(&order_for(NAME)).await.unwrap();
    assert_eq!(stage.ca.accounts(), 1);
}

#[tokio::test]
async fn a_lost_reply_is_found_done_by_looking() {
    let stage = Stage::set().await;
    let issuer = stage.issuer();
    let account = issuer.account_url().await.unwrap();
    stage.fail(Endpoint::KeyChange, FaultKind::LoseReply);
    assert_eq!(issuer.roll_over(&*stage.store).await.unwrap(), account);
    assert_eq!(stage.ca.journal().count(Endpoint::KeyChange), 1, "it is not repeated");
    usable(&stage, &account).await;
}

#[tokio::test]
async fn a_refusal_leaves_the_old_key_and_the_next_try_goes_on() {
    for kind in [page(503, None), page(403, None)] {
        let stage = Stage::set().await;
        let issuer = stage.issuer();
        let account = issuer.account_url().await.unwrap();
        stage.fail(Endpoint::KeyChange, kind.clone());
        assert!(issuer.roll_over(&*stage.store).await.is_err(), "{kind:?}");
        usable(&stage, &account).await;
        issuer.place_order(&order_for("one.example.com")).await.unwrap();
        assert_eq!(issuer.roll_over(&*stage.store).await.unwrap(), account, "{kind:?}");
        usable(&stage, &account).await;
    }
}

#[tokio::test]
async fn a_process_that_dies_before_or_after_the_ca_knows_leaves_a_usable_account() {
    // Its first write fails: the CA was told nothing. Its second: the CA knows the new key alone.
    for (refused, told) in [(1, 0), (2, 1)] {
        let stage = Stage::set().await;
        let issuer = stage.issuer();
        let account = issuer.account_url().await.unwrap();
        stage.store.refuse(refused);
        let cut = issuer.roll_over(&*stage.store).await;
        assert!(matches!(cut, Err(IssueError::Retry { .. })), "{cut:?}");
        assert_eq!(stage.ca.journal().count(Endpoint::KeyChange), told);
        drop(issuer);
        usable(&stage, &account).await;
        let next = stage.issuer();
        assert_eq!(next.roll_over(&*stage.store).await.unwrap(), account);
        assert_eq!(stage.ca.journal().count(Endpoint::KeyChange), 1, "the same new key");
        usable(&stage, &account).await;
    }
}

#[tokio::test]
async fn the_configured_contact_is_what_the_ca_has() {
    let stage = Stage::set().await;
    stage.issuer().account_url().await.unwrap();
    let mut settings = IssuerSettings::new("ca-1", stage.ca.directory());
    settings.contact = Some("ops@example.com".to_owned());
    stage.issuer_with(settings).update_contact().await.unwrap();
    assert_eq!(stage.ca.contacts(), [["mailto:ops@example.com".to_owned()]]);
    stage.issuer().update_contact().await.unwrap();
    assert_eq!(stage.ca.contacts(), [Vec::<String>::new()]);
}
