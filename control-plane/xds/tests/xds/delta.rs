//! Scripts of the delta protocol over ADS: one behaviour a test, by its name.

use sealwax_xds::Lookup;

use crate::support::World;
use crate::support::messages::{DeltaRequest, Node, secret_of};

#[tokio::test(start_paused = true)]
async fn a_ready_name_is_answered_with_its_certificate_and_the_delivery_is_reported() {
    let mut world = World::new();
    let version = world.source.issue("a.example.com", "1");
    let mut client = world.delta().await;
    client.subscribe(&["a.example.com"]);
    let response = client.response().await;
    let secret = secret_of(&response.resources[0]).tls_certificate.unwrap();
    assert_eq!(secret.certificate_chain.unwrap().inline_bytes, b"chain 1 of a.example.com");
    assert_eq!(secret.private_key.unwrap().inline_bytes, b"key 1 of a.example.com");
    assert_eq!(response.resources[0].version, version);
    client.ack(&response);
    let delivered = world.source.deliveries(1).await;
    assert_eq!(delivered, [("a.example.com".to_owned(), version, "edge-1".to_owned())]);
    client.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn an_unknown_name_is_removed_at_once_and_pushed_if_it_appears_while_still_subscribed() {
    let mut world = World::new();
    let mut client = world.delta().await;
    client.subscribe(&["nobody.example.com"]);
    client.expect_removals(&["nobody.example.com"]).await;
    client.expect_silence().await;
    world.issue("nobody.example.com", "1");
    client.expect_certificate("nobody.example.com").await;
}

#[tokio::test(start_paused = true)]
async fn a_held_name_is_pushed_when_its_certificate_arrives() {
    let mut world = World::new();
    world.source.set("new.example.com", Some(Lookup::Pending));
    let mut client = world.delta().await;
    client.subscribe(&["new.example.com"]);
    world.source.looked_up("new.example.com", 1).await;
    client.expect_silence().await;
    world.issue("new.example.com", "1");
    client.expect_certificate("new.example.com").await;
    // The hold is over: its deadline does not remove what has been delivered.
    tokio::time::advance(std::time::Duration::from_secs(60)).await;
    client.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn a_subscription_rides_on_an_acknowledgement_with_any_nonce() {
    let mut world = World::new();
    for name in ["a.example.com", "b.example.com", "c.example.com"] {
        world.source.issue(name, "1");
    }
    let mut client = world.delta().await;
    client.subscribe(&["a.example.com"]);
    let first = client.response().await;
    client.ack_and_subscribe(&first.nonce, &["b.example.com"]);
    client.expect_certificate("b.example.com").await;
    for stale in [first.nonce.as_str(), "never sent", "ffff.1", "1.ffffffffffffffffffff"] {
        client.ack_and_subscribe(stale, &["c.example.com"]);
        client.expect_certificate("c.example.com").await;
    }
    client.request(DeltaRequest {
        unsubscribe: vec!["b.example.com".to_owned()],
        response_nonce: "stale".to_owned(),
        ..DeltaRequest::default()
    });
    client.expect_silence().await;
    world.issue("b.example.com", "2");
    client.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn a_subscribed_and_current_name_asked_for_again_is_answered_again() {
    let mut world = World::new();
    world.source.issue("a.example.com", "1");
    let mut client = world.delta().await;
    for _ in 0..3 {
        client.subscribe(&["a.example.com"]);
        client.expect_certificate("a.example.com").await;
    }
    client.subscribe(&["nobody.example.com"]);
    client.expect_removals(&["nobody.example.com"]).await;
    client.subscribe(&["nobody.example.com"]);
    client.expect_removals(&["nobody.example.com"]).await;
}

#[tokio::test(start_paused = true)]
async fn names_asked_for_by_handshakes_come_one_in_a_response() {
    let mut world = World::new();
    let names = ["a.example.com", "b.example.com", "c.example.com", "d.example.com"];
    for name in names {
        world.source.issue(name, "1");
    }
    let mut client = world.delta().await;
    client.subscribe(&names);
    for name in names {
        client.expect_certificate(name).await;
    }
}

#[tokio::test(start_paused = true)]
async fn renewals_come_in_batches_and_only_for_what_is_subscribed() {
    let mut world = World::new();
    let names: Vec<_> = (0..40).map(|n| format!("{n}.example.com")).collect();
    let mut client = world.delta().await;
    for name in &names {
        world.source.issue(name, "1");
        client.subscribe(&[name]);
        client.expect_certificate(name).await;
    }
    world.source.deliveries(40).await;
    world.issue("elsewhere.example.com", "2");
    for name in &names {
        world.issue(name, "2");
    }
    let mut left = 40;
    while left > 0 {
        let response = client.response().await;
        assert!((1..=16).contains(&response.resources.len()));
        assert!(left < 24 || response.resources.len() == 16, "a batch that could be fuller");
        left -= response.resources.len();
        client.ack(&response);
    }
    client.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn only_the_latest_of_several_changes_is_sent_and_no_change_is_not() {
    let mut world = World::new();
    world.source.issue("a.example.com", "1");
    let mut client = world.delta().await;
    client.subscribe(&["a.example.com"]);
    let first = client.expect_certificate("a.example.com").await;
    world.source.deliveries(1).await;
    world.issue("a.example.com", "2");
    world.issue("a.example.com", "3");
    let third = world.issue("a.example.com", "4");
    assert_eq!(client.expect_certificate("a.example.com").await, third);
    world.source.deliveries(2).await;
    world.server.changed(&crate::support::domain("a.example.com"));
    world.server.changed_all();
    client.expect_silence().await;
    // Back to content seen before: its version is the one it had.
    world.issue("a.example.com", "1");
    assert_eq!(client.expect_certificate("a.example.com").await, first);
}

#[tokio::test(start_paused = true)]
async fn a_resync_finds_what_changed_unannounced() {
    let mut world = World::new();
    let mut client = world.delta().await;
    for name in ["a.example.com", "b.example.com", "c.example.com"] {
        world.source.issue(name, "1");
        client.subscribe(&[name]);
        client.expect_certificate(name).await;
    }
    world.source.deliveries(3).await;
    world.source.issue("b.example.com", "2");
    world.source.set("c.example.com", None);
    client.expect_silence().await;
    world.server.changed_all();
    client.expect_removals(&["c.example.com"]).await;
    client.expect_certificate("b.example.com").await;
    client.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn a_withdrawn_name_is_removed_and_an_unsubscribed_one_forgotten() {
    let mut world = World::new();
    let mut client = world.delta().await;
    for name in ["a.example.com", "b.example.com"] {
        world.source.issue(name, "1");
        client.subscribe(&[name]);
        client.expect_certificate(name).await;
    }
    client.unsubscribe(&["b.example.com", "phantom.example.com"]);
    client.expect_silence().await;
    world.withdraw("a.example.com");
    world.withdraw("b.example.com");
    client.expect_removals(&["a.example.com"]).await;
    client.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn a_held_certificate_stays_while_the_source_is_away_or_issues_another() {
    let mut world = World::new();
    let mut client = world.delta().await;
    world.source.issue("a.example.com", "1");
    client.subscribe(&["a.example.com"]);
    client.expect_certificate("a.example.com").await;
    for answer in [Lookup::Pending, Lookup::Unavailable] {
        world.source.set("a.example.com", Some(answer));
        world.server.changed(&crate::support::domain("a.example.com"));
        world.server.changed_all();
        client.expect_silence().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_certificate_does_not_follow_closely_on_a_removal_unless_it_is_asked_for() {
    let mut world = World::new();
    let mut client = world.delta().await;
    client.subscribe(&["a.example.com"]);
    client.expect_removals(&["a.example.com"]).await;
    let removed_at = tokio::time::Instant::now();
    world.issue("a.example.com", "1");
    client.expect_certificate("a.example.com").await;
    assert!(
        removed_at.elapsed() >= std::time::Duration::from_secs(1),
        "{:?}",
        removed_at.elapsed()
    );

    client.subscribe(&["b.example.com"]);
    client.expect_removals(&["b.example.com"]).await;
    world.issue("b.example.com", "1");
    client.unsubscribe(&["b.example.com"]);
    client.subscribe(&["b.example.com"]);
    let asked_at = tokio::time::Instant::now();
    client.expect_certificate("b.example.com").await;
    assert!(asked_at.elapsed() < std::time::Duration::from_millis(10));
}

#[tokio::test(start_paused = true)]
async fn the_wildcard_and_an_empty_subscription_yield_no_key() {
    let mut world = World::new();
    world.source.issue("a.example.com", "1");
    let mut client = world.delta().await;
    client.request(DeltaRequest::default());
    client.expect_silence().await;
    client.subscribe(&["*"]);
    client.expect_removals(&["*"]).await;
    world.issue("a.example.com", "2");
    client.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn requests_for_another_type_are_ignored_and_the_node_is_remembered_from_them() {
    let mut world = World::new();
    world.source.issue("a.example.com", "1");
    let mut client = world.delta().await;
    let node = Some(Node { id: "edge-of-clusters".to_owned(), ..Node::default() });
    let clusters = DeltaRequest {
        node,
        type_url: "type.googleapis.com/envoy.config.cluster.v3.Cluster".to_owned(),
        subscribe: vec!["a.example.com".to_owned()],
        ..DeltaRequest::default()
    };
    client.send_message(&clusters);
    client.expect_silence().await;
    client.node = "somebody else".to_owned();
    client.subscribe(&["a.example.com"]);
    client.expect_certificate("a.example.com").await;
    assert_eq!(world.source.deliveries(1).await[0].2, "edge-of-clusters");
}

#[tokio::test(start_paused = true)]
async fn a_name_an_edge_may_not_have_is_removed_without_being_looked_up() {
    let mut world = World::new();
    world.source.issue("secret.example.com", "1");
    world.source.forbid("edge-1", "secret.example.com");
    let mut client = world.delta().await;
    client.subscribe(&["secret.example.com"]);
    client.expect_removals(&["secret.example.com"]).await;
    assert!(world.source.lookups().is_empty());
    let mut other = world.delta().await;
    other.node = "edge-2".to_owned();
    other.subscribe(&["secret.example.com"]);
    other.expect_certificate("secret.example.com").await;
}

#[tokio::test(start_paused = true)]
async fn the_per_type_service_serves_the_same_with_or_without_a_type() {
    let mut world = World::new();
    world.source.issue("a.example.com", "1");
    let mut client = world.open(crate::support::client::DELTA_SDS).await;
    client.send_message(&DeltaRequest {
        subscribe: vec!["a.example.com".to_owned(), "nobody.example.com".to_owned()],
        ..DeltaRequest::default()
    });
    client.expect_certificate("a.example.com").await;
    client.expect_removals(&["nobody.example.com"]).await;
    world.open("/envoy.service.discovery.v3.Other/Method").await.expect_end("12").await;
}
