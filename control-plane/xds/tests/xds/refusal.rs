//! Certificates an edge refuses.

use crate::support::{World, domain};

#[tokio::test(start_paused = true)]
async fn a_refused_first_certificate_is_reported_and_followed_by_a_removal() {
    let mut world = World::new();
    let version = world.source.issue("bad.example.com", "1");
    let mut client = world.delta().await;
    client.subscribe(&["bad.example.com"]);
    let response = client.response().await;
    client.nack(&response, "key does not match");
    client.expect_removals(&["bad.example.com"]).await;
    let rejection = world.source.rejection().await;
    let expected = ("bad.example.com", version.as_str(), "edge-1", "key does not match");
    assert_eq!((&*rejection.0, &*rejection.1, &*rejection.2, &*rejection.3), expected);
    let view = &world.server.edges()[0];
    assert_eq!((view.nacks, view.resident), (1, 0));
    assert_eq!(view.last_nack.as_ref().unwrap().version, version);
}

#[tokio::test(start_paused = true)]
async fn a_refused_version_is_never_sent_again_and_a_new_one_is() {
    let mut world = World::new();
    world.source.issue("bad.example.com", "1");
    let mut client = world.delta().await;
    client.subscribe(&["bad.example.com"]);
    let response = client.response().await;
    client.nack(&response, "no");
    client.expect_removals(&["bad.example.com"]).await;
    client.unsubscribe(&["bad.example.com"]);
    // The next handshake, and any number of needless notices.
    client.subscribe(&["bad.example.com"]);
    client.expect_removals(&["bad.example.com"]).await;
    world.server.changed(&domain("bad.example.com"));
    world.server.changed_all();
    client.expect_silence().await;
    let good = world.issue("bad.example.com", "2");
    assert_eq!(client.expect_certificate("bad.example.com").await, good);
}

#[tokio::test(start_paused = true)]
async fn a_refused_renewal_leaves_the_good_version_and_blocks_no_other_name() {
    let mut world = World::new();
    let mut client = world.delta().await;
    for name in ["a.example.com", "b.example.com"] {
        world.source.issue(name, "1");
        client.subscribe(&[name]);
        client.expect_certificate(name).await;
    }
    world.source.deliveries(2).await;
    world.issue("a.example.com", "broken");
    let response = client.response().await;
    client.nack(&response, "no");
    world.source.rejection().await;
    client.expect_silence().await;
    world.issue("b.example.com", "2");
    client.expect_certificate("b.example.com").await;
    world.issue("a.example.com", "3");
    client.expect_certificate("a.example.com").await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_batch_is_sent_again_one_by_one_until_the_bad_one_is_found() {
    let mut world = World::new();
    let mut client = world.delta().await;
    let names = ["a.example.com", "b.example.com", "c.example.com"];
    for name in names {
        world.source.issue(name, "1");
        client.subscribe(&[name]);
        client.expect_certificate(name).await;
    }
    world.source.deliveries(3).await;
    for name in names {
        world.source.issue(name, "2");
    }
    world.server.changed_all();
    let batch = client.response().await;
    assert_eq!(batch.resources.len(), 3);
    client.nack(&batch, "one of them is broken");
    for _ in names {
        let response = client.response().await;
        assert_eq!(response.resources.len(), 1);
        match response.resources[0].name.as_str() {
            "b.example.com" => client.nack(&response, "this one"),
            _ => client.ack(&response),
        }
    }
    assert_eq!(world.source.rejection().await.0, "b.example.com");
    assert_eq!(world.source.rejections(), 0, "only the bad one is reported");
    client.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn a_refusal_overtaken_by_a_newer_version_does_not_withdraw_it() {
    let mut world = World::new();
    world.source.issue("a.example.com", "broken");
    let mut client = world.delta().await;
    client.subscribe(&["a.example.com"]);
    let broken = client.response().await;
    world.issue("a.example.com", "2");
    let good = client.response().await;
    client.nack(&broken, "no");
    client.ack(&good);
    world.source.rejection().await;
    client.expect_silence().await;
    assert_eq!(world.server.edges()[0].resident, 1);
}

#[tokio::test(start_paused = true)]
async fn what_an_edge_says_is_cut_and_need_not_be_text() {
    let mut world = World::new();
    world.source.issue("a.example.com", "1");
    let mut client = world.delta().await;
    client.subscribe(&["a.example.com"]);
    let response = client.response().await;
    client.nack(&response, &"ä".repeat(3000));
    let detail = world.source.rejection().await.3;
    assert!(detail.len() <= sealwax_xds::DETAIL_BYTES_MAX + 2, "{}", detail.len());
    client.expect_removals(&["a.example.com"]).await;
}
