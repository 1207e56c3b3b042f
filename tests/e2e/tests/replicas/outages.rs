//! A replica without the store: it serves, it issues nothing, it recovers.

use std::time::Duration;

use sealwax_testkit::{PATIENCE, http, wait_until};

use crate::site::{Replica, Site};

async fn readiness(replica: &Replica) -> http::Response {
    http::get(replica.control_plane.admin_address(), "localhost", "/readyz").await.unwrap()
}

/// A domain that B has served, and one that nobody has asked for.
async fn prepared() -> Site {
    let site = Site::start().await;
    let admin = site.a.control_plane.admin();
    for domain in ["known.example.com", "new.example.com"] {
        admin.register(domain).await.unwrap();
    }
    site.served_by_b("known.example.com").await;
    assert_eq!(site.issued(), (1, 1));
    site
}

#[tokio::test]
async fn cut_off_from_the_store_a_replica_serves_issues_nothing_and_recovers() {
    let site = prepared().await;
    let visitor = site.visitor();
    let before = visitor.visit(site.b.envoy.https(), "known.example.com").await.unwrap();
    // From then on B knows by heart who is registered.
    let filled = wait_until("the set of registered names", PATIENCE, async || {
        let address = site.b.control_plane.admin_address();
        let metrics = http::get(address, "localhost", "/metrics").await.ok()?;
        metrics.text().lines().any(|line| line == "sealwax_known_names_filled 1").then_some(())
    });
    filled.await.unwrap();
    site.b.to_store.cut();
    assert_eq!(readiness(&site.b).await.status, 503);
    assert_eq!(visitor.visit(site.b.envoy.https(), "known.example.com").await.unwrap(), before);
    let (waiting, b_envoy) = (visitor.clone(), site.b.envoy.https());
    // A stranger is not held until the store can be asked.
    let stranger = visitor.handshake(b_envoy, "nobody.example.org").await;
    assert!(stranger.outcome.is_err());
    assert!(stranger.took < Duration::from_secs(5), "{:?}", stranger.took);
    let held = tokio::spawn(async move { waiting.visit(b_envoy, "new.example.com").await });
    let asked = site.b.control_plane.edge().ask("new.example.com").await;
    assert!(!matches!(asked, Ok((200 | 202, _))), "{asked:?}");
    assert_eq!(site.issued(), (1, 1), "never an order without the store");
    // The other replica is not touched: it issues, and B's Envoy gets it when B is back.
    let served = visitor.visit(site.a.envoy.https(), "new.example.com").await.unwrap();
    assert_eq!(site.issued(), (2, 2));
    site.b.to_store.pass();
    let same = wait_until("B to serve what A issued", PATIENCE, async || {
        visitor.visit(b_envoy, "new.example.com").await.ok()
    });
    assert_eq!(same.await.unwrap(), served);
    let ready = wait_until("B to be ready", PATIENCE, async || {
        (readiness(&site.b).await.status == 200).then_some(())
    });
    ready.await.unwrap();
    // How the handshake that waited ended depends on how long the wire was cut.
    drop(held.await.unwrap());
    assert_eq!(site.issued(), (2, 2));
}

#[tokio::test]
async fn restarted_without_the_store_a_replica_serves_its_last_good_copy_and_recovers() {
    let mut site = prepared().await;
    let visitor = site.visitor();
    let before = visitor.visit(site.b.envoy.https(), "known.example.com").await.unwrap();
    let copy = site.b.control_plane.folder().join("sealwax-last-good/known.example.com");
    let copied = wait_until("the copy", PATIENCE, async || std::fs::read(&copy).ok());
    let copied = String::from_utf8(copied.await.unwrap()).unwrap();
    assert!(copied.contains("BEGIN CERTIFICATE") && !copied.contains("PRIVATE KEY"), "{copied}");

    site.b.to_store.cut();
    let answer = site.b.control_plane.restart_unready().await.unwrap();
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(answer.text().contains("last-good copy"), "{}", answer.text());
    // The Envoy has to ask, as it has nothing of its own: a new one.
    let fresh = site.another_envoy_of_b().await;
    assert_eq!(visitor.visit(fresh.https(), "known.example.com").await.unwrap(), before);
    assert_eq!(site.issued(), (1, 1), "never an order without the store");

    // Meanwhile A renews. When the store is back, B hears of what it missed.
    let a = site.a.control_plane.admin();
    a.renew("known.example.com").await.unwrap();
    let renewed = wait_until("A to renew", PATIENCE, async || {
        let served = visitor.visit(site.a.envoy.https(), "known.example.com").await.ok()?;
        (served != before).then_some(served)
    });
    let renewed = renewed.await.unwrap();
    site.b.to_store.pass();
    let caught_up = wait_until("B to serve what A renewed", PATIENCE, async || {
        let served = visitor.visit(fresh.https(), "known.example.com").await.ok()?;
        (served == renewed).then_some(())
    });
    caught_up.await.unwrap();
    let ready = wait_until("B to be ready", PATIENCE, async || {
        (readiness(&site.b).await.status == 200).then_some(())
    });
    ready.await.unwrap();
    visitor.visit(fresh.https(), "new.example.com").await.unwrap();
    assert_eq!(site.issued(), (3, 3));
}

#[tokio::test]
async fn a_wrong_key_found_when_the_store_is_back_ends_the_replica() {
    let mut site = Site::start().await;
    site.b.to_store.cut();
    site.b.control_plane.kill();
    let kek = site.b.control_plane.folder().join("kek");
    std::fs::write(kek, "00".repeat(32)).unwrap();
    let answer = site.b.control_plane.restart_unready().await.unwrap();
    assert_eq!(answer.status, 503, "{}", answer.text());
    site.b.to_store.pass();
    let status = site.b.control_plane.process().ended(PATIENCE).await.unwrap();
    assert_eq!(status.code(), Some(1));
    let log = site.b.control_plane.log();
    assert!(log.contains("configure the key the store was used with"), "{log}");
}
