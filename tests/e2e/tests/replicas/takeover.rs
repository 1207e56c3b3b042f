//! A replica ends in the middle of an order, or wants what another one wants: one order comes of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use sealwax_testkit::{PATIENCE, wait_until};

use crate::site::Site;

/// Leases that no test waits out.
fn with_long_leases(config: String) -> String {
    config.replace("lease = \"2s\"", "lease = \"10m\"")
}

#[tokio::test]
async fn when_the_holder_is_killed_in_mid_order_another_replica_finishes_that_order() {
    let mut site = Site::start().await;
    site.b.control_plane.admin().register("blog.example.com").await.unwrap();

    // The order stands still where the CA fetches the challenge's answer.
    site.validations.hold();
    let asked = site.b.control_plane.edge().ask("blog.example.com").await.unwrap();
    assert_eq!(asked.0, 202, "{}", asked.1);
    let validating = wait_until("Pebble to validate", PATIENCE, async || {
        site.pebble.challenge_path("blog.example.com")
    });
    validating.await.unwrap();
    site.b.control_plane.kill();
    // A's Envoy answers with what B stored; A waits for B's lease to be silent, and goes on.
    site.validations.pass();
    let a = site.a.control_plane.admin();
    a.await_state("blog.example.com", "issued", PATIENCE).await.unwrap();
    site.visitor().visit(site.a.envoy.https(), "blog.example.com").await.unwrap();
    assert_eq!(site.issued(), (1, 1), "one order, one certificate");
}

#[tokio::test]
async fn told_to_stop_in_mid_order_a_replica_hands_it_over_at_once_with_what_was_put_meanwhile() {
    let mut site = Site::start_changed("10s", "", with_long_leases).await;
    let (a, domain) = (site.a.control_plane.admin(), "blog.example.com");
    site.b.control_plane.admin().register(domain).await.unwrap();
    site.validations.hold();
    let asked = site.b.control_plane.edge().ask(domain).await.unwrap();
    assert_eq!(asked.0, 202, "{}", asked.1);
    let validating =
        wait_until("Pebble to validate", PATIENCE, async || site.pebble.challenge_path(domain));
    validating.await.unwrap();
    let again = a.send("PUT", &format!("/v1/domains/{domain}"), "{\"tenant\": \"t1\"}").await;
    assert_eq!(again.unwrap().status, 200);

    // Well within the time that a process is given to stop, although nobody validates.
    let stopping = std::time::Instant::now();
    assert!(site.b.control_plane.terminate().await.unwrap().success());
    assert!(stopping.elapsed() < Duration::from_secs(10), "{:?}", stopping.elapsed());
    site.validations.pass();
    let issued = a.await_state(domain, "issued", Duration::from_secs(15)).await.unwrap();
    assert_eq!(issued["tenant"], "t1", "{issued}");
    site.visitor().visit(site.a.envoy.https(), domain).await.unwrap();
    assert_eq!(site.issued(), (1, 1), "one order, one certificate");
}

/// A platform that is away, or lets all names pass and counts how often it was asked then.
#[derive(Default)]
struct Platform {
    here: AtomicBool,
    asked: AtomicUsize,
}

impl Platform {
    async fn start(self: Arc<Self>) -> SocketAddr {
        let answer = async |State(platform): State<Arc<Self>>| {
            if !platform.here.load(Ordering::SeqCst) {
                return StatusCode::INTERNAL_SERVER_ERROR;
            }
            platform.asked.fetch_add(1, Ordering::SeqCst);
            StatusCode::OK
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new().route("/ask", axum::routing::get(answer)).with_state(self);
        tokio::spawn(async move { axum::serve(listener, app).await });
        address
    }
}

/// They are due at both, from the moment on that both start.
#[tokio::test]
async fn two_replicas_that_find_the_same_names_due_place_one_order_for_each() {
    const NAMES: usize = 16;
    let platform = Arc::<Platform>::default();
    let ask = Arc::clone(&platform).start().await;
    let more = format!(
        "on_register = true\n[permission]\nask_url = \"http://{ask}/ask\"\n\
         [renewal]\nsweep_interval = \"100ms\"\n"
    );
    let mut site = Site::start_changed("10s", &more, with_long_leases).await;
    let admin = site.a.control_plane.admin();
    let names: Vec<_> = (0..NAMES).map(|number| format!("due{number}.example.com")).collect();
    for name in &names {
        admin.register(name).await.unwrap();
    }
    for name in &names {
        admin.await_state(name, "deferred", PATIENCE).await.unwrap();
    }
    for replica in [&mut site.a, &mut site.b] {
        assert!(replica.control_plane.terminate().await.unwrap().success());
    }
    platform.here.store(true, Ordering::SeqCst);
    let (a, b) = tokio::join!(site.a.control_plane.restart(), site.b.control_plane.restart());
    a.and(b).unwrap();
    for name in &names {
        admin.await_state(name, "issued", PATIENCE).await.unwrap();
    }
    assert_eq!(site.issued(), (NAMES, NAMES), "one order, one certificate each");
    let asked = platform.asked.load(Ordering::SeqCst);
    assert_eq!(asked, NAMES, "whoever does not hold a name does not ask about it");
}
