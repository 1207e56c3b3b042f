//! Certificates, accounts and campaigns.

use sealwax_core::Timestamp;
use sealwax_protocol::DomainName;

use super::*;

#[tokio::test]
async fn a_certificate_brought_along_must_fit_and_is_not_repeated_when_it_does_not() {
    let world = world();
    let (chain, key) = sealwax_registry::testing::made("a.example.com");
    let body = serde_json::json!({"chain_pem": chain, "key_pem": key}).to_string();
    let path = "/v1/domains/a.example.com/certificate";
    let (status, told) = world.json(Method::PUT, path, body.clone()).await;
    assert_eq!((status, &told["state"]), (200, &Value::from("issued")), "{told}");
    assert_eq!(told["certificate"]["source"], "imported");
    let wrong = "/v1/domains/b.example.com/certificate";
    let (status, told) = world.json(Method::PUT, wrong, body.clone()).await;
    assert_eq!(status, 422);
    assert!(!told.to_string().contains("PRIVATE"), "{told}");
    let cut = body.get(..body.len() - 3).unwrap().to_owned();
    let (status, told) = world.json(Method::PUT, path, cut).await;
    assert_eq!(status, 400);
    assert!(!told.to_string().contains("PRIVATE"), "{told}");
    let (status, _) = world.json(Method::POST, &format!("{path}/revoke"), "").await;
    assert_eq!(status, 409);
}

#[tokio::test]
async fn an_export_has_chain_and_key_and_is_kept_by_nobody() {
    let world = world();
    let (chain_pem, key_pem) = sealwax_registry::testing::made("a.example.com");
    let body = json!({"chain_pem": chain_pem, "key_pem": key_pem}).to_string();
    let path = "/v1/domains/a.example.com/certificate";
    assert_eq!(world.json(Method::PUT, path, body).await.0, 200);
    let (status, _) = world.json(Method::GET, &format!("{path}/export"), "").await;
    assert_eq!(status, 405, "nothing that fetches links takes a key out");
    let export = format!("{path}/export");
    let response = world.send(Method::POST, &export, "").await;
    assert_eq!(response.headers()["cache-control"], "no-store");
    let told: Value = serde_json::from_str(&text(response).await).unwrap();
    assert_eq!((&told["chain_pem"], &told["key_pem"]), (&json!(chain_pem), &json!(key_pem)));
    let (status, problem) =
        world.json(Method::POST, "/v1/domains/b.example.com/certificate/export", "").await;
    assert_eq!(
        (status, &problem["type"]),
        (404, &json!("urn:sealwax:problem:certificate-not-found"))
    );
}

#[tokio::test]
async fn an_account_is_taken_over_for_an_issuer_there_is() {
    let world = world();
    let (status, told) = world.json(Method::GET, "/v1/issuers", "").await;
    assert_eq!((status, told), (200, json!({"issuers": []})));
    let (_, key_pem) = sealwax_registry::testing::made("a.example.com");
    let path = "/v1/issuers/nobody/account";
    let body = json!({"key_pem": key_pem}).to_string();
    assert_eq!(world.json(Method::PUT, path, body).await.0, 404);
    for body in ["", "{}", "{\"key_pem\": \"secret\", \"more\": 1}"] {
        let (status, problem) = world.json(Method::PUT, path, body).await;
        assert_eq!(status, 400);
        assert!(!problem["detail"].as_str().unwrap().contains("secret"), "{problem}");
    }
    let (status, _) = world.json(Method::PUT, path, "{\"key_pem\": \"no key\"}").await;
    assert_eq!(status, 422);
    for word in ["rollover", "contact", "reset"] {
        let path = format!("/v1/issuers/nobody/account/{word}");
        assert_eq!(world.json(Method::POST, &path, "").await.0, 404);
    }
}

