//! Who an edge is, and what a certificate that covers more than its own name does.

use std::sync::Arc;

use crate::support::client::{DELTA_ADS, DELTA_SDS, SOTW_ADS, SOTW_SDS};
use crate::support::messages::{Node, SECRET, StateRequest};
use crate::support::{World, certificate, domain};
use sealwax_xds::{Lookup, Peer};

fn certified(names: &[&str]) -> Peer {
    Peer::Certified(names.iter().map(|&name| name.into()).collect())
}

#[tokio::test(start_paused = true)]
async fn an_edge_is_one_of_the_names_in_its_certificate() {
    let mut world = World::new();
    world.source.issue("a.example.com", "1");
    let peer = certified(&["another", "edge-1"]);
    let mut client = world.open_as(peer, DELTA_ADS).await;
    client.subscribe(&["a.example.com"]);
    client.expect_certificate("a.example.com").await;
    assert_eq!(world.source.deliveries(1).await[0].2, "edge-1");
}

#[tokio::test(start_paused = true)]
async fn an_edge_that_is_not_who_its_certificate_says_is_refused_on_every_service() {
    let mut world = World::new();
    world.source.issue("a.example.com", "1");
    for path in [DELTA_ADS, DELTA_SDS, SOTW_ADS, SOTW_SDS] {
        for names in [&["edge-2"][..], &["EDGE-1"], &["edge-1 "], &["*"], &[""], &[]] {
            let mut client = world.open_as(certified(names), path).await;
            match path {
                SOTW_ADS | SOTW_SDS => client.send_message(&StateRequest {
                    node: Some(Node { id: client.node.clone(), ..Node::default() }),
                    names: vec!["a.example.com".to_owned()],
                    type_url: SECRET.to_owned(),
                    ..StateRequest::default()
                }),
                _ => client.subscribe(&["a.example.com"]),
            }
            client.expect_end("7").await;
        }
    }
    assert!(world.server.edges().is_empty() && world.source.lookups().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_covers_the_name_is_sent_under_the_name_that_was_asked_for() {
    let mut world = World::new();
    let wildcard = certificate("example.com", "1");
    for name in ["a.example.com", "b.example.com"] {
        world.source.set(name, Some(Lookup::Ready(Arc::clone(&wildcard))));
    }
    let mut client = world.delta().await;
    client.subscribe(&["a.example.com"]);
    assert_eq!(client.expect_certificate("a.example.com").await, wildcard.version());
    client.subscribe(&["B.Example.com"]);
    client.expect_certificate("B.Example.com").await;
}

#[tokio::test(start_paused = true)]
async fn a_changed_wildcard_reaches_exactly_the_names_right_below_its_zone() {
    let mut world = World::new();
    let names = ["a.example.com", "b.example.com", "example.com", "x.a.example.com", "a.other.com"];
    for name in names {
        world.source.issue(name, "1");
    }
    let mut client = world.delta().await;
    for name in names {
        client.subscribe(&[name]);
        client.expect_certificate(name).await;
    }
    for name in names {
        world.source.issue(name, "2");
    }
    world.server.changed_below(&domain("example.com"));
    let response = client.response().await;
    let mut sent: Vec<_> = response.resources.iter().map(|one| one.name.as_str()).collect();
    sent.sort_unstable();
    assert_eq!(sent, ["a.example.com", "b.example.com"]);
    client.ack(&response);
    client.expect_silence().await;
}
