//! Requests that wait, and requests that do not.

use sealwax_filter_tests::{pending, ready, unknown};
use serde_json::json;
use wasm_host::{Outcome, Request};

use crate::support::{answer, assert_sound, ms, only_callout, outcomes, start};

const DOMAIN: &str = "a.example.com";

#[test]
fn however_many_wait_there_is_one_callout_and_all_are_served() {
    let mut proxy = start(json!({}));
    let paths: Vec<_> = (0..50).map(|index| format!("/{index}")).collect();
    let streams: Vec<_> =
        paths.iter().map(|path| proxy.request(0, Request::get(DOMAIN, path))).collect();
    answer(&mut proxy, ready(DOMAIN, 60));
    for (stream, path) in streams.iter().zip(&paths) {
        let reply = proxy.reply(*stream).unwrap();
        let location = format!("https://{DOMAIN}{path}");
        assert_eq!(reply.header("location"), Some(location.as_bytes()));
    }
    assert_sound(&proxy);
}

#[test]
fn waiters_go_on_in_the_order_they_came() {
    let mut settings = sealwax_filter_tests::settings(&json!({}));
    // Debug lines tell the order: each outcome is logged as it is decided.
    settings.log_level = 1;
    let mut proxy = crate::support::start_with(settings);
    let first = proxy.request(0, Request::get(DOMAIN, "*"));
    let second = proxy.request(0, Request::get(DOMAIN, "/"));
    let third = proxy.request(0, Request::get(DOMAIN, "*"));
    answer(&mut proxy, ready(DOMAIN, 60));
    let outcomes = outcomes(&mut proxy, &[first, second, third]);
    assert!(matches!(
        outcomes.as_slice(),
        [Outcome::Continued, Outcome::Replied(_), Outcome::Continued]
    ));
    let lines: Vec<_> = proxy.logs(0).into_iter().map(|(_, line)| line).collect();
    let passed = "sealwax.requests.passed";
    assert_eq!(lines, [passed, "sealwax.requests.redirected", passed]);
    assert_sound(&proxy);
}

#[test]
fn each_waiter_has_its_own_deadline() {
    let mut proxy = start(json!({"callout_timeout_ms": 30_000, "wait_max_ms": 1_000}));
    let early = proxy.request(0, Request::get(DOMAIN, "/"));
    proxy.advance(ms(600));
    let late = proxy.request(0, Request::get(DOMAIN, "/"));
    proxy.advance(ms(600));
    assert_eq!(outcomes(&mut proxy, &[early, late]), [Outcome::Continued, Outcome::Paused]);
    proxy.advance(ms(600));
    assert_eq!(proxy.outcome(late), Outcome::Continued);
    assert_eq!(proxy.metric("sealwax.requests.waited_out"), Some(2));
    answer(&mut proxy, ready(DOMAIN, 60));
    let next = proxy.request(0, Request::get(DOMAIN, "/"));
    assert!(proxy.reply(next).is_some(), "the late answer was kept");
    assert_sound(&proxy);
}

#[test]
fn passing_on_a_miss_asks_all_the_same() {
    let mut proxy = start(json!({"on_miss": "pass"}));
    let first = proxy.request(0, Request::get(DOMAIN, "/"));
    let second = proxy.request(0, Request::get(DOMAIN, "/"));
    assert_eq!(outcomes(&mut proxy, &[first, second]), [Outcome::Continued, Outcome::Continued]);
    answer(&mut proxy, ready(DOMAIN, 60));
    let third = proxy.request(0, Request::get(DOMAIN, "/"));
    assert_eq!(proxy.reply(third).map(|reply| reply.status), Some(308));
    assert_sound(&proxy);
}

#[test]
fn a_pending_certificate_is_passed_by_unless_told_to_wait() {
    let mut proxy = start(json!({}));
    let stream = proxy.request(0, Request::get(DOMAIN, "/"));
    answer(&mut proxy, pending(1));
    assert_eq!(proxy.outcome(stream), Outcome::Continued);

    let mut proxy = start(json!({"on_pending": "wait", "wait_max_ms": 10_000}));
    let first = proxy.request(0, Request::get(DOMAIN, "/1"));
    answer(&mut proxy, pending(1));
    let second = proxy.request(0, Request::get(DOMAIN, "/2"));
    assert_eq!(outcomes(&mut proxy, &[first, second]), [Outcome::Paused, Outcome::Paused]);
    assert_eq!(proxy.callouts(), [], "not before retry_after");
    proxy.advance(ms(1_200));
    answer(&mut proxy, pending(1));
    proxy.advance(ms(1_200));
    answer(&mut proxy, ready(DOMAIN, 60));
    for stream in [first, second] {
        assert_eq!(proxy.reply(stream).map(|reply| reply.status), Some(308));
    }
    assert_sound(&proxy);
}

