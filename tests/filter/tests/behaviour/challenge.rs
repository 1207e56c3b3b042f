//! ACME http-01 challenges.

use sealwax_filter_tests::{THUMBPRINT, key_authorization, settings};
use serde_json::json;
use wasm_host::{CalloutEnd, Outcome, Proxy, Request, StreamId};

use crate::support::{answer, assert_sound, ms, only_callout, start, start_with};

const TOKEN: &str = "DGyRejmCefe7v4NfDGDKfA";

fn path(token: &str) -> String {
    format!("/.well-known/acme-challenge/{token}")
}

fn ask(proxy: &mut Proxy, worker: usize, host: &str) -> StreamId {
    proxy.request(worker, Request::get(host, path(TOKEN)))
}

fn assert_answered(proxy: &mut Proxy, stream: StreamId) {
    let reply = proxy.reply(stream).unwrap();
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), Some(b"text/plain".as_slice()));
    assert_eq!(reply.header("cache-control"), Some(b"no-store".as_slice()));
    assert_eq!(reply.body, format!("{TOKEN}.{THUMBPRINT}").as_bytes());
}

fn status(proxy: &mut Proxy, stream: StreamId) -> u32 {
    proxy.reply(stream).unwrap().status
}

#[test]
fn a_challenge_is_answered_with_the_key_authorization() {
    let mut proxy = start(json!({"authority": "plane"}));
    let stream = ask(&mut proxy, 0, "Blog.Example.com.:80");
    assert_eq!(proxy.outcome(stream), Outcome::Paused);
    let callout = answer(&mut proxy, key_authorization(TOKEN));
    assert_answered(&mut proxy, stream);
    assert_eq!(callout.header(":method"), "GET");
    assert_eq!(callout.header(":path"), format!("/edge/v1/challenges/{TOKEN}"));
    assert_eq!(callout.header(":authority"), "plane");
    assert_eq!(callout.header("x-sealwax-host"), "blog.example.com");
    assert_eq!((callout.timeout_ms, callout.cluster.as_str()), (1_000, "edge"));
    assert_sound(&proxy);
}

#[test]
fn head_is_answered_without_a_body_and_other_methods_are_refused() {
    let mut proxy = start(json!({}));
    let head = proxy.request(0, Request::get("a.example.com", path(TOKEN)).method("HEAD"));
    answer(&mut proxy, key_authorization(TOKEN));
    let reply = proxy.reply(head).unwrap();
    assert_eq!((reply.status, reply.body.len()), (200, 0));
    for method in ["POST", "PUT", "OPTIONS", "get"] {
        let stream = proxy.request(0, Request::get("a.example.com", path("x")).method(method));
        let reply = proxy.reply(stream).unwrap();
        assert_eq!(reply.status, 405, "{method}");
        assert_eq!(reply.header("allow"), Some(b"GET, HEAD".as_slice()));
    }
    assert_sound(&proxy);
}

#[test]
fn any_host_will_do_and_is_told_to_the_control_plane() {
    let long = "a".repeat(300);
    for (host, told) in [
        ("[2001:db8::1]:8080", "[2001:db8::1]:8080"),
        ("192.0.2.1", "192.0.2.1"),
        ("localhost", "localhost"),
        ("xn--bcher-kva.example:8080", "xn--bcher-kva.example"),
        ("two words", ""),
        ("\u{fc}.example", ""),
        (long.as_str(), ""),
    ] {
        let mut proxy = start(json!({}));
        let stream = ask(&mut proxy, 0, host);
        let callout = answer(&mut proxy, key_authorization(TOKEN));
        assert_eq!(callout.header("x-sealwax-host"), told, "{host}");
        assert_answered(&mut proxy, stream);
        assert_sound(&proxy);
    }
}

#[test]
fn what_is_no_token_is_404_without_a_callout_and_never_the_origin() {
    let long = "a".repeat(129);
    for token in ["", "a.b", "..", "a/b", "a%41", "%2e%2e/x", "a=", "a b", &long, "?x"] {
        let mut proxy = start(json!({}));
        let stream = proxy.request(0, Request::get("a.example.com", path(token)));
        assert_eq!(status(&mut proxy, stream), 404, "{token:?}");
        assert_eq!(proxy.callouts(), []);
        assert_sound(&proxy);
    }
}

#[test]
fn only_the_exact_prefix_is_a_challenge() {
    for path in [
        "/.well-known/acme-challenge",
        "/.well-known/ACME-challenge/x",
        "/x/../.well-known/acme-challenge/x",
        "/.well-known/%61cme-challenge/x",
        "//.well-known/acme-challenge/x",
    ] {
        let mut proxy = start(json!({}));
        proxy.request(0, Request::get("a.example.com", path));
        let callout = only_callout(&proxy);
        assert!(callout.header(":path").starts_with("/edge/v1/certificates/"), "{path}");
    }
}

