use std::sync::atomic::{AtomicU16, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use sealwax_core::{Registration, Timestamp};
use sealwax_protocol::DomainName;

use super::*;
use sealwax_system::SystemClock;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

type Arrived = (HeaderMap, Vec<u8>);

/// A platform's end: keeps what arrives and answers what the test says.
#[derive(Clone, Default)]
struct Platform {
    status: Arc<AtomicU16>,
    got: Arc<Mutex<Vec<Arrived>>>,
}

async fn take(
    State(platform): State<Platform>,
    headers: HeaderMap,
    body: bytes::Bytes,
) -> StatusCode {
    platform.got.lock().unwrap().push((headers, body.to_vec()));
    StatusCode::from_u16(platform.status.load(Ordering::SeqCst)).unwrap()
}

struct Stage {
    platform: Platform,
    sinks: Sinks,
    _secret: tempfile::NamedTempFile,
}

async fn stage(status: u16) -> Stage {
    let platform = Platform::default();
    platform.status.store(status, Ordering::SeqCst);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook?key=swordfish", listener.local_addr().unwrap());
    let app = Router::new().route("/hook", axum::routing::post(take)).with_state(platform.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), SECRET).unwrap();
    let (url, secret_file) = (url.parse().unwrap(), secret.path().to_owned());
    let configured = config::Notify {
        to: Destination::Webhook { url, secret_file },
        events: vec!["certificate.issued".to_owned()],
    };
    let sinks = Sinks::open(&[configured], Arc::new(SystemClock)).await.unwrap();
    Stage { platform, sinks, _secret: secret }
}

pub(super) fn record() -> DomainRecord {
    let domain = DomainName::parse("a.example.com").unwrap();
    DomainRecord::registered(domain, Registration::default(), Timestamp::from_secs(1))
}

pub(super) fn notice(to: &str) -> Notice {
    Notice {
        id: "msg_1".into(),
        to: to.into(),
        in_order: false,
        kind: "certificate.issued".into(),
        at: Timestamp::from_secs(1_767_225_600),
        detail: "serial 01".into(),
        attempts: 0,
        next_at: Timestamp::from_secs(0),
    }
}

#[tokio::test]
async fn a_delivery_carries_the_event_the_record_and_a_signature_that_fits() {
    let stage = stage(204).await;
    let to = stage.sinks.receivers("certificate.issued");
    assert!(stage.sinks.receivers("domain.parked").is_empty(), "not asked for");
    assert!(!to[0].name.contains("swordfish"));
    let outcome = stage.sinks.deliver(&notice(&to[0].name), &record()).await;
    assert_eq!(outcome, Delivery::Done);
    let (headers, body) = stage.platform.got.lock().unwrap().pop().unwrap();
    let told: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(told["id"], "msg_1");
    assert_eq!(told["type"], "certificate.issued");
    assert_eq!(told["timestamp"], "2026-01-01T00:00:00Z");
    assert_eq!(told["data"]["domain"]["domain"], "a.example.com");
    let timestamp = headers["webhook-timestamp"].to_str().unwrap().parse().unwrap();
    let secret = Secret::read(stage._secret.path()).unwrap();
    assert_eq!(headers["webhook-signature"], secret.sign("msg_1", timestamp, &body).as_str());
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_a_receiver_in_trouble_is_left_alone() {
    let stage = stage(302).await;
    let to = stage.sinks.receivers("certificate.issued").remove(0).name;
    for _ in 0..sealwax_core::health::FAILURES_MAX {
        let outcome = stage.sinks.deliver(&notice(&to), &record()).await;
        let Delivery::Failed { detail } = outcome else { panic!("{outcome:?}") };
        assert!(detail.contains("302") && !detail.contains("swordfish"), "{detail}");
    }
    let left_alone = stage.sinks.deliver(&notice(&to), &record()).await;
    let Delivery::Busy { until: Some(_), detail } = left_alone else { panic!("{left_alone:?}") };
    assert!(detail.contains("302"), "{detail}");
    let shown = stage.sinks.standings().remove(0);
    assert_eq!((shown.kind.as_str(), shown.errors_in_a_row), ("webhook", 5));
    let origin = shown.receiver;
    assert!(origin.starts_with("http://127.0.0.1:") && !origin.contains("hook"), "{origin}");
    let tried = stage.platform.got.lock().unwrap().len();
    assert_eq!(tried, usize::try_from(sealwax_core::health::FAILURES_MAX).unwrap());
}

#[tokio::test]
async fn a_receiver_that_is_not_configured_any_more_is_told_nothing() {
    let stage = stage(204).await;
    let outcome = stage.sinks.deliver(&notice("another"), &record()).await;
    assert_eq!(outcome, Delivery::NoReceiver);
}
