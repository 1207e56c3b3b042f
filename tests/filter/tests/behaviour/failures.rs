//! The control plane failing: traffic passes, challenges are 503, and a dead one costs nothing.

use sealwax_filter_tests::{key_authorization, ready, unknown};
use serde_json::json;
use wasm_host::{CalloutEnd, Fault, Outcome, Proxy, Request, Status};

use crate::support::{answer, assert_sound, ms, only_callout, passes, start};

const DOMAIN: &str = "a.example.com";

fn failures() -> Vec<(CalloutEnd, &'static str)> {
    vec![
        (CalloutEnd::timeout(), "sealwax.callouts.timeout"),
        (CalloutEnd::unavailable(), "sealwax.callouts.unavailable"),
        (CalloutEnd::Reset, "sealwax.callouts.reset"),
        (CalloutEnd::response(500, ""), "sealwax.callouts.bad_status"),
        (CalloutEnd::response(404, "<html>no</html>"), "sealwax.callouts.bad_body"),
        (CalloutEnd::response(200, r#"{"state":"unknown"}"#), "sealwax.callouts.bad_body"),
        (ready("b.example.com", 60), "sealwax.callouts.bad_body"),
        (CalloutEnd::response(200, vec![b' '; 5_000]), "sealwax.callouts.bad_body"),
        (CalloutEnd::response(200, b"\xff\xfe".to_vec()), "sealwax.callouts.bad_body"),
    ]
}

#[test]
fn every_failure_lets_traffic_through_and_is_counted_for_what_it_is() {
    for (end, metric) in failures() {
        let mut proxy = start(json!({}));
        let waiting = proxy.request(0, Request::get(DOMAIN, "/"));
        answer(&mut proxy, end.clone());
        assert_eq!(proxy.outcome(waiting), Outcome::Continued, "{end:?}");
        proxy.advance(ms(200));
        assert_eq!(proxy.metric(metric), Some(1), "{end:?}");
        assert_eq!(proxy.metric("sealwax.requests.failed_open"), Some(1), "{end:?}");
        assert_eq!(proxy.samples("sealwax.callout_ms"), 1);
        assert_sound(&proxy);
    }
}

#[test]
fn a_failed_domain_is_left_alone_for_a_moment() {
    let mut proxy = start(json!({"cache": {"failure_ttl_ms": 1_000}}));
    proxy.request(0, Request::get(DOMAIN, "/"));
    answer(&mut proxy, CalloutEnd::unavailable());
    proxy.advance(ms(800));
    assert!(passes(&mut proxy, Request::get(DOMAIN, "/")));
    assert_eq!(proxy.callouts(), []);
    proxy.advance(ms(400));
    proxy.request(0, Request::get(DOMAIN, "/"));
    only_callout(&proxy);
    assert_sound(&proxy);
}

fn fail(proxy: &mut Proxy, times: u32, from: u32) {
    for index in from..from + times {
        proxy.request(0, Request::get(format!("n{index}.example.com"), "/"));
        answer(proxy, CalloutEnd::unavailable());
    }
}

#[test]
fn the_breaker_opens_probes_and_closes() {
    let mut proxy = start(json!({"breaker": {"failures": 3, "open_ms": 2_000}}));
    fail(&mut proxy, 3, 0);
    for index in 10..200 {
        assert!(passes(&mut proxy, Request::get(format!("n{index}.example.com"), "/")));
    }
    let challenge = Request::get(DOMAIN, "/.well-known/acme-challenge/t");
    let stream = proxy.request(0, challenge.clone());
    assert_eq!(proxy.reply(stream).map(|reply| reply.status), Some(503));
    assert_eq!(proxy.callouts(), [], "not one callout");
    proxy.advance(ms(200));
    assert_eq!(proxy.metric("sealwax.breaker.open"), Some(1));
    assert_eq!(proxy.metric("sealwax.breaker.refused"), Some(191));

    proxy.advance(ms(2_000));
    let probe = proxy.request(0, challenge);
    assert_eq!(proxy.outcome(probe), Outcome::Paused, "one probe");
    assert!(passes(&mut proxy, Request::get("other.example.com", "/")), "and no other");
    answer(&mut proxy, key_authorization("t"));
    proxy.request(0, Request::get(DOMAIN, "/"));
    answer(&mut proxy, ready(DOMAIN, 60));
    proxy.advance(ms(200));
    assert_eq!(proxy.metric("sealwax.breaker.open"), Some(0));
    assert_sound(&proxy);
}

#[test]
fn a_failed_probe_keeps_the_breaker_open() {
    let mut proxy = start(json!({"breaker": {"failures": 1, "open_ms": 1_000}}));
    fail(&mut proxy, 1, 0);
    proxy.advance(ms(1_200));
    fail(&mut proxy, 1, 1);
    assert!(passes(&mut proxy, Request::get("n2.example.com", "/")));
    assert_eq!(proxy.callouts(), []);
    assert_sound(&proxy);
}

#[test]
fn failures_that_are_not_in_a_row_do_not_open_it() {
    let mut proxy = start(json!({"breaker": {"failures": 2}}));
    for index in 0..6 {
        fail(&mut proxy, 1, index * 2);
        proxy.request(0, Request::get(format!("n{}.example.com", index * 2 + 1), "/"));
        answer(&mut proxy, unknown(60));
    }
    assert_sound(&proxy);
}

#[test]
fn a_callout_the_proxy_refuses_to_send_lets_traffic_through() {
    for status in [Status::BadArgument, Status::InternalFailure] {
        let mut proxy = start(json!({}));
        proxy.inject(&Fault::always("proxy_http_call", status));
        assert!(passes(&mut proxy, Request::get(DOMAIN, "/")));
        let stream = proxy.request(0, Request::get(DOMAIN, "/.well-known/acme-challenge/t"));
        assert_eq!(proxy.reply(stream).map(|reply| reply.status), Some(503));
        proxy.advance(ms(200));
        assert_eq!(proxy.metric("sealwax.callouts.not_sent"), Some(2));
        assert_sound(&proxy);
    }
    // A cluster that does not exist is refused as well.
    let mut settings = sealwax_filter_tests::settings(&json!({}));
    settings.clusters.clear();
    let mut proxy = crate::support::start_with(settings);
    assert!(passes(&mut proxy, Request::get(DOMAIN, "/")));
    assert_sound(&proxy);
}

#[test]
fn an_answer_after_the_stream_ended_is_kept_for_the_next() {
    let mut proxy = start(json!({}));
    let gone = proxy.request(0, Request::get(DOMAIN, "/"));
    proxy.end(gone);
    answer(&mut proxy, ready(DOMAIN, 60));
    let stream = proxy.request(0, Request::get(DOMAIN, "/"));
    assert!(proxy.reply(stream).is_some());
    assert_sound(&proxy);
}

#[test]
fn a_change_of_the_breaker_is_logged_once() {
    let mut proxy = start(json!({"breaker": {"failures": 2}}));
    fail(&mut proxy, 2, 0);
    assert!(passes(&mut proxy, Request::get(DOMAIN, "/")));
    let warnings = proxy.logs(0).iter().filter(|(level, _)| *level == 3).count();
    assert_eq!((warnings, proxy.logs(0).len()), (1, 1), "and nothing else is");
}