#[test]
fn an_unknown_token_is_404_and_asked_again_next_time() {
    let mut proxy = start(json!({}));
    for answer_status in [404, 400] {
        let stream = ask(&mut proxy, 0, "a.example.com");
        answer(&mut proxy, CalloutEnd::response(answer_status, "{}"));
        assert_eq!(status(&mut proxy, stream), 404);
    }
    let stream = ask(&mut proxy, 0, "a.example.com");
    answer(&mut proxy, key_authorization(TOKEN));
    assert_answered(&mut proxy, stream);
    assert_sound(&proxy);
}

#[test]
fn vantage_points_cost_one_callout_whichever_worker_they_meet() {
    let mut proxy = start_with(settings(&json!({})).workers(3));
    let first: Vec<_> = (0..3).map(|_| ask(&mut proxy, 0, "a.example.com")).collect();
    answer(&mut proxy, key_authorization(TOKEN));
    for stream in first {
        assert_answered(&mut proxy, stream);
    }
    for worker in [0, 1, 2, 1] {
        let stream = ask(&mut proxy, worker, "a.example.com");
        assert_answered(&mut proxy, stream);
    }
    assert_eq!(proxy.callouts(), []);
    assert_sound(&proxy);
}

#[test]
fn vantage_points_that_come_at_once_cost_one_callout_in_all_workers() {
    let mut proxy = start_with(settings(&json!({})).workers(3));
    let streams = [0, 1, 2, 1].map(|worker| ask(&mut proxy, worker, "a.example.com"));
    let callout = only_callout(&proxy);
    proxy.advance(ms(200));
    assert_eq!(only_callout(&proxy).id, callout.id, "the others go on waiting for it");
    answer(&mut proxy, key_authorization(TOKEN));
    assert_answered(&mut proxy, streams[0]);
    proxy.advance(ms(200));
    for stream in streams {
        assert_answered(&mut proxy, stream);
    }
    assert_sound(&proxy);
}

#[test]
fn a_worker_that_asked_in_vain_does_not_keep_the_others_waiting() {
    for end in [CalloutEnd::response(404, "{}"), CalloutEnd::Reset] {
        let mut proxy = start_with(settings(&json!({})).workers(2));
        ask(&mut proxy, 0, "a.example.com");
        let other = ask(&mut proxy, 1, "a.example.com");
        answer(&mut proxy, end);
        proxy.advance(ms(200));
        assert_eq!(only_callout(&proxy).worker(), 1);
        answer(&mut proxy, key_authorization(TOKEN));
        assert_answered(&mut proxy, other);
    }
    // Nor does one that never hears back.
    let mut proxy = start_with(settings(&json!({"callout_timeout_ms": 500})).workers(2));
    ask(&mut proxy, 0, "a.example.com");
    let other = ask(&mut proxy, 1, "a.example.com");
    let lost = only_callout(&proxy).id;
    proxy.lose_callout(lost);
    proxy.advance(ms(800));
    answer(&mut proxy, key_authorization(TOKEN));
    assert_answered(&mut proxy, other);
    assert_sound(&proxy);
}

#[test]
fn an_answer_for_one_host_is_none_for_another() {
    let mut proxy = start(json!({}));
    ask(&mut proxy, 0, "a.example.com");
    answer(&mut proxy, key_authorization(TOKEN));
    let other = ask(&mut proxy, 0, "b.example.com");
    answer(&mut proxy, CalloutEnd::response(404, "{}"));
    assert_eq!(status(&mut proxy, other), 404);
}

#[test]
fn answers_end_after_their_time() {
    let mut proxy = start(json!({"challenge": {"ttl_s": 10}}));
    ask(&mut proxy, 0, "a.example.com");
    answer(&mut proxy, key_authorization(TOKEN));
    proxy.advance(ms(9_900));
    let stream = ask(&mut proxy, 0, "a.example.com");
    assert_answered(&mut proxy, stream);
    proxy.advance(ms(200));
    let stream = ask(&mut proxy, 0, "a.example.com");
    assert_eq!(proxy.outcome(stream), Outcome::Paused);
    assert_sound(&proxy);
}

