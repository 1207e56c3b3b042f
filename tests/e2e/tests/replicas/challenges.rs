//! The store is away while a CA validates: what an edge is told, and who is blamed.

use sealwax_testkit::{PATIENCE, wait_until};
use serde_json::Value;

use crate::site::Site;

#[tokio::test]
async fn whoever_published_a_challenge_answers_it_without_the_store() {
    let site = Site::start().await;
    let domain = "blog.example.com";
    let admin = site.a.control_plane.admin();
    admin.register(domain).await.unwrap();
    // The CA's request waits on the wire until the store is gone.
    site.validations.hold();
    let (visitor, https) = (site.visitor(), site.a.envoy.https());
    let visit = tokio::spawn(async move { visitor.visit(https, domain).await });
    let asked = wait_until("the CA to come", PATIENCE, async || {
        (site.validations.accepted() > 0).then_some(())
    });
    asked.await.unwrap();
    site.a.to_store.cut();
    site.validations.pass();
    let validated = wait_until("the CA to be answered", PATIENCE, async || {
        (site.pebble.validated() > 0).then_some(())
    });
    validated.await.unwrap();
    site.a.to_store.pass();
    admin.await_state(domain, "issued", PATIENCE).await.unwrap();
    assert_eq!(site.issued(), (1, 1), "one order, one validation");
    // How the handshake that waited ended depends on how long the wire was cut.
    drop(visit.await.unwrap());
}

#[tokio::test]
async fn a_replica_that_cannot_read_the_challenge_is_not_told_to_the_owner() {
    let site = Site::start().await;
    let domain = "blog.example.com";
    let admin = site.b.control_plane.admin();
    admin.register(domain).await.unwrap();
    // The CA validates through A, which did not publish the answer and cannot read it.
    site.a.to_store.cut();
    let (visitor, https) = (site.visitor(), site.b.envoy.https());
    let visit = tokio::spawn(async move { visitor.visit(https, domain).await });
    let ours = |record: &Value| record["failure"]["cause"] == "edge_unavailable";
    let record = admin.show_until(domain, PATIENCE, ours).await.unwrap();
    assert_eq!(record["failure"]["who"], "platform");
    assert_eq!(record["state"], "deferred", "{record}");
    site.a.to_store.pass();
    admin.await_state(domain, "issued", PATIENCE).await.unwrap();
    let answer = admin.send("GET", &format!("/v1/domains/{domain}/events"), "").await.unwrap();
    assert!(!answer.text().contains("domain.refused"), "{}", answer.text());
    drop(visit.await.unwrap());
}
