//! A part is away.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
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
async fn with_the_ca_unreachable_the_outage_is_recorded_and_over_when_the_ca_is_back() {
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
    assert_eq!(failure["attempts"], 0, "nobody's failure");
    assert!(failure["stalls"].as_u64() >= Some(1), "{failure}");
    assert!(failure["next_attempt_at"].as_str().is_some_and(|at| at.ends_with('Z')), "{failure}");

    // Nobody renews it by hand, and its visitors need not wait for its schedule.
    line.to_ca.pass();
    let served = wait_until("the domain to be served", PATIENCE, async || {
        visitor.visit(line.https(), "blog.example.com").await.ok()
    });
    served.await.unwrap();
    assert_eq!((line.pebble.orders(), line.pebble.certificates()), (1, 1));
}

/// A platform's permission endpoint that is away when the test says so. Returns its address.
async fn platform(away: Arc<AtomicBool>) -> SocketAddr {
    let answer = move || {
        let away = away.load(Ordering::SeqCst);
        std::future::ready(if away { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK })
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().route("/ask", axum::routing::get(answer));
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

#[tokio::test]
async fn a_platform_that_was_away_for_seconds_costs_a_visitor_seconds() {
    let away = Arc::new(AtomicBool::new(true));
    let ask = platform(Arc::clone(&away)).await;
    let more = format!("[permission]\nask_url = \"http://{ask}/ask\"\n");
    let line = Line::start(LineSettings { more, ..LineSettings::default() }).await.unwrap();
    let (admin, visitor) = (line.control_plane.admin(), line.visitor().unwrap());
    admin.register("blog.example.com").await.unwrap();
    assert!(visitor.visit(line.https(), "blog.example.com").await.is_err());
    let record = admin.await_state("blog.example.com", "deferred", PATIENCE).await.unwrap();
    assert_eq!(record["failure"]["cause"], "platform_unavailable");

    away.store(false, Ordering::SeqCst);
    // Less than the minute that a domain's own failure is waited for.
    let served = wait_until("the visitor to be served", Duration::from_secs(30), async || {
        visitor.visit(line.https(), "blog.example.com").await.ok()
    });
    served.await.unwrap();
    assert_eq!((line.pebble.orders(), line.pebble.certificates()), (1, 1));
    assert_eq!(record["failure"]["attempts"], 0, "{record}");
}

/// What the CA has no order for costs nothing of its limits, and who waits goes on when it is back.
#[tokio::test]
async fn an_outage_of_the_ca_spends_none_of_its_limits_and_ends_for_all_who_wait() {
    const NAMES: usize = 20;
    let settings = LineSettings { issuer: "limits = \"letsencrypt\"\n", ..LineSettings::default() };
    let line = Line::start(settings).await.unwrap();
    let admin = line.control_plane.admin();
    // The CA was there, and its account is made.
    admin.register("before.example.com").await.unwrap();
    admin.renew("before.example.com").await.unwrap();
    admin.await_state("before.example.com", "issued", PATIENCE).await.unwrap();

    line.to_ca.cut();
    let names: Vec<_> = (0..NAMES).map(|number| format!("site{number}.example.com")).collect();
    for name in &names {
        admin.register(name).await.unwrap();
        admin.renew(name).await.unwrap();
    }
    let mut attempts = 0;
    for name in &names {
        let record = admin.await_state(name, "deferred", PATIENCE).await.unwrap();
        attempts += record["failure"]["attempts"].as_u64().unwrap();
    }
    let asked = line.to_ca.accepted();
    let asked_again = async || (line.to_ca.accepted() > asked + 2).then_some(());
    let probed = wait_until("the CA to be probed", PATIENCE, asked_again).await;
    assert_eq!(line.pebble.orders(), 1);

    line.to_ca.pass();
    let mut late = 0;
    for name in &names {
        // One that does not come tells as much as twenty.
        let patience = if late == 0 { PATIENCE } else { Duration::from_millis(1) };
        late += usize::from(admin.await_state(name, "issued", patience).await.is_err());
    }
    let mut spent = 0;
    let counted = wait_until("the budget to be read", PATIENCE, async || {
        let fleet = admin.send("GET", "/v1/fleet", "").await.ok()?;
        let fleet: serde_json::Value = serde_json::from_slice(&fleet.body).ok()?;
        let orders = fleet["budgets"].as_array()?.iter().find(|one| one["limit"] == "orders")?;
        spent = orders["of"].as_u64()? - orders["left"].as_u64()?;
        // A token comes back in 36 s.
        (spent >= 15).then_some(())
    });
    let counted = counted.await;
    let placed = u64::try_from(line.pebble.orders()).unwrap();
    assert!(
        probed.is_ok() && late == 0 && counted.is_ok() && spent <= placed,
        "{late} are not issued; {spent} tokens are spent for {placed} orders; {probed:?}"
    );
    assert_eq!(attempts, 0, "the CA was away, no domain failed");
    assert_eq!((line.pebble.orders(), line.pebble.certificates()), (NAMES + 1, NAMES + 1));
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
