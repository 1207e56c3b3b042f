//! Several workers, traps, and configurations that share a VM id.

use sealwax_filter_tests::{pending, ready, settings};
use serde_json::json;
use wasm_host::{FailurePolicy, Outcome, Proxy, Request};

use crate::support::{answer, assert_sound, ms, only_callout, program, start, start_with, teach};

const DOMAIN: &str = "a.example.com";

fn status(proxy: &mut Proxy, worker: usize) -> Option<u32> {
    let stream = proxy.request(worker, Request::get(DOMAIN, "/"));
    proxy.reply(stream).map(|reply| reply.status)
}

#[test]
fn a_verdict_one_worker_heard_serves_the_others() {
    let mut proxy = start_with(settings(&json!({})).workers(3));
    teach(&mut proxy, DOMAIN, ready(DOMAIN, 60));
    for worker in 0..3 {
        assert_eq!(status(&mut proxy, worker), Some(308), "worker {worker}");
        assert_eq!(proxy.trap(worker), None);
    }
    assert_eq!(proxy.callouts(), []);
    proxy.advance(ms(60_200));
    for worker in 0..3 {
        assert_eq!(status(&mut proxy, worker), None, "worker {worker}: ends for all of them");
    }
    assert_sound(&proxy);
}

#[test]
fn workers_that_ask_at_the_same_time_do_not_wait_for_each_other() {
    let mut proxy = start_with(settings(&json!({})).workers(2));
    let streams = [0, 1].map(|worker| proxy.request(worker, Request::get(DOMAIN, "/")));
    let callouts = proxy.callouts();
    assert_eq!(callouts.len(), 2);
    proxy.end_callout(callouts[0].id, ready(DOMAIN, 60));
    assert!(proxy.reply(streams[0]).is_some());
    assert_eq!(proxy.outcome(streams[1]), Outcome::Paused);
    proxy.end_callout(callouts[1].id, ready(DOMAIN, 60));
    assert!(proxy.reply(streams[1]).is_some());
    assert_sound(&proxy);
}

#[test]
fn a_newer_verdict_replaces_the_shared_one() {
    let mut proxy = start_with(settings(&json!({})).workers(2));
    teach(&mut proxy, DOMAIN, pending(1));
    proxy.advance(ms(1_200));
    teach(&mut proxy, DOMAIN, ready(DOMAIN, 60));
    assert_eq!(status(&mut proxy, 1), Some(308));
}

#[test]
fn sharing_can_be_turned_off_and_is_bounded() {
    let mut proxy = start_with(settings(&json!({"cache": {"shared_slots": 0}})).workers(2));
    teach(&mut proxy, DOMAIN, ready(DOMAIN, 60));
    assert_eq!((status(&mut proxy, 1), proxy.shared_keys().len()), (None, 0));
    only_callout(&proxy);

    let mut proxy = start(json!({"cache": {"shared_slots": 8}}));
    for index in 0..200 {
        let name = format!("n{index}.example.com");
        teach(&mut proxy, &name, ready(&name, 60));
    }
    assert!(proxy.shared_keys().len() <= 8);
}

#[test]
fn garbage_in_shared_data_is_ignored() {
    let mut proxy = start_with(settings(&json!({"cache": {"shared_slots": 1}})).workers(2));
    teach(&mut proxy, DOMAIN, ready(DOMAIN, 60));
    let key = proxy.shared_keys().remove(0);
    let good = proxy.shared_data(&key).unwrap();
    for cut in 0..good.len() {
        proxy.set_shared_data(&key, &good[..cut]);
        let stream = proxy.request(1, Request::get(DOMAIN, "/"));
        assert_eq!(proxy.outcome(stream), Outcome::Paused, "{cut}");
        proxy.end(stream);
    }
    let mut bad_verdict = good.clone();
    *bad_verdict.last_mut().unwrap() = b'?';
    proxy.set_shared_data(&key, &bad_verdict);
    assert_eq!(status(&mut proxy, 1), None);
    assert_eq!(proxy.trap(1), None);
    assert_sound(&proxy);
}

#[test]
fn a_shared_verdict_lasts_no_longer_than_this_configuration_allows() {
    let mut proxy = start_with(settings(&json!({"cache": {"ttl_max_s": 60}})).workers(2));
    teach(&mut proxy, DOMAIN, ready(DOMAIN, 60));
    let key = proxy.shared_keys().remove(0);
    let mut value = proxy.shared_data(&key).unwrap();
    value[1..9].copy_from_slice(&u64::MAX.to_le_bytes());
    proxy.set_shared_data(&key, &value);
    assert_eq!(status(&mut proxy, 1), Some(308));
    proxy.set_shared_data(&key, b"");
    proxy.advance(ms(60_200));
    assert_eq!(status(&mut proxy, 1), None);
}

#[test]
fn after_a_forced_trap_a_reload_serves_again_and_knows_what_others_know() {
    let more = json!({"cache": {"entries": 4, "shared_slots": 4}});
    let mut settings = settings(&more).failure_policy(FailurePolicy::Reload).workers(2);
    // Enough for every callback but one that puts a path of 60 KB into a location.
    settings.fuel_per_callback = 200_000;
    let mut proxy = Proxy::start(program(), settings).unwrap();
    teach(&mut proxy, DOMAIN, ready(DOMAIN, 600));
    assert_eq!(status(&mut proxy, 0), Some(308));
    let stream = proxy.request(0, Request::get(DOMAIN, format!("/{}", "a".repeat(60_000))));
    assert_eq!(proxy.outcome(stream), Outcome::Refused);
    assert!(proxy.trap(0).is_some());
    assert_eq!(status(&mut proxy, 0), None, "refused until the backoff is over");
    assert_eq!(status(&mut proxy, 1), Some(308), "the other worker is well");
    proxy.advance(ms(1_001));
    assert_eq!(status(&mut proxy, 0), Some(308), "reloaded, and the verdict was shared");
    assert_eq!(proxy.trap(0), None);
    assert_eq!(proxy.callouts(), []);
}

#[test]
fn a_canary_and_a_worker_without_traffic_do_nothing() {
    let mut proxy = start_with(settings(&json!({"listener": "https"})).workers(2));
    proxy.advance(ms(60_000));
    assert_eq!((proxy.callouts(), proxy.shared_keys()), (Vec::new(), Vec::new()));
    let mut http = start(json!({}));
    http.request(0, Request::get(DOMAIN, "/"));
    answer(&mut http, ready(DOMAIN, 1));
    assert_sound(&proxy);
}
