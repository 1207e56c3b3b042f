//! A new certificate takes the old one's place under traffic.

use sealwax_testkit::{Line, LineSettings, PATIENCE, Served, wait_until};

#[tokio::test]
async fn a_renewal_is_pushed_and_served_without_restart_or_drain() {
    let mut line = Line::start(LineSettings::default()).await.unwrap();
    let (admin, visitor, https) =
        (line.control_plane.admin(), line.visitor().unwrap(), line.https());
    admin.register("blog.example.com").await.unwrap();
    let mut connection = visitor.connect(https, "blog.example.com").await.unwrap();
    let old = connection.served().clone();
    assert_eq!(connection.get("/before").await.unwrap().status, 200);
    let envoy = line.envoy.process().id();

    admin.renew("blog.example.com").await.unwrap();
    // Every handshake until then succeeds, with the old certificate or the new one.
    let mut handshakes = Vec::<Served>::new();
    let new = wait_until("the new certificate to be served", PATIENCE, async || {
        let served = visitor.visit(https, "blog.example.com").await.unwrap();
        handshakes.push(served.clone());
        (served != old).then_some(served)
    });
    let new = new.await.unwrap();
    assert!(handshakes.iter().all(|served| *served == old || *served == new));

    let record = admin.show("blog.example.com").await.unwrap();
    assert_eq!(record["state"], "issued");
    assert_eq!((line.pebble.orders(), line.pebble.certificates()), (2, 2));

    // The connection made with the old certificate is still the same connection.
    assert_eq!(connection.get("/after").await.unwrap().text(), "origin: blog.example.com/after\n");
    assert_eq!(line.envoy.process().id(), envoy);
    assert!(line.envoy.process().is_running());
    for untouched in ["http.https.downstream_cx_drain_close", "listener_manager.listener_modified"]
    {
        assert_eq!(line.envoy.stat(untouched).await.unwrap(), Some(0), "{untouched}");
    }
}
