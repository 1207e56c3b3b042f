//! What a CA does not end by itself is ended, and what it was asked too early is asked again.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use sealwax_testkit::{Bend, Line, LineSettings, PATIENCE, TestClock, wait_until};
use serde_json::Value;

use crate::odd_cas::{bend, bent_line};

/// A second CA: the same Pebble, with an account of its own and nothing bent.
async fn add_spare(line: &mut Line) {
    let file = line.control_plane.config_file();
    let config = std::fs::read_to_string(&file).unwrap();
    let spare = format!(
        "[[issuer]]\nname = \"spare\"\ndirectory = \"{}\"\nca_file = \"{}\"\n",
        line.pebble.directory(),
        line.pebble.tls_root_file().display()
    );
    std::fs::write(&file, format!("{config}\n{spare}")).unwrap();
    line.control_plane.restart().await.unwrap();
}

async fn events(line: &Line, domain: &str) -> Vec<Value> {
    let admin = line.control_plane.admin();
    let answer = admin.send("GET", &format!("/v1/domains/{domain}/events"), "").await.unwrap();
    let said: Value = serde_json::from_slice(&answer.body).unwrap();
    said["events"].as_array().cloned().unwrap_or_default()
}

#[tokio::test]
async fn an_order_past_its_end_goes_to_another_ca_and_was_never_looked_at_without_a_pause() {
    let mut line = bent_line().await;
    add_spare(&mut line).await;
    let domain = "blog.example.com";
    let admin = line.control_plane.admin();
    admin.register(domain).await.unwrap();
    bend(&line, &[Bend::Stuck, Bend::Overdue, Bend::AtOnce]);
    line.control_plane.edge().ask(domain).await.unwrap();
    let issued = admin.await_state(domain, "issued", PATIENCE).await.map(drop);
    let looks = line.bent.as_ref().unwrap().asks().looks;
    // With a pause of 0.15 s, a second or so of haste and three of waiting.
    let few = (1..40).contains(&looks);
    assert!(few && issued.is_ok(), "{looks} looks; {issued:?}");
    let told = events(&line, domain).await;
    assert!(told.iter().any(|event| event["kind"] == "order.abandoned"), "{told:?}");
    assert_eq!((line.pebble.orders(), line.pebble.accounts()), (2, 2));
}

/// Someone registers a name again while its order is placed; a CA does not find a certificate at
/// once.
#[tokio::test]
async fn what_was_placed_is_kept_whatever_happens_meanwhile() {
    let settings =
        LineSettings { bent: true, nonces_refused_percent: 0, ..LineSettings::default() };
    let line = Line::start(settings).await.unwrap();
    let (admin, visitor) = (line.control_plane.admin(), line.visitor().unwrap());
    for label in ["first", "blog", "late"] {
        admin.register(&format!("{label}.example.com")).await.unwrap();
    }
    // The account is known, and a nonce is left from it.
    visitor.visit(line.https(), "first.example.com").await.unwrap();

    line.to_ca.hold_answers();
    line.control_plane.edge().ask("blog.example.com").await.unwrap();
    let placed = wait_until("the CA to take the order", PATIENCE, async || {
        (line.pebble.orders() == 2).then_some(())
    });
    placed.await.unwrap();
    let path = "/v1/domains/blog.example.com";
    let again = admin.send("PUT", path, "{\"tenant\": \"t1\"}").await.unwrap();
    assert_eq!(again.status, 200, "{}", again.text());
    line.to_ca.pass();
    let issued = admin.await_state("blog.example.com", "issued", PATIENCE).await.unwrap();
    assert_eq!(issued["tenant"], "t1");
    let after_put = (line.pebble.orders(), line.pebble.certificates());

    bend(&line, &[Bend::LateCertificate]);
    line.control_plane.edge().ask("late.example.com").await.unwrap();
    let late = admin.await_state("late.example.com", "issued", PATIENCE).await.map(drop);
    let after_late = (line.pebble.orders(), line.pebble.certificates());
    assert_eq!((after_put, after_late), ((2, 2), (3, 3)), "one order, one certificate: {late:?}");
    late.unwrap();
}

/// A receiver of webhooks that takes all but those which tell of one domain.
#[derive(Default)]
struct Receiver {
    refused: Mutex<Option<&'static str>>,
    taken: Mutex<Vec<Value>>,
}

