//! What an edge holds is withdrawn on evidence, and never by the mass.

use sealwax_xds::Lookup;

use crate::support::World;

/// Asks for a name and takes its certificate.
async fn hold(world: &World, client: &mut crate::support::client::Client, name: &str) {
    world.source.issue(name, "1");
    client.subscribe(&[name]);
    let response = client.response().await;
    client.ack(&response);
}

/// INV-23
#[tokio::test(start_paused = true)]
async fn a_held_name_is_withdrawn_on_evidence_and_not_because_nothing_is_known_of_it() {
    for cold in [false, true] {
        let mut world = World::new();
        let mut client = world.delta().await;
        hold(&world, &mut client, "a.example.com").await;
        world.source.deliveries(1).await;
        world.source.set_cold(cold);
        world.source.set("a.example.com", Some(Lookup::Missing));
        world.server.changed_all();
        client.expect_silence().await;
        assert_eq!(world.server.holdings().unknown, 1, "it is counted");
        // Nor after a reconnect; what nobody holds is answered at once.
        let version = crate::support::certificate("a.example.com", "1").version().to_owned();
        drop(client);
        let mut client = world.delta().await;
        world.source.set("b.example.com", Some(Lookup::Missing));
        client.reconnect(&["b.example.com"], &[("a.example.com", &version)]);
        client.expect_removals(&["b.example.com"]).await;
        client.expect_silence().await;
        assert_eq!(world.server.holdings().unknown, 1);
        world.source.remove("a.example.com");
        world.server.changed(&crate::support::domain("a.example.com"));
        client.expect_removals(&["a.example.com"]).await;
        assert_eq!(world.server.holdings().unknown, 0);
    }
}

/// INV-23: nor does a read that fails once lose the removal.
#[tokio::test(start_paused = true)]
async fn a_removal_that_could_not_be_read_at_first_is_delivered_later() {
    let mut world = World::new();
    let mut client = world.delta().await;
    for name in ["a.example.com", "b.example.com"] {
        hold(&world, &mut client, name).await;
    }
    world.source.deliveries(2).await;
    world.source.set_cold(true);
    world.source.cannot_tell(2);
    world.source.remove("a.example.com");
    world.server.changed(&crate::support::domain("a.example.com"));
    client.expect_removals(&["a.example.com"]).await;
    world.source.set("b.example.com", Some(Lookup::Unavailable));
    world.server.changed(&crate::support::domain("b.example.com"));
    world.source.looked_up("b.example.com", 2).await;
    world.source.remove("b.example.com");
    client.expect_removals(&["b.example.com"]).await;
}

#[tokio::test(start_paused = true)]
async fn what_nothing_is_known_of_comes_back_or_is_released() {
    let mut world = World::new();
    let mut client = world.delta().await;
    for name in ["a.example.com", "b.example.com"] {
        hold(&world, &mut client, name).await;
        world.source.set(name, Some(Lookup::Missing));
    }
    world.source.deliveries(2).await;
    world.server.changed_all();
    client.expect_silence().await;
    assert_eq!(world.server.holdings().unknown, 2);
    world.issue("a.example.com", "2");
    client.expect_certificate("a.example.com").await;
    client.expect_silence().await;
    assert_eq!(world.server.holdings().unknown, 1);
    world.server.release_withdrawals(false);
    client.expect_silence().await;
    world.server.release_withdrawals(true);
    client.expect_removals(&["b.example.com"]).await;
}

#[tokio::test(start_paused = true)]
async fn the_brake_holds_mass_withdrawals_back_until_they_are_released_or_time_has_passed() {
    let mut world = World::with(|config| {
        config.withdrawal_percent = 10;
        config.withdrawal_floor = 2;
    });
    let mut client = world.delta().await;
    let names: Vec<_> = (0..40).map(|n| format!("n{n:02}.example.com")).collect();
    for name in &names {
        hold(&world, &mut client, name).await;
    }
    world.source.deliveries(40).await;
    for name in &names {
        world.source.set(name, None);
    }
    world.server.changed_all();
    let mut removed = client.response().await.removed.len();
    client.expect_silence().await;
    assert_eq!(removed, 4, "a tenth");
    let holdings = world.server.holdings();
    assert_eq!((holdings.held_back, holdings.brakes), (36, 1));
    // A client that asks holds nothing, and is answered.
    client.subscribe(&[&names[39]]);
    client.expect_removals(&[&names[39]]).await;
    // One that turns out to be there again stays.
    world.issue(&names[38], "1");
    client.expect_silence().await;
    assert_eq!(world.server.holdings().held_back, 34);
    tokio::time::advance(std::time::Duration::from_secs(601)).await;
    removed = client.response().await.removed.len();
    assert!((1..=4).contains(&removed), "the next ones: {removed}");
    world.server.release_withdrawals(false);
    let mut rest = 0;
    while world.server.holdings().held_back > 0 {
        rest += client.response().await.removed.len();
    }
    assert!(rest >= 30, "{rest}");
}
