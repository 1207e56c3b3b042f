//! A replica ends in the middle of an order, or wants what another one wants: one order comes of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use sealwax_testkit::{PATIENCE, TestClock, wait_until};

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

    // Nobody validates until it stops. The streams of an Envoy would take their time to end.
    site.b.envoy.process().kill();
    let log = site.b.control_plane.folder().join("sealwax.log");
    let validations = &site.validations;
    let taken_over = async {
        let stopping = wait_until("it to stop", PATIENCE, async || {
            std::fs::read_to_string(&log).ok()?.contains("stopping").then_some(())
        });
        stopping.await.unwrap();
        validations.pass();
        a.await_state(domain, "issued", Duration::from_secs(20)).await.unwrap()
    };
    let (ended, issued) = tokio::join!(site.b.control_plane.terminate(), taken_over);
    assert!(ended.unwrap().success());
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
            // The other replica finds the name due meanwhile.
            tokio::time::sleep(Duration::from_millis(300)).await;
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
    site.a.control_plane.kill();
    site.b.control_plane.kill();
    platform.here.store(true, Ordering::SeqCst);
    let clock = Arc::new(TestClock::new().unwrap());
    site.a.control_plane.set_clock(&clock);
    site.b.control_plane.set_clock(&clock);
    let (a, b) = tokio::join!(site.a.control_plane.restart(), site.b.control_plane.restart());
    a.and(b).unwrap();
    let (seconds, step) = (Duration::from_secs(15), Duration::from_millis(250));
    clock.pass(seconds, step, Duration::from_millis(50)).await.unwrap();
    for name in &names {
        admin.await_state(name, "issued", PATIENCE).await.unwrap();
    }
    assert_eq!(site.issued(), (NAMES, NAMES), "one order, one certificate each");
    let asked = platform.asked.load(Ordering::SeqCst);
    assert_eq!(asked, NAMES, "whoever does not hold a name does not ask about it");
}
