//! A certificate comes into being during the first handshake, and only once.

use futures::future::join_all;
use sealwax_testkit::{Line, LineSettings, PATIENCE};

#[tokio::test]
async fn the_first_handshake_of_a_registered_domain_gets_its_certificate() {
    let line = Line::start(LineSettings::default()).await.unwrap();
    let admin = line.control_plane.admin();
    admin.register("blog.example.com").await.unwrap();
    assert_eq!(admin.show("blog.example.com").await.unwrap()["state"], "pending");
    assert_eq!(line.pebble.orders(), 0, "registering alone orders nothing");

    // The visitor verifies the chain against Pebble's root, and the name.
    let visitor = line.visitor().unwrap();
    let served = visitor.visit(line.https(), "blog.example.com").await.unwrap();

    let record = admin.await_state("blog.example.com", "issued", PATIENCE).await.unwrap();
    assert_eq!(record["certificate"]["sans"], serde_json::json!(["blog.example.com"]));
    assert_eq!(record["certificate"]["source"], "acme");
    let serial = record["certificate"]["serial"].as_str().unwrap().to_owned();
    assert_eq!(without_zeros(&serial), without_zeros(&served.serial));

    let again = visitor.visit(line.https(), "blog.example.com").await.unwrap();
    assert_eq!(again, served);
    assert_eq!((line.pebble.orders(), line.pebble.certificates()), (1, 1));
}

#[tokio::test]
async fn a_request_over_tls_reaches_the_origin() {
    let line = Line::start(LineSettings::default()).await.unwrap();
    line.control_plane.admin().register("app.example.com").await.unwrap();
    let visitor = line.visitor().unwrap();
    let mut connection = visitor.connect(line.https(), "app.example.com").await.unwrap();
    let answer = connection.get("/a?b=c").await.unwrap();
    assert_eq!(answer.text(), "origin: app.example.com/a?b=c\n");
}

#[tokio::test]
async fn fifty_domains_asked_for_at_once_get_exactly_one_order_each() {
    let line = Line::start(patient()).await.unwrap();
    let domains: Vec<_> = (0..50).map(|index| format!("shop-{index}.example.com")).collect();
    let admin = line.control_plane.admin();
    for registered in join_all(domains.iter().map(|domain| admin.register(domain))).await {
        registered.unwrap();
    }

    // Two visitors for each domain, all at once.
    let visitor = line.visitor().unwrap();
    let visit = |domain| visitor.visit(line.https(), domain);
    let first = join_all(domains.iter().map(|domain| visit(domain)));
    let second = join_all(domains.iter().map(|domain| visit(domain)));
    let (first, second) = tokio::join!(first, second);
    for (one, other) in first.into_iter().zip(second) {
        assert_eq!(one.unwrap(), other.unwrap(), "both saw the same certificate");
    }

    // One name on each certificate, so fifty names took fifty orders; there were no more.
    for domain in &domains {
        admin.await_state(domain, "issued", PATIENCE).await.unwrap();
    }
    assert_eq!((line.pebble.orders(), line.pebble.certificates()), (50, 50));
}

#[tokio::test]
async fn a_ca_that_refuses_half_of_all_nonces_still_gets_one_order() {
    let settings = LineSettings { nonces_refused_percent: 50, ..patient() };
    let line = Line::start(settings).await.unwrap();
    line.control_plane.admin().register("nonce.example.com").await.unwrap();
    line.visitor().unwrap().visit(line.https(), "nonce.example.com").await.unwrap();
    assert_eq!((line.pebble.orders(), line.pebble.certificates()), (1, 1));
}

/// For a certificate authority that takes its time.
fn patient() -> LineSettings {
    LineSettings { max_wait: "60s", ..LineSettings::default() }
}

/// DER pads a serial number whose first bit is set; the two sides may spell that differently.
fn without_zeros(serial: &str) -> String {
    serial.replace(':', "").to_lowercase().trim_start_matches('0').to_owned()
}
