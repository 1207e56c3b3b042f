//! Names that are not registered cost next to nothing, and never an order.

use std::time::Duration;

use sealwax_testkit::{Line, LineSettings, http};

#[tokio::test]
async fn an_unknown_name_fails_in_under_50_ms() {
    let line = Line::start(LineSettings::default()).await.unwrap();
    let visitor = line.visitor().unwrap();
    let mut times = Vec::new();
    for index in 0..21 {
        let domain = format!("nobody-{index}.example.com");
        let attempt = visitor.handshake(line.https(), &domain).await;
        let error = format!("{:#}", attempt.outcome.unwrap_err());
        assert!(error.contains("HandshakeFailure"), "an alert, not a broken connection: {error}");
        times.push(attempt.took);
    }
    // The median, because the machine is shared with the other stories.
    times.sort();
    assert!(times[10] < Duration::from_millis(50), "{times:?}");
    assert_eq!(line.pebble.orders(), 0);
}

#[tokio::test]
async fn a_request_for_an_unknown_name_goes_to_the_origin_and_orders_nothing() {
    let line = Line::start(LineSettings::default()).await.unwrap();
    let answer = http::get(line.envoy.http(), "nobody.example.com", "/").await.unwrap();
    assert_eq!(answer.text(), "origin: nobody.example.com/\n");
    assert_eq!(line.control_plane.edge().ask("nobody.example.com").await.unwrap().0, 404);
    assert_eq!(line.pebble.orders(), 0);
}

#[tokio::test]
async fn a_name_registered_after_it_was_refused_is_served() {
    let line = Line::start(LineSettings::default()).await.unwrap();
    let visitor = line.visitor().unwrap();
    let early = visitor.handshake(line.https(), "late.example.com").await;
    assert!(early.outcome.is_err());
    line.control_plane.admin().register("late.example.com").await.unwrap();
    visitor.visit(line.https(), "late.example.com").await.unwrap();
}

#[tokio::test]
async fn a_removed_domain_is_not_served_any_more() {
    let line = Line::start(LineSettings::default()).await.unwrap();
    let (admin, visitor) = (line.control_plane.admin(), line.visitor().unwrap());
    admin.register("leaving.example.com").await.unwrap();
    visitor.visit(line.https(), "leaving.example.com").await.unwrap();

    let removed = admin.send("DELETE", "/v1/domains/leaving.example.com", "").await.unwrap();
    assert!((200..300).contains(&removed.status), "{}", removed.text());
    let gone =
        sealwax_testkit::wait_until("handshakes to fail", sealwax_testkit::PATIENCE, async || {
            visitor.visit(line.https(), "leaving.example.com").await.err()
        });
    gone.await.unwrap();
    assert_eq!(admin.send("GET", "/v1/domains/leaving.example.com", "").await.unwrap().status, 404);
}
