//! What an explanation tells of a domain, step by step, everywhere in the same words.

use sealwax_testkit::{Admin, Line, LineSettings, PATIENCE};
use serde_json::Value;

async fn told(admin: &Admin, domain: &str) -> Value {
    let answer = admin.send("GET", &format!("/v1/domains/{domain}/explain"), "").await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    serde_json::from_slice(&answer.body).unwrap()
}

/// The steps wanted are there, in their order, each with these words.
fn assert_steps(told: &Value, wanted: &[(&str, &str)]) {
    let mut steps = told["timeline"].as_array().unwrap().iter();
    for (kind, words) in wanted {
        let detail = |step: &Value| step["detail"].as_str().unwrap().to_owned();
        let found = steps.any(|step| step["kind"] == *kind && detail(step).contains(words));
        assert!(found, "{kind} {words:?} does not come in its turn: {told:#}");
    }
}

#[tokio::test]
async fn an_explanation_tells_each_step_from_the_ask_to_the_edge_that_has_the_certificate() {
    let line = Line::start(LineSettings::default()).await.unwrap();
    let admin = line.control_plane.admin();
    admin.register("shop.example.com").await.unwrap();
    line.visitor().unwrap().visit(line.https(), "shop.example.com").await.unwrap();
    let delivered = async || {
        let told = told(&admin, "shop.example.com").await;
        told.to_string().contains("certificate.delivered").then_some(told)
    };
    let told = sealwax_testkit::wait_until("the delivery to be told", PATIENCE, delivered).await;
    let told = told.unwrap();
    assert_steps(
        &told,
        &[
            ("domain.registered", ""),
            ("certificate.asked", "a handshake at edge-1"),
            ("order.placed", "pebble: https://"),
            ("challenge.fetched", "through one of the edges"),
            ("certificate.issued", ""),
            ("certificate.delivered", "edge-1"),
        ],
    );
    // The CA may fetch before it answers that it was told to.
    let told_to = [("order.placed", ""), ("ca.told", "pebble"), ("certificate.issued", "")];
    assert_steps(&told, &told_to);
    let asked = told["timeline"].as_array().unwrap();
    let asked = asked.iter().filter(|step| step["kind"] == "certificate.asked").count();
    assert_eq!(asked, 1, "one visitor waited: {told:#}");
    let printed = line.control_plane.run(&["explain", "shop.example.com"]).await.unwrap();
    let printed = String::from_utf8_lossy(&printed.stdout).into_owned();
    for step in told["timeline"].as_array().unwrap() {
        for word in ["at", "what", "detail"] {
            let word = step[word].as_str().unwrap();
            assert!(printed.contains(word), "{word} is not in:\n{printed}");
        }
    }
}

#[tokio::test]
async fn what_the_ca_found_wrong_is_told_with_the_next_attempt_and_why_then() {
    let line = Line::start(LineSettings::default()).await.unwrap();
    let admin = line.control_plane.admin();
    line.pebble.dns().forget("shop.example.com").await.unwrap();
    admin.register("shop.example.com").await.unwrap();
    // A plain request asks as well.
    let http = line.envoy.http();
    sealwax_testkit::http::get(http, "shop.example.com", "/").await.unwrap();
    let failed = |record: &Value| !record["failure"].is_null();
    admin.show_until("shop.example.com", PATIENCE, failed).await.unwrap();
    let told = told(&admin, "shop.example.com").await;
    assert_steps(
        &told,
        &[
            ("domain.registered", ""),
            ("certificate.asked", "a request at one of the edges"),
            ("order.placed", "pebble: https://"),
            ("attempt.failed", "could not resolve"),
        ],
    );
    assert_eq!(told["record"]["failure"]["who"], "customer", "{told:#}");
    let next = told["next"].as_str().unwrap();
    assert!(next.starts_with("It is tried again at ") && next.contains("the wait grows"), "{next}");
    assert!(told["forward"].as_str().unwrap().contains("What to do: "), "{told:#}");
    let change = told["change"].as_str().unwrap();
    assert!(change.contains("[edge] public is not set"), "no placeholder for the owner: {told:#}");
}
