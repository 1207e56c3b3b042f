//! Redirects, by whichever worker a connection lands on.

use sealwax_testkit::{Line, LineSettings, http};

use crate::support::{callouts, configure_filter, counted, envoy_with, get_from_both_workers};

#[tokio::test]
async fn both_workers_redirect_after_one_callout() {
    let line = Line::start(LineSettings::default()).await.unwrap();
    line.control_plane.admin().register("blog.example.com").await.unwrap();
    line.visitor().unwrap().visit(line.https(), "blog.example.com").await.unwrap();

    let envoy = envoy_with(&line, 2, |yaml| yaml).await;
    let path = "/a//b/%2e%2E;x?b=c%20d&e=%ff";
    let location = format!("https://blog.example.com:{}{path}", envoy.https().port());
    for answer in get_from_both_workers(&envoy, "BLOG.example.com:80", path).await {
        assert_eq!((answer.status, answer.header("location")), (308, location.as_str()));
    }
    assert_eq!(callouts(&envoy).await, 1, "the second worker found the verdict in shared data");
    counted(&envoy, "cache.shared", 1).await;
}

#[tokio::test]
async fn exempt_paths_and_requests_a_proxy_received_over_https_reach_the_origin() {
    let line = Line::start(LineSettings::default()).await.unwrap();
    line.control_plane.admin().register("blog.example.com").await.unwrap();
    line.visitor().unwrap().visit(line.https(), "blog.example.com").await.unwrap();

    let more = r#""trust_forwarded_proto": true, "exempt": {"exact": ["/healthz"]}"#;
    // Envoy overwrites what clients say of x-forwarded-proto unless it is told that the hop before
    // is trusted.
    let envoy = envoy_with(&line, 1, |yaml| {
        let yaml = yaml.replace("use_remote_address: true", "use_remote_address: false");
        configure_filter(&yaml, more)
    })
    .await;
    let redirected = http::get(envoy.http(), "blog.example.com", "/").await.unwrap();
    assert_eq!(redirected.status, 308, "{}", redirected.text());
    let exempt = http::get(envoy.http(), "blog.example.com", "/healthz?verbose").await.unwrap();
    assert_eq!(exempt.text(), "origin: blog.example.com/healthz?verbose\n");

    let mut request = http::request("GET", "/", "blog.example.com", String::new()).unwrap();
    request.headers_mut().insert("x-forwarded-proto", "https".parse().unwrap());
    let forwarded = http::send(envoy.http(), request).await.unwrap();
    assert_eq!(forwarded.text(), "origin: blog.example.com/\n");
}