#[test]
fn shared_answers_take_a_bounded_set_of_slots() {
    let more = json!({"challenge": {"shared_slots": 4, "entries": 4}});
    let mut proxy = start_with(settings(&more).workers(2));
    for index in 0..200 {
        let token = format!("token{index}");
        let stream = proxy.request(0, Request::get("a.example.com", path(&token)));
        answer(&mut proxy, key_authorization(&token));
        assert_eq!(status(&mut proxy, stream), 200);
        proxy.end(stream);
    }
    assert!(proxy.shared_keys().len() <= 4, "{}", proxy.shared_keys().len());
}

#[test]
fn an_unreachable_control_plane_is_503_with_retry_after_never_the_origin() {
    for end in [
        CalloutEnd::Reset,
        CalloutEnd::timeout(),
        CalloutEnd::unavailable(),
        CalloutEnd::response(500, ""),
        CalloutEnd::response(200, ""),
        CalloutEnd::response(200, "<html>"),
        CalloutEnd::response(200, format!("{TOKEN}.x\n")),
        CalloutEnd::response(200, format!("other.{THUMBPRINT}")),
        CalloutEnd::response(200, "a".repeat(100_000)),
    ] {
        let mut proxy = start(json!({"challenge": {"retry_after_s": 7}}));
        let stream = ask(&mut proxy, 0, "a.example.com");
        answer(&mut proxy, end.clone());
        let reply = proxy.reply(stream).unwrap();
        assert_eq!(reply.status, 503, "{end:?}");
        assert_eq!(reply.header("retry-after"), Some(b"7".as_slice()));
        assert_sound(&proxy);
    }
}

#[test]
fn a_challenge_that_waits_too_long_is_503() {
    let mut proxy = start(json!({"callout_timeout_ms": 30_000, "wait_max_ms": 500}));
    let stream = ask(&mut proxy, 0, "a.example.com");
    proxy.advance(ms(400));
    assert_eq!(proxy.outcome(stream), Outcome::Paused);
    proxy.advance(ms(300));
    assert_eq!(status(&mut proxy, stream), 503);
    answer(&mut proxy, key_authorization(TOKEN));
    let stream = ask(&mut proxy, 0, "a.example.com");
    assert_answered(&mut proxy, stream);
    assert_sound(&proxy);
}

#[test]
fn challenges_are_answered_on_both_listeners_and_on_exempt_paths() {
    let exempt = json!({"exempt": {"prefix": ["/.well-known/"]}});
    for more in [json!({"listener": "https"}), exempt] {
        let mut proxy = start(more);
        let stream = ask(&mut proxy, 0, "a.example.com");
        answer(&mut proxy, key_authorization(TOKEN));
        assert_answered(&mut proxy, stream);
        assert_sound(&proxy);
    }
}

/// Each under a token of its own.
fn ask_at_once(proxy: &mut Proxy, count: usize) -> Vec<StreamId> {
    let tokens = (0..count).map(|index| path(&format!("t{index}")));
    tokens.map(|path| proxy.request(0, Request::get("a.example.com", path))).collect()
}

#[test]
fn challenges_beyond_the_callouts_wait_for_one_to_end() {
    let mut proxy = start(json!({"challenge": {"callouts_max": 2}}));
    let streams = ask_at_once(&mut proxy, 10);
    proxy.advance(ms(5));
    for left in (0..10).rev() {
        let out = proxy.callouts();
        assert!(out.len() <= 2, "{} callouts", out.len());
        let callout = out.first().unwrap();
        let token = callout.header(":path").rsplit('/').next().unwrap().to_owned();
        proxy.end_callout(callout.id, key_authorization(&token));
        assert_eq!(proxy.callouts().len(), left.min(2), "{left} left");
    }
    for stream in streams {
        assert_eq!(status(&mut proxy, stream), 200);
    }
    assert_sound(&proxy);
}

#[test]
fn challenges_wait_for_a_callout_as_long_as_for_its_answer() {
    let mut proxy = start(json!({"challenge": {"callouts_max": 2}, "wait_max_ms": 500}));
    let streams = ask_at_once(&mut proxy, 3);
    proxy.advance(ms(400));
    assert_eq!(proxy.outcome(streams[2]), Outcome::Paused);
    proxy.advance(ms(300));
    for stream in streams {
        assert_eq!(status(&mut proxy, stream), 503);
    }
    assert_sound(&proxy);
}

#[test]
fn a_flood_of_challenges_is_503_not_more_callouts() {
    let mut proxy = start(json!({"challenge": {"callouts_max": 2}}));
    let streams = ask_at_once(&mut proxy, 19);
    assert_eq!(proxy.callouts().len(), 2);
    assert_eq!(proxy.outcome(streams[17]), Outcome::Paused);
    assert_eq!(status(&mut proxy, streams[18]), 503);
    assert_sound(&proxy);
}
