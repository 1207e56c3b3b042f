//! Streams that come back, get old, pile up, or end with the server.

use std::time::Duration;

use crate::support::messages::DeltaRequest;
use crate::support::{World, domain};
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn a_reconnect_sends_differences_and_removals_and_answers_who_waits() {
    let mut world = World::new();
    let current = world.source.issue("current.example.com", "1");
    world.source.issue("renewed.example.com", "2");
    world.source.issue("waiting.example.com", "1");
    let mut client = world.delta().await;
    client.reconnect(
        &["waiting.example.com", "unknown.example.com"],
        &[
            ("current.example.com", current.as_str()),
            ("renewed.example.com", "0123456789abcdef"),
            ("foreign.example.com", "not one of ours"),
            ("*", "1"),
        ],
    );
    client.expect_certificate("waiting.example.com").await;
    client.expect_removals(&["unknown.example.com", "foreign.example.com", "*"]).await;
    client.expect_certificate("renewed.example.com").await;
    client.expect_silence().await;
    // What was not sent is subscribed all the same.
    world.issue("current.example.com", "2");
    client.expect_certificate("current.example.com").await;
}

#[tokio::test(start_paused = true)]
async fn versions_are_the_same_on_every_replica() {
    let (mut one, mut other) = (World::new(), World::new());
    one.source.issue("a.example.com", "1");
    other.source.issue("a.example.com", "1");
    let mut client = one.delta().await;
    client.subscribe(&["a.example.com"]);
    let version = client.expect_certificate("a.example.com").await;
    let mut client = other.delta().await;
    client.reconnect(&[], &[("a.example.com", version.as_str())]);
    client.expect_silence().await;
    assert_eq!(other.server.edges()[0].resident, 1);
}

#[tokio::test(start_paused = true)]
async fn what_a_client_holds_counts_only_in_its_first_request() {
    let mut world = World::new();
    let version = world.source.issue("a.example.com", "1");
    let mut client = world.delta().await;
    client.request(DeltaRequest::default());
    client.reconnect(&[], &[("a.example.com", version.as_str())]);
    client.expect_certificate("a.example.com").await;
}

#[tokio::test(start_paused = true)]
async fn a_reconnect_while_the_source_is_cold_loads_in_the_background_and_handshakes_go_first() {
    let mut world = World::with(|config| config.background_lookups = 1);
    world.source.set_cold(true);
    let held: Vec<_> = (0..50)
        .map(|n| format!("{n}.example.com"))
        .map(|n| (world.source.issue(&n, "1"), n))
        .collect();
    world.source.set("7.example.com", None);
    world.source.issue("now.example.com", "1");
    let held: Vec<_> =
        held.iter().map(|(version, name)| (name.as_str(), version.as_str())).collect();
    let mut client = world.delta().await;
    client.reconnect(&["now.example.com"], &held);
    client.expect_certificate("now.example.com").await;
    client.expect_removals(&["7.example.com"]).await;
    client.expect_silence().await;
    assert_eq!(world.source.lookups().len(), 51);
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_at_its_age_and_ages_differ() {
    let mut world = World::with(|config| config.max_stream_age = Duration::from_secs(100));
    let mut ages = Vec::new();
    for _ in 0..4 {
        let began = Instant::now();
        let mut client = world.delta().await;
        client.subscribe(&[]);
        client.expect_end("0").await;
        ages.push(began.elapsed());
    }
    assert!(ages.iter().all(|age| (80..=121).contains(&age.as_secs())), "{ages:?}");
    assert!(ages.windows(2).all(|pair| pair[0] != pair[1]), "{ages:?}");
    assert!(world.server.edges().is_empty());
}

#[tokio::test(start_paused = true)]
async fn shutting_down_ends_streams_within_the_spread_and_then_the_server() {
    let mut world = World::new();
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = world.delta().await;
        client.subscribe(&["nobody.example.com"]);
        client.expect_removals(&["nobody.example.com"]).await;
        clients.push(client);
    }
    let began = Instant::now();
    world.shutdown.cancel();
    for mut client in clients {
        client.expect_end("14").await;
    }
    world.serving.await.unwrap();
    assert!(began.elapsed() <= Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn further_streams_than_allowed_are_refused_and_a_place_becomes_free_again() {
    let mut world = World::with(|config| config.max_streams = 1);
    let mut first = world.delta().await;
    first.subscribe(&["nobody.example.com"]);
    first.expect_removals(&["nobody.example.com"]).await;
    world.delta().await.expect_end("8").await;
    drop(first);
    while !world.server.edges().is_empty() {
        tokio::task::yield_now().await;
    }
    let mut again = world.delta().await;
    again.subscribe(&["nobody.example.com"]);
    again.expect_removals(&["nobody.example.com"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_says_nothing_is_ended() {
    let mut world = World::new();
    world.delta().await.expect_end("4").await;
}

#[tokio::test(start_paused = true)]
async fn two_edges_get_their_own_answers_and_are_listed() {
    let mut world = World::with(|config| {
        config.edge_budgets.insert("small".to_owned(), 3);
    });
    world.source.issue("a.example.com", "1");
    world.source.issue("b.example.com", "1");
    let mut one = world.delta().await;
    one.node = "small".to_owned();
    one.subscribe(&["a.example.com"]);
    one.expect_certificate("a.example.com").await;
    let mut two = world.delta().await;
    two.node = "large".to_owned();
    two.subscribe(&["a.example.com", "b.example.com"]);
    two.expect_certificate("a.example.com").await;
    two.expect_certificate("b.example.com").await;
    world.issue("b.example.com", "2");
    two.expect_certificate("b.example.com").await;
    one.expect_silence().await;
    world.issue("a.example.com", "2");
    one.expect_certificate("a.example.com").await;
    two.expect_certificate("a.example.com").await;
    let views = world.server.edges();
    let seen: Vec<_> = views.iter().map(|v| (v.node_id.as_str(), v.budget, v.names)).collect();
    assert_eq!(seen, [("small", 3, 1), ("large", 50_000, 2)]);
    drop(two);
    while world.server.edges().len() > 1 {
        tokio::task::yield_now().await;
    }
    world.server.changed(&domain("b.example.com"));
    one.expect_silence().await;
}
