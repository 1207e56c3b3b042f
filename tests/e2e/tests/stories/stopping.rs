//! A control plane that is told to stop.

use sealwax_testkit::{DynamoDb, Line, LineSettings, PATIENCE, StoreSettings, http, wait_until};

/// A store that is shared, so that leases count, and leases that no test waits out.
async fn line_with_long_leases(store: &DynamoDb) -> Line {
    let settings = LineSettings {
        store: StoreSettings::DynamoDb { endpoint: store.address() },
        nonces_refused_percent: 0,
        ..LineSettings::default()
    };
    let mut line = Line::start(settings).await.unwrap();
    reconfigure(&mut line, "lease = \"2s\"", "lease = \"10m\"").await;
    line
}

async fn reconfigure(line: &mut Line, from: &str, to: &str) {
    let file = line.control_plane.config_file();
    let config = std::fs::read_to_string(&file).unwrap();
    assert!(config.contains(from), "{config}");
    std::fs::write(&file, config.replace(from, to)).unwrap();
    line.control_plane.restart().await.unwrap();
}

#[tokio::test]
async fn told_to_stop_between_an_order_and_its_answer_it_keeps_the_order_and_its_lease_is_over() {
    let store = DynamoDb::start().await.unwrap();
    let mut line = line_with_long_leases(&store).await;
    let (admin, visitor) = (line.control_plane.admin(), line.visitor().unwrap());
    // The account is known, and a nonce is left from it.
    admin.register("first.example.com").await.unwrap();
    visitor.visit(line.https(), "first.example.com").await.unwrap();

    admin.register("blog.example.com").await.unwrap();
    line.to_ca.hold_answers();
    line.control_plane.edge().ask("blog.example.com").await.unwrap();
    let pebble = &line.pebble;
    let placed = wait_until("the CA to take the order", PATIENCE, async || {
        (pebble.orders() == 2).then_some(())
    });
    placed.await.unwrap();

    let log = line.control_plane.folder().join("sealwax.log");
    let to_ca = &line.to_ca;
    let answered = async {
        let stopping = wait_until("it to stop", PATIENCE, async || {
            std::fs::read_to_string(&log).ok()?.contains("stopping").then_some(())
        });
        stopping.await.unwrap();
        to_ca.pass();
    };
    let (ended, ()) = tokio::join!(line.control_plane.terminate(), answered);
    assert!(ended.unwrap().success());

    line.control_plane.restart().await.unwrap();
    admin.await_state("blog.example.com", "issued", PATIENCE).await.unwrap();
    visitor.visit(line.https(), "blog.example.com").await.unwrap();
    assert_eq!((line.pebble.orders(), line.pebble.certificates()), (2, 2), "one order each");
}

#[tokio::test]
async fn without_on_handshake_no_visitor_places_an_order() {
    let mut line = Line::start(LineSettings::default()).await.unwrap();
    let (admin, visitor) = (line.control_plane.admin(), line.visitor().unwrap());
    admin.register("blog.example.com").await.unwrap();
    let keys = "on_handshake = false\non_register = true\nlease = \"2s\"";
    reconfigure(&mut line, "lease = \"2s\"", keys).await;

    let (status, told) = line.control_plane.edge().ask("blog.example.com").await.unwrap();
    assert_eq!(status, 403, "{told}");
    assert!(visitor.visit(line.https(), "blog.example.com").await.is_err());
    let plain = http::get(line.envoy.http(), "blog.example.com", "/").await.unwrap();
    assert_eq!(plain.status, 200, "a request is not held up: {}", plain.text());
    // Whatever a visitor put into a queue would be ordered before this one.
    admin.register("later.example.com").await.unwrap();
    admin.await_state("later.example.com", "issued", PATIENCE).await.unwrap();
    assert_eq!(line.pebble.orders(), 1);

    admin.renew("blog.example.com").await.unwrap();
    admin.await_state("blog.example.com", "issued", PATIENCE).await.unwrap();
    visitor.visit(line.https(), "blog.example.com").await.unwrap();
}
