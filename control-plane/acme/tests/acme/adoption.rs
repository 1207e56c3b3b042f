//! Accounts that another program made, taken over.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sealwax_acme::{AdoptError, FoundAccount, key};
use sealwax_core::PrivateKey;
use sealwax_core::issuer::{IssueError, Issuer as _};
use sealwax_core::record::KeyType;
use sealwax_core::secret::{SealPlace, Sealer as _};
use zeroize::Zeroizing;

use crate::drive::order_for;
use crate::parts::{AccountStore, MarkingSealer};
use crate::stage::{NAME, Stage};

/// The key that an issuer made its account with, as another program would keep it.
async fn key_of(store: &AccountStore) -> PrivateKey {
    let sealed = store.kept("ca-1").unwrap();
    let opened = MarkingSealer.open(SealPlace::Account("ca-1"), &sealed).await.unwrap();
    let credentials: serde_json::Value = serde_json::from_slice(opened.expose()).unwrap();
    let text = credentials["key_pkcs8"].as_str().unwrap();
    PrivateKey::new(Zeroizing::new(BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()))
}

fn found(key: PrivateKey, url: &str) -> FoundAccount {
    FoundAccount { key, url: Some(url.to_owned()), replace_key: false }
}

#[tokio::test]
async fn an_account_is_taken_over_with_its_key_and_only_once() {
    let stage = Stage::set().await;
    let url = stage.issuer().account_url().await.unwrap();
    let theirs = Arc::clone(&stage.store);
    let stage = Stage { store: AccountStore::shared(), ..stage };
    let ours = stage.issuer();
    assert!(!ours.has_account().await.unwrap());
    for _ in 0..2 {
        assert_eq!(ours.adopt(&found(key_of(&theirs).await, &url)).await.unwrap(), url);
    }
    assert!(ours.has_account().await.unwrap());
    assert_eq!(stage.issuer().account_url().await.unwrap(), url, "it is kept");
    ours.place_order(&order_for(NAME)).await.unwrap();
    assert_eq!(stage.ca.accounts(), 1, "no other was made");
}

#[tokio::test]
async fn an_account_that_is_there_stays() {
    let stage = Stage::set().await;
    let url = stage.issuer().account_url().await.unwrap();
    let another = Stage { store: AccountStore::shared(), ..stage };
    let issuer = another.issuer();
    let own = issuer.account_url().await.unwrap();
    issuer.place_order(&order_for(NAME)).await.unwrap();
    let key = key::generate(KeyType::EcdsaP256).unwrap();
    let refused = issuer.adopt(&found(key, &url)).await;
    assert!(
        matches!(&refused, Err(AdoptError::HasAnother { account, .. }) if *account == own),
        "{refused:?}"
    );
}

#[tokio::test]
async fn an_account_that_was_never_used_gives_way() {
    let stage = Stage::set().await;
    let url = stage.issuer().account_url().await.unwrap();
    let theirs = Arc::clone(&stage.store);
    let stage = Stage { store: AccountStore::shared(), ..stage };
    let (ours, replica) = (stage.issuer(), stage.issuer());
    let own = ours.account_url().await.unwrap();
    assert_eq!(replica.account_url().await.unwrap(), own);
    for _ in 0..2 {
        assert_eq!(ours.adopt(&found(key_of(&theirs).await, &url)).await.unwrap(), url);
    }
    // The replica has the one before in memory, and learns of it before it orders.
    replica.place_order(&order_for(NAME)).await.unwrap();
    assert_eq!(replica.account_url().await.unwrap(), url);
    assert_eq!(ours.account_url().await.unwrap(), url);
    assert_eq!(stage.issuer().account_url().await.unwrap(), url, "it is kept");
}

#[tokio::test]
async fn an_account_of_an_earlier_version_counts_as_used() {
    let stage = Stage::set().await;
    let url = stage.issuer().account_url().await.unwrap();
    let theirs = Arc::clone(&stage.store);
    let stage = Stage { store: AccountStore::shared(), ..stage };
    stage.issuer_without_vault().account_url().await.unwrap();
    let refused = stage.issuer().adopt(&found(key_of(&theirs).await, &url)).await;
    assert!(matches!(refused, Err(AdoptError::HasAnother { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_key_the_ca_does_not_know_makes_no_account() {
    let stage = Stage::set().await;
    let key = key::generate(KeyType::EcdsaP256).unwrap();
    let issuer = stage.issuer();
    let refused = issuer.adopt(&FoundAccount { key, url: None, replace_key: false }).await;
    let unknown = matches!(refused, Err(AdoptError::Ca(IssueError::Misconfigured { .. })));
    assert!(unknown, "{refused:?}");
    assert!(!issuer.has_account().await.unwrap());
    assert_eq!(stage.ca.accounts(), 0);
}

#[tokio::test]
async fn an_rsa_key_is_not_replaced_unless_that_was_allowed() {
    let stage = Stage::set().await;
    let key = key::generate(KeyType::Rsa2048).unwrap();
    let refused = stage.issuer().adopt(&found(key, "https://ca/1")).await;
    assert!(matches!(refused, Err(AdoptError::WouldReplaceKey)), "{refused:?}");
    let p384 = key::generate(KeyType::EcdsaP384).unwrap();
    let refused = stage.issuer().adopt(&found(p384, "https://ca/1")).await;
    assert!(matches!(refused, Err(AdoptError::Key)), "{refused:?}");
}
