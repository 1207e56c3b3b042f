//! A part is away.

use std::time::Duration;

use sealwax_testkit::{
    Line, LineSettings, Moto, PATIENCE, StoreSettings, TcpProxy, http, wait_until,
};

#[tokio::test]
async fn with_the_control_plane_down_known_domains_go_on_working() {
    let mut line = Line::start(LineSettings::default()).await.unwrap();
    let (admin, visitor) = (line.control_plane.admin(), line.visitor().unwrap());
    for domain in ["known.example.com", "later.example.com"] {
        admin.register(domain).await.unwrap();
    }
    let before = visitor.visit(line.https(), "known.example.com").await.unwrap();

    line.control_plane.kill();
    for _ in 0..10 {
        assert_eq!(visitor.visit(line.https(), "known.example.com").await.unwrap(), before);
    }
    let mut connection = visitor.connect(line.https(), "known.example.com").await.unwrap();
    assert_eq!(connection.get("/").await.unwrap().status, 200);
    let plain = http::get(line.envoy.http(), "unseen.example.com", "/").await.unwrap();
    assert_eq!(plain.status, 200, "requests are not held up: {}", plain.text());

    // A handshake that has to wait for a control plane is completed when it is back.
    let (waiting, https) = (visitor.clone(), line.https());
    let visit = tokio::spawn(async move { waiting.visit(https, "later.example.com").await });
    line.control_plane.restart().await.unwrap();
    visit.await.unwrap().unwrap();
    assert_eq!(visitor.visit(line.https(), "known.example.com").await.unwrap(), before);
}

#[tokio::test]
async fn with_the_ca_unreachable_the_attempt_is_recorded_and_handshakes_do_not_repeat_it() {
    let line = Line::start(LineSettings::default()).await.unwrap();
    let (admin, visitor) = (line.control_plane.admin(), line.visitor().unwrap());
    admin.register("blog.example.com").await.unwrap();
    line.to_ca.cut();

    let attempt = visitor.handshake(line.https(), "blog.example.com").await;
    assert!(attempt.outcome.is_err());
    assert!(attempt.took < Duration::from_secs(20), "bounded: {:?}", attempt.took);
    let record = admin.await_state("blog.example.com", "deferred", PATIENCE).await.unwrap();
    let failure = &record["failure"];
    assert_eq!((&failure["cause"], &failure["who"]), (&"ca_unavailable".into(), &"ca".into()));
    assert_eq!(failure["attempts"], 1);
    assert!(failure["next_attempt_at"].as_str().is_some_and(|at| at.ends_with('Z')), "{failure}");

    let asked = line.to_ca.accepted();
    for _ in 0..5 {
        assert!(visitor.visit(line.https(), "blog.example.com").await.is_err());
    }
    assert_eq!(line.to_ca.accepted(), asked, "the schedule has the word, not the handshakes");
    assert_eq!(admin.show("blog.example.com").await.unwrap()["failure"]["attempts"], 1);

    line.to_ca.pass();
    admin.renew("blog.example.com").await.unwrap();
    admin.await_state("blog.example.com", "issued", PATIENCE).await.unwrap();
    visitor.visit(line.https(), "blog.example.com").await.unwrap();
    assert_eq!((line.pebble.orders(), line.pebble.certificates()), (1, 1));
}

#[tokio::test]
async fn a_name_without_an_address_is_refused_with_the_cause_and_what_to_do() {
    let line = Line::start(LineSettings::default()).await.unwrap();
    let admin = line.control_plane.admin();
    admin.register("no-dns.example.com").await.unwrap();
    line.pebble.dns().forget("no-dns.example.com").await.unwrap();
    let attempt = line.visitor().unwrap().handshake(line.https(), "no-dns.example.com").await;
    assert!(attempt.outcome.is_err());
    let failed = |record: &serde_json::Value| record["failure"]["who"] == "customer";
    let record = admin.show_until("no-dns.example.com", PATIENCE, failed).await.unwrap();
    let fix = record["failure"]["fix"].as_str().unwrap_or_default();
    assert!(!fix.is_empty(), "{record}");
    assert_eq!((line.pebble.orders(), line.pebble.certificates()), (1, 0));
}

#[tokio::test]
async fn with_the_store_unreachable_nothing_is_ordered_and_what_is_cached_is_served() {
    let moto = Moto::start().await.unwrap();
    let to_store = TcpProxy::start(moto.address()).await.unwrap();
    let store = StoreSettings::DynamoDb { endpoint: to_store.address() };
    let line = Line::start(LineSettings { store, ..LineSettings::default() }).await.unwrap();
    let (admin, visitor) = (line.control_plane.admin(), line.visitor().unwrap());
    for domain in ["known.example.com", "new.example.com"] {
        admin.register(domain).await.unwrap();
    }
    let before = visitor.visit(line.https(), "known.example.com").await.unwrap();
    assert_eq!(line.pebble.orders(), 1);

    to_store.cut();
    assert_eq!(visitor.visit(line.https(), "known.example.com").await.unwrap(), before);
    let attempt = visitor.handshake(line.https(), "new.example.com").await;
    assert!(attempt.outcome.is_err());
    assert!(attempt.took < Duration::from_secs(20), "bounded: {:?}", attempt.took);
    assert_eq!(line.pebble.orders(), 1, "never an order without the store");

    to_store.pass();
    let served = wait_until("the new domain to be served", PATIENCE, async || {
        visitor.visit(line.https(), "new.example.com").await.ok()
    });
    served.await.unwrap();
    assert_eq!((line.pebble.orders(), line.pebble.certificates()), (2, 2));
}
