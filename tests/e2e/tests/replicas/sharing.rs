//! What one replica does, the others' Envoys serve.

use sealwax_testkit::{PATIENCE, wait_until};

use crate::site::Site;

#[tokio::test]
async fn a_certificate_issued_by_one_replica_is_served_by_the_others_envoy() {
    let site = Site::start().await;
    site.a.control_plane.admin().register("blog.example.com").await.unwrap();
    let visitor = site.visitor();
    let first = visitor.visit(site.a.envoy.https(), "blog.example.com").await.unwrap();
    let second = site.served_by_b("blog.example.com").await;
    assert_eq!(first, second);
    assert_eq!(site.issued(), (1, 1));
}

#[tokio::test]
async fn renewals_and_removals_of_one_replica_reach_the_others_envoy() {
    let site = Site::start().await;
    let (a, visitor) = (site.a.control_plane.admin(), site.visitor());
    let b_envoy = site.b.envoy.https();
    // A name that B has answered as unknown is known there as soon as A registers it.
    assert!(visitor.visit(b_envoy, "blog.example.com").await.is_err());
    a.register("blog.example.com").await.unwrap();
    let old = site.served_by_b("blog.example.com").await;

    a.renew("blog.example.com").await.unwrap();
    let renewed = wait_until("B's Envoy to serve the new certificate", PATIENCE, async || {
        let served = visitor.visit(b_envoy, "blog.example.com").await.unwrap();
        (served != old).then_some(served)
    });
    let renewed = renewed.await.unwrap();
    assert_eq!(visitor.visit(site.a.envoy.https(), "blog.example.com").await.unwrap(), renewed);
    assert_eq!(site.issued(), (2, 2));

    let removed = a.send("DELETE", "/v1/domains/blog.example.com", "").await.unwrap();
    assert!((200..300).contains(&removed.status), "{}", removed.text());
    let refused = wait_until("B's Envoy to serve it no longer", PATIENCE, async || {
        visitor.visit(b_envoy, "blog.example.com").await.err()
    });
    refused.await.unwrap();

    // The removal has left its trace; that is another life of the name.
    for (tenant, so_far) in [("t1", 3), ("t2", 4)] {
        let path = "/v1/domains/blog.example.com";
        let again = a.send("PUT", path, &format!("{{\"tenant\": \"{tenant}\"}}")).await.unwrap();
        assert_eq!(again.status, 201, "{}", again.text());
        assert_ne!(site.served_by_b("blog.example.com").await, renewed);
        let record = a.await_state("blog.example.com", "issued", PATIENCE).await.unwrap();
        assert_eq!((&record["tenant"], site.issued()), (&tenant.into(), (so_far, so_far)));
        let removed = a.send("DELETE", path, "").await.unwrap();
        assert!((200..300).contains(&removed.status), "{}", removed.text());
    }
}
