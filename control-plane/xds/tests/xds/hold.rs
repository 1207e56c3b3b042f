//! Names that have no certificate yet.

use std::time::Duration;

use crate::support::World;
use sealwax_xds::Lookup;
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn a_hold_ends_in_a_removal_when_the_wait_is_over() {
    for answer in [Lookup::Pending, Lookup::Unavailable] {
        let mut world = World::with(|config| config.max_wait = Duration::from_secs(7));
        world.source.set("slow.example.com", Some(answer));
        let mut client = world.delta().await;
        let asked_at = Instant::now();
        client.subscribe(&["slow.example.com"]);
        client.expect_removals(&["slow.example.com"]).await;
        let waited = asked_at.elapsed();
        assert!(
            (Duration::from_secs(7)..Duration::from_millis(7100)).contains(&waited),
            "{waited:?}"
        );
        assert_eq!(world.server.edges()[0].timeouts, 1);
        client.unsubscribe(&["slow.example.com"]);
        client.expect_silence().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_lookup_that_never_comes_back_is_bounded_too_and_holds_nobody_else_up() {
    let mut world = World::with(|config| {
        config.max_wait = Duration::from_secs(7);
        config.lookups_per_stream = 1;
    });
    world.source.set_cold(true);
    world.source.stick("stuck.example.com");
    world.source.issue("a.example.com", "1");
    let mut client = world.delta().await;
    client.subscribe(&["stuck.example.com"]);
    client.expect_removals(&["stuck.example.com"]).await;
    client.subscribe(&["a.example.com"]);
    client.expect_certificate("a.example.com").await;
}

#[tokio::test(start_paused = true)]
async fn a_name_that_can_only_be_looked_up_is_looked_up_once_for_many_askings() {
    let mut world = World::new();
    world.source.set_cold(true);
    world.source.issue("a.example.com", "1");
    let mut client = world.delta().await;
    client.subscribe(&["a.example.com", "a.example.com", "a.example.com"]);
    client.expect_certificate("a.example.com").await;
    assert_eq!(world.source.lookups(), ["a.example.com"]);
}

#[tokio::test(start_paused = true)]
async fn an_unavailable_source_is_asked_again_until_it_answers() {
    let mut world = World::new();
    world.source.set("a.example.com", Some(Lookup::Unavailable));
    let mut client = world.delta().await;
    let asked_at = Instant::now();
    client.subscribe(&["a.example.com"]);
    world.source.looked_up("a.example.com", 3).await;
    assert!(asked_at.elapsed() >= Duration::from_secs(1), "asked too often");
    // Nobody calls `changed`: the next asking finds it.
    world.source.issue("a.example.com", "1");
    client.expect_certificate("a.example.com").await;
    assert!(asked_at.elapsed() < Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn asking_again_does_not_prolong_a_hold() {
    let mut world = World::with(|config| config.max_wait = Duration::from_secs(10));
    world.source.set("slow.example.com", Some(Lookup::Pending));
    let mut client = world.delta().await;
    let asked_at = Instant::now();
    client.subscribe(&["slow.example.com"]);
    world.source.looked_up("slow.example.com", 1).await;
    client.expect_silence().await;
    client.subscribe(&["slow.example.com"]);
    world.server.changed(&crate::support::domain("slow.example.com"));
    client.expect_removals(&["slow.example.com"]).await;
    assert!(asked_at.elapsed() < Duration::from_millis(10_100), "{:?}", asked_at.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_change_during_a_lookup_is_not_lost() {
    let mut world = World::new();
    world.source.stick("a.example.com");
    let mut client = world.delta().await;
    client.subscribe(&["a.example.com"]);
    world.source.looked_up("a.example.com", 1).await;
    let version = world.issue("a.example.com", "1");
    assert_eq!(client.expect_certificate("a.example.com").await, version);
}

#[tokio::test(start_paused = true)]
async fn a_name_unsubscribed_while_held_gets_nothing_more() {
    let mut world = World::new();
    world.source.set("a.example.com", Some(Lookup::Pending));
    let mut client = world.delta().await;
    client.subscribe(&["a.example.com"]);
    world.source.looked_up("a.example.com", 1).await;
    client.unsubscribe(&["a.example.com"]);
    client.expect_silence().await;
    world.issue("a.example.com", "1");
    client.expect_silence().await;
    tokio::time::advance(Duration::from_secs(60)).await;
    client.expect_silence().await;
}
