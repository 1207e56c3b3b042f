//! Accounts that are lost, copied, moved, or made twice.

use std::sync::Arc;

use sealwax_acme::IssuerSettings;
use sealwax_core::issuer::{IssueError, Issuer as _};

use crate::drive::{is_misconfigured, order_for};
use crate::parts::AccountStore;
use crate::stage::{NAME, Stage};

#[tokio::test]
async fn a_ca_that_forgot_an_order_says_so() {
    let stage = Stage::set().await;
    let issuer = stage.issuer();
    let url = issuer.place_order(&order_for(NAME)).await.unwrap();
    stage.ca.forget_orders();
    let gone = issuer.observe(&url).await;
    assert!(matches!(gone, Err(IssueError::OrderGone { .. })), "{gone:?}");
}

#[tokio::test]
async fn a_rivals_account_kept_first_is_the_one_that_is_used() {
    let stage = Stage::set().await;
    let rival = stage.issuer().account_url().await.unwrap();
    let sealed = stage.store.kept("ca-1").unwrap();
    let store = AccountStore::shared();
    *store.rival.lock().unwrap() = Some(sealed);
    let late = Stage { store, ..stage };
    assert_eq!(late.issuer().account_url().await.unwrap(), rival);
    assert_eq!(late.ca.accounts(), 2, "the late one made an account of its own before it knew");
}

#[tokio::test]
async fn an_account_does_not_follow_a_changed_directory() {
    let stage = Stage::set().await;
    stage.issuer().account_url().await.unwrap();
    let other = Stage::set().await;
    let moved = Stage { store: Arc::clone(&stage.store), ..other };
    let refused = moved.issuer().account_url().await;
    assert!(is_misconfigured(&refused), "{refused:?}");
    assert_eq!(moved.ca.accounts(), 0);
}

#[tokio::test]
async fn credentials_sealed_for_another_issuer_do_not_open() {
    let stage = Stage::set().await;
    stage.issuer().account_url().await.unwrap();
    let store = AccountStore::shared();
    *store.rival.lock().unwrap() = stage.store.kept("ca-1");
    let copied = Stage { store, ..stage };
    let mut settings = IssuerSettings::new("ca-2", copied.ca.directory());
    settings.contact = Some("ops@example.com".to_owned());
    let refused = copied.issuer_with(settings).account_url().await;
    assert!(is_misconfigured(&refused), "{refused:?}");
    assert_eq!(copied.ca.contacts(), [vec![], vec!["mailto:ops@example.com".to_owned()]]);
}

#[tokio::test]
async fn what_is_no_directory_is_a_setting_to_repair() {
    let stage = Stage::set().await;
    for path in ["nowhere", "new-nonce"] {
        let url = format!("http://{}/{path}", stage.ca.address());
        let refused = stage.issuer_with(IssuerSettings::new(path, url)).account_url().await;
        assert!(is_misconfigured(&refused), "{path}: {refused:?}");
    }
}