#[test]
fn waiting_for_a_pending_certificate_ends_with_the_deadline() {
    let mut proxy = start(json!({"on_pending": "wait", "wait_max_ms": 1_500}));
    let stream = proxy.request(0, Request::get(DOMAIN, "/"));
    answer(&mut proxy, pending(60));
    proxy.advance(ms(1_400));
    assert_eq!(proxy.outcome(stream), Outcome::Paused);
    proxy.advance(ms(400));
    assert_eq!(proxy.outcome(stream), Outcome::Continued);
    proxy.advance(ms(120_000));
    assert_eq!(proxy.callouts(), [], "nobody waits, nobody asks");
    assert_sound(&proxy);
}

#[test]
fn a_pending_verdict_from_the_cache_is_waited_for_too() {
    let mut proxy = start(json!({"on_pending": "wait", "wait_max_ms": 5_000}));
    let gone = proxy.request(0, Request::get(DOMAIN, "/"));
    answer(&mut proxy, pending(2));
    proxy.end(gone);
    proxy.advance(ms(400));
    let stream = proxy.request(0, Request::get(DOMAIN, "/"));
    assert_eq!(proxy.outcome(stream), Outcome::Paused);
    proxy.advance(ms(2_000));
    answer(&mut proxy, unknown(10));
    assert_eq!(proxy.outcome(stream), Outcome::Continued);
    assert_sound(&proxy);
}

#[test]
fn streams_that_end_while_they_wait_are_forgotten() {
    let mut proxy = start(json!({}));
    let gone = proxy.request(0, Request::get(DOMAIN, "/"));
    let stays = proxy.request(0, Request::get(DOMAIN, "/"));
    proxy.end(gone);
    proxy.advance(ms(200));
    assert_eq!(proxy.metric("sealwax.waiters"), Some(1));
    answer(&mut proxy, ready(DOMAIN, 60));
    assert!(proxy.reply(stays).is_some());
    assert_sound(&proxy);
}

#[test]
fn the_number_of_waiters_is_bounded_and_the_rest_pass() {
    let mut proxy = start(json!({"waiters_max": 2}));
    let streams: Vec<_> = (0..3).map(|_| proxy.request(0, Request::get(DOMAIN, "/"))).collect();
    let expected = [Outcome::Paused, Outcome::Paused, Outcome::Continued];
    assert_eq!(outcomes(&mut proxy, &streams), expected);
    proxy.end(streams[0]);
    let next = proxy.request(0, Request::get(DOMAIN, "/"));
    assert_eq!(proxy.outcome(next), Outcome::Paused, "room again");
    answer(&mut proxy, ready(DOMAIN, 60));
    assert_sound(&proxy);
}

#[test]
fn the_number_of_callouts_is_bounded_and_the_rest_pass() {
    let mut proxy = start(json!({"callouts_max": 2}));
    let streams: Vec<_> = (0..3)
        .map(|index| proxy.request(0, Request::get(format!("n{index}.example.com"), "/")))
        .collect();
    let expected = [Outcome::Paused, Outcome::Paused, Outcome::Continued];
    assert_eq!(outcomes(&mut proxy, &streams), expected);
    assert_eq!(proxy.callouts().len(), 2);
    assert_sound(&proxy);
}

#[test]
fn a_callout_the_proxy_never_ends_is_given_up() {
    let mut proxy = start(json!({"callout_timeout_ms": 500, "wait_max_ms": 60_000}));
    let stream = proxy.request(0, Request::get(DOMAIN, "/"));
    let callout = only_callout(&proxy);
    proxy.lose_callout(callout.id);
    proxy.advance(ms(2_400));
    assert_eq!(proxy.outcome(stream), Outcome::Paused);
    proxy.advance(ms(400));
    assert_eq!(proxy.outcome(stream), Outcome::Continued);
    proxy.advance(ms(2_000));
    proxy.request(0, Request::get(DOMAIN, "/"));
    only_callout(&proxy);
    assert_sound(&proxy);
}
