//! Metrics: all there, few, and cheap.

use sealwax_filter_core::metrics::{CALLOUT_MS, Counter, GAUGES};
use sealwax_filter_tests::{ready, settings};
use serde_json::json;
use wasm_host::Request;

use crate::support::{answer, assert_sound, ms, redirect_of, start, start_with, teach};

const DOMAIN: &str = "a.example.com";

#[test]
fn the_module_defines_every_metric_and_no_others() {
    let proxy = start(json!({}));
    let mut defined = proxy.metric_names();
    let counters = Counter::ALL.iter().map(|counter| counter.name());
    let mut listed: Vec<_> =
        counters.chain(GAUGES).chain([CALLOUT_MS]).map(str::to_owned).collect();
    defined.sort();
    listed.sort();
    assert_eq!(defined, listed);
}

#[test]
fn requests_are_counted_by_outcome_once_a_tick() {
    let mut proxy = start(json!({"exempt": {"exact": ["/healthz"]}}));
    teach(&mut proxy, DOMAIN, ready(DOMAIN, 60));
    for _ in 0..5 {
        assert!(redirect_of(&mut proxy, Request::get(DOMAIN, "/")).is_some());
    }
    proxy.request(0, Request::get(DOMAIN, "/healthz"));
    proxy.request(0, Request::get("192.0.2.1", "/"));
    assert_eq!(proxy.metric("sealwax.requests.redirected"), Some(0), "no hostcall a request");
    proxy.advance(ms(200));
    for (name, value) in [
        ("sealwax.requests.redirected", 6),
        ("sealwax.requests.exempt", 1),
        ("sealwax.requests.not_a_name", 1),
        ("sealwax.cache.hit", 5),
        ("sealwax.cache.miss", 1),
        ("sealwax.callouts.ok", 1),
    ] {
        assert_eq!(proxy.metric(name), Some(value), "{name}");
    }
    assert_sound(&proxy);
}

#[test]
fn gauges_follow_and_durations_are_sampled() {
    let mut proxy = start(json!({"callout_timeout_ms": 5_000, "wait_max_ms": 5_000}));
    proxy.request(0, Request::get(DOMAIN, "/"));
    proxy.advance(ms(600));
    assert_eq!(proxy.metric("sealwax.waiters"), Some(1));
    answer(&mut proxy, ready(DOMAIN, 60));
    proxy.advance(ms(200));
    assert_eq!(proxy.metric("sealwax.waiters"), Some(0));
    assert_eq!((proxy.metric(CALLOUT_MS), proxy.samples(CALLOUT_MS)), (Some(600), 1));
    assert_sound(&proxy);
}

#[test]
fn the_hot_path_logs_at_debug_only_and_makes_few_hostcalls() {
    let mut quiet = start(json!({}));
    teach(&mut quiet, DOMAIN, ready(DOMAIN, 60));
    let calls = |proxy: &wasm_host::Proxy| {
        wasm_host::HOSTCALLS.iter().map(|(name, _)| proxy.calls(0, name)).sum::<u64>()
    };
    let before = calls(&quiet);
    assert!(redirect_of(&mut quiet, Request::get(DOMAIN, "/")).is_some());
    assert_eq!(calls(&quiet) - before, 4, "path, authority, TLS or not, reply");
    assert!(quiet.logs(0).is_empty());

    let mut chatty = settings(&json!({}));
    chatty.log_level = 1;
    let mut chatty = start_with(chatty);
    teach(&mut chatty, DOMAIN, ready(DOMAIN, 60));
    assert_eq!(chatty.logs(0), [(1, "sealwax.requests.redirected".to_owned())]);
}
