//! Everyone asks everywhere at once.

use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use sealwax_testkit::{Admin, http, wait_until};
use serde_json::Value;

use crate::site::Site;

const DOMAINS: usize = 1_000;
/// For all of them, on a machine that is busy with other builds.
const WITHIN: Duration = Duration::from_secs(240);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_domains_asked_for_on_every_replica_at_once_get_exactly_one_order_each() {
    let site = Site::start_with("60s", "concurrency = 32").await;
    let domains: Vec<_> = (0..DOMAINS).map(|n| format!("shop-{n}.example.com")).collect();
    let lines: Vec<_> = domains.iter().map(|name| format!("{{\"domain\":\"{name}\"}}\n")).collect();
    let admin = site.a.control_plane.admin();
    let registered = admin.send("POST", "/v1/domains:batch", &lines.concat()).await;
    let registered = registered.unwrap().text();
    assert_eq!(registered.matches("\"status\":201").count(), DOMAINS, "{registered}");

    let edges = [site.a.control_plane.edge(), site.b.control_plane.edge()];
    let asks = domains.iter().flat_map(|domain| edges.map(|edge| (edge, domain)));
    stream::iter(asks)
        .for_each_concurrent(16, async |(edge, domain)| {
            let (status, answer) = edge.ask(domain).await.unwrap();
            assert!(matches!(status, 200 | 202), "{domain}: {status} {answer}");
        })
        .await;

    let address = site.b.control_plane.admin_address();
    let issued = wait_until("every domain to be issued", WITHIN, async || {
        // Certificates at the CA first: the listing is only looked at when it may be complete.
        if site.pebble.certificates() < DOMAINS {
            return None;
        }
        let path = format!("/v1/domains?state=issued&limit={DOMAINS}");
        let page = http::get(address, "localhost", &path).await.ok()?.text();
        (page.matches("\"state\":\"issued\"").count() == DOMAINS).then_some(())
    });
    let done = issued.await;
    assert!(done.is_ok(), "{done:?}: orders and certificates {:?}", site.issued());
    // An order that the CA refused is over: only such a domain may have had another one.
    let mut refused = Vec::new();
    for domain in &domains {
        refused.extend(refusals(&admin, domain).await);
    }
    let orders = DOMAINS + refused.len();
    assert_eq!(site.issued(), (orders, DOMAINS), "exactly one order each; refused: {refused:?}");
    assert!(refused.len() <= DOMAINS / 100, "the CA got no answer in time: {refused:?}");
    site.visitor().visit(site.b.envoy.https(), "shop-7.example.com").await.unwrap();
}

/// The attempts of a domain that ended with the CA's refusal.
async fn refusals(admin: &Admin, domain: &str) -> Vec<String> {
    let answer = admin.send("GET", &format!("/v1/domains/{domain}/events"), "").await.unwrap();
    assert_eq!(answer.status, 200, "{domain}: {}", answer.text());
    let told: Value = serde_json::from_slice(&answer.body).unwrap();
    let events = told["events"].as_array().unwrap();
    let failed = events.iter().filter(|event| event["kind"] == "attempt.failed");
    failed.map(|event| format!("{domain}: {}", event["detail"])).collect()
}
