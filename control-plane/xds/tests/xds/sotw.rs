//! The state-of-the-world variants, with the limits the protocol gives them.

#![allow(clippy::unwrap_used, reason = "a helper of the tests")]

use crate::support::World;
use crate::support::client::{Client, SOTW_ADS, SOTW_SDS};
use crate::support::messages::{RpcStatus, SECRET, Secret, StateRequest, StateResponse};
use prost::Message as _;

fn ask(client: &mut Client, names: &[&str], last: Option<&StateResponse>, refusal: Option<&str>) {
    client.send_message(&StateRequest {
        type_url: SECRET.to_owned(),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        version_info: last.map(|last| last.version_info.clone()).unwrap_or_default(),
        response_nonce: last.map(|last| last.nonce.clone()).unwrap_or_default(),
        error_detail: refusal.map(|text| RpcStatus { code: 13, message: text.to_owned() }),
        ..StateRequest::default()
    });
}

async fn expect(client: &mut Client, names: &[&str]) -> StateResponse {
    let response = StateResponse::decode(client.message().await.unwrap()).unwrap();
    assert!(!response.version_info.is_empty() && !response.nonce.is_empty());
    assert_eq!(response.type_url, SECRET);
    let got: Vec<_> = response
        .resources
        .iter()
        .map(|any| {
            assert_eq!(any.type_url, SECRET);
            Secret::decode(any.value.as_slice()).unwrap().name
        })
        .collect();
    assert_eq!(got, names);
    response
}

#[tokio::test(start_paused = true)]
async fn names_are_answered_as_they_are_added_and_renewed_while_they_are_listed() {
    for method in [SOTW_ADS, SOTW_SDS] {
        let mut world = World::new();
        world.source.issue("a.example.com", "1");
        world.source.issue("b.example.com", "1");
        let mut client = world.open(method).await;
        ask(&mut client, &["a.example.com"], None, None);
        let first = expect(&mut client, &["a.example.com"]).await;
        ask(&mut client, &["a.example.com"], Some(&first), None);
        client.expect_silence().await;
        ask(&mut client, &["a.example.com", "B.example.com"], Some(&first), None);
        let second = expect(&mut client, &["B.example.com"]).await;
        ask(&mut client, &["a.example.com", "B.example.com"], Some(&second), None);
        client.expect_silence().await;
        world.issue("a.example.com", "2");
        let third = expect(&mut client, &["a.example.com"]).await;
        ask(&mut client, &["B.example.com"], Some(&third), None);
        client.expect_silence().await;
        world.issue("a.example.com", "3");
        client.expect_silence().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_exist_is_met_with_silence_until_it_does() {
    let mut world = World::new();
    let mut client = world.open(SOTW_ADS).await;
    ask(&mut client, &["new.example.com", "*", "10.0.0.1"], None, None);
    client.expect_silence().await;
    world.issue("new.example.com", "1");
    expect(&mut client, &["new.example.com"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_version_is_reported_and_not_sent_again() {
    let mut world = World::new();
    let version = world.source.issue("a.example.com", "1");
    let mut client = world.open(SOTW_SDS).await;
    ask(&mut client, &["a.example.com"], None, None);
    let bad = expect(&mut client, &["a.example.com"]).await;
    ask(&mut client, &["a.example.com"], Some(&bad), Some("no"));
    assert_eq!(world.source.rejection().await.1, version);
    world.server.changed_all();
    client.expect_silence().await;
    world.issue("a.example.com", "2");
    expect(&mut client, &["a.example.com"]).await;
}
