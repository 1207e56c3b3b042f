//! The platform says that a domain is gone.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use sealwax_testkit::{Line, LineSettings, PATIENCE, TestClock, wait_until};

/// A visit asks about a new domain after half a minute.
const VISITS_WITHIN: Duration = Duration::from_secs(90);

/// The platform's `ask` endpoint, which answers everything alike.
struct Platform {
    status: Arc<AtomicU16>,
    address: SocketAddr,
}

impl Platform {
    async fn start() -> Self {
        let status = Arc::new(AtomicU16::new(204));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer = async |State(status): State<Arc<AtomicU16>>| {
            StatusCode::from_u16(status.load(Ordering::SeqCst)).unwrap()
        };
        let app = Router::new().route("/ask", axum::routing::get(answer));
        let app = app.with_state(Arc::clone(&status));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { status, address }
    }

    fn answers(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_deploy_that_answers_404_to_everything_costs_nobody_a_certificate() {
    let platform = Platform::start().await;
    let more = format!(
        "[permission]\nask_url = \"http://{}/ask\"\ncache_ttl = \"0s\"\nnegative_ttl = \"0s\"\n",
        platform.address
    );
    let line = Line::start(LineSettings { more, ..LineSettings::default() }).await.unwrap();
    let (admin, visitor) = (line.control_plane.admin(), line.visitor().unwrap());
    for domain in ["blog.example.com", "new.example.com"] {
        admin.register(domain).await.unwrap();
    }
    let before = visitor.visit(line.https(), "blog.example.com").await.unwrap();

    // The deploy begins: a renewal is due, and someone comes to a domain that is new.
    platform.answers(404);
    admin.renew("blog.example.com").await.unwrap();
    assert!(visitor.visit(line.https(), "new.example.com").await.is_err());
    for domain in ["blog.example.com", "new.example.com"] {
        let record = admin.await_state(domain, "deferred", PATIENCE).await.unwrap();
        assert_eq!(record["failure"]["cause"], "platform_gone", "{record}");
        assert_eq!(record["failure"]["attempts"], 0, "not its failure: {record}");
    }
    assert_eq!(visitor.visit(line.https(), "blog.example.com").await.unwrap(), before);
    assert_eq!(line.pebble.orders(), 1);

    // And it ends: one is registered again, the other is only visited.
    platform.answers(204);
    admin.register("blog.example.com").await.unwrap();
    assert_eq!(admin.show("blog.example.com").await.unwrap()["state"], "issued");
    let visited = wait_until("a visit to wake the new domain", VISITS_WITHIN, async || {
        visitor.visit(line.https(), "new.example.com").await.ok()
    });
    visited.await.unwrap();
    admin.renew("blog.example.com").await.unwrap();
    let renewed = wait_until("the renewal", PATIENCE, async || {
        let served = visitor.visit(line.https(), "blog.example.com").await.ok();
        served.filter(|served| *served != before)
    });
    renewed.await.unwrap();
}

/// On a clock that is set forward.
#[tokio::test]
async fn fifty_minutes_of_404_park_nothing_and_are_soon_over_for_every_renewal() {
    let platform = Platform::start().await;
    // Steps of ten seconds are no time that the platform took.
    let more = format!(
        "[permission]\nask_url = \"http://{}/ask\"\ncache_ttl = \"0s\"\nnegative_ttl = \"0s\"\n\
         timeout = \"1m\"\n",
        platform.address
    );
    let mut line = Line::start(LineSettings { more, ..LineSettings::default() }).await.unwrap();
    let clock = Arc::new(TestClock::new().unwrap());
    line.control_plane.set_clock(&clock);
    line.control_plane.reconfigure("lease = \"2s\"", "lease = \"5m\"").unwrap();
    line.control_plane.restart().await.unwrap();
    let admin = line.control_plane.admin();
    let names: Vec<_> = (0..6).map(|number| format!("shop{number}.example.com")).collect();
    let mut before = Vec::new();
    for name in &names {
        admin.register(name).await.unwrap();
        line.control_plane.edge().ask(name).await.unwrap();
        before.push(admin.await_state(name, "issued", PATIENCE).await.unwrap());
    }
    platform.answers(404);
    for name in &names {
        admin.renew(name).await.unwrap();
        admin.await_state(name, "deferred", PATIENCE).await.unwrap();
    }
    let (step, pause) = (Duration::from_secs(10), Duration::from_millis(25));
    clock.pass(Duration::from_secs(50 * 60), step, pause).await.unwrap();
    for name in &names {
        let record = admin.show(name).await.unwrap();
        assert_eq!(record["state"], "deferred", "{record}");
    }

    platform.answers(204);
    let back = clock.ahead();
    // An order has several requests, each with its time.
    let (step, pause) = (Duration::from_secs(4), Duration::from_millis(30));
    for (name, before) in names.iter().zip(before) {
        let serial = |record: &serde_json::Value| record["certificate"]["serial"].clone();
        while serial(&admin.show(name).await.unwrap()) == serial(&before) {
            let late = clock.ahead() - back > Duration::from_secs(15 * 60);
            assert!(!late, "{}", line.control_plane.log());
            clock.pass(step, step, pause).await.unwrap();
        }
    }
}
