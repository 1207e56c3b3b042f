//! What the filter on the HTTPS listener tells the control plane.

use sealwax_testkit::{Line, LineSettings};

use crate::support::{callouts, counted, envoy_with, put, stat};

#[tokio::test]
async fn names_served_over_tls_are_reported_to_the_control_plane() {
    let line = Line::start(LineSettings::default()).await.unwrap();
    let visitor = line.visitor().unwrap();
    let domains = ["blog.example.com", "shop.example.com", "wiki.example.com"];
    for domain in domains {
        line.control_plane.admin().register(domain).await.unwrap();
        visitor.visit(line.https(), domain).await.unwrap();
    }
    let envoy = envoy_with(&line, 1, with_filter_on_https).await;

    for domain in domains {
        let mut connection = visitor.connect(envoy.https(), domain).await.unwrap();
        for path in ["/", "/again"] {
            let answer = connection.get(path).await.unwrap();
            assert_eq!(answer.text(), format!("origin: {domain}{path}\n"));
            assert_eq!(answer.header("strict-transport-security"), "max-age=600");
        }
    }
    assert!(counted(&envoy, "usage.reported", 3).await <= 6, "once a name and report");
    // Of all the edge API's answers only the one to a report that was understood is 204.
    let reports = stat(&envoy, "cluster.sealwax_edge.upstream_rq_204").await;
    assert!((1..=6).contains(&reports), "{reports}");
    assert_eq!(callouts(&envoy).await, reports, "and nothing else was asked");
    assert_eq!(stat(&envoy, "wasmcustom.sealwax.usage.dropped").await, 0);
}

#[tokio::test]
async fn a_request_for_another_host_than_its_handshakes_is_answered_421() {
    let line = Line::start(LineSettings::default()).await.unwrap();
    line.control_plane.admin().register("blog.example.com").await.unwrap();
    let envoy = envoy_with(&line, 1, with_filter_on_https).await;
    let visitor = line.visitor().unwrap();
    let mut connection = visitor.connect(envoy.https(), "blog.example.com").await.unwrap();
    assert_eq!(connection.get_of("other.example.com", "/").await.unwrap().status, 421);
    assert_eq!(connection.get_of("BLOG.example.com:443", "/").await.unwrap().status, 200);
}

/// The printed bootstrap with the filter on the HTTPS listener as well, in the same sandbox.
fn with_filter_on_https(yaml: String) -> String {
    const ROUTER: &str = "          http_filters:\n          - name: envoy.filters.http.router\n";
    let (_, from_filter) = yaml.split_once("          - name: sealwax\n").unwrap();
    let (filter, _) = from_filter.split_once("          - name: envoy.filters.http").unwrap();
    let filter = format!("          - name: sealwax\n{filter}");
    let value = filter.lines().find(|line| line.contains(r#"{"cluster":"#)).unwrap().trim();
    let https = put(
        &filter,
        value,
        r#"{"cluster": "sealwax_edge", "listener": "https", "misdirected": true,
                     "hsts": {"max_age_s": 600}, "usage": {"interval_ms": 100}}"#,
    );
    let filters = ROUTER.replacen("http_filters:\n", &format!("http_filters:\n{https}"), 1);
    put(&yaml, ROUTER, &filters)
}