impl Receiver {
    /// Returns its address.
    async fn start(self: Arc<Self>) -> SocketAddr {
        let take = async |State(receiver): State<Arc<Self>>, body: String| {
            let refused = *receiver.refused.lock().unwrap();
            if refused.is_some_and(|domain| body.contains(domain)) {
                return StatusCode::INTERNAL_SERVER_ERROR;
            }
            receiver.taken.lock().unwrap().push(serde_json::from_str(&body).unwrap());
            StatusCode::OK
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new().route("/hook", axum::routing::post(take)).with_state(self);
        tokio::spawn(async move { axum::serve(listener, app).await });
        address
    }
}

/// A line whose control plane goes by a clock of the test's, with one place to act.
async fn hurried_line(more: String) -> (Line, Arc<TestClock>) {
    let more = format!("concurrency = 1\n{more}");
    let line = Line::start(LineSettings { bent: true, more, ..LineSettings::default() });
    let (mut line, clock) = (line.await.unwrap(), Arc::new(TestClock::new().unwrap()));
    line.control_plane.set_clock(&clock);
    // A lease of two seconds is a tenth of one in a hurry.
    line.control_plane.reconfigure("lease = \"2s\"", "lease = \"5m\"").unwrap();
    line.control_plane.restart().await.unwrap();
    (line, clock)
}

/// Lets six minutes pass, or fewer if it is over before; returns the record then.
async fn passing(
    line: &Line,
    clock: &TestClock,
    domain: &str,
    over: impl Fn(&Value) -> bool,
) -> Option<Value> {
    let admin = line.control_plane.admin();
    for _ in 0..36 {
        let (step, pause) = (Duration::from_secs(1), Duration::from_millis(15));
        clock.pass(Duration::from_secs(10), step, pause).await.unwrap();
        let record = admin.show(domain).await.unwrap();
        if over(&record) {
            return Some(record);
        }
    }
    None
}

#[tokio::test]
async fn an_order_left_in_processing_rests_frees_its_place_and_stops_no_notice() {
    let receiver = Arc::<Receiver>::default();
    let hook = Arc::clone(&receiver).start().await;
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let (mut line, clock) = hurried_line(format!(
        "[[notify]]\nurl = \"http://{hook}/hook\"\nsecret_file = \"{}\"\n",
        secret.display()
    ))
    .await;
    let admin = line.control_plane.admin();
    for domain in ["stuck.example.com", "next.example.com", "other.example.com"] {
        admin.register(domain).await.unwrap();
    }
    // A notice of it waits for the receiver all the time.
    *receiver.refused.lock().unwrap() = Some("stuck.example.com");
    line.control_plane.edge().ask("stuck.example.com").await.unwrap();
    admin.await_state("stuck.example.com", "issued", PATIENCE).await.unwrap();
    bend(&line, &[Bend::Stuck]);
    admin.renew("stuck.example.com").await.unwrap();
    let signed = wait_until("the CA to sign", PATIENCE, async || {
        (line.pebble.certificates() == 2).then_some(())
    });
    signed.await.unwrap();
    let failed = |record: &Value| !record["failure"].is_null();
    let rested = passing(&line, &clock, "stuck.example.com", failed).await;
    let rested = rested.expect("it rests");
    assert_eq!(rested["failure"]["cause"], "ca_unavailable", "{rested}");
    assert!(clock.ahead() >= Duration::from_secs(290), "{:?}", clock.ahead());

    bend(&line, &[]);
    let next = admin.renew("next.example.com").await;
    let issued = admin.await_state("next.example.com", "issued", PATIENCE).await.map(drop);
    let heard = wait_until("the webhook of the other one", PATIENCE, async || {
        let issued = |told: &Value| told["type"] == "certificate.issued";
        receiver.taken.lock().unwrap().iter().any(issued).then_some(())
    });
    let (heard, told) = (heard.await, events(&line, "stuck.example.com").await.len());
    assert!(
        next.is_ok() && issued.is_ok() && heard.is_ok() && told < 30,
        "{next:?} {issued:?} {heard:?}, {told} events"
    );
    let issued = |record: &Value| record["state"] == "issued";
    let again = passing(&line, &clock, "stuck.example.com", issued).await;
    again.expect("it is looked at again");

    // With another CA standing by such an order goes there.
    add_spare(&mut line).await;
    let before = (line.pebble.orders(), line.pebble.accounts());
    bend(&line, &[Bend::Stuck]);
    line.control_plane.edge().ask("other.example.com").await.unwrap();
    let other = passing(&line, &clock, "other.example.com", issued).await;
    let told = events(&line, "other.example.com").await;
    assert!(other.is_some(), "{told:?}");
    assert!(told.iter().any(|event| event["kind"] == "order.abandoned"), "{told:?}");
    let after = (line.pebble.orders(), line.pebble.accounts());
    assert_eq!(after, (before.0 + 2, before.1 + 1));
}