#[tokio::test]
async fn what_was_given_up_is_listed_newest_first() {
    let world = world();
    let path = "/v1/notifications/dropped";
    let (status, view) = world.json(Method::GET, path, "").await;
    assert_eq!((status, view), (200, json!({"dropped": [], "older": 0})));
    let letter = |id: &str| sealwax_core::dead_letters::DeadLetter {
        id: id.to_owned(),
        at: Timestamp::from_secs(1_767_225_600),
        domain: DomainName::parse("a.example.com").unwrap(),
        to: "arn:aws:sns:eu-central-1:1:t".to_owned(),
        kind: "certificate.issued".to_owned(),
        happened_at: Timestamp::from_secs(1_767_225_500),
        detail: "NotFound".to_owned(),
    };
    let (list, now) = (&world.api.dead_letters, Timestamp::from_secs(1_767_225_600));
    for id in ["msg_1", "msg_2", "msg_1"] {
        list.add(&[letter(id)], now).await.unwrap();
    }
    let (_, view) = world.json(Method::GET, path, "").await;
    let shown = |id: &str| {
        json!({
            "id": id, "type": "certificate.issued", "timestamp": "2025-12-31T23:58:20Z",
            "domain": "a.example.com", "receiver": "arn:aws:sns:eu-central-1:1:t",
            "dropped_at": "2026-01-01T00:00:00Z", "detail": "NotFound",
        })
    };
    assert_eq!(view, json!({"dropped": [shown("msg_2"), shown("msg_1")], "older": 0}));
}

#[tokio::test]
async fn a_brake_on_parking_is_shown_and_released() {
    let world = world();
    let now = Timestamp::from_secs(1_767_225_600);
    for _ in 0..=20 {
        world.api.departures.admit(sealwax_core::Departing::Parked, now).await.unwrap();
    }
    let (status, view) = world.json(Method::GET, "/v1/departures", "").await;
    assert_eq!((status, &view["held"], &view["parked"]), (200, &json!(true), &json!(20)));
    let (status, view) = world.json(Method::POST, "/v1/departures/release", "").await;
    assert_eq!((status, &view["held"]), (200, &json!(false)));
    assert!(view["released_until"].is_string(), "{view}");
    let (_, view) = world.json(Method::GET, "/v1/departures", "").await;
    assert_eq!((&view["held"], &view["parked"]), (&json!(false), &json!(0)));
}

#[tokio::test]
async fn a_campaign_is_started_steered_and_shown() {
    let world = world();
    let send = async |method, path: &str, body: &str| {
        let (status, view) = world.json(method, path, body.to_owned()).await;
        (status, view["state"].as_str().unwrap_or_default().to_owned())
    };
    let (start, path) = (r#"{"before":"24h","rate":5,"reason":"revoked"}"#, "/v1/campaign");
    assert_eq!(send(Method::GET, path, "").await.0, 404);
    assert_eq!(send(Method::POST, path, start).await, (201, "running".to_owned()));
    let (_, view) = world.json(Method::GET, path, "").await;
    assert_eq!((&view["before"], &view["rate"]), (&json!("2026-01-02T00:00:00Z"), &json!(5)));
    assert_eq!((&view["issued_before"], &view["total"]), (&view["started_at"], &Value::Null));
    assert_eq!(send(Method::POST, path, start).await.0, 409, "one at a time");
    let steered = |word: &str| format!("{path}/{word}");
    assert_eq!(send(Method::POST, &steered("pause"), "").await, (200, "paused".to_owned()));
    assert_eq!(send(Method::POST, &steered("resume"), "").await, (200, "running".to_owned()));
    assert_eq!(send(Method::POST, &steered("cancel"), "").await, (200, "cancelled".to_owned()));
    assert_eq!(send(Method::POST, &steered("resume"), "").await.0, 409);
    assert_eq!(send(Method::GET, path, "").await, (200, "cancelled".to_owned()));
}

#[tokio::test]
async fn a_campaign_that_makes_no_sense_is_refused_with_what_is_wrong() {
    let world = world();
    for (body, part) in [
        (r#"{"before":"soon","rate":5}"#, "before"),
        (r#"{"before":"2025-01-01T00:00:00Z","rate":5}"#, "before"),
        (r#"{"before":"1h","rate":0}"#, "rate"),
        (r#"{"before":"1h","rate":5,"issued_after":"yesterday"}"#, "issued_after"),
        (r#"{"before":"1h","rate":5,"issuer":"other"}"#, "other"),
        (r#"{"before":"1h","rate":5,"tenant":""}"#, "tenant"),
        (r#"{"before":"1h","rate":5,"states":[]}"#, "states"),
    ] {
        let (status, problem) = world.json(Method::POST, "/v1/campaign", body).await;
        let said = problem["detail"].as_str().unwrap().to_owned();
        assert!(status == 400 && said.contains(part), "{body}: {status} {said}");
    }
}
