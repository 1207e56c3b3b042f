//! The control plane does not answer: traffic goes on, challenges are told to come back.

use std::time::Duration;

use sealwax_testkit::{Envoy, Line, LineSettings, PATIENCE, TcpProxy, http, wait_until};
use tokio::time::Instant;

use crate::support::{configure_filter, counted, envoy_with, put, stat};

const CHALLENGE: &str = "/.well-known/acme-challenge/Zm9yZ2VkLXRva2VuLW9mLWEtZ29vZC1sZW5ndGg";
const CALLOUT_TIMEOUT: Duration = Duration::from_millis(700);

#[tokio::test]
async fn a_callout_that_is_never_answered_holds_a_request_no_longer_than_its_timeout() {
    let line = Line::start(LineSettings::default()).await.unwrap();
    // Accepts, and never says a word.
    let to_edge = TcpProxy::start(line.control_plane.edge_address()).await.unwrap();
    to_edge.hold();
    let edge = line.control_plane.edge_address().port();
    let envoy = envoy_with(&line, 1, |yaml| {
        let place = format!("port_value: {edge}}}");
        let yaml = put(&yaml, &place, &format!("port_value: {}}}", to_edge.address().port()));
        // The breaker stays out of it, and nothing else ends a wait before the callout does.
        let more =
            r#""callout_timeout_ms": 700, "wait_max_ms": 20000, "breaker": {"failures": 1000}"#;
        configure_filter(&yaml, more)
    })
    .await;

    let started = Instant::now();
    let answer = http::get(envoy.http(), "blog.example.com", "/a").await.unwrap();
    let took = started.elapsed();
    assert_eq!(answer.text(), "origin: blog.example.com/a\n");
    assert!(took >= CALLOUT_TIMEOUT, "it waited for an answer: {took:?}");
    assert!(took < Duration::from_secs(5), "and no longer than for the callout: {took:?}");
    assert!(to_edge.accepted() >= 1, "Envoy had a connection to send the callout on");

    let challenge = http::get(envoy.http(), "blog.example.com", CHALLENGE).await.unwrap();
    assert_is_try_later(&challenge);
    assert_eq!(counted(&envoy, "callouts.timeout", 2).await, 2);
    assert_eq!(counted(&envoy, "requests.failed_open", 1).await, 1);

    // An answer that comes at last is an answer for the next request.
    to_edge.pass();
    let unknown = wait_until("challenges to be answered", PATIENCE, async || {
        let answer = http::get(envoy.http(), "blog.example.com", CHALLENGE).await.unwrap();
        (answer.status == 404).then_some(())
    });
    unknown.await.unwrap();
}

#[tokio::test]
async fn with_the_control_plane_down_requests_pass_at_once_and_challenges_get_503() {
    let mut line = Line::start(LineSettings::default()).await.unwrap();
    line.control_plane.admin().register("blog.example.com").await.unwrap();
    line.visitor().unwrap().visit(line.https(), "blog.example.com").await.unwrap();
    let more = r#""breaker": {"failures": 3, "open_ms": 60000}"#;
    let envoy = envoy_with(&line, 1, |yaml| configure_filter(&yaml, more)).await;

    line.control_plane.kill();
    for index in 0..3 {
        assert_passes(&envoy, &format!("failing-{index}.example.com")).await;
    }
    // One worker, and three failures in a row: from here on the breaker is open.
    assert_eq!(counted(&envoy, "breaker.open", 1).await, 1);
    assert_eq!(counted(&envoy, "callouts.unavailable", 3).await, 3);
    let tried = connections(&envoy).await;
    for index in 0..100 {
        assert_passes(&envoy, &format!("unseen-{index}.example.com")).await;
    }
    for host in ["blog.example.com", "unseen-1.example.com"] {
        let challenge = http::get(envoy.http(), host, CHALLENGE).await.unwrap();
        assert_is_try_later(&challenge);
    }
    // Each of the hundred requests and both challenges would have been a callout.
    assert_eq!(counted(&envoy, "breaker.refused", 102).await, 102);
    assert_eq!(counted(&envoy, "callouts.unavailable", 3).await, 3, "an open breaker asks nobody");
    assert_eq!(connections(&envoy).await, tried);
}

#[tokio::test]
async fn when_the_control_plane_is_back_one_probe_closes_the_breaker() {
    let mut line = Line::start(LineSettings::default()).await.unwrap();
    line.control_plane.admin().register("blog.example.com").await.unwrap();
    line.visitor().unwrap().visit(line.https(), "blog.example.com").await.unwrap();
    let more = r#""breaker": {"failures": 1, "open_ms": 300}, "cache": {"failure_ttl_ms": 100}"#;
    let envoy = envoy_with(&line, 1, |yaml| configure_filter(&yaml, more)).await;

    line.control_plane.kill();
    assert_passes(&envoy, "blog.example.com").await;
    assert_eq!(counted(&envoy, "breaker.open", 1).await, 1);
    line.control_plane.restart().await.unwrap();
    let redirected = wait_until("a redirect", PATIENCE, async || {
        let answer = http::get(envoy.http(), "blog.example.com", "/").await.unwrap();
        assert!(matches!(answer.status, 200 | 308), "{} {}", answer.status, answer.text());
        (answer.status == 308).then_some(())
    });
    redirected.await.unwrap();
    let challenge = http::get(envoy.http(), "blog.example.com", CHALLENGE).await.unwrap();
    assert_eq!(challenge.status, 404, "{}", challenge.text());
}

async fn assert_passes(envoy: &Envoy, host: &str) {
    let answer = http::get(envoy.http(), host, "/").await.unwrap();
    assert_eq!(answer.text(), format!("origin: {host}/\n"));
}

/// Connections Envoy has tried to make to the control plane for callouts.
async fn connections(envoy: &Envoy) -> u64 {
    stat(envoy, "cluster.sealwax_edge.upstream_cx_total").await
}

/// A challenge's 503, which no origin has seen.
fn assert_is_try_later(answer: &http::Response) {
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(answer.header("retry-after"), "5");
    assert!(!answer.text().contains("origin:"), "{}", answer.text());
}
