//! A replica dies in the middle of an order; another one goes on with that order.

use sealwax_testkit::{PATIENCE, wait_until};

use crate::site::Site;

#[tokio::test]
async fn when_the_holder_is_killed_in_mid_order_another_replica_finishes_that_order() {
    let mut site = Site::start().await;
    site.b.control_plane.admin().register("blog.example.com").await.unwrap();

    // The order stands still where the CA fetches the challenge's answer.
    site.validations.hold();
    let asked = site.b.control_plane.edge().ask("blog.example.com").await.unwrap();
    assert_eq!(asked.0, 202, "{}", asked.1);
    let validating = wait_until("Pebble to validate", PATIENCE, async || {
        site.pebble.challenge_path("blog.example.com")
    });
    validating.await.unwrap();
    site.b.control_plane.kill();
    // A's Envoy answers with what B stored; A waits for B's lease to be silent, and goes on.
    site.validations.pass();
    let a = site.a.control_plane.admin();
    a.await_state("blog.example.com", "issued", PATIENCE).await.unwrap();
    site.visitor().visit(site.a.envoy.https(), "blog.example.com").await.unwrap();
    assert_eq!(site.issued(), (1, 1), "one order, one certificate");
}
