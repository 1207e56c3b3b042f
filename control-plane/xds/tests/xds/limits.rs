//! Floods, budgets, odd names, and requests of any size.

use std::collections::HashSet;
use std::time::Duration;

use crate::support::messages::{DeltaRequest, DeltaResponse};
use crate::support::{World, domain, important};
use sealwax_xds::{Importance, XdsConfig};

/// Unsubscribes what is removed, as Envoy's on-demand selector does; returns how many.
fn obey(client: &mut crate::support::client::Client, response: &DeltaResponse) -> usize {
    client.request(DeltaRequest {
        unsubscribe: response.removed.clone(),
        response_nonce: response.nonce.clone(),
        ..DeltaRequest::default()
    });
    response.removed.len()
}

#[tokio::test(start_paused = true)]
async fn a_first_request_of_200_000_current_names_is_read_and_nothing_is_sent() {
    let mut world = World::with(|config| config.max_names_per_edge = 300_000);
    let names: Vec<_> = (0..200_000).map(|n| format!("customer-{n:06}.example.com")).collect();
    let versions: Vec<_> = names.iter().map(|name| world.source.issue(name, "1")).collect();
    let held: Vec<_> = names
        .iter()
        .zip(&versions)
        .map(|(name, version)| (name.as_str(), version.as_str()))
        .collect();
    let mut client = world.delta().await;
    client.reconnect(&["nobody.example.com"], &held);
    client.expect_removals(&["nobody.example.com"]).await;
    client.expect_silence().await;
    let view = &world.server.edges()[0];
    assert_eq!((view.names, view.resident), (200_001, 200_000));
    world.issue(&names[123_456], "2");
    client.expect_certificate(&names[123_456]).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_longer_than_allowed_ends_the_stream() {
    let mut world = World::with(|config| config.max_message_bytes = 1000);
    let mut client = world.delta().await;
    client.subscribe(&[&"a".repeat(2000)]);
    client.expect_end("11").await;
}

#[tokio::test(start_paused = true)]
async fn names_that_are_no_names_are_removed_and_not_remembered() {
    let mut world = World::new();
    let mut client = world.delta().await;
    let long = format!("{}.example.com", "a.".repeat(150));
    let odd = [
        "",
        ".",
        "localhost",
        "1.2.3.4",
        "::1",
        "a..example.com",
        "a_b.example.com",
        "*.example.com",
        "a b.example.com",
        "bücher.example",
        "-a.example.com",
        &long,
    ];
    client.subscribe(&odd);
    client.expect_removals(&odd).await;
    assert_eq!(world.server.edges()[0].names, 0);
    let twice = ["127.0.0.1", "127.0.0.1"];
    client.subscribe(&twice);
    client.expect_removals(&["127.0.0.1"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_not_utf_8_gets_no_answer_and_the_stream_lives() {
    let mut world = World::new();
    world.source.issue("a.example.com", "1");
    let mut client = world.delta().await;
    client.subscribe(&[]);
    // Field 2: the type; field 3: a name of three bytes that is not UTF-8.
    let mut message = vec![0x12, u8::try_from(crate::support::messages::SECRET.len()).unwrap()];
    message.extend_from_slice(crate::support::messages::SECRET.as_bytes());
    message.extend_from_slice(&[0x1a, 3, 0xff, 0xfe, b'x']);
    client.send_bytes(&message);
    client.expect_silence().await;
    client.subscribe(&["a.example.com"]);
    client.expect_certificate("a.example.com").await;
    client.send_bytes(&[0x1a, 0xff, 0xff]);
    client.expect_end("3").await;
}

#[tokio::test(start_paused = true)]
async fn other_spellings_are_served_under_their_own_name_up_to_a_number() {
    let mut world = World::new();
    world.source.issue("a.example.com", "1");
    let mut client = world.delta().await;
    client.subscribe(&["A.example.com"]);
    client.expect_certificate("A.example.com").await;
    client.subscribe(&["a.example.com."]);
    client.expect_certificate("a.example.com.").await;
    client.subscribe(&["a.example.com"]);
    client.expect_certificate("a.example.com").await;
    client.subscribe(&["a.eXample.com", "a.exAmple.com"]);
    client.expect_removals(&["a.eXample.com", "a.exAmple.com"]).await;
    assert_eq!(world.server.edges()[0].names, 3);
    world.source.deliveries(3).await;
    // A renewal reaches every spelling.
    world.issue("a.example.com", "2");
    let response = client.response().await;
    let names: HashSet<_> = response.resources.iter().map(|r| r.name.as_str()).collect();
    assert_eq!(names, HashSet::from(["A.example.com", "a.example.com.", "a.example.com"]));
    client.ack(&response);
    // The place of one that leaves is free; the name stays known until the last has left.
    client.unsubscribe(&["A.example.com", "a.example.com"]);
    client.subscribe(&["a.EXAMPLE.com"]);
    client.expect_certificate("a.EXAMPLE.com").await;
    world.withdraw("a.example.com");
    client.expect_removals(&["a.example.com.", "a.EXAMPLE.com"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_budget_is_kept_by_removals_and_never_at_the_cost_of_a_fresh_delivery() {
    let mut world = World::with(|config| config.max_names_per_edge = 10);
    let mut client = world.delta().await;
    for n in 0..25 {
        let name = format!("{n}.example.com");
        world.source.issue(&name, "1");
        client.subscribe(&[&name]);
        client.expect_certificate(&name).await;
    }
    // All were delivered within the grace, so all stay for it; then the oldest leave.
    let delivered = tokio::time::Instant::now();
    let response = client.response().await;
    assert!(delivered.elapsed() >= XdsConfig::default().eviction_grace);
    let expected: HashSet<_> = (0..15).map(|n| format!("{n}.example.com")).collect();
    assert_eq!(response.removed.iter().cloned().collect::<HashSet<_>>(), expected);
    obey(&mut client, &response);
    client.expect_silence().await;
    let view = &world.server.edges()[0];
    assert_eq!((view.resident, view.names, view.evictions), (10, 10, 15));
    // An evicted name comes back when it is asked for.
    client.subscribe(&["3.example.com"]);
    client.expect_certificate("3.example.com").await;
}

#[tokio::test(start_paused = true)]
async fn an_edge_over_its_budget_at_reconnect_is_brought_down_to_it() {
    let mut world = World::with(|config| config.max_names_per_edge = 100);
    let names: Vec<_> = (0..1000).map(|n| format!("{n}.example.com")).collect();
    let versions: Vec<_> = names.iter().map(|name| world.source.issue(name, "1")).collect();
    let held: Vec<_> = names
        .iter()
        .zip(&versions)
        .map(|(name, version)| (name.as_str(), version.as_str()))
        .collect();
    let mut client = world.delta().await;
    client.reconnect(&[], &held);
    let mut removed = 0;
    while removed < 900 {
        let response = client.response().await;
        removed += obey(&mut client, &response);
    }
    client.expect_silence().await;
    assert_eq!(world.server.edges()[0].resident, 100);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_one_off_names_does_not_push_out_names_in_use() {
    let mut world = World::with(|config| {
        config.max_names_per_edge = 100;
        config.eviction_grace = Duration::ZERO;
    });
    let mut client = world.delta().await;
    let busy: Vec<_> = (0..50).map(|n| format!("busy-{n}.example.com")).collect();
    for name in &busy {
        world.source.issue(name, "1");
        client.subscribe(&[name]);
        client.expect_certificate(name).await;
    }
    let reported: Vec<_> = busy.iter().map(|name| domain(name)).collect();
    world.server.usage(Some("somebody else"), &reported);
    for n in 0..2000 {
        let name = format!("{n}.flood.example.com");
        world.source.issue(&name, "1");
        if n % 500 == 0 {
            world.server.usage(Some("edge-1"), &reported);
        }
        // Ten a second; deliveries of one tick are never evicted in it.
        tokio::time::advance(Duration::from_millis(100)).await;
        client.subscribe(&[&name]);
        loop {
            let response = client.response().await;
            for removed in &response.removed {
                assert!(!removed.starts_with("busy"), "{removed} was pushed out by {name}");
            }
            obey(&mut client, &response);
            if response.resources.first().is_some_and(|resource| resource.name == name) {
                break;
            }
        }
    }
    let view = &world.server.edges()[0];
    assert!(view.resident <= 102 && view.evictions > 1900, "{view:?}");
}

/// Asks for 300 one-off names with room for 20, and returns what was removed.
async fn flood(world: &World, client: &mut crate::support::client::Client) -> HashSet<String> {
    let mut removed = HashSet::new();
    for n in 0..300 {
        let name = format!("{n}.flood.example.com");
        world.source.issue(&name, "1");
        tokio::time::advance(Duration::from_millis(100)).await;
        client.subscribe(&[&name]);
        loop {
            let response = client.response().await;
            removed.extend(response.removed.iter().cloned());
            obey(client, &response);
            if response.resources.first().is_some_and(|resource| resource.name == name) {
                break;
            }
        }
    }
    removed
}

#[tokio::test(start_paused = true)]
async fn a_pinned_name_outlives_a_flood_unused_and_a_name_of_low_importance_does_not_in_use() {
    let mut world = World::with(|config| {
        config.max_names_per_edge = 20;
        config.eviction_grace = Duration::ZERO;
    });
    let (pinned, low) = ("pinned.example.com", "low.example.com");
    world.source.set(pinned, Some(important(pinned, Importance::High)));
    world.source.set(low, Some(important(low, Importance::Low)));
    let mut client = world.delta().await;
    for name in [pinned, low] {
        client.subscribe(&[name]);
        client.expect_certificate(name).await;
    }
    world.server.usage(None, &[domain(low), domain(low)]);
    let removed = flood(&world, &mut client).await;
    assert!(!removed.contains(pinned) && removed.contains(low), "{removed:?}");
    // Its importance is taken back, the certificate being the same: it is not sent, and leaves.
    let pushes = world.server.edges()[0].pushes;
    world.source.set(pinned, Some(important(pinned, Importance::Ordinary)));
    world.server.changed(&domain(pinned));
    assert!(flood(&world, &mut client).await.contains(pinned));
    assert_eq!(world.server.edges()[0].pushes, pushes + 300);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_a_pinned_wildcard_covers_is_not_pinned() {
    let mut world = World::with(|config| {
        config.max_names_per_edge = 20;
        config.eviction_grace = Duration::ZERO;
    });
    let wildcard = important("example.com", Importance::High);
    world.source.set("0.example.com", Some(wildcard));
    let mut client = world.delta().await;
    client.subscribe(&["0.example.com"]);
    client.expect_certificate("0.example.com").await;
    assert!(flood(&world, &mut client).await.contains("0.example.com"));
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_unknown_names_leaves_nothing_behind() {
    let mut world = World::new();
    let mut client = world.delta().await;
    for round in 0..20 {
        let names: Vec<_> = (0..1000).map(|n| format!("{n}.{round}.flood.example.com")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        client.subscribe(&names);
        let mut removed = 0;
        while removed < names.len() {
            let response = client.response().await;
            removed += obey(&mut client, &response);
        }
    }
    client.expect_silence().await;
    let view = &world.server.edges()[0];
    assert_eq!((view.names, view.resident, view.removals), (0, 0, 20_000));
}

#[tokio::test(start_paused = true)]
async fn names_beyond_the_subscription_limit_are_removed_and_forgotten() {
    let mut world = World::with(|config| config.max_subscriptions = 2);
    for name in ["a.example.com", "b.example.com", "c.example.com"] {
        world.source.issue(name, "1");
    }
    let mut client = world.delta().await;
    client.subscribe(&["a.example.com", "b.example.com", "c.example.com"]);
    client.expect_certificate("a.example.com").await;
    client.expect_certificate("b.example.com").await;
    client.expect_removals(&["c.example.com"]).await;
    client.unsubscribe(&["a.example.com"]);
    client.subscribe(&["c.example.com"]);
    client.expect_certificate("c.example.com").await;
}

#[tokio::test(start_paused = true)]
async fn an_edge_that_never_answers_is_sent_no_more_than_a_window_and_the_latest_afterwards() {
    let mut world = World::new();
    world.source.issue("a.example.com", "0");
    let mut client = world.delta().await;
    client.subscribe(&["a.example.com"]);
    let first = client.response().await;
    let mut last = first.clone();
    for n in 1..4096 {
        world.issue("a.example.com", &n.to_string());
        last = client.response().await;
    }
    for n in 4096..5000 {
        world.issue("a.example.com", &n.to_string());
    }
    client.expect_silence().await;
    // One answer makes room for one response: of 904 renewals, the last.
    client.ack(&last);
    let response = client.response().await;
    let version_of =
        |content: &str| crate::support::certificate("a.example.com", content).version().to_owned();
    assert_eq!(response.resources[0].version, version_of("4999"));
    client.expect_silence().await;
    client.ack(&first);
    let newest = world.issue("a.example.com", "5000");
    assert_eq!(client.response().await.resources[0].version, newest);
}

#[tokio::test(start_paused = true)]
async fn no_message_whatever_its_bytes_harms_more_than_its_own_stream() {
    let mut world = World::new();
    world.source.issue("a.example.com", "1");
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = move |bound: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % bound
    };
    let valid = prost::Message::encode_to_vec(&DeltaRequest {
        type_url: crate::support::messages::SECRET.to_owned(),
        subscribe: vec!["a.example.com".to_owned(), "b.example.com".to_owned()],
        initial_versions: [("a.example.com".to_owned(), "1".to_owned())].into(),
        response_nonce: "1.1".to_owned(),
        ..DeltaRequest::default()
    });
    for round in 0..300 {
        let mut message = valid.clone();
        for _ in 0..=below(8) {
            let at = usize::try_from(below(message.len() as u64)).unwrap();
            message[at] = u8::try_from(below(256)).unwrap();
        }
        message.truncate(usize::try_from(below(2 * valid.len() as u64)).unwrap());
        let mut client = world.delta().await;
        client.send_bytes(&message);
        let mut other = world.delta().await;
        other.node = format!("edge-{round}");
        other.subscribe(&["a.example.com"]);
        other.expect_certificate("a.example.com").await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_names_seen_most_are_the_busiest() {
    let mut world = World::new();
    let mut client = world.delta().await;
    for name in ["a.example.com", "b.example.com", "c.example.com"] {
        world.issue(name, "1");
        client.subscribe(&[name]);
        client.expect_certificate(name).await;
    }
    for _ in 0..3 {
        world.server.usage(None, &[domain("c.example.com")]);
        // Sightings are taken in by the stream, once for each time it looks.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    world.server.usage(None, &[domain("b.example.com")]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let names = ["c.example.com", "b.example.com", "a.example.com"].map(domain);
    assert_eq!(world.server.busiest(10), names);
    assert_eq!(world.server.busiest(1), names[..1]);
}
