//! A CDN or a firewall stands before a domain, and judges who asks.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use sealwax_testkit::{Line, LineSettings, PATIENCE, http};
use tokio::net::TcpListener;

/// Two addresses of the front. The control plane looks only at addresses on the internet and at
/// those it was told of, so it was told of this one;
const LISTED: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 8);
/// this one is a stranger's.
const STRANGE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);

/// What a front does.
struct Front {
    /// What it answers to looks from here.
    to_us: AtomicU16,
    /// Looks from here.
    looks: AtomicUsize,
    /// Where everyone else is led.
    edge: SocketAddr,
}

async fn answer(
    State(front): State<Arc<Front>>,
    headers: HeaderMap,
    uri: Uri,
) -> (StatusCode, String) {
    let header = |name: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    if header("user-agent").starts_with("sealwax") {
        front.looks.fetch_add(1, Ordering::SeqCst);
        let status = StatusCode::from_u16(front.to_us.load(Ordering::SeqCst)).unwrap();
        return (status, "Access denied".to_owned());
    }
    match http::get(front.edge, &header("host"), uri.path()).await {
        Ok(answer) => (StatusCode::from_u16(answer.status).unwrap(), answer.text()),
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()),
    }
}

/// Starts it at both addresses, on the port that CAs come to.
async fn front(port: u16, edge: SocketAddr) -> Arc<Front> {
    let front = Arc::new(Front { to_us: AtomicU16::new(403), looks: AtomicUsize::new(0), edge });
    for ip in [LISTED, STRANGE] {
        let listener = TcpListener::bind((ip, port)).await.unwrap();
        let app = Router::new().fallback(answer).with_state(Arc::clone(&front));
        tokio::spawn(async move { axum::serve(listener, app).await });
    }
    front
}

#[tokio::test]
async fn a_front_that_keeps_our_look_out_and_lets_the_ca_pass_holds_nothing_and_blames_nobody() {
    let settings = LineSettings { preflight: true, ..LineSettings::default() };
    let mut line = Line::start(settings).await.unwrap();
    let listed = format!("[preflight]\nedges = \"{LISTED}\"\n");
    line.control_plane.reconfigure("[preflight]\n", &listed).unwrap();
    line.control_plane.restart().await.unwrap();
    let front = front(line.validations.address().port(), line.envoy.http()).await;
    let (admin, visitor) = (line.control_plane.admin(), line.visitor().unwrap());
    let addresses: [IpAddr; 2] = [LISTED.into(), STRANGE.into()];
    for domain in ["fronted.example.com", "parked.example.com"] {
        line.pebble.dns().point(domain, &addresses).await.unwrap();
        admin.register(domain).await.unwrap();
    }

    visitor.visit(line.https(), "fronted.example.com").await.unwrap();
    let record = admin.await_state("fronted.example.com", "issued", PATIENCE).await.unwrap();
    assert!(record["failure"].is_null(), "{record}");
    assert!(front.looks.load(Ordering::SeqCst) > 0, "it was looked at");
    let told = admin.send("GET", "/v1/domains/fronted.example.com/explain", "").await.unwrap();
    assert!(told.text().contains("403"), "{}", told.text());
    assert!(!told.text().contains("domain.refused"), "{}", told.text());
    assert_eq!((line.pebble.orders(), line.pebble.certificates()), (1, 1));

    // One that has no such page, for whoever asks, is another server.
    front.to_us.store(404, Ordering::SeqCst);
    assert!(visitor.visit(line.https(), "parked.example.com").await.is_err());
    let record = admin.await_state("parked.example.com", "refused", PATIENCE).await.unwrap();
    assert_eq!(record["failure"]["cause"], "challenge_wrong", "{record}");
    assert_eq!(line.pebble.orders(), 1, "the CA heard nothing of it");
}
